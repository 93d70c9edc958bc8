"""Files that are slow to make, kept on disk: a remount does not draw again what was drawn before.

They are kept under a digest of the very answer that they are made of, beside the file's word, which says what else
decides their bytes (`File.made_by`): of another answer there is another one, so none is ever out of date. They hold as
long as that answer does, and only of what has ended. Not here: making them (files.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from cometfs.cache.memory import CacheEntry
from cometfs.cache.store import Store, encoded
from cometfs.lease import Lease
from cometfs.vfs.keys import Key
from cometfs.vfs.schema.declaration import Context, File


class RenderCache:
    """What was made of answers, by file, place and answer."""

    def __init__(self, store: Store, words: Mapping[File, str]) -> None:
        """`words`: what each declared file is called on disk."""
        self._store = store
        self._words = words

    def of(self, entry: File, at: Context, answer: CacheEntry) -> bytes | None:
        """What was made of that answer before, None where nothing is kept."""
        key = self._key(entry, at, answer.value)
        held = None if key is None else self._store.recall(key)
        return None if held is None else held.value

    def keep(self, entry: File, at: Context, answer: CacheEntry, made: bytes) -> None:
        """Takes what was made of that answer, where it is worth a place on disk."""
        key = self._key(entry, at, answer.value)
        if key is not None:
            self._store.keep(key, made, Lease(self._store.remaining(answer)), lasting=True)

    def _key(self, entry: File, at: Context, answer: Any) -> Key | None:
        if not entry.slow or not at.version:
            return None
        written = encoded(answer)
        if written is None:
            return None
        return Key.made(self._words[entry], at.key, hashlib.blake2b(written, digest_size=16).hexdigest())
