"""Reads archives into a record, once, from their first line to their last.

A broken archive is read as far as it goes: one warning names it, and what had to be skipped.

Not here: which archives there are (`catalog.catalog`).
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterable
from contextlib import closing

import msgspec

from cometfs.server.runs.apply import Missing, apply, derived_id
from cometfs.server.runs.decode import BrokenLine, decode
from cometfs.server.runs.lines import lines_of
from cometfs.server.runs.overlap import Overlap, messages_in
from cometfs.server.runs.record import Part, RunRecord
from cometfs.server.runs.schema import Number
from cometfs.server.runs.zip_reader import EXPERIMENT, MESSAGES, Archive, BrokenArchive

LOG = logging.getLogger("cometfs.server")

BEGINNING = 16 << 10
"""Bytes of a log that say which run it is, where nothing else does: a run that goes on is still the same."""


class Heading(msgspec.Struct):
    """``experiment.json``: which experiment's archive this is. Times in epoch milliseconds; `stop_time` is missing when
    a run was killed.

    Five fields are ours, no SDK writes them. `archived` puts the experiment among the archived ones. `has_crashed` is
    what the run reported of itself. `last_seen`, the time of its last sign of life, is in folders that a server logs
    into, where `tags` are all of the run's. `unfinished`: it has not ended, whatever its `stop_time` says to others.
    """

    offline_id: str | None = None
    workspace: str | None = None
    project_name: str | None = None
    start_time: Number | None = None
    stop_time: Number | None = None
    tags: list[str] | None = None
    archived: bool = False
    last_seen: Number | None = None
    has_crashed: bool = False
    unfinished: bool = False
    resume_strategy: str | None = None

    def __post_init__(self) -> None:
        if self.unfinished:
            self.stop_time = None

    @property
    def is_ours(self) -> bool:
        """Whether a server logged into this folder."""
        return self.last_seen is not None


def read_heading(archive: Archive) -> Heading:
    """An archive's ``experiment.json``. Raises BrokenArchive when it is not what it should be."""
    if EXPERIMENT not in archive.members:
        return _heading_of_killed(archive)
    try:
        return msgspec.json.decode(archive.read(EXPERIMENT), type=Heading)
    except (ValueError, RecursionError) as exc:
        raise BrokenArchive(f"{EXPERIMENT}: {exc}") from exc


def _heading_of_killed(archive: Archive) -> Heading:
    """comet_ml writes ``experiment.json`` when a run ends. What a killed OfflineExperiment left has a log only; of that
    come its start and a key. Raises BrokenArchive where there is none either.
    """
    beginning = b""
    if MESSAGES in archive.members and not archive.truncated:
        with closing(archive.open(MESSAGES)) as file:
            beginning = file.read(BEGINNING)
    start = next(filter(None, map(_time_of, beginning.splitlines())), None)
    if start is None:
        raise BrokenArchive(f"no {EXPERIMENT}")
    return Heading(derived_id("killed", beginning.decode("latin-1")), start_time=start)


def _time_of(line: bytes) -> Number | None:
    try:
        return decode(line)[0].local_timestamp
    except (BrokenLine, IndexError):
        return None


def read_record(parts: Iterable[tuple[Archive, Heading]]) -> RunRecord:
    """The record of one experiment from its archives, which are given in the order of their start."""
    record = RunRecord()
    logged: list[tuple[Archive, Heading]] = []
    for archive, heading in parts:
        if logged and heading.resume_strategy == "create" and not heading.is_ours:
            _add_again(record, archive, heading, logged)
            continue
        _add_heading(record, heading)
        _add_part(record, archive)
        _add_end(record, heading)
        if heading.is_ours:
            logged.append((archive, heading))
    return record


def _add_again(record: RunRecord, archive: Archive, heading: Heading, logged: list[tuple[Archive, Heading]]) -> None:
    """What comet_ml kept itself of a run that a server logged: the rest of it, and its end if the server had none."""
    known = Overlap(messages_in(one for one, _ in logged if MESSAGES in one.members), heading.start_time or 0)
    if MESSAGES in archive.members:
        known.look_for(messages_in([archive]))
    record.tags |= frozenset(heading.tags or ())
    _add_part(record, archive, known)
    if logged[-1][1].stop_time is None:
        record.crashed = heading.stop_time is None
        _add_end(record, heading)


def _add_end(record: RunRecord, heading: Heading) -> None:
    stop, last_seen = heading.stop_time, int(heading.last_seen or 0)
    latest = max(record.latest or 0, record.start or 0, last_seen)
    record.end = (latest or None) if stop is None else int(stop)


def _add_heading(record: RunRecord, heading: Heading) -> None:
    if record.start is None and heading.start_time is not None:
        record.start = int(heading.start_time)
    record.last_seen = record.last_seen or record.start
    if heading.last_seen is None:
        record.tags |= frozenset(heading.tags or ())
    else:
        record.tags = frozenset(heading.tags or ())
    record.crashed = heading.stop_time is None or heading.has_crashed
    record.archived = heading.archived


def _add_part(record: RunRecord, archive: Archive, known: Overlap | None = None) -> None:
    last = record.parts[-1] if record.parts else None
    part = Part(archive, last.base + len(last.starts) if last else 0)
    record.parts.append(part)
    faults = ["the zip is cut short"] if archive.truncated else []
    if MESSAGES in archive.members:
        faults += _add_lines(record, part, known)
    else:
        faults.append(f"no {MESSAGES}")
    if faults:
        LOG.warning("%s: read as far as it goes; %s", archive.path, _summary(faults))


def _summary(faults: list[str]) -> str:
    shown = "; ".join(faults[:3])
    return shown if len(faults) <= 3 else f"{shown}; and {len(faults) - 3} more"


def _add_lines(record: RunRecord, part: Part, known: Overlap | None) -> list[str]:
    """Apply every line of a part; returns what could not be applied, as texts."""
    faults = []
    starts: array[int] = part.starts
    try:
        with closing(part.archive.open(MESSAGES)) as file:
            for at, line in lines_of(file):
                starts.append(at)
                try:
                    _add_line(record, part, line, known)
                except (BrokenLine, Missing) as exc:
                    faults.append(f"{MESSAGES} line {len(starts)} skipped: {exc}")
    except OSError as exc:
        faults.append(f"{MESSAGES} ends behind line {len(starts)}: {exc.strerror}")
    return faults


def _add_line(record: RunRecord, part: Part, line: bytes, known: Overlap | None) -> None:
    number = part.base + len(part.starts)
    if line.strip():
        for payload in decode(line):
            if known is None or not known.has(payload):
                apply(record, part, number, payload)
