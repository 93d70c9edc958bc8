"""The routes of endpoints that change something: what runs log, what is uploaded, what becomes of experiments.

Without a journal all of them are there and refuse, with the reason. Bodies may be compressed.

Not here: the other endpoints' (`app`); what is done (the modules whose tables are put together here).
"""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from cometfs.server.bodies import whole_body
from cometfs.server.errors import ApiError
from cometfs.server.request import Backend, Endpoint, answered, request_of
from cometfs.server.routing import as_json, exactly
from cometfs.server.storage.errors import StorageError
from cometfs.server.write_api import artifacts, handshake, llm, manage, optimizer, projects, registry, uploads
from cometfs.server.write_api import experiments as logging
from cometfs.server.write_api.multipart import UploadHandler, drained, receive_upload

CLIENTLIB = "/clientlib/"

RESTS = ("/api/rest/v2/", "/clientlib/rest/v2/")
"""Two bases, which comet_ml mixes."""


def writing_routes(backend: Backend) -> list[Route]:
    """All of them."""
    clientlib = handshake.CLIENTLIB | logging.CLIENTLIB | uploads.CREATED
    posted = logging.WRITTEN | manage.POSTED | projects.POSTED | llm.POSTED | registry.POSTED
    posted |= artifacts.POSTED | uploads.POSTED
    by_get = logging.WRITTEN_BY_GET | manage.BY_GET | registry.BY_GET
    return [
        *(_route(backend, CLIENTLIB + path, one, "POST", "PUT") for path, one in clientlib.items()),
        *(_route(backend, base + path, one, "POST", "PUT") for path, one in posted.items() for base in RESTS),
        *(_route(backend, RESTS[0] + path, one, "GET") for path, one in by_get.items()),
        *(_upload_route(backend, CLIENTLIB + path, take) for path, take in uploads.UPLOADED.items()),
        *(_upload_route(backend, RESTS[0] + path, take) for path, take in uploads.WRITTEN.items()),
        *(_optimizer_route(backend, path, one, "GET") for path, one in optimizer.BY_GET.items()),
        *(_optimizer_route(backend, path, one, "POST") for path, one in optimizer.POSTED.items()),
        exactly(CLIENTLIB + "rpc/get-pending-rpcs", _no_calls, "GET"),
    ]


def _route(backend: Backend, path: str, endpoint: Endpoint, *methods: str) -> Route:
    """Of a whole body, or a query."""

    async def handle(http: HttpRequest) -> Response:
        if backend.journal is None:
            raise ApiError(403, backend.closed)
        async with whole_body(http) as body:
            request = request_of(backend, http, body)
            try:
                answer = endpoint(request)
                return as_json(answered(request, await answer if isinstance(answer, Awaitable) else answer))
            except RecursionError as exc:  # while it was read: nothing was written
                raise ApiError(400, "the body has lists and objects too deep in each other") from exc

    return exactly(path, handle, *methods)


def _optimizer_route(backend: Backend, path: str, endpoint: Endpoint, method: str) -> Route:
    """Its client shows what an answer says is wrong, and of an HTTP status the number alone."""

    async def handle(http: HttpRequest) -> Response:
        try:
            async with whole_body(http) as body:
                request = request_of(backend, http, body)
                return as_json(endpoint(request) if backend.journal else {"code": 403, "message": backend.closed})
        except ApiError as exc:
            return as_json({"code": exc.status, "message": exc.message})
        except StorageError as exc:
            return as_json({"code": 507, "message": str(exc)})

    return exactly(optimizer.BASE + path, handle, method)


def _upload_route(backend: Backend, path: str, take: UploadHandler) -> Route:
    """Of a body that streams."""

    async def handle(http: HttpRequest) -> Response:
        if backend.journal is None:
            await drained(http.stream())
            raise ApiError(403, backend.closed)
        request = request_of(backend, http, b"")
        return as_json(answered(request, await receive_upload(request, http, take)))

    return exactly(path, handle, "POST", "PUT")


async def _no_calls(_: HttpRequest) -> Response:
    return as_json({"remoteProcedureCalls": []})
