"""The sample workspace: a purchase in netshop becomes a booking in reserve, be reserve there at the time or not."""

from __future__ import annotations

import http.client
import re
import shutil
import sqlite3
import urllib.parse
from pathlib import Path

from workbench import ROOT, Site, wait_until


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


def test_a_purchase_becomes_a_booking_also_while_reserve_is_stopped(site: Site) -> None:
    shutil.rmtree(site.root)
    for name in ("Procfile.d", "examples", ".ci"):
        shutil.copytree(ROOT / name, site.root / name, ignore=shutil.ignore_patterns("var", "__pycache__"))
    shutil.copy(ROOT / "stores.toml", site.root)
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
