"""The zone's records and the rules by which a parsed query gets some of them: where dnslib parses and packs.

RFC 1034 and 1035, with 2308 (a negative answer carries the SOA), 6891 (EDNS) and 8482 (ANY).
"""

import enum
import ipaddress
import struct

from dnslib import (
    AAAA,
    CLASS,
    EDNS0,
    NS,
    QTYPE,
    RD,
    RR,
    SOA,
    A,
    DNSHeader,
    DNSLabel,
    DNSQuestion,
    DNSRecord,
)

from dns.message import BADVERS, LONGEST, REFUSED

LONGEST_TTL = 2**31 - 1  # RFC 2181, section 8
SMALLEST_PAYLOAD = 512  # octets that every UDP client takes: RFC 1035, section 4.2.1; RFC 6891, section 6.2.5
# IXFR's SOA, an OPT and a signature: what a query can carry beside its question. More is not worth parsing.
MOST_RECORDS = 3
ANY_CLASS = 255  # QCLASS *, which dnslib names but cannot be asked for
TRANSFERS = (QTYPE.AXFR, QTYPE.IXFR)


class Place(enum.Enum):
    """Where a name stands as the zone sees it."""

    FOREIGN = enum.auto()
    APEX = enum.auto()
    BELOW = enum.auto()


class Records:
    """What there is to say about a zone: the same addresses at every name, SOA and NS at its apex.

    `origin` is the zone's labels in lower case. Raises ValueError for an address or a `ttl` (in seconds) that is none.
    """

    def __init__(self, origin: list[bytes], ipv4: str, ipv6: str | None, ttl: int) -> None:
        if not 0 <= ttl <= LONGEST_TTL:
            raise ValueError(f"a TTL is 0 to {LONGEST_TTL} seconds, not {ttl}")
        self._origin = DNSLabel(origin)
        self._ttl = ttl
        primary = DNSLabel([b"ns", *origin])
        # Nobody transfers this zone: its serial and first three times mean nothing; the last is the negative TTL.
        soa = SOA(primary, DNSLabel([b"hostmaster", *origin]), (1, 3600, 600, 86400, ttl))
        self._everywhere: dict[int, RD] = {QTYPE.A: A(tuple(ipaddress.IPv4Address(ipv4).packed))}
        if ipv6 is not None:
            self._everywhere[QTYPE.AAAA] = AAAA(tuple(ipaddress.IPv6Address(ipv6).packed))
        self._at_apex: dict[int, RD] = {QTYPE.SOA: soa, QTYPE.NS: NS(primary)}

    def reply(self, asked: DNSRecord, place: Place) -> DNSRecord:
        """Answer a parsed query. Raises ValueError when its OPT record is against the rules."""
        question, opt = asked.q, edns(asked)
        # RA stays clear: nothing is looked up elsewhere. AD and CD too: RFC 4035, section 3.1.6.
        reply = DNSRecord(DNSHeader(id=0, bitmap=0, qr=1, rd=asked.header.rd), questions=asked.questions)
        rcode = _refusal(question, place)
        if opt and opt.edns_ver:
            rcode = BADVERS
        if not rcode:
            # Never authoritative for every class at once: RFC 1035, section 6.2.
            reply.header.aa = question.qclass == CLASS.IN
            reply.add_answer(*self._answers(question, place))
            if not reply.rr:
                reply.add_auth(self._record(self._origin, QTYPE.SOA, self._at_apex[QTYPE.SOA]))
        reply.header.rcode = rcode & 0xF
        if opt:
            reply.add_ar(EDNS0(udp_len=LONGEST, ext_rcode=rcode >> 4, flags="do" if opt.edns_do else ""))
        return reply

    def _answers(self, question: DNSQuestion, place: Place) -> list[RR]:
        """Return the records of the asked type. ANY gets the addresses: a subset, RFC 8482, section 4.1."""
        there = self._everywhere if place is Place.BELOW else self._everywhere | self._at_apex
        wanted = self._everywhere if question.qtype == QTYPE.ANY else (question.qtype,)
        return [self._record(question.qname, rtype, there[rtype]) for rtype in wanted if rtype in there]

    def _record(self, owner: DNSLabel, rtype: int, data: RD) -> RR:
        return RR(owner, rtype, CLASS.IN, self._ttl, data)


def _refusal(question: DNSQuestion, place: Place) -> int:
    """Tell why a question is not ours to answer: REFUSED or 0."""
    ours = place is not Place.FOREIGN and question.qclass in (CLASS.IN, ANY_CLASS)
    return 0 if ours and question.qtype not in TRANSFERS else REFUSED


def parse(query: bytes) -> DNSRecord:
    """Parse a query with one question. Raises ValueError when it is malformed or carries more than any query does."""
    if sum(struct.unpack_from("!3H", query, 6)) > MOST_RECORDS:
        raise ValueError("the query carries too many records")
    try:
        return DNSRecord.parse(query)
    except Exception as e:  # dnslib's field parsers raise what they happen to raise: struct.error, RecursionError, ...
        raise ValueError("the query is malformed") from e


def edns(asked: DNSRecord) -> RR | None:
    """Return the OPT record of a message, if any. Raises ValueError for two, or a named one (RFC 6891, section 6.1)."""
    records = [record for record in asked.ar if record.rtype == QTYPE.OPT]
    if len(records) > 1 or any(record.rname.label for record in records):
        raise ValueError("a message has one OPT record at most, owned by the root")
    return records[0] if records else None


def payload(asked: DNSRecord) -> int:
    """How many octets of UDP payload the sender of a query takes, as far as we go along."""
    opt = edns(asked)
    return min(max(opt.edns_len, SMALLEST_PAYLOAD), LONGEST) if opt else SMALLEST_PAYLOAD


def pack(reply: DNSRecord, limit: int) -> bytes:
    """Pack an answer; one longer than `limit` octets keeps its question and OPT, and tells by TC to ask over TCP."""
    packed = bytes(reply.pack())
    if len(packed) > limit:
        reply.header.tc = 1
        reply.rr, reply.auth = [], []
        packed = bytes(reply.pack())
    return packed
