"""Single questions that no program waits for, so many at a time, in the order in which they will be wanted.

Not here: which questions (prefetch.py, engine/walk_prefetch.py), and their answers (resolver.py).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import trio

from cometfs.errors import CometFSError
from cometfs.vfs.answers.resolver import AnswerResolver
from cometfs.vfs.schema.declaration import Context, Source, Stream

log = logging.getLogger(__name__)

Question = tuple[Source | Stream, Context]

ABREAST = 16
"""Single questions ahead of all readers at once; the other connections are for those that wait."""


class Abreast:
    """Asks them."""

    def __init__(self, answers: AnswerResolver) -> None:
        self._answers = answers
        self._limit = trio.CapacityLimiter(ABREAST)

    async def all(self, wanted: Iterable[Question]) -> None:
        """Returns when all are answered."""
        async with trio.open_nursery() as nursery:
            await self.begin(nursery, wanted)

    async def begin(self, nursery: trio.Nursery, wanted: Iterable[Question]) -> None:
        """Returns when the last one is begun; the nursery ends with their answers."""
        for question in wanted:
            # To wait for what is under way takes no turn from what is not.
            turn = None if self._answers.is_under_way(*question) else object()
            if turn is not None:
                await self._limit.acquire_on_behalf_of(turn)
            nursery.start_soon(self._one, question, turn)

    async def _one(self, question: Question, turn: object | None) -> None:
        source, at = question
        try:
            if isinstance(source, Stream):
                (await self._answers.open_body(source, at)).close()
            else:
                await self._answers.ask(source, at)
        except CometFSError as error:
            log.debug("not fetched ahead: %s", error)  # its reader asks again, and gets the error
        finally:
            if turn is not None:
                self._limit.release_on_behalf_of(turn)
