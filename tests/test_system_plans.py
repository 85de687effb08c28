"""What would be done to each kind of system: read by the real programs where they are here, by eye where not."""

from __future__ import annotations

import dataclasses
import plistlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from certs.authority import Authority
from certs.trust_store import Root
from dns import system_dnsmasq, system_macos, system_resolved
from procman.system import linux, macos
from procman.system.change import HEADER, Block, Part, Put
from procman.system.target import Impossible, Target

DOMAIN = "local.example.com"


@pytest.fixture
def target(tmp_path: Path) -> Target:
    root = Root.read(DOMAIN, Authority.load_or_create(tmp_path / "ca", DOMAIN).ca_file)
    return Target(DOMAIN, 8080, 8443, 15353, (DOMAIN, f"netshop.{DOMAIN}"), root)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """Stands for ``/``."""
    (tmp_path / "top/proc/sys/net/ipv4").mkdir(parents=True)
    (tmp_path / "top/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("1024\n")
    return tmp_path / "top"


def put(top: Path, name: str, text: str = "") -> None:
    (top / name).parent.mkdir(parents=True, exist_ok=True)
    (top / name).write_text(text)


def texts(part: Part | Impossible | None) -> dict[str, str]:
    assert isinstance(part, Part)
    return {file.path: file.text for file in part.files}


# --- names on Linux


def resolved(top: Path) -> None:
    (top / "run/systemd/resolve").mkdir(parents=True)
    put(top, "etc/resolv.conf", "nameserver 127.0.0.53\n")


def resolved_by_nss(top: Path) -> None:
    (top / "run/systemd/resolve").mkdir(parents=True)
    put(top, "etc/resolv.conf", "nameserver 10.0.0.1\n")
    put(top, "etc/nsswitch.conf", "passwd: files\nhosts: mymachines resolve [!UNAVAIL=return] files dns\n")


def network_manager(top: Path) -> None:
    (top / "run/NetworkManager").mkdir(parents=True)
    put(top, "etc/NetworkManager/NetworkManager.conf", "[main]\nplugins=keyfile\n")
    put(top, "etc/NetworkManager/conf.d/dns.conf", "[main]\ndns=dnsmasq\n")


def dnsmasq(top: Path) -> None:
    (top / "etc/dnsmasq.d").mkdir(parents=True)
    put(top, "run/dnsmasq/dnsmasq.pid", "1")
    put(top, "etc/resolv.conf", "nameserver 127.0.0.1\n")


def nothing(top: Path) -> None:
    put(top, "etc/resolv.conf", "nameserver 192.168.1.1\n")


@pytest.mark.parametrize(
    ("kind", "folder"),
    [
        (resolved, "/etc/systemd/"),
        (resolved_by_nss, "/etc/systemd/"),
        (network_manager, "/etc/NetworkManager/dnsmasq.d/"),
        (dnsmasq, "/etc/dnsmasq.d/"),
        (nothing, "/etc/hosts"),
    ],
)
def test_names_go_to_the_resolver_in_charge(
    target: Target, top: Path, kind: Callable[[Path], None], folder: str
) -> None:
    kind(top)
    files = list(texts(linux.names(target, top)))
    assert files[0].startswith(folder)
    assert "/etc/resolv.conf" not in files


def test_a_network_manager_that_starts_no_dnsmasq_is_not_in_charge(top: Path) -> None:
    put(top, "etc/NetworkManager/NetworkManager.conf", "[main]\ndns=dnsmasq\n")
    put(top, "etc/NetworkManager/conf.d/z.conf", "[main]\ndns=systemd-resolved\n")
    (top / "run/NetworkManager").mkdir(parents=True)
    assert not system_dnsmasq.network_manager_in_charge(top)


def test_resolved_gets_the_domain_alone_with_a_port_and_an_anchor_against_dnssec() -> None:
    assert system_resolved.files(DOMAIN, 15353, 252, HEADER) == {
        f"/etc/systemd/resolved.conf.d/stores-{DOMAIN}.conf": (
            f"# {HEADER}\n[Resolve]\nDNS=127.0.0.1:15353\nDomains=~{DOMAIN}\n"
        ),
        f"/etc/dnssec-trust-anchors.d/stores-{DOMAIN}.negative": f"; {HEADER}\n{DOMAIN}\n",
    }


def test_a_newer_resolved_gets_a_delegate_which_leaves_the_global_servers_alone() -> None:
    files = system_resolved.files(DOMAIN, 15353, 258, HEADER)
    delegate = files[f"/etc/systemd/dns-delegate.d/stores-{DOMAIN}.dns-delegate"]
    assert delegate == f"# {HEADER}\n[Delegate]\nDNS=127.0.0.1:15353\nDomains={DOMAIN}\nDefaultRoute=no\n"
    assert not any("resolved.conf.d" in path for path in files)


@pytest.mark.skipif(not shutil.which("dnsmasq"), reason="dnsmasq is not installed")
@pytest.mark.parametrize("by_network_manager", [True, False])
def test_dnsmasq_itself_reads_its_file(tmp_path: Path, *, by_network_manager: bool) -> None:
    ((path, text),) = system_dnsmasq.files(DOMAIN, 15353, HEADER, network_manager=by_network_manager).items()
    (tmp_path / Path(path).name).write_text(text)
    done = subprocess.run(["dnsmasq", "--test", f"--conf-dir={tmp_path}"], capture_output=True, text=True, check=False)
    assert "syntax check OK" in done.stderr
    assert f"server=/{DOMAIN}/127.0.0.1#15353\nrebind-domain-ok=/{DOMAIN}/\n" in text


@pytest.mark.skipif(not shutil.which("NetworkManager"), reason="NetworkManager is not installed")
def test_network_manager_itself_reads_its_configuration_as_we_do(top: Path) -> None:
    network_manager(top)
    done = subprocess.run(
        [
            "NetworkManager",
            "--print-config",
            f"--config={top}/etc/NetworkManager/NetworkManager.conf",
            f"--config-dir={top}/etc/NetworkManager/conf.d",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("dns=dnsmasq" in done.stdout) == system_dnsmasq.network_manager_in_charge(top)


def test_a_system_without_a_resolver_gets_each_name_for_both_protocols(target: Target, top: Path) -> None:
    nothing(top)
    part = linux.names(target, top)
    assert isinstance(part, Part)
    (block,) = part.files
    assert isinstance(block, Block)
    assert block.text == (f"127.0.0.1\t{DOMAIN}\n::1\t{DOMAIN}\n127.0.0.1\tnetshop.{DOMAIN}\n::1\tnetshop.{DOMAIN}\n")


# --- ports on Linux


@pytest.fixture
def with_nft(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux, "_which", lambda tool: f"/usr/sbin/{tool}")


@pytest.fixture
def without_nft(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux, "_which", lambda tool: None)


@pytest.mark.usefixtures("with_nft")
def test_ports_are_redirected_on_loopback_alone(target: Target, top: Path) -> None:
    rules = texts(linux.ports(target, top))["/etc/stores/ports.nft"]
    assert "ip daddr 127.0.0.1 tcp dport 443 redirect to :8443" in rules
    assert "ip6 daddr ::1 tcp dport 80 redirect to :8080" in rules
    assert rules.count("redirect to") == 4


@pytest.mark.usefixtures("with_nft")
def test_a_workspace_that_names_its_ports_needs_none_of_ours(target: Target, top: Path) -> None:
    assert linux.ports(dataclasses.replace(target, http=None, https=None), top) is None


@pytest.mark.usefixtures("with_nft")
def test_a_system_that_gives_the_ports_to_everybody_is_left_as_it_is(target: Target, top: Path) -> None:
    put(top, "proc/sys/net/ipv4/ip_unprivileged_port_start", "0\n")
    assert linux.ports(target, top) is None


@pytest.mark.usefixtures("without_nft")
def test_without_nft_and_without_systemd_it_says_what_to_install(target: Target, top: Path) -> None:
    part = linux.ports(target, top)
    assert isinstance(part, Impossible)
    assert "nftables" in part.hint


def verify(tmp_path: Path, files: dict[str, str], *names: str) -> None:
    """As systemd itself reads them."""
    folder = tmp_path / "units"
    folder.mkdir()
    for path, text in files.items():
        if path.startswith("/etc/systemd/system/"):
            (folder / Path(path).name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--generators=no", *(str(folder / name) for name in names)],
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if "stores" in line]
    assert said == []


needs_systemd_analyze = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")


@needs_systemd_analyze
@pytest.mark.usefixtures("with_nft")
def test_the_unit_that_redirects_at_boot_is_one_that_systemd_reads(target: Target, top: Path, tmp_path: Path) -> None:
    (top / "run/systemd/system").mkdir(parents=True)
    part = linux.ports(target, top)
    assert isinstance(part, Part)
    verify(tmp_path, texts(part), "stores-ports.service")
    assert [run.argv[1:] for run in part.after] == [
        ("daemon-reload",),
        ("enable", "stores-ports"),
        ("restart", "stores-ports"),
    ]
    assert part.before_undo[0].argv == ("systemctl", "disable", "--now", "stores-ports")


@needs_systemd_analyze
@pytest.mark.usefixtures("without_nft")
def test_without_nft_systemd_listens_and_forwards(target: Target, top: Path, tmp_path: Path) -> None:
    proxy = next((path for path in ("/usr/lib", "/lib") if Path(path, "systemd/systemd-socket-proxyd").exists()), None)
    if proxy is None:
        pytest.skip("systemd-socket-proxyd is not installed")
    (top / "run/systemd/system").mkdir(parents=True)
    put(top, f"{proxy[1:]}/systemd/systemd-socket-proxyd")
    files = texts(linux.ports(target, top))
    assert "ListenStream=127.0.0.1:443\nListenStream=[::1]:443\n" in files["/etc/systemd/system/stores-443.socket"]
    assert "0.0.0.0" not in "".join(files.values())
    verify(tmp_path, files, "stores-80.socket", "stores-443.socket", "stores-443.service")


# --- macOS


def test_macos_redirects_by_pf_loaded_by_launchd_and_edits_no_file_of_apples(target: Target) -> None:
    part = macos.ports(target)
    files = texts(part)
    assert (
        files["/etc/pf.anchors/com.stores"]
        == f"""\
# {HEADER}
rdr pass on lo0 inet proto tcp from any to 127.0.0.1 port 80 -> 127.0.0.1 port 8080
rdr pass on lo0 inet6 proto tcp from any to ::1 port 80 -> ::1 port 8080
rdr pass on lo0 inet proto tcp from any to 127.0.0.1 port 443 -> 127.0.0.1 port 8443
rdr pass on lo0 inet6 proto tcp from any to ::1 port 443 -> ::1 port 8443
"""
    )
    daemon = plistlib.loads(files["/Library/LaunchDaemons/com.stores.ports.plist"].encode())
    assert daemon["RunAtLoad"] is True
    assert "pfctl -a com.apple/250.stores -f /etc/pf.anchors/com.stores -E" in daemon["ProgramArguments"][2]
    assert set(files) == {"/etc/pf.anchors/com.stores", "/Library/LaunchDaemons/com.stores.ports.plist"}
    assert isinstance(part, Part)
    assert part.after[0].argv == (
        "launchctl",
        "bootstrap",
        "system",
        "/Library/LaunchDaemons/com.stores.ports.plist",
    )
    assert part.before_undo[0].argv == ("launchctl", "bootout", "system/com.stores.ports")
    assert "-F all" in part.before_undo[1].argv[2]


def test_macos_sends_the_domain_alone_to_us(target: Target) -> None:
    assert system_macos.files(DOMAIN, 15353, HEADER) == {
        f"/etc/resolver/{DOMAIN}": f"# {HEADER}\nnameserver 127.0.0.1\nport 15353\n"
    }
    part = macos.names(target)
    assert isinstance(part, Part)
    assert [run.argv for run in part.after] == [("dscacheutil", "-flushcache"), ("killall", "-HUP", "mDNSResponder")]


def test_every_file_of_ours_says_whose_it_is_and_how_it_goes(target: Target, top: Path) -> None:
    for kind in (resolved, network_manager, dnsmasq):
        shutil.rmtree(top / "etc", ignore_errors=True)
        shutil.rmtree(top / "run", ignore_errors=True)
        kind(top)
        part = linux.names(target, top)
        assert isinstance(part, Part)
        assert all(HEADER in file.text for file in part.files if isinstance(file, Put))
    for part in (macos.ports(target), macos.names(target)):
        assert all(HEADER in text for text in texts(part).values())
