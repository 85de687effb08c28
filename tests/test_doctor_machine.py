"""`stores doctor` on a machine where everything is set up, and then one link after the other is broken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import machine
import pytest
from machine import ENV, Machine

# `newest`: the system's own programs are what is tried here; the findings are tested on both interpreters
pytestmark = [*machine.NEEDED, pytest.mark.newest]

FILE = """\
# /// stores
# dir = "."
# remote = false
# ///
web: python3 -m http.server $PORT --bind 127.0.0.1
"""


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Machine]:
    with machine.laptop(tmp_path) as made:
        made.write("/srv/shop/Procfile.d/netshop", FILE)
        made.run("chown", "-R", "dina:", "/srv/shop")
        made.stores("setup", "--system", "--yes", user="dina", env=ENV)
        made.stores("up", "-d", user="dina", env=ENV)
        yield made


def first_broken(laptop: Machine) -> tuple[str, str, str]:
    """The link, what was said of it, and what mends it."""
    told = json.loads(laptop.stores("doctor", "--json", user="dina", env=ENV, ok=False).stdout)
    finding = next((one for one in told["findings"] if one["health"] == "broken"), None)
    assert told["broken"] == (finding and finding["link"])
    return (finding["link"], finding["said"], finding["mend"]) if finding else ("", "", "")


def test_every_link_holds_until_one_is_broken_and_that_one_is_named(laptop: Machine) -> None:
    well = laptop.stores("doctor", user="dina", env=ENV)
    assert "Every link holds." in well.stdout
    for link in ("resolver", "name", "port", "certificate", "trust", "gateway", "supervisor", "service"):
        assert f"ok     {link}: " in well.stdout
    before = laptop.tree()

    hosts = laptop.path("/etc/hosts")
    good = hosts.read_text()
    hosts.write_text("127.0.0.1 localhost\n")
    assert first_broken(laptop)[::2] == ("name", "stores setup --system")
    hosts.write_text(good.replace("127.0.0.1\tstores", "10.1.1.1\tstores").replace("::1\tstores", "#"))
    link, said, _ = first_broken(laptop)
    assert link == "name"
    assert "10.1.1.1, which is not this machine" in said
    hosts.write_text(good)

    laptop.run("sh", "-c", "echo > /etc/ssl/certs/ca-certificates.crt; rm -f /etc/ssl/certs/*.0")
    assert first_broken(laptop)[::2] == ("trust", "stores trust")
    laptop.run("update-ca-certificates", "--fresh")
    assert first_broken(laptop) == ("", "", "")

    laptop.run("nft", "delete", "table", "inet", "stores")
    link, said, mend = first_broken(laptop)
    assert (link, mend) == ("port", "stores setup --system")
    assert "no longer redirected" in said
    laptop.stores("setup", "--system", "--yes", user="dina", env=ENV)
    assert first_broken(laptop) == ("", "", "")
    of_the_system = [path for path in laptop.changed(before) if not path.startswith("/home/dina/")]
    assert of_the_system in ([], ["/var/lib/stores/system.json"])

    laptop.stores("down", user="dina", env=ENV)
    assert first_broken(laptop)[::2] == ("resolver", "stores up -d")
