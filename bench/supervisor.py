"""`python -m bench supervisor`: what a supervisor costs, beside peers; writes ``docs/bench/supervisor.md``.

All run on this machine in alternating rounds, with the same commands; medians count. What a peer cannot do is said.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psutil

from bench.supervisor_flood import GIVEN_UP, LINES, flood, lost
from bench.supervisor_peers import Peer, Running, peers, until
from procman.clients import supervisor
from procman.paths import Paths

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
IDLE = float(os.environ.get("BENCH_IDLE", "30"))
SERVICES = 50
PAGE = Path(__file__).parent.parent / "docs" / "bench" / "supervisor.md"

NOTHING = "-"

SLEEPER = "sh -c 'echo >> {name}.begun; echo ready; exec sleep 1000'"


def start_of_many(peer: Peer) -> float:
    """Seconds from the command to the moment when the last of the services has begun."""
    names = [f"s{number}" for number in range(SERVICES)]
    began = time.monotonic()
    with peer.running({name: SLEEPER.format(name=name) for name in names}) as running:
        _until_begun(running, names)
        return time.monotonic() - began


def _until_begun(running: Running, names: list[str]) -> None:
    until(lambda: all(running.begun(name) for name in names), f"{running.peer.name} starts {len(names)}")


def restart(peer: Peer) -> float:
    """Milliseconds from its restart command to the moment when the new instance has begun: the best command wins."""
    if peer.restart is None:
        return float("nan")
    with peer.running({name: SLEEPER.format(name=name) for name in ("one", "two")}) as running:
        until(lambda: running.begun("one") and running.begun("two"), "the services begin")
        until(lambda: _restarts(running), f"{peer.name} answers its command")
        until(lambda: _settled(running), f"{peer.name} has begun")
        before, began = running.begun("one"), time.monotonic()
        command = subprocess.Popen(peer.restart(running.folder, "one"), cwd=running.folder, env=running.env, stdout=-3)
        until(lambda: running.begun("one") > before, f"{peer.name} restarts")
        took = time.monotonic() - began
        command.wait()
        return took * 1000


def _settled(running: Running) -> bool:
    """Whether what begins late, our gateway, has begun."""
    if running.peer.name != "stores":
        return True
    status = supervisor.answer(Paths.of(running.folder, running.env), "status")
    return bool(status["gateway"]["state"] == "ready")


def _restarts(running: Running) -> bool:
    try:
        running.restart("two")
    except subprocess.CalledProcessError:
        return False
    return True


def restart_asked(peer: Peer) -> float:
    """The same without the command's own time to load: asked over our socket."""
    if peer.name != "stores":
        return float("nan")
    with peer.running({name: SLEEPER.format(name=name) for name in ("one", "two")}) as running:
        paths = Paths.of(running.folder, running.env)
        until(lambda: running.begun("one") and running.begun("two"), "the services begin")
        until(lambda: _settled(running), "the gateway has begun")
        began = time.monotonic()
        supervisor.answer(paths, "restart", targets=["one"])
        return (time.monotonic() - began) * 1000


def idle(found: list[Peer]) -> dict[str, dict[str, float]]:
    """All of them at the same time, each with fifty services that sleep: memory, processes, CPU and wake-ups."""
    with ExitStack() as stack:
        names = [f"s{number}" for number in range(SERVICES)]
        services = {name: SLEEPER.format(name=name) for name in names}
        all_running = {peer.name: stack.enter_context(peer.running(services)) for peer in found}
        for running in all_running.values():
            _until_begun(running, names)
        time.sleep(5)  # what starts late (our gateway) has settled
        own = {name: running.supervisors() for name, running in all_running.items()}
        before = {name: (_cpu(processes), _switches(processes)) for name, processes in own.items()}
        time.sleep(IDLE)
        return {
            name: {
                "rss": sum(process.memory_info().rss for process in processes) / 1e6,
                "pss": sum(process.memory_full_info().pss for process in processes) / 1e6,
                "processes": len(processes),
                "cpu": (_cpu(processes) - before[name][0]) * 1000,
                "wakeups": _switches(processes) - before[name][1],
            }
            for name, processes in own.items()
        }


def _cpu(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _switches(processes: list[psutil.Process]) -> int:
    return sum(process.num_ctx_switches().voluntary for process in processes)


def main() -> None:
    with peers() as found:
        started = _rounds("start of fifty", found, start_of_many)
        restarted = _rounds("restart", found, restart)
        asked = _rounds("restart, asked over the socket", found, restart_asked)
        floods = {peer.name: _flood_rounds(peer) for peer in found}
        print(f"idle for {IDLE:g} s", flush=True)
        idles = idle(found)
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(_page([peer.name for peer in found], started, restarted, asked, floods, idles))
    print(PAGE.read_text())


def _rounds(what: str, found: list[Peer], measure: Callable[[Peer], float]) -> dict[str, float]:
    print(what, flush=True)
    values: dict[str, list[float]] = {peer.name: [] for peer in found}
    for _ in range(ROUNDS):
        for peer in found:  # alternating: a noisy minute meets all of them
            values[peer.name].append(measure(peer))
    return {name: statistics.median(each) for name, each in values.items()}


def _flood_rounds(peer: Peer) -> dict[str, float]:
    print(f"flood: {peer.name}", flush=True)
    rounds = [flood(peer)]
    while len(rounds) < ROUNDS and rounds[0]["seconds"] < GIVEN_UP:
        rounds.append(flood(peer))
    return {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}


def _page(
    names: list[str],
    started: dict[str, float],
    restarted: dict[str, float],
    asked: dict[str, float],
    floods: dict[str, dict[str, float]],
    idles: dict[str, dict[str, float]],
) -> str:
    def row(title: str, bound: str, figure: Callable[[str], str]) -> str:
        return f"| {title} | {bound} | " + " | ".join(figure(name) for name in names) + " |"

    def number(value: float, form: str) -> str:
        return NOTHING if value != value else format(value, form)  # noqa: PLR0124 (not a number)

    def took(name: str) -> str:
        result = floods[name]
        done = result["seconds"] < GIVEN_UP
        return f"{result['seconds']:.1f} s" if done else f"> {GIVEN_UP:g} s ({result['lines']:,.0f} lines)"

    rows = [
        row(f"start of {SERVICES} services", "", lambda name: f"{started[name]:.2f} s"),
        row("restart by the command, until the new one runs", "", lambda name: number(restarted[name], ".0f") + " ms"),
        row(
            "restart asked over the socket, until ready",
            "300 ms",
            lambda name: number(asked[name], ".0f") + " ms",
        ),
        row(f"{LINES:,} lines of 100 bytes", "3 s", took),
        row("… CPU of the supervisor", "", lambda name: f"{floods[name]['cpu']:.1f} s"),
        row("… its memory (RSS)", "30 MB", lambda name: f"{floods[name]['memory']:.0f} MB"),
        row("… lines lost", "0", lambda name: f"{lost(floods[name]):,.0f}" if lost(floods[name]) >= 0 else NOTHING),
        row(
            "… delay of another's line, median and worst",
            "100 ms",
            lambda name: f"{floods[name]['delay']:.0f} and {floods[name]['worst']:.0f} ms",
        ),
        row(
            f"{SERVICES} services idle, RSS and PSS",
            "30 MB",
            lambda name: f"{idles[name]['rss']:.0f} and {idles[name]['pss']:.0f} MB",
        ),
        row("… processes of its own", "1", lambda name: f"{idles[name]['processes']:.0f}"),
        row(f"… CPU in {IDLE:g} s", "", lambda name: f"{idles[name]['cpu']:.0f} ms"),
        row(f"… wake-ups in {IDLE:g} s", "5", lambda name: f"{idles[name]['wakeups']:.0f}"),
    ]
    return (
        "# The supervisor beside honcho and supervisord\n\n"
        f"Written by `python -m bench supervisor`: medians of {ROUNDS} alternating rounds on Python\n"
        f"{platform.python_version()} and {os.cpu_count()} cores, which the services and the reader share. honcho and\n"
        "supervisord are the newest releases on PyPI. supervisord writes output to files, honcho and stores write\n"
        "it to a pipe (stores to files as well). stores begins with a CA, a DNS resolver and a gateway, which the\n"
        "others have not; the gateway's process is counted in `docs/bench/gateway.md`. honcho restarts nothing.\n\n"
        "| | bound | " + " | ".join(names) + " |\n|---|---:|" + "---:|" * len(names) + "\n" + "\n".join(rows) + "\n"
    )


if __name__ == "__main__":
    main()
