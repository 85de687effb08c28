"""The bytes of a DNS message that are read and patched without dnslib (RFC 1035, section 4.1).

dnslib's parser refuses labels that are not UTF-8, takes a length byte of 64 to 191 for a plain label and spends a third
of a second on 8 kB of questions. So the name of a query is walked here, and dnslib gets it masked.
"""

from typing import NamedTuple

HEADER = 12
# What we advertise as the largest UDP payload, both ways: the value that DNS Flag Day 2020 agreed on (no fragments on
# IPv6's smallest MTU). No query of use is longer, over TCP either; one that is costs a look at its header and no more.
LONGEST = 1232
LONGEST_LABEL = 63
LONGEST_NAME = 255

RESPONSE = 0x80  # the bit QR, in the header's third byte
OPCODE = 0x78  # the four bits of the operation code, same byte; 0 is QUERY
OPCODE_AND_RD = 0x79

FORMERR = 1
NOTIMP = 4
REFUSED = 5
BADVERS = 16  # RFC 6891, section 9: four bits in the header, eight more in the OPT record


class Template(NamedTuple):
    """A packed answer without what differs from query to query: the id before `head`, the question between the two."""

    head: bytes
    tail: bytes


def read_name(query: bytes) -> tuple[list[int], int]:
    """Walk the name of the first question: the offset of each label's length byte, and where QTYPE begins.

    Raises ValueError when it is no name or is cut short. A compression pointer is no name here: all that stands before
    the first name, for it to point to, is the header.
    """
    labels: list[int] = []
    at = HEADER
    try:
        while length := query[at]:
            if length > LONGEST_LABEL:
                raise ValueError(f"byte {at} of the query is no label length: {length}")
            labels.append(at)
            at += length + 1
    except IndexError:
        raise ValueError("the query ends within its name") from None
    end = at + 1
    if end - HEADER > LONGEST_NAME:
        raise ValueError(f"the name of the query has {end - HEADER} octets; {LONGEST_NAME} are allowed")
    if len(query) < end + 4:
        raise ValueError("the query ends before its class")
    return labels, end


def mask(query: bytes, labels: list[int]) -> bytes:
    """Return these labels with every octet a star: the same lengths, parsed by dnslib whatever stood in them."""
    return b"".join(bytes((query[at],)) + b"*" * query[at] for at in labels)


def error(query: bytes, rcode: int) -> bytes:
    """Answer with a header alone: id, operation code and RD of the query, and the reason, which is below 16."""
    return query[:2] + bytes((RESPONSE | query[2] & OPCODE_AND_RD, rcode)) + bytes(8)
