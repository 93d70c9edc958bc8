"""Whether many experiments are asked about in one call, and how many in one: a policy, without calls.

A batch is trusted when it agrees with single calls about a sample of experiments; where it does not, brings nothing, or
fails, each is asked by itself. Not here: asking (batches.py).
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any

import trio

from cometfs.cache.memory import Recent
from cometfs.errors import CometFSError, DeadlineExceeded
from cometfs.lease import Lease
from cometfs.vfs.answers.observations import Observations
from cometfs.vfs.answers.resolver import AnswerResolver
from cometfs.vfs.answers.siblings import Siblings
from cometfs.vfs.schema.declaration import SAMPLE, Batch, Context, Found, Source
from cometfs.vfs.sources.chart_calls import SMALL

log = logging.getLogger(__name__)

TARGET = 4 << 20
"""Bytes that a batch shall bring: what Comet's servers and this side get through in about a second."""

FAILED = Lease(600.0)
"""How long batches that failed are not asked for again."""

WORKING = "batches work: "

MOST = "experiments in a batch at most: "

STRIKES = "batches that failed one after the other"

REMEMBERED = 4096
"""Projects and questions of which it is remembered how they were answered last: well below a megabyte."""


class BatchTrust:
    """What is known of batches, by project and source."""

    def __init__(self, answers: AnswerResolver, observations: Observations) -> None:
        self._answers = answers
        self._observations = observations
        self._weights: Recent[Hashable, float] = Recent(REMEMBERED)
        """Bytes that the last batch about a project brought for an experiment."""
        self._trusted: Recent[Hashable, bool] = Recent(REMEMBERED)
        """Whether a batch agreed with single calls; absent while that was not compared."""
        self._failed_at: Recent[Hashable, float] = Recent(REMEMBERED)
        """When the last batch that failed took too long, on trio's clock; 0 where it failed otherwise."""

    def is_trusted(self, source: Source, line: Siblings) -> bool:
        """Whether batches for `source` are asked for: until they disagree, bring nothing, or fail."""
        works = source.batch is None or self._observations.agreement(WORKING + source.batch.name, line.project)
        return works is not False and self._trusted.get(_key(source, line), True)

    def is_compared(self, source: Source, line: Siblings) -> bool:
        """Whether a batch was compared with single calls."""
        return _key(source, line) in self._trusted

    def sample(self, source: Source, line: Siblings) -> list[Context]:
        """Experiments that were asked by themselves, for the next batch to be compared with; none once one was."""
        assert source.batch is not None
        if self.is_compared(source, line):
            return []
        known = {at.key: at for at in line.asked.get(source.batch.name, ()) if at.version}
        return [at for at in known.values() if self._held(source, at) is not None][:SAMPLE]

    def compare(self, source: Source, line: Siblings, found: Sequence[Found], *, sampled: bool) -> bool:
        """Whether a batch agrees with what single calls answered; decided once for a project and a source."""
        if not found:
            self.distrust(source, line)  # it brings nothing here: a call for nothing is enough
            return False
        for one in itertools.chain(found, *map(partial(self._apart, source), found)):
            single = self._held(one.source, one.at)
            if single is not None and single != one.answer:
                log.warning(
                    "Comet's %s tells other than %s of experiment %s: the project is asked one by one",
                    source.batch and source.batch.name,
                    one.source.name,
                    one.at.key[0],
                )
                self.distrust(source, line)
                return False
        if sampled:
            self._trusted[_key(source, line)] = True
        return True

    def distrust(self, source: Source, line: Siblings) -> None:
        """No batch for `source` is asked for in that project any more."""
        self._trusted[_key(source, line)] = False

    def most(self, batch: Batch, line: Siblings) -> int:
        """Experiments that the next batch asks about at most."""
        weight = self._weights.get((batch.name, line.project.key))
        most = batch.first if weight is None else max(1, min(batch.most, int(TARGET / max(weight, 1.0))))
        return min(most, self._observations.count(MOST + batch.name, line.project) or most)

    def weight(self, batch: Batch, line: Siblings) -> float:
        """Bytes that the last batch brought for an experiment; 0 where none did."""
        return self._weights.get((batch.name, line.project.key), 0.0)

    def brought(self, batch: Batch, line: Siblings, weight: float) -> None:
        """A batch brought so many bytes for an experiment."""
        self._weights[batch.name, line.project.key] = weight

    def answered(self, batch: Batch, line: Siblings) -> None:
        """A batch did not fail: the next one is twice as large, where they were halved for want of time."""
        if self._observations.count(STRIKES, line.project):
            self._observations.record_count(STRIKES, line.project, 0)
        most = self._observations.count(MOST + batch.name, line.project)
        if most and self._failed_at.get((batch.name, line.project.key)):
            self._observations.record_count(MOST + batch.name, line.project, min(2 * most, batch.most), FAILED)

    def was_too_large(self, source: Source, line: Siblings, count: int) -> None:
        """After an answer about so many that is too large: the next ones are a quarter as large, and after one about a
        few there are none."""
        assert source.batch is not None
        self.brought(source.batch, line, TARGET * 4 / count)
        if count <= 2 * SAMPLE:
            self.distrust(source, line)

    def divides(self, batch: Batch, line: Siblings, count: int, error: CometFSError, *, began: float) -> bool:
        """After a batch about so many failed: whether to ask about fewer. Not where two about a few failed, or took too
        long: then each is asked by itself, for a while, as it may have been an outage. `began`: when it was asked for.

        Where batches were answered before, one that takes too long meets a server, or a machine, with much to do, and
        to ask each by itself would be much more: it counts when it is a small one. Those that were asked for at the
        same time count once.
        """
        strikes, now = self._observations.count(STRIKES, line.project), trio.current_time()
        key, slow = (batch.name, line.project.key), isinstance(error, DeadlineExceeded)
        counts = count <= 2 * SAMPLE or (slow and (not self.weight(batch, line) or count <= SMALL))
        if counts and began >= self._failed_at.get(key, 0.0):
            strikes += 1
        self._failed_at[key] = now if slow else 0.0
        if strikes >= 2 or not batch.divides:
            self._observations.record_agreement(WORKING + batch.name, line.project, agrees=False, lease=FAILED)
            return False
        self._observations.record_count(STRIKES, line.project, strikes, FAILED)
        self._observations.record_count(MOST + batch.name, line.project, max(1, count // 2), FAILED)
        return count > 1

    def _apart(self, source: Source, one: Found) -> Sequence[Found]:
        """What it tells of others, and of `source`: of an experiment that was asked that by itself."""
        if one.source.apart is None or self._held(source, one.at) is None:
            return ()
        own = source.within and source.within.tell(self._answers.asker(), one.answer, one.at)
        return [*one.source.apart(one.at, one.answer), *([] if own is None else [Found(source, one.at, own)])]

    def _held(self, source: Source, at: Context) -> Any:
        held = self._answers.store.peek(source.key(at))
        return None if held is None else held.value


def _key(source: Source, line: Siblings) -> Hashable:
    return (source.batch and source.batch.name, source.name, line.project.key)
