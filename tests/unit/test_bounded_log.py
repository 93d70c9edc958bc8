"""The log does not grow without end, and says all the same what happened, and how often."""

from __future__ import annotations

import io
import logging
import os
from pathlib import Path

import pytest

from cometfs.telemetry import bounded_log
from cometfs.telemetry.bounded_log import FILES, REMEMBERED, SPAN, Handler, Repeats, make_room


def test_of_equal_lines_few_are_written_with_their_number() -> None:
    """Also where others come between them."""
    stream = io.StringIO()
    log = logging.Logger("test")
    log.addHandler(Handler(stream))
    for number in range(2000):
        log.warning("%s: no network", "read")
        if number < 2:
            log.warning("other")
    assert stream.getvalue().splitlines() == [
        *["read: no network", "other"] * 2,
        "read: no network",
        *[f"read: no network ({number} times)" for number in ("10", "100", "1,000")],
    ]


def test_another_exception_is_another_line() -> None:
    stream = io.StringIO()
    log = logging.Logger("test")
    log.addHandler(Handler(stream))
    for number in range(20):
        log.error("bug in read", exc_info=KeyError(number))
    assert stream.getvalue().count("KeyError") == 20


def test_a_line_is_new_after_a_while_and_what_is_remembered_is_bounded() -> None:
    """One that comes once a day is written each time."""
    now = 0.0
    repeats = Repeats(lambda: now)
    for _ in range(20):
        now += SPAN + 1
        assert repeats.count("daily") == (1, True)
    for number in range(10 * REMEMBERED):
        repeats.count(number)
    assert len(repeats._lines) == REMEMBERED


def test_full_files_give_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest without a number; a few, whatever is written."""
    monkeypatch.setattr(bounded_log, "FULL", 100)
    path = tmp_path / "m.log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for number in range(1000):
            make_room(path, descriptor)
            os.write(descriptor, b"line %d\n" % number)
    finally:
        os.close(descriptor)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["m.log", "m.log.1", "m.log.2"]
    assert FILES == 3
    assert all(one.stat().st_size < 120 for one in tmp_path.iterdir())
    assert path.read_text().endswith("line 999\n")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_takes_no_file_loses_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on in the file that is full."""
    monkeypatch.setattr(bounded_log, "FULL", 1)
    path = tmp_path / "gone" / "m.log"
    with (tmp_path / "m.log").open("ab", buffering=0) as file:
        for _ in range(3):
            make_room(path, file.fileno())
            file.write(b"line\n")
    assert (tmp_path / "m.log").read_bytes() == b"line\n" * 3
