"""Where uploads are handed in: whose a body is, and how its file comes into the run, with its line or not at all.

Not here: how bodies are received (`multipart`), which uploads there are (`upload_endpoints`).
"""

from __future__ import annotations

import filecmp
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio
from starlette.requests import Request

from cometfs.local.artifact_store import ArtifactStore
from cometfs.local.errors import NO_SUCH_EXPERIMENT, Refusal
from cometfs.local.folder import HIDDEN, refused_if_full
from cometfs.local.journal import Journal
from cometfs.local.lines import Message
from cometfs.local.multipart import Upload, drained, received
from cometfs.local.project import Experiment
from cometfs.local.record import Asset

ARRIVING = f"{HIDDEN}uploads"
"""The folder beside the archives in which files are until they are whole; the next server removes it."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where uploads are handed in."""

    journal: Journal
    artifacts: ArtifactStore

    def experiment(self, key: str | None) -> Experiment:
        found = self.journal.index.experiments.get(key or "")
        if found is None or found.is_replica:
            raise Refusal(400, f"experiment {(key or '')[:60]} does not exist", NO_SUCH_EXPERIMENT)
        return found

    def keep(self, key: str, upload: Upload, message: Callable[[str], Message]) -> None:
        """Take an upload's file into a run, with the line that speaks of it: both or neither. Raises Refusal."""
        member = self.journal.adopt(key, upload.file(), upload.size)
        try:
            self.journal.log(key, [message(member)])
        except Refusal:
            archive = self.experiment(key).record.parts[-1].archive
            del archive.members[member]
            (archive.path / member).unlink(missing_ok=True)
            raise


Take = Callable[[Desk, Request, Upload], Awaitable[Any]]


async def take_in(desk: Desk, request: Request, take: Take) -> Any:
    """Receive a body and have it taken; the value is the answer's JSON. Raises Refusal."""
    body = request.stream()
    try:
        key = request.query_params.get("experimentId") or request.query_params.get("experimentKey")
        if key is not None:
            desk.experiment(key)
        kind = request.headers.get("content-type", "")
        with refused_if_full():
            async with received(body, kind, arriving(desk.journal)) as upload:
                return await take(desk, request, upload)
    except Refusal:
        await drained(body)
        raise


def arriving(journal: Journal) -> Path:
    """The folder for what is not whole yet. Raises OSError."""
    folder = journal.path / ARRIVING
    folder.mkdir(exist_ok=True)
    return folder


async def is_there(asset: Asset | None, upload: Upload) -> bool:
    """Whether an asset holds these bytes already."""
    if asset is None or asset.member is None or asset.size != upload.size:
        return False
    path = asset.part.archive.path / asset.member
    return path.is_file() and await trio.to_thread.run_sync(filecmp.cmp, path, upload.file(), False)
