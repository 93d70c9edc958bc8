"""Which bytes of a download a request wants, by its headers `Range`, `If-Range` and `If-Match` (RFC 9110, 13 and 14).

Not here: sending them (`downloads`).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from starlette.datastructures import Headers


class Sent(NamedTuple):
    """The status of the answer, and which bytes are in it, from `start` up to before `stop`."""

    status: int
    start: int
    stop: int


def sent(headers: Headers, size: int, etag: str) -> Sent:
    """What a request gets of `size` bytes, whose version is `etag`: all of them unless it wants one span."""
    wanted = headers.get("if-match", "*")
    if wanted != "*" and etag not in [one.strip() for one in wanted.split(",")]:
        return Sent(412, 0, 0)
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", headers.get("range", "").replace(" ", ""))
    if found is None or not any(found.groups()) or headers.get("if-range", etag) != etag:
        return Sent(200, 0, size)
    first, last = found.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    return Sent(206, start, stop) if start < stop else Sent(416, 0, 0)
