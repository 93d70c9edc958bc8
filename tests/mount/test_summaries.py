"""The tables of a project have true sizes, and cost their calls only where something asks for them.

Not here: what is in them (tests/inprocess/test_layout.py).
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.mount.test_calls import counted
from tests.support.processes import PATIENCE, PATIENT, Comet, Mounted, running_comet, running_mount
from tests.support.spawning import inside

PROJECT = "vision-lab/digits"
TABLES = {"experiments.csv", "experiments.jsonl", "overview.html"}


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comet]:
    """The sample 20 times: 100 experiments in one project."""
    with running_comet(tmp_path_factory.mktemp("several"), "--replicate", "20") as running:
        yield running


@pytest.fixture
def cold(tmp_path: Path, several: Comet) -> Iterator[Mounted]:
    """A mount that nobody has looked at."""
    with running_mount(tmp_path, several, program=PATIENT) as mounted:
        yield mounted
        assert mounted.log.read_text() == "", "the mount logged something that the test did not expect"


def run(folder: Path, *command: str, sent: bytes = b"", env: dict[str, str] | None = None) -> bytes:
    """What a program prints; skips, saying so, where it is not installed."""
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed here")
    ended = subprocess.run(
        inside(folder, *command),
        input=sent,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, **(env or {})},
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


# -- True sizes --------------------------------------------------------------------------------------------------------

TARFILE = "import sys, tarfile; tarfile.open(fileobj=sys.stdout.buffer, mode='w|').add('summary')"


def from_tar(archive: bytes) -> dict[str, bytes]:
    """The files of a tar archive by name."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as found:
        files = [(member.name, found.extractfile(member)) for member in found if member.isfile()]
        return {Path(name).name: file.read() for name, file in files if file is not None}


def from_cpio(archive: bytes) -> dict[str, bytes]:
    """The same of a cpio archive ("newc": hexadecimal fields, all padded to four bytes)."""
    found: dict[str, bytes] = {}
    at = 0
    while True:
        size, named = (int(archive[at + field : at + field + 8], 16) for field in (54, 94))
        name = archive[at + 110 : at + 110 + named - 1].decode()
        begin = at + (110 + named + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        if int(archive[at + 14 : at + 22], 16) & 0o170000 == 0o100000:
            found[Path(name).name] = archive[begin : begin + size]
        at = begin + (size + 3) // 4 * 4


def by_cpio(project: Path) -> bytes:
    names = b"".join(b"summary/" + name.encode() + b"\n" for name in sorted(TABLES))
    return run(project, "cpio", "-o", "-H", "newc", "--quiet", sent=names)


ARCHIVERS: dict[str, tuple[Callable[[Path], bytes], Callable[[bytes], dict[str, bytes]]]] = {
    "tarfile": (lambda project: run(project, sys.executable, "-c", TARFILE), from_tar),
    "tar": (lambda project: run(project, "tar", "cf", "-", "summary"), from_tar),
    "bsdtar": (lambda project: run(project, "bsdtar", "cf", "-", "summary"), from_tar),
    "busybox tar": (lambda project: run(project, "busybox", "tar", "cf", "-", "summary"), from_tar),
    "cpio": (by_cpio, from_cpio),
}


@pytest.mark.parametrize("archiver", ARCHIVERS)
def test_an_archive_of_tables_that_nobody_has_opened_has_all_their_bytes(archiver: str, cold: Mounted) -> None:
    """These programs take the size of a `stat` for the truth, and cut at it what is longer."""
    archive, members = ARCHIVERS[archiver]
    found = members(archive(cold / PROJECT))
    assert found.keys() == TABLES
    for name in TABLES:
        assert found[name] == run(cold / PROJECT, "cat", name), name
    assert len(found["experiments.csv"].splitlines()) == 101
    assert len(found["experiments.csv"]) > 65536, "the sample has become too small to tell"


def test_copies_follow_the_links_or_keep_them(cold: Mounted, tmp_path: Path) -> None:
    """`cp -r` copies links that lead to the copied tables; `cp -rL` copies the tables."""
    run(tmp_path, "cp", "-rL", *(str(cold / PROJECT / name) for name in sorted(TABLES)), str(tmp_path))
    for name in TABLES:
        assert not (tmp_path / name).is_symlink()
        assert (tmp_path / name).read_bytes() == (cold / PROJECT / name).read_bytes()
    (tmp_path / "copy").mkdir()
    run(cold / PROJECT, "cp", "-r", "summary", *sorted(TABLES), str(tmp_path / "copy"))
    for name in TABLES:
        assert (tmp_path / "copy" / name).is_symlink()
        assert (tmp_path / "copy" / name).read_bytes() == (cold / PROJECT / name).read_bytes()


# -- What looks cost ---------------------------------------------------------------------------------------------------

LISTED = {"projects": 1, "experiments": 1}


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("ls", set[str]()),
        ("ls -l", {"project/notes"}),
        ("ls summary", set[str]()),
        ("find summary -type f", set[str]()),
        ("find . -maxdepth 2", {"experiments", "project/column-names"}),
        ("ls -R charts summary", {"project/column-names"}),
    ],
)
def test_a_walk_makes_no_table(command: str, more: set[str], cold: Mounted) -> None:
    """Names cost names: one call for the listing, one for archived/, one for the names in charts/, the notes for
    `ls -l`."""
    run(cold / "vision-lab", "ls", "digits/url.txt")
    with counted(cold.comet) as asked:
        assert run(cold / PROJECT, *command.split())
    for listing in LISTED:
        asked.pop(listing, None)
    assert set(asked) <= more
    assert asked.total() <= 1


def may_trace() -> bool:
    """Whether a mount sees what a program waits for."""
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    return os.geteuid() == 0 or not scope.exists() or scope.read_text().strip() == "0"


@pytest.mark.parametrize("arguments", [("--color=always",), ("-F",), ("-R", "--color=always", "mlp-baseline")])
def test_a_coloured_listing_follows_links_and_asks_for_no_size(arguments: tuple[str, ...], cold: Mounted) -> None:
    """On a terminal nearly every `ls` is one: it looks for what can be executed, and for links that lead nowhere."""
    if not may_trace():
        pytest.skip("kernel.yama.ptrace_scope lets no mount see what a program waits for")
    run(cold / PROJECT, "ls", "-R", "mlp-baseline")
    colours = {"LS_COLORS": "ex=01;32:or=40;31;01:mi=00:ln=01;36:"}
    with counted(cold.comet) as asked:
        shown = run(cold / PROJECT, "ls", *arguments, env=colours)
    assert asked.total() == 0, asked
    assert b"\x1b[40;31;01m" not in shown
    size = int(run(cold / PROJECT, "stat", "-c", "%s", "summary/experiments.csv"))
    assert size == len(run(cold / PROJECT, "cat", "experiments.csv"))


def test_the_long_listing_of_charts_asks_all_metrics_of_all_experiments_together(cold: Mounted) -> None:
    """Not metric by metric; the charts themselves and views/best cost nothing after it."""
    charts = cold / PROJECT / "charts"
    run(charts, "ls")
    with counted(cold.comet) as asked:
        listed = run(charts, "ls", "-l").decode().splitlines()[1:]
    assert len(listed) > 10
    # The longest metric is compared, where none as long was before.
    assert set(asked) == {"experiments/multi-metric-chart", "experiment/metrics/get-metric"}
    assert asked["experiments/multi-metric-chart"] <= 3
    assert asked["experiment/metrics/get-metric"] <= 3
    with counted(cold.comet) as again:
        read = {path.name: path.read_bytes() for path in charts.iterdir() if path.is_file()}
        best = (cold / PROJECT / "views/best/validate_loss/min").readlink()
    assert not again
    assert {(cells := line.split(None, 8))[8]: int(cells[4]) for line in listed if line[0] == "-"} == {
        name: len(data) for name, data in read.items()
    }
    assert best.name
