"""The experiments of a project: in one answer, or page by page where that takes a server too long.

Not here: the methods that list them (`api`), the form of a row (`models`).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

from cometfs.caller import patience
from cometfs.comet.answers import models
from cometfs.comet.answers.models import Experiment
from cometfs.comet.calls import Calls
from cometfs.comet.question import Question
from cometfs.errors import AnswerTooLarge, NotAllowed, NotFound, Unintelligible, Unreachable, Unsupported

PAGE = 1000
"""Experiments on a page: as many as Comet's own clients ask for, "to avoid timeouts"."""

UNPAGED = 10.0
"""Seconds within which an answer without pages must begin."""

ORDER = {"sortBy": "startTime", "sortOrder": "asc"}
"""What begins meanwhile comes on the last page."""


class ExperimentPages:
    """Lists experiments, and remembers where that takes pages."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._long: set[frozenset[tuple[str, str]]] = set()

    async def all(self, query: Mapping[str, str]) -> list[Experiment]:
        """All of a project; `query` says which."""
        place = frozenset(query.items())
        if place not in self._long:
            try:
                with patience(UNPAGED):
                    return await self._calls.ask(Question("experiments", query, retries=1), models.experiments)
            except (Unreachable, AnswerTooLarge):
                pass
        try:
            rows = await self._paged(query)
        except (NotAllowed, NotFound, Unintelligible, Unsupported):  # it has no pages: then all at once, however long
            return await self._calls.ask(Question("experiments", query), models.experiments)
        self._long.add(place)
        return rows

    async def _paged(self, query: Mapping[str, str]) -> list[Experiment]:
        """Page by page, until one is shorter than the first, or brings nothing that has not come before.

        A first page of fewer than were asked for may be all there are, or as many as a server has on a page.
        """
        found: dict[str, Experiment] = {}
        longest = 0
        for number in count(1):
            asked = {**query, "page": str(number), "size": str(PAGE), **ORDER}
            rows = await self._calls.ask(Question("experiments", asked), models.experiments)
            before, longest = len(found), max(longest, len(rows))
            found |= {row["experimentKey"]: row for row in rows}
            if len(rows) < longest or len(rows) > PAGE or len(found) == before:
                break
        return list(found.values())
