"""Answers fetched before their readers come: for siblings of what was read, in one call where Comet answers many.

What to fetch is decided in readahead.py; here it is done, in tasks that die with the loads. A batch is trusted when it
agrees with single calls about a sample of experiments; where it does not, the project is asked one by one from then on.
Not here: what is read (engine/) and answers as such (resolver.py).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import partial
from typing import Any

import trio

from cometfs.cache.memory import Recent
from cometfs.cache.store import Store
from cometfs.caller import AHEAD, CALLER, RENEWAL, Caller, Urgency
from cometfs.errors import NO_OTHER_WAY, AnswerTooLarge, CometFSError, DeadlineExceeded
from cometfs.lease import Lease, is_settling
from cometfs.vfs.answers.abreast import ABREAST, Abreast, Question
from cometfs.vfs.answers.observations import Observations
from cometfs.vfs.answers.readahead import FIRST, Readahead
from cometfs.vfs.answers.resolver import AnswerResolver
from cometfs.vfs.answers.siblings import Siblings, SiblingsByProject, has_siblings
from cometfs.vfs.schema.declaration import SAMPLE, Batch, Context, Found, Row, Source, Stream
from cometfs.vfs.sources import experiment
from cometfs.vfs.sources.metrics import LOGGED_BY
from cometfs.vfs.sources.parameters import COLUMNS

log = logging.getLogger(__name__)

RENEWED = 0.25
"""The last part of its lease in which an answer in use is asked for again."""

TARGET = 4 << 20
"""Bytes that a batch shall bring: what Comet's servers and this side get through in about a second."""

SLOW = 10.0
"""Seconds that a reader waits for a batch that may bring its answer: a third of the deadline of its request."""

OTHERS = 0.1
"""Seconds until it is looked again whether another machine has brought what it asks for."""

FAILED = Lease(600.0)
"""How long batches that failed are not asked for again."""

WORKING = "batches work: "

MOST = "experiments in a batch at most: "

STRIKES = "batches that failed one after the other"

REMEMBERED = 4096
"""Projects and questions of which it is remembered how they were answered last: well below a megabyte."""


class Prefetcher:
    """Fetches ahead. A batch is in `_batches`, under each experiment that it asks for, iff it has not ended."""

    def __init__(
        self, answers: AnswerResolver, loads: trio.Nursery, spare: Callable[[Urgency], bool], *, singles: bool = True
    ) -> None:
        """`singles`: whether single questions are asked ahead, too."""
        self._answers = answers
        self._loads = loads
        self._spare = spare
        self._singles = singles
        self._policy = Readahead()
        self._siblings = SiblingsByProject(answers.store)
        self.observations = Observations()
        self._batches: dict[Hashable, trio.Event] = {}
        self._weights: Recent[Hashable, float] = Recent(REMEMBERED)
        """Bytes that the last batch about a project brought for an experiment."""
        self._trusted: Recent[Hashable, bool] = Recent(REMEMBERED)
        self._renewing: Recent[Hashable, float] = Recent(REMEMBERED)
        """What was asked again, and until when the answer held of which that was done: once is enough."""
        self.abreast = Abreast(answers)

    def record_access(self, source: Source, at: Context, *, waited: bool) -> None:
        """A reader asks `source` at a place; `waited`: its answer was not at hand."""
        line = self._siblings.of(at) if has_siblings(at) else None
        place = None if line is None else line.places.get(at.key[0])
        if line is None or place is None:
            return
        if source.brought_by is not None and self._is_trusted(source.brought_by, line):
            self._record(
                source.brought_by, experiment.of_experiment(at), line, place, waited=waited, wanted=(source, at)
            )
        self._record(source, at, line, place, waited=waited)

    def _record(
        self,
        source: Source,
        at: Context,
        line: Siblings,
        place: int,
        *,
        waited: bool,
        wanted: tuple[Source, Context] | None = None,
    ) -> None:
        """`wanted`: what the reader asked for, where `source` only brings it: where that is at hand, nothing is due."""
        batch = source.batch
        family = (line.project.key, batch.name if batch else source.name, *at.key[1:])
        most = self._most(line, batch) if batch else ABREAST
        now = trio.current_time()
        ahead = self._policy.asked(
            family,
            place,
            len(line.rows),
            waited=waited,
            most=most,
            now=now,
            first=min(most, batch.first) if batch else FIRST,
            batched=batch is not None and wanted is None,
        )
        if batch:
            line.asked.setdefault(batch.name, deque(maxlen=2 * SAMPLE)).append(at)
        if wanted is not None:
            ahead = [one for one in ahead if not self._has(wanted[0], *line.like(wanted[1], [one]))]
        if ahead and self.may:
            self._begin(self._richest(source, line), line, line.like(at, ahead))

    def renew(self, source: Source, at: Context) -> None:
        """What `source` has answered is being used: asks again where that will not hold much longer."""
        key = source.key(at)
        held = self._answers.store.peek(key) if source.renewed else None
        if held is None or held.error is not None or self._renewing.get(key) == held.expires:
            return
        if self._answers.store.remaining(held) < source.lease(at) * RENEWED and self._spare(Urgency.RENEWAL):
            self._renewing[key] = held.expires
            self._start(RENEWAL, self._renew, source, at)

    async def _renew(self, source: Source, at: Context) -> None:
        key, lease = source.key(at), source.lease(at)
        await self._answers.store.renew(key, lambda: source.ask(self._answers.asker(), at), lease, lasting=source.kept)

    @property
    def may(self) -> bool:
        """Whether calls are left for what no program waits for."""
        return self._spare(Urgency.AHEAD)

    def warm(self, wanted: Sequence[Question]) -> None:
        """Asks single questions that a reader is about to ask."""
        if self.may:
            self.start(self.abreast.all, list(wanted))

    def start(self, work: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Does what no program waits for."""
        self._start(AHEAD, work, *arguments)

    def siblings_of(self, at: Context) -> Siblings | None:
        """The experiments around one; None where their listing is not at hand."""
        return self._siblings.of(at)

    def is_batched(self, source: Source | Stream, at: Context) -> bool:
        """Whether a batch is under way that may bring the answer, or what it is made of."""
        if isinstance(source, Stream):
            return False
        batches = [one.batch for one in (source, *source.of) if isinstance(one, Source) and one.batch is not None]
        return any((batch.name, at.key) in self._batches for batch in batches)

    async def batch(self, source: Source, places: Sequence[Context]) -> None:
        """Asks about many experiments in one call, where enough of them were asked by themselves to verify it."""
        line = self._siblings.of(places[0])
        if line is None or source.batch is None:
            return
        if _trust_key(source, line) in self._trusted or len(self._sample(source, line)) >= SAMPLE:
            await self._batched(source, line, list(places[: self._most(line, source.batch)]))

    def record_single(self, source: Source, at: Context) -> None:
        """An experiment was asked by itself: a batch can be verified by its answer."""
        line = self._siblings.of(at) if has_siblings(at) else None
        if line is not None and source.batch is not None:
            line.asked.setdefault(source.batch.name, deque(maxlen=2 * SAMPLE)).append(at)

    async def ask(self, source: Source, at: Context) -> None:
        """Asks a question that a reader waits for: where it fails, the reader's own tells why."""
        try:
            await self._answers.ask(source, at)
        except CometFSError as error:
            log.debug("not asked together: %s", error)

    async def wait_for_batch(self, source: Source, at: Context) -> None:
        """Returns when no batch is under way that may bring the answer."""
        batch, place = (source.brought_by.batch, at.key[:1]) if source.brought_by else (source.batch, at.key)
        event = self._batches.get((batch.name, place)) if batch else None
        if event is not None:
            # A slow batch must not stall a reader: it makes a call of its own then.
            with trio.move_on_after(SLOW):
                await event.wait()

    async def together(self, source: Source, places: Sequence[Context]) -> None:
        """Has the answers at hand afterwards of all places for which the source's batch can be trusted."""
        missing = [at for at in places if self._is_missing(source, at)]
        line = self._siblings.of(places[0]) if places else None
        if source.batch is None or line is None or len(missing) <= 2 * SAMPLE:
            return
        batch = source.batch
        if _trust_key(source, line) not in self._trusted:
            sample, missing = missing[:SAMPLE], missing[SAMPLE:]
            await experiment.each_of(sample, partial(self._ask_sample, source, line))
        first = self._most(line, batch)
        await self._batched(source, line, missing[:first])
        size = self._most(line, batch)
        chunks = [missing[start : start + size] for start in range(first, len(missing), size)]
        await experiment.each_of(chunks, lambda chunk: self._batched(source, line, chunk))

    async def _ask_sample(self, source: Source, line: Siblings, at: Context) -> None:
        assert source.batch is not None
        try:
            await self._answers.ask(source, at)
        except NO_OTHER_WAY:
            raise
        except CometFSError as error:  # deleted since the listing, or one that cannot be had: no sample
            log.debug("no sample: %s", error)
            return
        line.asked.setdefault(source.batch.name, deque(maxlen=2 * SAMPLE)).append(at)

    def _has(self, source: Source, at: Context) -> bool:
        return self._answers.store.recall(source.key(at)) is not None

    def _richest(self, source: Source, line: Siblings) -> Source:
        """What `source` is made of, where that will be asked for as well: a batch of it brings both, and one of
        `source` alone would be a call for what comes anyway."""
        richer = (one for one in source.of if isinstance(one, Source) and one.batch is not None)
        return next((one for one in richer if self.observations.expects_all(one, line.project)), source)

    def _begin(self, source: Source, line: Siblings, places: list[Context]) -> None:
        batched = source.batch is not None and self._is_trusted(source, line)
        missing = [at for at in places if self._answers.store.recall(source.key(at)) is None]
        if batched:
            asked = [at for at in missing if self._is_missing(source, at)]
        else:
            asked = [at for at in missing if self._is_due(source, at)]
        # Reading again what is at hand must not pay for tasks that have nothing to do.
        if asked and batched:
            self.start(self._batched, source, line, asked)
        elif asked and self._singles:
            self.start(self.abreast.all, [(source, at) for at in asked])

    def _start(self, caller: Caller, work: Callable[..., Awaitable[None]], *arguments: object) -> None:
        self._loads.start_soon(_unattended, self._answers.store, caller, work, *arguments)

    def _is_due(self, source: Source, at: Context) -> bool:
        """Whether what may bring the answer by the way has come without it, and says that there is one: a walk from
        experiments with one metric to such as have others must not ask those for what they never logged."""
        return source.after is None or at.item in (self._held(source.after, experiment.of_experiment(at)) or ())

    def _is_missing(self, source: Source, at: Context) -> bool:
        """Whether a batch may be asked for this answer, which is neither at hand nor in a batch under way."""
        assert at.experiment is not None
        if not at.version or at.experiment["archived"] or source.batch is None or _has_just_ended(at.experiment):
            return False
        return not self.is_batched(source, at) and self._answers.store.recall(source.key(at)) is None

    async def _batched(self, source: Source, line: Siblings, places: list[Context]) -> None:
        assert source.batch is not None
        # Another batch may have taken some of them since they were chosen.
        places = [at for at in places if self._is_missing(source, at)]
        if not places or not self._is_trusted(source, line) or self._answers.store.connectivity.away:
            return
        left: list[Context] = []
        # No await between the look above and here: two batches never ask for the same experiment.
        ended = trio.Event()
        keys = [(source.batch.name, at.key) for at in places]
        self._batches.update(dict.fromkeys(keys, ended))
        try:
            self._doubt_old_names(line)
            await self._in_turn(source, source.batch, line, places)
        except AnswerTooLarge as error:
            log.debug("not fetched together: %s", error)
            self._shrink(source, line, len(places))
        except NO_OTHER_WAY as error:
            log.debug("not fetched together: %s", error)  # each is asked by itself then, and says what is wrong
        except CometFSError as error:
            log.debug("not fetched together: %s", error)
            left = places if self._divides(source.batch, line, len(places), error) else []
        finally:
            # Also when it failed or was cancelled: readers that wait for it go on alone.
            ended.set()
            for key in keys:
                self._batches.pop(key, None)
        while left and self._is_trusted(source, line):
            size = self._most(line, source.batch)
            await self._batched(source, line, left[:size])
            left = left[size:]

    async def _in_turn(self, source: Source, batch: Batch, line: Siblings, places: Sequence[Context]) -> None:
        """Asks about those of which no other machine has the answers, or asks for them."""
        while places:
            mine, places = await self._answers.claim(source, places)
            try:
                if mine:
                    await self._ask_batch(source, batch, line, mine)
            finally:
                self._answers.release(source, mine)
            if places:
                await trio.sleep(OTHERS)

    async def _ask_batch(self, source: Source, batch: Batch, line: Siblings, places: Sequence[Context]) -> None:
        sample = self._sample(source, line)
        found = await batch.ask(self._answers.asker(), [*sample, *places])
        if self.observations.count(STRIKES, line.project):
            self.observations.record_count(STRIKES, line.project, 0)
        if self._agree(source, line, found, bool(sample)):
            self._keep(batch, line, found, len(places))

    def _divides(self, batch: Batch, line: Siblings, count: int, error: CometFSError) -> bool:
        """After a batch about so many failed: whether to ask about fewer. Not where two about a few failed, or took too
        long: then each is asked by itself, for a while, as it may have been an outage."""
        strikes = self.observations.count(STRIKES, line.project)
        if isinstance(error, DeadlineExceeded) or count <= 2 * SAMPLE:
            strikes += 1
        if strikes >= 2 or not batch.divides:
            self._give_up(batch, line)
            return False
        self.observations.record_count(STRIKES, line.project, strikes, FAILED)
        self.observations.record_count(MOST + batch.name, line.project, max(1, count // 2), FAILED)
        return count > 1

    def _give_up(self, batch: Batch, line: Siblings) -> None:
        self.observations.record_agreement(WORKING + batch.name, line.project, agrees=False, lease=FAILED)

    def _is_trusted(self, source: Source, line: Siblings) -> bool:
        """Whether batches for `source` are asked for: until they disagree, bring nothing, or fail."""
        works = source.batch is None or self.observations.agreement(WORKING + source.batch.name, line.project)
        return works is not False and self._trusted.get(_trust_key(source, line), True)

    def _doubt_old_names(self, line: Siblings) -> None:
        """Names that are older than the listing may lack those of experiments that have ended meanwhile."""
        store, listing = self._answers.store, self._answers.peek(experiment.EXPERIMENTS, line.project)
        for key in (source.key(line.project) for source in (COLUMNS, LOGGED_BY)):
            names = store.recall(key)
            if names is not None and listing is not None and names.arrived < listing.arrived:
                store.drop(key)

    def _sample(self, source: Source, line: Siblings) -> list[Context]:
        assert source.batch is not None
        if _trust_key(source, line) in self._trusted:
            return []
        known = {at.key: at for at in line.asked.get(source.batch.name, ()) if at.version}
        return [at for at in known.values() if self._held(source, at) is not None][:SAMPLE]

    def _held(self, source: Source, at: Context) -> Any:
        held = self._answers.store.peek(source.key(at))
        return None if held is None else held.value

    def _agree(self, source: Source, line: Siblings, found: Sequence[Found], sampled: bool) -> bool:
        """Whether the batch agrees with what single calls answered; decided once for a project and a source."""
        if not found:
            self._trusted[_trust_key(source, line)] = False  # it brings nothing here: a call for nothing is enough
            return False
        for one in found:
            single = self._held(one.source, one.at)
            if single is not None and single != one.answer:
                log.warning(
                    "Comet's %s tells other than %s of experiment %s: the project is asked one by one",
                    source.batch and source.batch.name,
                    one.source.name,
                    one.at.key[0],
                )
                self._trusted[_trust_key(source, line)] = False
                return False
        if sampled:
            self._trusted[_trust_key(source, line)] = True
        return True

    def _keep(self, batch: Batch, line: Siblings, found: Sequence[Found], count: int) -> None:
        weight = 0
        for one in found:
            # What a single call answered meanwhile stays: it is at least as fresh.
            if self._held(one.source, one.at) is None:
                weight += self._answers.fill(one.source, one.at, one.answer).weight
        self._weights[batch.name, line.project.key] = weight / max(1, count)

    def _shrink(self, source: Source, line: Siblings, count: int) -> None:
        """After an answer about so many that is too large: the next ones are a quarter as large, and after one about a
        few there are none."""
        assert source.batch is not None
        self._weights[source.batch.name, line.project.key] = TARGET * 4 / count
        if count <= 2 * SAMPLE:
            self._trusted[_trust_key(source, line)] = False

    def _most(self, line: Siblings, batch: Batch) -> int:
        weight = self._weights.get((batch.name, line.project.key))
        most = batch.first if weight is None else max(1, min(batch.most, int(TARGET / max(weight, 1.0))))
        return min(most, self.observations.count(MOST + batch.name, line.project) or most)


def _has_just_ended(row: Row) -> bool:
    return is_settling(experiment.ended_ago(row))


async def _unattended(store: Store, caller: Caller, work: Callable[..., Awaitable[None]], *arguments: object) -> None:
    """Does work that no reader waits for. Its errors never end the mount; a reader of the same gets its own."""
    CALLER.set(caller)
    try:
        with store.loading():
            await work(*arguments)
    except CometFSError as error:
        log.debug("not fetched: %s", error)
    except Exception:
        log.exception("bug in what no program waits for")


def _trust_key(source: Source, line: Siblings) -> Hashable:
    return (source.batch and source.batch.name, source.name, line.project.key)
