"""What a tool said of a directory, kept for as long as none of the files changes from which it said it."""

from __future__ import annotations

import base64
import contextlib
import json
import time
import zlib
from collections.abc import Iterable
from pathlib import Path

from procman import private_file

#: Seconds. No list of files is complete: mise's templates can run commands.
LIFETIME = 600.0


class CachedChanges:
    """One file, mode 0600: the changes may be secrets. It can be deleted at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, question: str) -> dict[str, str | None] | None:
        """The answer to the same question, or None where there is none, or it may be another one by now."""
        try:
            kept = json.loads(self._path.read_bytes())
            same = kept["question"] == question and time.time() < kept["until"]
            if same and all(_stamp(Path(name)) == stamp for name, stamp in kept["files"].items()):
                return dict(kept["changes"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return None

    def keep(self, question: str, changes: dict[str, str | None], files: Iterable[Path]) -> None:
        """Keeps an answer. A full disk only means that the tool is asked again."""
        value = {
            "question": question,
            "until": time.time() + LIFETIME,
            "files": {str(file): _stamp(file) for file in files},
            "changes": changes,
        }
        with contextlib.suppress(OSError):
            private_file.write(self._path, json.dumps(value))


def _stamp(file: Path) -> list[int] | None:
    """None for a file that is not there: its appearance is a change, too."""
    try:
        status = file.stat()
    except OSError:
        return None
    return [status.st_mtime_ns, status.st_size]


def watched_by_direnv(watches: str) -> list[Path]:
    """The files that direnv depends on, as it says in ``DIRENV_WATCHES``: JSON, zlib, base64."""
    try:
        listed = json.loads(zlib.decompress(base64.urlsafe_b64decode(watches)))
        return [Path(item.get("path") or item["Path"]) for item in listed]
    except (ValueError, zlib.error, KeyError, TypeError, AttributeError):
        return []
