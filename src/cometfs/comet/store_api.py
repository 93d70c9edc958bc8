"""Comet's key-value store as the SDK has it, and two changes that the SDK lacks. A base of `API`.

Not here: how changes are made (`kv_store`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from cometfs.comet.kv_store import Held, Store


class StoreAPI:
    """The key-value store of an account."""

    _store: Store

    async def store(self, key: str, value: str) -> dict[str, Any]:
        """Keep `value` under `key`; ``{"msg": "Stored"}``, when the server was seen to have it.

        The store is sent whole, as the SDK does, but on top of what the server has at that moment, so that what others
        stored is kept; what is stored at once is sent together. Raises `Unsupported` where the server has no store, and
        `Conflict` where somebody else keeps replacing it.
        """

        def put(held: Held) -> dict[str, Any]:
            held[key] = encoded
            return {"msg": "Stored"}

        encoded = msgspec.Raw(msgspec.json.encode(value))
        return await self._store.change(put)

    async def delete_from_store(self, key: str) -> bool:
        """Keep nothing under `key` any more; whether there was something. As `store`, which can only put."""
        return await self._store.change(lambda held: held.pop(key, None) is not None)

    async def rename_in_store(self, key: str, new_key: str) -> bytes | None:
        """Keep under `new_key`, over what is there, what is stored under `key`, and nothing under `key`: in one step.
        The JSON of it; None where there was nothing."""

        def rename(held: Held) -> bytes | None:
            if key not in held:
                return None
            held[new_key] = held.pop(key)
            return bytes(held[new_key])

        return await self._store.change(rename)

    async def get_from_store(self, key: str) -> Any:
        """What is stored under `key`; None where nothing is."""
        found = (await self._store.read()).get(key)
        return None if found is None else msgspec.json.decode(found)

    async def get_store(self) -> dict[str, str]:
        """The whole store: ``{"store": "<JSON of an object>"}``. An account that never stored anything has ``{}``."""
        return {"store": await self._store.text()}
