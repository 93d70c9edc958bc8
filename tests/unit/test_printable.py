"""Foreign text gives a terminal no commands and forges no line, whoever prints it."""

from __future__ import annotations

import io
import logging
import sys
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometfs.process import console
from cometfs.status.report import status_lines
from cometfs.telemetry import logs
from cometfs.text.printable import Formatter, printable, printable_lines

TITLE = "\x1b]0;owned\x07"

SHOWN = {
    TITLE: "\\x1b]0;owned\\x07",
    "a\r\nb\tc": "a\\r\\nb\\tc",
    "\x7f\x9b2J": "\\x7f\\x9b2J",
    "user\u202etxt.exe": "user\\u202etxt.exe",
    "a\u2028b\u0085c": "a\\u2028b\\x85c",
    "\udcff\ud800": "\\xff\\ud800",
    "σ é 漢 🚀 👩‍🔬 C:\\x1b": "σ é 漢 🚀 👩‍🔬 C:\\x1b",
}


@pytest.mark.parametrize(("text", "shown"), SHOWN.items())
def test_what_is_not_seen_is_shown_by_its_number(text: str, shown: str) -> None:
    """Every writing system stays as it is."""
    assert printable(text) == shown


@given(st.text(st.characters(exclude_categories=())))
def test_nothing_but_one_line_of_text_is_left(text: str) -> None:
    """Of any characters: no control character, no lone surrogate, no end of line; and twice is once."""
    shown = printable(text)
    assert not {"Cc", "Cs", "Zl", "Zp"} & set(map(unicodedata.category, shown))
    assert len(f"{shown}.".splitlines()) == 1
    assert printable(shown) == shown


@given(st.text(st.characters(exclude_categories=())))
def test_no_later_line_looks_like_the_first(text: str) -> None:
    """It is indented."""
    assert all(line.startswith("  ") for line in printable_lines(text).split("\n")[1:])


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    logger, written = logging.Logger("foreign"), io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(Formatter(logs.PLAIN))
    logger.addHandler(handler)
    yield logger, written
    handler.close()


FORGED = "no such user\n2026-01-01 00:00:00,000 ERROR cometfs: all is lost" + TITLE


def test_a_record_is_one_line(log: tuple[logging.Logger, io.StringIO]) -> None:
    """Whatever its arguments hold."""
    logger, written = log
    logger.warning("asked: %s", FORGED)
    (line,) = written.getvalue().splitlines()
    assert line.endswith("asked: " + printable(FORGED))


def test_a_traceback_forges_no_line(log: tuple[logging.Logger, io.StringIO]) -> None:
    """The message of an exception may be a server's; its lines are indented like those of the traceback."""
    logger, written = log
    try:
        raise ValueError(FORGED)
    except ValueError:
        logger.exception("a bug")
    first, *others = written.getvalue().splitlines()
    assert first.endswith("ERROR foreign: a bug")
    assert others[0] == "  Traceback (most recent call last):"
    assert all(line.startswith("  ") for line in others)
    assert "\x1b" not in written.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "iso8859-1"])
def test_what_a_locale_lacks_is_shown_by_its_number(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback for a name that the terminal cannot show."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
    console.print_lines("σ" + TITLE, "second")
    console.print_json({"\x7f\x9bσ": "\n"})
    sys.stdout.flush()
    first = "σ" if encoding == "utf-8" else "\\u03c3"
    assert raw.getvalue().decode() == f"{first}\\x1b]0;owned\\x07\nsecond\n" + '{"\\u007f\\u009b\\u03c3": "\\n"}\n'


def test_an_error_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr."""
    console.print_error(ValueError(FORGED))
    assert capsys.readouterr() == ("", f"cometfs: {printable(FORGED)}\n")


def test_a_bug_that_ends_a_command_is_printable(capsys: pytest.CaptureFixture[str]) -> None:
    """As Python says it, in indented lines."""
    console._print_bug(ValueError, ValueError(FORGED), None)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["ValueError: no such user", "  " + printable(FORGED.split("\n")[1])]


def test_the_name_of_a_program_forges_no_line_of_the_status(capsys: pytest.CaptureFixture[str]) -> None:
    """It is what a process calls itself."""
    calls = {"used": 1, "left": 1, "rate": 1, "full_in_s": 1, "shut_for_s": 0}
    calls |= {"by_command": {"x\n  calls  0": 1}, "by_endpoint": {"workspaces": 1}}  # type: ignore[dict-item]
    sizes = dict.fromkeys(("bytes", "answers", "answer_bytes", "bodies", "body_bytes"), 0)
    told = {"calls": calls, "cache": sizes, "server": "http://s", "version": "1", "network": {"state": "online"}}
    console.print_lines(*status_lines("/m", told))
    assert "x\\n  calls  0" in capsys.readouterr().out
