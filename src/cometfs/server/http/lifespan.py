"""A directory as an application that serves it, and keeps what is logged if it may.

Not here: sockets (`listener`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.applications import Starlette

from cometfs.server import sample_directory
from cometfs.server.catalog.catalog import open_directory
from cometfs.server.http.app import make_app
from cometfs.server.http.hosts import OwnNames
from cometfs.server.http.object_store import ObjectStore
from cometfs.server.request import CLOSED
from cometfs.server.storage.journal import Journal
from cometfs.server.storage.lock import Locked, lock


@contextmanager
def opened(
    directory: Path | None,
    *,
    replicate: int,
    crashed_after: float,
    api_key: str | None,
    latency: float,
    access_log: Path | None,
    names: OwnNames | None = None,
    object_store: ObjectStore | None = None,
    in_parts: bool = True,
) -> Iterator[Starlette]:
    """The application for `directory`, which is made if it is not there; without one the sample, which is only read.

    Raises SetupError when there can be no such directory, and when another server has it.
    """
    archives = directory or sample_directory()
    locked, closed = _locked(archives)
    try:
        # Read after it is mended: nothing that was not acknowledged is served and then gone.
        index = open_directory(archives, replicate)
        yield make_app(
            index,
            journal=Journal(index, locked, crashed_after=crashed_after) if locked else None,
            closed=closed,
            api_key=api_key,
            latency=latency,
            access_log=access_log,
            names=names,
            object_store=object_store,
            in_parts=in_parts,
        )
    finally:
        if locked:
            locked.close()


def _locked(archives: Path) -> tuple[Locked | None, str]:
    """The lock, or why there is none; the sample that comes with the package is never written to."""
    if archives.resolve() == sample_directory().resolve():
        return None, CLOSED
    try:
        archives.mkdir(exist_ok=True)
        return lock(archives), ""
    except OSError as exc:
        return None, f"nothing can be logged into {archives}: {exc.strerror}"
