"""The secret that opens the dashboard to programs of this user: in a file that only he can read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

#: In the gateway's folder of the workspace's state, which is the user's alone, too.
FILE: Final = "dashboard.token"


def kept(folder: Path) -> str:
    """The token, made by whoever asks for it first. Raises ``OSError``."""
    file = folder / FILE
    try:
        number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        token = file.read_text().strip()
        if token:
            file.chmod(0o600)
            return token
        file.unlink(missing_ok=True)  # its writer was killed, or the disk was full
        return kept(folder)
    token = secrets.token_urlsafe(32)
    try:
        os.write(number, f"{token}\n".encode())
    finally:
        os.close(number)
    return token
