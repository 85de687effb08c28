"""Any packet at all: the zone neither raises nor says what it should not. The packets are the same in every run."""

import random
import struct

from dnslib import DNSRecord

from dns.zone import Zone

PACKETS = 120_000
ZONE = b"\5local\7example\3com\0"
NAMES = (
    ZONE,
    b"\7netshop" + ZONE,
    b"\1a\1b\1c" + ZONE,
    b"\x3f" + b"x" * 63 + b"\3\xff\0." + ZONE,
    b"\x0aevil\5local\7example\3com\0",
    b"\7example\3org\0",
    b"\0",
)
OPTS = (b"", b"\0\0\x29\x04\xd0\0\0\x80\0\0\0", b"\0\0\x29\x02\0\0\1\0\0\0\x0c\0\x0a\0\x08cookies!")
TYPES = (1, 28, 65, 16, 6, 2, 255, 252, 251)


def valid_query(rng: random.Random) -> bytes:
    tail = rng.choice(OPTS)
    head = struct.pack("!6H", rng.randrange(65536), rng.choice((0, 0x0100)), 1, 0, 0, bool(tail))
    return head + rng.choice(NAMES) + struct.pack("!HH", rng.choice(TYPES), 1) + tail


def mutated(rng: random.Random, packet: bytes) -> bytes:
    """Flip, cut, insert, double or replace something, a few times."""
    wire = bytearray(packet)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(wire) + 1)
        match rng.randrange(6):
            case 0:
                wire[at : at + 1] = bytes((rng.choice((0, 1, 12, 0x3F, 0x40, 0x80, 0xC0, 0xFF)),))
            case 1:
                wire[at : at + 1] = rng.randbytes(1)
            case 2:
                del wire[at:]
            case 3:
                wire[at:at] = rng.randbytes(rng.randrange(9))
            case 4:
                wire[at : at + 2] = struct.pack("!H", 0xC000 | rng.randrange(64))
            case 5:
                wire += wire[at:] * rng.choice((1, 1, 30))
    return bytes(wire)


def packets(rng: random.Random) -> list[bytes]:
    """Two thirds mutations of valid queries, one sixth valid ones, one sixth noise behind a header that is read."""
    made = []
    for n in range(PACKETS):
        packet = valid_query(rng)
        if n % 6 == 0:
            packet = packet[:4] + rng.choice((b"\0\1", rng.randbytes(2))) + rng.randbytes(rng.randrange(60))
        elif n % 6 != 1:
            packet = mutated(rng, packet)
        made.append(packet)
    return made


def without_its_question(reply: bytes) -> bytes:
    """The answer with stars for labels, because dnslib refuses to read labels that are not UTF-8."""
    wire = bytearray(reply)
    at = 12
    while wire[4:6] != b"\0\0" and wire[at]:
        wire[at + 1 : at + 1 + wire[at]] = b"*" * wire[at]
        at += wire[at] + 1
    return bytes(wire)


def check(packet: bytes, reply: bytes) -> bytes:
    """Assert what holds for every answer; returns it as far as it is new to dnslib."""
    assert len(packet) >= 12
    assert not packet[2] & 0x80, "a response was answered"
    assert reply[:2] == packet[:2], "another query's id"
    assert reply[2] & 0x80
    assert reply[2] & 0x79 == packet[2] & 0x79, "operation code and RD"
    assert len(reply) <= 512
    if reply[4:6] != b"\0\0":
        question = without_its_question(reply).index(b"\0", 12) + 5
        assert reply[12:question] == packet[12:question], "another question"
    return without_its_question(b"\0\0" + reply[2:])


def test_no_packet_raises_or_gets_an_answer_that_is_wrong_in_form():
    rng = random.Random(20_24)
    zone = Zone("local.example.com")
    statuses = dict.fromkeys(range(6), 0)
    forms = set()
    dropped = 0
    for n, packet in enumerate(packets(rng)):
        reply = zone.answer(packet, tcp=n % 16 == 0)
        if reply is None:
            assert len(packet) < 12 or packet[2] & 0x80
            dropped += 1
            continue
        forms.add(check(packet, reply))
        statuses[reply[3] & 15] += 1
        if n % 64 == 0:
            assert Zone("local.example.com").answer(packet) == reply, "what came before changed an answer"
    for form in forms:
        parsed = DNSRecord.parse(form)
        assert len(parsed.pack()) == len(form), "bytes that belong to no section"
    # Every outcome was met often, so the checks above saw it.
    assert statuses.pop(3) == statuses.pop(2) == 0, "NXDOMAIN or SERVFAIL"
    assert min(dropped, *statuses.values()) > 1000, (dropped, statuses)
    assert len(forms) > 1000
