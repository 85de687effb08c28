"""What this system's processes are asked: who lives, who is who, when one ends. A file a platform, the same verbs."""

from __future__ import annotations

import sys

if sys.platform == "darwin":
    from procman.proc_macos import (
        adopt_orphans,
        boot_id,
        environ,
        everyone,
        free_memory,
        look,
        on_exit,
        open_descriptors,
        send,
    )
else:
    from procman.proc_linux import (
        adopt_orphans,
        boot_id,
        environ,
        everyone,
        free_memory,
        look,
        on_exit,
        open_descriptors,
        send,
    )

__all__ = [
    "adopt_orphans",
    "boot_id",
    "environ",
    "everyone",
    "free_memory",
    "look",
    "on_exit",
    "open_descriptors",
    "send",
]
