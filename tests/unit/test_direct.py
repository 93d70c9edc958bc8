"""Blocks on disk, past the kernel's pages where the file system can do that."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cometfs.cache.persistent import direct
from cometfs.host.buffers import ROOM, Block, joined

BYTES = random.Random(1).randbytes(ROOM + 1)


def read_back(path: Path) -> Block:
    with path.open("rb") as file:
        return direct.read(file.fileno(), path.stat().st_size)


@pytest.mark.parametrize("size", [0, 1, 511, 4095, 4096, 4097, ROOM - 1, ROOM, ROOM + 1])
def test_a_block_is_read_as_it_was_written(tmp_path: Path, size: int) -> None:
    path = tmp_path / "aa" / "bb" / "block"
    direct.write_new(path, BYTES[:size])
    assert path.read_bytes() == BYTES[:size]
    assert read_back(path) == BYTES[:size]


def refusing(*_arguments: Any) -> int:
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def test_a_file_system_that_refuses_gets_plain_reads_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pwrite", refusing)
    monkeypatch.setattr(os, "preadv", refusing)
    direct.write_new(tmp_path / "block", BYTES[:5000])
    assert read_back(tmp_path / "block") == BYTES[:5000]


@pytest.mark.parametrize("taken", [4096, 5120, 7680])
def test_a_write_that_the_disk_takes_only_in_part_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    """Also where that part is longer than the block, which is padded to a unit of the disk."""
    whole = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: whole(fd, data[:taken], offset))
    direct.write_new(tmp_path / "block", BYTES[:5000])
    assert (tmp_path / "block").read_bytes() == BYTES[:5000]


def test_a_full_disk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_fd: int, _chunks: Sequence[bytes], _offset: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    monkeypatch.setattr(os, "pwritev", full)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        direct.write_new(tmp_path / "block", BYTES)


def test_lent_memory_is_written_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lies as the disk wants it."""
    block, written, whole = joined([BYTES[:100], BYTES[100:ROOM]]), list[Block](), os.pwrite

    def pwrite(fd: int, data: Block, offset: int) -> int:
        written.append(data)
        return whole(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    direct.write_new(tmp_path / "block", block)
    assert written[0] is block
    assert read_back(tmp_path / "block") == BYTES[:ROOM]
