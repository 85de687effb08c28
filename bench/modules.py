"""`python -m bench modules`: a page of 1,000 ES modules in headless Chromium, cold; writes ``docs/bench/modules.md``.

Its files come from nginx, and from a Vite development server; straight, through Caddy and through our gateway. Each
load has a browser context of its own, so that nothing is cached and no connection is left; the peers take turns.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bench import gateway_peers as peers
from certs.authority import Authority

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))  # the tests' browser

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
PAGE = Path(__file__).parent.parent / "docs" / "bench" / "modules.md"
FRAMEWORKS = Path(os.environ.get("STORES_FRAMEWORKS") or Path.home() / ".cache" / "stores-frameworks")

#: main.js, its groups, and what each of these imports: 1,000 in all, about 1 kB each.
GROUPS, LEAVES = 27, 36
COUNT = 1 + GROUPS + GROUPS * LEAVES
HTML = '<!doctype html><title>modules</title><script type="module" src="/main.js"></script>'
FILLER = "// " + "x" * 900 + "\n"

#: What we want: no slower than through Caddy, and at most a tenth slower than straight to Vite.
MOST = {("nginx", "Caddy"): 1.0, ("Vite", "Caddy"): 1.0, ("Vite", "straight"): 1.1}


@dataclass(frozen=True, slots=True)
class Load:
    """One load: milliseconds from the navigation to the last module's run, and the protocol that most files came by."""

    milliseconds: float
    protocol: str


class Tab(Protocol):
    """A page of the browser; `run` and `until` evaluate JavaScript."""

    def open(self, url: str) -> object: ...
    def run(self, expression: str) -> Any: ...
    def until(self, expression: str) -> Any: ...
    def ask(self, method: str) -> dict[str, Any]: ...


class Browser(Protocol):
    """What is used of the tests' `Chromium`, which is imported late."""

    def tab(self) -> Tab: ...
    def ask(self, method: str, **parameters: Any) -> dict[str, Any]: ...


def write(folder: Path) -> None:
    """The page's files."""
    folder.mkdir()
    groups = "".join(f'import {{ count as g{n} }} from "./g{n}.js";\n' for n in range(GROUPS))
    total = " + ".join(f"g{n}" for n in range(GROUPS))
    (folder / "main.js").write_text(f"{groups}globalThis.done = [performance.now(), 1 + {total}];\n")
    for group in range(GROUPS):
        names = [f"m{group}_{n}" for n in range(LEAVES)]
        imports = "".join(f'import {{ one as {name} }} from "./{name}.js";\n' for name in names)
        (folder / f"g{group}.js").write_text(f"{imports}export const count = 1 + {' + '.join(names)};\n")
        for name in names:
            (folder / f"{name}.js").write_text(f"{FILLER}export const one = 1;\n")
    (folder / "index.html").write_text(HTML)
    (folder / "1k").write_bytes(b"x" * 1024)  # what peers are asked for when they start


@contextlib.contextmanager
def nginx_origin(folder: Path) -> Iterator[int]:
    (port,) = peers.free_ports(1)
    write(folder)
    types = "types { text/html html; text/javascript js; }"
    with peers.nginx_serving(
        folder, f"server {{ listen 127.0.0.1:{port} backlog=1024; root {folder}; {types} }}"
    ) as process:
        peers.first_answer(port, process, time.monotonic())
        yield port


@contextlib.contextmanager
def vite_origin(folder: Path) -> Iterator[int]:
    (port,) = peers.free_ports(1)
    write(folder)
    (folder / "package.json").write_text('{"name": "modules", "private": true, "type": "module"}\n')
    command = ["node", str(FRAMEWORKS / "node_modules/vite/bin/vite.js"), "--host", "127.0.0.1", "--port", str(port)]
    environ = {**os.environ, "__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS": f".{peers.DOMAIN}"}
    with peers.running([*command, "--strictPort"], folder, cwd=folder, env=environ) as process:
        peers.first_answer(port, process, time.monotonic())
        yield port


ORIGINS: dict[str, Callable[[Path], contextlib.AbstractContextManager[int]]] = {
    "nginx": nginx_origin,
    "Vite": vite_origin,
}


def load(browser: Browser, url: str) -> Load:
    tab = browser.tab()
    tab.open(url)
    milliseconds, count = tab.until("globalThis.done")
    assert count == COUNT, count
    protocols = tab.run("performance.getEntriesByType('resource').map(one => one.nextHopProtocol)")
    context = tab.ask("Target.getTargetInfo")["targetInfo"]["browserContextId"]
    browser.ask("Target.disposeBrowserContext", browserContextId=context)
    return Load(milliseconds, statistics.mode(protocols))


def measure(name: str, folder: Path, authority: Authority, browser: Browser) -> dict[str, list[Load]]:
    folder.mkdir()
    with (
        ORIGINS[name](folder / "origin") as port,
        peers.caddy(folder / "caddy", port, authority) as caddy,
        peers.gateway(folder / "stores", port, authority) as ours,
    ):
        urls = {"straight": f"http://127.0.0.1:{port}/"}
        urls |= {peer.name: f"https://{peers.HOSTS[0]}:{peer.https}/" for peer in (caddy, ours)}
        for url in urls.values():
            load(browser, url)  # the server's own caches: Vite transforms each file once
        found: dict[str, list[Load]] = {peer: [] for peer in urls}
        for number in range(ROUNDS):
            for peer in list(urls) if number % 2 else reversed(urls):
                found[peer].append(load(browser, urls[peer]))
    return found


def median(loads: list[Load]) -> float:
    return statistics.median(one.milliseconds for one in loads)


def main() -> None:
    from chromium import PROGRAM, Chromium  # noqa: PLC0415 - it imports pytest, which only this bench needs

    missing = [tool for tool in ("nginx", "caddy", "node", "certutil") if not shutil.which(tool)]
    missing += [] if PROGRAM else ["chromium"]
    missing += [] if (FRAMEWORKS / "node_modules/vite").is_dir() else [f"Vite in {FRAMEWORKS} (make test-browser)"]
    if missing:
        print(f"bench: not installed: {', '.join(missing)}")
        return
    rows, load_before = [], os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)  # nginx' worker is another user
        authority = Authority.load_or_create(folder / "ca", peers.DOMAIN)
        browser = Chromium(folder, ca=authority.ca_file)
        try:
            for name in ORIGINS:
                rows.append(row(name, measure(name, folder / name, authority, browser)))
                print(rows[-1], flush=True)
        finally:
            browser.end()
    PAGE.write_text(page(rows, load_before), encoding="utf-8")


def row(name: str, found: dict[str, list[Load]]) -> str:
    ours = found["stores"]
    cells = [f"{name}", *(f"{median(found[peer]):,.0f}" for peer in ("straight", "Caddy", "stores"))]
    for peer in ("Caddy", "straight"):
        ratios = [one.milliseconds / other.milliseconds for one, other in zip(ours, found[peer], strict=True)]
        ratio = statistics.median(ratios)
        most = MOST.get((name, peer))
        met = "" if most is None or round(ratio, 2) <= most else f", wanted {most:g}"
        cells.append(f"**{ratio:.2f}** ({min(ratios):.2f} to {max(ratios):.2f}){met}")
    cells.append(", ".join(f"{peer} {loads[0].protocol}" for peer, loads in found.items()))
    return f"| {' | '.join(cells)} |"


def page(rows: list[str], load_before: float) -> str:
    table = "\n".join(rows)
    return f"""\
# A page of a thousand modules

Written by `python -m bench modules`: headless Chromium opens a page of {COUNT:,} ES modules (1 kB each, two levels
deep), cold: milliseconds from the navigation to the last module's run, median of {ROUNDS} alternating rounds after one
that warms the server. {os.cpu_count()} cores shared by browser, proxy and server; load before it: {load_before:.1f}.
Wanted: through our gateway no slower than through Caddy, and at most a tenth slower than straight to Vite.

| files from | straight | Caddy | stores | stores ÷ Caddy (least to most) | stores ÷ straight | protocols |
| --- | --- | --- | --- | --- | --- | --- |
{table}
"""


if __name__ == "__main__":
    main()
