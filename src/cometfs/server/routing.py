"""Routes of exactly the methods that they name, JSON as Comet's clients take it, and where those put their API key.

Not here: which routes there are (`http.app`, `write_api.routes`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

KEY_HEADERS = ("authorization", "comet-sdk-api")
"""Where clients put their key, bare: the first is Python's, R's and JavaScript's, the second Java's."""

Handler = Callable[[Request], Awaitable[Response]]


def key_of(scope: Scope) -> str | None:
    """The API key of a request, if it has one."""
    headers = Headers(scope=scope)
    return next((headers[name] for name in KEY_HEADERS if headers.get(name)), None)


def exactly(path: str, handler: Handler, *methods: str) -> Route:
    """Left alone, GET would bring HEAD with it, which would stream a whole asset for nothing."""
    made = Route(path, handler)
    made.methods = set(methods)
    return made


def as_json(body: Any) -> Response:
    """Exactly ``application/json``: Comet's Python client refuses the same with a charset behind it."""
    return Response(msgspec.json.encode(body), media_type="application/json")
