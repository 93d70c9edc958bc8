"""What ``Content-Encoding`` did to a body, undone as it arrives, in pieces, as few bytes may stand for many.

No I/O.

httpx does this too, but inside generators that a damaged body leaves behind unfinished.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Protocol

ACCEPTED = "gzip, deflate"
"""For the header ``Accept-Encoding``."""


PIECE = 256 << 10
"""Bytes that are decoded at once: a thousandth of them on the wire may be enough for so many."""


class BrokenEncoding(ValueError):
    """The body is not in the encoding that it claims."""


class Decoder(Protocol):
    """Takes a body in parts, gives what is in them."""

    @property
    def pending(self) -> bool:
        """Whether there may be more in the parts so far: ``feed(b"")`` gives it."""

    def feed(self, part: bytes) -> bytes: ...

    def finish(self) -> None:
        """Raises BrokenEncoding when the body cannot have been all."""


class Plain:
    """No encoding."""

    pending = False

    def feed(self, part: bytes) -> bytes:
        return part

    def finish(self) -> None:
        pass


class Inflate:
    """gzip, and deflate in its zlib form."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self._begun = False
        self.pending = False

    def feed(self, part: bytes) -> bytes:
        self._begun = self._begun or bool(part)
        try:
            found = self._inner.decompress(self._inner.unconsumed_tail + part, PIECE)
        except zlib.error as exc:
            raise BrokenEncoding("it is not compressed as it says") from exc
        if self._inner.unused_data:
            raise BrokenEncoding("something follows its compressed part")
        # A full piece may have more behind it, even where all of its input is consumed.
        self.pending = len(found) == PIECE and not self._inner.eof
        return found

    def finish(self) -> None:
        if self._begun and not self._inner.eof:
            raise BrokenEncoding("its compressed part has no end")


def is_encoded(headers: Mapping[str, str]) -> bool:
    """Whether a body is not on the wire as it is, by its headers (names in lower case)."""
    return headers.get("content-encoding", "").strip().lower() not in ("", "identity")


def decoder(encoding: str) -> Decoder:
    """What undoes `encoding`, the value of the header. Raises BrokenEncoding for one that was not asked for."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return Plain()
    if name in ("gzip", "x-gzip", "deflate"):
        return Inflate()
    raise BrokenEncoding(f"it is compressed in a way that was not asked for ({name[:20]})")
