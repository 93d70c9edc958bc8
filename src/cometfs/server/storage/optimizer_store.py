"""Searches for parameters on disk: ``optimizers/<id>.jsonl``, one line for each event.

A line is in the file before its answer is given, so a server that was killed goes on with the same search: what it gave
out is given out, and what ended has ended. Half a line at the end was acknowledged to no client.

Not here: what events mean (`optimizer.sweep`).
"""

from __future__ import annotations

import logging
import re
import uuid
from pathlib import Path

import msgspec

from cometfs.host.files import open_regular, read_regular
from cometfs.server.optimizer.space import InvalidSearch
from cometfs.server.optimizer.sweep import Assigned, Created, Event, Sweep, Updated
from cometfs.server.storage.atomic import append
from cometfs.server.storage.errors import full_disk
from cometfs.server.storage.experiment_json import now

LOG = logging.getLogger("cometfs.server")

FOLDER = "optimizers"

_ID = re.compile(r"[0-9a-f]{32}")

_EVENT = msgspec.json.Decoder(Event)


class OptimizerStore:
    """Of a directory that is locked. All methods run on the event loop."""

    def __init__(self, directory: Path) -> None:
        self._folder = directory / FOLDER
        self._sweeps: dict[str, Sweep] = {}

    def create(self, created: Created) -> Sweep:
        """A new search, under a new id. Raises InvalidSearch and StorageFull."""
        created.id, created.at = uuid.uuid4().hex, now()
        sweep = Sweep(created)
        with full_disk():
            self._folder.mkdir(exist_ok=True)
        self._write(created.id, created)
        self._sweeps[created.id] = sweep
        return sweep

    def find(self, identity: str) -> Sweep | None:
        """The search of this id, if there is one."""
        if identity not in self._sweeps and _ID.fullmatch(identity):
            found = _read(self._path(identity))
            if found is not None:
                self._sweeps[identity] = found
        return self._sweeps.get(identity)

    def assign(self, sweep: Sweep) -> Assigned | None:
        """Give out the next set; None where there is none. Raises StorageFull."""
        event = sweep.next(uuid.uuid4().hex, now())
        if event is not None:
            self.add(sweep, event)
        return event

    def add(self, sweep: Sweep, event: Assigned | Updated) -> None:
        """Raises StorageFull."""
        self._write(sweep.created.id, event)
        sweep.apply(event)

    def _write(self, identity: str, event: Event) -> None:
        with full_disk(), open_regular(self._path(identity), "a+b", 0) as file:
            append(file, msgspec.json.encode(event) + b"\n")

    def _path(self, identity: str) -> Path:
        return self._folder / f"{identity}.jsonl"


def _read(path: Path) -> Sweep | None:
    """A search from its file; None where there is none, or none that can be read."""
    try:
        content = read_regular(path)
    except OSError:
        return None
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        with open_regular(path, "r+b") as file:
            file.truncate(len(whole))
    try:
        first, *events = [_EVENT.decode(line) for line in whole.splitlines()]
        if not isinstance(first, Created):
            raise InvalidSearch("its first line creates no search")
        sweep = Sweep(first)
        for event in events:
            if not isinstance(event, Created):
                sweep.apply(event)
    except ValueError as exc:  # msgspec's, InvalidSearch, and that of an empty file
        LOG.warning("%s: skipped; %s", path, exc)
        return None
    return sweep
