"""Where uploads are handed in: whose a body is, and how its file comes into the run, with its line or not at all.

Not here: how bodies are received (`multipart`), which uploads there are (`uploads`).
"""

from __future__ import annotations

import filecmp
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio
from starlette.requests import Request

from cometfs.server.catalog.project import ServedExperiment
from cometfs.server.errors import NO_SUCH_EXPERIMENT, ApiError
from cometfs.server.runs.record import LoggedAsset
from cometfs.server.storage.artifact_store import ArtifactStore
from cometfs.server.storage.errors import StorageError, full_disk
from cometfs.server.storage.journal import Journal
from cometfs.server.storage.log_lines import Message
from cometfs.server.storage.run_dir import HIDDEN
from cometfs.server.write_api.multipart import Upload, drained, received

ARRIVING = f"{HIDDEN}uploads"
"""The folder beside the archives in which files are until they are whole; the next server removes it."""


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """Where uploads are handed in."""

    journal: Journal
    artifacts: ArtifactStore

    def experiment(self, key: str | None) -> ServedExperiment:
        found = self.journal.index.experiments.get(key or "")
        if found is None or found.is_replica:
            raise ApiError(400, f"experiment {(key or '')[:60]} does not exist", NO_SUCH_EXPERIMENT)
        return found

    def keep(self, key: str, upload: Upload, message: Callable[[str], Message]) -> None:
        """Take an upload's file into a run, with the line that speaks of it: both or neither. Raises Refusal."""
        member = self.journal.adopt(key, upload.file(), upload.size)
        try:
            self.journal.log(key, [message(member)])
        except StorageError:
            archive = self.experiment(key).record.parts[-1].archive
            del archive.members[member]
            (archive.path / member).unlink(missing_ok=True)
            raise


UploadHandler = Callable[[UploadRequest, Request, Upload], Awaitable[Any]]


async def receive_upload(desk: UploadRequest, request: Request, take: UploadHandler) -> Any:
    """Receive a body and have it taken; the value is the answer's JSON. Raises Refusal."""
    body = request.stream()
    try:
        key = request.query_params.get("experimentId") or request.query_params.get("experimentKey")
        if key is not None:
            desk.experiment(key)
        kind = request.headers.get("content-type", "")
        with full_disk():
            async with received(body, kind, arriving(desk.journal)) as upload:
                return await take(desk, request, upload)
    except (ApiError, StorageError):
        await drained(body)
        raise


def arriving(journal: Journal) -> Path:
    """The folder for what is not whole yet. Raises OSError."""
    folder = journal.path / ARRIVING
    folder.mkdir(exist_ok=True)
    return folder


async def is_there(asset: LoggedAsset | None, upload: Upload) -> bool:
    """Whether an asset holds these bytes already."""
    if asset is None or asset.member is None or asset.size != upload.size:
        return False
    path = asset.part.archive.path / asset.member
    return path.is_file() and await trio.to_thread.run_sync(filecmp.cmp, path, upload.file(), False)
