"""Takes the content codings off a body as it streams past: gzip, Brotli, Zstandard (RFC 9110, section 8.4.1).

Every decoder is fed a little at a time, so that a small body which unfolds into a huge one (a "decompression bomb") is
noticed before the memory is full.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

#: What `decoded` understands; the names of ``Accept-Encoding``.
KNOWN: Final = frozenset({"gzip", "x-gzip", "br", "zstd", "identity"})
#: More than one coding on top of another is legal, rare, and multiplies what a bomb can do.
_MOST_CODINGS: Final = 2

#: A body may unfold to this many bytes, whatever it was; from there on it may be this many times what came in.
#: Apache's mod_inflate draws the line at 200 as well (DeflateInflateRatioLimit); HTML is below 20.
FREE: Final = 8 * 1024 * 1024
RATIO: Final = 200

#: Bytes that zlib hands out at a time; it can be told, the others cannot.
_PIECE: Final = 64 * 1024
#: Bytes that the others are fed at a time. Four bytes of Zstandard make at most 128 KiB (RFC 8878, section 3.1.1.2), a
#: meta-block of Brotli at most 16 MiB (RFC 7932, section 9.2) of no less than some bytes: so much is the most at once.
_SIP_ZSTD: Final = 64
_SIP_BROTLI: Final = 16
#: RFC 9659: no encoder for the web may ask for a larger window. The library's own limit is 128 MiB.
_WINDOW: Final = 8 * 1024 * 1024


class Decoder(Protocol):
    """One coding of one body. Both raise ``ValueError`` where the bytes are none of that coding."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What `data` unfolds to."""

    def end(self) -> None:
        """The body ends here."""


def decoder(content_encoding: str) -> Callable[[bytes], Iterator[bytes]] | None:
    """From ``Content-Encoding`` to a function that decodes: piece by piece, and ``b""`` for the end.

    None for a coding that is not known here. The function raises ``ValueError`` for a body that is broken, or a bomb.
    """
    codings = [name.strip().lower() for name in content_encoding.split(",") if name.strip()]
    codings = [name for name in codings if name != "identity"]
    if len(codings) > _MOST_CODINGS or not KNOWN.issuperset(codings):
        return None
    stages = [_MAKERS[name]() for name in reversed(codings)]
    return _Bounded(stages) if stages else lambda data: iter([data])


class _Bounded:
    """Several codings, one after the other, and the limit of what comes out of them."""

    def __init__(self, stages: list[Decoder]) -> None:
        self._stages = stages
        self._came = self._went = 0

    def __call__(self, data: bytes) -> Iterator[bytes]:
        self._came += len(data)
        pieces = iter([data])
        for stage in self._stages:
            pieces = _through(stage, pieces)
        for piece in pieces:
            self._went += len(piece)
            if self._went > FREE + RATIO * self._came:
                raise ValueError(f"{self._came} bytes unfold to more than {FREE + RATIO * self._came}")
            yield piece
        if not data:
            for stage in self._stages:
                stage.end()


def _through(stage: Decoder, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield from stage.pieces(piece)


class _Gzip:
    """RFC 1952; several members in a row are one body."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._begun = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        full = False
        while data or full:
            if self._inflate.eof:
                if not data.startswith(b"\x1f"):  # browsers ignore what follows the last member, and so does gzip(1)
                    return
                self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
            self._begun = True
            try:
                piece = self._inflate.decompress(data, _PIECE)
            except zlib.error as error:
                raise ValueError(f"no gzip: {error}") from error
            full = len(piece) == _PIECE
            data = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            if piece:
                yield piece

    def end(self) -> None:
        if self._begun and not self._inflate.eof:
            raise ValueError("the gzip body is cut off")


class _Brotli:
    """RFC 7932."""

    def __init__(self) -> None:
        import brotli  # noqa: PLC0415 - mitmproxy has it loaded; named here, where it is used

        self._stream: Any = brotli.Decompressor()
        self._error: type[Exception] = brotli.error
        self._begun = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), _SIP_BROTLI):
            if self._stream.is_finished():
                return
            self._begun = True
            try:
                yield self._stream.process(data[at : at + _SIP_BROTLI])
            except self._error as error:
                raise ValueError(f"no Brotli: {error}") from error

    def end(self) -> None:
        if self._begun and not self._stream.is_finished():
            raise ValueError("the Brotli body is cut off")


class _Zstd:
    """RFC 8878; several frames in a row are one body."""

    def __init__(self) -> None:
        import zstandard  # noqa: PLC0415 - as brotli

        self._new: Callable[[], Any] = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj
        self._error: type[Exception] = zstandard.ZstdError
        self._frame: Any = None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), _SIP_ZSTD):
            sip = data[at : at + _SIP_ZSTD]
            while sip:
                if self._frame is None or self._frame.eof:
                    self._frame = self._new()
                try:
                    yield self._frame.decompress(sip)
                except self._error as error:
                    raise ValueError(f"no Zstandard: {error}") from error
                sip = self._frame.unused_data if self._frame.eof else b""

    def end(self) -> None:
        if self._frame is not None and not self._frame.eof:
            raise ValueError("the Zstandard body is cut off")


_MAKERS: Final[dict[str, Callable[[], Decoder]]] = {"gzip": _Gzip, "x-gzip": _Gzip, "br": _Brotli, "zstd": _Zstd}
