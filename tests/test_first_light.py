"""The whole of it, as a new user has it: the sample workspace with its sample remote, driven from outside.

One system runs for all tests of this file, on ports and a state of its own.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from dnslib import DNSRecord
from sample import Sample
from workbench import Site, wait_until

BEGUN = ["netshop.web", "netshop.worker", "reserve.web"]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    text: str


class System(Sample):
    """A copy of the sample workspace, as a clone has it, with `make dev`'s command line running."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.make_dev = self.begin_program(
            *(sys.executable, "examples/remote", "--port", "0", "--"),
            *(sys.executable, "-P", "-m", "procman.cli", "run", "netshop", "reserve"),
        )

    def get(self, host: str, path: str = "/", *, tls: bool = True, **headers: str) -> Answer:
        """One request to the gateway, as a browser that resolves `host` to 127.0.0.1 sends it."""
        gateway = self.status()["gateway"]
        if tls:
            context = ssl.create_default_context(cafile=gateway["ca_file"])
            raw = socket.create_connection(("127.0.0.1", gateway["https"]), timeout=20)
            connection = http.client.HTTPConnection(host)
            connection.sock = context.wrap_socket(raw, server_hostname=host)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", gateway["http"], timeout=20)
        port = gateway["https" if tls else "http"]
        connection.request("GET", path, headers={"Host": f"{host}:{port}", "Connection": "close", **headers})
        with contextlib.closing(connection):
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read().decode())

    def pids(self) -> dict[str, int]:
        found = {}
        for service in self.status()["services"]:
            for process in service["processes"]:
                found[f"{service['name']}.{process['name']}"] = process["pid"]
        return found


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    made = System(tmp_path_factory.mktemp("first-light"))
    try:
        made.make_dev.wait_for("Ctrl-C ends all of it", patience=60)
        yield made
    finally:
        made.end()


def test_a_running_service_answers_through_the_gateway_over_tls(system: System) -> None:
    answer = system.get("netshop.local.example.com")
    assert (answer.status, answer.headers["X-Stores-Route"]) == (200, "local")
    assert "<html" in answer.text


def test_a_service_that_does_not_run_here_is_served_by_the_remote(system: System) -> None:
    answer = system.get("account.local.example.com", "/sign-in", Accept="text/html")
    assert (answer.status, answer.headers["X-Stores-Route"]) == (200, "remote")
    assert "remote environment" in answer.text.lower()


def test_a_registered_service_without_a_remote_gets_the_page_and_503(system: System) -> None:
    answer = system.get("register.local.example.com", Accept="text/html")
    assert (answer.status, answer.headers["X-Stores-Route"]) == (503, "fallback")
    assert answer.headers["Retry-After"]
    assert "stores start register" in answer.text


def test_an_unknown_host_gets_404_with_the_nearest_names(system: System) -> None:
    answer = system.get("netshpo.local.example.com", Accept="application/json")
    assert (answer.status, answer.headers["X-Stores-Route"]) == (404, "fallback")
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert "netshop" in answer.text


@pytest.mark.parametrize("host", ["netshop.localhost", "reserve.localhost"])
def test_plain_http_at_localhost_needs_neither_dns_nor_privilege(system: System, host: str) -> None:
    answer = system.get(host, tls=False)
    assert (answer.status, answer.headers["X-Stores-Route"]) == (200, "local")


def test_any_name_below_a_wildcard_host_is_the_services(system: System) -> None:
    answer = system.get("tokyo.netshop.local.example.com")
    assert (answer.status, answer.headers["X-Stores-Route"]) == (200, "local")


def test_the_gateway_listens_on_ipv6_too(system: System) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 on this machine")
    with contextlib.closing(
        http.client.HTTPConnection("::1", system.status()["gateway"]["http"], timeout=20)
    ) as connection:
        connection.request("GET", "/healthz", headers={"Host": "netshop.localhost"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200


@pytest.mark.parametrize("name", ["netshop.local.example.com", "a.b.netshop.local.example.com"])
def test_the_resolver_knows_the_domain_at_any_depth(system: System, name: str) -> None:
    query = DNSRecord.question(name)
    answer = DNSRecord.parse(query.send("127.0.0.1", system.status()["dns"]["port"], timeout=10))
    assert [str(record.rdata) for record in answer.rr] == ["127.0.0.1"]


def test_curl_sees_what_the_readme_says(system: System) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    gateway = system.status()["gateway"]
    host, port = "netshop.local.example.com", gateway["https"]
    done = subprocess.run(
        [
            "curl",
            "-sS",
            "-i",
            "--cacert",
            gateway["ca_file"],
            "--resolve",
            f"{host}:{port}:127.0.0.1",
            f"https://{host}:{port}/",
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert re.search(r"^x-stores-route: local\r?$", done.stdout, re.MULTILINE | re.IGNORECASE)


def test_services_reach_one_another_at_their_urls(system: System) -> None:
    """netshop asks reserve (here) and account (remote) while it makes its page, and says on it who answered."""
    text = system.get("netshop.local.example.com").text
    assert re.search(r"reserve:.{0,80}local", text, re.DOTALL)
    assert re.search(r"account:.{0,80}remote", text, re.DOTALL)


def test_status_tells_programs_what_the_issue_promises(system: System) -> None:
    told: dict[str, Any] = system.status()
    assert set(told["gateway"]) >= {"http", "https", "ca_file", "pid", "state"}
    assert isinstance(told["dns"]["port"], int)
    assert [service["name"] for service in told["services"]] == [
        "account",
        "netshop",
        "organization",
        "register",
        "reserve",
    ]
    routes = {service["name"]: service["route"] for service in told["services"]}
    assert routes == {
        "account": "remote",
        "netshop": "local",
        "organization": "remote",
        "register": "fallback",
        "reserve": "local",
    }
    for service in told["services"]:
        assert service["state"]
        assert service["urls"]
        for process in service["processes"]:
            assert set(process) >= {"name", "pid", "port", "state", "restarts"}


def test_restarting_one_service_changes_its_pids_and_no_other(system: System) -> None:
    before = system.pids()
    gateway = system.status()["gateway"]["pid"]
    system.ok("restart", "netshop")
    after = system.pids()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"netshop.web", "netshop.worker"}
    assert system.status()["gateway"]["pid"] == gateway
    assert system.get("netshop.local.example.com").status == 200


def test_a_stopped_service_is_remote_with_the_next_request_and_local_again_once_it_is_ready(system: System) -> None:
    system.ok("stop", "reserve")
    wait_until(
        lambda: system.get("reserve.local.example.com").headers["X-Stores-Route"] == "remote", "reserve is remote"
    )
    system.ok("start", "reserve")
    wait_until(lambda: system.get("reserve.local.example.com").headers["X-Stores-Route"] == "local", "reserve is local")


def test_a_new_file_is_a_new_host_at_once(system: System) -> None:
    system.ok("add", "coupon", "--command", "python3 -m http.server $PORT --bind 127.0.0.1", "--dir", "examples")
    wait_until(
        lambda: system.get("coupon.local.example.com").headers["X-Stores-Route"] == "remote", "its remote is asked"
    )
    system.ok("start", "coupon")
    assert system.get("coupon.local.example.com").status == 200
    (system.root / "Procfile.d" / "coupon").unlink()
    wait_until(
        lambda: system.get("coupon.local.example.com").headers["X-Stores-Route"] == "fallback", "coupon is forgotten"
    )
    assert system.get("coupon.local.example.com").status == 404


def test_a_broken_file_is_said_and_changes_nothing_that_runs(system: System) -> None:
    file = system.root / "Procfile.d" / "reserve"
    good = file.read_text()
    before = system.pids()
    file.write_text(good.replace("web:", "web :"))
    mistakes = wait_until(lambda: system.status()["mistakes"], "the mistake is told")
    assert "Procfile.d/reserve:" in mistakes[0]
    assert "Write it as: web: " in mistakes[0]
    assert system.pids() == before
    assert system.get("reserve.local.example.com").status == 200
    file.write_text(good)
    wait_until(lambda: not system.status()["mistakes"], "the mistake is mended")


def test_a_second_run_joins_the_running_one(system: System) -> None:
    joined = system.begin("run", "organization")
    joined.wait_for("organization.web ready")
    assert system.process("organization.web")["state"] == "ready"
    joined.signal(signal.SIGINT)
    joined.wait()
    assert system.process("organization.web")["state"] == "stopped"
    assert system.process("netshop.web")["state"] == "ready"


def test_ctrl_c_leaves_no_process_and_no_port_behind(tmp_path: Path) -> None:
    """The last one of this file's tests: it has a system of its own, because it ends it."""
    system = System(tmp_path)
    try:
        system.make_dev.wait_for("Ctrl-C ends all of it", patience=60)
        ports = [system.status()["gateway"]["http"], *(system.process(name)["port"] for name in BEGUN)]
        members = system.ours()
        assert len(members) > len(BEGUN)
        os.killpg(system.make_dev.pid, signal.SIGINT)  # as a terminal does: to everything in its foreground
        system.make_dev.wait()
        wait_until(lambda: not system.ours(), "nothing of it lives")
        assert not [process for process in members if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
        for port in ports:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
    finally:
        system.end()


def test_bad_input_ends_before_anything_starts(site: Site) -> None:
    site.service("netshop", "web: sleep 1000\n")
    unknown = site.stores("run", "netshpo")
    assert unknown.returncode == 4
    assert 'Did you mean "netshop"?' in unknown.stderr
    site.service("broken", "web : x\n")
    broken = site.stores("run", "netshop")
    assert broken.returncode == 2
    assert "Procfile.d/broken:4: not a Procfile line" in broken.stderr
    assert "web : x" in broken.stderr
    assert site.ours() == []


def test_a_taken_gateway_port_names_who_holds_it_and_nothing_is_left(site: Site) -> None:
    site.service("netshop", "web: sleep 1000\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = site.stores("up", "-d", env={"STORES_HTTPS_PORT": str(port)})
    assert done.returncode == 1
    assert f"Port {port} is held by PID {os.getpid()} (" in done.stderr
    assert site.ours() == []


def test_status_json_is_json_also_when_nothing_runs(site: Site) -> None:
    site.service("netshop", "web: make dev\n")
    done = site.stores("status", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["services"][0]["state"] == "stopped"
