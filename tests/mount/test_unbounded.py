"""A server that sends without end, or next to nothing: readers get an errno, the mount stays small and goes on."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.inprocess.test_bounds import bomb
from tests.mount.test_faults import FOREST, said
from tests.support.faulty_comet import Answer, Faults, faulty_comet
from tests.support.processes import PATIENCE, Comet, Mounted, running_mount

GZIP = (("Content-Encoding", "gzip"),)
OUTPUT, ASSET, PROJECT = f"{FOREST}/output.txt", f"{FOREST}/assets/importances.csv", "tabular/wine-cultivars"
ROWS = b'{"experiments":[' + b"{}," * (20 << 20) + b"{}]}"

MOST = 300
"""MiB more than before: two answers of 64 MiB while their parts are joined, and the interpreter's own."""


def endless(status: int, begin: bytes) -> Answer:
    return Answer(status, begin, framing="chunked", endless=b"x" * (64 << 10))


UNBOUNDED = {
    "gzip": (OUTPUT, "experiment/output", Answer(200, bomb(b'{"output":"'), headers=GZIP), "File too large"),
    "JSON": (OUTPUT, "experiment/output", endless(200, b'{"output":"'), "File too large"),
    "rows": (PROJECT, "rest/v2/experiments", Answer(200, ROWS), "File too large"),
    "refusal": (OUTPUT, "experiment/output", endless(500, b'{"msg":"'), "Remote I/O error"),
    "asset": (ASSET, "asset/get-asset", endless(200, b"x"), "File too large"),
    "asset of gzip": (ASSET, "asset/get-asset", Answer(200, bomb(b"x"), headers=GZIP), "File too large"),
}


@pytest.fixture
def faulty(comet: Comet) -> Iterator[tuple[Comet, Faults]]:
    with faulty_comet(comet) as found:
        yield found


def peak(mounted: Mounted) -> int:
    """MiB of memory that the mount has had at most."""
    status = Path(f"/proc/{mounted.process.pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) >> 10


@pytest.mark.parametrize(("path", "endpoint", "answer", "complaint"), UNBOUNDED.values(), ids=UNBOUNDED)
def test_an_answer_without_an_end_is_an_error_and_memory_stays_bounded(
    path: str, endpoint: str, answer: Answer, complaint: str, tmp_path: Path, faulty: tuple[Comet, Faults]
) -> None:
    """Also when its readers are killed in the middle. Then all is as it was; nothing of it is in the cache."""
    behind, faults = faulty
    with running_mount(tmp_path, behind, "--deadline", "600") as mounted:
        command = ("ls" if path == PROJECT else "cat", mounted / path)
        if path != PROJECT:
            said("ls", (mounted / path).parent)
        before = peak(mounted)
        faults.answers[endpoint] = answer
        status, output, complained = said(*command)
        assert (status != 0, output) == (True, b"")
        assert complained.rstrip().endswith(complaint)
        _kill_in_the_middle(faults, *command)
        del faults.answers[endpoint]
        _await_success(*command)
        assert peak(mounted) - before < MOST
        kept = sum(file.stat().st_size for file in (tmp_path / "cache").rglob("*") if file.is_file())
        assert kept < 8 << 20


def _kill_in_the_middle(faults: Faults, *command: str | Path) -> None:
    """Those that come at once after the one that failed share its error."""
    arrived = len(faults.arrivals)
    while len(faults.arrivals) == arrived:
        with subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as killed:
            while len(faults.arrivals) == arrived and killed.poll() is None:
                time.sleep(0.01)
            killed.kill()


def _await_success(*command: str | Path) -> None:
    """A load that goes on for a killed reader may answer the next one, too, and its failure those after it."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        status, _, complained = said(*command)
        if status == 0:
            return
    raise AssertionError(complained)


def test_a_drip_ends_with_its_reader(tmp_path: Path, faulty: tuple[Comet, Faults]) -> None:
    """The next one begins anew, at a server that is well again."""
    behind, faults = faulty
    with running_mount(tmp_path, behind, "--deadline", "3") as mounted:
        size = (mounted / ASSET).stat().st_size
        faults.answers["asset/get-asset"] = Answer(200, b"x" * size, "text/csv", drip=0.5)
        status, _, complained = said("cat", mounted / ASSET)
        assert status != 0
        assert complained.rstrip().endswith("Connection timed out")
        faults.answers.clear()
        status, output, complained = said("cat", mounted / ASSET)
        assert (status, complained, len(output)) == (0, "", size)
        assert output != b"x" * size
