"""Fifty services that do nothing cost nothing."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
from supervising import Supervising
from workbench import wait_until

#: The issue has 30 s and at most 5 wake-ups, as the bench does; a third of the time may have a third of them.
SECONDS, WAKE_UPS = 10.0, 2


def switches(pid: int) -> int:
    """How often it slept and was woken up."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def test_fifty_idle_services_cost_30_mb_no_process_more_and_no_wake_up(supervising: Supervising) -> None:
    for number in range(50):
        supervising.service(f"shop{number}", "web: echo ready; exec sleep 1000\n", ready={"log": "ready"})
    supervising.supervise()
    supervising.ask("start")
    wait_until(lambda: supervising.status()["gateway"]["state"] == "ready", "the gateway is ready")
    pid = supervising.supervisor
    supervisor = psutil.Process(pid)
    assert len(supervisor.children(recursive=True)) == 51  # the services and the gateway
    assert supervisor.num_threads() == 1
    before, began = switches(pid), supervisor.cpu_times()
    time.sleep(SECONDS)  # that nothing happens takes its time to be seen
    ended = supervisor.cpu_times()
    assert switches(pid) - before <= WAKE_UPS
    assert (ended.user + ended.system) - (began.user + began.system) <= 0.02
    assert supervisor.memory_info().rss <= 30e6
