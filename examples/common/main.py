"""What every service's `python . VERB` does: `setup`, `dev`, and what the service adds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from common.app import App
from common.server import serve
from common.settings import Settings


def run(folder: Path, port: int, create: Callable[[Settings], App], **more: Callable[[Settings], int]) -> int:
    """The exit code. `port` is the one for starting by hand; `create` makes the data where it is missing."""
    verb = sys.argv[1] if len(sys.argv) > 1 else "dev"
    verbs: dict[str, Callable[[Settings], int]] = {
        "setup": lambda settings: _set_up(settings, create),
        "dev": lambda settings: serve(create(settings), settings.port),
        **more,
    }
    if verb not in verbs:
        print(f"There is no {verb}. There is: {', '.join(verbs)}", file=sys.stderr)
        return 2
    return verbs[verb](Settings.from_environment(folder, port))


def _set_up(settings: Settings, create: Callable[[Settings], App]) -> int:
    create(settings)
    print(f"{settings.name} is set up, its data is in {settings.data_dir}")
    return 0
