"""The CA itself: how it is made, what it may sign, and what is refused when it is loaded again."""

from __future__ import annotations

import ipaddress
import os
import re
import signal
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

import certs.folder
from certs.authority import Authority
from certs.chain import CA_LIFETIME, Chain
from certs.folder import CaFolder
from procman.errors import StoresError

DOMAIN = "local.example.com"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)

CREATE = f"""
import sys
from pathlib import Path
from certs.authority import Authority
import certs.chain, certs.issuer, certs.leaves
print("ready", flush=True)
sys.stdin.readline()
authority = Authority.load_or_create(Path(sys.argv[1]), {DOMAIN!r})
print(authority.fingerprint, authority.leaf(sys.argv[2]).names[0], flush=True)
"""


def load(folder: Path, domain: str = DOMAIN) -> Authority:
    return Authority.load_or_create(folder, domain, clock=lambda: NOW)


def refusal(folder: Path, domain: str = DOMAIN) -> StoresError:
    with pytest.raises(StoresError) as caught:
        load(folder, domain)
    return caught.value


def modes(folder: Path) -> dict[str, int]:
    return {str(file.relative_to(folder)): stat.S_IMODE(file.stat().st_mode) for file in sorted(folder.rglob("*"))}


def certificates(folder: Path) -> tuple[x509.Certificate, x509.Certificate]:
    place = CaFolder(folder)
    return (
        x509.load_pem_x509_certificate(place.ca_file.read_bytes()),
        x509.load_pem_x509_certificate(place.intermediate_file.read_bytes()),
    )


def test_a_ca_is_made_once_and_loaded_from_then_on(tmp_path: Path) -> None:
    first = load(tmp_path / "deep" / "ca")
    second = load(tmp_path / "deep" / "ca")
    assert second.fingerprint == first.fingerprint
    assert second.intermediate_pem == first.intermediate_pem
    assert second.ca_file == first.ca_file == CaFolder(tmp_path / "deep" / "ca").ca_file


def test_the_fingerprint_is_that_of_the_root_as_openssl_writes_it(tmp_path: Path) -> None:
    authority = load(tmp_path)
    assert re.fullmatch("([0-9A-F]{2}:){31}[0-9A-F]{2}", authority.fingerprint)
    assert (
        authority.fingerprint.replace(":", "").lower() == certificates(tmp_path)[0].fingerprint(hashes.SHA256()).hex()
    )


def test_both_certificates_are_critically_constrained_to_the_domain_and_the_loopback(tmp_path: Path) -> None:
    load(tmp_path)
    for certificate in certificates(tmp_path):
        extension = certificate.extensions.get_extension_for_class(x509.NameConstraints)
        assert extension.critical
        assert extension.value.excluded_subtrees is None
        assert extension.value.permitted_subtrees is not None
        assert {name.value for name in extension.value.permitted_subtrees} == {
            DOMAIN,
            "localhost",
            ipaddress.ip_network("127.0.0.0/8"),
            ipaddress.ip_network("::1/128"),
        }


def test_the_intermediate_signs_servers_leaves_and_nothing_else(tmp_path: Path) -> None:
    load(tmp_path)
    _, intermediate = certificates(tmp_path)
    basic = intermediate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert basic.critical
    assert basic.value == x509.BasicConstraints(ca=True, path_length=0)
    usage = intermediate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]


def test_the_ca_lives_ten_years_from_a_day_ago(tmp_path: Path) -> None:
    authority = load(tmp_path)
    for certificate in certificates(tmp_path):
        assert certificate.not_valid_before_utc == NOW - timedelta(days=1)
        assert certificate.not_valid_after_utc == NOW - timedelta(days=1) + CA_LIFETIME
    assert authority.not_after == NOW - timedelta(days=1) + CA_LIFETIME


def test_several_cas_are_told_apart_by_their_names(tmp_path: Path) -> None:
    names = set()
    for folder in (tmp_path / "a", tmp_path / "b"):
        load(folder)
        for certificate in certificates(folder):
            [name] = certificate.subject.get_attributes_for_oid(x509.oid.NameOID.COMMON_NAME)
            names.add(name.value)
    assert len(names) == 4
    assert all(str(name).startswith("stores ") for name in names)


def test_a_long_owner_and_a_long_domain_fit_into_the_name() -> None:
    domain = ".".join(["abcdefghij" * 5] * 4)
    chain = Chain.create(domain, "ä" * 100, NOW)
    chain.check(domain, NOW)
    [name] = chain.root.subject.get_attributes_for_oid(x509.oid.NameOID.COMMON_NAME)
    assert len(str(name.value).encode()) <= 64


def test_the_root_key_is_on_no_disk(tmp_path: Path) -> None:
    """Also not in a temporary file that was removed again: the child could write to no other place."""
    places = {"HOME": tmp_path / "home", "TMPDIR": tmp_path / "tmp"}
    for place in places.values():
        place.mkdir()
        place.chmod(0o700)
    environ = os.environ | {key: str(place) for key, place in places.items()}
    command = [sys.executable, "-P", "-m", "certs", "--domain", DOMAIN, "--folder", str(tmp_path / "ca"), f"x.{DOMAIN}"]
    subprocess.run(command, env=environ, check=True, capture_output=True, timeout=60)
    root, intermediate = certificates(tmp_path / "ca")
    keys = [
        load_pem_private_key(file.read_bytes(), None).public_key()
        for file in tmp_path.rglob("*")
        if file.is_file() and b"PRIVATE KEY" in file.read_bytes()
    ]
    assert len(keys) == 2  # the intermediate's and the one leaf's
    assert intermediate.public_key() in keys
    assert root.public_key() not in keys
    assert not [file for place in places.values() for file in place.iterdir()]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_modes_hold_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    source = f"import os; os.umask({umask})\n{CREATE}"
    run = subprocess.run(
        [sys.executable, "-P", "-c", source, str(tmp_path / "ca"), f"a.{DOMAIN}"],
        input="\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = modes(tmp_path)
    leaf = next(name for name in found if name.endswith(".pem") and "/leaves/" in name)
    assert found["ca/authority/intermediate.key"] == found[leaf] == 0o600
    assert found["ca/authority/root.pem"] == 0o644
    assert found["ca"] == found["ca/authority"] == found["ca/leaves"] == 0o700


def test_a_folder_that_others_may_look_into_is_closed(tmp_path: Path) -> None:
    first = load(tmp_path)
    for folder in (tmp_path, tmp_path / "authority"):
        folder.chmod(0o755)
    assert load(tmp_path).fingerprint == first.fingerprint
    assert stat.S_IMODE(tmp_path.stat().st_mode) == modes(tmp_path)["authority"] == 0o700


@pytest.mark.parametrize("part", [".", "authority"])
def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path, part: str) -> None:
    load(tmp_path)
    (tmp_path / part).chmod(0o770)
    error = refusal(tmp_path)
    assert "Others may write" in error.message
    assert f"rm -r {tmp_path}" in error.hint


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_may_read_is_refused_and_both_mends_are_told(tmp_path: Path, mode: int) -> None:
    first = load(tmp_path)
    key = CaFolder(tmp_path).key_file
    key.chmod(mode)
    error = refusal(tmp_path)
    assert str(key) in error.message
    assert f"chmod 600 {key}" in error.hint
    key.chmod(0o600)
    assert load(tmp_path).fingerprint == first.fingerprint


def test_a_root_that_others_may_write_is_refused(tmp_path: Path) -> None:
    load(tmp_path).ca_file.chmod(0o666)
    assert "Others may write" in refusal(tmp_path).message


@pytest.mark.parametrize("name", ["root.pem", "intermediate.pem", "intermediate.key"])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "noise", "of another CA"])
def test_damage_is_named_with_what_to_type_and_the_mend_works(tmp_path: Path, name: str, damage: str) -> None:
    folder = tmp_path / "my ca"
    load(folder)
    load(tmp_path / "other")
    file = folder / "authority" / name
    content = file.read_bytes()
    match damage:
        case "gone":
            file.unlink()
        case "empty":
            file.write_bytes(b"")
        case "cut":
            file.write_bytes(content[: len(content) // 2])
        case "noise":
            file.write_bytes(bytes(range(256)) * 3)
        case "of another CA":
            file.write_bytes((tmp_path / "other" / "authority" / name).read_bytes())
    error = refusal(folder)
    assert "local CA" in error.message
    assert f"rm -r '{folder}'" in error.hint
    if damage == "gone":
        assert str(file) in error.message
    command = re.search(r"rm -r '[^']+'", error.hint)
    assert command
    subprocess.run(command.group(), shell=True, check=True, timeout=30)
    assert load(folder).ca_file.is_file()


def test_a_ca_for_another_domain_is_refused(tmp_path: Path) -> None:
    load(tmp_path, "local.example.net")
    error = refusal(tmp_path)
    assert "local.example.net" in error.message
    assert DOMAIN in error.message


def test_a_ca_for_a_domain_serves_those_below_it_and_not_those_above(tmp_path: Path) -> None:
    load(tmp_path, DOMAIN)
    assert load(tmp_path, f"ann.{DOMAIN}").leaf(f"x.ann.{DOMAIN}").names == (f"ann.{DOMAIN}", f"*.ann.{DOMAIN}")
    assert "does not cover example.com" in refusal(tmp_path, "example.com").message


def test_a_ca_without_constraints_is_refused(tmp_path: Path) -> None:
    """Such as one that somebody copied here from mkcert: what it signs is not limited."""
    ca = trustme.CA()
    child = ca.create_child_ca()
    place = CaFolder(tmp_path)
    place.make()
    place.publish(ca.cert_pem.bytes(), child.cert_pem.bytes(), child.private_key_pem.bytes())
    assert "has no name constraints" in refusal(tmp_path).message


@pytest.mark.parametrize(("days", "said"), [(3650, "ended on"), (-3, "begins on")])
def test_a_ca_outside_its_time_is_refused(tmp_path: Path, days: int, said: str) -> None:
    load(tmp_path)
    with pytest.raises(StoresError, match=said):
        Authority.load_or_create(tmp_path, DOMAIN, clock=lambda: NOW + timedelta(days=days))


@pytest.mark.parametrize("domain", ["", "127.0.0.1", "a b", "*.example.com"])
def test_what_is_no_domain_is_refused_and_nothing_is_made(tmp_path: Path, domain: str) -> None:
    assert "stores.toml" in refusal(tmp_path / "ca", domain).hint
    assert not (tmp_path / "ca").exists()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = refusal(tmp_path / "file" / "ca")
    assert str(tmp_path / "file" / "ca") in error.message
    assert "Not a directory" in error.message


def test_processes_that_make_it_at_once_get_the_same_ca(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-P", "-c", CREATE, str(tmp_path / "ca"), f"a.p{number}.{DOMAIN}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(6)
    ]
    try:
        for process in processes:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
        answers = [process.communicate(timeout=60)[0].split() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert [names for _, names in answers] == [f"p{number}.{DOMAIN}" for number in range(6)]
    assert {fingerprint for fingerprint, _ in answers} == {
        Authority.load_or_create(tmp_path / "ca", DOMAIN).fingerprint,
    }
    assert sorted(file.name for file in (tmp_path / "ca").iterdir()) == ["authority", "leaves", "lock"]


def hold_lock(folder: Path) -> subprocess.Popen[str]:
    source = (
        "import sys; from pathlib import Path; from certs.folder import CaFolder\n"
        "f = CaFolder(Path(sys.argv[1])); f.make(); (f.path / '.new-1').mkdir()\n"
        "with f.lock(): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-P", "-c", source, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def test_a_creator_that_was_killed_halfway_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    process = hold_lock(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert load(tmp_path).ca_file.is_file()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["authority", "lock"]


def test_a_creator_that_hangs_is_not_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certs.folder, "LOCK_TIMEOUT", 0.1)
    process = hold_lock(tmp_path)
    try:
        assert "does not come to an end" in refusal(tmp_path).message
    finally:
        process.kill()
        process.communicate(timeout=30)


def test_a_private_key_is_in_no_repr(tmp_path: Path) -> None:
    leaf = load(tmp_path).leaf(None)
    assert "PRIVATE KEY" not in repr(leaf)
