"""Answers fetched before their readers come: for siblings of what was read, in one call where Comet answers many.

What to fetch is decided in readahead.py; here it is done, in tasks that die with the loads. Not here: one call for many
(batches.py), what is read (engine/) and answers as such (resolver.py).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Hashable, Sequence

import trio

from cometfs.cache.memory import Recent
from cometfs.cache.store import Store
from cometfs.caller import AHEAD, CALLER, RENEWAL, Caller, Urgency
from cometfs.errors import CometFSError
from cometfs.vfs.answers.abreast import ABREAST, Abreast, Question
from cometfs.vfs.answers.batch_trust import BatchTrust
from cometfs.vfs.answers.batches import Batches
from cometfs.vfs.answers.observations import Observations
from cometfs.vfs.answers.readahead import FIRST, Readahead
from cometfs.vfs.answers.resolver import AnswerResolver, Take
from cometfs.vfs.answers.siblings import Siblings, SiblingsByProject, has_siblings
from cometfs.vfs.schema.declaration import Context, Source
from cometfs.vfs.sources import experiment

log = logging.getLogger(__name__)

RENEWED = 0.25
"""The last part of its lease in which an answer in use is asked for again."""

REMEMBERED = 4096
"""Answers of which it is remembered that they were asked for again: well below a megabyte."""


class Prefetcher:
    """Fetches ahead."""

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
        self._trust = BatchTrust(answers, self.observations)
        self.batches = Batches(answers, self._siblings, self._trust)
        self._renewing: Recent[Hashable, float] = Recent(REMEMBERED)
        """What was asked again, and until when the answer held of which that was done: once is enough."""
        self.abreast = Abreast(answers)

    def record_access(self, source: Source, at: Context, *, waited: bool) -> None:
        """A reader asks `source` at a place; `waited`: its answer was not at hand."""
        line = self._siblings.of(at) if has_siblings(at) else None
        place = None if line is None else line.places.get(at.key[0])
        if line is None or place is None:
            return
        if source.brought_by is not None and self._trust.is_trusted(source.brought_by, line):
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
        most = self._trust.most(batch, line) if batch else ABREAST
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
            line.record_single(batch, at)
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

    def start(self, work: Callable[..., Awaitable[object]], *arguments: object) -> None:
        """Does what no program waits for."""
        self._start(AHEAD, work, *arguments)

    def record_single(self, source: Source, at: Context) -> None:
        """An experiment was asked by itself: a batch can be verified by its answer."""
        line = self._siblings.of(at) if has_siblings(at) else None
        if line is not None and source.batch is not None:
            line.record_single(source.batch, at)

    async def wait_for_batch(self, source: Source, at: Context) -> None:
        """Returns when no batch is under way that may bring the answer."""
        await self.batches.wait(source, at)

    async def together(self, source: Source, places: Sequence[Context], take: Take | None = None) -> None:
        """Has the answers at hand afterwards of all places for which the source's batch can be trusted."""
        await self.batches.together(source, places, take)

    def siblings_of(self, at: Context) -> Siblings | None:
        """The experiments around one; None where their listing is not at hand."""
        return self._siblings.of(at)

    async def ask(self, source: Source, at: Context) -> None:
        """Asks a question that a reader waits for: where it fails, the reader's own tells why."""
        try:
            await self._answers.ask(source, at)
        except CometFSError as error:
            log.debug("not asked together: %s", error)

    def _has(self, source: Source, at: Context) -> bool:
        return self._answers.recall(source, at) is not None

    def _richest(self, source: Source, line: Siblings) -> Source:
        """What `source` is made of, where that will be asked for as well: a batch of it brings both, and one of
        `source` alone would be a call for what comes anyway."""
        richer = (one for one in source.of if isinstance(one, Source) and one.batch is not None)
        return next((one for one in richer if self.observations.expects_all(one, line.project)), source)

    def _begin(self, source: Source, line: Siblings, places: list[Context]) -> None:
        batched = source.batch is not None and self._trust.is_trusted(source, line)
        missing = [at for at in places if self._answers.recall(source, at) is None]
        if batched:
            asked = [at for at in missing if self.batches.is_missing(source, at)]
        else:
            asked = [at for at in missing if self._is_due(source, at)]
        # Reading again what is at hand must not pay for tasks that have nothing to do.
        if asked and batched:
            self.start(self.batches.ask, source, line, asked)
        elif asked and self._singles:
            self.start(self.abreast.all, [(source, at) for at in asked])

    def _start(self, caller: Caller, work: Callable[..., Awaitable[object]], *arguments: object) -> None:
        self._loads.start_soon(_unattended, self._answers.store, caller, work, *arguments)

    def _is_due(self, source: Source, at: Context) -> bool:
        """Whether what may bring the answer by the way has come without it, and says that there is one: a walk from
        experiments with one metric to such as have others must not ask those for what they never logged."""
        if source.after is None:
            return True
        held = self._answers.store.peek(source.after.key(experiment.of_experiment(at)))
        return held is not None and at.item in (held.value or ())


async def _unattended(store: Store, caller: Caller, work: Callable[..., Awaitable[object]], *arguments: object) -> None:
    """Does work that no reader waits for. Its errors never end the mount; a reader of the same gets its own."""
    CALLER.set(caller)
    try:
        with store.loading():
            await work(*arguments)
    except CometFSError as error:
        log.debug("not fetched: %s", error)
    except Exception:
        log.exception("bug in what no program waits for")
