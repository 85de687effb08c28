"""Told when files in some folders change; nothing polls. One file per platform, the same verb.

Written here rather than taken from a library: watchdog needs two threads per watch, watchfiles a Rust thread that wakes
up by itself; the supervisor has neither.
"""

from __future__ import annotations

import sys

if sys.platform == "darwin":
    from procman.machine.watch_macos import watch
else:
    from procman.machine.watch_linux import watch

__all__ = ["watch"]
