"""Lines of the log: for people, for programs, for journald."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cometfs.errors import SetupError
from cometfs.process import console
from cometfs.telemetry import logs


@pytest.fixture(autouse=True)
def root() -> Iterator[logging.Logger]:
    """The root logger, and afterwards what it was."""
    root, hook = logging.getLogger(), sys.excepthook
    kept = (root.level, list(root.handlers))
    chatty = {name: logging.getLogger(name).level for name in logs.CHATTY}
    yield root
    root.setLevel(kept[0])
    root.handlers = kept[1]
    sys.excepthook = hook
    for name, level in chatty.items():
        logging.getLogger(name).setLevel(level)


def record(message: str, level: int = logging.WARNING, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("cometfs.fuse", level, "requests.py", 1, message, (), None)
    made.__dict__ |= fields
    return made


def test_a_line_of_json_has_what_is_known() -> None:
    """One line, whatever the message holds; what is not known, or nothing to others, is left out."""
    line = logs.formatter("json", journal=False).format(record("a\nb \u202e", path="p/é", pid=7, program="", tasks=3))
    assert "\n" not in line
    assert line.isascii()
    found = json.loads(line)
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "level": "warning",
        "logger": "cometfs.fuse",
        "message": "a\\nb \\u202e",
        "path": "p/é",
        "pid": 7,
    }


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL])
def test_journald_gets_each_line_with_its_priority(level: int) -> None:
    """Those of a traceback, too: each is a record of its own there. Its time is journald's."""
    failed = record("bug in open", level)
    try:
        raise ValueError("one\ntwo")
    except ValueError:
        failed.exc_info = sys.exc_info()
    number = {10: 7, 20: 6, 30: 4, 40: 3, 50: 2}[level]
    lines = logs.formatter("text", journal=True).format(failed).splitlines()
    assert len(lines) > 3
    assert all(line.startswith(f"<{number}>") for line in lines)
    assert lines[0] == f"<{number}>{logging.getLevelName(level)} cometfs.fuse: bug in open"
    (line,) = logs.formatter("json", journal=True).format(failed).splitlines()
    assert json.loads(line.removeprefix(f"<{number}>"))["traceback"].endswith("ValueError: one\ntwo")


def test_the_journal_is_known_by_its_device_and_inode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by the variable alone, which a terminal's shell has inherited."""
    with (tmp_path / "stream").open("wb") as stream, (tmp_path / "other").open("wb") as other:
        found = os.fstat(stream.fileno())
        assert not logs.is_journal(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        assert logs.is_journal(stream.fileno())
        assert not logs.is_journal(other.fileno())


def test_no_level_has_libraries_show_headers(root: logging.Logger) -> None:
    """Their lines of debugging have the API key."""
    for level in logs.LEVELS:
        logs.set_level(level)
        assert logs.level() == level
        for name in ("httpx", "httpcore.http11", "hpack.hpack", "hypercorn.error"):
            assert not logging.getLogger(name).isEnabledFor(logging.DEBUG)


def test_what_programs_read_has_nothing_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """Warnings, errors and the traceback of a bug are lines of the log then."""

    def say() -> list[str]:
        console.print_warnings(["open to others"])
        console.print_error(SetupError("no key"))
        sys.excepthook(ValueError, ValueError("v"), None)
        return capsys.readouterr().err.splitlines()

    console.log_to_stderr("warning")
    assert say() == ["cometfs: warning: open to others", "cometfs: no key", "ValueError: v"]
    console.log_as("json", journal=False)
    found = [json.loads(line) for line in say()]
    assert [(one["level"], one["message"]) for one in found] == [
        ("warning", "open to others"),
        ("error", "no key"),
        ("critical", "a bug ends the program"),
    ]
    assert found[2]["traceback"] == "ValueError: v"
