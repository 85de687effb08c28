"""The system's own store: really changed and undone on a machine to throw away; other systems by what is to be run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import machine
import pytest
from machine import Machine

from certs import trust_linux, trust_macos
from certs.authority import Authority
from certs.trust_store import Root

DOMAIN = "local.example.com"

pytestmark = pytest.mark.long


def on_a_machine(test: Callable[..., None]) -> Callable[..., None]:
    """`newest`: what is tried there are Debian's store, Java and sudo; what they are told is tested on both."""
    why_not = machine.why_not()
    return pytest.mark.newest(pytest.mark.skipif(bool(why_not), reason=why_not or "-")(test))


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root.read(DOMAIN, Authority.load_or_create(tmp_path / "ca", DOMAIN).ca_file)


@pytest.fixture
def throwaway(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    try:
        made.path("/srv/shop/Procfile.d").mkdir(parents=True)
        yield made
    finally:
        made.end()


JKS = "/etc/ca-certificates/update.d/jks-keystore"


@on_a_machine
@pytest.mark.skipif(not Path(JKS).exists(), reason="Debian's Java (ca-certificates-java) is not installed")
def test_java_trusts_what_the_system_trusts_where_the_system_makes_its_store(throwaway: Machine) -> None:
    throwaway.write(JKS, Path(JKS).read_text(), 0o755)
    done = throwaway.stores("trust", env={"STORES_WORKSPACE": "/srv/shop"})
    assert "Java" not in done.stdout  # no store of its own to edit
    listing = ["keytool", "-list", "-keystore", "/etc/ssl/certs/java/cacerts", "-storepass", "changeit"]
    assert "stores-local.example.com-" in throwaway.run(*listing).stdout
    throwaway.stores("clean", "--yes")
    assert "stores-local.example.com-" not in throwaway.run(*listing).stdout


@on_a_machine
@pytest.mark.skipif(not shutil.which("update-ca-certificates"), reason="not Debian's store (ca-certificates)")
def test_root_trusts_it_twice_and_undoes_it_and_the_file_system_is_as_before(throwaway: Machine) -> None:
    env = {"STORES_WORKSPACE": "/srv/shop"}
    throwaway.stores("trust", "--no-sudo", env=env)  # makes the CA, which is no part of the system
    before = throwaway.tree()
    done = throwaway.stores("trust", env=env)
    assert "ran update-ca-certificates" in done.stdout
    ca = next(throwaway.path("/usr/local/share/ca-certificates").glob("stores-*.crt"))
    bundle = throwaway.path("/etc/ssl/certs/ca-certificates.crt").read_text()
    assert ca.read_text().strip() in bundle
    assert "done already" in throwaway.stores("trust", env=env).stdout
    undone = throwaway.stores("trust", "--undo", env=env)
    assert f"removed /usr/local/share/ca-certificates/{ca.name}" in undone.stdout
    assert throwaway.changed(before) == []


@on_a_machine
@pytest.mark.skipif(not shutil.which("sudo"), reason="sudo is not installed")
@pytest.mark.skipif(not shutil.which("update-ca-certificates"), reason="not Debian's store (ca-certificates)")
def test_a_user_gets_there_by_sudo_and_sudo_itself_keeps_the_state_the_users(throwaway: Machine) -> None:
    throwaway.run("useradd", "-m", "dina")
    throwaway.write("/etc/sudoers.d/dina", "dina ALL=(ALL) NOPASSWD: ALL\n", 0o440)
    throwaway.write("/home/dina/.keep", "")
    throwaway.run("chown", "-R", "dina:", "/home/dina")
    env = {"STORES_WORKSPACE": "/srv/shop"}
    assert "sudo" in throwaway.stores("trust", user="dina", env=env).stdout
    assert next(throwaway.path("/usr/local/share/ca-certificates").glob("stores-*.crt"))
    throwaway.stores("clean", "--yes", "--state", user="dina", env=env)
    assert not list(throwaway.path("/usr/local/share/ca-certificates").glob("stores-*.crt"))
    assert not throwaway.path("/home/dina/.local").exists()

    throwaway.run("sudo", "env", "STORES_WORKSPACE=/srv/shop", *machine.STORES, "trust", user="dina")
    state = throwaway.path("/home/dina/.local/state/stores/ca")
    assert state.stat().st_uid == throwaway.path("/home/dina/.keep").stat().st_uid != 0


@on_a_machine
def test_where_there_is_no_sudo_it_says_the_command_and_what_works_without(throwaway: Machine) -> None:
    throwaway.run("useradd", "-m", "dina")
    throwaway.path("/usr/bin/sudo").unlink(missing_ok=True)
    done = throwaway.stores("trust", user="dina", env={"STORES_WORKSPACE": "/srv/shop"}, ok=False)
    assert done.returncode == 1
    assert "su -c 'SUDO_USER=dina" in done.stdout + done.stderr
    assert "curl --cacert" in done.stderr


@on_a_machine
@pytest.mark.skipif(not shutil.which("update-ca-certificates"), reason="not Debian's store (ca-certificates)")
def test_a_command_that_fails_is_taken_back_whole(throwaway: Machine) -> None:
    env = {"STORES_WORKSPACE": "/srv/shop"}
    throwaway.stores("trust", "--no-sudo", env=env)
    before = throwaway.tree()
    throwaway.write("/usr/local/bin/update-ca-certificates", "#!/bin/sh\necho no space left >&2\nexit 3\n", 0o755)
    done = throwaway.stores("trust", env=env, ok=False)
    assert done.returncode == 1
    assert "update-ca-certificates ended with 3: no space left" in done.stderr
    throwaway.path("/usr/local/bin/update-ca-certificates").unlink()
    # undoing runs the command too, and that failed as well: it stays written down, and `clean` ends it
    throwaway.stores("clean", "--yes", env=env)
    assert throwaway.changed(before) == []


@pytest.mark.parametrize(
    ("folder", "tool", "file", "argument"),
    [
        ("usr/local/share/ca-certificates", "update-ca-certificates", "/usr/local/share/ca-certificates/{}.crt", ""),
        ("etc/pki/ca-trust/source/anchors", "update-ca-trust", "/etc/pki/ca-trust/source/anchors/{}.pem", "extract"),
        (
            "etc/ca-certificates/trust-source/anchors",
            "trust",
            "/etc/ca-certificates/trust-source/anchors/{}.crt",
            "extract-compat",
        ),
        ("usr/share/pki/trust/anchors", "update-ca-certificates", "/etc/pki/trust/anchors/{}.pem", ""),
    ],
    ids=["Debian", "Fedora", "Arch", "openSUSE"],
)
def test_each_distribution_has_its_folder_and_its_command(
    tmp_path: Path, root: Root, folder: str, tool: str, file: str, argument: str
) -> None:
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin" / tool).touch()
    store = trust_linux.store(root, tmp_path)
    assert store
    assert store.file == file.format(root.name)
    assert store.after == store.after_undo == ((tool, argument) if argument else (tool,),)
    assert store.text == root.file.read_text()


def test_debians_program_is_told_what_is_gone_for_it_does_not_look(tmp_path: Path, root: Root) -> None:
    (tmp_path / "usr/local/share/ca-certificates").mkdir(parents=True)
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "usr/sbin/update-ca-certificates").write_text("case $1 in --certsconf) shift;; esac")
    store = trust_linux.store(root, tmp_path)
    assert store
    (removal,) = store.after_undo
    assert removal[:2] == ("sh", "-c")
    assert removal[-1] == f"{root.name}.crt"


def test_an_unknown_system_is_said_to_be_unknown(tmp_path: Path, root: Root) -> None:
    assert trust_linux.store(root, tmp_path) is None


def test_macos_trusts_by_its_own_program_and_undoes_it_by_the_same(root: Root) -> None:
    store = trust_macos.store(root)
    file = f"/Library/Application Support/stores/{root.name}.pem"
    keychain = "/Library/Keychains/System.keychain"
    assert store.file == file
    assert store.after == (("/usr/bin/security", "add-trusted-cert", "-d", "-r", "trustRoot", "-k", keychain, file),)
    remove, delete = store.before_undo
    assert remove == ("/usr/bin/security", "remove-trusted-cert", "-d", file)
    assert delete[:3] == ("/usr/bin/security", "delete-certificate", "-Z")
    assert len(delete[3]) == 40
    assert delete[4] == keychain
