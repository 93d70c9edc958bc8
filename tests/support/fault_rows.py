"""What single requests may meet, and what a program must get then: the table of the matrix of faults.

A fault meets every request of one kind about one experiment or project. The errno that is expected is what the manual
promises (semantics.md): EREMOTEIO for a server that fails, ENETUNREACH for no network, ETIMEDOUT for silence, EPROTO
for an answer that is not Comet's, EFBIG for one that is too big.

Not here: faults of a whole server (fault_scenarios.py), and how a row is run (fault_matrix.py).
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from errno import EACCES, EFBIG, ENETUNREACH, ENOENT, ENOTSUP, EPROTO, EREMOTEIO, ESTALE, ETIMEDOUT

from tests.support import fault_kinds as kinds
from tests.support.fault_kinds import COMET, HTML, PAGE, instead
from tests.support.fault_proxy import Exchange, Fault

LISTING, FILE, ASSET = "listing", "file", "asset"

RIGHT = 0
"""Instead of an errno: the program gets the bytes that are true."""


@dataclass(frozen=True)
class Case:
    """What happens at a place, and what a program gets then."""

    group: str
    name: str
    place: str
    expected: int
    """An errno, or RIGHT."""
    says: str
    """A part of the sentence in the log, as a regular expression."""

    @property
    def project(self) -> str:
        """That all this happens to."""
        return re.sub(r"[^a-z0-9]+", "-", f"{self.place} {self.name}".lower()).strip("-")


@dataclass(frozen=True)
class Row(Case):
    """A fault of single requests."""

    fault: Fault
    silent: bool = False
    """Whether it is for its deadline that a program gets an error."""
    alone: bool = False
    """Whether the memory that it takes is to be measured."""


def rows() -> list[Row]:
    return [*_passing(), *_connections(), *_framing(), *_contents(), *_statuses(), *_redirects()]


def _at(group: str, name: str, fault: Fault, expected: int, says: str, places: str = "", **more: bool) -> Iterator[Row]:
    for place in places.split() or (LISTING, FILE, ASSET):
        # Of a list, ENOENT would be its end.
        errno = ESTALE if (place, expected) == (LISTING, ENOENT) else expected
        yield Row(group, name, place, errno, says, fault, **more)


def _passing() -> Iterator[Row]:
    """What is over when the call is tried again."""
    for name, fault in (
        ("reset twice", kinds.reset),
        ("cut twice", kinds.after_headers(kinds.closed)),
        ("408 twice", instead(b"", 408)),
        ("503 twice", instead(COMET, 503)),
        ("502 twice, with a page", instead(PAGE, 502, *HTML)),
    ):
        # A small asset is asked for twice: it may have cost a call.
        places = "listing file" if name.startswith("cut") else ""
        yield from _at("passing", name, kinds.at_first(2, fault), RIGHT, "", places)
    yield from _at("passing", "cut once", kinds.at_first(1, kinds.after_headers(kinds.closed)), RIGHT, "", "asset")


def _connections() -> Iterator[Row]:
    for name, fault in (
        ("reset before an answer", kinds.reset),
        ("closed before an answer", kinds.closed),
        ("reset inside the headers", kinds.inside_headers(kinds.reset)),
        ("reset inside the body", kinds.after_headers(kinds.reset)),
    ):
        yield from _at("connection", name, fault, ENETUNREACH, "connection (broke|ended)|answer from")
    late = ETIMEDOUT, "(?i)no answer within|nothing came|byte.* arrived"
    for name, fault in (
        ("silence before an answer", kinds.silent),
        ("silence inside the headers", kinds.inside_headers(kinds.silent)),
        ("silence inside the body", kinds.after_headers(kinds.silent)),
        ("a byte a second", kinds.dripping(1.0)),
    ):
        yield from _at("connection", name, fault, *late, silent=True)


def _framing() -> Iterator[Row]:
    group = "framing"
    cut = "connection (broke|ended)"
    yield from _at(group, "cut, with a length", kinds.after_headers(kinds.closed), ENETUNREACH, cut)
    yield from _at(group, "cut, in chunks", kinds.cut_chunked, ENETUNREACH, cut)
    yield from _at(group, "cut, with no length", kinds.cut_unframed, ENETUNREACH, cut)
    yield from _at(
        group, "a length that is too short", kinds.length_too_short, EPROTO, "not what it should be", "listing file"
    )
    yield from _at(group, "bytes behind the answer", kinds.followed_by(b"garbage"), RIGHT, "")
    yield from _at(group, "a forged answer behind it", kinds.followed_by(kinds.FORGED.wire()), RIGHT, "")
    yield from _at(group, "bytes behind the last chunk", kinds.chunked_followed, RIGHT, "")
    yield from _at(group, "no HTTP", kinds.raw(b"\x00\x01SSH-2.0-OpenSSH\r\n\r\n"), ENETUNREACH, "connection broke")
    header = b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * (4 << 20)
    yield from _at(group, "a header of 4 MB", kinds.raw(header), ENETUNREACH, "connection broke")
    for name, encoding in (("another encoding", "br"), ("no gzip", "gzip")):
        plain = kinds.encoded(encoding, lambda body: body)
        yield from _at(group, name, plain, EPROTO, "not asked for|not compressed as it says", "listing file")
        yield from _at(group, name, plain, RIGHT, "", ASSET)  # those are kept as they came
    yield from _at(group, "damaged gzip", kinds.encoded("gzip", kinds.broken_gzip), EPROTO, "not compressed|has no end")
    half = kinds.encoded("gzip", lambda body: gzip.compress(body)[:-20])
    yield from _at(group, "cut gzip", half, EPROTO, "has no end")
    more = kinds.encoded("gzip", lambda body: gzip.compress(body) + b"garbage")
    yield from _at(group, "bytes behind gzip", more, EPROTO, "something follows")
    yield from _at(group, "10 GiB of gzip in 10 MB", kinds.bomb(), EFBIG, "more than", "listing file", alone=True)
    endless = kinds.endless(b'{"values": [', b'{"name": "x", "valueCurrent": "y"},')
    yield from _at(group, "10 GiB of JSON", endless, EFBIG, "more than", "listing file", alone=True)
    spaces = kinds.endless(b"", b" " * 4096)
    yield from _at(group, "10 GiB of blanks", spaces, EFBIG, "more than", "listing file", alone=True)
    yield from _at(group, "10 GiB of blanks", spaces, EFBIG, "bytes", ASSET, alone=True)
    yield from _at(group, "10 GiB of gzip in 10 MB", kinds.bomb(), EFBIG, "bytes", ASSET, alone=True)


def _contents() -> Iterator[Row]:
    group = "content"
    shape = "not what it should be"
    for name, fault in (("a page instead", instead(PAGE, 200, *HTML)), ("a page, called JSON", instead(PAGE))):
        yield from _at(group, name, fault, EREMOTEIO, "page", "listing file")
        yield from _at(group, name, fault, EPROTO, "page", ASSET)
    yield from _at(group, "a refusal with status 200", instead(b'{"msg": "expired", "code": 401}'), EPROTO, "")
    yield from _at(group, "nothing", instead(b""), EPROTO, "")
    for name, body in (
        ("cut JSON", b'{"values": [{"na'),
        ("null", b"null"),
        ("a number", b"5"),
        ("a list", b"[1, 2, 3]"),
        ("an object without its field", b"{}"),
        ("a field of a wrong type", b'{"values": "text", "experiments": 7}'),
        ("100,000 brackets", b"[" * 100_000),
        ("no UTF-8", b'{"values": "\xff\xfe", "experiments": "\xff"}'),
    ):
        yield from _at(group, name, instead(body), EPROTO, shape, "listing file")
    yield from _at(group, "each field twice", kinds.edited(kinds.doubled_fields), RIGHT, "", "listing file")


def _statuses() -> Iterator[Row]:
    """With each body for a file; a listing and an asset get one of them."""
    group = "status"
    for status, errnos in STATUSES.items():
        for number, ((name, body, headers), expected) in enumerate(zip(BODIES, errnos, strict=True)):
            where = FILE if number else "listing file asset"
            fault = instead(body, status, *headers)
            yield from _at(group, f"{status} {name}", fault, expected, f"answered {status}", where)
    yield from _at(group, "204", kinds.raw(b"HTTP/1.1 204 No Content\r\n\r\n"), EPROTO, "answered 204")
    yield from _at(group, "418 with no body", instead(b"", 418), ENOTSUP, "answered 418")
    yield from _at(group, "599 with no body", instead(b"", 599), EREMOTEIO, "answered 599")


BODIES = (("with no body", b"", ()), ("in Comet's form", COMET, ()), ("with a page", PAGE, HTML))

STATUSES = {
    400: (EPROTO, ENOENT, EREMOTEIO),
    401: (EACCES,) * 3,
    402: (EACCES,) * 3,
    403: (EACCES,) * 3,
    404: (ENOENT, ENOENT, ENOTSUP),
    408: (EREMOTEIO,) * 3,
    500: (EREMOTEIO,) * 3,
    502: (EREMOTEIO,) * 3,
    503: (EREMOTEIO,) * 3,
    504: (EREMOTEIO,) * 3,
}
"""By status, what becomes of it with each of these bodies."""


def _redirects() -> Iterator[Row]:
    group = "redirect"

    def itself(exchange: Exchange) -> str:
        return exchange.request.target

    yield from _at(group, "to itself", kinds.redirecting(itself), EPROTO, "redirect")
    away = kinds.redirecting(lambda exchange: exchange.elsewhere)
    yield from _at(group, "to another host", away, EPROTO, "redirect", "listing file")
    yield from _at(group, "to another host", away, EPROTO, "page came instead", ASSET)  # that host has pages
    yield from _at(group, "to nowhere", kinds.redirecting(lambda _: "ftp://[:"), EPROTO, "redirect")
