"""The parts of inspection that need no gateway: what is watched, kept of a body, masked, meant by a filter."""

from __future__ import annotations

import pytest

from procman.routes import Route
from proxy_addons.decision import Decision
from proxy_addons.inspection import masking
from proxy_addons.inspection.body import Body, teed
from proxy_addons.inspection.watched import Watched
from proxy_addons.site import Site

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"


def decision(relative: str) -> Decision:
    return Decision(Route.LOCAL, Site("http", f"{relative}.localhost", 80), relative=relative)


def test_what_is_watched_ends_by_itself_when_its_time_is_over() -> None:
    now = 100.0
    watched = Watched(lambda: now)
    watched.add(["shop"], 60)
    watched.add(["admin.shop"], 600)
    assert watched.name_for(decision("shop")) == "shop"
    assert watched.name_for(decision("other")) is None
    assert watched.next_end == 160
    now = 160.0
    assert watched.expire() == ["shop"]
    assert watched.name_for(decision("shop")) is None
    assert watched.name_for(decision("admin.shop")) == "admin.shop"


def test_who_is_watched_again_is_so_until_the_new_end_and_since_the_old_beginning() -> None:
    now = 0.0
    watched = Watched(lambda: now)
    watched.add(["shop"], 60)
    now = 30.0
    watched.add(["shop"], 60)
    assert [(watch.since, watch.until) for watch in watched.watches] == [(0.0, 90.0)]
    assert watched.remove() == ["shop"]
    assert not watched


def test_of_a_long_body_the_beginning_is_kept_and_all_of_it_passes() -> None:
    body = Body(10)
    stream = teed(True, body)
    assert [stream(piece) for piece in (b"12345", b"67890", b"abc", b"")] == [b"12345", b"67890", b"abc", b""]
    assert (body.data, body.total, body.cut) == (b"1234567890", 13, True)
    assert (body.seal(), body.cut, body.size) == (b"1234567890", True, 0)


def test_of_a_stream_of_events_the_newest_whole_ones_are_kept_in_bounded_memory() -> None:
    body = Body(100, newest=True)
    for number in range(1000):
        body.take(b"data: %d\n\n" % number)
        assert body.size <= 200
    assert body.data.startswith(b"data: 99")
    assert body.data.endswith(b"data: 999\n\n")


def test_a_body_that_an_addon_changes_is_kept_as_it_goes_on() -> None:
    body = Body()
    stream = teed(lambda data: [data.upper()] if data else [b"!"], body)
    assert [b"".join(stream(piece)) for piece in (b"ab", b"")] == [b"AB", b"!"]
    assert body.data == b"AB!"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Authorization", "Bearer abc.def", "Bearer ***"),
        ("Proxy-Authorization", "abc", "***"),
        ("Cookie", "sid=1; theme=dark", "sid=***; theme=***"),
        ("Set-Cookie", "sid=1; Path=/; HttpOnly", "sid=***; Path=/; HttpOnly"),
        ("X-Api-Key", "k", "***"),
        ("X-Forwarded-Access-Token", "t", "***"),
        ("X-Apigateway-Api-Userinfo", "e30", "***"),
        ("CF-Access-Client-Id", "of the remote", "***"),
        ("Location", "https://a:b@x.test/cb?code=1&state=2", "https://***@x.test/cb?code=***&state=2"),
        ("X-Anything", f"is {JWT}", "is ***"),
        ("Accept", "text/html", "text/html"),
        ("WWW-Authenticate", "Bearer", "Bearer"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZQ==", "dGhlIHNhbXBsZQ=="),
        ("X-Author", "somebody", "somebody"),
    ],
)
def test_a_header_shows_no_secret(name: str, value: str, shown: str) -> None:
    assert masking.header(name, value, {"cf-access-client-id"}) == shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("/a?access_token=1&page=2", "/a?access_token=***&page=2"),
        ("/a?access%5Ftoken=1#id_token=2", "/a?access%5Ftoken=***#id_token=***"),
        ('{"user": "a", "password": "p\\"q", "n": 1}', '{"user": "a", "password": "***", "n": 1}'),
        ('{"accessToken":"x","max_tokens":5,"pin":1234}', '{"accessToken":"***","max_tokens":5,"pin":"***"}'),
    ],
)
def test_a_text_shows_no_secret(written: str, shown: str) -> None:
    assert masking.text(written) == shown


@pytest.mark.parametrize("piece", ["a", "eyJ", "eyJaaaaaaaa.", 'name="a"\r\n', '"a":"\\"', "?a=", "://"])
def test_what_takes_longest_to_read_is_read_at_once(piece: str) -> None:
    """A body of 256 kB is kept, a head of 64 kB: to look at every character from each takes minutes."""
    written = piece * (256 * 1024 // len(piece))
    assert len(masking.text(written)) <= len(written)
    assert len(masking.header("Cookie", written)) <= 2 * len(written)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (f"api.example.com.{JWT}", "api.example.com.***"),
        (f"token-{JWT}.more", "token-***.more"),
        (f"{JWT.rpartition('.')[0]}.", "***"),
        ("eyJhbGciOiJIUzI1NiJ9.short.c2lnbmF0dXJl", "eyJhbGciOiJIUzI1NiJ9.short.c2lnbmF0dXJl"),
    ],
)
def test_a_jwt_is_found_among_dots(written: str, shown: str) -> None:
    assert masking.url(written) == shown


def test_a_body_of_other_bytes_stays_what_it_was() -> None:
    data = bytes(range(256))
    assert masking.body(data, "application/octet-stream") == data


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # mitmproxy calls pyparsing by its old names
@pytest.mark.parametrize("expression", ["~c abc", "~u [", "~zz 3", "(~m GET"])
def test_a_wrong_filter_is_shown_with_an_example(expression: str) -> None:
    import proxy_addons.mitm.lean_import  # noqa: F401, PLC0415 - before anything of mitmproxy's, and under the mark
    from proxy_addons.inspection import filters  # noqa: PLC0415 - as above

    with pytest.raises(filters.FilterError) as raised:
        filters.parsed(expression)
    assert repr(expression) in str(raised.value)
    assert filters.EXAMPLE in str(raised.value)
    assert filters.parsed(filters.EXAMPLE.partition(",")[0]) is not None
