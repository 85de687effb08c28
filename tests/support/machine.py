"""A machine to throw away: namespaces of its own, and this machine's file system below an overlay that is forgotten.

What is done to it as root is really done, by the real programs, and can be told from before byte for byte. It has no
init: where a test needs a daemon, it starts it.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from workbench import ROOT, wait_until

_SETUP = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs {base}
mkdir {base}/upper {base}/work {base}/tree
mount -t overlay overlay -o lowerdir=/,upperdir={base}/upper,workdir={base}/work {base}/tree
cd {base}/tree
mount -t proc proc proc
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount --bind {base}/tree/tmp {base}/tree/var/tmp
for place in {needed}; do  # on other file systems, or below the /tmp that has just been hidden
  [ -e ".$place" ] || {{ mkdir -p ".$place"; mount --rbind "$place" ".$place"; }}
done
printf '127.0.0.1 localhost %s\\n::1 localhost\\n' "$(uname -n)" > etc/hosts
rm -f etc/resolv.conf; echo '# no server' > etc/resolv.conf
sed -i 's/^hosts:.*/hosts: files dns/' etc/nsswitch.conf
[ -d root ] && chmod o+x root
# Debian's hook makes Java's store anew with each change, in seconds; the test that is about it has it back
rm -f etc/ca-certificates/update.d/jks-keystore
if [ -e etc/ca-certificates.conf ]; then  # three roots instead of 140: each of these takes a process, with each change
  few=$(grep -v '^[#!]' etc/ca-certificates.conf | head -n 3)
  echo "$few" > etc/ca-certificates.conf
  rm -f etc/ssl/certs/*.0 etc/ssl/certs/*.pem
  chroot . update-ca-certificates --fresh > /dev/null 2>&1
fi
mkdir -p srv/home
ip link set lo up
echo ready
exec sleep 3600
"""

#: The command line of this project's program.
STORES = (sys.executable, "-P", "-m", "procman.cli")

Tree = dict[str, tuple[int, str]]


class Machine:
    """It lives as long as one process, which holds its namespaces."""

    def __init__(self, base: Path) -> None:
        self._daemons: list[subprocess.Popen[bytes]] = []
        needed = shlex.join(map(str, dict.fromkeys((ROOT, Path(sys.prefix), Path(sys.base_prefix)))))
        setup = _SETUP.format(base=shlex.quote(str(base)), needed=needed)
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", setup],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout
        if self._holder.stdout.readline() != "ready\n":
            said = self._holder.communicate()[1].strip()
            pytest.skip(f"no namespaces or overlay here: {said}")
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text().split()
        self._init = int(children[0])
        self.base = Path(f"/proc/{self._init}/root{base}")
        self.root = self.base / "tree"

    def end(self) -> None:
        """With the first process of its namespace all others end, and what they mounted."""
        self._holder.kill()
        self._holder.communicate()
        for daemon in self._daemons:
            daemon.wait()

    def command(self, *command: str, user: str = "") -> list[str]:
        """A command line that runs inside, as root unless a user is named."""
        enter = ["nsenter", "-t", str(self._init), "-m", "-n", "-p", "--root=" + str(self.root), "env", "-C", "/"]
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--reset-env"] if user else []
        if user:
            become += ["env", "-C", f"/home/{user}", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"]
        return [*enter, *become, *command]

    def run(self, *command: str, user: str = "", ok: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs a command inside, to its end."""
        env = {"PATH": os.environ["PATH"], "HOME": "/srv/home", "PYTHONDONTWRITEBYTECODE": "1"} | options.get("env", {})
        if user:
            command = (
                "env",
                *(f"{key}={value}" for key, value in env.items() if key not in {"PATH", "HOME"}),
                *command,
            )
        done = subprocess.run(
            self.command(*command, user=user),
            env=env,
            input=options.get("input", ""),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert not ok or done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def stores(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs this project's program inside."""
        return self.run(*STORES, *arguments, **options)

    def begin(self, *command: str, **options: Any) -> subprocess.Popen[bytes]:
        """Starts a daemon inside; it ends with the machine."""
        null = subprocess.DEVNULL
        daemon = subprocess.Popen(self.command(*command, **options), stdin=null, stdout=null, stderr=null)
        self._daemons.append(daemon)
        return daemon

    def path(self, name: str) -> Path:
        """A file inside, seen from here."""
        return self.root / name.lstrip("/")

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        """Puts a file there."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def wait_for_port(self, port: int) -> None:
        """Until something listens on TCP there."""
        wanted = f":{port:04X} "
        tables = [self.path(f"proc/1/net/{name}") for name in ("tcp", "tcp6")]
        wait_until(
            lambda: any(
                wanted in line.split()[1] + " " and line.split()[3] == "0A"
                for table in tables
                for line in table.read_text().splitlines()[1:]
            ),
            f"something listens on {port}",
        )

    def tree(self) -> Tree:
        """All that differs from the machine below: each path's mode and content. Folders without content do count."""
        upper = self.base / "upper"
        found: Tree = {}
        for folder, folders, files in os.walk(upper):
            for name in (*folders, *files):
                path = Path(folder, name)
                inside = "/" + str(path.relative_to(upper))
                if not inside.startswith(("/proc", "/dev", "/tmp", "/var/tmp", "/run", "/var/log")):
                    found[inside] = _seen(path)
        return found

    def changed(self, before: Tree) -> list[str]:
        """The paths that are not as they were. What was copied up unchanged is as it was."""
        after = self.tree()
        return sorted(
            path
            for path in before.keys() | after.keys()
            if _gone(after.get(path, _below(path))) != _gone(before.get(path, _below(path)))
        )


def _below(path: str) -> tuple[int, str] | None:
    """The path as it is on the machine itself."""
    return _seen(Path(path)) if os.path.lexists(path) else None


def _gone(seen: tuple[int, str] | None) -> tuple[int, str] | None:
    """The overlay marks what was deleted by a device of number 0."""
    return None if seen and seen[1] == "device 0" else seen


def _seen(path: Path) -> tuple[int, str]:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return 0, f"-> {path.readlink()}"
    if stat.S_ISDIR(status.st_mode):
        return status.st_mode, "folder"
    if stat.S_ISREG(status.st_mode):
        return status.st_mode, hashlib.sha256(path.read_bytes()).hexdigest()
    return status.st_mode, f"device {status.st_rdev}"


def why_not() -> str:
    """Why there can be no such machine here; empty where there can."""
    if sys.platform != "linux":
        return "namespaces are Linux's"
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    missing = [tool for tool in ("unshare", "nsenter", "ip", "mount", "setpriv") if not shutil.which(tool)]
    return f"not installed: {', '.join(missing)}" if missing else ""


#: What a laptop needs, for ``pytestmark``.
NEEDED = [
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "-"),
    pytest.mark.skipif(not shutil.which("nft"), reason="nft (nftables) is not installed"),
    pytest.mark.skipif(not shutil.which("sudo"), reason="sudo is not installed"),
    pytest.mark.skipif(not shutil.which("update-ca-certificates"), reason="not Debian's store (ca-certificates)"),
]

#: Where a laptop's workspace is.
ENV = {"STORES_WORKSPACE": "/srv/shop"}


@contextmanager
def laptop(base: Path) -> Iterator[Machine]:
    """A machine whose user is called dina, may become root by sudo, and has a folder for a workspace."""
    made = Machine(base)
    try:
        made.run("useradd", "-m", "dina")
        made.write("/etc/sudoers.d/dina", "dina ALL=(ALL) NOPASSWD: ALL\n", 0o440)
        made.path("/srv/shop").mkdir()
        yield made
    finally:
        made.end()
