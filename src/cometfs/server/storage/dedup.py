"""Knows what a client sends twice: after a broken connection it repeats what was kept and not yet acknowledged.

comet_ml repeats the same request up to three times, and sends what failed for good again later, in other batches. So
single messages are compared, not requests:

- points of metrics, values of parameters and dependencies carry the writer's time in milliseconds: one that is equal in
  everything to one of an earlier request is the same. Equal ones within one request are all kept, and so are those of
  clients that send no time.
- pieces of output carry an offset, and the writer's counter of time: repeated requests are recognised. Output that
  comet_ml sends again *later* it numbers anew: it is not recognised, and is there twice, if the answer to the first
  request was lost.
- reports (html) carry the time at which they were sent: the same holds for them.
- everything else (others, texts, facts about the machine) carries nothing that distinguishes a repetition from a second
  logging.
  Nearly all of it is "the last one counts", where twice is as good as once.

Not here: files (a repeated upload has the id of the first, and takes its place).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from cometfs.host.files import open_regular
from cometfs.server.runs.overlap import Overlap, messages_in
from cometfs.server.runs.schema import FileUpload, Scene
from cometfs.server.runs.zip_reader import Archive
from cometfs.server.storage.log_lines import LogLine, encoded, message_of, parted

REMEMBERED = 20_000
"""Messages of a run that are remembered; what comet_ml has under way at once is far less."""

TAIL = 2 << 20
"""Bytes at the end of a log that are looked at after a restart."""

TIMED = frozenset({"metric_msg", "parameter_msg", "log_dependency"})
"""What `local_timestamp` distinguishes: it is the writer's."""

NUMBERED = frozenset({"standard_output", "html", "htmlOverride"})
"""What `sent` distinguishes; `local_timestamp`, if it has one, is this server's."""


class RepeatFilter:
    """The last `limit` messages of one run that can be distinguished."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._order: deque[int] = deque()
        self._known: set[int] = set()

    def fresh(self, lines: Iterable[LogLine]) -> tuple[list[LogLine], list[int]]:
        """The messages of one request that are no repetition of an earlier one's, and what to remember of them."""
        identified = [(_identity(line.kind, line.fields, line.inside, line.beside), line) for line in lines]
        kept = [(identity, line) for identity, line in identified if identity not in self._known]
        return [line for _, line in kept], [identity for identity, _ in kept if identity is not None]

    def remember(self, identities: Iterable[int]) -> None:
        for identity in identities:
            if identity not in self._known:
                self._known.add(identity)
                self._order.append(identity)
        while len(self._order) > self._limit:
            self._known.discard(self._order.popleft())


FILES = (FileUpload, Scene)
"""What speaks of files. Those are on the disk by now; one that was there already gives way."""


class ArchiveFilter(RepeatFilter):
    """Of a run whose own archive is uploaded: leaves out what it says again of `archives`, since that process began."""

    def __init__(self, archives: Iterable[Archive], since: float) -> None:
        super().__init__()
        self._overlap = Overlap(messages_in(archives), since)

    def fresh(self, lines: Iterable[LogLine]) -> tuple[list[LogLine], list[int]]:
        fresh, identities = super().fresh(lines)
        return [
            line for line in fresh if isinstance(line.payload, FILES) or not self._overlap.has(line.payload)
        ], identities


def _identity(kind: str, fields: Container[str], inside: bytes, beside: bytes) -> int | None:
    """The fields are always in the order in which `payloads` has them, so equal messages are equal bytes."""
    is_timed = kind in TIMED and "local_timestamp" in fields
    is_numbered = kind in NUMBERED and "sent" in fields
    return hash((kind, inside, beside)) if is_timed or is_numbered else None


def remembered(log: Path) -> RepeatFilter:
    """What is to be known after a restart: the messages at the end of a log."""
    with open_regular(log) as file:
        file.seek(max(0, log.stat().st_size - TAIL))
        repeats = RepeatFilter()
        repeats.remember(_identities_of(file.read()))
        return repeats


def _identities_of(tail: bytes) -> Iterator[int]:
    """Of the lines in it; it may begin within a line."""
    for line in tail.splitlines():
        kind, message = message_of(line) or ("", {})
        left_out = {"message_id", "local_timestamp"} if kind in NUMBERED else {"message_id"}
        inside, beside = parted(kind, {name: value for name, value in message.items() if name not in left_out})
        identity = _identity(kind, message, encoded(inside), encoded(beside))
        if identity is not None:
            yield identity
