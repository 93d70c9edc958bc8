"""Whole bodies of requests, which may be compressed, up to a size that memory has for each of many.

Not here: bodies that stream to the disk (`write_api.multipart`).
"""

from __future__ import annotations

import zlib

import trio
from starlette.requests import Request

from cometfs.server.errors import ApiError

LONGEST_BODY = 32 << 20
"""Bytes of a body, unpacked. comet_ml sends at most some thousand values, or lines of 5,000,000 characters, at once."""

LONGEST_QUESTION = 256 << 20
"""The same of a question, or of the store of panels, which comes as a whole."""


async def whole_body(http: Request, longest: int = LONGEST_BODY) -> bytes:
    """The body, unpacked. Raises ApiError when it is too large, or not what its header announces."""
    body = bytearray()
    async for chunk in http.stream():
        body += chunk
        _check(len(body), longest)
    encoding = http.headers.get("content-encoding", "identity").lower()
    if encoding == "identity":
        return bytes(body)
    if encoding != "gzip":
        raise ApiError(415, f"no content encoding but gzip is understood, not {encoding[:60]!r}")
    return await trio.to_thread.run_sync(_unpacked, bytes(body), longest)


def _unpacked(body: bytes, longest: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        made = unpacker.decompress(body, longest + 1)
    except zlib.error as exc:
        raise ApiError(400, f"the body is no gzip: {exc}") from exc
    _check(len(made), longest)
    if not unpacker.eof:
        raise ApiError(400, "the body is no gzip: it is cut short")
    if unpacker.unused_data:
        raise ApiError(400, "the body is no gzip: there is more behind its end")
    return made


def _check(size: int, longest: int) -> None:
    if size > longest:
        raise ApiError(413, f"a body may have {longest} bytes, and this one has more")
