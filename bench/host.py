"""What a service costs on the host: its start, restart, memory, file events and small files.

Run it: ``python -m bench.host``. It needs nothing but this project, makes a workspace of its own in a temporary folder,
and removes it. The table stands in docs/host-or-container.md, with the machine on which it was made.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from procman.machine.watch import watch

#: How often each thing is done; the median is told.
ROUNDS = 10
SERVICES = 10
FILES = 5000
FILE_SIZE = 2000

SERVER = """
import http.server, os
address = ("127.0.0.1", int(os.environ["PORT"]))
http.server.ThreadingHTTPServer(address, http.server.SimpleHTTPRequestHandler).serve_forever()
"""


class Bench:
    """A workspace with SERVICES services that only answer HTTP."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "w"
        (self.root / "Procfile.d").mkdir(parents=True)
        (self.root / "server.py").write_text(SERVER)
        for number in range(SERVICES):
            block = '# /// stores\n# dir = "."\n# remote = false\n# ///\n'
            (self.root / f"Procfile.d/bench{number}").write_text(f"{block}web: {sys.executable} server.py\n")
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("STORES_")} | {
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "STORES_HTTP_PORT": "0",
            "STORES_HTTPS_PORT": "0",
            "STORES_DNS_PORT": "0",
        }

    def stores(self, *arguments: str) -> str:
        command = [sys.executable, "-P", "-m", "procman.cli", *arguments]
        done = subprocess.run(command, cwd=self.root, env=self.env, capture_output=True, text=True, check=True)
        return done.stdout

    @contextmanager
    def running(self) -> Iterator[None]:
        self.stores("up", "-d", "gateway")
        try:
            yield
        finally:
            self.stores("down")

    def ask(self, verb: str, *targets: str) -> Any:
        """Asks the supervisor itself: a command's own start, 0.2 s of Python, is not what is measured."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(next(Path(self.env["XDG_RUNTIME_DIR"]).glob("stores/*/control.sock"))))
            connection.sendall(json.dumps({"verb": verb, "targets": targets}).encode() + b"\n")
            with connection.makefile() as lines:
                return [json.loads(line) for line in lines][-1]["ok"]

    def bare(self) -> None:
        """The same server without any supervisor, until it answers: the floor."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        process = subprocess.Popen([sys.executable, "server.py"], cwd=self.root, env=self.env | {"PORT": str(port)})
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                except OSError:
                    time.sleep(0.002)
                else:
                    return
        finally:
            process.kill()
            process.wait()


def timed(work: Callable[[], object], undo: Callable[[], object] = lambda: None, rounds: int = ROUNDS) -> str:
    """The median of several times, and the fastest: what the machine can do when nothing else runs on it."""
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        found.append(1000 * (time.perf_counter() - began))
        undo()
    return f"{statistics.median(found):.0f} ms ({min(found):.0f})"


def memory(bench: Bench) -> dict[str, float]:
    """PSS in MB (RSS where the system tells no PSS) of the supervisor, the gateway and one of the services."""
    status = json.loads(bench.stores("status", "--json"))
    each = [service["memory"] for service in status["services"] if service["memory"]]
    return {
        "supervisor with DNS": status["supervisor"]["memory"] / 2**20,
        "gateway": status["gateway"]["memory"] / 2**20,
        "a service": statistics.median(each) / 2**20,
    }


def file_event(folder: Path) -> float:
    """Milliseconds from the end of a write to the event, median of 200."""

    async def measure() -> float:
        loop = asyncio.get_running_loop()
        heard = asyncio.Event()
        forget = watch(loop, [folder], heard.set)
        found = []
        for number in range(200):
            heard.clear()
            (folder / "source.py").write_text(f"x = {number}\n")
            began = time.perf_counter()
            await asyncio.wait_for(heard.wait(), 5)
            found.append(1000 * (time.perf_counter() - began))
            await asyncio.sleep(0.01)
        forget()
        return statistics.median(found)

    return asyncio.run(measure())


def small_files(folder: Path) -> dict[str, str]:
    """The time to write, list with their times, and read FILES files: what an install, a bundler and a test run do."""
    tree = folder / "modules"
    names = [tree / f"m{number % 100}" / f"f{number}.js" for number in range(FILES)]
    for number in range(100):
        (tree / f"m{number}").mkdir(parents=True)
    text = "x" * FILE_SIZE
    return {
        "write": timed(lambda: [name.write_text(text) for name in names], rounds=3),
        "stat": timed(lambda: [name.stat() for name in names], rounds=3),
        "read": timed(lambda: [name.read_bytes() for name in names], rounds=3),
    }


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="stores-bench-"))
    try:
        bench = Bench(folder)
        rows = [("start of a small HTTP server, no supervisor, until it answers", timed(bench.bare))]
        with bench.running():
            start = timed(lambda: bench.ask("start", "bench0"), lambda: bench.ask("stop", "bench0"))
            rows.append(("the same by `start`, until it is ready", start))
            bench.ask("start", "bench0")
            rows.append(("`restart`, until it is ready again", timed(lambda: bench.ask("restart", "bench0"))))
            everything = timed(lambda: bench.ask("start"), lambda: bench.ask("stop"), rounds=3)
            rows.append((f"start of {SERVICES} of them at once", everything))
            bench.ask("start")
            rows += [(f"memory: {name}", f"{value:.0f} MB") for name, value in memory(bench).items()]
        rows.append(("a file is saved → the event is there", f"{file_event(bench.root):.2f} ms"))
        rows += [(f"{FILES} files of {FILE_SIZE} bytes: {name}", took) for name, took in small_files(folder).items()]
        used = sum(path.stat().st_size for path in (folder / "state").rglob("*") if path.is_file())
        rows.append(("disk that all of this took, besides the repositories", f"{used / 2**20:.1f} MB"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    cores, ram = os.cpu_count(), psutil.virtual_memory().total / 2**30
    print(
        f"{platform.system()} {platform.release()}, {cores} cores, {ram:.0f} GB, Python {platform.python_version()}\n"
    )
    print("| | median (fastest) |\n| --- | ---: |")
    for name, value in rows:
        print(f"| {name} | {value} |")


if __name__ == "__main__":
    main()
