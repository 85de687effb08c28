"""The sample workspace: a purchase in netshop becomes a booking in reserve, be reserve there at the time or not."""

from __future__ import annotations

import http.client
import re
import sqlite3
import subprocess
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from sample import Sample, commands, port_of
from workbench import Running, wait_until


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
def sample(tmp_path: Path) -> Iterator[Sample]:
    made = Sample(tmp_path)
    try:
        yield made
    finally:
        made.end()


def test_a_purchase_becomes_a_booking_also_while_reserve_is_stopped(sample: Sample) -> None:
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


@pytest.fixture
def remote(sample: Sample) -> Iterator[Running]:
    """The sample's remote environment."""
    running = sample.begin_remote()
    yield running
    running.process.terminate()
    running.wait()


def test_an_order_at_the_remote_becomes_a_booking_here_as_the_walk_through_says(
    sample: Sample, remote: Running
) -> None:
    port = port_of(remote)
    sample.env |= {"STORES_REMOTE_CONNECT_TO": f"::127.0.0.1:{port}"}
    sample.ok("up", "-d", "reserve")
    remote.wait_for("GET /v1/events?after=")  # what was there before is not ours: it has to listen first
    wait_until(lambda: "ok: 0 events" in sample.ok("events", "show"), "the remote is well")
    for command, shown in commands("events.md"):
        line = command.replace(":9443", f":{port}")

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
