"""Answers that are bytes, not JSON: assets, files of artifacts, git patches and zips of models.

Not here: lists of them (`endpoints`).
"""

from __future__ import annotations

import hashlib
import io
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from pathlib import Path
from shutil import copyfileobj
from typing import BinaryIO, cast

import trio
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from cometfs.host.files import open_regular
from cometfs.server.catalog.registry import file_name, model_assets
from cometfs.server.errors import NO_SUCH_ARTIFACT_VERSION, NO_SUCH_MODEL, ApiError
from cometfs.server.read_api import full_metrics, histograms, registry
from cometfs.server.read_api.spans import sent
from cometfs.server.request import Request
from cometfs.server.runs.content import CHUNK
from cometfs.server.runs.record import LoggedAsset

ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""The time of every member of a zip that is made here, so that it is the same bytes each time."""


def asset(request: Request) -> Response:
    """The bytes of ``assetId``, at once: a request that allows a redirect gets none, there is nowhere to send it."""
    if request.query.get("artifactVersionId"):
        return _artifact_file(request)
    identity = request.text("assetId")
    found = request.record().assets.get(identity)
    if found is None:
        return _made(request, identity)
    if found.member is None:
        raise ApiError(400, f"asset {identity} is remote: only its link is known")
    return _of_asset(found, found.member)


def _made(request: Request, identity: str) -> Response:
    """What is no member of an archive: the histogram of several pieces, the file of a metric."""
    experiment = request.experiment()
    pieces = histograms.pieces_of(experiment, identity)
    if pieces is not None:
        return Download(
            f"the histogram {pieces[0].name}", partial(histograms.joined, pieces), histograms.size_of(pieces)
        )
    metric = full_metrics.metric_of(experiment, identity)
    if metric is None:
        raise ApiError(404, f"asset {identity} does not exist")
    return Download(f"all of {metric}", lambda: io.BytesIO(full_metrics.packed(experiment, metric)))


def _artifact_file(request: Request) -> Response:
    """Which experiment the request names does not matter: the version has the file."""
    identity, version = request.text("assetId"), request.index.artifacts.versions.get(request.text("artifactVersionId"))
    if version is None:
        raise ApiError(404, "the artifact version does not exist", NO_SUCH_ARTIFACT_VERSION)
    found = next((file for file in version.files.values() if file.id == identity), None)
    if found is None:
        raise ApiError(404, f"asset {identity} does not exist")
    path = found.path
    if path is None:
        raise ApiError(400, f"asset {identity} is remote: only its link is known")
    return Download(str(path), partial(open_regular, path), found.size, partial(_etag_of, path))


def patch(request: Request) -> Response | None:
    """The zip with the run's uncommitted changes; None when there were none."""
    found = request.record().patch
    return _of_asset(found, found.member) if found is not None and found.member is not None else None


def model(request: Request) -> Response:
    """A model of an experiment, all its files in a zip."""
    name = request.text("modelName")
    return _zip_of(model_assets(request.record(), name), name)


def registered_model(request: Request) -> Response:
    """A version of a registered model, all its files in a zip."""
    found = registry.version(request)
    return _zip_of(found.assets(), f"{found.asked.model_name} {found.number}")


def _of_asset(found: LoggedAsset, member: str) -> Response:
    archive = found.part.archive
    file = archive.path / member if archive.path.is_dir() else archive.path
    return Download(
        f"{archive.path}: {member}", partial(archive.open, member), found.size, partial(_etag_of, file, member)
    )


def _zip_of(assets: Iterable[LoggedAsset], name: str) -> Response:
    """What is remote is left out: its bytes are not here."""
    here = {file_name(asset): asset for asset in assets if asset.member is not None}
    if not here:
        raise ApiError(404, f"model {name} has no files here", NO_SUCH_MODEL)
    return Download(f"the zip of {name}", partial(_zipped, here))


def _zipped(files: dict[str, LoggedAsset]) -> BinaryIO:
    """A temporary file, gone when it is closed. Blocks."""
    made = tempfile.TemporaryFile()  # noqa: SIM115  Download closes it
    try:
        with zipfile.ZipFile(made, "w") as archive:
            for name, asset in files.items():
                assert asset.member is not None
                item = zipfile.ZipInfo(name, ZIP_TIME)
                item.file_size = asset.size
                item.external_attr = 0o644 << 16
                with closing(asset.part.archive.open(asset.member)) as source, archive.open(item, "w") as target:
                    copyfileobj(source, target, CHUNK)
    except BaseException:
        made.close()
        raise
    return cast(BinaryIO, made)


def _etag_of(file: Path, member: str = "") -> str:
    """Names the version of a file, or of a member of one; empty where it is gone."""
    try:
        found = file.stat()
    except OSError:
        return ""
    words = f"{file} {member} {found.st_size} {found.st_mtime_ns}"
    return f'"{hashlib.blake2b(words.encode(errors="surrogateescape"), digest_size=12).hexdigest()}"'


class Download(Response):
    """What `opened` gives as a body of known length, `CHUNK` bytes at a time; `place` names it in errors.

    `size` in bytes is what was announced before; None takes the file's own. Where `etag_of` names a version, a request
    may want a part. It stops when the client goes away. A file that has become shorter meanwhile breaks the connection,
    so that no client takes a part for the whole.
    """

    media_type = "application/octet-stream"

    def __init__(
        self, place: str, opened: Callable[[], BinaryIO], size: int | None = None, etag_of: Callable[[], str] = str
    ) -> None:
        super().__init__(headers={} if size is None else {"Content-Length": str(size)})
        self._place, self._opened, self._size = place, opened, size
        self.etag_of = etag_of
        """Names the version; where it says nothing, only all of the body is sent."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        file = await trio.to_thread.run_sync(self._opened)
        with closing(file):
            size = _measured(file) if self._size is None else self._size
            async with trio.open_nursery() as until_gone:
                until_gone.start_soon(_wait_until_gone, receive, until_gone.cancel_scope)
                await self._send(file, self._begun(Headers(scope=scope), size, file), send)
                until_gone.cancel_scope.cancel()

    def _begun(self, headers: Headers, size: int, file: BinaryIO) -> int:
        """Puts what a request wants into the status and the headers; how many bytes of the file are sent."""
        etag = self.etag_of()
        if not etag:
            self.headers["Content-Length"] = str(size)
            return size
        self.headers["ETag"], self.headers["Accept-Ranges"] = etag, "bytes"
        self.status_code, start, stop = sent(headers, size, etag)
        if self.status_code == 206:
            self.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
            file.seek(start)
        if self.status_code == 416:
            self.headers["Content-Range"] = f"bytes */{size}"
        self.headers["Content-Length"] = str(stop - start)
        return stop - start

    async def _send(self, file: BinaryIO, left: int, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        while True:
            chunk = await trio.to_thread.run_sync(file.read, min(CHUNK, left))
            left -= len(chunk)
            if left and not chunk:
                raise OSError(f"{self._place}: {left} bytes are missing")
            await send({"type": "http.response.body", "body": chunk, "more_body": left > 0})
            if not left:
                return


def _measured(file: BinaryIO) -> int:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    return size


async def _wait_until_gone(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
