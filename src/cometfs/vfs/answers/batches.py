"""One call about many experiments, where Comet answers many and is trusted to tell what single calls tell.

Not here: whether it is trusted, and how many are asked about (batch_trust.py); whose answers are wanted (prefetch.py).
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from functools import partial

import trio

from cometfs.cache.memory import Recent
from cometfs.errors import (
    NO_OTHER_WAY,
    AnswerTooLarge,
    CometFSError,
    DeadlineExceeded,
    ServerFailed,
    Unreachable,
    Untrusted,
)
from cometfs.lease import is_settling
from cometfs.vfs.answers.batch_trust import BatchTrust
from cometfs.vfs.answers.resolver import AnswerResolver, Take
from cometfs.vfs.answers.siblings import Siblings, SiblingsByProject
from cometfs.vfs.schema.declaration import SAMPLE, Batch, Context, Found, Row, Source, Stream
from cometfs.vfs.sources import experiment
from cometfs.vfs.sources.metrics import LOGGED_BY
from cometfs.vfs.sources.parameters import COLUMNS

log = logging.getLogger(__name__)

SLOW = 10.0
"""Seconds that a reader waits for a batch that may bring its answer: a third of the deadline of its request."""

REMEMBERED = 4096
"""Experiments that batches left out of which that is remembered: below a megabyte."""

OF_THE_SERVER = (ServerFailed, DeadlineExceeded, Untrusted)
"""Failures of a server that was reached."""

HELD = 32 << 20
"""Bytes of answers to one question that a table leaves in memory. Of more, nothing: it has taken what it wants, the
rest is on disk, and all that others read would be pushed out."""


class Batches:
    """Asks. A batch is in `_under_way`, under each experiment that it asks for, iff it has not ended."""

    def __init__(self, answers: AnswerResolver, siblings: SiblingsByProject, trust: BatchTrust) -> None:
        self._answers = answers
        self._siblings = siblings
        self._trust = trust
        self._under_way: dict[Hashable, trio.Event] = {}
        self._left_out: Recent[Hashable, str] = Recent(REMEMBERED)
        """Of experiments that a batch left out: the version that they had."""

    def is_under_way(self, source: Source | Stream, at: Context) -> bool:
        """Whether a batch is under way that may bring the answer, or what it is made of."""
        if isinstance(source, Stream):
            return False
        batches = [one.batch for one in (source, *source.of) if isinstance(one, Source) and one.batch is not None]
        return any((batch.name, at.key) in self._under_way for batch in batches)

    async def wait(self, source: Source, at: Context) -> None:
        """Returns when no batch is under way that may bring the answer."""
        batch, place = (source.brought_by.batch, at.key[:1]) if source.brought_by else (source.batch, at.key)
        event = self._under_way.get((batch.name, place)) if batch else None
        if event is not None:
            # A slow batch must not stall a reader: it makes a call of its own then.
            with trio.move_on_after(SLOW):
                await event.wait()

    def is_missing(self, source: Source, at: Context) -> bool:
        """Whether a batch may be asked for this answer, which is neither at hand nor in a batch under way."""
        assert at.experiment is not None
        if not at.version or at.experiment["archived"] or source.batch is None or _has_just_ended(at.experiment):
            return False
        if self._left_out.get((source.batch.name, at.key)) == at.version:
            return False
        return not self.is_under_way(source, at) and not self._is_in_memory(source, at)

    def _is_in_memory(self, source: Source, at: Context) -> bool:
        """The disk was looked at by what asks for a batch, once for each experiment; what has come since is here."""
        keys = [source.key(at), *([source.within.source.key(source.within.at(at))] if source.within else [])]
        return any(self._answers.store.peek(key) is not None for key in keys)

    async def ask_verified(self, source: Source, places: Sequence[Context]) -> None:
        """Asks about many experiments in one call, where enough of them were asked by themselves to verify it."""
        line = self._siblings.of(places[0])
        if line is None or source.batch is None:
            return
        if self._trust.is_compared(source, line) or len(self._trust.sample(source, line)) >= SAMPLE:
            some = places[: self._trust.most(source.batch, line)]
            await self.ask(source, line, [at for at in some if self._answers.recall(source, at) is None])

    async def together(self, source: Source, places: Sequence[Context], take: Take | None = None) -> None:
        """Has the answers at hand afterwards of all places for which the source's batch can be trusted."""
        missing = [at for at in places if self.is_missing(source, at)]
        line = self._siblings.of(places[0]) if places else None
        if source.batch is None or line is None or len(missing) <= 2 * SAMPLE:
            return
        batch = source.batch

        async def ask(chunk: list[Context]) -> None:
            outage = await self.ask(source, line, chunk)
            if outage is not None:
                raise outage  # to ask each by itself would be thousands of calls, once it is over
            if take is not None:
                await take(chunk)
                if len(missing) * self._trust.weight(batch, line) > HELD:
                    self._answers.let_go(source, chunk)
            await self._answers.store.room()

        if not self._trust.is_compared(source, line):
            sample, missing = missing[:SAMPLE], missing[SAMPLE:]
            await experiment.each_of(sample, partial(self._ask_sample, source, batch, line))
        first = self._trust.most(batch, line)
        await ask(missing[:first])
        size = self._trust.most(batch, line)
        await experiment.each_of([missing[start : start + size] for start in range(first, len(missing), size)], ask)

    async def _ask_sample(self, source: Source, batch: Batch, line: Siblings, at: Context) -> None:
        try:
            await self._answers.ask(source, at)
        except NO_OTHER_WAY:
            raise
        except CometFSError as error:  # deleted since the listing, or one that cannot be had: no sample
            log.debug("no sample: %s", error)
            return
        line.record_single(batch, at)

    async def ask(self, source: Source, line: Siblings, places: list[Context]) -> Unreachable | None:
        """Asks about those that no batch under way asks for. Where the call fails, about half as many at a time.
        Returns why, where Comet cannot be reached now."""
        assert source.batch is not None
        # Another batch may have taken some of them since they were chosen.
        places = [at for at in places if self.is_missing(source, at)]
        if not places or not self._trust.is_trusted(source, line) or self._answers.store.connectivity.away:
            return None
        # No await between the look above and here: two batches never ask for the same experiment.
        ended = trio.Event()
        keys = [(source.batch.name, at.key) for at in places]
        self._under_way.update(dict.fromkeys(keys, ended))
        try:
            left, outage = await self._asked(source, source.batch, line, places)
        finally:
            # Also when it failed or was cancelled: readers that wait for it go on alone.
            ended.set()
            for key in keys:
                self._under_way.pop(key, None)
        while left and outage is None and self._trust.is_trusted(source, line):
            size = self._trust.most(source.batch, line)
            outage = await self.ask(source, line, left[:size])
            left = left[size:]
        return outage

    async def _asked(
        self, source: Source, batch: Batch, line: Siblings, places: list[Context], again: int = 1
    ) -> tuple[list[Context], Unreachable | None]:
        """The places about which to ask again, fewer at a time; or why Comet cannot be reached. Of an outage nothing is
        concluded: where it is over at once, the same is asked `again`."""
        began = trio.current_time()
        try:
            self._doubt_old_names(line)
            kept = batch.into or source
            came = partial(self._weigh, kept, batch, line)
            await self._answers.in_turn(kept, places, partial(self._call, source, batch, line), came)
        except AnswerTooLarge as error:
            log.debug("not fetched together: %s", error)
            self._trust.was_too_large(source, line, len(places))
        except NO_OTHER_WAY as error:
            log.debug("not fetched together: %s", error)  # each is asked by itself then, and says what is wrong
        except CometFSError as error:
            log.debug("not fetched together: %s", error)
            if isinstance(error, Unreachable) and not isinstance(error, OF_THE_SERVER):
                await self._answers.store.connectivity.look()
                if self._answers.store.connectivity.away:
                    return [], error
                if again:
                    return await self._asked(source, batch, line, places, again - 1)
            if self._trust.divides(batch, line, len(places), error, began=began):
                return places, None
        return [], None

    def _weigh(self, kept: Source, batch: Batch, line: Siblings, places: Sequence[Context]) -> None:
        """What other machines have brought tells as well how many to ask about in a call."""
        if self._trust.weight(batch, line):
            return
        held = [self._answers.store.peek(kept.key(at)) for at in places]
        weights = [one.weight for one in held if one is not None]
        if weights:
            self._trust.brought(batch, line, sum(weights) / len(weights))

    async def _call(self, source: Source, batch: Batch, line: Siblings, places: Sequence[Context]) -> None:
        sample = self._trust.sample(source, line)
        found = await batch.ask(self._answers.asker(), [*sample, *places])
        self._trust.answered(batch, line)
        if self._trust.compare(source, line, found, sampled=bool(sample)):
            self._trust.brought(batch, line, self._keep(found) / max(1, len(places)))
            brought = {one.at.key for one in found}
            for at in places:
                if at.key not in brought:
                    self._left_out[batch.name, at.key] = at.version

    def _keep(self, found: Sequence[Found]) -> int:
        """The bytes of memory of what was not at hand."""
        weight = 0
        for one in found:
            # What a single call answered meanwhile stays: it is at least as fresh.
            held = self._answers.store.peek(one.source.key(one.at))
            if held is None or held.value is None:
                weight += self._answers.fill(one.source, one.at, one.answer).weight
        return weight

    def _doubt_old_names(self, line: Siblings) -> None:
        """Names that are older than the listing may lack those of experiments that have ended meanwhile."""
        store, listing = self._answers.store, self._answers.peek(experiment.EXPERIMENTS, line.project)
        if listing is not None:
            for source in (COLUMNS, LOGGED_BY):
                store.doubt(source.key(line.project), listing.arrived)


def _has_just_ended(row: Row) -> bool:
    return is_settling(experiment.ended_ago(row))
