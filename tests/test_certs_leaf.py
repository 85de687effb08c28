"""Leaves: issued on demand, kept in memory and on disk, renewed in time."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

import certs.authority
import certs.leaves
from certs.authority import Authority
from certs.names import DEFAULT_NAMES
from procman.errors import StoresError

DOMAIN = "local.example.com"
START = datetime(2026, 6, 1, 12, tzinfo=UTC)


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authority(tmp_path: Path, clock: Clock) -> Authority:
    return Authority.load_or_create(tmp_path / "ca", DOMAIN, clock=clock)


def again(authority: Authority, clock: Clock) -> Authority:
    """As after a restart of the process."""
    return Authority.load_or_create(authority.ca_file.parent.parent, DOMAIN, clock=clock)


def certificate(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def test_a_leaf_is_its_file_its_chain_and_its_key(authority: Authority) -> None:
    leaf = authority.leaf(f"netshop.{DOMAIN}")
    assert leaf.cert_file.read_bytes() == leaf.key_pem + leaf.chain_pem
    own, intermediate = x509.load_pem_x509_certificates(leaf.chain_pem)
    own.verify_directly_issued_by(intermediate)
    assert intermediate == certificate(authority.intermediate_pem)
    alternatives = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert tuple(alternatives.get_values_for_type(x509.DNSName)) == leaf.names == (DOMAIN, f"*.{DOMAIN}")


def test_a_leaf_keeps_to_the_limits_of_browsers(authority: Authority) -> None:
    leaf = authority.leaf(f"netshop.{DOMAIN}")
    own = certificate(leaf.chain_pem)
    assert own.not_valid_before_utc == leaf.not_before == START - timedelta(hours=1)
    assert own.not_valid_after_utc == leaf.not_after
    inclusive = own.not_valid_after_utc - own.not_valid_before_utc + timedelta(seconds=1)
    assert inclusive == timedelta(days=397)


@pytest.mark.parametrize("name", [None, "127.0.0.1", "::1", "localhost", "example.org", "8.8.8.8", "x.example.com"])
def test_who_asks_for_nothing_of_ours_gets_the_leaf_for_localhost(authority: Authority, name: str | None) -> None:
    leaf = authority.leaf(name)
    alternatives = certificate(leaf.chain_pem).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert leaf.names == DEFAULT_NAMES
    assert alternatives.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(address) for address in alternatives.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]


@pytest.mark.parametrize(
    "name", [f"my_app.{DOMAIN}", f"x.my_app.{DOMAIN}", f"x.xn--ls8h.{DOMAIN}", f"a.r3---sn.{DOMAIN}"]
)
def test_names_that_idna_refuses_and_browsers_use_get_their_leaf(authority: Authority, clock: Clock, name: str) -> None:
    leaf = authority.leaf(name)
    own = certificate(leaf.chain_pem)
    own.verify_directly_issued_by(certificate(authority.intermediate_pem))
    alternatives = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert tuple(alternatives.get_values_for_type(x509.DNSName)) == leaf.names
    assert name in leaf.names or name.partition(".")[2] in leaf.names
    assert own.not_valid_after_utc == leaf.not_after
    assert again(authority, clock).leaf(name).pem == leaf.pem


def test_siblings_share_a_leaf_and_cousins_do_not(authority: Authority) -> None:
    first = authority.leaf(f"a.netshop.{DOMAIN}")
    assert authority.leaf(f"B.Netshop.{DOMAIN}.") is first
    other = authority.leaf(f"a.reserve.{DOMAIN}")
    assert other.key_pem != first.key_pem


def test_a_restart_serves_the_same_leaf(authority: Authority, clock: Clock) -> None:
    leaf = authority.leaf(f"a.netshop.{DOMAIN}")
    clock.now += timedelta(days=300)
    assert again(authority, clock).leaf(f"b.netshop.{DOMAIN}").pem == leaf.pem


def test_a_running_process_renews_a_leaf_30_days_before_its_end_and_not_earlier(
    authority: Authority, clock: Clock
) -> None:
    name = f"netshop.{DOMAIN}"
    leaf, context = authority.leaf(name), authority.context_for(name)
    clock.now = leaf.not_after - timedelta(days=30, seconds=1)
    assert authority.leaf(name) is leaf
    assert authority.context_for(name) is context
    clock.now = leaf.not_after - timedelta(days=30)
    renewed = authority.leaf(name)
    assert renewed.pem != leaf.pem
    assert renewed.not_before == clock.now - timedelta(hours=1)
    assert renewed.cert_file.read_bytes() == renewed.pem
    assert authority.context_for(name) is not context
    assert authority.leaf(name) is renewed


def test_the_second_process_takes_what_the_first_has_renewed(authority: Authority, clock: Clock) -> None:
    name = f"netshop.{DOMAIN}"
    second = again(authority, clock)
    assert second.leaf(name).pem == authority.leaf(name).pem
    clock.now += timedelta(days=380)
    assert second.leaf(name).pem == authority.leaf(name).pem
    assert second.leaf(name).is_current(clock.now)


def test_a_leaf_whose_beginning_lies_ahead_is_replaced(authority: Authority, clock: Clock) -> None:
    """The clock was wrong when it was issued."""
    clock.now += timedelta(days=100)
    ahead = authority.leaf(None)
    clock.now = START
    assert authority.leaf(None).not_before < START < ahead.not_before


def test_no_leaf_outlives_its_ca_and_the_last_one_is_not_renewed_again_and_again(
    authority: Authority, clock: Clock
) -> None:
    clock.now = authority.not_after - timedelta(days=10)
    last = authority.leaf(None)
    assert last.not_after == authority.not_after
    clock.now = authority.not_after - timedelta(seconds=1)
    assert authority.leaf(None) is last
    assert again(authority, clock).leaf(None).pem == last.pem


def test_an_ended_ca_issues_nothing_and_says_what_to_type(authority: Authority, clock: Clock) -> None:
    authority.leaf(None)
    clock.now = authority.not_after
    with pytest.raises(StoresError, match="the CA ended on") as caught:
        authority.leaf(None)
    assert "rm -r" in caught.value.hint


def damage(file: Path, how: str, other: Path) -> None:
    content = file.read_bytes()
    match how:
        case "empty":
            file.write_bytes(b"")
        case "cut":
            file.write_bytes(content[: len(content) // 2])
        case "noise":
            file.write_bytes(bytes(range(256)) * 8)
        case "no intermediate":
            file.write_bytes(content[: content.rindex(b"-----BEGIN CERTIFICATE")])
        case "another key":
            file.write_bytes(
                other.read_bytes()[: other.read_bytes().index(b"-----BEGIN CERT")]
                + content[content.index(b"-----BEGIN CERT") :]
            )
        case "other names":
            file.write_bytes(other.read_bytes())
        case "open to others":
            file.chmod(0o644)


@pytest.mark.parametrize(
    "how", ["empty", "cut", "noise", "no intermediate", "another key", "other names", "open to others"]
)
def test_a_leaf_on_disk_that_is_amiss_is_replaced(authority: Authority, clock: Clock, how: str) -> None:
    leaf, other = authority.leaf(f"a.netshop.{DOMAIN}"), authority.leaf(f"a.reserve.{DOMAIN}")
    damage(leaf.cert_file, how, other.cert_file)
    replaced = again(authority, clock).leaf(f"a.netshop.{DOMAIN}")
    assert replaced.names == leaf.names
    assert replaced.key_pem not in {leaf.key_pem, other.key_pem}
    assert load_pem_private_key(replaced.key_pem, None).public_key() == certificate(replaced.chain_pem).public_key()
    assert replaced.cert_file.read_bytes() == replaced.pem
    assert stat.S_IMODE(replaced.cert_file.stat().st_mode) == 0o600
    certificate(replaced.chain_pem).verify_directly_issued_by(certificate(authority.intermediate_pem))


def test_a_leaf_of_an_older_ca_is_replaced(authority: Authority, tmp_path: Path, clock: Clock) -> None:
    old = authority.leaf(None)
    newer = Authority.load_or_create(tmp_path / "newer", DOMAIN, clock=clock)
    file = tmp_path / "newer" / "leaves" / old.cert_file.name
    file.parent.mkdir()
    file.write_bytes(old.pem)
    file.chmod(0o600)
    assert newer.leaf(None).cert_file == file
    certificate(newer.leaf(None).chain_pem).verify_directly_issued_by(certificate(newer.intermediate_pem))


def test_a_cache_that_was_emptied_while_in_use_is_filled_again(authority: Authority) -> None:
    leaf = authority.leaf(None)
    leaf.cert_file.unlink()
    leaf.cert_file.parent.rmdir()
    assert authority.context_for(None) is authority.context_for("localhost")
    assert leaf.cert_file.read_bytes() == leaf.pem


def test_leaves_that_cannot_be_kept_are_named(authority: Authority) -> None:
    leaves = authority.leaf(None).cert_file.parent
    for file in leaves.iterdir():
        file.unlink()
    leaves.rmdir()
    leaves.write_text("in the way")
    with pytest.raises(StoresError, match="Cannot keep a certificate") as caught:
        authority.leaf(f"x.{DOMAIN}")
    assert str(leaves) in caught.value.hint


def test_memory_holds_the_most_recent_leaves_only(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certs.authority, "CACHE_LIMIT", 3)
    for name in ("a", "b", "c", "a", "d"):
        authority.leaf(f"x.{name}.{DOMAIN}")
    assert [names[0].partition(".")[0] for names in authority._served] == ["c", "a", "d"]


def test_the_folder_does_not_grow_with_the_names_that_a_page_makes_up(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certs.leaves, "LIMIT", 8)
    for number in range(30):
        leaf = authority.leaf(f"x.p{number}.{DOMAIN}")
        assert leaf.cert_file.is_file()
        assert len(list(leaf.cert_file.parent.iterdir())) <= 8


def test_a_name_as_long_as_dns_allows_gets_its_leaf(authority: Authority, clock: Clock) -> None:
    name = "a." + ("b" * 63 + ".") * 3 + "c" * 40 + "." + DOMAIN
    assert len(name) > 250
    assert again(authority, clock).leaf(name).pem == authority.leaf(name).pem
