"""What a bucket of calls is to what takes from it, wherever it is kept.

Not here: places to keep it (sqlite_bucket.py; for several machines shared/), and its arithmetic (token_bucket.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from cometfs.quota.token_bucket import Level

MINUTE = 60


class Spent(NamedTuple):
    """Calls are counted under these."""

    minute: int
    """Since 1970."""
    endpoint: str
    command: str
    """The program that wanted it; "readahead" where none waited."""


class Account(NamedTuple):
    """What is known of an account's calls."""

    level: Level
    rate: float
    """Calls an hour, as the mount has it that asked last."""
    spent: Mapping[Spent, int]
    """Of the last hour."""


class Bucket(Protocol):
    """Tokens of one account. Nothing here raises: a place that cannot be used costs the sharing, not the calls."""

    @property
    def rate(self) -> float:
        """Calls an hour that may be made out of it now."""

    async def take(self, wanted: int, spent: Mapping[Spent, int]) -> tuple[int, Level]:
        """Takes up to `wanted` tokens and writes down what was spent."""

    async def give_back(self, tokens: int, spent: Mapping[Spent, int]) -> None:
        """Returns tokens that were not used, and writes down what was spent."""

    async def shut(self, until: float) -> Level:
        """Nothing may be taken before that moment, in seconds since 1970."""

    async def account(self) -> Account:
        """What is left, and what was spent in the last hour."""

    def close(self) -> None:
        """Lets go of the place."""
