"""How many bytes files have and when they changed, as far as that is known without a call.

What was learned of a file outlives its bytes, and the mount: Comet tells the size of no file that is made of an
answer, so `ls -l`, `du` and `find -size` of what was read before would cost the answer again. All that is remembered of
the files of a place (an experiment, a project) stands under one key.

Comet dates experiments, not edits of them: tags or notes of equal length would be others under the same size and time,
and rsync and backups would miss them. So what may be edited bears the time at which these bytes were first seen. Not
here: making and opening files (files.py).
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, NamedTuple

from cometfs.cache.memory import CacheEntry
from cometfs.lease import LISTING, Lease, is_settling
from cometfs.vfs.answers.resolver import AnswerResolver
from cometfs.vfs.keys import Key, Place
from cometfs.vfs.schema.declaration import Context, File, Source, Stream
from cometfs.vfs.sources.experiment import ended_ago, sealed_lease

REMEMBERED = Lease(24 * 3600.0)
"""For how long it is remembered what was shown of a file or a directory."""

DATES = Lease(10 * 365 * 24 * 3600.0)
"""The same of when files were first seen as they are: as long as the disk has room."""

_BORN = ""
"""Under which word it is remembered of the root since when the account is mounted; no file has it."""

_NOTHING: Mapping[str, Any] = {}


class Known(NamedTuple):
    """Of a file: its size in bytes, None for one that must be fetched first; when it changed, in milliseconds since
    1970; and the seconds for which that holds."""

    size: int | None
    modified_ms: float
    lease: float


class _Dated(NamedTuple):
    """The bytes that a file had last: how many, their checksum, when they were first seen (ms since 1970; 0 where the
    place tells their time), of which version, and until when that holds (s since 1970)."""

    size: int
    digest: int
    changed_ms: float
    version: str
    until: float


class _Came(NamedTuple):
    """How many bytes came of a body that is listed with another number; until when that holds, as above."""

    size: int
    listed: int
    until: float


class Sizes:
    """Sizes and dates of files, from the answers at hand and from what was once opened."""

    def __init__(
        self, answers: AnswerResolver, words: Mapping[File, str], wall: Callable[[], float] = time.time
    ) -> None:
        """`words`: what each declared file is called on disk."""
        self._answers = answers
        self._store = answers.store
        self._words = words
        self._files = {word: entry for entry, word in words.items()}
        self._wall = wall
        self._began_ms = wall() * 1000
        self._seen: set[int] = set()
        """Hashes of the files that were given that time: it tells nothing of one that was forgotten since."""

    def born_ms(self, root: Context) -> float:
        """Since when the account is mounted with this cache: the time of directories for which Comet has none."""
        known = self._all(root).get(_BORN)
        if known is None:
            self._keep_all(root, {_BORN: [known := self._began_ms]})
            return known
        return float(known[0])

    def known(self, entry: File, at: Context) -> Known:
        """What is known of a file; some microseconds, for it is asked for every entry of every listing."""
        source = entry.source
        if source is None:
            data = entry.render(at)
            return Known(len(data), self.modified_ms(entry, at, data), LISTING)
        if isinstance(source, Stream):
            return Known(self._of_body(entry, source, at), at.modified_ms, LISTING)
        dated = self._dated(entry, at)
        if entry.render is bytes and (answer := self._answers.peek(source, at)) is not None:
            if answer.error is not None:
                return Known(None, self._modified_ms(entry, at, dated), 0.0)
            if not is_dated(entry, at) and (dated is None or dated.size != len(answer.value)):
                dated = self._date(entry, at, answer.value, self._store.remaining(answer))
            return Known(len(answer.value), self._modified_ms(entry, at, dated), self._store.remaining(answer))
        modified_ms = self._modified_ms(entry, at, dated)
        left = 0.0 if dated is None or dated.version != at.version else self._left(dated)
        if dated is None or not left:
            return Known(None, modified_ms, 0.0)
        return Known(dated.size, modified_ms, left)

    def modified_ms(self, entry: File, at: Context, data: bytes) -> float:
        """When a file changed that is made of nothing but its place, and is `data`."""
        if is_dated(entry, at):
            return at.modified_ms
        return self._modified_ms(entry, at, self._date(entry, at, data, 0.0))

    def dated(self, entry: File, at: Context, data: bytes, answer: CacheEntry) -> bytes:
        """`data`, made of `answer`, whose size is remembered from now on, and when these bytes were first seen."""
        self._date(entry, at, data, self._store.remaining(answer))
        return data

    def _date(self, entry: File, at: Context, data: bytes, holds: float) -> _Dated:
        before, now, digest = self._dated(entry, at), self._wall(), zlib.crc32(data)
        same = before is not None and (before.size, before.digest) == (len(data), digest)
        if before is None:
            changed_ms = 0.0 if is_dated(entry, at) else self._first_seen_ms(entry, at)
        else:
            # Later than what was shown, whatever clocks say.
            changed_ms = before.changed_ms if same else max(now * 1000, self._modified_ms(entry, at, before) + 1)
        dated = _Dated(len(data), digest, changed_ms, at.version, now + holds if holds else 0.0)
        if before is None or before[:-1] != dated[:-1] or abs(before.until - dated.until) > 1:
            self._keep(entry, at, dated, lasting=_lasts(at) or not same)
        return dated

    def _first_seen_ms(self, entry: File, at: Context) -> float:
        """The time of bytes of which nothing is remembered: that of the mount, so that what a backup reads first is not
        newer than the backup. Now, where this mount may have given that time to other bytes."""
        file = hash((entry, at.key))
        first = file not in self._seen and at.modified_ms < self._began_ms
        self._seen.add(file)
        return self._began_ms if first else self._wall() * 1000

    def _modified_ms(self, entry: File, at: Context, dated: _Dated | None) -> float:
        if dated is not None:
            return max(at.modified_ms, dated.changed_ms)
        return at.modified_ms if is_dated(entry, at) else max(at.modified_ms, self._began_ms)

    def came(self, entry: File, stream: Stream, at: Context, size: int) -> None:
        """Remembers the size of a body that is listed with another one: it is not at hand any more when it lies
        on disk."""
        listed = stream.size(at)
        if listed is not None and size != self._listed(entry, at, listed):
            self._keep(entry, at, _Came(size, listed, self._wall() + REMEMBERED))

    def doubt(
        self,
        at: Context,
        owners: Iterable[Hashable] | None,
        doubted: Callable[[Source | Stream, Place], bool],
    ) -> frozenset[Hashable]:
        """Sizes of the files of those questions at those places, which are of those `owners` (None: of all), hold
        no more; when the files changed is remembered on, so that a change that is seen now is one. Of others than `at`
        only as far as that is in memory.

        Returns the keys under which that stands now.
        """
        self._all(at)
        keys = [Key.sizes((owner,)) for owner in owners or ()]
        if owners is None:
            keys = [key for key in self._store.all_keys() if isinstance(key, Key) and key.kind == "sizes"]
        return frozenset(key for key in keys if self._is_doubted_at(key, doubted))

    def _is_doubted_at(self, key: Key, doubted: Callable[[Any, Place], bool]) -> bool:
        held = self._store.peek(key)
        if held is None:
            return False
        known = dict(held.value)
        for name, dated in known.items():
            word, *items = name.split("\n")
            entry = self._files.get(word)
            if entry is not None and entry.source and doubted(entry.source, (*key.place, *items)):
                known[name] = [*dated[:-1], 0.0]
        if known != held.value:
            self._store.keep(key, known, DATES, lasting=True)
        return True

    def _keep(self, entry: File, at: Context, known: _Dated | _Came, *, lasting: bool = True) -> None:
        self._keep_all(at, {self._name(entry, at): list(known)}, lasting=lasting)

    def _keep_all(self, at: Context, known: Mapping[str, Any], *, lasting: bool = True) -> None:
        self._store.keep(Key.sizes(at.key), {**self._all(at), **known}, DATES, lasting=lasting)

    def _left(self, known: _Dated | _Came) -> float:
        """Seconds for which it holds; 0 where it does not. A clock that was set back must not make it hold longer than
        it was meant to."""
        left = known.until - self._wall()
        return left if 0 < left <= REMEMBERED else 0.0

    def _dated(self, entry: File, at: Context) -> _Dated | None:
        found = self._found(entry, at)
        return None if found is None else _Dated(*found)

    def _found(self, entry: File, at: Context) -> Any:
        return self._all(at).get(self._name(entry, at))

    def _all(self, at: Context) -> Mapping[str, Any]:
        key = Key.sizes(at.key)
        held = self._store.peek(key)
        if held is None:
            held = self._store.recall(key) or self._store.keep(key, _NOTHING, REMEMBERED)
        found: Mapping[str, Any] = held.value
        return found

    def _name(self, entry: File, at: Context) -> str:
        word = self._words[entry]
        return word if len(at.key) < 2 else "\n".join((word, *map(str, at.key[1:])))

    def _of_body(self, entry: File, stream: Stream, at: Context) -> int | None:
        key, listed = stream.key(at), stream.size(at)
        body = self._answers.bodies.peek(key)
        if body is not None and body.size is not None:
            return body.size
        return self._answers.bodies.size(key) if listed is None else self._listed(entry, at, listed)

    def _listed(self, entry: File, at: Context, listed: int) -> int:
        """The size that a listing says, unless it was found to be another one."""
        found = self._found(entry, at)
        came = None if found is None else _Came(*found)
        return listed if came is None or came.listed != listed or not self._left(came) else came.size


def is_dated(entry: File, at: Context) -> bool:
    """Whether the time of the place is that of the file's bytes: of a body, which is never changed, and of what only
    the run itself writes, once it has ended."""
    source = entry.source
    if source is None:
        return at.experiment is not None or (at.item is not None and entry.writer is None)
    if isinstance(source, Stream) or (source.of and all(isinstance(one, Stream) for one in source.of)):
        return True
    return source.lease is sealed_lease and _lasts(at) and not is_settling(ended_ago(at.experiment or {}))


def _lasts(at: Context) -> bool:
    """Whether how long it holds is worth a place on disk: not of what may be running, where that is seconds."""
    return bool(at.version)
