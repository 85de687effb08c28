"""The system's trusted roots on Linux: a folder for one's own, and a command that makes the bundle anew."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from certs.trust_store import Root


@dataclass(frozen=True, slots=True)
class SystemStore:
    """How a certificate gets into the system's store: `file` with `text`, then `after`; undone by removing it again."""

    file: str | None
    text: str
    after: tuple[tuple[str, ...], ...]
    before_undo: tuple[tuple[str, ...], ...] = ()
    after_undo: tuple[tuple[str, ...], ...] = ()


#: (folder, ending, command): the folder tells the distribution. In this order, for some have several.
_FAMILIES = (
    ("etc/pki/ca-trust/source/anchors", ".pem", ("update-ca-trust", "extract")),  # Fedora, RHEL
    ("usr/share/pki/trust/anchors", ".pem", ("update-ca-certificates",)),  # openSUSE: its own are in etc/pki
    ("etc/ca-certificates/trust-source/anchors", ".crt", ("trust", "extract-compat")),  # Arch
    ("usr/local/share/ca-certificates", ".crt", ("update-ca-certificates",)),  # Debian, Ubuntu, Alpine, Gentoo
)
_PROGRAMS = ("usr/sbin", "usr/bin", "sbin", "bin")

#: Debian's command does not see that a file is gone: it leaves the links to it, and Java's entry, for ever. What its
#: configuration names with a "!" it takes out properly, so it is given a copy that says so (ca-certificates.conf(5)).
_DEBIAN_REMOVAL = """\
f=$(mktemp) && cat /etc/ca-certificates.conf > "$f" && echo "!$1" >> "$f" && update-ca-certificates --certsconf "$f"
code=$?; rm -f "$f"; exit $code"""

_OPENSUSE = ("usr/share/pki/trust/anchors", "etc/pki/trust/anchors")


def store(root: Root, top: Path = Path("/")) -> SystemStore | None:
    """How this distribution does it; None where we do not know. `top` stands for ``/``."""
    for folder, ending, command in _FAMILIES:
        if (top / folder).is_dir() and _is_there(top, command[0]):
            place = _OPENSUSE[1] if folder == _OPENSUSE[0] else folder
            name = root.name + ending
            removal = ("sh", "-c", _DEBIAN_REMOVAL, "sh", name) if _is_debians(top, command[0]) else command
            return SystemStore(
                f"/{place}/{name}", root.file.read_text("ascii"), after=(command,), after_undo=(removal,)
            )
    return None


def _is_there(top: Path, tool: str) -> bool:
    return any((top / folder / tool).exists() for folder in _PROGRAMS)


def _is_debians(top: Path, tool: str) -> bool:
    """Alpine's and openSUSE's programs of that name are other ones, which need no such help."""
    for folder in _PROGRAMS:
        file = top / folder / tool
        if file.exists():
            return b"--certsconf" in file.read_bytes()
    return False
