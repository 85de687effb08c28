"""The user's own stores: NSS databases and Java key stores, edited by the real tools in a home to throw away."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tls_origin import TlsOrigin

from certs import trust_java, trust_nss
from certs.authority import Authority
from certs.trust import UserTrust
from certs.trust_store import Root
from procman.errors import StoresError

pytestmark = pytest.mark.long

DOMAIN = "local.example.com"

needs_certutil = pytest.mark.skipif(
    shutil.which("certutil") is None, reason="certutil (libnss3-tools) is not installed"
)
needs_keytool = pytest.mark.skipif(shutil.which("keytool") is None, reason="keytool (a JDK) is not installed")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def new_root(folder: Path, domain: str = DOMAIN) -> Root:
    return Root.read(domain, Authority.load_or_create(folder, domain).ca_file)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return new_root(tmp_path / "ca")


def nss_database(folder: Path) -> Path:
    folder.mkdir(parents=True)
    subprocess.run(["certutil", "-N", "-d", f"sql:{folder}", "--empty-password"], check=True, capture_output=True)
    return folder


def nicknames(folder: Path) -> str:
    done = subprocess.run(["certutil", "-L", "-d", f"sql:{folder}"], check=True, capture_output=True, text=True)
    return done.stdout


def jdk(folder: Path) -> Path:
    """A JDK's folder as a version manager installs it, with the real keytool and a small key store of its own."""
    (folder / "bin").mkdir(parents=True)
    (folder / "lib/security").mkdir(parents=True)
    (folder / "bin/keytool").symlink_to(Path(shutil.which("keytool") or "").resolve())
    store = folder / "lib/security/cacerts"
    command = ["-genkeypair", "-alias", "other", "-dname", "CN=other", "-keyalg", "EC", "-storepass", "changeit"]
    subprocess.run([folder / "bin/keytool", *command, "-keystore", store], check=True, capture_output=True)
    return store


def aliases(store: Path) -> list[str]:
    command = ["keytool", "-list", "-keystore", str(store), "-storepass", "changeit"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return sorted(line.split(",")[0] for line in done.stdout.splitlines() if "Entry" in line)


def trust(home: Path) -> UserTrust:
    return UserTrust.of(home / "trust.json", {"HOME": str(home), "PATH": "/nowhere"})


def said(outcomes: object) -> list[str]:
    return [outcome.said for outcome in outcomes]  # type: ignore[attr-defined]


@needs_certutil
@pytest.mark.parametrize(
    "place",
    [
        ".mozilla/firefox/abc.default",
        ".config/mozilla/firefox/abc.default",
        "snap/firefox/common/.mozilla/firefox/abc.default",
        ".var/app/org.mozilla.firefox/.mozilla/firefox/abc.default",
        "Library/Application Support/Firefox/Profiles/abc.default",
        ".pki/nssdb",
        "snap/chromium/current/.pki/nssdb",
        ".var/app/com.google.Chrome/.pki/nssdb",
    ],
)
def test_a_browsers_database_is_found_where_each_packaging_puts_it(home: Path, root: Root, place: str) -> None:
    folder = nss_database(home / place)
    assert said(trust(home).add(root)) == ["added"]
    assert f"{root.name} " in nicknames(folder)
    assert "C,," in nicknames(folder)


@needs_certutil
def test_trusting_twice_adds_once_and_undoing_takes_out_that_alone(home: Path, root: Root, tmp_path: Path) -> None:
    folder = nss_database(home / ".pki/nssdb")
    other = new_root(tmp_path / "other", "other.example.com")
    subprocess.run(
        ["certutil", "-A", "-d", f"sql:{folder}", "-n", "the company's", "-t", "C,,", "-i", other.file], check=True
    )
    before = nicknames(folder)
    assert said(trust(home).add(root)) == ["added"]
    assert said(trust(home).add(root)) == ["already there"]
    assert nicknames(folder).count(root.name) == 1
    assert said(trust(home).remove()) == ["removed"]
    assert nicknames(folder) == before
    assert not (home / "trust.json").exists()
    assert said(trust(home).remove()) == []


@needs_certutil
def test_what_was_there_without_us_stays_when_we_undo(home: Path, root: Root) -> None:
    folder = nss_database(home / ".pki/nssdb")
    subprocess.run(["certutil", "-A", "-d", f"sql:{folder}", "-n", root.name, "-t", "C,,", "-i", root.file], check=True)
    assert said(trust(home).add(root)) == ["already there"]
    assert said(trust(home).remove()) == []
    assert root.name in nicknames(folder)


@needs_certutil
def test_a_recreated_ca_replaces_the_old_one_in_the_store(home: Path, root: Root, tmp_path: Path) -> None:
    folder = nss_database(home / ".pki/nssdb")
    new = new_root(tmp_path / "new")
    assert new.name != root.name
    assert said(trust(home).add(root)) == ["added"]
    assert said(trust(home).add(new)) == ["added", "removed"]
    assert root.name not in nicknames(folder)
    assert new.name in nicknames(folder)


@needs_certutil
def test_a_dry_run_writes_nothing(home: Path, root: Root) -> None:
    folder = nss_database(home / ".pki/nssdb")
    before = (folder / "cert9.db").read_bytes()
    assert said(trust(home).add(root, dry_run=True)) == ["would be added"]
    assert (folder / "cert9.db").read_bytes() == before
    assert not (home / "trust.json").exists()


@needs_certutil
def test_a_database_that_went_away_is_no_obstacle_to_undoing(home: Path, root: Root) -> None:
    folder = nss_database(home / ".mozilla/firefox/abc.default")
    assert said(trust(home).add(root)) == ["added"]
    shutil.rmtree(folder)
    assert said(trust(home).remove()) == ["gone already"]
    assert trust(home).entries() == []


@needs_certutil
def test_a_damaged_database_fails_alone_with_what_certutil_says(home: Path, root: Root) -> None:
    broken = nss_database(home / ".mozilla/firefox/a.broken")
    (broken / "cert9.db").write_bytes(b"no database at all" * 100)
    nss_database(home / ".pki/nssdb")
    outcomes = list(trust(home).add(root))
    assert said(outcomes) == ["failed", "added"]
    assert "certutil: " in outcomes[0].problem
    assert "Import it by hand" in outcomes[0].hint
    assert [entry.place for entry in trust(home).entries()] == [str(home / ".pki/nssdb")]


def test_without_certutil_it_says_what_to_install(home: Path, root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".pki/nssdb").mkdir(parents=True)
    (home / ".pki/nssdb/cert9.db").touch()
    monkeypatch.setenv("PATH", "/nowhere")
    (outcome,) = trust(home).add(root)
    assert outcome.said == "failed"
    assert "certutil is not installed" in outcome.problem
    assert outcome.hint == trust_nss.installation()


def test_no_browser_no_java_no_store(home: Path, root: Root) -> None:
    assert list(trust_nss.find(home)) == []
    assert list(trust_java.find(home, {"PATH": "/nowhere"}, system=())) == []


@pytest.mark.parametrize("place", [".sdkman/candidates/java/21", ".local/share/mise/installs/java/21", ".jdks/21"])
def test_a_jdk_is_found_where_each_version_manager_puts_it(home: Path, place: str) -> None:
    (home / place / "bin").mkdir(parents=True)
    (home / place / "bin/keytool").touch()
    store = home / place / "lib/security/cacerts"
    store.parent.mkdir(parents=True)
    store.touch()
    assert [keystore.file for keystore in trust_java.find(home, {"PATH": "/nowhere"}, system=())] == [store]


@pytest.mark.newest  # keytool is what is tried
@needs_keytool
def test_a_jdk_of_a_version_manager_trusts_it_and_forgets_it(home: Path, root: Root) -> None:
    store = jdk(home / ".sdkman/candidates/java/21")
    assert said(trust(home).add(root)) == ["added"]
    assert aliases(store) == ["other", root.name]
    assert said(trust(home).add(root)) == ["already there"]
    assert said(trust(home).remove()) == ["removed"]
    assert aliases(store) == ["other"]


@needs_keytool
def test_java_homes_that_are_one_are_edited_once_and_the_systems_own_store_never(home: Path, root: Root) -> None:
    store = jdk(home / ".jdks/21")
    (home / ".jdks/current").symlink_to("21")
    environ = {"JAVA_HOME": str(home / ".jdks/current"), "PATH": "/nowhere"}
    found = [keystore.file for keystore in trust_java.find(home, environ)]
    assert found.count(store.resolve()) == 1
    assert trust_java.common_store() not in found


def test_the_record_is_private_and_a_damaged_one_is_said(home: Path, root: Root) -> None:
    record = home / "trust.json"
    record.write_text("{]")
    with pytest.raises(StoresError, match="record of trusted certificates"):
        trust(home).entries()


@needs_certutil
def test_the_record_is_readable_by_its_owner_alone(home: Path, root: Root) -> None:
    nss_database(home / ".pki/nssdb")
    list(trust(home).add(root))
    assert (home / "trust.json").stat().st_mode & 0o777 == 0o600
    (entry,) = json.loads((home / "trust.json").read_text())
    assert entry["fingerprint"] == root.fingerprint


@needs_certutil
@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed")
def test_chromium_trusts_us_while_it_is_in_the_database_not_before_nor_after(home: Path, tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path / "ca", DOMAIN)
    root = Root.read(DOMAIN, authority.ca_file)
    nss_database(home / ".pki/nssdb")
    shop = TlsOrigin(authority.listening_context(["http/1.1"]), b"the shop")
    try:
        assert "the shop" not in browse(home, shop.port)
        assert said(trust(home).add(root)) == ["added"]
        assert "the shop" in browse(home, shop.port)
        assert said(trust(home).remove()) == ["removed"]
        assert "the shop" not in browse(home, shop.port)
    finally:
        shop.close()


def browse(home: Path, port: int) -> str:
    """The page's text, as a new Chromium sees it."""
    done = subprocess.run(
        [
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={home}/profile",
            "--host-resolver-rules=MAP * 127.0.0.1",
            "--dump-dom",
            f"https://netshop.{DOMAIN}:{port}/",
        ],
        env={**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout
