"""The translation between a remote's names and ours, as tables."""

import pytest

from procman.routes import Route
from procman.snapshot import DnsStatus, GatewayStatus, RemoteStatus, ServiceStatus, Snapshot
from procman.state import State
from proxy_addons.remote.names import Names
from proxy_addons.remote.translate import Translation
from proxy_addons.site import Site


def status(name, remote, hosts):
    return ServiceStatus(name, State.STOPPED, Route.REMOTE, False, hosts, (), (), remote=remote)


SNAPSHOT = Snapshot(
    "/w",
    "local.example.com",
    1,
    GatewayStatus(8080, 8443),
    DnsStatus(),
    RemoteStatus("remote.example.com"),
    (
        status("account", "https://account.remote.example.com", ("account",)),
        status("netshop", "https://netshop.remote.example.com", ("netshop", "shop", "*.netshop")),
        status("reserve", "https://booking.example.net:8444", ("reserve", "*.reserve")),
        status("till", None, ("till",)),
    ),
)
NAMES = Names.of(SNAPSHOT)


def translation(host="account", *, scheme="https", domain="local.example.com", port=8443, origin=""):
    return Translation(
        names=NAMES,
        local=Site(scheme, f"{host}.{domain}", port),
        remote=NAMES.remote(host),
        relative=host,
        domain=domain,
        ports=frozenset({80, 443, 8080, 8443}),
        origin=origin,
    )


def plain(host="account"):
    return translation(host, scheme="http", domain="localhost", port=8080)


@pytest.mark.parametrize(
    ("local", "remote"),
    [
        ("account", "https://account.remote.example.com"),
        ("netshop", "https://netshop.remote.example.com"),
        ("shop", "https://shop.remote.example.com"),
        ("tokyo.netshop", "https://tokyo.netshop.remote.example.com"),
        ("a.b.reserve", "https://a.b.booking.example.net:8444"),
        ("tokyo.account", None),
        ("till", None),
        ("unknown", None),
    ],
)
def test_a_local_host_has_its_remote_origin(local, remote):
    found = NAMES.remote(local)
    assert (str(found) if found else None) == remote
    if found:
        assert NAMES.local(found.host, found.port) == local


URLS = [
    ("https://account.remote.example.com", "https://account.local.example.com:8443"),
    (
        "https://account.remote.example.com/login?next=https://netshop.remote.example.com/",
        "https://account.local.example.com:8443/login?next=https://netshop.remote.example.com/",
    ),
    ("https://ACCOUNT.Remote.example.com:443/x#y", "https://account.local.example.com:8443/x#y"),
    ("https://netshop.remote.example.com/cart", "https://netshop.local.example.com:8443/cart"),
    ("https://tokyo.netshop.remote.example.com/", "https://tokyo.netshop.local.example.com:8443/"),
    ("https://booking.example.net:8444/slots", "https://reserve.local.example.com:8443/slots"),
    ("//netshop.remote.example.com/cart", "//netshop.local.example.com:8443/cart"),
    ("wss://netshop.remote.example.com/live", "wss://netshop.local.example.com:8443/live"),
    # not ours, so not touched
    ("https://booking.example.net/slots", "https://booking.example.net/slots"),
    (
        "https://idp.example.net/?redirect_uri=https://account.remote.example.com/",
        "https://idp.example.net/?redirect_uri=https://account.remote.example.com/",
    ),
    ("https://other.remote.example.com/", "https://other.remote.example.com/"),
    ("https://tokyo.account.remote.example.com/", "https://tokyo.account.remote.example.com/"),
    ("https://account.remote.example.com.evil.org/", "https://account.remote.example.com.evil.org/"),
    ("https://evilaccount.remote.example.com/", "https://evilaccount.remote.example.com/"),
    ("https://user@account.remote.example.com/", "https://user@account.remote.example.com/"),
    ("https://account.remote.example.com\\@evil.org/", "https://account.remote.example.com\\@evil.org/"),
    ("https://account.remote.example.com:9/", "https://account.remote.example.com:9/"),
    ("https://account.remote.example.com:x/", "https://account.remote.example.com:x/"),
    ("/relative", "/relative"),
    ("", ""),
    ("?q=//account.remote.example.com", "?q=//account.remote.example.com"),
    ("javascript:alert(1)", "javascript:alert(1)"),
    ("mailto:a@account.remote.example.com", "mailto:a@account.remote.example.com"),
]


@pytest.mark.parametrize(("remote", "local"), URLS)
def test_a_url_of_the_remote_becomes_one_of_ours(remote, local):
    assert translation().to_local(remote) == local


def test_a_client_that_came_by_plain_http_and_localhost_stays_there():
    assert plain().to_local("https://netshop.remote.example.com/x") == "http://netshop.localhost:8080/x"
    assert plain().to_local("wss://netshop.remote.example.com/x") == "ws://netshop.localhost:8080/x"


def test_the_default_port_is_left_out():
    assert translation(port=443).to_local("https://netshop.remote.example.com/") == "https://netshop.local.example.com/"


@pytest.mark.parametrize(
    ("local", "remote"),
    [
        ("https://netshop.local.example.com:8443", "https://netshop.remote.example.com"),
        ("http://netshop.local.example.com:8080/page", "https://netshop.remote.example.com/page"),
        ("https://account.local.example.com/", "https://account.remote.example.com/"),
        ("https://account.local.example.com:9999/", "https://account.local.example.com:9999/"),
        ("https://till.local.example.com:8443", "https://till.local.example.com:8443"),
        ("https://example.org", "https://example.org"),
        ("null", "null"),
    ],
)
def test_origin_and_referer_leave_with_the_remotes_names(local, remote):
    sent = translation().request([("Origin", local), ("Referer", local), ("X-Other", local)])
    assert sent == [("Origin", remote), ("Referer", remote), ("X-Other", local)]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (("Location", "https://netshop.remote.example.com/"), "https://netshop.local.example.com:8443/"),
        (("Content-Location", "https://account.remote.example.com/1"), "https://account.local.example.com:8443/1"),
        (
            (
                "Link",
                '<https://netshop.remote.example.com/a.css>; rel=preload, <https://cdn.example.net/b.js>; rel="x"',
            ),
            '<https://netshop.local.example.com:8443/a.css>; rel=preload, <https://cdn.example.net/b.js>; rel="x"',
        ),
        (("Refresh", "5; url=https://account.remote.example.com/x"), "5; url=https://account.local.example.com:8443/x"),
        (
            ("refresh", "0;URL='https://account.remote.example.com/x'"),
            "0;URL='https://account.local.example.com:8443/x'",
        ),
        (("Refresh", "5"), "5"),
        (("Refresh", "5; url=https://idp.example.net/"), "5; url=https://idp.example.net/"),
        (
            ("Access-Control-Allow-Origin", "https://netshop.remote.example.com"),
            "https://netshop.local.example.com:8443",
        ),
        (("Access-Control-Allow-Origin", "*"), "*"),
        (("Access-Control-Allow-Origin", "https://example.org"), "https://example.org"),
        (("X-Note", "https://netshop.remote.example.com/"), "https://netshop.remote.example.com/"),
    ],
)
def test_a_header_of_the_answer(given, kept):
    assert translation().response([given]) == [(given[0], kept)]


def test_cors_answers_the_origin_that_asked_to_the_letter():
    asked = translation(origin="http://netshop.local.example.com:8080")
    assert asked.response([("Access-Control-Allow-Origin", "https://netshop.remote.example.com")]) == [
        ("Access-Control-Allow-Origin", "http://netshop.local.example.com:8080")
    ]


@pytest.mark.parametrize("header", ["Strict-Transport-Security", "Alt-Svc"])
def test_what_only_the_remotes_own_connections_can_follow_is_dropped(header):
    assert translation().response([(header, "max-age=1"), ("X-Kept", "1")]) == [("X-Kept", "1")]


COOKIES = [
    ("s=1", "s=1", "s=1"),
    ("s=1; Domain=remote.example.com; Path=/", "s=1; Domain=local.example.com; Path=/", "s=1; Path=/"),
    ("s=1; domain=.remote.example.com", "s=1; Domain=local.example.com", "s=1"),
    (
        "s=1; Domain=account.remote.example.com",
        "s=1; Domain=account.local.example.com",
        "s=1; Domain=account.localhost",
    ),
    ("s=1; Domain=example.com; Secure", "s=1; Domain=local.example.com; Secure", "s=1"),
    ("s=1; Domain=example.net", "s=1; Domain=example.net", "s=1; Domain=example.net"),
    ("s=1; Domain=mote.example.com", "s=1; Domain=mote.example.com", "s=1; Domain=mote.example.com"),
    ("s=1; Domain=", "s=1; Domain=", "s=1; Domain="),
    ("s=1; Secure; HttpOnly; SameSite=Lax", "s=1; Secure; HttpOnly; SameSite=Lax", "s=1; HttpOnly; SameSite=Lax"),
    ("s=1; SameSite=None; Secure; Partitioned", "s=1; SameSite=None; Secure; Partitioned", "s=1"),
    ("__Host-s=1; Secure; Path=/", "__Host-s=1; Secure; Path=/", "__Host-s=1; Secure; Path=/"),
    ("s=secure; Max-Age=1", "s=secure; Max-Age=1", "s=secure; Max-Age=1"),
]


@pytest.mark.parametrize(("given", "secure", "insecure"), COOKIES)
def test_a_cookie_lives_on_here(given, secure, insecure):
    assert translation().response([("Set-Cookie", given)]) == [("Set-Cookie", secure)]
    assert plain().response([("Set-Cookie", given)]) == [("Set-Cookie", insecure)]
