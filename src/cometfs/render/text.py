"""Answers that are a text or a list of lines."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterable

UNPACKED = 64 << 20
"""Bytes of the biggest patch that is unpacked, as of the biggest answer that is held: a megabyte of zip may hold a
gigabyte of zeros. zipfile reads no more of an entry than it announces."""


def text(answer: str | None) -> bytes:
    """The text as Comet has it; nothing for null. A lone surrogate, which UTF-8 cannot hold, becomes "?"."""
    return (answer or "").encode("utf-8", "replace")


def lines(answer: Iterable[str] | None) -> bytes:
    """One line each, in Comet's order."""
    return text("".join(f"{line}\n" for line in answer or ()))


def sorted_lines(answer: Iterable[str] | None) -> bytes:
    """One line each, sorted, so that two experiments can be compared."""
    return lines(sorted(answer or ()))


def patch(answer: bytes | None) -> bytes:
    """The patch in the zip that Comet answers; very old servers answer the text itself. What is no zip that can be read
    is shown as it is, and so is one of more than 64 MiB."""
    found = answer or b""
    if not found.startswith(b"PK"):
        return found
    try:
        with zipfile.ZipFile(io.BytesIO(found)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > UNPACKED:
                return found
            return b"".join(archive.read(entry) for entry in archive.infolist())
    except _UNREADABLE:
        return found


_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
"""What zipfile raises for a zip that is damaged, cut, encrypted, or compressed in a way that it does not know."""
