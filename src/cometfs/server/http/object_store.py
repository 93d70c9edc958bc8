"""An object store as behind a real Comet: bytes behind presigned links that expire, on a port of its own.

It takes no key, only its links, and refuses a request that shows one, as S3 does: a client that sends Comet's key
to the storage fails. Not here: which asset a link is for (`app`), and sockets (`listener`).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cometfs.server.routing import key_of
from cometfs.text.numbers import whole_of

LIFETIME = 3600
"""Seconds for which a link is valid."""

FOLDER = "/objects/"


class Stored(NamedTuple):
    """An answer with an object's bytes, and until when its link is valid, in seconds since 1970."""

    answer: ASGIApp
    expires: int


@dataclass
class ObjectStore:
    """The objects to which there are links, by signature. An ASGI application; `port` is where it listens."""

    port: int = 0
    lifetime: int = LIFETIME
    now: Callable[[], float] = time.time
    _stored: dict[str, Stored] = field(default_factory=dict)
    """In the order in which they expire."""

    @property
    def links(self) -> int:
        """How many were handed out and are remembered."""
        return len(self._stored)

    def presign(self, answer: ASGIApp, base_url: str) -> str:
        """A link to what `answer` sends, for a client that called Comet by `base_url`."""
        self._forget_expired()
        signature = secrets.token_urlsafe(24)
        expires = int(self.now()) + self.lifetime
        self._stored[signature] = Stored(answer, expires)
        query = urlencode({"Expires": expires, "Signature": signature})
        return f"http://{_host_in(base_url)}:{self.port}{FOLDER}{secrets.token_hex(8)}?{query}"

    def _forget_expired(self) -> None:
        while self._stored and (oldest := next(iter(self._stored))) and self._is_over(self._stored[oldest].expires):
            del self._stored[oldest]

    def _is_over(self, expires: int) -> bool:
        return expires <= self.now()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(Request(scope))(scope, receive, send)

    def _answer(self, request: Request) -> ASGIApp:
        if request.method != "GET" or not request.url.path.startswith(FOLDER):
            return _refused(405, "MethodNotAllowed", "a link is for GET")
        if key_of(request.scope) is not None:
            return _refused(400, "InvalidArgument", "a link is enough: this request has a key, too")
        return self._object(request.query_params)

    def _object(self, query: QueryParams) -> ASGIApp:
        expires = whole_of(query.get("Expires", "")) or 0
        found = self._stored.get(query.get("Signature", ""))
        if found is not None and found.expires != expires:
            found = None
        if self._is_over(expires):
            return _refused(403, "AccessDenied", "Request has expired")
        return found.answer if found else _refused(403, "SignatureDoesNotMatch", "the signature is not of this link")


def _host_in(base_url: str) -> str:
    host = urlsplit(base_url).hostname or ""
    return f"[{host}]" if ":" in host else host


def _refused(status: int, code: str, message: str) -> Response:
    """A refusal in S3's form."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(body, status, media_type="application/xml")
