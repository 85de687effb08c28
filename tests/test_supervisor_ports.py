"""Ports: named with their holder before anything is started, assigned once, kept, and never given twice."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from supervising import Supervising
from workbench import wait_until

from procman.machine import ports
from procman.machine.ports import Ports

LISTENER = """
import socket, sys, time
from pathlib import Path
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
one = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
print(one.getsockname()[1], flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_a_taken_port_is_named_with_pid_and_command_before_anything_is_spawned(
    supervising: Supervising, address: str
) -> None:
    program = supervising.program("listener.py", LISTENER)
    command = [sys.executable, str(program), address, "0"]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert holder.stdout
    try:
        port = int(holder.stdout.readline())
        supervising.service("shop", "web: touch started; sleep 1000\n", port=port)
        supervising.supervise()
        supervising.ask("status")
        error = supervising.refused("start", "shop")
        assert f"port {port}" in error.message
        assert f"PID {holder.pid} ({' '.join(command)}"[:100] in error.message
        assert not (supervising.root / "started").exists()
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def test_assigned_ports_never_collide_and_are_the_same_next_time(supervising: Supervising) -> None:
    names = [f"shop{number}" for number in range(20)]
    for name in names:
        supervising.service(name, "web: echo $PORT; exec sleep 1000\nworker: echo $PORT; exec sleep 1000\n")
    supervising.supervise()

    def assigned() -> dict[str, int]:
        return {
            f"{service['name']}.{process['name']}": process["port"]
            for service in supervising.status()["services"]
            for process in service["processes"]
        }

    first = assigned()
    assert len(set(first.values())) == 40
    assert all(ports.FIRST <= port <= ports.LAST for port in first.values())
    supervising.ask("down")
    wait_until(lambda: supervising.ours() == [])
    (supervising.root / "Procfile.d/shop0").unlink()
    supervising.service("another")
    supervising.supervise()
    again = assigned()
    assert {name: port for name, port in again.items() if name in first} == {
        name: port for name, port in first.items() if not name.startswith("shop0.")
    }
    assert len(set(again.values())) == 39


def test_another_workspaces_ports_are_not_given_again(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    given = [Ports(folder / "ports.json").of("shop.web", ()) for folder in folders]
    assert given[0] != given[1]
    assert [Ports(folder / "ports.json").of("shop.web", ()) for folder in folders] == given


def test_a_fixed_port_is_never_given_to_another(tmp_path: Path) -> None:
    fixed = Ports(tmp_path / "a.json").of("shop.web", ())
    assert Ports(tmp_path / "b.json").of("shop.web", {fixed}) != fixed


def test_a_port_that_is_listened_on_is_not_given(tmp_path: Path) -> None:
    wanted = Ports(tmp_path / "a.json").of("shop.web", ())
    with socket.create_server(("127.0.0.1", wanted)):
        assert not ports.is_free(wanted)
        assert Ports(tmp_path / "b.json").of("shop.web", ()) != wanted
    assert ports.is_free(wanted)


def test_connections_that_are_just_ending_hold_no_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()  # the server closes first: TIME_WAIT stays on its port
        client.close()
    assert ports.is_free(port)


def test_a_holder_is_named_also_when_it_is_this_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert ports.holder(server.getsockname()[1]).startswith(f"PID {os.getpid()} ({sys.orig_argv[0]}")
    assert threading.active_count() == 1
