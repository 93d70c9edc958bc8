"""How requests are waited for: by a look at the descriptor, and trio's turn in between. A pipe is the kernel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise

import pyfuse3
import pytest
import trio

from cometfs.compat import pyfuse3_wait


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


async def test_other_tasks_have_their_turn_while_requests_never_end(pipe: tuple[int, int]) -> None:
    """A client that always has the next request ready keeps nobody from running, and no deadline from passing."""
    reader, writer = pipe
    os.write(writer, b"x")

    async def original() -> bool:
        await trio.lowlevel.wait_readable(reader)
        return True

    wait = pyfuse3_wait.look_first(original, reader)
    answered = 0
    at_turns: list[int] = []
    with trio.CancelScope() as busy:
        async with trio.open_nursery() as nursery:

            async def end() -> None:
                for _ in range(5):
                    await trio.lowlevel.checkpoint()
                    at_turns.append(answered)
                await trio.sleep(0.001)
                busy.cancel()

            nursery.start_soon(end)
            while not busy.cancel_called:
                assert await wait()
                answered += 1
    between = [after - before for before, after in pairwise(at_turns)]
    assert max(between) >= pyfuse3_wait.AT_ONCE, "trio was asked for every request"


async def test_a_request_that_another_task_took_is_waited_for_again(pipe: tuple[int, int]) -> None:
    """Reading the descriptor when there is nothing would block timers, signals and every other task."""
    reader, writer = pipe
    woken = 0

    async def original() -> bool:
        nonlocal woken
        woken += 1
        if woken == 3:
            os.write(writer, b"x")
        await trio.lowlevel.checkpoint()
        return True

    assert await pyfuse3_wait.look_first(original, reader)()
    assert woken == 3


async def test_the_end_of_the_mount_is_passed_on(pipe: tuple[int, int]) -> None:
    """pyfuse3 says that it is over; nobody looks for a request any more."""

    async def original() -> bool:
        await trio.lowlevel.checkpoint()
        return False

    assert not await pyfuse3_wait.look_first(original, pipe[0])()


def test_only_a_known_pyfuse3_waits_so_and_only_while_mounted(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown version, a name that is gone, a descriptor that cannot be told: pyfuse3 is left alone."""
    original = getattr(pyfuse3, pyfuse3_wait.NAME)
    with pyfuse3_wait.looking_first({0}):
        assert getattr(pyfuse3, pyfuse3_wait.NAME) is not original
    assert getattr(pyfuse3, pyfuse3_wait.NAME) is original
    for opened in (set(), {3, 4}):
        with pyfuse3_wait.looking_first(opened):
            assert getattr(pyfuse3, pyfuse3_wait.NAME) is original
    monkeypatch.setattr(pyfuse3, "__version__", "3.5.0.post1")
    with pyfuse3_wait.looking_first({0}):
        assert getattr(pyfuse3, pyfuse3_wait.NAME) is original
    monkeypatch.undo()
    monkeypatch.delattr(pyfuse3, pyfuse3_wait.NAME)
    with pyfuse3_wait.looking_first({0}):
        assert not hasattr(pyfuse3, pyfuse3_wait.NAME)


def test_the_locked_pyfuse3_is_known() -> None:
    """Otherwise every mount would wait the slow way, and nobody would notice."""
    assert pyfuse3.__version__ in pyfuse3_wait.KNOWN
    assert hasattr(pyfuse3, pyfuse3_wait.NAME)
