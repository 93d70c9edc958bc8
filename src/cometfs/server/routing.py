"""Routes of exactly the methods that they name, JSON as Comet's clients take it, and where those put their API key.

Not here: which routes there are (`http.app`, `write_api.routes`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

KEY_HEADERS = ("authorization", "comet-sdk-api", "x-api-key")
"""Where clients put their key, bare: the first is Python's, R's and JavaScript's, the second Java's, the third the
optimizer's."""

OLD_BASE = "/clientlib/"
"""Below this address old versions of comet_ml put their key into the query of uploads, and into other bodies."""

KEY_WORD = "apiKey"

Handler = Callable[[Request], Awaitable[Response]]


def key_of(scope: Scope) -> str | None:
    """The API key of a request, if it is not in its body."""
    headers = Headers(scope=scope)
    in_query = QueryParams(scope["query_string"]).get(KEY_WORD) if scope["path"].startswith(OLD_BASE) else None
    return next((headers[name] for name in KEY_HEADERS if headers.get(name)), None) or in_query


def key_in(body: bytes) -> str | None:
    """The API key in a body, if it is JSON that has one."""
    try:
        words = msgspec.json.decode(body, type=_Keyed)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return words.new or words.old


class _Keyed(msgspec.Struct):
    new: str | None = msgspec.field(name=KEY_WORD, default=None)
    old: str | None = msgspec.field(name="api_key", default=None)


def exactly(path: str, handler: Handler, *methods: str) -> Route:
    """Left alone, GET would bring HEAD with it, which would stream a whole asset for nothing."""
    made = Route(path, handler)
    made.methods = set(methods)
    return made


def as_json(body: Any) -> Response:
    """Exactly ``application/json``: Comet's Python client refuses the same with a charset behind it."""
    return Response(msgspec.json.encode(body), media_type="application/json")
