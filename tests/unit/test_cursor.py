"""How far a program in a big body is read ahead of: as little as it may want, as much as it needs."""

from __future__ import annotations

from cometfs.cache.downloads.cursor import FIRST, LONG, SURE, WIDEST, Cursors

READ = 128 << 10
MIB = 1 << 20


def windows(size: int, *, waited: bool, begin: int = 0) -> list[int]:
    """The windows of a program that reads so many bytes in order."""
    cursors = Cursors()
    places = range(begin, begin + size, READ)
    return [cursors.read(place, place + READ, waited=waited).window for place in places]


def test_a_program_that_never_waits_gets_a_quarter_of_what_it_read_at_most() -> None:
    """Few requests bring it what it reads, and little is fetched in vain."""
    found = windows(100 * MIB, waited=False)
    assert all(window <= max(FIRST, number * READ // 4) for number, window in enumerate(found, 1))
    assert found[: SURE // READ] == [FIRST] * (SURE // READ)
    assert found[-1] == LONG


def test_windows_of_one_that_waits_double_and_are_never_more_than_it_read() -> None:
    found = windows(200 * MIB, waited=True)
    assert all(window <= max(FIRST, number * READ) for number, window in enumerate(found, 1))
    assert found[-1] == WIDEST


def test_a_program_that_begins_in_the_middle_is_not_trusted_at_first() -> None:
    found = windows(3 * MIB, waited=True, begin=50 * MIB)
    assert found[: SURE // READ] == [0] * (SURE // READ)
    assert found[SURE // READ] == FIRST
