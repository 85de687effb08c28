"""launchd's agents, which start when the user logs in at the screen."""

from __future__ import annotations

import plistlib
from collections.abc import Sequence
from pathlib import Path

from procman.system.change import Put


def files(root: Path, key: str, command: Sequence[str], folder: Path, header: str) -> tuple[Put, None]:
    """The agent. launchd reads the folder at login; it is not loaded now, for that would start it now."""
    label = f"com.stores.{key}"
    agent = {
        "Label": label,
        "Comment": header,
        "ProgramArguments": list(command),
        "WorkingDirectory": str(root),
        "RunAtLoad": True,
        "KeepAlive": {"Crashed": True},
        "AbandonProcessGroup": True,  # services outlive a crash of the supervisor, and the next one takes them over
        "ProcessType": "Interactive",  # else macOS slows it down, and the services with it
    }
    return Put(str(folder / f"{label}.plist"), plistlib.dumps(agent).decode()), None
