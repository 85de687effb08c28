"""What this system's processes are asked: who lives, who is who, when one ends. A file a platform, the same verbs."""

from __future__ import annotations

import sys

if sys.platform == "darwin":
    from procman.machine import proc_macos as system
else:
    from procman.machine import proc_linux as system

adopt_orphans = system.adopt_orphans
boot_id = system.boot_id
environ = system.environ
everyone = system.everyone
free_memory = system.free_memory
listening = system.listening
look = system.look
on_exit = system.on_exit
open_descriptors = system.open_descriptors
send = system.send
