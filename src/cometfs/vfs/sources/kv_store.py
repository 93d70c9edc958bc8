"""Comet's key-value store as a directory: its source, its names, and how its files are written.

Not here: the files that are being written (buffer.py) and Comet's endpoint for it (comet/api.py).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import msgspec
import trio

from cometfs.comet.api import API
from cometfs.comet.kv_store import held
from cometfs.errors import BadName, BadText, NoSuchEntry
from cometfs.lease import RUNNING, Lease
from cometfs.vfs.schema import names
from cometfs.vfs.schema.declaration import (
    Context,
    Dir,
    File,
    ForEach,
    Needs,
    Resolver,
    Source,
    StoredValue,
    StoreSnapshot,
    Writer,
)

EMPTY = "%"
"""The name of the empty key; the key "%" is escaped, so that none is mistaken for it."""

_SWAP = re.compile(r"\..*\.sw[a-z]", re.DOTALL)


def held_for(_at: Context) -> Lease:
    """5 seconds: what others store is seen that soon, and a thousand reads in that time cost one call."""
    return RUNNING


def name_of(key: str) -> str:
    """The name of the file that shows `key`: "a/b" gives "a%2Fb"."""
    return "%25" if key == EMPTY else names.whole(key) or EMPTY


def key_of(name: str) -> str:
    """The key that a file of that name stands for. Raises BadName for one that would be shown under another name."""
    try:
        key = "" if name == EMPTY else names.unescape(name)
    except UnicodeDecodeError:
        raise BadName(f"{name!r} has an escape that is no UTF-8") from None
    if name_of(key) != name:
        raise BadName(f"{name!r} cannot be a name here: it would be shown as {name_of(key)!r}")
    return key


def is_scratch(key: str) -> bool:
    """Whether it is the swap file of an editor: no text, and not meant for Comet."""
    return _SWAP.fullmatch(key) is not None


PROCESS = uuid4().hex
"""Whose clock a moment is of."""


async def _ask(asker: Resolver, _at: Context) -> list[Any]:
    """Whose clock it is, when it was asked for by that, and the values."""
    began = trio.current_time()
    found = held((await asker.api.get_store())["store"])
    return [PROCESS, began, {key: _bytes(bytes(value)) for key, value in found.items()}]


async def _snapshot(asker: Resolver, at: Context) -> StoreSnapshot:
    process, began, values = await asker.answer(STORED, at)
    # What another process has asked for may be older than what was written here.
    return StoreSnapshot(began if process == PROCESS else -math.inf, values, {})


def _bytes(raw: bytes) -> bytes:
    """A text as it is; what another program stored that is no text as its JSON."""
    return msgspec.json.decode(raw, type=str).encode() if raw.startswith(b'"') else raw


async def _save(api: API, key: str, value: bytes) -> None:
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        raise BadText(f"the store holds texts, and {key!r} is no UTF-8 at byte {error.start}") from error
    await api.store(key, text)


async def _rename(api: API, key: str, new_key: str) -> bytes:
    found = await api.rename_in_store(key, new_key)
    if found is None:
        raise NoSuchEntry(f"there is no {key!r} any more")
    return _bytes(found)


async def _remove(api: API, key: str) -> None:
    await api.delete_from_store(key)


def _rows(answered: StoreSnapshot) -> list[StoredValue]:
    return [StoredValue(key, value, answered.times.get(key)) for key, value in sorted(answered.values.items())]


def _names(rows: Sequence[StoredValue]) -> list[names.Path]:
    return [(name_of(row.key),) for row in rows]


def _at_stored(at: Context, row: StoredValue) -> Context:
    return Context(at.web, row.modified_ms or at.modified_ms, (*at.key, row.key), item=row)


STORED = Source("panel/store", _ask, held_for)

STORE = Source(
    "the store as of a moment",
    _snapshot,
    held_for,
    kept=False,
    of=(STORED,),
    needs=lambda _known, at: Needs(0, [(STORED, at)]),
)
"""The moment is by this process's clock."""

WRITER = Writer(STORE, _save, _rename, _remove, name_of, key_of, is_scratch)
VALUE = File(
    "",
    None,
    lambda at: at.item.value,
    "a value of Comet's key-value store; with `--rw` a file to write",
    sdk=("store", "get_from_store", "get_store"),
    writer=WRITER,
)
DIRECTORY = Dir(
    "store",
    (ForEach(STORE, _names, _at_stored, lambda _row: VALUE, "<key>", (VALUE,), _rows),),
    held_for,
    writer=WRITER,
)
