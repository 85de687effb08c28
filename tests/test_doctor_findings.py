"""What `stores doctor` makes of single facts: real files, sockets, supervisors; nothing is set up on this machine."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from pathlib import Path

import pytest
import trustme
from workbench import Site

from procman.doctor import name, place
from procman.doctor.finding import Finding, Health
from procman.doctor.remote import problem
from procman.doctor.scene import Scene
from procman.paths import Paths
from procman.settings import ConnectTo, Remote
from procman.workspace import load


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    (tmp_path / "shop/Procfile.d").mkdir(parents=True)
    environ = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    root = tmp_path / "shop"
    return Scene(load(root, environ), Paths.of(root, environ), environ, None, "nothing runs")


def found(findings: object) -> list[Finding]:
    return list(findings)  # type: ignore[call-overload]


def doctor(site: Site) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit code, and the worst finding of each link."""
    done = site.stores("doctor", "--json")
    links: dict[str, dict[str, str]] = {}
    for finding in json.loads(done.stdout)["findings"]:
        if finding["health"] == "broken" or finding["link"] not in links:
            links.setdefault(finding["link"], finding)
    return done.returncode, links


def test_where_nothing_runs_the_first_mend_is_to_start_it(site: Site) -> None:
    site.service("netshop", "web: sleep 1000\n")
    code, links = doctor(site)
    assert code == 1
    assert links["resolver"]["mend"] == "stores up -d"
    assert "nothing runs" in links["gateway"]["said"]
    assert site.ours() == []


def test_a_running_system_that_the_machine_was_not_told_of(site: Site) -> None:
    site.service("netshop", "web: python3 -m http.server $PORT --bind 127.0.0.1\n", remote=False)
    site.service("broken", "web: exit 3\n", remote=False)
    site.stores("up", "-d")
    done = site.stores("doctor")
    for link in ("resolver", "port", "certificate", "gateway", "supervisor"):
        assert f"ok     {link}: " in done.stdout
    assert done.returncode == 1
    assert "BROKEN service: broken is " in done.stdout
    assert "stores logs broken" in done.stdout
    assert "ok     service: netshop is ready" in done.stdout
    site.ok("down")


def test_what_was_never_set_up_is_not_broken(site: Site) -> None:
    site.service("netshop", "web: python3 -m http.server $PORT --bind 127.0.0.1\n", remote=False)
    site.ok("up", "-d")
    port = site.status()["gateway"]["http"]
    done = site.stores("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert "BROKEN" not in done.stdout
    assert f"ok     gateway: http://NAME.localhost:{port}/ answers: it needs nothing set up\n" in done.stdout
    for link in ("name: not set up: stores.local.example.com is ", "trust: not set up: curl, python3"):
        assert f"note   {link}" in done.stdout
    assert "\n         stores setup --system\n" in done.stdout
    assert done.stdout.splitlines()[-1] == (
        f"Nothing is broken. http://NAME.localhost:{port}/ works as it is; "
        "https://NAME.local.example.com/ everywhere: stores setup --system"
    )
    assert json.loads(site.ok("doctor", "--json"))["broken"] is None


def test_mistakes_in_files_are_told(site: Site) -> None:
    site.service("netshop", "web: make dev\n")
    (site.root / "stores.toml").write_text("domian = 3\n")
    code, links = doctor(site)
    assert code == 1
    assert "stores.toml:1" in links["workspace"]["said"]
    assert links["workspace"]["mend"] == "stores check"


@pytest.mark.parametrize(
    ("prefs", "noted"),
    [
        ('user_pref("network.trr.mode", 3);', True),
        ('user_pref("network.trr.mode", 2);', True),
        ('user_pref("network.trr.mode", 5);', False),
        ("", False),
        (
            'user_pref("network.trr.mode", 2);\nuser_pref("network.trr.excluded-domains", "a, local.example.com");',
            False,
        ),
    ],
    ids=["alone", "first", "off", "default", "excepted"],
)
def test_firefoxs_dns_over_https_is_told_unless_the_domain_is_excepted(
    scene: Scene, prefs: str, *, noted: bool
) -> None:
    file = scene.home / ".mozilla/firefox/abc.default/prefs.js"
    file.parent.mkdir(parents=True)
    file.write_text(prefs)
    assert bool(found(name.browsers(scene))) is noted


@pytest.mark.parametrize(("mode", "noted"), [("secure", True), ("automatic", False), ("off", False)])
def test_chromes_secure_dns_is_told_where_it_asks_nobody_else(scene: Scene, mode: str, *, noted: bool) -> None:
    file = scene.home / ".config/google-chrome/Local State"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"dns_over_https": {"mode": mode}}))
    assert bool(found(name.browsers(scene))) is noted


def test_a_domain_that_browsers_speak_https_alone_with_is_told(scene: Scene) -> None:
    (scene.workspace.root / "stores.toml").write_text('domain = "shop.dev"\n')
    changed = Scene(load(scene.workspace.root, scene.environ), scene.paths, scene.environ, None)
    (finding,) = found(name.browsers(changed))
    assert "HSTS" in finding.said


@pytest.mark.parametrize(
    ("product", "version", "weak"),
    [
        ("Python", (3, 11, 12), True),
        ("Python", (3, 11, 13), False),
        ("Python", (3, 12, 10), True),
        ("Python", (3, 13, 3), True),
        ("Python", (3, 13, 4), False),
        ("Python", (3, 14, 0), False),
        ("mitmproxy", (11, 0, 2), True),
        ("mitmproxy", (11, 1, 2), True),
        ("mitmproxy", (12, 2, 1), True),
        ("mitmproxy", (12, 2, 2), False),
        ("mitmproxy", (12, 2, 3), False),
        ("honcho", (1, 0, 0), False),
    ],
)
def test_versions_with_known_vulnerabilities(product: str, version: tuple[int, ...], *, weak: bool) -> None:
    assert bool(list(place.weaknesses_of(product, version))) is weak


class Remotely:
    """A TLS server that takes connections and says nothing."""

    def __init__(self, ca: trustme.CA) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("account.remote.example.com").configure_cert(context)
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                try:
                    self._context.wrap_socket(connection, server_side=True).close()
                except OSError:
                    continue

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(20)


def test_a_remote_is_reached_as_the_gateway_reaches_it_and_told_what_is_wrong(tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    remotely = Remotely(ca)
    try:
        rules = (ConnectTo.parse(f"::127.0.0.1:{remotely.port}"),)
        there = Remote("remote.example.com", rules, tmp_path / "ca.pem")
        assert problem("https://account.remote.example.com", there) == ""
        assert "Hostname mismatch" in problem("https://other.remote.example.com", there)
        untrusted = Remote("remote.example.com", rules, None)
        assert "self-signed" in problem("https://account.remote.example.com", untrusted) or "unable to get" in problem(
            "https://account.remote.example.com", untrusted
        )
    finally:
        remotely.close()
    assert problem("https://account.remote.example.com", there) == "Connection refused"


def test_the_first_finding_of_a_scene_without_supervisor_is_broken(scene: Scene) -> None:
    (finding,) = found(name.resolver(scene))
    assert finding.health is Health.BROKEN
