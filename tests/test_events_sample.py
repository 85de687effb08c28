"""The sample workspace: a purchase in netshop becomes a booking in reserve, be reserve there at the time or not."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from workbench import ROOT, Running, Site, wait_until


def buy(port: int, customer: str) -> None:
    """As a browser does: something into the cart, then to the checkout, without a slot."""
    cookie = ""
    for path, form in (("/cart", {"sku": "pen", "add": "1"}), ("/checkout", {"customer": customer, "slot": ""})):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie}
        connection.request("POST", path, urllib.parse.urlencode(form), headers)
        answer = connection.getresponse()
        assert answer.status == 303, answer.read()
        cookie = answer.headers.get("Set-Cookie", cookie).partition(";")[0]
        connection.close()


def bookings(root: Path, customer: str) -> list[str]:
    with sqlite3.connect(root / "examples" / "reserve" / "var" / "reserve.sqlite3") as database:
        rows = database.execute("SELECT visitor FROM bookings WHERE name = ?", (customer,)).fetchall()
    database.close()
    return [visitor for (visitor,) in rows]


@pytest.fixture
def sample(site: Site) -> Site:
    """A copy of the sample workspace, as a clone has it."""
    shutil.rmtree(site.root)
    for name in ("Procfile.d", "examples", ".ci"):
        shutil.copytree(ROOT / name, site.root / name, ignore=shutil.ignore_patterns("var", "__pycache__"))
    shutil.copy(ROOT / "stores.toml", site.root)
    return site


def test_a_purchase_becomes_a_booking_also_while_reserve_is_stopped(sample: Site) -> None:
    site = sample
    site.ok("up", "-d", "netshop", "reserve")
    port = site.process("netshop.web")["port"]

    buy(port, "Ann")
    wait_until(lambda: bookings(site.root, "Ann"), "Ann has a booking")

    site.ok("stop", "reserve")
    buy(port, "Ben")
    wait_until(lambda: re.search(r"reserve +waiting +1", site.ok("events", "show")), "the event waits")
    assert bookings(site.root, "Ben") == []
    site.ok("start", "reserve")
    wait_until(lambda: bookings(site.root, "Ben"), "Ben has one, now that reserve is there")

    site.ok("events", "replay", "reserve")
    site.ok("events", "drain", "reserve")
    for customer in ("Ann", "Ben"):
        (visitor,) = bookings(site.root, customer)
        assert visitor.startswith("order "), "delivered twice, booked once"


def walk_through() -> list[tuple[str, str]]:
    """Each command of docs/events.md, and what is to be seen after it."""
    (block,) = re.findall(r"```console\n(.*?)```", (ROOT / "docs" / "events.md").read_text(encoding="utf-8"), re.DOTALL)
    steps = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(command, shown) for command, _, shown in (step.partition("\n") for step in steps)]


@pytest.fixture
def remote(sample: Site) -> Iterator[Running]:
    """The sample's remote environment."""
    process = subprocess.Popen(
        [sys.executable, "examples/remote", "--port", "0"],
        cwd=sample.root,
        env=sample.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    running = Running(process)
    sample.commands.append(running)
    yield running
    process.terminate()
    running.wait()


def test_an_order_at_the_remote_becomes_a_booking_here_as_the_walk_through_says(sample: Site, remote: Running) -> None:
    found = re.search(r"127\.0\.0\.1:(\d+)", remote.wait_for("Ctrl-C ends it"))
    assert found
    sample.env |= {"STORES_REMOTE_CONNECT_TO": f"::127.0.0.1:{found[1]}"}
    program = sample.folder / "stores"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m procman.cli "$@"\n')
    program.chmod(0o755)
    sample.env["PATH"] = f"{sample.folder}{os.pathsep}{sample.env['PATH']}"
    sample.ok("up", "-d", "reserve")
    remote.wait_for("GET /v1/events?after=")  # what was there before is not ours: it has to listen first
    wait_until(lambda: "ok: 0 events" in sample.ok("events", "show"), "the remote is well")
    for command, shown in walk_through():
        line = command.replace(":9443", f":{found[1]}")

        def seen(line: str = line, shown: str = shown) -> bool:
            done = subprocess.run(
                ["bash", "-c", line],
                cwd=sample.root,
                env=sample.env,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            return done.returncode == 0 and shown.strip() in done.stdout

        wait_until(seen, command)
    assert len(bookings(sample.root, "Rita")) == 1
    remote.process.terminate()
    assert remote.wait() == 0
    assert "Traceback" not in remote.text
