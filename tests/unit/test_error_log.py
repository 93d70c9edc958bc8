"""`.cometfs/errors.log`: bounded, a line for each failure, and nothing in it that a terminal would obey."""

from __future__ import annotations

import os

from cometfs.vfs.error_log import KEPT, LONGEST, ErrorLog


def test_a_failure_is_a_line_of_six_columns() -> None:
    """Time, errno, pid, program, path, sentence."""
    errors = ErrorLog(lambda: 1_700_000_000.9)
    errors.add("EREMOTEIO", "the server failed", path="w/p/run/output.txt")
    assert errors.lines() == ["2023-11-14T22:13:20Z\tEREMOTEIO\t0\tcometfs\tw/p/run/output.txt\tthe server failed"]
    errors.add("EIO", "x", pid=os.getpid())
    assert errors.lines()[1].split("\t")[2] == str(os.getpid())


def test_the_last_ones_are_kept() -> None:
    """However many there are, and however long."""
    errors = ErrorLog()
    for number in range(1000):
        errors.add("EIO", f"{number} " + "x" * 100_000, path="y" * 100_000)
    lines = errors.lines()
    assert [int(line.split("\t")[5].split()[0]) for line in lines] == list(range(1000 - KEPT, 1000))
    assert sum(map(len, lines)) < KEPT * (2 * LONGEST + 100)


def test_foreign_text_is_printable_and_makes_no_columns() -> None:
    """What a server says, or an asset is called."""
    errors = ErrorLog()
    errors.add("EIO", "a\tb\nc\x1b[2J", path="p\ud800\u202e")
    assert errors.lines()[0].split("\t")[4:] == ["p\\ud800\\u202e", "a\\tb\\nc\\x1b[2J"]
