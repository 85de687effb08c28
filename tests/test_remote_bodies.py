"""A remote's bodies, in which the workspace's own URLs are translated where a service asks for it."""

import gzip
import http.client
import itertools
import json
import random
import tracemalloc
import zlib

import brotli
import pytest
import zstandard
from gateway_world import REMOTE_DOMAIN, one_world, service
from stage import eventually

from procman.mistake import MistakesError
from procman.procfile import parse
from proxy_addons.remote import body_names, content_coding
from tests.test_gateway_translate import plain, translation

world = pytest.fixture(scope="module")(one_world)

ACCOUNT, OURS = f"https://account.{REMOTE_DOMAIN}", "https://account.local.example.com:8443"


def rewritten(data, pieces=(), charset="", to=None):
    """`data`, cut at the places `pieces`."""
    feed = body_names.rewriting(to or translation(), charset)
    cuts = [0, *sorted(pieces), len(data)]
    return b"".join(feed(data[a:b], False) for a, b in itertools.pairwise(cuts)) + feed(b"", True)


@pytest.mark.parametrize(
    ("there", "here"),
    [
        (f"<a href='{ACCOUNT}/a?b#c'>", f"<a href='{OURS}/a?b#c'>"),
        (f"{ACCOUNT}:443/", f"{OURS}/"),
        ("HTTPS://Account.Remote.Example.COM/", f"{OURS}/"),
        ("<script src=//netshop.remote.example.com/x.js>", "<script src=//netshop.local.example.com:8443/x.js>"),
        ("'//tokyo.netshop.remote.example.com'", "'//tokyo.netshop.local.example.com:8443'"),
        ("wss://account.remote.example.com/live", "wss://account.local.example.com:8443/live"),
        ("https://booking.example.net:8444/", "https://reserve.local.example.com:8443/"),
        (r'{"u":"https:\/\/account.remote.example.com\/a"}', r'{"u":"https:\/\/account.local.example.com:8443\/a"}'),
        (r'"\"https:\\/\\/account.remote.example.com\""', r'"\"https:\\/\\/account.local.example.com:8443\""'),
        (r'"https:\u002F\u002Faccount.remote.example.com"', r'"https:\u002F\u002Faccount.local.example.com:8443"'),
        ("https:&#x2F;&#x2F;account.remote.example.com", "https:&#x2F;&#x2F;account.local.example.com:8443"),
        ("?u%3Dhttps%3A%2F%2Faccount.remote.example.com%2F", "?u%3Dhttps%3A%2F%2Faccount.local.example.com%3A8443%2F"),
        (r"see:\nhttps://account.remote.example.com.", r"see:\nhttps://account.local.example.com:8443."),
        (f"日本{ACCOUNT}語", f"日本{OURS}語"),
        # Nobody's, or nobody knows what
        ("account.remote.example.com", "account.remote.example.com"),
        ("info@account.remote.example.com", "info@account.remote.example.com"),
        ("https://idp.example.net/?for=account", "https://idp.example.net/?for=account"),
        (f"{ACCOUNT}@evil.example/", f"{ACCOUNT}@evil.example/"),
        (f"{ACCOUNT}:pass@evil.example/", f"{ACCOUNT}:pass@evil.example/"),
        (f"{ACCOUNT}.evil.example/", f"{ACCOUNT}.evil.example/"),
        (f"{ACCOUNT}-evil.example/", f"{ACCOUNT}-evil.example/"),
        (f"{ACCOUNT}:8999/", f"{ACCOUNT}:8999/"),
        ("https://x.example/a//account.remote.example.com", "https://x.example/a//account.remote.example.com"),
        ("ftp://account.remote.example.com/", "ftp://account.remote.example.com/"),
        ("https://evilaccount.remote.example.com/", "https://evilaccount.remote.example.com/"),
    ],
)
def test_a_url_becomes_ours_wherever_the_body_is_cut(there, here):
    data, want = there.encode(), here.encode()
    assert rewritten(data) == want
    for cut in range(len(data)):
        assert rewritten(data, [cut]) == want, f"cut at {cut}"
    assert rewritten(data, range(1, len(data))) == want


def test_a_client_on_plain_http_and_localhost_stays_there():
    assert rewritten(ACCOUNT.encode(), to=plain()) == b"http://account.localhost:8080"


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("marked", [True, False])
def test_a_body_in_utf_16_is_read_as_such(codec, marked):
    mark = "\ufeff" if marked else ""
    there = f"{mark}日本 {ACCOUNT}/ \ud800 end".encode(codec, "surrogatepass") + b"?"
    here = f"{mark}日本 {OURS}/ \ud800 end".encode(codec, "surrogatepass") + b"?"
    charset = "" if marked else codec.replace("-le", "le").replace("-be", "be")
    for cut in range(len(there)):
        assert rewritten(there, [cut], charset) == here


def test_any_bytes_without_a_name_of_ours_come_out_as_they_went_in():
    chance = random.Random(7)
    alphabet = b"htps:/\\%2F3Au0&#;.@account remote\x00\xff\n"
    for _ in range(300):
        data = bytes(chance.choice(alphabet) for _ in range(chance.randrange(900)))
        cuts = sorted(chance.randrange(len(data) + 1) for _ in range(5))
        assert rewritten(data, cuts) == data


def test_what_ends_in_no_url_is_not_kept_waiting():
    feed = body_names.rewriting(translation(), "")
    assert feed(b"data: one\n\n", False) == b"data: one\n\n"
    assert feed(b"<p>two</p>", False) == b"<p>two</p>"


CODERS = {
    "gzip": gzip.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("coding", CODERS)
def test_a_coding_is_taken_off_however_the_body_is_cut(coding):
    text = random.Random(3).randbytes(5000) + b"x" * 300_000
    coded = CODERS[coding](text)
    for step in (1, 7, 1000, len(coded)):
        decode = content_coding.decoder(coding)
        pieces = [piece for at in range(0, len(coded), step) for piece in decode(coded[at : at + step])]
        assert b"".join([*pieces, *decode(b"")]) == text


def test_members_and_frames_in_a_row_are_one_body_and_codings_may_stand_on_each_other():
    for coding in ("gzip", "zstd"):
        decode = content_coding.decoder(coding)
        assert b"".join(decode(CODERS[coding](b"one") + CODERS[coding](b"two"))) == b"onetwo"
    decode = content_coding.decoder("br, gzip")
    assert b"".join(decode(gzip.compress(brotli.compress(b"both")))) == b"both"
    assert content_coding.decoder("compress") is None
    assert content_coding.decoder("gzip, gzip, gzip") is None


@pytest.mark.parametrize("coding", CODERS)
def test_a_body_that_is_cut_off_or_none_of_that_coding_is_a_mistake(coding):
    decode = content_coding.decoder(coding)
    list(decode(CODERS[coding](b"some text" * 100)[:-4]))
    with pytest.raises(ValueError, match="cut off"):
        list(decode(b""))
    with pytest.raises(ValueError, match="no "):
        list(content_coding.decoder(coding)(b"\xff" * 100))
    assert list(content_coding.decoder(coding)(b"")) in ([], [b""])


def bomb(coding):
    """Some kilobytes that unfold to 2 GB."""
    if coding == "gzip":
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        return b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    if coding == "zstd":
        packer = zstandard.ZstdCompressor(level=19).compressobj()
        return b"".join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()
    return brotli.compress(bytes(64 << 20), quality=5)


@pytest.mark.parametrize("coding", CODERS)
def test_a_bomb_is_put_out_before_the_memory_is_full(coding):
    coded = bomb(coding)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="unfold to more than"):
            for _ in content_coding.decoder(coding)(coded):
                pass
        # what may come, one meta-block of Brotli's (16 MiB) more, and the copy of it while it is made
        assert tracemalloc.get_traced_memory()[1] < 5 * content_coding.FREE
    finally:
        tracemalloc.stop()


# Through the gateway


def give(world, *, status=200, headers=(), body=b"", chunked=False):
    """What the remote answers from now on."""

    async def answer(request, query, reader, writer):
        world.remote.seen.put(request)
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers)]
        lines.append("Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}")
        writer.write("\r\n".join([*lines, "", ""]).encode())
        if request.method == "HEAD":
            return True
        for at in range(0, len(body), 1000) if chunked else ():
            piece = body[at : at + 1000]
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        writer.write(b"0\r\n\r\n" if chunked else body)
        return True

    world.remote._page = answer


def ask(world, headers=(), **more):
    world.tell(service("account", rewrite_body=("text/html", "text/event-stream")), service("netshop"))
    return world.get("account.local.example.com", "/page", scheme="https", headers=headers, **more)


HTML = ("Content-Type", "text/html; charset=utf-8")
PAGE = f"<a href='{ACCOUNT}/'>Account</a> <a href='https://idp.example.net'>\n".encode() * 500


def here(world, page=PAGE):
    return page.replace(ACCOUNT.encode(), f"https://account.local.example.com:{world.https}".encode())


@pytest.mark.parametrize("coding", ["", *CODERS])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_page_leads_to_our_names_however_it_is_coded(world, coding, chunked):
    headers = [HTML, *([("Content-Encoding", coding)] if coding else []), ("Content-MD5", "x"), ("ETag", '"v1"')]
    give(world, headers=headers, body=CODERS[coding](PAGE) if coding else PAGE, chunked=chunked)
    answer = ask(world, {"Accept-Encoding": "gzip;q=0.8, deflate, br, dcb, zstd", "Range": "bytes=0-9"})
    assert (answer.status, answer.route) == (200, "remote")
    assert answer.body == here(world)
    assert [answer.all(name) for name in ("Content-Encoding", "Content-MD5", "Content-Length")] == [[], [], []]
    assert answer["ETag"] == '"v1-stores"'
    asked = world.remote.last()
    assert asked["Accept-Encoding"] == "gzip;q=0.8, br, zstd"
    assert asked.all("Range") == []


def test_http2_gets_it_too(world):
    give(world, headers=[HTML, ("Content-Encoding", "br")], body=brotli.compress(PAGE))
    world.tell(service("account", rewrite_body=("text/*",)))
    url = f"https://account.local.example.com:{world.https}/page"
    got = world.curl("--http2", "--compressed", "--resolve", world.resolve("account.local.example.com"), url)
    assert got.encode() == here(world)


def test_a_condition_is_about_the_remotes_own_body(world):
    give(world, status=304, headers=[("ETag", '"v1"')])
    answer = ask(world, {"If-None-Match": '"v1-stores", W/"v0-stores"', "If-Match": '"v2-stores"'})
    assert (answer.status, answer["ETag"]) == (304, '"v1-stores"')
    asked = world.remote_last_named("if-none-match")
    assert (asked["If-None-Match"], asked["If-Match"]) == ('"v1", W/"v0"', '"v2"')


def test_a_picture_keeps_its_own_tag(world):
    give(world, status=304, headers=[("ETag", '"v1"')])
    assert ask(world, {"If-None-Match": '"v1"'})["ETag"] == '"v1"'


def test_head_says_what_get_would(world):
    give(world, headers=[HTML, ("Content-Encoding", "gzip")], body=gzip.compress(PAGE))
    answer = ask(world, method="HEAD")
    assert [answer.all(name) for name in ("Content-Encoding", "Content-Length")] == [[], []]


@pytest.mark.parametrize(
    ("status", "headers", "rewrite_body"),
    [
        (200, [("Content-Type", "application/json")], ("text/html",)),
        (200, [HTML], ()),
        (200, [HTML, ("Content-Encoding", "compress")], ("text/html",)),
        (206, [HTML, ("Content-Range", "bytes 0-9/99")], ("text/html",)),
    ],
)
def test_what_nobody_asked_for_passes_as_it_is(world, status, headers, rewrite_body):
    give(world, status=status, headers=[*headers, ("ETag", '"v1"')], body=PAGE)
    world.tell(service("account", rewrite_body=rewrite_body))
    answer = world.get("account.localhost", "/page")
    assert (answer.body, answer["ETag"], answer["Content-Length"]) == (PAGE, '"v1"', str(len(PAGE)))


def test_a_local_services_bodies_pass_as_they_are(world):
    origin = world.origin()
    give_here = json.dumps([HTML])
    world.tell(service("account", port=origin.port, rewrite_body=("text/html",)))
    answer = world.get("account.localhost", "/headers", headers={"X-Give": give_here})
    assert (answer.body, answer["Content-Length"]) == (b"ok", "2")


def test_events_are_rewritten_as_they_come(world):
    async def stream(request, query, reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        event = f"data: {ACCOUNT}/1\n\n".encode()
        writer.write(b"%x\r\n%b\r\n" % (len(event), event))
        await reader.read()
        return False

    world.remote._page = stream
    world.tell(service("account", rewrite_body=("text/event-stream",)))
    with world.connection("account.localhost") as connection:
        connection.request("GET", "/page", headers={"Host": f"account.localhost:{world.http}"})
        answer = connection.getresponse()
        assert answer.readline() == f"data: http://account.localhost:{world.http}/1\n".encode()


@pytest.mark.parametrize("body", [gzip.compress(PAGE)[:-20], b"no gzip at all", bomb("gzip")])
def test_a_body_that_cannot_be_read_is_broken_off_and_the_next_request_is_answered(world, body):
    give(world, headers=[HTML, ("Content-Encoding", "gzip")], body=body)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        ask(world)
    eventually(lambda: "broken off, its body cannot be rewritten" in world.stderr())
    give(world, headers=[HTML], body=PAGE)
    assert ask(world).body == here(world)


# The key


def read(tmp_path, line):
    text = f"# /// stores\n# {line}\n# ///\n"
    return parse(text, tmp_path / "Procfile.d" / "account", root=tmp_path, repos=tmp_path, remote_domain="")


def test_the_key_names_media_types(tmp_path):
    assert read(tmp_path, 'rewrite_body = ["Text/HTML", "text/*"]').rewrite_body == ("text/html", "text/*")
    for line in ('rewrite_body = ["html"]', 'rewrite_body = "text/html"', 'rewrite_body = ["*/*"]'):
        with pytest.raises(MistakesError, match="rewrite_body"):
            read(tmp_path, line)
