"""The embedded Comet as an ASGI application: routes, and the borders that every request passes.

Not here: sockets (`listener`); answers (`endpoints`, `downloads`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from cometfs.server.catalog.catalog import Catalog
from cometfs.server.errors import ApiError
from cometfs.server.http.failures import answer_to
from cometfs.server.http.hosts import OwnNames
from cometfs.server.http.middleware import AccessLog, KeyCheck, Latency, SiteCheck, key_of, refused
from cometfs.server.read_api import downloads, registry
from cometfs.server.read_api.endpoints import FROM_DISK, IN_MEMORY, POSTED, Endpoint
from cometfs.server.read_api.request import ReadRequest
from cometfs.server.routing import Handler, as_json, exactly
from cometfs.server.storage.errors import StorageError
from cometfs.server.storage.journal import Journal
from cometfs.server.storage.kv_store import KvStore
from cometfs.server.write_api.routes import CLOSED, writing_routes

VERSION = "4.40.0"
"""The Comet that this one claims to be: new enough for every call that its clients make."""

OPEN = {"/clientlib/isAlive/ver": {"version": VERSION}, "/clientlib/health/ping": {"status": "ok"}}
"""What is answered without a key."""

REST = "/api/rest/v2/"


def make_app(
    index: Catalog,
    *,
    journal: Journal | None = None,
    closed: str = CLOSED,
    api_key: str | None = None,
    latency: float = 0.0,
    access_log: Path | None = None,
    names: OwnNames | None = None,
) -> Starlette:
    """A Comet that serves `index`, and takes what is logged if there is a `journal`; `closed` says why there is none.

    With `api_key` only that key is let in, otherwise any that is not empty. `latency` in seconds delays every answer.
    `access_log` gets one JSON line per request: ``time`` (epoch seconds), ``method``, ``path``, ``query`` (the raw
    query string), ``status``, ``bytes`` (of the body). `names`: what requests may call this server, beside the
    address that they come to and this machine's local names.
    """
    layers = [
        Middleware(SiteCheck, names=names or OwnNames()),
        Middleware(Latency, seconds=latency),
        Middleware(KeyCheck, api_key=api_key, open_paths=frozenset(OPEN)),
    ]
    if access_log is not None:
        layers.insert(0, Middleware(AccessLog, path=access_log))
    app = Starlette(
        routes=[
            *_open_routes(),
            *_rest_routes(index, KvStore(index.directory)),
            *writing_routes(journal, closed),
        ],
        middleware=layers,
        exception_handlers={
            ApiError: _refuse,
            StorageError: _not_stored,
            HTTPException: _unknown,
            ClientDisconnect: _gone,
            Exception: _failed,
        },
    )
    app.router.redirect_slashes = False
    return app


def _open_routes() -> list[Route]:
    return [exactly(path, _constant(body), "GET") for path, body in OPEN.items()]


def _rest_routes(index: Catalog, panels: KvStore) -> list[Route]:
    def route(path: str, handler: Handler, method: str = "GET") -> Route:
        return exactly(REST + path, handler, method)

    return [
        *(route(path, _at_once(index, panels, endpoint)) for path, endpoint in IN_MEMORY.items()),
        *(route(path, _in_thread(index, panels, endpoint)) for path, endpoint in FROM_DISK.items()),
        *(route(path, _in_thread(index, panels, endpoint), "POST") for path, endpoint in POSTED.items()),
        route("experiment/asset/get-asset", _bytes(index, panels, downloads.asset)),
        route("experiment/model/download", _bytes(index, panels, downloads.model)),
        route("registry-model/item/download", _bytes(index, panels, downloads.registered_model)),
        route("registry-model/item/{item}/metadata", _item_metadata(index, panels)),
        route("experiment/git/patch", _patch(index, panels)),
    ]


def _constant(body: Any) -> Handler:
    async def handle(_: Request) -> Response:
        return as_json(body)

    return handle


def _at_once(index: Catalog, panels: KvStore, endpoint: Endpoint) -> Handler:
    async def handle(request: Request) -> Response:
        return as_json(endpoint(await _ask(index, panels, request)))

    return handle


def _in_thread(index: Catalog, panels: KvStore, endpoint: Endpoint) -> Handler:
    async def handle(request: Request) -> Response:
        ask = await _ask(index, panels, request)
        try:
            return await trio.to_thread.run_sync(lambda: as_json(endpoint(ask)))
        except FileNotFoundError:
            # An experiment was deleted while its files were read. Now that this is the event loop, it is in no index.
            return await trio.to_thread.run_sync(lambda: as_json(endpoint(ask)))

    return handle


def _bytes(index: Catalog, panels: KvStore, answer: Callable[[ReadRequest], Response]) -> Handler:
    async def handle(request: Request) -> Response:
        return answer(await _ask(index, panels, request))

    return handle


def _item_metadata(index: Catalog, panels: KvStore) -> Handler:
    """The one endpoint that has a name of something in its path."""

    async def handle(request: Request) -> Response:
        return as_json(registry.item_metadata(await _ask(index, panels, request), request.path_params["item"]))

    return handle


def _patch(index: Catalog, panels: KvStore) -> Handler:
    async def handle(request: Request) -> Response:
        found = downloads.patch(await _ask(index, panels, request))
        return found or as_json({"msg": "no git patch was logged", "code": 200})

    return handle


async def _ask(index: Catalog, panels: KvStore, request: Request) -> ReadRequest:
    return ReadRequest(
        index, panels, request.query_params, await request.body(), key_of(request.scope) or "", str(request.base_url)
    )


async def _refuse(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, ApiError)
    return refused(exc)


async def _not_stored(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, StorageError)
    return refused(answer_to(exc))


async def _unknown(request: Request, exc: Exception) -> Response:
    """No such endpoint, or not by this method: to Comet's clients the same thing."""
    assert isinstance(exc, HTTPException)
    status = 404 if exc.status_code == 405 else exc.status_code
    return refused(ApiError(status, f"no endpoint {request.method} {request.url.path}"))


async def _gone(_: Request, __: Exception) -> Response:
    """An answer for nobody: whoever asked went away in the middle of it, and nothing was done."""
    return refused(ApiError(400, "the request was cut short"))


async def _failed(_: Request, exc: Exception) -> Response:
    """Something broke in here, an archive that is gone or a bug; the traceback is logged by whoever runs the server."""
    return refused(ApiError(500, f"the embedded Comet failed: {type(exc).__name__}"))
