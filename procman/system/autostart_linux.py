"""systemd's user manager, which starts with the first login."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from procman.system.change import Put

#: What the user manager starts by itself, as links in this folder (systemctl --user enable makes no more than that).
WANTS = "default.target.wants"


def files(root: Path, key: str, command: Sequence[str], folder: Path, header: str) -> tuple[Put, Path]:
    """The unit, and its link."""
    name = f"stores-{key}.service"
    text = f"""\
# {header}
[Unit]
Description=stores: {_plain(root.name)}, with what ran before

[Service]
Type=exec
ExecStart={" ".join(map(quoted, command))}
WorkingDirectory={_escaped(str(root))}
# the supervisor ends its services itself; after its own crash the next one takes them over
KillMode=process
TimeoutStopSec=30
Restart=on-failure
# 1 and 2: another supervisor runs here, or a file is wrong; 143: it was asked to end
RestartPreventExitStatus=1 2
SuccessExitStatus=143

[Install]
WantedBy=default.target
"""
    return Put(str(folder / name), text), folder / WANTS / name


def quoted(argument: str) -> str:
    """One argument of a command line (systemd.service(5), "Command lines")."""
    text = argument.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("$", "$$")
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    """Percent signs are specifiers everywhere in a unit."""
    return text.replace("%", "%%")


def _plain(text: str) -> str:
    return _escaped("".join(character if character.isprintable() else "?" for character in text))
