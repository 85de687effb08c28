"""Header compression (RFC 7541) against the ``hpack`` package, and against the examples of the RFC."""

import pytest
from hpack import Decoder, Encoder, HeaderTuple, NeverIndexedHeaderTuple
from hypothesis import given
from hypothesis import strategies as st

from proxy_addons.front import hpack_huffman
from proxy_addons.front.hpack_decoder import HeaderDecoder
from proxy_addons.front.hpack_encoder import NO_TABLE, encode_fields, encode_head

NAMES = st.sampled_from([b":path", b"cookie", b"x-a", b"accept", b"etag"]) | st.binary(min_size=1, max_size=20)
VALUES = st.sampled_from([b"", b"/", b"GET", b"gzip, deflate"]) | st.binary(max_size=300)
LISTS = st.lists(st.tuples(NAMES, VALUES), max_size=20)

# Appendix C.3 and C.4: three requests on one connection, without and with Huffman coding
REQUESTS = [
    [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"www.example.com")],
    [
        *[(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"www.example.com")],
        (b"cache-control", b"no-cache"),
    ],
    [
        *[
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":path", b"/index.html"),
            (b":authority", b"www.example.com"),
        ],
        (b"custom-key", b"custom-value"),
    ],
]
PLAIN = [
    "828684410f7777772e6578616d706c652e636f6d",
    "828684be58086e6f2d6361636865",
    "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
]
HUFFMAN = [
    "828684418cf1e3c2e5f23a6ba0ab90f4ff",
    "828684be5886a8eb10649cbf",
    "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
]


@pytest.mark.parametrize("blocks", [PLAIN, HUFFMAN], ids=["C.3", "C.4"])
def test_the_examples_of_the_rfc_are_read(blocks):
    decoder = HeaderDecoder(65536)
    assert [decoder.decode(bytes.fromhex(block)) for block in blocks] == REQUESTS


@given(lists=st.lists(LISTS, max_size=5), huffman=st.booleans(), sizes=st.lists(st.integers(0, 4096), max_size=5))
def test_what_another_encoder_wrote_is_read(lists, huffman, sizes):
    encoder, decoder = Encoder(), HeaderDecoder(1 << 20)
    for number, fields in enumerate(lists):
        if number < len(sizes):
            encoder.header_table_size = sizes[number]
        tuples = [HeaderTuple(*field) if number % 2 else NeverIndexedHeaderTuple(*field) for field in fields]
        assert decoder.decode(encoder.encode(tuples, huffman=huffman)) == fields


@given(fields=st.lists(st.tuples(st.from_regex(rb"\A[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}\Z"), VALUES), max_size=20))
def test_what_we_write_another_decoder_reads(fields):
    sayable = [(name, value) for name, value in fields if not set(value) & set(b"\0\r\n")]
    kept = [
        (name.lower(), value.strip(b" \t"))
        for name, value in sayable
        if name.lower() not in {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
    ]
    for _ in range(2):  # the second time it is remembered
        block = NO_TABLE + encode_head(200, sayable)
        assert Decoder(max_header_list_size=1 << 20).decode(block, raw=True) == [(b":status", b"200"), *kept]


@pytest.mark.parametrize("status", [200, 204, 206, 304, 400, 404, 500, 103, 201, 301, 431, 502, 599])
def test_every_status_can_be_written(status):
    assert Decoder().decode(encode_head(status, []), raw=True) == [(b":status", b"%d" % status)]


@pytest.mark.parametrize("field", [(b"", b"x"), (b"a b", b"x"), (b"a:", b"x"), (b"a", b"x\ny"), (b"a", b"x\0y")])
def test_what_cannot_be_said_is_an_error(field):
    with pytest.raises(ValueError, match=r"field name|control character"):
        encode_fields([field])


@given(block=st.binary(max_size=200))
def test_any_octets_are_read_or_refused(block):
    decoder = HeaderDecoder(4096)
    try:
        fields = decoder.decode(block)
    except ValueError:
        return
    assert fields == Decoder().decode(block, raw=True) or fields is None


@given(text=st.binary(max_size=600))
def test_huffman_code_is_read(text):
    encoder = Encoder()
    assert hpack_huffman.decode(encoder.huffman_coder.encode(text)) == text


def test_a_list_beyond_the_limit_is_not_kept_and_the_table_is():
    encoder, decoder = Encoder(), HeaderDecoder(200)
    assert decoder.decode(encoder.encode([(b"x-%d" % number, b"v" * 50) for number in range(5)])) is None
    assert decoder.decode(encoder.encode([(b"x-4", b"v" * 50)])) == [(b"x-4", b"v" * 50)]


def test_an_entry_larger_than_the_table_empties_it():
    encoder, decoder = Encoder(), HeaderDecoder(1 << 20)
    decoder.decode(encoder.encode([(b"a", b"b"), (b"c", b"v" * 5000)]))
    with pytest.raises(ValueError, match="not there"):
        decoder.decode(b"\xbe")
