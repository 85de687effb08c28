"""`python -m bench imports`: what each library costs to import; writes ``docs/bench/imports.md``."""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
from pathlib import Path

ROUNDS = 7
PAGE = Path(__file__).parent.parent / "docs" / "bench" / "imports.md"

#: What is imported, by the name under which docs/dependencies.md tells of it.
LIBRARIES = {
    "honcho": "honcho.environ, honcho.colour",
    "psutil": "psutil",
    "mitmproxy": "proxy_addons.mitm.master",
    "PyJWT": "jwt",
    "dnslib": "dnslib",
    "trustme": "trustme",
    "typer": "typer",
    "brotli": "brotli",
    "zstandard": "zstandard",
    "httptools": "httptools",
    "h2": "h2.connection",
    "hpack": "hpack.table",
    "jinja2": "jinja2",
    "uvloop": "uvloop",
    "python-dotenv": "dotenv",
}

#: What a workspace's `engine` adds to a gateway, which has most of it already.
ENGINES = {
    'engine = "nats://…"': "proxy_addons.events.engine_nats",
    'engine = "redis://…"': "proxy_addons.events.engine_redis",
}
_GATEWAY = "import proxy_addons.mitm.master, proxy_addons.gateway"

_MEASURE = """
import asyncio, json, sys, time, resource
def memory():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()
{first}
before, began = memory(), time.process_time()
import {modules}
print(json.dumps([time.process_time() - began, memory() - before]))
"""


def main() -> None:
    """Measures each library in processes of its own, in turn, and writes the page."""
    if not Path("/proc/self/statm").exists():
        raise SystemExit("Memory is read from /proc: run this on Linux.")
    found: dict[str, list[tuple[float, int]]] = {name: [] for name in (*LIBRARIES, *ENGINES)}
    for _ in range(ROUNDS):
        for name, modules in LIBRARIES.items():
            found[name].append(_measured(modules))
        for name, modules in ENGINES.items():
            found[name].append(_measured(modules, _GATEWAY))
    PAGE.write_text(_page(found))
    print(PAGE.read_text())


def _measured(modules: str, first: str = "") -> tuple[float, int]:
    command = [sys.executable, "-O", "-c", _MEASURE.format(modules=modules, first=first)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, size = json.loads(done.stdout)
    return seconds, size


def _page(found: dict[str, list[tuple[float, int]]]) -> str:
    lines = [
        "# What the libraries cost to import",
        "",
        f"Written by `python -m bench imports`: medians of {ROUNDS} processes each, on Python",
        f"{platform.python_version()}, beside an interpreter that has asyncio already. Milliseconds of CPU.",
        "What several of them import is counted with each of them:",
        "mitmproxy brings brotli, zstandard, h2, hpack and much of trustme's cryptography.",
        "",
        *_table("library", {name: found[name] for name in LIBRARIES}),
        "",
        "What a line of stores.toml adds to a gateway that runs, once, when it opens its event log:",
        "",
        *_table("[events]", {f"`{name}`": found[name] for name in ENGINES}),
        "",
    ]
    return "\n".join(lines)


def _table(title: str, found: dict[str, list[tuple[float, int]]]) -> list[str]:
    lines = [f"| {title} | ms | MB |", "|---|---:|---:|"]
    for name, runs in found.items():
        milliseconds = statistics.median(seconds for seconds, _ in runs) * 1000
        size = statistics.median(size for _, size in runs) / 1e6
        lines.append(f"| {name} | {milliseconds:.0f} | {size:.1f} |")
    return lines


if __name__ == "__main__":
    main()
