"""A service that listens on another port than its own: said while it is waited for, and no reason to give it up."""

from __future__ import annotations

import sys
import time

import pytest
from supervising import Supervising
from workbench import Site

_LISTENER = """
import os, pathlib, socket, time
print("begun", flush=True)
other = socket.create_server(("127.0.0.1", 0))
pathlib.Path("port").write_text(str(other.getsockname()[1]))
while not pathlib.Path("go").exists():
    time.sleep(0.01)
own = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
time.sleep(600)
"""


def test_start_says_at_once_where_it_listens_and_what_to_type(site: Site) -> None:
    site.program("astray.py", _LISTENER)
    site.service("astray", "web: exec python3 astray.py\n")
    site.ok("up", "-d", "gateway")
    starting = site.begin("start", "astray")
    text = starting.wait_for("in Procfile.d/astray")
    other, own = (site.root / "port").read_text(), site.process("astray.web")["port"]
    assert f"stores: warning: astray.web listens on {other} so far, and requests go to {own} ($PORT)" in text
    assert f"let it listen there, or write port = {other} in Procfile.d/astray" in text
    assert site.ok("status", "astray").count(f"listens on {other}") == 1
    assert f"listens on {other} so far" in site.ok("logs", "astray")


def test_it_may_still_come_to_its_own_port(site: Site) -> None:
    site.program("astray.py", _LISTENER)
    site.service("astray", "web: exec python3 astray.py\n")
    site.ok("up", "-d", "gateway")
    starting = site.begin("start", "astray")
    starting.wait_for("so far")
    (site.root / "go").touch()
    assert starting.wait() == 0
    assert starting.text.endswith("astray.web ready\n")
    assert "so far" not in site.ok("status", "astray")


def test_of_a_run_in_the_foreground_it_is_shown_with_the_output(site: Site) -> None:
    site.program("astray.py", _LISTENER)
    site.service("astray", "web: exec python3 astray.py\n")
    site.begin("run", "astray").wait_for("so far, and requests go to")


def test_what_is_ready_by_a_line_of_its_output_is_waited_for_on_no_port(supervising: Supervising) -> None:
    supervising.program("astray.py", _LISTENER)
    supervising.service("astray", "web: exec python3 astray.py\n", ready={"log": "^begun$"})
    supervising.supervise()
    supervising.ask("start", "astray")
    (service,) = supervising.status()["services"]
    assert (service["state"], service["advice"]) == ("ready", "")


@pytest.mark.skipif(sys.platform == "darwin", reason="there, psutil is how processes are seen at all")
def test_the_look_takes_no_psutil_into_the_supervisor(supervising: Supervising) -> None:
    supervising.program("astray.py", _LISTENER)
    supervising.service("astray", "web: exec python3 astray.py\n", ready_timeout=3)
    running = supervising.supervise()
    began = time.monotonic()
    assert "not ready after 3 s" in supervising.refused("start", "astray").message
    assert time.monotonic() - began >= 3  # it is no certain failure before
    with open(f"/proc/{running.pid}/maps", encoding="utf-8") as maps:  # noqa: PTH123 (a file of the kernel's)
        assert "psutil" not in maps.read()
