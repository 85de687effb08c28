"""The bundle of our root and the machine's, and the variables that name it."""

from __future__ import annotations

import os
import shutil
import ssl
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from certs import system_roots
from certs.bundle import environment, write_bundle
from certs.folder import CaFolder
from procman.errors import StoresError


@dataclass
class Ca:
    ca_file: Path


def root(name: str) -> bytes:
    return trustme.CA(organization_unit_name=name).cert_pem.bytes()


def der(*pems: bytes) -> list[bytes]:
    return [ssl.PEM_cert_to_DER_cert(pem.decode()) for pem in pems]


OURS, ONE, TWO, THREE = (root(name) for name in ("ours", "one", "two", "three"))


@pytest.fixture
def ca(tmp_path: Path) -> Ca:
    file = tmp_path / "root.pem"
    file.write_bytes(OURS)
    return Ca(file)


def write(file: Path, *pems: bytes) -> str:
    file.write_bytes(b"".join(pems))
    return str(file)


def test_the_bundle_holds_our_root_and_the_systems_each_once(ca: Ca, tmp_path: Path) -> None:
    bundle = write_bundle(ca, tmp_path / "state", b"# a comment\n" + ONE + TWO + ONE + OURS)
    assert list(system_roots.read(bundle)) == der(OURS, ONE, TWO)
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o644
    assert len(ssl.create_default_context(cafile=bundle).get_ca_certs()) == 3


def test_the_bundle_holds_every_root_of_this_machine(ca: Ca, tmp_path: Path) -> None:
    """As OpenSSL reads both: nothing was lost or spoiled on the way."""
    system = system_roots.find({})
    bundle = write_bundle(ca, tmp_path)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    theirs.load_verify_locations(cadata=b"".join(system))
    both = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    both.load_verify_locations(cafile=bundle)
    assert len(system) > 20
    assert set(both.get_ca_certs(binary_form=True)) == {*theirs.get_ca_certs(binary_form=True), *der(OURS)}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_verifies_a_public_root_and_ours_with_the_bundle(ca: Ca, tmp_path: Path) -> None:
    bundle = write_bundle(ca, tmp_path)
    public = next(iter(system_roots.find({})))
    (tmp_path / "public.pem").write_text(ssl.DER_cert_to_PEM_cert(public))
    for file in (tmp_path / "public.pem", ca.ca_file):
        command = ["openssl", "verify", "-no-CApath", "-no-CAstore", "-CAfile", str(bundle), str(file)]
        subprocess.run(command, check=True, capture_output=True, timeout=30)


def test_the_bundle_is_written_only_when_it_changes(ca: Ca, tmp_path: Path) -> None:
    bundle = write_bundle(ca, tmp_path, ONE)
    first = bundle.stat()
    assert write_bundle(ca, tmp_path, ONE).stat().st_ino == first.st_ino
    assert bundle.stat().st_mtime_ns == first.st_mtime_ns
    write_bundle(ca, tmp_path, ONE + TWO)
    assert list(system_roots.read(bundle)) == der(OURS, ONE, TWO)


def test_a_reader_of_the_old_bundle_reads_it_to_its_end(ca: Ca, tmp_path: Path) -> None:
    with write_bundle(ca, tmp_path, ONE).open("rb") as old:
        write_bundle(ca, tmp_path, TWO)
        assert list(system_roots.parse(old.read())) == der(OURS, ONE)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bundle.pem", "root.pem"]


def test_damaged_certificates_are_left_out_and_do_not_spoil_the_others(ca: Ca, tmp_path: Path) -> None:
    cut = TWO[:300] + b"\n-----END CERTIFICATE-----\n"
    noise = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    odd = b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n"
    bundle = write_bundle(ca, tmp_path, ONE + cut + noise + odd + THREE)
    assert list(system_roots.read(bundle)) == der(OURS, ONE, THREE)


def test_windows_line_ends_are_read(ca: Ca, tmp_path: Path) -> None:
    assert list(system_roots.parse(ONE.replace(b"\n", b"\r\n"))) == der(ONE)


def test_no_roots_at_all_is_an_error_that_says_what_to_install(ca: Ca, tmp_path: Path) -> None:
    with pytest.raises(StoresError, match="No root certificates") as caught:
        write_bundle(ca, tmp_path, b"nothing")
    assert "ca-certificates" in caught.value.hint
    assert not (tmp_path / "bundle.pem").exists()


def test_a_ca_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoresError, match="Cannot write the bundle"):
        write_bundle(CaFolder(tmp_path), tmp_path, ONE)


def test_a_folder_that_cannot_be_written_is_an_error(ca: Ca, tmp_path: Path) -> None:
    with pytest.raises(StoresError, match="Cannot write the bundle"):
        write_bundle(ca, ca.ca_file / "below", ONE)


def test_what_the_user_calls_his_roots_stands_for_the_systems(tmp_path: Path) -> None:
    environ = {"SSL_CERT_FILE": write(tmp_path / "own.pem", ONE)}
    assert list(system_roots.find(environ)) == der(ONE)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_of_the_user_without_a_certificate_leaves_him_the_systems_roots(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "own.pem").write_bytes(content)
    assert system_roots.find({"SSL_CERT_FILE": str(tmp_path / "own.pem")}) == system_roots.find({})


def test_what_the_users_other_variables_add_stays_trusted(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder" / "three.pem", THREE)
    environ = {
        "SSL_CERT_FILE": write(tmp_path / "own.pem", ONE),
        "NODE_EXTRA_CA_CERTS": write(tmp_path / "node.pem", TWO),
        "REQUESTS_CA_BUNDLE": str(tmp_path / "folder"),
        "CURL_CA_BUNDLE": str(tmp_path / "gone"),
        "GIT_SSL_CAINFO": "",
    }
    assert set(system_roots.find(environ)) == {*der(ONE, TWO, THREE)}


def test_a_run_inside_a_services_shell_writes_the_same_bundle_again(ca: Ca, tmp_path: Path) -> None:
    user = {"SSL_CERT_FILE": write(tmp_path / "own.pem", ONE), "DENO_CERT": write(tmp_path / "deno.pem", TWO)}
    bundle = write_bundle(ca, tmp_path, environ=user)
    before = bundle.read_bytes()
    inside = user | environment(ca, bundle, user)
    assert write_bundle(ca, tmp_path, environ=inside).read_bytes() == before
    assert environment(ca, bundle, inside) == environment(ca, bundle, user)


def test_a_machines_own_certificate_in_a_keychain_is_no_root() -> None:
    leaf = trustme.CA.from_pem(OURS, trustme.CA().private_key_pem.bytes()).issue_cert("host.example.org")
    own = leaf.cert_chain_pems[0].bytes()
    found = system_roots.authorities(dict.fromkeys([*der(ONE, own, TWO), b"\x30\x82\x00\x00"]))
    assert list(found) == der(ONE, TWO)


def test_variables_that_add_name_our_root_and_those_that_replace_name_the_bundle(ca: Ca) -> None:
    bundle = Path("/somewhere/bundle.pem")
    assert environment(ca, bundle) == {
        "NODE_EXTRA_CA_CERTS": str(ca.ca_file),
        "DENO_CERT": str(ca.ca_file),
        "SSL_CERT_FILE": str(bundle),
        "REQUESTS_CA_BUNDLE": str(bundle),
        "CURL_CA_BUNDLE": str(bundle),
        "AWS_CA_BUNDLE": str(bundle),
        "GIT_SSL_CAINFO": str(bundle),
    }


def test_a_variable_with_which_the_user_adds_roots_of_his_own_names_the_bundle_that_holds_them(ca: Ca) -> None:
    bundle = Path("/somewhere/bundle.pem")
    found = environment(ca, bundle, {"NODE_EXTRA_CA_CERTS": "/company/root.pem", "DENO_CERT": ""})
    assert found["NODE_EXTRA_CA_CERTS"] == str(bundle)
    assert found["DENO_CERT"] == str(ca.ca_file)


def test_no_variable_of_this_process_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller says whose environment counts: a supervisor in the background may have another one than the user."""
    expected = system_roots.find({})
    monkeypatch.setitem(os.environ, "SSL_CERT_FILE", write(tmp_path / "own.pem", ONE))
    assert system_roots.find({}) == expected
