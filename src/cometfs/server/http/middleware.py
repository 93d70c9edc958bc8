"""What every request passes on its way in: the access log, the checks of where it comes from and of its key, the
latency. Plain ASGI, so bodies stream.

Not here: anything about what is asked.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections import deque
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import msgspec
import trio
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cometfs.server.errors import KEY_NOT_REGISTERED, ApiError
from cometfs.server.http.hosts import OwnNames
from cometfs.server.pages.login import is_key
from cometfs.server.pages.site import Site
from cometfs.server.routing import KEY_WORD, OLD_BASE, key_in, key_of

LOG = logging.getLogger("cometfs.server")

LOGGING = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

FOREIGN = ("cross-site", "same-site")
"""What browsers say in `Sec-Fetch-Site` of a request for a page that is not this server's."""

MOST_KEYED = 1 << 20
"""Bytes of a body in which a key is looked for: those of handshakes, signs of life and reports, which are short."""

MOST_SHOWN = 100
"""Characters of a name that a refusal repeats."""


def refused(refusal: ApiError) -> Response:
    """A refusal as an answer."""
    return Response(msgspec.json.encode(refusal.body()), refusal.status, media_type="application/json")


class SiteCheck:
    """Lets in what calls this server by one of its names, and nothing that a browser sends for a page of another site.

    Of any method, to any path: Comet has GETs that delete, and a page could read what it is answered, too. A link that
    is followed from there to one of `pages` is to be followed once more.
    """

    def __init__(self, app: ASGIApp, names: OwnNames, pages: Site) -> None:
        self._app, self._names, self._pages = app, names, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers, server = Headers(scope=scope), scope.get("server") or ("", None)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._names.has_host(hosts[0], server):
            asked = hosts[0][:MOST_SHOWN] if hosts else ""
            message = f"{asked!r} is no name of this server: add it by `cometfs serve --host NAME` if it is"
            return refused(ApiError(403, message))
        origin = headers.get("origin")
        foreign = origin is not None and not self._names.has_origin(origin, server)
        if foreign or headers.get("sec-fetch-site") in FOREIGN:
            page = (origin or "no Origin")[:MOST_SHOWN]
            message = (
                f"a web page of another site asks ({page}): `cometfs serve --host NAME` lets in one of this server's"
            )
            return self._pages.once_more(scope) or refused(ApiError(403, message))
        return None


class KeyCheck:
    """Lets in requests with the key: exactly `api_key`, or any key when that is None. `open_paths` need none. Of the
    others, browsers that want a page come to `pages`, which has its own check and no way to an endpoint.

    Old versions of comet_ml have it in the body of what they post below `OLD_BASE`, and in no header.
    """

    def __init__(self, app: ASGIApp, api_key: str | None, open_paths: frozenset[str], pages: Site) -> None:
        self._app, self._api_key, self._open_paths, self._pages = app, api_key, open_paths, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = key_of(scope) if scope["type"] == "http" else None
        if key is None and scope.get("method") == "POST" and scope["path"].startswith(OLD_BASE):
            body, receive = await _begun(receive)
            key = key_in(body)
        if scope["type"] != "http" or scope["path"] in self._open_paths or self._accepts(key):
            await self._app(scope, receive, send)
        elif self._pages.takes(scope):
            await self._pages(scope, receive, send)
        else:
            await refused(ApiError(401, "API key not registered", KEY_NOT_REGISTERED))(scope, receive, send)

    def _accepts(self, key: str | None) -> bool:
        return key is not None and (self._api_key is None or is_key(key, self._api_key))


async def _begun(receive: Receive) -> tuple[bytes, Receive]:
    """The body of a request, or its first `MOST_KEYED` bytes, and what gives all of it once more."""
    messages: deque[Message] = deque()
    body = bytearray()
    while len(body) < MOST_KEYED:
        message = await receive()
        messages.append(message)
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break

    async def again() -> Message:
        return messages.popleft() if messages else await receive()

    return bytes(body[:MOST_KEYED]), again


class Latency:
    """Keeps every request waiting before it is looked at, as a network would."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app, self._seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._seconds > 0:
            await trio.sleep(self._seconds)
        await self._app(scope, receive, send)


class AccessLog:
    """Writes one JSON line per request.

    The line is in the file before the last byte of the answer is handed over, so a client that has the answer finds
    the line. A request that is given up has its line when it ends, with the bytes that were sent until then; status 0
    says that nothing was.
    """

    def __init__(self, app: ASGIApp, path: Path) -> None:
        self._app, self._path, self._failed = app, path, False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        entry = _entry(scope)
        written = False

        async def counted(message: Message) -> None:
            nonlocal written
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
            elif message["type"] == "http.response.body":
                entry["bytes"] += len(message.get("body", b""))
                if not message.get("more_body", False):
                    self._write(entry)
                    written = True
            await send(message)

        try:
            await self._app(scope, receive, counted)
        finally:
            if not written:
                self._write(entry)

    def _write(self, entry: dict[str, Any]) -> None:
        """Append in one write; the file is opened each time, so nothing is left open and a rotated log is followed.
        What the disk, or a pipe, does not take at once is not logged: the request has been done.
        """
        # In ASCII, for terminals: msgspec leaves DEL and C1 as they are.
        line = json.dumps(entry, separators=(",", ":")).replace("\x7f", "\\u007f").encode() + b"\n"
        try:
            descriptor = os.open(self._path, LOGGING, 0o666)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)
        except OSError as exc:
            if not self._failed:
                LOG.warning("%s: a request is not logged; %s", self._path, exc.strerror)
            self._failed = True
        else:
            self._failed = False


def with_log_and_latency(app: ASGIApp, path: Path | None, seconds: float) -> ASGIApp:
    """`app` behind what concerns every server, whatever it serves."""
    delayed = Latency(app, seconds)
    return delayed if path is None else AccessLog(delayed, path)


def _entry(scope: Scope) -> dict[str, Any]:
    return {
        "time": time.time(),
        "method": scope["method"],
        "path": scope["path"],
        "query": _without_key(scope["query_string"].decode("latin-1")),
        "status": 0,
        "bytes": 0,
    }


def _without_key(query: str) -> str:
    """However its name is encoded: so it is read, too."""
    words = [(word, unquote_plus(word.partition("=")[0])) for word in query.split("&")]
    return "&".join(f"{KEY_WORD}=***" if name == KEY_WORD else word for word, name in words)
