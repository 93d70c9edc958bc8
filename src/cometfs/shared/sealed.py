"""Values as they stand in a place that others can write to: with a mark made with the API key, compressed.

What has no such mark is not believed, nor what stands under another name or for longer than it was meant to. What must
not stand there is found here: the key itself, and links that need none. Not here: the place (place.py).
"""

from __future__ import annotations

import hashlib
import re
import zlib
from hmac import compare_digest
from typing import NamedTuple

MARK = 16
"""Bytes of a mark."""

TIME = 13
"""Digits of a time: milliseconds since 1970."""

LARGEST = 8 << 20
"""Bytes of a value, compressed."""

SHORTEST = 8
"""Characters of an API key that is looked for: a shorter one is a test's, and stands in every other answer."""

SIGNS = (b"signature", b"x-amz-credential", b"sig=", b"sig%3d", rb"sig\u003d")
"""One of these stands in each of `LINKS`: to look for them takes a hundredth of the time."""

SAMPLE = 64 << 10
"""Bytes that show whether it is worth to compress the others, too: of pictures and archives it is not."""

WORTH = 0.9
"""What compressed bytes have of the others then, at most."""

LINKS = re.compile(
    rb"(?:x-amz-signature|x-amz-credential|x-goog-signature|x-oss-signature"
    rb"|(?:[?&;]|%26|%3f|\\u0026|\\u003f|&amp;)(?:signature|sig))(?:=|%3d|\\u003d)"
)
"""What stands in links that need no key, in small letters: those of S3, Google, CloudFront, Alibaba and Azure."""

ANSWER, MISSING = b"a", b"m"


class Value(NamedTuple):
    """Times of the server, in seconds since 1970."""

    written: bytes
    arrived: float
    expires: float
    missing: bool = False
    """Whether the answer was that there is no such thing; it is `written` then why."""


class Seal:
    """Of one API key."""

    def __init__(self, api_key: str) -> None:
        self._key = api_key.encode()
        self._secret = hashlib.blake2b(self._key, person=b"cometfs shared", digest_size=32).digest()

    def digest(self, *words: str) -> str:
        """Names them, and does not tell them."""
        return hashlib.blake2b("\0".join(words).encode(), key=self._secret, digest_size=MARK).hexdigest()

    def sealed(self, name: bytes, value: Value) -> bytes | None:
        """A mark, when it arrived and until when it holds, what it is, compressed; None for what must stay here. It may
        take a while."""
        if self._is_secret(value.written):
            return None
        times = b"%0*d%0*d" % (TIME, int(value.arrived * 1000), TIME, int(value.expires * 1000))
        body = times + (MISSING if value.missing else ANSWER) + _compressed(value.written)
        return self._mark(name, body) + body if len(body) <= LARGEST else None

    def opened(self, name: bytes, sealed: bytes) -> Value | None:
        """None for what was not sealed under that name by one that has the key."""
        mark, body = sealed[:MARK], sealed[MARK:]
        if not compare_digest(mark, self._mark(name, body)):
            return None
        arrived, expires, kind = int(body[:TIME]), int(body[TIME : 2 * TIME]), body[2 * TIME : 2 * TIME + 1]
        return Value(zlib.decompress(body[2 * TIME + 1 :]), arrived / 1000, expires / 1000, kind == MISSING)

    def _is_secret(self, written: bytes) -> bool:
        lower = written.lower()
        has_link = any(sign in lower for sign in SIGNS) and LINKS.search(lower) is not None
        return has_link or (len(self._key) >= SHORTEST and self._key in written)

    def _mark(self, name: bytes, body: bytes) -> bytes:
        digest = hashlib.blake2b(key=self._secret, digest_size=MARK)
        digest.update(len(name).to_bytes(8, "big") + name)
        digest.update(body)
        return digest.digest()


def _compressed(written: bytes) -> bytes:
    sample = written[:SAMPLE]
    return zlib.compress(written, 1 if len(zlib.compress(sample, 1)) <= WORTH * len(sample) else 0)
