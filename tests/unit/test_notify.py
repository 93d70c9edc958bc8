"""How the kernel is told that names end, where it may keep who tells it waiting. A pipe is the kernel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from cometfs.fuse import notify
from cometfs.fuse.notify import ENTRY, HEADER, PATIENCE, KernelInvalidator
from cometfs.mountstate.kernel import Entry

SIZE = HEADER.size + ENTRY.size + 2
"""Bytes of a notice of a name of one letter."""


class Kernel:
    """One that ends names one by one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(KernelInvalidator, "_all_at_once", False)
        self.reader, self.writer = os.pipe()
        self.notices = KernelInvalidator()
        self.notices.descriptor = self.writer

    async def told(self, count: int) -> list[Entry]:
        """The next notices."""
        found: list[Entry] = []
        while len(found) < count:
            await trio.lowlevel.wait_readable(self.reader)
            words = os.read(self.reader, SIZE)
            number, length, _ = ENTRY.unpack_from(words, HEADER.size)
            found.append((number, words[-1 - length : -1]))
        return found

    def is_silent(self) -> bool:
        os.set_blocking(self.reader, False)
        try:
            return os.read(self.reader, 1) == b""
        except BlockingIOError:
            return True


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    kernel = Kernel(monkeypatch)
    yield kernel
    os.close(kernel.reader)


async def test_names_in_a_directory_that_is_locked_end_when_it_is_free(
    kernel: Kernel, autojump_clock: trio.testing.MockClock
) -> None:
    """Until then nobody tells the kernel, for who did would wait out of reach of any signal; a touch waits a little."""
    autojump_clock.autojump_threshold = 0.1
    with kernel.notices.looking_up(7), kernel.notices.looking_up(7):
        began = trio.current_time()
        await kernel.notices.expire([(7, b"a"), (8, b"b")], [], {1})
        assert trio.current_time() - began == pytest.approx(PATIENCE)
        assert await kernel.told(1) == [(8, b"b")]
        assert kernel.is_silent()
    assert await kernel.told(1) == [(7, b"a")]
    os.close(kernel.writer)


async def test_a_notice_that_is_kept_waiting_writes_to_no_other_file_after_the_end(
    kernel: Kernel, tmp_path: Path
) -> None:
    """The number of the mount's descriptor may be that of the cache by then; nor does it go on with other names."""
    filled = os.get_blocking(kernel.writer)
    os.set_blocking(kernel.writer, False)
    try:
        while True:
            os.write(kernel.writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(kernel.writer, filled)
    with trio.move_on_after(0.2):
        await kernel.notices.expire([(7, b"a")] * 5, [], {1})
    kernel.notices.close()
    other = kernel.writer
    with (tmp_path / "cache.sqlite").open("wb") as file:
        os.dup2(file.fileno(), other)  # at once: another thread of the tests might take a number that is free
    try:
        with open(kernel.reader, "rb", closefd=False) as pipe:  # noqa: ASYNC230  # until nobody can write to it
            said = await trio.to_thread.run_sync(pipe.read)
        assert len(said.replace(b"x", b"")) <= SIZE
        assert os.fstat(other).st_size == 0
    finally:
        os.close(other)


async def test_names_that_are_absent_are_few_and_looked_through_once_in_a_while(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    """Beyond that the kernel remembers none, until some have run out or their directory is forgotten."""
    sweeps: list[KernelInvalidator] = []
    sweep = KernelInvalidator._sweep

    def counted(self: KernelInvalidator) -> None:
        sweeps.append(self)
        sweep(self)

    monkeypatch.setattr(notify, "ABSENCES", 3)
    monkeypatch.setattr(KernelInvalidator, "_sweep", counted)
    absent = kernel.notices.absent
    assert [absent(directory, b"a", 10.0) for directory in (7, 8, 8, 9)] == [10.0] * 4
    assert [absent(7, name, 10.0) for name in (b"b", b"c", b"d")] == [0.0] * 3
    assert len(sweeps) == 1
    kernel.notices.forget([9, 10])
    assert absent(7, b"b", 30.0) == 30.0
    assert absent(7, b"c", 30.0) == 0.0
    await trio.sleep(11)
    assert [absent(7, name, 30.0) for name in (b"c", b"d", b"e")] == [30.0, 30.0, 0.0]
    assert len(sweeps) == 2
    os.close(kernel.writer)
