"""A Comet that stalls, dies or talks nonsense: readers get an errno in time, and nobody else notices."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.archive_contents import folders, read_archives
from tests.support.faulty_comet import Answer, Faults, faulty_comet
from tests.support.processes import PATIENCE, Comet, Mounted, is_mounted, running_comet, running_mount

FOREST = "tabular/wine-cultivars/forest-200"
NEVER = "600"
"""A deadline that no test lives to see."""

SHORT = "3"
"""One that a test waits for, in which a busy machine starts a mount and answers all the same."""

SOON = 60.0
"""Seconds within which a signalled reader must have ended: far more than it needs, far less than any deadline."""


def reader(*command: str | Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.Popen(
        [*map(str, command)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def said(*command: str | Path, patience: float = PATIENCE) -> tuple[int, bytes, str]:
    """Status, output and complaint of a program that must end by itself."""
    ended = subprocess.run(
        [*map(str, command)], env={**os.environ, "LC_ALL": "C"}, capture_output=True, timeout=patience, check=False
    )
    return ended.returncode, ended.stdout, ended.stderr.decode()


@pytest.fixture
def faulty(comet: Comet) -> Iterator[tuple[Comet, Faults]]:
    with faulty_comet(comet) as found:
        yield found


# A stalled server


STALLS = {
    "a read that waits for its answer": ("experiment/output", ("cat", f"{FOREST}/output.txt")),
    "a lookup that waits for a listing": ("rest/v2/experiments", ("stat", f"{FOREST}/output.txt")),
    "a listing that waits": ("rest/v2/projects", ("ls", "tabular")),
    "a stat that waits for a size": ("experiment/code", ("stat", f"{FOREST}/code.py")),
    "an asset that waits for its body": ("asset/get-asset", ("cat", f"{FOREST}/assets/preds.json")),
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize(("endpoint", "command"), STALLS.values(), ids=STALLS)
def test_reader_of_a_stalled_server_dies_of_its_signal(
    endpoint: str, command: tuple[str, str], number: signal.Signals, stalling: tuple[Mounted, Faults]
) -> None:
    """It ends by the signal while the server still stalls, long before the deadline."""
    mounted, faults = stalling
    before = len(faults.arrivals)
    faults.stall(endpoint)
    waiting = reader(command[0], mounted / command[1])
    try:
        faults.await_arrivals(endpoint, sum(endpoint in target for target in faults.arrivals[:before]) + 1)
        assert waiting.poll() is None, waiting.communicate()
        waiting.send_signal(number)
        assert waiting.wait(SOON) == -number
        assert endpoint in faults.stalled
    finally:
        faults.release()
        waiting.kill()
        waiting.communicate(timeout=PATIENCE)


@pytest.fixture
def stalling(tmp_path: Path, faulty: tuple[Comet, Faults]) -> Iterator[tuple[Mounted, Faults]]:
    comet, faults = faulty
    with running_mount(tmp_path, comet, "--deadline", NEVER) as mounted:
        yield mounted, faults


@pytest.mark.parametrize(("endpoint", "command"), STALLS.values(), ids=STALLS)
def test_reader_gets_an_error_at_the_deadline(
    endpoint: str, command: tuple[str, str], tmp_path: Path, faulty: tuple[Comet, Faults]
) -> None:
    """ETIMEDOUT, with no byte of an answer, while the server goes on stalling; then the answer when it is back."""
    comet, faults = faulty
    with running_mount(tmp_path, comet, "--deadline", SHORT) as mounted:
        faults.stall(endpoint)
        status, output, complaint = said(command[0], mounted / command[1])
        assert (status != 0, output) == (True, b""), complaint
        assert "Connection timed out" in complaint
        faults.release()
        _await_success(command[0], mounted / command[1])


def test_what_was_read_before_is_answered_while_a_hundred_readers_are_stuck(stalling: tuple[Mounted, Faults]) -> None:
    """Opens, stats, listings and misses of what is known pass by the queue; the stuck ones die when told to."""
    mounted, faults = stalling
    known = {path: path.read_bytes() for path in (mounted / FOREST / "code.py", mounted / FOREST / "params.json")}
    listing = said("ls", "-l", mounted / FOREST)
    waiting = [path for path in mounted.path.glob("*/*/*/report.html") if path.parent.name != "forest-200"]
    names = sorted(path.with_name("output.txt") for path in waiting)
    faults.stall("experiment/")
    stuck = [reader("cat", names[number % len(names)]) for number in range(100)]
    try:
        faults.await_arrivals("experiment/output", 2)
        for path, content in known.items():
            assert said("cat", path, patience=SOON) == (0, content, "")
        assert said("ls", "-l", mounted / FOREST, patience=SOON) == listing
        status, _, complaint = said("stat", mounted / FOREST / "nosuch", patience=SOON)
        assert (status, "No such file" in complaint) == (1, True)
        assert [one.poll() for one in stuck] == [None] * 100
        for one in stuck:
            one.kill()
        assert [one.wait(SOON) for one in stuck] == [-signal.SIGKILL] * 100
    finally:
        faults.release()
        for one in stuck:
            one.kill()
            one.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_mount_with_stuck_readers_ends_with_status_zero(
    number: signal.Signals, stalling: tuple[Mounted, Faults]
) -> None:
    """A stalled server does not hold up the end; the readers get an error, not a hang."""
    mounted, faults = stalling
    faults.stall("experiment/output")
    stuck = [reader("cat", mounted / FOREST / "output.txt") for _ in range(10)]
    try:
        faults.await_arrivals("experiment/output")
        assert mounted.stop(number) == 0
        assert not is_mounted(mounted.path)
        assert [one.communicate(timeout=SOON)[0] for one in stuck] == [b""] * 10
        assert all(one.returncode for one in stuck)
    finally:
        faults.release()
        for one in stuck:
            one.kill()
            one.communicate(timeout=PATIENCE)


def test_stopped_server_stalls_its_readers_alone(tmp_path: Path) -> None:
    """A Comet process under SIGSTOP: ETIMEDOUT for what is new, an answer for what is known, all well after SIGCONT."""
    with running_comet(tmp_path) as own, running_mount(tmp_path, own, "--deadline", SHORT) as mounted:
        known = (mounted / FOREST / "code.py").read_bytes()
        own.process.send_signal(signal.SIGSTOP)
        try:
            _, output, complaint = said("cat", mounted / FOREST / "output.txt")
            assert (output, "Connection timed out" in complaint) == (b"", True), complaint
            assert said("cat", mounted / FOREST / "code.py") == (0, known, "")
        finally:
            own.process.send_signal(signal.SIGCONT)
        assert _await_success("cat", mounted / FOREST / "output.txt").startswith(b"oob")


# A dead server


def test_dead_server_is_an_error_and_its_return_needs_no_remount(tmp_path: Path) -> None:
    """Neither a false ENOENT nor an empty file nor an empty directory; what is known stays; all is back with Comet."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with running_comet(tmp_path / "one") as first, running_mount(tmp_path, first, "--deadline", SHORT) as mounted:
        known = (mounted / FOREST / "code.py").read_bytes()
        first.process.kill()
        first.process.wait(PATIENCE)
        for command in (
            ("cat", mounted / FOREST / "output.txt"),
            ("cat", mounted / FOREST / "assets/preds.json"),
            ("ls", mounted / FOREST / "assets"),
            ("ls", mounted / "vision-lab"),
            ("stat", mounted / "vision-lab/digits"),
        ):
            status, output, complaint = said(*command)
            assert (status != 0, output) == (True, b""), command
            assert re.search("Network is unreachable|Connection timed out", complaint), complaint
        assert said("cat", mounted / FOREST / "code.py") == (0, known, "")
        address = first.url.removeprefix("http://")
        with running_comet(tmp_path / "two", "--bind", address):
            assert _await_success("cat", mounted / FOREST / "output.txt").startswith(b"oob")
            assert _await_success("ls", mounted / "vision-lab") == b"digits\nurl.txt\n"


def _await_success(*command: str | Path) -> bytes:
    """The output once the program succeeds: an error may be remembered for a moment."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        status, output, complaint = said(*command)
        if status == 0:
            return output
    raise AssertionError(f"still failing: {complaint}")


# A server that talks nonsense


NONSENSE = {
    "401": (Answer(401), "Permission denied"),
    "403": (Answer(403), "Permission denied"),
    "404": (Answer(404), "No such file or directory"),
    "500": (Answer(500), "Remote I/O error"),
    "HTML": (Answer(200, b"<html><body>Sign in</body></html>", "text/html"), "Remote I/O error"),
    "garbage": (Answer(200, b'{"output": "cut in the mid'), "Protocol error"),
    "other JSON": (Answer(200, b"[1, 2, 3]"), "Protocol error"),
    "nothing": (Answer(200, b""), "Protocol error"),
}


@pytest.fixture(scope="module")
def nonsense(comet: Comet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mounted, Faults]]:
    with (
        faulty_comet(comet) as (behind, faults),
        running_mount(tmp_path_factory.mktemp("nonsense"), behind, "--deadline", "30") as mounted,
    ):
        yield mounted, faults


@pytest.mark.parametrize(("case", "answer", "complaint"), [(key, *value) for key, value in NONSENSE.items()])
@pytest.mark.parametrize("command", ["cat", "stat"])
def test_answers_that_are_none_become_their_errno(
    case: str, command: str, answer: Answer, complaint: str, nonsense: tuple[Mounted, Faults]
) -> None:
    """No byte is read and no size told; when Comet answers again, the file is right."""
    mounted, faults = nonsense
    archives = read_archives(mounted.comet.archives)
    archive = sorted(archives, key=lambda one: one.key)[list(NONSENSE).index(case)]
    endpoint, name = ("experiment/output", "output.txt") if command == "cat" else ("experiment/code", "code.py")
    faults.answers[f"{endpoint}?experimentKey={archive.key}"] = answer
    path = mounted.path / folders(archives)[archive.key] / name
    status, output, complained = said(command, path)
    assert (status, output) == (1, b"")
    assert complained.rstrip().endswith(complaint), complained
    faults.answers.clear()
    if answer.status == 404:
        return  # that there is nothing is an answer too, and holds for a while
    assert _await_success(command, path)
    assert path.read_bytes() == (archive.output.encode() if command == "cat" else archive.code)


def test_body_cut_on_the_wire_is_an_error_and_never_a_short_file(nonsense: tuple[Mounted, Faults]) -> None:
    """A connection that ends before the announced length gives no byte of what came."""
    mounted, faults = nonsense
    for endpoint, name in (
        ("asset/get-asset", "assets/importances.json"),
        ("experiment/system-details", "system.json"),
    ):
        faults.answers[endpoint] = Answer(200, b'{"half": ', missing=1000)
        status, output, complaint = said("cat", mounted / FOREST / name)
        assert (status, output) == (1, b""), complaint
        faults.answers.clear()
        assert _await_success("cat", mounted / FOREST / name).startswith(b"{")


def test_error_of_one_file_does_not_hide_its_neighbours(nonsense: tuple[Mounted, Faults]) -> None:
    """A directory with a file that cannot be fetched still lists and its other files still read."""
    mounted, faults = nonsense
    place = mounted / "tabular/Diabetes progression/boosting-depth-5"
    faults.answers["experiment/graph"] = Answer(403)
    faults.answers["experiment/html"] = Answer(500)
    try:
        assert {"graph.txt", "params.json", "report.html"} <= set(said("ls", place)[1].decode().split("\n"))
        assert said("cat", place / "params.json")[0] == 0
    finally:
        faults.answers.clear()


def test_mount_outlives_all_of_it(nonsense: tuple[Mounted, Faults]) -> None:
    """The process still runs, logged no traceback and ends with status 0."""
    mounted, _ = nonsense
    assert mounted.process.poll() is None
    assert "Traceback" not in mounted.log.read_text()
    assert mounted.stop() == 0
