"""Which names a leaf carries: a pure function, as a table."""

import pytest

from certs.names import DEFAULT_NAMES, canonical, canonical_domain, covers, leaf_names

D = "local.example.com"


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        # the domain and its children share one leaf; deeper names get that of their parent
        (D, (D, f"*.{D}")),
        (f"netshop.{D}", (D, f"*.{D}")),
        (f"a.netshop.{D}", (f"netshop.{D}", f"*.netshop.{D}")),
        (f"a.b.c.d.e.{D}", (f"b.c.d.e.{D}", f"*.b.c.d.e.{D}")),
        # as clients write them
        (f"NetShop.{D.upper()}", (D, f"*.{D}")),
        (f"netshop.{D}.", (D, f"*.{D}")),
        (f"xn--caf-dma.x.{D}", (f"x.{D}", f"*.x.{D}")),
        (f"a.café.{D}", (f"xn--caf-dma.{D}", f"*.xn--caf-dma.{D}")),
        # no wildcard covers an underscore in OpenSSL
        (f"my_app.{D}", (f"my_app.{D}",)),
        (f"a.my_app.{D}", (f"a.my_app.{D}",)),
        (f"a-.{D}", (f"a-.{D}",)),
        # no client takes *.localhost
        ("netshop.localhost", ("netshop.localhost", "*.netshop.localhost")),
        ("a.netshop.localhost", ("netshop.localhost", "*.netshop.localhost")),
        # nothing of ours
        ("localhost", DEFAULT_NAMES),
        ("LOCALHOST.", DEFAULT_NAMES),
        (None, DEFAULT_NAMES),
        ("", DEFAULT_NAMES),
        ("127.0.0.1", DEFAULT_NAMES),
        ("::1", DEFAULT_NAMES),
        ("8.8.8.8", DEFAULT_NAMES),
        ("example.org", DEFAULT_NAMES),
        ("example.com", DEFAULT_NAMES),
        (f"evil{D}", DEFAULT_NAMES),
        (f"{D}.evil.org", DEFAULT_NAMES),
        (f"*.{D}", DEFAULT_NAMES),
        (f"..{D}", DEFAULT_NAMES),
        (f".{D}", DEFAULT_NAMES),
        (f"a/../b.{D}", DEFAULT_NAMES),
        (f"a\0b.{D}", DEFAULT_NAMES),
        (f"a\n.{D}", DEFAULT_NAMES),
        (f"{'a' * 64}.{D}", DEFAULT_NAMES),
        (f"{'a.' * 120}{D}", DEFAULT_NAMES),
        (f"ünder_score.{D}", DEFAULT_NAMES),
    ],
)
def test_a_leaf_carries_the_names_that_a_client_accepts(asked: str | None, names: tuple[str, ...]) -> None:
    assert leaf_names(asked, D) == names


@pytest.mark.parametrize(
    ("asked", "names"), [("test", ("test",)), ("a.test", ("a.test", "*.a.test")), ("b.a.test", ("a.test", "*.a.test"))]
)
def test_a_domain_of_one_label_gets_no_wildcard_that_clients_refuse(asked: str, names: tuple[str, ...]) -> None:
    assert leaf_names(asked, "test") == names


def test_a_domain_below_localhost_needs_no_rule_of_its_own() -> None:
    assert leaf_names("netshop.dev.localhost", "dev.localhost") == ("dev.localhost", "*.dev.localhost")


@pytest.mark.parametrize("name", ["", ".", "a..b", "a b", "*.a", "127.0.0.1:80", "::1", "a" * 64, "ä_b.c"])
def test_what_is_no_dns_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        canonical(name)


@pytest.mark.parametrize("name", ["10.0.0.1", "my_domain.test", "-a.test", "a-.test", "1"])
def test_a_domain_is_a_host_name_and_no_address(name: str) -> None:
    with pytest.raises(ValueError, match="not a domain name"):
        canonical_domain(name)


def test_a_domain_may_be_written_as_people_do() -> None:
    assert canonical_domain("Café.Example.COM.") == "xn--caf-dma.example.com"


def test_a_domain_covers_itself_and_what_ends_with_a_dot_and_it() -> None:
    assert [covers("b.c", name) for name in ("b.c", "a.b.c", "ab.c", "c")] == [True, True, False, False]
