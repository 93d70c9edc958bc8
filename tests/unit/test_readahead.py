"""What readers do, as traces, and what is fetched ahead of them."""

from __future__ import annotations

import random
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from cometfs.vfs.answers.readahead import NEIGHBOURS, SWEEP, Readahead


class Reader:
    """Reads siblings in an order. What was warmed has arrived when `lag` more reads are done."""

    def __init__(self, count: int, most: int = 256, lag: int = 0, batched: bool = False) -> None:
        self.policy = Readahead()
        self.batched = batched
        self.count, self.most, self.lag = count, most, lag
        self.arrives: dict[int, int] = {}
        self.windows: list[list[int]] = []
        self.waits = 0
        self.now = 0.0
        self.reads = 0

    def read(self, places: Iterable[int], family: str = "params", pause: float = 0.01) -> Reader:
        for place in places:
            self.now += pause
            self.reads += 1
            waited = self.arrives.get(place, self.reads + 1) > self.reads
            self.waits += waited
            found = self.policy.asked(
                family, place, self.count, waited=waited, most=self.most, now=self.now, batched=self.batched
            )
            if found:
                self.windows.append(list(found))
                self.arrives |= dict.fromkeys(found, self.reads + 1 + self.lag)
            self.arrives.setdefault(place, self.reads)
        return self

    @property
    def warmed(self) -> list[int]:
        return [place for window in self.windows for place in window]


def test_a_walk_is_followed_after_three_neighbours() -> None:
    """As `cat */params.json` and `grep -r` go."""
    reader = Reader(100).read(range(NEIGHBOURS))
    assert reader.windows == [[3, 4, 5, 6]]


def test_a_walk_backwards_is_followed_too() -> None:
    """`ls -r`, `tac`."""
    assert Reader(100).read([50, 49, 48]).windows == [[47, 46, 45, 44]]


def test_a_slow_reader_never_waits_and_never_gets_more_than_the_first_window_at_once() -> None:
    """`find -exec`: every answer is there in time, so nothing is doubled."""
    reader = Reader(200).read(range(200))
    assert reader.waits == NEIGHBOURS
    assert {len(window) for window in reader.windows[:-1]} == {4}
    assert sorted(reader.warmed) == list(range(NEIGHBOURS, 200))


def test_a_reader_who_must_wait_gets_windows_that_double() -> None:
    """1,000 siblings cost no more than 12 windows, and no place is asked twice."""
    reader = Reader(1000, lag=10**6).read(range(1000))
    sizes = [len(window) for window in reader.windows]
    assert sizes[:7] == [4, 8, 16, 32, 64, 128, 256]
    assert len(sizes) <= 12
    assert sorted(reader.warmed) == list(range(NEIGHBOURS, 1000))


def test_windows_of_one_call_each_double_also_for_a_slow_reader() -> None:
    """How many calls a walk costs must not depend on how fast the server is."""
    reader = Reader(200, batched=True).read(range(200))
    assert [len(window) for window in reader.windows] == [4, 8, 16, 32, 64, 73]


def test_the_widest_window_is_the_callers() -> None:
    """What a batch may bring is known to who asks it."""
    reader = Reader(1000, most=16, lag=10**6).read(range(100))
    assert max(map(len, reader.windows)) == 16


def test_gaps_and_small_disorder_do_not_end_a_walk() -> None:
    """`xargs -P4` and a shell that sorts by other rules."""
    order = [place + offset for place in range(0, 400, 4) for offset in (1, 0, 3, 2)]
    reader = Reader(400).read(order)
    assert reader.waits < 20
    assert len(set(reader.warmed)) == len(reader.warmed)


def test_one_off_reads_trigger_nothing() -> None:
    """One, the same again and again, two far apart, two neighbours, ten at random of 5,000."""
    assert not Reader(5000).read([7]).windows
    assert not Reader(5000).read([7] * 20).windows
    assert not Reader(5000).read([7, 4000, 7, 4000]).windows
    assert not Reader(5000).read([7, 8, 7, 8, 7]).windows
    assert not Reader(5000).read(random.Random(1).sample(range(0, 5000, 50), 10)).windows


def test_neighbours_read_minutes_apart_are_no_walk() -> None:
    """A person who looks at one after the other."""
    assert not Reader(100).read(range(20), pause=90.0).windows


def test_two_readers_of_one_family_are_two_walks() -> None:
    """Interleaved, at different places."""
    reader = Reader(1000)
    reader.read(place for pair in zip(range(100), range(500, 600), strict=True) for place in pair)
    assert reader.waits <= 2 * NEIGHBOURS
    assert {place for place in reader.warmed if place < 400} == set(range(NEIGHBOURS, 104)) - {103, 102, 101, 100} | {
        place for place in reader.warmed if 100 <= place < 110
    }


def test_a_shuffled_order_is_followed_when_most_will_be_read() -> None:
    """`shuf | xargs cat`: after a tenth, everything else at once."""
    order = list(range(200))
    random.Random(3).shuffle(order)
    reader = Reader(200).read(order)
    assert reader.waits < 60
    assert len(set(reader.warmed)) <= 200
    few = Reader(5000).read(random.Random(4).sample(range(0, 5000, 10), SWEEP * 2))
    assert not few.windows


def test_walks_that_stop_early_make_the_next_ones_begin_smaller_and_then_not_at_all() -> None:
    """Somebody who always reads three of many."""
    reader = Reader(100_000)
    for start in range(0, 100_000, 1000):
        reader.read(range(start, start + 3))
    assert len(reader.warmed) < 60


@given(st.lists(st.integers(0, 49), max_size=200), st.integers(1, 64), st.integers(0, 20))
def test_what_is_warmed_is_always_sensible(places: list[int], most: int, lag: int) -> None:
    """Siblings that exist, each once in an answer, not the one just asked, no more than the caller's window unless all
    are swept."""
    reader = Reader(50, most, lag).read(places)
    for window in reader.windows:
        assert all(0 <= place < 50 for place in window)
        assert len(set(window)) == len(window)
    assert len(reader.warmed) <= 6 * len(places) + 50


def test_families_do_not_mix_and_are_bounded() -> None:
    """Two questions about the same siblings are two walks; thousands of families leave no heap behind."""
    policy = Readahead()
    for number in range(5000):
        assert not policy.asked(number, number % 9, 9, waited=True, most=8, now=0.0)
    assert len(policy._families) <= 256


def test_a_wait_in_the_middle_of_a_window_widens_the_next_one() -> None:
    """The next window is asked for at half of the last one, where the answer is at hand: the wait was before."""
    reader = Reader(1000, lag=6).read(range(1000))
    sizes = [len(window) for window in reader.windows]
    assert sizes[:5] == [4, 8, 16, 32, 32]


def test_odd_jumps_do_not_end_a_walk() -> None:
    """A shell's order differs from ours now and then (`a/` after `a-2/`): the walk itself goes on, with its window."""
    order: list[int] = []
    for start in range(0, 1000, 100):
        order += [*range(start + 1, start + 100), start]
    reader = Reader(1000, lag=60).read(order)
    assert max(len(window) for window in reader.windows) >= 64
    assert len(reader.windows) < 20
    assert len(set(reader.warmed)) > 900


def test_a_sweep_is_given_out_in_windows() -> None:
    """Never all of thousands at once: the next ones when somebody waits again."""
    order = list(range(2000))
    random.Random(7).shuffle(order)
    reader = Reader(2000, most=64).read(order)
    assert max(map(len, reader.windows)) <= 64
    assert 1700 < len(set(reader.warmed)) <= len(reader.warmed) < 2000
