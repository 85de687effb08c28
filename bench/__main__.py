"""``python -m bench [NAME...]``: measures, beside peers, and writes the tables of ``docs/bench/``. No name: all."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def benches() -> list[str]:
    """Every module beside this one that measures something: it has a `main`."""
    names = [path.stem for path in sorted(Path(__file__).parent.glob("*.py")) if not path.stem.startswith("_")]
    return [name for name in names if "\ndef main(" in (Path(__file__).parent / f"{name}.py").read_text()]


def main() -> int:
    known = benches()
    unknown = [name for name in sys.argv[1:] if name not in known]
    if unknown:
        print(f"bench: no bench is called {', '.join(unknown)}. There is: {', '.join(known)}", file=sys.stderr)
        return 2
    for name in sys.argv[1:] or known:
        print(f"== {name}", flush=True)
        importlib.import_module(f"bench.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
