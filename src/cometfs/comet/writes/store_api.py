"""Comet's key-value store as the SDK has it, and two changes that the SDK lacks. A base of `API`.

Not here: how changes are made (`kv_store`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from cometfs.comet.kv_store import Held, KvStoreClient


class StoreAPI:
    """The key-value store of an account."""

    _store: KvStoreClient

    async def store(self, key: str, value: str) -> dict[str, Any]:
        """Store the text `value` under `key`; returns ``{"msg": "Stored"}`` once the server was seen to have it.

        As in the SDK the store is sent whole, but on top of what the server has at that moment: what others stored is
        kept. Calls that wait for each other are sent together.

            >>> await api.store("text", "This is the text")
            {'msg': 'Stored'}

        Raises Unsupported for a server without a store, Conflict if others keep replacing it, and the errors of every
            call (`API`).
        Endpoint: GET panel/store, POST write/panel/store; a guess, as Comet does not document where the SDK's store is
        SDK: store
        """

        def put(held: Held) -> dict[str, Any]:
            held[key] = encoded
            return {"msg": "Stored"}

        encoded = msgspec.Raw(msgspec.json.encode(value))
        return await self._store.change(put)

    async def delete_from_store(self, key: str) -> bool:
        """Delete `key` from the store; returns whether it was there.

            >>> await api.store("draft", "1")
            {'msg': 'Stored'}
            >>> await api.delete_from_store("draft"), await api.delete_from_store("draft")
            (True, False)

        Raises as `store` does.
        Endpoint: GET panel/store, POST write/panel/store; a guess, as Comet does not document where the SDK's store is
        SDK: none
        """
        return await self._store.change(lambda held: held.pop(key, None) is not None)

    async def rename_in_store(self, key: str, new_key: str) -> bytes | None:
        """Move what is stored under `key` to `new_key`, replacing what is there, in one step.

        Returns the JSON of the value, in bytes; None if nothing was stored under `key`, and then nothing changes.

            >>> await api.store("draft", "This is the text")
            {'msg': 'Stored'}
            >>> await api.rename_in_store("draft", "final")
            b'"This is the text"'
            >>> await api.get_from_store("draft"), await api.get_from_store("final")
            (None, 'This is the text')

        Raises as `store` does.
        Endpoint: GET panel/store, POST write/panel/store; a guess, as Comet does not document where the SDK's store is
        SDK: none
        """

        def rename(held: Held) -> bytes | None:
            if key not in held:
                return None
            held[new_key] = held.pop(key)
            return bytes(held[new_key])

        return await self._store.change(rename)

    async def get_from_store(self, key: str) -> Any:
        """The value stored under `key`; None if there is none.

        It is a text where `store` made it, as in its example; other clients may store any JSON.

            >>> await api.get_from_store("text"), await api.get_from_store("nothing")
            ('This is the text', None)

        Raises Unsupported for a server without a store, and the errors of every call (`API`).
        Endpoint: GET panel/store; a guess, as Comet does not document where the SDK's store is
        SDK: getFromStore
        """
        found = (await self._store.read()).get(key)
        return None if found is None else msgspec.json.decode(found)

    async def get_store(self) -> dict[str, str]:
        """The whole store, as the text of one JSON object; ``"{}"`` in an account that never stored anything.

        What the example of `store` stored:

            >>> await api.get_store()
            {'store': '{"text":"This is the text"}'}

        Raises Unsupported for a server without a store, and the errors of every call (`API`).
        Endpoint: GET panel/store; a guess, as Comet does not document where the SDK's store is
        SDK: getStore
        """
        return {"store": await self._store.text()}
