"""The gate: what is a CloudEvent over HTTP and what is not (HTTP binding and JSON format 1.0.2), row by row."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from events_world import structured
from hypothesis import given
from hypothesis import strategies as st

from proxy_addons.events import header_value, http_binding, json_format
from proxy_addons.events.event import Event, InvalidEventError, epoch
from proxy_addons.events.http_binding import NotAnEventError, UnsupportedError

MINIMAL = {"specversion": "1.0", "id": "1", "source": "/s", "type": "com.example.t"}


def binary(body: bytes = b"", content_type: str = "", **attributes: str) -> Event:
    fields = [(f"ce-{name}".encode(), value.encode("latin-1")) for name, value in attributes.items() if value]
    if content_type:
        fields.append((b"content-type", content_type.encode()))
    (event,) = http_binding.parse(fields, body)
    return event


def in_structure(event: Any, content_type: str = http_binding.STRUCTURED) -> list[Event]:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return http_binding.parse([(b"content-type", content_type.encode())], body)


def test_binary_mode_takes_attributes_from_headers_and_data_from_the_body() -> None:
    event = binary(b'{"a": 1}', "application/json; charset=utf-8", **MINIMAL, subject="x", comexampleext="y")
    assert event.attributes == MINIMAL | {
        "subject": "x",
        "comexampleext": "y",
        "datacontenttype": "application/json; charset=utf-8",
    }
    assert event.data == b'{"a": 1}'


def test_binary_mode_without_a_body_has_no_data() -> None:
    assert binary(**MINIMAL).data is None


def test_structured_mode_takes_everything_from_the_body() -> None:
    (event,) = in_structure(MINIMAL | {"time": "2026-11-23T09:30:00Z", "data": {"a": [1, 2]}, "flag": True, "count": 7})
    assert event.attributes["flag"] is True
    assert event.attributes["count"] == 7
    assert json.loads(event.data or b"") == {"a": [1, 2]}
    assert event.attributes["datacontenttype"] == "application/json"


def test_a_batch_holds_any_number_of_events_also_none() -> None:
    assert in_structure([], http_binding.BATCH) == []
    batch = in_structure([structured(), structured(), structured()], http_binding.BATCH)
    assert len({event.id for event in batch}) == 3


def test_the_media_type_of_a_mode_is_read_in_any_case_with_a_charset() -> None:
    assert in_structure(MINIMAL, "Application/CloudEvents+JSON; charset=UTF-8")


@pytest.mark.parametrize(
    ("value", "header"),
    [
        ("plain", "plain"),
        ("Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80"),  # the binding's own example
        ('a "quoted" one', "a%20%22quoted%22%20one"),
        ("100%", "100%25"),
        ("!#$&'()*+,-./:;<=>?@[]^_`{|}~", "!#$&'()*+,-./:;<=>?@[]^_`{|}~"),
    ],
)
def test_values_are_percent_encoded_as_the_binding_says(value: str, header: str) -> None:
    assert header_value.encode(value) == header
    assert header_value.decode(header.encode()) == value


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (b"Euro%20%e2%82%ac", "Euro €"),  # lower-case digits must be accepted
        (b"%41%42", "AB"),  # unnecessary encoding must be accepted
        (b'"with space"', "with space"),  # quoting, from an older version of the binding
        (rb'"a \"b\" \\c"', r'a "b" \c'),
        (b'"%E2%82%AC"', "€"),  # unquoted first, then decoded, once
        (b"%2541", "%41"),
        (b"  x  ", "x"),
    ],
)
def test_values_of_other_senders_are_understood(header: bytes, value: str) -> None:
    assert header_value.decode(header) == value


@pytest.mark.parametrize("header", [b"%C0%A0", b"%E2%82", b"%ED%A0%80", b"%FF", b"%", b"%4", b"%zz", "€".encode()])
def test_what_is_no_utf_8_is_refused(header: bytes) -> None:
    with pytest.raises(ValueError, match=r"UTF-8|%"):
        header_value.decode(header)


@given(st.text())
def test_any_text_survives_a_header(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    encoded = header_value.encode(text)
    assert encoded.isascii()
    assert " " not in encoded
    assert header_value.decode(encoded.encode()) == text


BAD_ATTRIBUTES = [
    ("specversion", None),
    ("specversion", "0.3"),
    ("specversion", "1.1"),
    ("id", None),
    ("id", ""),
    ("source", None),
    ("source", ""),
    ("source", "not a uri"),
    ("source", "http://[::1/%zz"),
    ("type", None),
    ("type", ""),
    ("subject", ""),
    ("time", "yesterday"),
    ("time", "2026-11-23 09:30:00Z"),
    ("time", "2026-13-01T00:00:00Z"),
    ("time", "2026-11-23T09:30:00"),
    ("time", "2026-11-23T09:30:00.\uff15Z"),
    ("dataschema", ""),
    ("dataschema", "/relative"),
    ("datacontenttype", "json"),
    ("expirytime", "soon"),
    ("myExtension", "x"),
    ("my-extension", "x"),
    ("my_extension", "x"),
    ("ext", "a\nb"),
    ("ext", "a\x80b"),
    ("ext", "\ufdd0"),
    ("ext", "\U0001ffff"),
    ("ext", 2**31),
    ("ext", -(2**31) - 1),
    ("ext", 1.5),
    ("ext", {"a": 1}),
    ("ext", []),
    ("id", 1),
    ("type", True),
]


@pytest.mark.parametrize(("name", "value"), BAD_ATTRIBUTES)
def test_a_broken_attribute_is_refused_by_name_and_place(name: str, value: Any) -> None:
    event = {key: old for key, old in (MINIMAL | {name: value}).items() if key != name or value is not None}
    with pytest.raises(InvalidEventError) as caught:
        in_structure([MINIMAL, event], http_binding.BATCH)
    assert (caught.value.attribute, caught.value.index) == (name, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("time", "2026-11-23T09:30:00.123456789+09:00"),
        ("time", "2016-12-31t23:59:60z"),  # a leap second
        ("source", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66"),
        ("source", "mailto:cncf-wg@example.com"),
        ("source", "1-555-123-4567"),
        ("dataschema", "https://example.com/schema#v1"),
        ("datacontenttype", 'multipart/mixed; boundary="a b"'),
        ("ext", 2**31 - 1),
        ("ext", False),
        ("ext", ""),
        ("averyveryverylongextensionname", "x"),
        ("subject", "注文"),
    ],
)
def test_what_the_specification_allows_passes(name: str, value: Any) -> None:
    (event,) = in_structure(MINIMAL | {name: value})
    assert event.attributes[name] == value


def test_null_is_the_same_as_not_there() -> None:
    (event,) = in_structure(MINIMAL | {"subject": None, "data": None})
    assert "subject" not in event.attributes
    assert event.data is None


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b'"text"', "body"),
        (b"{}", "specversion"),
        (b'{"specversion":"1.0","id":"1","source":"/s","type":"t"} x', "body"),
        (b'{"specversion":"1.0","specversion":"1.0"}', "specversion"),
        (b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":1,"data_base64":""}', "data_base64"),
        (b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"%%"}', "data_base64"),
        (b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":7}', "data_base64"),
        (b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":NaN}', "body"),
        (b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":' + b"[" * 100_000 + b"}", "data"),
        (b"\xff\xfe", "body"),
    ],
)
def test_what_is_no_json_event_is_refused(body: bytes, named: str) -> None:
    with pytest.raises(InvalidEventError) as caught:
        in_structure(body)
    assert caught.value.attribute == named


def test_headers_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(InvalidEventError, match="twice"):
        http_binding.parse([(b"ce-specversion", b"1.0"), (b"ce-id", b"1"), (b"ce-id", b"2")], b"")
    with pytest.raises(InvalidEventError, match="Content-Type"):
        binary(**MINIMAL, datacontenttype="application/json")
    with pytest.raises(InvalidEventError, match="Content-Type stands twice"):
        http_binding.parse([(b"content-type", b"text/plain"), (b"content-type", b"application/json")], b"")


def test_a_message_that_claims_nothing_is_told_apart_from_a_broken_one() -> None:
    with pytest.raises(NotAnEventError):
        http_binding.parse([(b"content-type", b"application/json")], b'{"order": 1}')
    with pytest.raises(InvalidEventError, match="specversion"):
        http_binding.parse([(b"ce-id", b"1")], b"")


@pytest.mark.parametrize(
    "content_type",
    ["application/cloudevents+xml", "application/cloudevents", "application/cloudevents+json; charset=iso-8859-1"],
)
def test_a_format_that_is_not_read_here_is_unsupported(content_type: str) -> None:
    with pytest.raises(UnsupportedError):
        in_structure(MINIMAL, content_type)


def test_a_compressed_body_is_unsupported() -> None:
    with pytest.raises(UnsupportedError):
        http_binding.parse([(b"content-encoding", b"gzip"), (b"ce-id", b"1")], b"")


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b'{"a": 1.0, "big": 12345678901234567890123, "far": 1e400}', "application/json"),
        (b'"text"', "application/vnd.example+json"),
        ("数".encode(), "text/plain"),
        (b"\x00\xff", "application/octet-stream"),
        (b"not json", "application/json"),
        (None, ""),
    ],
)
def test_data_is_the_same_bytes_in_every_mode(data: bytes | None, content_type: str) -> None:
    event = binary(data or b"", content_type, **MINIMAL)
    headers, body = http_binding.structured(event)
    (again,) = http_binding.parse([(name.lower(), value) for name, value in headers], body)
    assert again == event
    headers, body = http_binding.binary(again)
    (third,) = http_binding.parse([(name.lower(), value) for name, value in headers], body)
    assert third == event


def test_a_number_of_any_length_passes_as_data_and_is_too_much_for_an_attribute() -> None:
    digits = b"9" * 5000
    event = b'{"specversion":"1.0","id":"1","source":"/s","type":"t","%b":%b%b}'
    for sign in (b"", b"-"):
        assert in_structure(event % (b"data", sign, digits))[0].data == sign + digits
        with pytest.raises(InvalidEventError, match="32 bits"):
            in_structure(event % (b"ext", sign, digits))


def test_binary_data_in_json_is_base64() -> None:
    (event,) = in_structure(MINIMAL | {"data_base64": base64.b64encode(b"\x00\x01").decode()})
    assert event.data == b"\x00\x01"
    assert json.loads(json_format.write(event))["data_base64"] == "AAE="


def test_times_are_compared_across_offsets() -> None:
    assert epoch("2026-11-23T09:30:00Z") == epoch("2026-11-23T18:30:00+09:00")
    assert epoch("2026-11-23T09:30:00.5Z") - epoch("2026-11-23T09:30:00Z") == 0.5


@given(st.binary(max_size=200))
def test_no_bytes_make_the_gate_fail_in_another_way_than_it_says(body: bytes) -> None:
    for content_type in (http_binding.STRUCTURED, http_binding.BATCH):
        try:
            in_structure(body, content_type)
        except InvalidEventError:
            continue


@pytest.mark.parametrize("content_type", ["a/b" + ";  " * 10_000 + "@", 'a/b; x="' + '\\"' * 10_000])
def test_a_media_type_that_is_none_is_found_out_at_once(content_type: str) -> None:
    with pytest.raises(InvalidEventError, match="is not a media type"):
        binary(b"x", content_type, **MINIMAL)


def test_quotes_without_an_end_are_passed_on_at_once() -> None:
    unclosed = b'"' + b'\\"' * 30_000
    assert header_value.decode(unclosed) == unclosed.decode()
    assert header_value.decode(rb'"a" "b\"c" "d') == 'a b"c "d'
