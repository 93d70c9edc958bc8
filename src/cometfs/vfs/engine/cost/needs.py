"""What single questions cost that are not at hand, each counted once: by the declaration, which says what an answer is
made of, and what comes for many experiments in one call.

Not here: which questions (estimate.py), and what their answers weigh (weights.py).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from cometfs.vfs.answers.resolver import AnswerResolver
from cometfs.vfs.engine.cost.weights import ANSWER, Scales, Weights
from cometfs.vfs.engine.walk_prefetch import Pace
from cometfs.vfs.schema.declaration import SAMPLE, Batch, Context, ForEach, Needs, Source, Stream, Weighs
from cometfs.vfs.sources import experiment
from cometfs.vfs.sources.chart_calls import ALONE, loses, points_of
from cometfs.vfs.sources.metrics import METRIC_NAMES
from cometfs.vfs.sources.parameters import of_project

OFTEN = 2
"""Times that a question is asked of this and that, up to which one is not asked to know what it weighs."""

MUCH = 10_000
"""Bytes of an answer from which on it is worth knowing what others weigh, too."""

ONE_METRIC = "experiment/metrics/get-metric"

WORKERS = 16
"""Files that a walk reads at the same time."""

MODEST = 5000
"""Points that are weighed to know what points weigh, if there is an experiment with no more."""


class Sum(NamedTuple):
    """What was counted."""

    calls: float = 0.0
    bytes: float = 0.0
    files: float = 0.0
    at_hand: float = 0.0
    perhaps: float = 0.0
    """Calls and bytes of which half are counted: all may be made, or none."""
    perhaps_bytes: float = 0.0

    def __add__(self, other: object) -> Sum:
        assert isinstance(other, Sum)
        return Sum(*(mine + its for mine, its in zip(self, other, strict=True)))

    def __sub__(self, other: Sum) -> Sum:
        return Sum(*(mine - its for mine, its in zip(self, other, strict=True)))

    def __truediv__(self, count: float) -> Sum:
        return Sum(*(mine / count for mine in self))


class Count(NamedTuple):
    """Of one endpoint."""

    calls: float = 0.0
    bytes: float = 0.0


class Reckoning:
    """Counts; `_batched` has the experiments that are asked about together, by project."""

    def __init__(self, answers: AnswerResolver, pace: Pace, scales: Scales) -> None:
        self._pace = pace
        self._answers = answers
        self._traffic = answers.api.traffic
        self._scales = scales
        self.weights = Weights(self._traffic, scales)
        self._counted: set[Hashable] = set()
        self._batched: dict[Hashable, set[Hashable]] = {}
        self._samples: dict[Hashable, list[Context]] = {}
        """The experiments of each project that are asked by themselves, and once more with the first batch."""
        self._brought: set[Hashable] = set()
        """What the first file that is read of a directory brings for the others: each has its bytes, and no call."""
        self._basis: set[str] = set()
        """Endpoints by whose answers those of others are reckoned."""
        self._charts: dict[Hashable, tuple[int, float]] = {}
        """How many charts of a project are reckoned so far, and the most points of a metric among them."""
        self._in_batches: Counter[Hashable] = Counter()
        """How many experiments are asked about by a batch of a project so far."""
        self.unweighed: dict[str, list[tuple[Source, Context]]] = {}
        """What was counted, by endpoint."""
        self.by_endpoint: defaultdict[str, Count] = defaultdict(Count)
        self.total = Sum()

    def known(self, source: Source, at: Context) -> Any:
        """See `Known`."""
        held = self._answers.recall(source, at)
        if held is not None:
            return () if held.error is not None else held.value
        if source.told_by is None:
            return None
        other, tells = source.told_by
        answer = self.known(other, at)
        return None if answer is None else tells(answer)

    def comes(self, source: Source, at: Context) -> bool:
        """See `Known`."""
        if self.known(source, at) is not None:
            return True
        project = of_project(at).key
        batched = self._batched.get(project)
        if source.within is None or not batched:
            return False
        samples = (sample.key for sample in self._samples[project])
        return (at.key[:1] in batched or at.key[:1] in samples) and loses(self, at) < 1

    def go_into(self, each: ForEach, at: Context) -> None:
        """A directory is about to be gone through: of the experiments of a project, after the first ones, batches bring
        what they can."""
        if each.source is METRIC_NAMES and (points := points_of(self, at)) is not None:
            self._scales.amounts[at.key[0]] = sum(points.values())
        if each.source is not experiment.EXPERIMENTS:
            return
        places = [each.bind(at, row) for row in self.known(each.source, at) or ()]
        if places:
            project = of_project(places[0]).key
            self._samples[project] = places[:SAMPLE]
            self._batched[project] = {
                place.key
                for place in places[self._pace.alone :]
                if place.version and not place.experiment["archived"]  # type: ignore[index]
            }

    def read(self, question: Source | Stream | None, at: Context) -> None:
        """A file is read."""
        before = self.total.calls
        if question is not None:
            self.ask(question, at)
        if isinstance(question, Source) and question.together is not None:
            self._brought.add((question.together.name, of_project(at).key))
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
                self._add(question.name, 1, question.size(at) or self._weight([Weighs(1, question.name)]))
        elif self._answers.recall(question, at) is None and not self._by_batch(question, at):
            self._ask_alone(question, at)

    def _ask_alone(self, question: Source, at: Context) -> None:
        needs = _needs(self, question, at)
        if question.together is not None and (question.together.name, of_project(at).key) in self._brought:
            needs = needs._replace(calls=0, perhaps=None)
        if needs.calls and all(weighs.endpoint == question.called for weighs in needs.weighs):
            self.unweighed.setdefault(question.called, []).append((question, at))
        self._add(question.called, needs.calls, self._weight(needs.weighs or [Weighs(needs.calls, question.called)]))
        self._basis.update(weighs.endpoint for weighs in needs.weighs)
        if needs.perhaps is not None:
            self._may_check(of_project(at), needs.perhaps)
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
            if endpoint == experiment.EVERY_POINT and self._scales.amounts:
                if not self._scales.is_measured:
                    yield min(asked, key=self._modest)
                continue
            known = self._traffic.calls[endpoint]
            wanted = enough if self._traffic.weight(endpoint, ANSWER)[0] > MUCH else 1
            first = endpoint in self._basis or enough > 1
            if first and self.weights.leaned[endpoint] > OFTEN and known < wanted:
                yield asked[known * len(asked) // wanted]

    def _rank(self, unweighed: tuple[str, list[tuple[Source, Context]]]) -> tuple[bool, bool]:
        endpoint, asked = unweighed
        return endpoint not in self._basis, not asked[0][0].grows

    def _modest(self, question: tuple[Source, Context]) -> float:
        """Orders experiments by how well they show what points weigh: the most of those that have not too many."""
        amount = self._scales.amounts.get(question[1].key[0], math.inf)
        return amount if amount > MODEST else -amount

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
            self._add_batch(batch, project, at)
            if 0 < batch.loses(self, at) < 1:
                self._add_perhaps(experiment.EVERY_POINT, Weighs(1, experiment.EVERY_POINT, grows=True))
        return batch.loses(self, at) < 1

    def _add_batch(self, batch: Batch, project: Context, at: Context) -> None:
        """Counts one experiment of a batch, and the call of the first one in each."""
        number = self._in_batches[batch.name, project.key]
        self._in_batches[batch.name, project.key] += 1
        begins = number % min(self._pace.together, batch.most) == 0
        places = [at, *self._samples.get(project.key, ())] if number == 0 else [at]
        weighs = [batch.weighs(self, place) for place in places] if batch.weighs else []
        self._basis.update(one.endpoint for one in weighs)
        self._add(batch.name.split(" ")[0], batch.calls * begins, self._weight(weighs))
        if number == 0 and batch.checks:
            points = points_of(self, at) or {}
            self._may_check(project, _alone(max(points.values(), default=1.0)))

    def _add(self, endpoint: str, calls: float, size: float) -> None:
        self.total = self.total._replace(calls=self.total.calls + calls, bytes=self.total.bytes + size)
        before = self.by_endpoint[endpoint]
        self.by_endpoint[endpoint] = Count(before.calls + calls, before.bytes + size)

    def _may_check(self, project: Context, weighs: Weighs) -> None:
        """A chart, or the first batch, may be compared with what a metric says alone: the first ones, which are read at
        the same time, and those that are longer than all before."""
        count, longest = self._charts.get(project.key, (0, 0.0))
        amount = weighs.amount or 0.0
        self._charts[project.key] = count + 1, max(longest, amount)
        if amount and (count < WORKERS or amount > longest):
            self._add_perhaps(ONE_METRIC, weighs)

    def _add_perhaps(self, endpoint: str, weighs: Weighs) -> None:
        size = self._weight([weighs])
        self._add(endpoint, 0.5, size / 2)
        perhaps, perhaps_bytes = self.total.perhaps + 1, self.total.perhaps_bytes + size
        self.total = self.total._replace(perhaps=perhaps, perhaps_bytes=perhaps_bytes)

    def _weight(self, weighs: Sequence[Weighs]) -> float:
        """In bytes."""
        return sum(map(self.weights.of, weighs))


def _alone(amount: float) -> Weighs:
    return Weighs(ALONE, experiment.EVERY_POINT, grows=True, amount=amount)


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
