"""Decodes HPACK's Huffman code (RFC 7541, section 5.2 and appendix B), a byte at a time.

The code's tree is walked bit by bit once for each pair of (node, byte) that occurs, and remembered: text in a few
dozen common letters meets some hundred pairs. The code itself is a table of the ``hpack`` package.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

_EOS: Final = 256
#: Padding is at most seven bits, all ones: the beginning of EOS (RFC 7541, section 5.2).
_LONGEST_PADDING: Final = 7
#: Pairs that are remembered; there are 65,536, and who sends them all on purpose shall not cost 10 MB.
_MOST_STEPS: Final = 8192
#: Strings that are remembered: header values come again, on this connection and the next.
_MOST_STRINGS: Final = 2048
_LONGEST_STRING: Final = 256


class _Step(NamedTuple):
    node: int  # where the walk is after the byte, shifted by eight: a key is `node | byte`
    text: bytes  # the symbols that it passed
    may_end: bool  # whether what is left over is padding


def _tree() -> tuple[list[list[int]], frozenset[int]]:
    """Nodes as pairs: a positive number is a node, a negative one a symbol (``~symbol``). And where padding may end."""
    nodes: list[list[int]] = [[0, 0]]
    padding = {0}
    for symbol, (code, length) in enumerate(zip(REQUEST_CODES, REQUEST_CODES_LENGTH, strict=True)):
        node = 0
        for depth in range(length - 1, 0, -1):
            bit = code >> depth & 1
            if not nodes[node][bit]:
                nodes[node][bit] = len(nodes)
                nodes.append([0, 0])
            node = nodes[node][bit]
            if symbol == _EOS and length - depth <= _LONGEST_PADDING:
                padding.add(node)
        nodes[node][code & 1] = ~symbol
    return nodes, frozenset(padding)


_NODES, _PADDING = _tree()
_steps: dict[int, _Step] = {}
_strings: dict[bytes, bytes] = {}


def decode(data: bytes) -> bytes:
    """The text. ValueError for the EOS symbol in it, and for wrong or too long padding."""
    known = _strings.get(data)
    if known is not None:
        return known
    node, may_end = 0, True
    out: list[bytes] = []
    steps = _steps
    for byte in data:
        key = node | byte
        node, text, may_end = steps.get(key) or _walk(key)
        if text:
            out.append(text)
    if not may_end:
        raise ValueError("a Huffman string ends in no proper padding")
    decoded = b"".join(out)
    if len(data) <= _LONGEST_STRING:
        if len(_strings) >= _MOST_STRINGS:
            _strings.clear()
        _strings[data] = decoded
    return decoded


def _walk(key: int) -> _Step:
    node, byte = key >> 8, key & 0xFF
    text = b""
    for shift in range(7, -1, -1):
        node = _NODES[node][byte >> shift & 1]
        if node < 0:
            symbol = ~node
            if symbol == _EOS:
                raise ValueError("a Huffman string contains EOS")
            text += bytes((symbol,))
            node = 0
    if len(_steps) >= _MOST_STEPS:
        _steps.clear()
    step = _steps[key] = _Step(node << 8, text, node in _PADDING)
    return step
