"""Blocks on disk: what is read is what was kept, and what cannot be read is let go of, for the right reason."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import AsyncIterator, Hashable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from cometfs.cache.downloads import blocks as module
from cometfs.cache.downloads.blocks import BATCH, BLOCK, LOADING, Blocks
from cometfs.cache.persistent.blobs import BlobStore
from cometfs.cache.persistent.eviction import Evictor
from cometfs.cache.persistent.index import FOLDER, Index
from cometfs.cache.persistent.rows import Changes
from cometfs.cache.persistent.stored_blocks import Flaw, StoredBlock, Summed, read_all
from cometfs.host.buffers import Block

KEPT: dict[Hashable, Block] = {
    number: random.Random(number).randbytes(size) for number, size in enumerate([BLOCK, BLOCK - 1, 4097, 1])
}


@asynccontextmanager
async def stored(folder: Path, kept: Mapping[Hashable, Block]) -> AsyncIterator[tuple[BlobStore, Blocks, Index]]:
    """An account in whose cache these blocks are on disk, and none is in memory."""
    index = Index(folder)
    index.open()
    blobs = BlobStore(index, Evictor(index, 1 << 30))
    assert blobs.lay({key: Summed(block) for key, block in kept.items()})
    async with trio.open_nursery() as loads:
        yield blobs, Blocks(blobs, loads), index
        loads.cancel_scope.cancel()
    index.close()


def files(folder: Path) -> list[Path]:
    return [path for path in (folder / FOLDER).rglob("*") if path.is_file()]


async def test_all_that_are_asked_for_are_found_at_once(tmp_path: Path) -> None:
    async with stored(tmp_path, KEPT) as (blobs, blocks, _):
        found = blobs.blocks([*KEPT, "no block"])
        assert read_all(found) == KEPT
        assert [await blocks.load(key) for key in KEPT] == list(KEPT.values())
        assert set(blobs.changes(Changes()).bodies_used) == {block.name for block in found.values()}


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def flip(path: Path) -> None:
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


SET_ASIDE = pytest.mark.logs("was damaged")


@pytest.mark.parametrize(
    ("harm", "flaw"),
    [
        pytest.param(Path.unlink, Flaw.GONE),
        pytest.param(cut, Flaw.DAMAGED, marks=SET_ASIDE),
        pytest.param(flip, Flaw.DAMAGED, marks=SET_ASIDE),
    ],
)
@pytest.mark.parametrize("number", KEPT)
async def test_one_that_is_not_what_was_kept_is_not_read_again(
    tmp_path: Path, harm: Any, flaw: Flaw, number: Hashable
) -> None:
    async with stored(tmp_path, {number: KEPT[number]}) as (blobs, blocks, index):
        harm(files(tmp_path)[0])
        assert read_all(blobs.blocks([number])) == {number: flaw}
        assert await blocks.load(number) is None
        assert blobs.blocks([number]) == {}
        assert index.write(blobs.changes(Changes()))
        assert not blocks.kept([number])
        assert files(tmp_path) == []


async def test_one_that_cannot_be_opened_now_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async with stored(tmp_path, KEPT) as (_, blocks, _index):
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", full)
            assert await blocks.load(0) is None
        assert await blocks.load(0) == KEPT[0]


async def test_what_is_loaded_ahead_is_loaded_abreast_and_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many readers: else their blocks would push each other out of the memory."""
    sizes = list[int]()

    def read(found: Mapping[Hashable, StoredBlock]) -> Mapping[Hashable, Block | Flaw]:
        sizes.append(len(found))
        return read_all(found)

    monkeypatch.setattr(module, "read_all", read)
    kept: dict[Hashable, Block] = {number: b"%d" % number for number in range(LOADING)}
    async with stored(tmp_path, kept) as (_, blocks, _index):
        assert not blocks.is_loading_enough()
        blocks.load_ahead(kept)
        assert blocks.is_loading_enough()
        blocks.load_ahead(kept)  # what comes already does not come twice
        assert await blocks.load(LOADING - 1) == kept[LOADING - 1]
        assert [await blocks.load(number) for number in kept] == list(kept.values())
        assert not blocks.is_loading_enough()
    assert sizes == [BATCH] * (LOADING // BATCH)
