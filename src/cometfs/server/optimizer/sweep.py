"""The state of one search: what was assigned to which trial, and how it ended. It follows from its events alone.

Not here: how sets are chosen (`algorithms`), where events are kept (`storage.optimizer_store`).
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from cometfs.server.optimizer.algorithms import Result, Values, check_grid, next_set, spec_of
from cometfs.server.optimizer.space import InvalidSearch, space_of
from cometfs.text.numbers import number_of

DONE = "completed"
"""The state of a trial that has a score, and of a search that has no more of them."""

RUNNING = "running"


class Created(msgspec.Struct, tag="created", tag_field="event", rename="camel"):
    """The search, as its client wants it."""

    id: str
    at: int
    algorithm: str
    parameters: dict[str, Any]
    name: str | None = None
    trials: int = 1
    spec: dict[str, Any] = {}


class Assigned(msgspec.Struct, tag="assigned", tag_field="event", rename="camel"):
    """A set of parameters was given out; once more, if its trial is known already."""

    at: int
    pid: str
    trial: int
    parameters: Values


class Updated(msgspec.Struct, tag="updated", tag_field="event", rename="camel"):
    """What became of a trial."""

    at: int
    pid: str
    trial: int
    status: str | None = None
    score: Any = None
    epoch: Any = None
    metadata: Any = None


Event = Created | Assigned | Updated


class Trial(msgspec.Struct):
    pid: str
    number: int
    count: int
    parameters: Values
    started: int
    tries: int = 1
    status: str = RUNNING
    score: float | None = None
    updated: int | None = None


class Sweep:
    """Raises InvalidSearch for a search that cannot be made."""

    def __init__(self, created: Created) -> None:
        self.created = created
        self.space, self.spec = space_of(created.parameters), spec_of(created.algorithm, created.spec)
        check_grid(self.space, self.spec)
        if created.trials < 1:
            raise InvalidSearch("a search needs at least one trial of each set")
        self.trials: dict[tuple[str, int], Trial] = {}
        self._sets: dict[str, Values] = {}
        self._gave_up = False

    def apply(self, event: Assigned | Updated) -> None:
        """Of an unknown trial only its assignment counts."""
        trial = self.trials.get((event.pid, event.trial))
        if isinstance(event, Assigned):
            if trial is None:
                self._add(event)
            else:
                trial.tries, trial.status, trial.started = trial.tries + 1, RUNNING, event.at
        elif trial is not None:
            trial.status, trial.updated = event.status or trial.status, event.at
            score = number_of(event.score)
            trial.score = score if score is not None and math.isfinite(score) else trial.score

    def _add(self, event: Assigned) -> None:
        self._sets[event.pid] = event.parameters
        made = Trial(event.pid, event.trial, len(self.trials) + 1, event.parameters, event.at)
        self.trials[event.pid, event.trial] = made

    def next(self, new_pid: str, at: int) -> Assigned | None:
        """What to assign: the next trial of the last set, a new set, or a trial that did not end, if there is any."""
        last = next(reversed(self.trials.values()), None)
        if last is not None and last.number < self.created.trials:
            return Assigned(at, last.pid, last.number + 1, last.parameters)
        found = next_set(self.created.algorithm, self.space, self.spec, list(self._sets.values()), self._results())
        if found is not None:
            return Assigned(at, new_pid, 1, found)
        self._gave_up = True
        again = min(self._repeatable(), key=lambda trial: (trial.status == RUNNING, trial.tries), default=None)
        return None if again is None else Assigned(at, again.pid, again.number, again.parameters)

    def _repeatable(self) -> list[Trial]:
        most = 1 + self.spec.retry_assign_limit
        return [one for one in self.trials.values() if one.status != DONE and one.tries < most]

    def _results(self) -> list[Result]:
        sign = -1 if self.spec.objective == "maximize" else 1
        return [(one.parameters, sign * one.score) for one in self.trials.values() if one.score is not None]

    @property
    def has_ended(self) -> bool:
        """No set was left when one was asked for, and nothing runs."""
        return self._gave_up and all(one.status != RUNNING for one in self.trials.values())
