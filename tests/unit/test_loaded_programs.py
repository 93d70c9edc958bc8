"""A program of a loaded process is a process of its own: its words, directory, environment, group, output and end."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.loaded_programs import Forked, Loaded, start

LOADED = Loaded(("csv",), (("GIVEN", "at the start"),), ("-W", "error"))

PROGRAM = """
import json, os, sys
print(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ), os.getpgid(0), "csv" in sys.modules, sys.warnoptions]))
print("a complaint", file=sys.stderr, flush=True)
sys.stdout.flush()
"""


def started(folder: Path, program: str, *words: str) -> Forked:
    (folder / "program.py").write_text(program)
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        return start(LOADED, [str(folder / "program.py"), *words], folder, {"OWN": "é"}, out.fileno(), err.fileno())


def test_it_is_given_what_it_would_be_given(tmp_path: Path) -> None:
    """Nothing is left of what the loaded process was started with."""
    program = started(tmp_path, PROGRAM, "one", "two words")
    assert program.wait(180) == 0
    found = f'[["one", "two words"], "{tmp_path}", {{"OWN": "\\u00e9"}}, {program.pid}, true, ["error"]]\n'
    assert (tmp_path / "out").read_text() == found
    assert (tmp_path / "err").read_text() == "a complaint\n"


def test_two_programs_share_nothing(tmp_path: Path) -> None:
    """What one does to its modules the next one does not see."""
    assert started(tmp_path, "import csv; csv.mark = True").wait(180) == 0
    assert started(tmp_path, "import csv; assert not hasattr(csv, 'mark')").wait(180) == 0


@pytest.mark.parametrize(("code", "status"), [("sys.exit(3)", 3), ("1 / 0", 1), ("os.abort()", -signal.SIGABRT)])
def test_how_it_ended_is_known(tmp_path: Path, code: str, status: int) -> None:
    """By itself, of a traceback, of a signal."""
    program = started(tmp_path, f"import os, sys; {code}")
    assert program.wait(180) == status
    assert (program.poll(), program.wait()) == (status, status)


def test_it_can_be_waited_for_and_killed(tmp_path: Path) -> None:
    """And is no child that stays behind."""
    program = started(tmp_path, "import time; time.sleep(3600)")
    assert program.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        program.wait(0.01)
    program.kill()
    assert program.wait(180) == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(program.pid, 0)
    program.terminate()  # nothing is hit by that
