"""Routes of exactly the methods that they name, and JSON as Comet's clients take it.

Not here: which routes there are (`app`, `routes`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Handler = Callable[[Request], Awaitable[Response]]


def exactly(path: str, handler: Handler, *methods: str) -> Route:
    """Left alone, GET would bring HEAD with it, which would stream a whole asset to nobody."""
    made = Route(path, handler)
    made.methods = set(methods)
    return made


def as_json(body: Any) -> Response:
    """Exactly ``application/json``: Comet's Python client refuses the same with a charset behind it."""
    return Response(msgspec.json.encode(body), media_type="application/json")
