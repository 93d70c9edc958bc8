"""What single questions cost that are not at hand, each counted once: by the declaration, which says what an answer is
made of, and what comes for many experiments in one call.

Not here: which questions (cost.py).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator
from typing import Any, NamedTuple

from cometfs.vfs.answers.resolver import AnswerResolver
from cometfs.vfs.engine.walk_prefetch import Pace
from cometfs.vfs.schema.declaration import Batch, Context, ForEach, Needs, Source, Stream, Weighs
from cometfs.vfs.sources import experiment
from cometfs.vfs.sources.parameters import of_project

ANSWER = 1000
"""Bytes of an answer, where none has come from its endpoint yet."""


OFTEN = 2
"""Times that a question is asked of this and that, up to which one is not asked to know what it weighs."""

MUCH = 10_000
"""Bytes of an answer from which on it is worth knowing what others weigh, too."""


class Sum(NamedTuple):
    """What was counted."""

    calls: float = 0.0
    bytes: float = 0.0
    files: float = 0.0
    at_hand: float = 0.0

    def __add__(self, other: object) -> Sum:
        assert isinstance(other, Sum)
        return Sum(*(mine + its for mine, its in zip(self, other, strict=True)))

    def __sub__(self, other: Sum) -> Sum:
        return Sum(*(mine - its for mine, its in zip(self, other, strict=True)))

    def __truediv__(self, count: float) -> Sum:
        return Sum(*(mine / count for mine in self))


class Reckoning:
    """Counts; `_batched` has the experiments that are asked about together, by project."""

    def __init__(self, answers: AnswerResolver, pace: Pace) -> None:
        self._pace = pace
        self._answers = answers
        self._traffic = answers.api.traffic
        self._counted: set[Hashable] = set()
        self._batched: dict[Hashable, set[Hashable]] = {}
        self._basis: set[str] = set()
        """Endpoints by whose answers those of others are reckoned."""
        self._leaned: defaultdict[str, float] = defaultdict(float)
        """How many answers of an endpoint are reckoned with."""
        self._in_batches: Counter[Hashable] = Counter()
        """How many experiments are asked about by a batch of a project so far."""
        self.unweighed: dict[str, list[tuple[Source, Context]]] = {}
        """What was counted, by endpoint."""
        self.total = Sum()

    def known(self, source: Source, at: Context) -> Any:
        """See `Known`."""
        held = self._answers.recall(source, at)
        return None if held is None else () if held.error is not None else held.value

    def go_into(self, each: ForEach, at: Context) -> None:
        """A directory is about to be gone through: of the experiments of a project, after the first ones, batches bring
        what they can."""
        if each.source is experiment.EXPERIMENTS:
            places = [each.bind(at, row) for row in self.known(each.source, at) or ()]
            self._batched[of_project(places[0]).key if places else None] = {
                place.key
                for place in places[self._pace.alone :]
                if place.version and not place.experiment["archived"]  # type: ignore[index]
            }

    def read(self, question: Source | Stream | None, at: Context) -> None:
        """A file is read."""
        before = self.total.calls
        if question is not None:
            self.ask(question, at)
        free = self.total.calls == before
        self.total = self.total._replace(files=self.total.files + 1, at_hand=self.total.at_hand + free)

    def ask(self, question: Source | Stream, at: Context) -> None:
        """Counts what is not at hand of it, and was not counted."""
        key = question.key(at)
        if key in self._counted:
            return
        self._counted.add(key)
        if isinstance(question, Stream):
            if not self._answers.has(question, at):
                self._add(1, question.size(at) or self._weight(Weighs(1, question.name)))
        elif self._answers.recall(question, at) is None and not self._by_batch(question, at):
            needs = _needs(self, question, at)
            if needs.calls and not needs.weighs:
                self.unweighed.setdefault(question.called, []).append((question, at))
            self._add(needs.calls, self._weight(needs.weighs or Weighs(needs.calls, question.called)))
            self._basis.update([needs.weighs.endpoint] if needs.weighs else [])
            for part, place in needs.of:
                self.ask(part, place)

    def ask_all(self, source: Source, at: Context) -> None:
        """Counts what brings all items of an experiment, which are not known."""
        if not self._by_batch(source, at):
            for part, place in _needs(self, source, at).of:
                self.ask(part, place)

    def worth_weighing(self, enough: int) -> Iterator[tuple[Source, Context]]:
        """Questions of which it is not known by so many answers what they weigh: those that others are reckoned by
        first, then what grows; of what weighs little one answer will do."""
        for endpoint, asked in sorted(self.unweighed.items(), key=self._rank):
            known = self._traffic.calls[endpoint]
            wanted = enough if self._traffic.weight(endpoint, ANSWER)[0] > MUCH else 1
            first = endpoint in self._basis or enough > 1
            if first and self._leaned[endpoint] > OFTEN and known < wanted:
                yield asked[known * len(asked) // wanted]

    def _rank(self, unweighed: tuple[str, list[tuple[Source, Context]]]) -> tuple[bool, bool]:
        endpoint, asked = unweighed
        return endpoint not in self._basis, not asked[0][0].grows

    def _by_batch(self, question: Source, at: Context) -> bool:
        """Whether it comes with those of other experiments, which is counted then."""
        if at.experiment is None:
            return False
        project = of_project(at)
        if at.key[:1] not in self._batched.get(project.key, ()):
            return False
        batch = (question.brought_by or _richer(question)).batch
        if batch is None or not batch.brings(self, project):
            return False
        if question.brought_by is None and (batch.name, at.key) not in self._counted:
            self._counted.add((batch.name, at.key))
            self._add_batch(batch, project)
        return True

    def _add_batch(self, batch: Batch, project: Context) -> None:
        """Counts one experiment of a batch, and the call of the first one in each."""
        number = self._in_batches[batch.name, project.key]
        self._in_batches[batch.name, project.key] += 1
        begins = number % min(self._pace.together, batch.most) == 0
        calls = batch.calls * begins + batch.checks * (number == 0)
        self._add(calls, self._weight(batch.weighs) if batch.weighs else 0)
        self._basis.update([batch.weighs.endpoint] if batch.weighs else [])

    def _add(self, calls: float, size: float) -> None:
        self.total = self.total._replace(calls=self.total.calls + calls, bytes=self.total.bytes + size)

    def _weight(self, weighs: Weighs) -> float:
        """In bytes, by the answers that have come."""
        self._leaned[weighs.endpoint] += weighs.times
        return weighs.times * self._traffic.weight(weighs.endpoint, ANSWER)[0]

    def error(self) -> float:
        """Standard error of the bytes that are reckoned by what other answers weigh."""
        errors = (times * self._traffic.weight(one, ANSWER)[1] for one, times in self._leaned.items())
        return math.hypot(*errors)


def _richer(question: Source) -> Source:
    """What it is made of, where a batch has that: to go through all asks for both."""
    richer = (one for one in question.of if isinstance(one, Source) and one.batch is not None)
    return next(richer, question)


def _needs(reckoning: Reckoning, source: Source, at: Context) -> Needs:
    if source.needs is not None:
        return source.needs(reckoning, at)
    if not source.of:
        return Needs(1)
    return Needs(0, list(_parts(source, at)))


def _parts(source: Source, at: Context) -> Iterable[tuple[Source | Stream, Context]]:
    """The questions that it is made of, and where they are asked: what is about an item, at that; else at its
    experiment or project."""
    for part in source.of:
        if isinstance(part, Stream) or part.brought_by is not None:
            yield part, at
        elif at.experiment is not None:
            yield part, experiment.of_experiment(at)
        else:
            yield part, of_project(at) if at.project is not None else at
