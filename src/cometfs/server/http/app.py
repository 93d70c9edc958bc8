"""The embedded Comet as an ASGI application: routes, middleware, and errors as answers.

Not here: sockets (`listener`); answers (`read_api`, `write_api`), pages (`pages`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from cometfs.server.bodies import LONGEST_QUESTION, whole_body
from cometfs.server.catalog.catalog import Catalog
from cometfs.server.errors import ARTIFACT_VERSION_EXISTS, INVALID_VERSION, NO_SUCH_EXPERIMENT, ApiError
from cometfs.server.http.hosts import OwnNames
from cometfs.server.http.middleware import AccessLog, KeyCheck, Latency, SiteCheck, refused
from cometfs.server.http.object_store import ObjectStore
from cometfs.server.pages.login import Login
from cometfs.server.pages.site import Site
from cometfs.server.read_api import downloads
from cometfs.server.read_api.endpoints import FROM_DISK, IN_MEMORY, POSTED
from cometfs.server.request import CLOSED, Backend, Endpoint, Request, request_of
from cometfs.server.routing import Handler, as_json, exactly
from cometfs.server.storage.artifact_store import ArtifactStore
from cometfs.server.storage.errors import (
    Damaged,
    InvalidKey,
    InvalidVersion,
    NotThere,
    StorageError,
    StorageFull,
    Unreadable,
    VersionExists,
)
from cometfs.server.storage.journal import Journal
from cometfs.server.storage.kv_store import KvStore
from cometfs.server.storage.optimizer_store import OptimizerStore
from cometfs.server.write_api.routes import writing_routes

VERSION = "4.40.0"
"""The Comet that this one claims to be: new enough for every call that its clients make."""

OPEN = {
    "/clientlib/isAlive/ver": {"version": VERSION},
    "/api/isAlive/ver": {"version": VERSION},
    "/clientlib/health/ping": {"status": "ok"},
}
"""What is answered without a key. comet_llm asks for the version in a place of its own."""

REST = "/api/rest/v2/"

PROGRAMS = ("/api/rest/", "/clientlib/")
"""Below these there are no pages."""


ANSWERS: dict[type[StorageError], tuple[int, int | None]] = {
    StorageFull: (507, None),
    NotThere: (400, NO_SUCH_EXPERIMENT),
    InvalidKey: (400, None),
    Unreadable: (400, None),
    Damaged: (409, None),
    InvalidVersion: (400, INVALID_VERSION),
    VersionExists: (400, ARTIFACT_VERSION_EXISTS),
}
"""The status of each error of the storage, and Comet's number where it has one: only here are both known."""


def make_app(
    index: Catalog,
    *,
    journal: Journal | None = None,
    closed: str = CLOSED,
    api_key: str | None = None,
    latency: float = 0.0,
    access_log: Path | None = None,
    names: OwnNames | None = None,
    object_store: ObjectStore | None = None,
    in_parts: bool = True,
) -> Starlette:
    """A Comet that serves `index`, and takes what is logged if there is a `journal`; `closed` says why there is none.

    With `api_key` only that key is let in, otherwise any that is not empty. `latency` in seconds delays every answer.
    `access_log` gets one JSON line per request: ``time`` (epoch seconds), ``method``, ``path``, ``query`` (the raw
    query string), ``status``, ``bytes`` (of the body). `names`: what requests may call this server, beside the
    address that they come to and this machine's local names. `object_store`: where downloads of assets are redirected
    that allow it; `in_parts`: whether a part of an asset can be asked for.
    """
    artifacts = None if journal is None else ArtifactStore(journal.path, index.artifacts)
    optimizers = None if journal is None else OptimizerStore(journal.path)
    backend = Backend(index, KvStore(index.directory), journal, artifacts, optimizers, closed)
    api = [
        *_open_routes(),
        *_rest_routes(backend, _asset(backend, object_store, in_parts=in_parts)),
        *writing_routes(backend),
    ]
    site = Site(backend, Login(api_key), partial(_is_api, api))
    layers = [
        Middleware(SiteCheck, names=names or OwnNames(), pages=site),
        Middleware(Latency, seconds=latency),
        Middleware(KeyCheck, api_key=api_key, open_paths=frozenset(OPEN), pages=site),
    ]
    if access_log is not None:
        layers.insert(0, Middleware(AccessLog, path=access_log))
    app = Starlette(
        routes=[*api, exactly("/{path:path}", _page(site), "GET")],
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


def _is_api(routes: Sequence[Route], scope: Scope) -> bool:
    """Whether an address is a program's, by whichever method: programs are answered in JSON, also where nothing is."""
    return scope["path"].startswith(PROGRAMS) or any(route.matches(scope)[0] != Match.NONE for route in routes)


def _page(site: Site) -> Handler:
    async def handle(http: HttpRequest) -> Response:
        if not site.takes(http.scope):
            raise HTTPException(404)
        return await site.handle(http)

    return handle


def _open_routes() -> list[Route]:
    return [exactly(path, _constant(body), "GET") for path, body in OPEN.items()]


def _rest_routes(backend: Backend, asset: Handler) -> list[Route]:
    def route(path: str, handler: Handler, method: str = "GET") -> Route:
        return exactly(REST + path, handler, method)

    return [
        *(route(path, _at_once(backend, endpoint)) for path, endpoint in IN_MEMORY.items()),
        *(route(path, _in_thread(backend, endpoint)) for path, endpoint in FROM_DISK.items()),
        *(route(path, _in_thread(backend, endpoint), "POST") for path, endpoint in POSTED.items()),
        route("experiment/asset/get-asset", asset),
        route("experiment/model/download", _bytes(backend, downloads.model)),
        route("registry-model/item/download", _bytes(backend, downloads.registered_model)),
        route("experiment/git/patch", _patch(backend)),
    ]


def _constant(body: Any) -> Handler:
    async def handle(_: HttpRequest) -> Response:
        return as_json(body)

    return handle


def _at_once(backend: Backend, endpoint: Endpoint) -> Handler:
    async def handle(http: HttpRequest) -> Response:
        async with _whole(backend, http) as request:
            return as_json(endpoint(request))

    return handle


def _in_thread(backend: Backend, endpoint: Endpoint) -> Handler:
    async def handle(http: HttpRequest) -> Response:
        async with _whole(backend, http) as request:
            try:
                return await trio.to_thread.run_sync(lambda: as_json(endpoint(request)))
            except FileNotFoundError:
                # An experiment was deleted while its files were read. Now that this is the event loop, no catalog has
                # it.
                return await trio.to_thread.run_sync(lambda: as_json(endpoint(request)))

    return handle


def _bytes(backend: Backend, answer: Callable[[Request], Response]) -> Handler:
    async def handle(http: HttpRequest) -> Response:
        async with _whole(backend, http) as request:
            return answer(request)

    return handle


def _asset(backend: Backend, object_store: ObjectStore | None, *, in_parts: bool) -> Handler:
    async def handle(http: HttpRequest) -> Response:
        async with _whole(backend, http) as request:
            answer = downloads.asset(request)
            if not in_parts and isinstance(answer, downloads.Download):
                answer.etag_of = str
            if object_store is None or not request.flag("allow301", False):
                return answer
            return RedirectResponse(object_store.presign(answer, request.base_url), 302)

    return handle


def _patch(backend: Backend) -> Handler:
    async def handle(http: HttpRequest) -> Response:
        async with _whole(backend, http) as request:
            return downloads.patch(request) or as_json({"msg": "no git patch was logged", "code": 200})

    return handle


@asynccontextmanager
async def _whole(backend: Backend, http: HttpRequest) -> AsyncGenerator[Request]:
    async with whole_body(http, LONGEST_QUESTION) as body:
        yield request_of(backend, http, body)


async def _refuse(_: HttpRequest, exc: Exception) -> Response:
    assert isinstance(exc, ApiError)
    return refused(exc)


def answer_to(exc: StorageError) -> ApiError:
    """What a client is answered."""
    status, number = ANSWERS[type(exc)]
    return ApiError(status, str(exc), number)


async def _not_stored(_: HttpRequest, exc: Exception) -> Response:
    assert isinstance(exc, StorageError)
    return refused(answer_to(exc))


async def _unknown(request: HttpRequest, exc: Exception) -> Response:
    """No such endpoint, or not by this method: to Comet's clients the same thing."""
    assert isinstance(exc, HTTPException)
    status = 404 if exc.status_code == 405 else exc.status_code
    return refused(ApiError(status, f"no endpoint {request.method} {request.url.path}"))


async def _gone(_: HttpRequest, __: Exception) -> Response:
    """The client went away in the middle of its request: nothing was done, and no one reads this answer."""
    return refused(ApiError(400, "the request was cut short"))


async def _failed(_: HttpRequest, exc: Exception) -> Response:
    """Something broke in here, an archive that is gone or a bug; the server that runs this logs the traceback."""
    return refused(ApiError(500, f"the embedded Comet failed: {type(exc).__name__}"))
