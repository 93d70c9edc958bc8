"""What the suite promises of itself: it runs under any parent, and it ends."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.signals import ENDING

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"

CHILD = """
import os, signal, subprocess
from tests.support.signals import pass_on_no_dispositions
pass_on_no_dispositions()
os.kill(os.getpid(), signal.SIGINT)  # ignored, as it was
print(subprocess.run(["false"]).returncode, flush=True)
subprocess.run(["grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status"])
"""

STUCK = """
import signal, subprocess, threading, time, trio

def test_waits(): time.sleep(3600)
def test_child(): subprocess.run(["sleep", "3600"])
async def test_trio(): await trio.sleep_forever()
def test_well(): pass
"""

DEAF = """
import signal, threading

def test_deaf():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
"""


def test_children_have_signals_at_their_defaults() -> None:
    """Whatever the parent of the suite ignores and blocks; what the suite ignored itself does not end it."""
    numbers = ",".join(number.name.removeprefix("SIG") for number in ENDING)
    parent = ["env", f"--ignore-signal={numbers},CHLD", "--block-signal=USR1,TERM"]
    done = subprocess.run(
        [*parent, sys.executable, "-c", CHILD], cwd=ROOT, capture_output=True, text=True, timeout=180, check=True
    )
    status, blocked, ignored = done.stdout.splitlines()
    assert status == "1"
    assert int(blocked.split()[1], 16) == 0
    assert [number.name for number in ENDING if int(ignored.split()[1], 16) >> (number - 1) & 1] == []


def options_of_script() -> list[str]:
    """What scripts/test adds to pytest's arguments."""
    *_, command = (ROOT / "scripts/test").read_text().splitlines()
    return command.removesuffix(' "$@"').partition("/pytest ")[2].split()


def run_stuck(folder: Path, tests: str, *options: str) -> subprocess.CompletedProcess[str]:
    """The suite's own configuration, but for shorter limits, on tests that wait for ever."""
    (folder / "test_stuck.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder)]
    command += ["-p", "no:cacheprovider", "-rA", *options, str(folder / "test_stuck.py")]
    two = {**os.environ, "PYTEST_XDIST_AUTO_NUM_WORKERS": "2"}
    return subprocess.run(command, cwd=folder, env=two, capture_output=True, text=True, timeout=180)


def test_what_waits_for_ever_fails_and_the_next_test_runs(tmp_path: Path) -> None:
    """In a sleep, in a wait for a child, in trio's loop."""
    done = run_stuck(tmp_path, STUCK, "-o", "timeout=2")
    assert "3 failed, 1 passed" in done.stdout, done.stdout
    assert done.stdout.count("Timeout (>2.0s)") >= 3
    assert done.returncode == 1


def test_what_no_signal_reaches_is_ended_too(tmp_path: Path) -> None:
    """A wait with the interpreter's lock held, for one. Its stack is printed; scripts/test ends too, and names it."""
    (tmp_path / "test_other.py").write_text("def test_other(): pass\n")
    done = run_stuck(
        tmp_path, DEAF, "-o", "timeout=1", "-o", "faulthandler_timeout=3", *options_of_script(), str(tmp_path)
    )
    assert "in test_deaf" in done.stderr
    assert "crashed while running" in done.stdout
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("given", "handed"),
    [
        ([], []),
        (["unit"], ["tests/unit"]),
        (["mount", "browser", "-k", "unit or tail"], ["-k", "unit or tail", "tests/mount", "tests/browser"]),
        (["-k", "mount"], ["-k", "mount"]),
        (["client", "--durations=15"], ["--durations=15", "tests/client"]),
        (["tests/unit/test_names.py"], ["tests/unit/test_names.py"]),
    ],
)
def test_the_script_takes_tiers_and_hands_on_the_rest(tmp_path: Path, given: list[str], handed: list[str]) -> None:
    """Tiers come first, so that the words of `-k` are none."""
    script = tmp_path / "scripts/test"
    for stub in (tmp_path / "scripts/install", tmp_path / "scripts/check", tmp_path / ".venv/bin/pytest"):
        stub.parent.mkdir(parents=True, exist_ok=True)
        stub.write_text('#!/bin/sh\nfor argument; do printf "%s\\n" "$argument"; done\n')
        stub.chmod(0o755)
    script.write_text((ROOT / "scripts/test").read_text())
    done = subprocess.run(["sh", script, *given], capture_output=True, text=True, timeout=180, check=True)
    install, *arguments = done.stdout.splitlines()
    assert install == "--dev"
    assert arguments == [*options_of_script(), *handed]


def tiers() -> list[str]:
    return sorted(path.parent.name for path in TESTS.glob("*/__init__.py") if path.parent.name != "support")


def test_every_tier_and_helper_is_explained() -> None:
    """In tests/README.md, and none that is not there; scripts/test takes each tier."""
    text = (TESTS / "README.md").read_text()
    rows = [row.split("|")[1] for row in text.splitlines() if row.startswith("| `")]
    named = sorted(name for row in rows for name in re.findall(r"`([a-z_]+)/?`", row))
    modules = [path.stem for path in (TESTS / "support").glob("*.py") if path.stem != "__init__"]
    assert named == sorted([*tiers(), *modules])
    assert f"{' | '.join(['unit', 'inprocess', 'client', 'mount', 'browser'])})" in (ROOT / "scripts/test").read_text()
    assert set(tiers()) == {"unit", "inprocess", "client", "mount", "browser"}


def test_every_test_has_both_limits(pytestconfig: pytest.Config) -> None:
    """The one that signals first, the one that ends the process some time later."""
    limit, end = (float(pytestconfig.getini(name)) for name in ("timeout", "faulthandler_timeout"))
    assert 0 < limit < end
    assert pytestconfig.getini("faulthandler_exit_on_timeout") is True
