"""One zone in which every name exists and leads to this machine: question in, answer out, no input or output.

An answer depends on its query's name only by where the zone begins in it. So dnslib packs each distinct answer once, as
a template, and every later query of the same shape costs a walk over its labels and one concatenation.
"""

import re

from dns.message import (
    FORMERR,
    HEADER,
    LONGEST,
    LONGEST_NAME,
    NOTIMP,
    OPCODE,
    RESPONSE,
    Template,
    error,
    mask,
    read_name,
)
from dns.records import Place, Records, pack, parse, payload

HOST_LABEL = re.compile(rb"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
ONE = b"\0\1"
FOREIGN = 0  # where the zone begins in a name that is not below it
# QTYPE, QCLASS and an OPT without options. Longer tails are not kept: a cookie in them makes each client's its own.
LONGEST_KEPT_TAIL = 15
MOST_TEMPLATES = 2048  # about 0.3 kB each; the browsers and resolvers of a laptop use some dozens
LONGEST_TCP = 65535  # what the two octets before each message can say: RFC 1035, section 4.2.2


class Zone:
    """The workspace's domain: `domain` itself and every name below it, at any depth, have these two addresses.

    `ttl` is in seconds, for positive and negative answers; `ipv6` None means no AAAA record. Raises ValueError for a
    domain that is no host name (international names are written in their `xn--` form), a wrong address or ttl.
    """

    def __init__(self, domain: str, ipv4: str = "127.0.0.1", ipv6: str | None = "::1", ttl: int = 60) -> None:
        origin = _labels(domain)
        self.domain = b".".join(origin).decode()
        self._depth = len(origin)
        self._suffix = b"".join(bytes((len(label),)) + label for label in origin) + b"\0"
        self._records = Records(origin, ipv4, ipv6, ttl)
        self._templates: dict[tuple[int, bool, bytes], Template] = {}

    def answer(self, query: bytes, *, tcp: bool = False) -> bytes | None:
        """Answer one message in wire format; None means: drop it (it is a response, or too short to have an id).

        Over UDP the answer is at most as long as the client allows (512 octets without EDNS) and never above 1232.
        """
        if len(query) < HEADER or query[2] & RESPONSE:
            return None
        if query[2] & OPCODE:
            return error(query, NOTIMP)
        if len(query) > LONGEST or query[4:6] != ONE:  # one question: RFC 9619
            return error(query, FORMERR)
        try:
            labels, end = read_name(query)
            start = self._start(query, labels, end)
            shape = (start, tcp, query[2:HEADER] + query[end:])
            head, tail = self._templates.get(shape) or self._learn(shape, query, labels, end)
        except ValueError:
            return error(query, FORMERR)
        return query[:2] + head + query[HEADER : end + 4] + tail

    def _start(self, query: bytes, labels: list[int], end: int) -> int:
        """Tell where the zone begins in the query's name, or FOREIGN."""
        if len(labels) >= self._depth:
            start = labels[-self._depth]
            if query[start:end].lower() == self._suffix:  # a length is at most 63: lower() takes none for a capital
                return start
        return FOREIGN

    def _learn(self, shape: tuple[int, bool, bytes], query: bytes, labels: list[int], end: int) -> Template:
        """Make the template for queries of a new shape. Raises ValueError when they are malformed."""
        start, tcp, _ = shape
        if start == FOREIGN:
            place, name = Place.FOREIGN, mask(query, labels) + b"\0"
        else:  # the zone's own labels stay, so that dnslib's compression points to where they stand in the question
            place = Place.APEX if start == HEADER else Place.BELOW
            name = mask(query, labels[: -self._depth]) + self._suffix
        asked = parse(query[:HEADER] + name + query[end:])
        packed = pack(self._records.reply(asked, place), LONGEST_TCP if tcp else payload(asked))
        template = Template(packed[2:HEADER], packed[end + 4 :])
        if len(query) - end <= LONGEST_KEPT_TAIL:
            if len(self._templates) >= MOST_TEMPLATES:
                self._templates.clear()
            self._templates[shape] = template
        return template


def _labels(domain: str) -> list[bytes]:
    """Split a domain name into lower-case labels, a final dot left out. Raises ValueError when it is no host name."""
    try:
        labels = domain.removesuffix(".").lower().encode("ascii").split(b".")
    except UnicodeEncodeError:
        raise ValueError(f"{domain!r} is not ASCII: write it in its xn-- form") from None
    for label in labels:
        if not HOST_LABEL.fullmatch(label):
            raise ValueError(f"{domain!r} is no domain name: its part {label.decode()!r} is no host label")
    room = LONGEST_NAME - sum(len(label) + 1 for label in labels) - 1
    if room < len(b"\x0ahostmaster"):
        raise ValueError(f"{domain!r} is too long: names below it must fit into {LONGEST_NAME} octets")
    return labels
