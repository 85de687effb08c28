"""Files of the system, changed so that it can be taken back: compared before, written whole, undone exactly."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path

from procman.system.change import HEADER, Block, Put


class ForeignFileError(ValueError):
    """There is a file already, and it is not ours."""


def is_done(file: Put | Block) -> bool:
    """Whether it is there as it should be. A file that this user may not read counts as not."""
    try:
        text = _read(Path(file.path))
    except OSError:
        return False
    if isinstance(file, Put):
        return text == file.text and stat.S_IMODE(Path(file.path).stat().st_mode) == file.mode
    return file.begin + file.text + file.end in text


def missing_folders(path: Path) -> list[str]:
    """The folders above `path` that will have to be made, the innermost first: in that order they are removed."""
    return [str(folder) for folder in path.parents if not folder.exists()]


def check(file: Put | Block, *, ours: bool) -> None:
    """Raises `ForeignFileError` where somebody else's file stands in the way; `ours`: it is written down as ours."""
    path = Path(file.path)
    if isinstance(file, Block) or ours or not os.path.lexists(path):
        return
    if path.is_file() and not path.is_symlink():
        text = _read(path)
        if text == file.text or HEADER in text:
            return
    raise ForeignFileError(f"{path} is there already and was not made by stores")


def write(file: Put | Block) -> None:
    """Makes it so. Raises ``OSError``."""
    path = Path(file.path)
    path.parent.mkdir(parents=True, exist_ok=True)  # 0755 by root's umask, as such folders are
    if isinstance(file, Put):
        replace(path, file.text, file.mode)
        return
    text = without_block(_read(path) if path.exists() else "", file)
    if text and not text.endswith("\n"):
        text += "\n"  # the one byte that `remove` cannot tell from the file's own; it is written down beforehand
    replace(path, text + file.begin + file.text + file.end, _mode(path))


def lacks_newline(file: Put | Block) -> bool:
    """Whether the file that a block goes into ends without a newline, which is then to be taken away again."""
    if isinstance(file, Put):
        return False
    with contextlib.suppress(OSError):
        text = without_block(_read(Path(file.path)), file)
        return bool(text) and not text.endswith("\n")
    return False


def remove(file: Put | Block, *, lacked_newline: bool = False) -> bool:
    """Takes it away; False where it was gone already. Raises ``OSError``, and `ForeignFileError` for another's file."""
    path = Path(file.path)
    try:
        text = _read(path)
    except FileNotFoundError:
        return False
    if isinstance(file, Put):
        if text != file.text and HEADER not in text:
            raise ForeignFileError(f"{path} is not as stores wrote it, so it is left alone")
        path.unlink()
        return True
    left = without_block(text, file)
    if left == text:
        return False
    if lacked_newline:
        left = left.removesuffix("\n")
    replace(path, left, _mode(path))
    return True


def without_block(text: str, block: Block) -> str:
    """`text` without our lines, whatever they say now. Text without the end marker is left alone: it may be cut off."""
    before, begin, rest = text.partition(block.begin)
    _, end, after = rest.partition(block.end)
    return before + after if begin and end else text


def replace(path: Path, text: str, mode: int) -> None:
    """Whole or not at all, owner kept. A file that is mounted over (a container's /etc/hosts) is written in place."""
    content = text.encode("utf-8", "surrogateescape")
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(descriptor, "wb") as stream:  # noqa: PTH123 (a descriptor, so that the file is born with its mode)
            os.fchmod(descriptor, mode)  # the umask may have taken from it what readers need
            if path.exists():
                os.fchown(descriptor, path.stat().st_uid, path.stat().st_gid)
            stream.write(content)
        draft.replace(path)
    except OSError as error:
        if error.errno not in {errno.EBUSY, errno.EXDEV}:
            raise
        path.write_bytes(content)
    finally:
        draft.unlink(missing_ok=True)


def _read(path: Path) -> str:
    """Any bytes survive the way to text and back."""
    return path.read_bytes().decode("utf-8", "surrogateescape")


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o644
