"""Which code this is: the folder that it is read from, its version, and the commit where that folder is a checkout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: Where the packages of this program lie: a checkout's top, or an installation's site-packages.
FOLDER = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Build:
    """`commit` is empty where nothing is known of it."""

    folder: str
    commit: str = ""

    @classmethod
    def here(cls) -> Build:
        """As it is on the disk now: a process that wants to tell what it runs asks when it starts."""
        return cls(str(FOLDER), commit_of(FOLDER))


def commit_of(folder: Path) -> str:
    """The commit that a checkout has, by two small reads instead of a run of git; empty for what is none."""
    git = folder / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        if (git / name).is_file():
            return (git / name).read_text().strip()
        packed = (git / "packed-refs").read_text().splitlines()
    except OSError:  # no checkout, or a worktree, whose .git is a file
        return ""
    return next((line.split()[0] for line in packed if line.endswith(f" {name}")), "")
