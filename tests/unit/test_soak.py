"""`scripts/soak` says how far it is, and its result in time: when all is well, when a run fails, after Ctrl-C."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import soak as script
from tests.support.history import Wrong
from tests.support.soak import main
from tests.support.stateful_model import Op

Play = Callable[[Path, list[Op]], None]


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Callable[[Play], None]:
    """Replaces what a run does: the script is looked at here."""
    monkeypatch.setattr(script, "LONG", 10)
    return lambda play: monkeypatch.setattr(script, "play", play)


def test_it_ends_in_time(
    played: Callable[[Play], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says every now and then how far it is, and begins no run that would not end in time."""
    now = [0.0]

    def play(*_given: object) -> None:
        now[0] += 8.0

    played(play)
    monkeypatch.setattr(script, "monotonic", lambda: now[0])
    assert main(["--minutes", "1"]) == 0
    *progress, result = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in progress] == ["16 s of 60", "32 s of 60", "48 s of 60"]
    assert re.fullmatch("7 runs of [0-9]+ operations in 56 s: all that was read is allowed", result)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_for_the_result(
    number: int, played: Callable[[Play], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the runs until then; the one that is under way ends."""
    runs: list[list[Op]] = []

    def play(_folder: Path, operations: list[Op]) -> None:
        runs.append(operations)
        if len(runs) == 3:
            signal.raise_signal(number)

    played(play)
    assert main(["--minutes", "10"]) == 0
    assert len(runs) == 3
    operations = sum(map(len, runs))
    assert f"3 runs of {operations} operations in 0 s: all that was read is allowed" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_signal_ends_it_at_once(played: Callable[[Play], None]) -> None:
    def play(*_given: object) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    played(play)
    with pytest.raises(KeyboardInterrupt):
        main(["--minutes", "10"])


def fails_at_logs(_folder: Path, operations: list[Op]) -> None:
    if any(op.kind == "log" for op in operations):
        raise Wrong("lost")


def test_the_shortest_run_that_fails_is_the_result(
    played: Callable[[Play], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """The first one is printed before shorter ones are looked for."""
    played(fails_at_logs)
    assert main(["--minutes", "10"]) == 1
    first, *_, result = capsys.readouterr().out.splitlines()
    assert "this one fails, and shorter ones are looked for: [Op(" in first
    assert result.count("Op(") == 5
    assert "Wrong: lost" in "".join(_)


def test_what_fails_is_printed_where_no_time_is_left(
    played: Callable[[Play], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def play(_folder: Path, _operations: list[Op]) -> None:
        signal.raise_signal(signal.SIGINT)
        raise Wrong("lost")

    played(play)
    assert main(["--minutes", "10"]) == 1
    out = capsys.readouterr().out
    assert "and one that fails: [Op(" in out
    assert "Wrong: lost" in out
