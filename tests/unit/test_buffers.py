"""Memory for blocks, used again: never while anything refers to it."""

from __future__ import annotations

import gc
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cometfs.host import buffers
from cometfs.host.buffers import ROOM, SPARE, Block, is_lent, joined, lent

BYTES = random.Random(1).randbytes(ROOM)


@pytest.fixture(autouse=True)
def spare(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    gc.collect()  # no other test's memory comes back meanwhile
    kept: list[object] = []
    monkeypatch.setattr(buffers, "_spare", kept)
    return kept


def test_memory_is_used_again_when_nothing_refers_to_it(spare: list[object]) -> None:
    first = lent()
    first[:5] = b"first"
    part = memoryview(first.toreadonly())[1:3]
    del first
    assert not spare  # a part of a part keeps all of it
    other = lent()
    other[:5] = b"other"
    assert bytes(part) == b"ir"
    del part
    assert len(spare) == 1
    again = lent()
    assert not spare
    again[:5] = b"again"
    assert bytes(other[:5]) == b"other"


def test_few_are_kept(spare: list[object]) -> None:
    held = [lent() for _ in range(2 * SPARE)]
    held.clear()
    assert len(spare) == SPARE


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, ROOM), max_size=5))
def test_what_is_joined_is_what_came(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), ROOM]
    chunks: list[Block] = [BYTES[begin:end] for begin, end in pairwise(places)]
    found = joined(chunks)
    assert found == BYTES
    assert is_lent(found) or len(chunks) == 1
    assert joined([*chunks, b"more"]) == BYTES + b"more"


def test_only_whole_buffers_are_lent() -> None:
    assert is_lent(lent())
    assert is_lent(lent().toreadonly())
    assert not is_lent(lent()[1:])
    assert not is_lent(BYTES)
    assert not is_lent(memoryview(BYTES))
