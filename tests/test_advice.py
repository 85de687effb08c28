"""Every command that the program tells somebody to type is one that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main
from workbench import ROOT

from procman.cli.app import app

# as it is typed or quoted: after a quote, a backtick, a colon, a prompt, a semicolon, or at the beginning of a line
_ADVICE = re.compile(r"""(?:["'`(>]|: |\$ |; |^\s*|\n\s*)stores ([a-z]+)\b(?! (?:is|are|of)\b)""")
#: "stores tells …" where a line of prose begins so, and the name of a certificate.
_PROSE = {"tells", "issuing", "to"}


def verbs() -> set[str]:
    return set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def texts() -> list[Path]:
    folders = [ROOT / name for name in ("procman", "proxy_addons", "dns", "certs", "docs", "examples", "Procfile.d")]
    found = [
        path for folder in folders for path in folder.rglob("*") if path.suffix in {".py", ".html", ".md", ".toml"}
    ]
    return [*found, ROOT / "README.md", ROOT / "README.ja.md", ROOT / "stores.toml"]


@pytest.mark.parametrize("path", texts(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_is_advised_exists(path: Path) -> None:
    known = verbs()
    text = path.read_text(encoding="utf-8")
    unknown = {match[0] for match in _ADVICE.finditer(text) if match[1] not in known | _PROSE}
    assert unknown == set()
