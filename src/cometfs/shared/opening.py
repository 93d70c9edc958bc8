"""What several machines share of one account, opened together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import trio

from cometfs.shared.answers import SharedAnswers
from cometfs.shared.bucket import SharedBucket
from cometfs.shared.pauses import SharedPauses
from cometfs.shared.place import open_place


@dataclass(frozen=True)
class Shared:
    """The budget, what pauses, and the answers."""

    bucket: SharedBucket
    pauses: SharedPauses
    answers: SharedAnswers

    def as_object(self) -> dict[str, Any]:
        """For `status.json`."""
        return self.bucket.as_object() | {"found": self.answers.found, "brought": self.answers.brought}


@asynccontextmanager
async def open_shared(address: str, account: str, api_key: str, rate: float) -> AsyncIterator[Shared]:
    """`address`: of Redis or Valkey, `account`: the name of its folder, `rate`: calls an hour. Raises SetupError."""
    async with open_place(address, account, api_key) as place, trio.open_nursery() as sending:
        pauses = SharedPauses(place)
        sending.start_soon(pauses.run)
        yield Shared(SharedBucket(place, rate), pauses, SharedAnswers(place))
        sending.cancel_scope.cancel()
