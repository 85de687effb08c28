"""The rules of the zone, question by question, without a network."""

import struct
import sys

import pytest
from dnslib import CLASS, EDNS0, OPCODE, QTYPE, RCODE, DNSRecord, EDNSOption

import dns
from dns.message import LONGEST
from dns.records import MOST_RECORDS
from dns.zone import MOST_TEMPLATES, Zone

A, NS, SOA, TXT, AAAA, SRV, DS, HTTPS, SVCB, IXFR, AXFR, ANY = 1, 2, 6, 16, 28, 33, 43, 65, 64, 251, 252, 255
IN, CH, HS, NONE, ANY_CLASS = 1, 3, 4, 254, 255
RD = 0x0100
OPT = 41


def name(text: str) -> bytes:
    return b"".join(bytes((len(label),)) + label.encode() for label in text.split(".") if label) + b"\0"


def query(qname, qtype=A, qclass=IN, *, ident=0x1234, flags=RD, counts=(1, 0, 0, 0), tail=b"") -> bytes:
    wire = name(qname) if isinstance(qname, str) else qname
    return struct.pack("!6H", ident, flags, *counts) + wire + struct.pack("!HH", qtype, qclass) + tail


def opt(size=1232, version=0, flags=0, options=b"", owner=b"\0") -> bytes:
    return owner + struct.pack("!HHBBHH", OPT, size, 0, version, flags, len(options)) + options


def with_opt(qname, qtype=A, **fields) -> bytes:
    return query(qname, qtype, counts=(1, 0, 0, 1), tail=opt(**fields))


def ask(wire: bytes, zone: Zone | None = None) -> DNSRecord:
    reply = (zone or Zone("local.example.com")).answer(wire)
    assert reply is not None
    return DNSRecord.parse(reply)


def said(reply: DNSRecord) -> str:
    """An answer in one line: status, flags, and each section's records."""
    h = reply.header
    flags = "".join(f" {f}" for f in ("aa", "tc", "rd", "ra", "ad", "cd") if getattr(h, f))
    answers = "".join(f" {QTYPE[rr.rtype]}={rr.rdata}" for rr in reply.rr)
    authority = "".join(f" [{QTYPE[rr.rtype]} {rr.rname}]" for rr in reply.auth)
    return f"{RCODE.get(h.rcode)}{flags}{answers}{authority}"


SOA_DATA = "ns.local.example.com. hostmaster.local.example.com. 1 3600 600 86400 60"
NODATA = "NOERROR aa rd [SOA local.example.com.]"
REFUSED = "REFUSED rd"

RULES = [
    ("local.example.com", A, "NOERROR aa rd A=127.0.0.1"),
    ("local.example.com", AAAA, "NOERROR aa rd AAAA=::1"),
    ("netshop.local.example.com", A, "NOERROR aa rd A=127.0.0.1"),
    ("netshop.local.example.com", AAAA, "NOERROR aa rd AAAA=::1"),
    ("a.b.c.d.e.f.netshop.local.example.com", A, "NOERROR aa rd A=127.0.0.1"),
    ("*.local.example.com", A, "NOERROR aa rd A=127.0.0.1"),
    ("_dmarc.local.example.com", A, "NOERROR aa rd A=127.0.0.1"),
    ("local.example.com.local.example.com", AAAA, "NOERROR aa rd AAAA=::1"),
    ("ns.local.example.com", A, "NOERROR aa rd A=127.0.0.1"),
    ("local.example.com", SOA, f"NOERROR aa rd SOA={SOA_DATA}"),
    ("local.example.com", NS, "NOERROR aa rd NS=ns.local.example.com."),
    ("local.example.com", ANY, "NOERROR aa rd A=127.0.0.1 AAAA=::1"),
    ("netshop.local.example.com", ANY, "NOERROR aa rd A=127.0.0.1 AAAA=::1"),
    ("netshop.local.example.com", SOA, NODATA),
    ("netshop.local.example.com", NS, NODATA),
    ("ns.local.example.com", TXT, NODATA),
    ("hostmaster.local.example.com", TXT, NODATA),
    ("netshop.local.example.com", HTTPS, NODATA),
    ("netshop.local.example.com", SVCB, NODATA),
    ("local.example.com", HTTPS, NODATA),
    ("netshop.local.example.com", TXT, NODATA),
    ("_http._tcp.netshop.local.example.com", SRV, NODATA),
    ("local.example.com", DS, NODATA),
    ("netshop.local.example.com", 0, NODATA),
    ("netshop.local.example.com", 65280, NODATA),
    ("local.example.com", AXFR, REFUSED),
    ("netshop.local.example.com", AXFR, REFUSED),
    ("local.example.com", IXFR, REFUSED),
    ("example.com", A, REFUSED),
    ("com", A, REFUSED),
    ("", A, REFUSED),
    ("evillocal.example.com", A, REFUSED),
    ("local.example.com.evil.test", A, REFUSED),
    ("local.example.org", AAAA, REFUSED),
    ("xlocal.example.com", SOA, REFUSED),
]


@pytest.mark.parametrize(("qname", "qtype", "expected"), RULES, ids=[f"{n or 'root'}-{t}" for n, t, _ in RULES])
def test_a_question_gets_what_the_rule_says(qname, qtype, expected):
    zone = Zone("local.example.com")
    first, again = (ask(query(qname, qtype), zone) for _ in range(2))
    assert said(first) == said(again) == expected
    assert first.q.qname == qname
    assert first.q.qtype == qtype


@pytest.mark.parametrize(
    ("qclass", "expected"),
    [
        (CH, REFUSED),
        (HS, REFUSED),
        (NONE, REFUSED),
        (0, REFUSED),
        (ANY_CLASS, "NOERROR rd A=127.0.0.1"),  # and not aa: RFC 1035, section 6.2
    ],
)
def test_other_classes_are_refused_and_class_any_is_never_authoritative(qclass, expected):
    reply = ask(query("netshop.local.example.com", A, qclass))
    assert said(reply) == expected
    assert all(rr.rclass == CLASS.IN for rr in reply.rr)


@pytest.mark.parametrize("opcode", [c for c in range(16) if c != OPCODE.QUERY])
def test_an_operation_other_than_query_is_not_implemented(opcode):
    reply = Zone("local.example.com").answer(query("local.example.com", flags=RD | opcode << 11))
    assert reply == struct.pack("!6H", 0x1234, 0x8000 | opcode << 11 | RD | RCODE.NOTIMP, 0, 0, 0, 0)


@pytest.mark.parametrize("questions", [0, 2, 3, 65535])
def test_a_number_of_questions_other_than_one_is_a_format_error(questions):
    twice = name("local.example.com") + struct.pack("!HH", A, IN)
    assert said(ask(query("local.example.com", counts=(questions, 0, 0, 0), tail=twice))) == "FORMERR rd"


def test_a_response_is_never_answered():
    assert Zone("local.example.com").answer(query("local.example.com", flags=0x8000 | RD)) is None


@pytest.mark.parametrize("length", range(12))
def test_a_packet_shorter_than_a_header_is_dropped(length):
    assert Zone("local.example.com").answer(query("local.example.com")[:length]) is None


def test_a_query_cut_anywhere_after_its_header_is_a_format_error():
    whole = with_opt("netshop.local.example.com", options=b"\0\x0a\0\x08cookies!")
    zone = Zone("local.example.com")
    for length in range(12, len(whole)):
        assert said(ask(whole[:length], zone)) == "FORMERR rd", length
    assert said(ask(whole, zone)) == "NOERROR aa rd A=127.0.0.1"


@pytest.mark.parametrize("rd", [0, RD])
def test_the_recursion_desired_bit_is_echoed_and_no_recursion_is_promised(rd):
    header = ask(query("local.example.com", flags=rd | 0x0030)).header  # with AD and CD set
    assert (header.rd, header.ra, header.ad, header.cd) == (bool(rd), 0, 0, 0)


def test_the_question_is_echoed_in_its_own_case_and_the_id_is_the_querys():
    zone = Zone("Local.Example.COM.")
    for ident, spelling in enumerate(
        ["NetShop.lOCAL.eXAMPLE.com", "netshop.LOCAL.EXAMPLE.COM", "NETSHOP.local.example.com"]
    ):
        wire = query(spelling, TXT, ident=ident)
        reply = zone.answer(wire)
        assert reply is not None
        assert reply[:2] == wire[:2]
        assert reply[12 : len(wire)] == wire[12:]
        soa = DNSRecord.parse(reply).auth[0]
        assert str(soa.rname) == spelling.split(".", 1)[1] + "."


def test_names_that_the_soa_contains_do_not_leak_into_the_answers_to_others():
    zone = Zone("local.example.com")
    for prefix in ("ns", "hostmaster", "ab", "abcdefghij"):
        soa = ask(query(f"{prefix}.local.example.com", TXT), zone).auth[0]
        assert str(soa.rdata) == SOA_DATA


def test_ttl_and_addresses_are_those_of_the_zone():
    zone = Zone("test", "10.1.2.3", "fd00::1:2", 5)
    assert said(ask(query("a.test", ANY), zone)) == "NOERROR aa rd A=10.1.2.3 AAAA=fd00::1:2"
    assert ask(query("a.test"), zone).rr[0].ttl == 5
    negative = ask(query("a.test", TXT), zone).auth[0]
    assert (negative.ttl, negative.rdata.times[-1]) == (5, 5)


def test_a_zone_without_ipv6_has_no_aaaa_record():
    zone = Zone("local.example.com", ipv6=None)
    assert said(ask(query("a.local.example.com", AAAA), zone)) == NODATA
    assert said(ask(query("a.local.example.com", ANY), zone)) == "NOERROR aa rd A=127.0.0.1"


class TestEdns:
    def test_an_opt_record_is_answered_by_one_and_its_absence_by_none(self):
        assert ask(query("a.local.example.com")).ar == []
        [answered] = ask(with_opt("a.local.example.com")).ar
        assert (answered.rtype, answered.edns_ver, answered.edns_len, answered.rdata) == (OPT, 0, 1232, [])

    @pytest.mark.parametrize("qname", ["a.local.example.com", "example.org"])
    @pytest.mark.parametrize("do", [0, 1])
    def test_the_dnssec_ok_bit_is_echoed_and_other_flags_are_not(self, qname, do):
        [answered] = ask(with_opt(qname, flags=do << 15 | 0x7FFF)).ar
        assert answered.ttl == do << 15

    @pytest.mark.parametrize("qname", ["a.local.example.com", "example.org"])
    @pytest.mark.parametrize("version", [1, 2, 255])
    def test_another_version_is_bad_and_ours_is_told(self, qname, version):
        reply = ask(with_opt(qname, version=version))
        [answered] = reply.ar
        assert (answered.edns_rcode << 4 | reply.header.rcode, answered.edns_ver) == (16, 0)
        assert reply.rr == reply.auth == []

    def test_options_are_ignored_and_not_echoed(self):
        cookie = DNSRecord.question("a.local.example.com")
        cookie.add_ar(EDNS0(udp_len=4096, opts=[EDNSOption(10, b"12345678"), EDNSOption(65001, b"")]))
        reply = ask(bytes(cookie.pack()))
        assert said(reply) == "NOERROR aa rd A=127.0.0.1"
        assert reply.ar[0].rdata == []

    @pytest.mark.parametrize(
        "tail",
        [
            opt() + opt(),
            opt(owner=b"\1x\0"),
            opt(options=b"\0\x0a\0\x09cookies!"),
            opt(options=b"\0\x0a\0\x08cookies!")[:-1],
        ],
        ids=["two", "named", "option-too-long", "cut"],
    )
    def test_an_opt_record_against_the_rules_is_a_format_error(self, tail):
        number = 2 if tail == opt() + opt() else 1
        assert said(ask(query("a.local.example.com", counts=(1, 0, 0, number), tail=tail))) == "FORMERR rd"

    def test_an_opt_record_behind_another_record_counts(self):
        signature = b"\0" + struct.pack("!HHIH", 250, 255, 0, 4) + b"TSIG"
        reply = ask(query("a.local.example.com", counts=(1, 0, 0, 2), tail=signature + opt()))
        assert said(reply) == "NOERROR aa rd A=127.0.0.1"
        assert len(reply.ar) == 1


def test_an_incremental_transfer_with_its_soa_is_refused():
    soa = b"\xc0\x0c" + struct.pack("!HHIH", SOA, IN, 0, 22) + b"\0\0" + bytes(20)
    assert said(ask(query("local.example.com", IXFR, counts=(1, 0, 1, 0), tail=soa))) == REFUSED


def test_bytes_behind_the_message_are_ignored():
    assert said(ask(query("a.local.example.com", tail=b"junk"))) == "NOERROR aa rd A=127.0.0.1"


class TestNames:
    def test_a_label_of_63_octets_is_allowed_and_one_of_64_is_not(self):
        zone = Zone("local.example.com")
        assert said(ask(query(f"{'x' * 63}.local.example.com"), zone)) == "NOERROR aa rd A=127.0.0.1"
        assert said(ask(query(f"{'x' * 64}.local.example.com"), zone)) == "FORMERR rd"

    @pytest.mark.parametrize("kind", [0x40, 0x80, 0xC0])
    def test_a_length_byte_of_another_kind_is_a_format_error(self, kind):
        wire = query(bytes((kind | 1,)) + b"x" + name("local.example.com"))
        assert said(ask(wire)) == "FORMERR rd"

    @pytest.mark.parametrize(
        "wire",
        [
            b"\xc0\x0c",
            b"\xc0\x00",
            b"\xc0\xff",
            b"\1a\xc0\x0c",
            b"\1a\xc0\x0e\xc0\x0c",
            name("local.example.com")[:-1] + b"\xc0\x0c",
        ],
    )
    def test_a_compression_pointer_in_the_question_is_a_format_error(self, wire):
        assert said(ask(query(wire))) == "FORMERR rd"

    @pytest.mark.parametrize("owner", [b"\xc0\x20", b"\xc0\x1f", b"\1a\xc0\x1f", b"\xff\xff"])
    def test_a_pointer_loop_behind_the_question_is_a_format_error(self, owner):
        head = len(query("local.example.com"))
        looped = owner.replace(b"\xc0\x20", struct.pack("!H", 0xC000 | head)).replace(
            b"\xc0\x1f", struct.pack("!H", 0xC000 | head)
        )
        tail = looped + struct.pack("!HHIH", TXT, IN, 0, 1) + b"\0"
        assert said(ask(query("local.example.com", counts=(1, 0, 0, 1), tail=tail))) == "FORMERR rd"

    def test_the_longest_name_is_answered_and_one_octet_more_is_a_format_error(self):
        suffix = name("local.example.com")
        zone = Zone("local.example.com")
        for total, expected in ((255, "NOERROR aa rd [SOA local.example.com.]"), (256, "FORMERR rd")):
            room = total - len(suffix)
            labels = [63] * (room // 64) + ([room % 64 - 1] if room % 64 else [])
            wire = b"".join(bytes((n,)) + b"x" * n for n in labels) + suffix
            assert len(wire) == total
            assert said(ask(query(wire, TXT), zone)) == expected

    def test_a_name_of_127_labels_is_answered(self):
        wire = b"\1x" * 118 + name("local.example.com")
        assert len(wire) == 255
        assert said(ask(query(wire))) == "NOERROR aa rd A=127.0.0.1"

    def test_a_binary_label_is_a_name_like_any_other(self):
        zone = Zone("local.example.com")
        for label in (b"\0", b"\xff\xfe", b"a.b", b"\xc0\x0c", bytes(range(63))):
            wire = query(bytes((len(label),)) + label + name("local.example.com"))
            reply = zone.answer(wire)
            assert reply is not None
            assert reply[2:12] == struct.pack("!5H", 0x8500, 1, 1, 0, 0)
            assert reply[12 : len(wire)] == wire[12:]
            assert reply.endswith(b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1")

    def test_a_label_that_contains_the_zones_bytes_does_not_make_a_name_ours(self):
        inner = name("local.example.com")
        zone = Zone("local.example.com")
        for wire in (
            bytes((4 + len(inner) - 1,)) + b"evil" + inner[:-1] + b"\0",  # evil\005local\007example\003com, one label
            b"\x0aevil\x05local" + name("example.com"),  # the boundary lies within a label
        ):
            reply = zone.answer(query(wire))
            assert reply is not None
            assert reply[3] & 15 == RCODE.REFUSED

    def test_only_ascii_letters_are_equal_in_both_cases(self):
        assert said(ask(query(b"\5local\7ex\x41mple\3COM\0"))) == "NOERROR aa rd A=127.0.0.1"
        assert said(ask(query(b"\5local\7ex\x01mple\3com\0"))) == REFUSED  # 0x41 and 0x01 differ by the bit that counts


class TestBounds:
    def test_no_answer_of_the_zone_needs_truncation(self):
        longest = query(
            b"\x3f"
            + b"x" * 63
            + b"\x3f"
            + b"x" * 63
            + b"\x3f"
            + b"x" * 63
            + b"\x2b"
            + b"x" * 43
            + name("local.example.com")
        )
        zone = Zone("local.example.com")
        for qtype in (A, AAAA, ANY, TXT, HTTPS):
            wire = longest[:6] + b"\0\0\0\0\0\1" + longest[12:-4] + struct.pack("!HH", qtype, IN) + opt(size=0)
            reply = zone.answer(wire)
            assert reply is not None
            assert len(reply) <= 512
            assert said(DNSRecord.parse(reply)).startswith("NOERROR aa rd")

    def test_templates_are_bounded(self):
        zone = Zone("local.example.com")
        for qtype in range(MOST_TEMPLATES + 50):
            zone.answer(query("a.local.example.com", qtype))
        assert len(zone._templates) <= MOST_TEMPLATES

    def test_a_clients_cookies_are_not_kept(self):
        zone = Zone("local.example.com")
        for n in range(100):
            zone.answer(with_opt("a.local.example.com", options=b"\0\x0a\0\x08" + n.to_bytes(8, "big")))
        assert len(zone._templates) == 0

    def test_more_records_than_a_query_can_need_are_a_format_error(self):
        record = b"\0" + struct.pack("!HHIH", 250, 255, 0, 1) + b"x"
        for number, expected in ((MOST_RECORDS, "NOERROR aa rd A=127.0.0.1"), (MOST_RECORDS + 1, "FORMERR rd")):
            assert said(ask(query("a.local.example.com", counts=(1, 0, 0, number), tail=record * number))) == expected

    def test_a_query_is_read_up_to_the_size_that_is_advertised(self):
        room = LONGEST - len(with_opt("a.local.example.com", options=b"1234"))
        for padding, expected in ((room, "NOERROR aa rd A=127.0.0.1"), (room + 1, "FORMERR rd")):
            options = struct.pack("!HH", 12, padding) + bytes(padding)
            assert said(ask(with_opt("a.local.example.com", options=options))) == expected

    def test_eight_kilobytes_cost_no_more_than_an_ordinary_query(self):
        ordinary = steps(with_opt("netshop.local.example.com"))
        question = b"\xc0\x0c\0\1\0\1"
        many = query("local.example.com", counts=(1365, 0, 0, 0), tail=question * 1364)
        labels = query(b"\1x" * 4000 + b"\0")
        records = query(
            "local.example.com", counts=(1, 0, 700, 0), tail=(b"\0" + struct.pack("!HHIH", 16, 1, 0, 1) + b"\0") * 700
        )
        options = with_opt("local.example.com", options=b"\xfd\xe9\0\0" * 2000)
        for wire in (many, labels, records, options):
            assert len(wire) > 7900
            assert steps(wire) < ordinary

    def test_the_longest_query_that_is_read_costs_a_bounded_multiple_of_an_ordinary_one(self):
        ordinary = steps(with_opt("netshop.local.example.com"))
        room = LONGEST - len(with_opt("local.example.com"))
        options = with_opt("local.example.com", options=b"\xfd\xe9\0\0" * (room // 4))
        texts = query(
            "local.example.com", counts=(1, 0, 0, 1), tail=b"\0" + struct.pack("!HHIH", 16, 1, 0, 1180) + bytes(1180)
        )
        labels = query(b"\1x" * 600 + b"\0")
        for wire in (options, texts, labels):
            assert len(wire) > 1200
            assert steps(wire) < 60 * ordinary


def steps(wire: bytes) -> int:
    """How many bytecodes a new zone runs for one query: a cost that does not depend on the machine's load."""
    count = 0

    def trace(frame, event, _arg):
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    zone = Zone("local.example.com")
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        zone.answer(wire)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    "domain",
    [
        "",
        ".",
        "a..b",
        ".a",
        "-a.test",
        "a-.test",
        "a b.test",
        "*.test",
        "x" * 64,
        "ドメイン.test",
        ".".join(["x" * 60] * 4 + ["com"]),
    ],
)
def test_a_domain_that_is_no_host_name_is_told(domain):
    with pytest.raises(ValueError, match=r"domain name|ASCII|too long"):
        Zone(domain)


@pytest.mark.parametrize(
    "wrong", [{"ipv4": "::1"}, {"ipv4": "localhost"}, {"ipv6": "127.0.0.1"}, {"ttl": -1}, {"ttl": 2**31}]
)
def test_a_wrong_address_or_ttl_is_told(wrong):
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        Zone("local.example.com", **wrong)


def test_the_longest_domain_that_is_taken_is_answered_for():
    domain = ".".join(["x" * 60] * 3 + ["x" * 59])
    assert said(ask(query(domain, SOA), Zone(domain))).startswith("NOERROR aa rd SOA=ns.x")


def test_the_package_called_dns_is_ours():
    assert "resolver for the workspace" in (dns.__doc__ or "")
    assert not hasattr(dns, "resolver")
