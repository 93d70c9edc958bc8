"""What a place where several machines share answers is to what asks for them. It is in shared/, with its library."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from cometfs.cache.memory import Which


class SharedAnswer(Protocol):
    """An answer that another machine has; seconds since it arrived there, and for which it holds."""

    @property
    def value(self) -> bytes: ...
    @property
    def age(self) -> float: ...
    @property
    def left(self) -> float: ...
    @property
    def missing(self) -> bool:
        """Whether the answer was that there is no such thing; `value` says why, then."""


class SharedStore(Protocol):
    """Where several machines share answers (shared/answers.py)."""

    def turn(self, key: Hashable, patience: float) -> AbstractAsyncContextManager[SharedAnswer | None]:
        """Gives what is there, else None when it is the body's turn to ask."""

    async def claim(self, keys: Sequence[Hashable]) -> Mapping[Hashable, SharedAnswer | bool]:
        """Of each key what is there, else whether it is this one's turn to ask for it."""

    async def changed(self, key: Hashable) -> None:
        """Returns when what another one asks for has come, or does not come any more."""

    async def renewal(self, key: Hashable, left: float) -> SharedAnswer | bool:
        """The same for an answer that holds for `left` seconds more."""

    def keep(self, key: Hashable, value: bytes, lease: float, age: float = 0.0, *, missing: bool = False) -> None:
        """Takes an answer, to be sent soon."""

    def settle(self, keys: Collection[Hashable]) -> None:
        """What of these was claimed and not kept does not come."""

    def drop_all(self, which: Which) -> None:
        """What is there and older than this moment does not count any more."""

    def forget(self, key: Hashable, before: float | None = None) -> None:
        """The same for one key; `before`: another moment, on trio's clock."""
