"""Texts that are only added to, by answers that lack their end or their beginning."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometfs.vfs.appended import OVERLAP, continued
from cometfs.vfs.nodes import Content

LINES = "".join(f"line {number}\n" for number in range(1000))


@pytest.mark.parametrize(
    ("before", "after", "known", "of_an_ended_one"),
    [
        (LINES, LINES + "more", LINES + "more", LINES + "more"),
        (LINES, LINES[:500], LINES, None),  # behind
        (LINES, LINES[500:] + "more", LINES + "more", LINES + "more"),  # cut
        (LINES, LINES[-OVERLAP:], LINES, LINES),  # cut, and nothing new
        (LINES, LINES[-OVERLAP:] + "more", LINES + "more", LINES + "more"),
        (LINES, LINES[1 - OVERLAP :] + "more", None, None),  # too little to be certain
        (LINES, LINES[500:900], LINES, None),  # cut, and behind
        (LINES, "another\n" + LINES, None, None),
        (LINES, LINES[500:900] + "another" * 100, None, None),
        ("", "more", "more", "more"),
        ("x" * 1000, "x" * 500 + "y", "x" * 1000 + "y", "x" * 1000 + "y"),
    ],
)
def test_what_a_text_has_become(before: str, after: str, known: str | None, of_an_ended_one: str | None) -> None:
    """As texts and as bytes; what has ended lacks no end."""
    assert continued(before, after, late=True) == known
    assert continued(before, after, late=False) == of_an_ended_one
    of_bytes = continued(before.encode(), after.encode(), late=True)
    assert of_bytes == (None if known is None else known.encode())


@given(st.data())
def test_a_window_that_slides_loses_nothing(data: st.DataObject) -> None:
    """Of numbered lines, as long as answers overlap."""
    window, known, end = 4 * OVERLAP, "", 0
    for step in data.draw(st.lists(st.integers(1, window - OVERLAP), max_size=20)):
        end += step
        grown = continued(known, LINES[max(0, end - window) : end], late=True)
        assert grown == LINES[:end]
        known = grown


def test_what_repeats_itself_is_not_searched_for_ever() -> None:
    """The last byte of every try differs, in a text of ten megabytes."""
    before, after = b"ab" * 5_000_000 + b"c", b"ab" * 4_000_000 + b"d"
    began = time.process_time()
    assert continued(before, after, late=True) is None
    assert time.process_time() - began < 30


def test_an_open_file_keeps_its_beginning_across_the_end_of_its_run() -> None:
    """The last answer is cut, too."""
    opened = Content(LINES.encode(), grows=True)
    assert opened.take(Content(LINES[3000:].encode() + b"last\n"))
    assert (opened.data, opened.grows) == (LINES.encode() + b"last\n", False)
