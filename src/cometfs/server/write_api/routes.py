"""The routes by which a server is told something: what runs log, what is uploaded, what becomes of experiments.

Without a journal all of them are there and refuse, with the reason.

Not here: questions (`app`); what is done with what is told (the modules whose tables are put together here).
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cometfs.server.errors import ApiError
from cometfs.server.routing import as_json, exactly
from cometfs.server.storage.artifact_store import ArtifactStore
from cometfs.server.storage.journal import Journal
from cometfs.server.write_api import artifacts, manage, registry, uploads
from cometfs.server.write_api import experiments as logging
from cometfs.server.write_api.body import read_body
from cometfs.server.write_api.multipart import drained
from cometfs.server.write_api.receive import UploadHandler, UploadRequest, receive_upload
from cometfs.server.write_api.request import Endpoint, WriteRequest

CLIENTLIB = "/clientlib/"

RESTS = ("/api/rest/v2/", "/clientlib/rest/v2/")
"""Two bases, which comet_ml mixes."""

CLOSED = "this server keeps nothing: start it as `cometfs serve DIR` to log into DIR"


def writing_routes(journal: Journal | None, closed: str) -> list[Route]:
    """All of them; `closed` says why there is no journal."""
    told = WriteRoutes(journal, closed)
    posted = logging.WRITTEN | manage.POSTED | registry.POSTED | artifacts.POSTED | uploads.POSTED
    asked = logging.WRITTEN_BY_GET | manage.BY_GET | registry.BY_GET
    return [
        *(told.route(CLIENTLIB + path, one, "POST", "PUT") for path, one in (logging.CLIENTLIB | uploads.SAID).items()),
        *(told.route(base + path, one, "POST", "PUT") for path, one in posted.items() for base in RESTS),
        *(told.route(RESTS[0] + path, one, "GET") for path, one in asked.items()),
        *(told.desk(CLIENTLIB + path, take) for path, take in uploads.UPLOADED.items()),
        *(told.desk(RESTS[0] + path, take) for path, take in uploads.WRITTEN.items()),
        exactly(CLIENTLIB + "rpc/get-pending-rpcs", _no_calls, "GET"),
    ]


class WriteRoutes:
    """Makes routes that hand what comes to a journal, or to the store of artifacts beside it."""

    def __init__(self, journal: Journal | None, closed: str) -> None:
        self._journal, self._closed = journal, closed
        self._artifacts = None if journal is None else ArtifactStore(journal.path, journal.index.artifacts)

    def route(self, path: str, endpoint: Endpoint, *methods: str) -> Route:
        """Of a whole body, or a query."""

        async def handle(request: Request) -> Response:
            if self._journal is None or self._artifacts is None:
                raise ApiError(403, self._closed)
            query = {**request.query_params, **request.path_params}
            body = await read_body(request)
            delivery = WriteRequest(self._journal, self._artifacts, query, body, str(request.base_url))
            try:
                return as_json(endpoint(delivery))
            except RecursionError as exc:  # while it was read: nothing was written
                raise ApiError(400, "the body has lists and objects too deep in each other") from exc

        return exactly(path, handle, *methods)

    def desk(self, path: str, take: UploadHandler) -> Route:
        """Of a body that streams."""

        async def handle(request: Request) -> Response:
            if self._journal is None or self._artifacts is None:
                await drained(request.stream())
                raise ApiError(403, self._closed)
            return as_json(await receive_upload(UploadRequest(self._journal, self._artifacts), request, take))

        return exactly(path, handle, "POST", "PUT")


async def _no_calls(_: Request) -> Response:
    return as_json({"remoteProcedureCalls": []})
