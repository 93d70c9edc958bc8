"""The tools that people use give on the mount what they give on the same files on a disk."""

from __future__ import annotations

import filecmp
import hashlib
import mmap
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE, Mounted
from tests.support.spawning import inside

FOREST = "tabular/wine-cultivars/forest-200"
POINTS = "vision-lab/digits/sgd-20k-steps/metrics/loss.csv"
C_LOCALE = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def tool(name: str, *arguments: str | Path, cwd: Path | None = None, status: int = 0) -> bytes:
    """What a program prints; skips, saying so, where it is not installed."""
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed here")
    command = inside(cwd or Path.cwd(), name, *arguments)
    ended = subprocess.run(command, env=C_LOCALE, capture_output=True, timeout=PATIENCE, check=False)
    assert ended.returncode == status, ended.stderr
    assert ended.stderr == b""
    return ended.stdout


def entries(path: Path) -> list[str]:
    found = [str(path)]
    for folder, folders_inside, names in os.walk(path):
        found += [f"{folder}/{name}" for name in (*folders_inside, *names)]
    return found


def same_trees(one: Path, other: Path) -> bool:
    """Whether both hold the same files. What Comet has nothing of may be in one and not in the other: a listing leaves
    it out where an answer at hand says so, and which answers are depends on what was read before."""
    left, right = ({str(Path(path).relative_to(top)) for path in entries(top)} for top in (one, other))
    assert [path for path in left - right if not is_nothing(one / path)] == []
    assert [path for path in right - left if not is_nothing(other / path)] == []
    both = sorted(left & right)
    return all(filecmp.cmp(one / path, other / path, shallow=False) for path in both if (one / path).is_file())


def is_nothing(path: Path) -> bool:
    """An empty file, JSON of nothing, or a directory with nothing but such below it."""
    if path.is_dir() and not path.is_symlink():
        return all(map(is_nothing, path.iterdir()))
    if path.name in ("system.json", "metadata.json"):
        return path.read_bytes() == b"{}\n"
    return path.is_file() and path.stat().st_size == 0


@pytest.fixture(scope="module")
def plain(warm: Mounted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same files on a disk, written by Python from what it read file by file."""
    target = tmp_path_factory.mktemp("plain") / "mnt"
    for path in entries(warm.path):
        twin = target / Path(path).relative_to(warm.path)
        if Path(path).is_symlink():
            twin.symlink_to(Path(path).readlink())
        elif Path(path).is_dir():
            twin.mkdir()
        else:
            twin.write_bytes(Path(path).read_bytes())
    return target


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A place for copies."""
    place = tmp_path / "scratch"
    place.mkdir()
    return place


# Walking


def test_ls_recursive_shows_true_sizes_and_all_entries(warm: Mounted, plain: Path) -> None:
    """Sizes of the long listing are those of the files on disk, in the same order."""

    def sizes(path: Path) -> list[tuple[str, str]]:
        lines = tool("ls", "-lRA", "--time-style=+", cwd=path).decode().splitlines()
        return [(cells[4], cells[5]) for line in lines if line.startswith("-") and (cells := line.split(None, 5))]

    assert sizes(warm.path) == sizes(plain)


@pytest.mark.parametrize("arguments", [(), ("-type", "f"), ("-type", "d"), ("-name", "*.csv"), ("-size", "+8k")])
def test_find_finds_what_it_finds_on_a_disk(arguments: tuple[str, ...], warm: Mounted, plain: Path) -> None:
    """All entries, by type, name and size."""
    if "-size" in arguments:
        arguments = (*arguments, "-type", "f")

    def found(path: Path) -> list[bytes]:
        return sorted(tool("find", ".", *arguments, "-print0", cwd=path).split(b"\0"))

    assert found(warm.path) == found(plain)
    assert len(found(warm.path)) > 2


# Reading


READERS: dict[str, tuple[str, ...]] = {
    "cat": ("cat", POINTS, f"{FOREST}/code.py", f"{FOREST}/assets/predictions.sqlite"),
    "head": ("head", "-n", "7", POINTS, f"{FOREST}/output.txt"),
    "head -c": ("head", "-c", "100001", POINTS),
    "tail": ("tail", "-n", "7", POINTS, f"{FOREST}/output.txt"),
    "tail -c": ("tail", "-c", "100001", POINTS),
    "wc": ("wc", "-lc", POINTS, f"{FOREST}/code.py", f"{FOREST}/assets/warnings.log"),
    "grep": ("grep", "-n", "accuracy", f"{FOREST}/metrics.json"),
    "jq": ("jq", ".", f"{FOREST}/params.json"),
    "jq keys": ("jq", "-r", "keys[]", f"{FOREST}/metrics.json"),
    "less": ("less", f"{FOREST}/code.py"),
    "unzip": ("unzip", "-l", f"{FOREST}/assets/folds.zip"),
    "unzip -t": ("unzip", "-t", f"{FOREST}/assets/folds.zip"),
    "sqlite3": ("sqlite3", "-readonly", f"{FOREST}/assets/predictions.sqlite", "SELECT * FROM predictions"),
    "sqlite3 plain": ("sqlite3", f"{FOREST}/assets/predictions.sqlite", "PRAGMA integrity_check", ".dump"),
    "dd": ("dd", f"if={POINTS}", "bs=777", "skip=13", "count=57", "status=none"),
    "sort": ("sort", "-t,", "-k4", POINTS),
}


@pytest.mark.parametrize("command", READERS.values(), ids=READERS)
def test_readers_print_what_they_print_of_the_disk(command: tuple[str, ...], warm: Mounted, plain: Path) -> None:
    """The same command in both places says the same, and something."""
    on_mount = tool(*command, cwd=warm.path)
    assert on_mount == tool(*command, cwd=plain)
    assert on_mount


@pytest.mark.parametrize(
    "command",
    [
        ("grep", "-r", "-I", "-c", "loss"),
        ("rg", "--hidden", "--no-ignore", "-c", "loss"),
        ("rg", "--mmap", "-c", "ada"),
    ],
    ids=["grep -r", "rg", "rg --mmap"],
)
def test_searchers_of_trees_find_the_same_lines(command: tuple[str, ...], warm: Mounted, plain: Path) -> None:
    """Per file, as many hits as on a disk."""
    found = sorted(tool(*command, ".", cwd=warm.path).splitlines())
    assert found == sorted(tool(*command, ".", cwd=plain).splitlines())
    assert sum(not line.endswith(b":0") for line in found) > 10


def test_md5sum_agrees_for_every_file(warm: Mounted, plain: Path) -> None:
    """The sums taken on the disk are checked on the mount."""
    sums = tool("find", ".", "-type", "f", "-exec", "md5sum", "-z", "{}", "+", cwd=plain)
    again = tool("find", ".", "-type", "f", "-exec", "md5sum", "-z", "{}", "+", cwd=warm.path)
    assert sorted(sums.split(b"\0")) == sorted(again.split(b"\0"))


def test_vim_loads_the_whole_text(warm: Mounted, plain: Path, scratch: Path) -> None:
    """Vim in silent ex mode opens the file of the mount and writes its buffer elsewhere."""
    out = scratch / "written.csv"
    tool("vim", "-Nu", "NONE", "-i", "NONE", "-n", "-es", warm / POINTS, "-c", f"silent write! {out}", "-c", "quitall!")
    assert out.read_bytes() == (plain / POINTS).read_bytes()


def test_python_maps_a_file_into_memory(warm: Mounted, plain: Path) -> None:
    """A shared read-only map has the file's length and bytes."""
    with (warm / POINTS).open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[:] == (plain / POINTS).read_bytes()


def test_python_opens_the_database_in_place(warm: Mounted) -> None:
    """A database of the mount answers queries without a copy."""
    database = sqlite3.connect(f"file:{warm / FOREST}/assets/predictions.sqlite?mode=ro", uri=True)
    assert database.execute("SELECT count(*) FROM predictions").fetchone() == (54,)
    database.close()


def test_reads_at_odd_offsets_give_the_bytes_there(cold: Mounted, plain: Path) -> None:
    """Backwards, across pages, at the end and beyond it, in a file that nobody has read from its beginning."""
    whole = (plain / POINTS).read_bytes()
    size = len(whole)
    places = [
        (size - 1, 10),
        (size, 10),
        (size + 5000, 10),
        (4095, 2),
        (131_071, 3),
        (1, 4096),
        (0, 1),
        (size - 9999, 9999),
    ]
    opened = os.open(cold / POINTS, os.O_RDONLY)
    try:
        for offset, length in places:
            assert os.pread(opened, length, offset) == whole[offset : offset + length], offset
    finally:
        os.close(opened)


def test_many_readers_at_once_read_the_same(cold: Mounted, plain: Path) -> None:
    """Sixteen threads over every file of a cold project, each in its own order.

    But for those of nothing, which are shown empty or not at all, as it was known when somebody looked first.
    """
    names = [path for path in entries(plain / "tabular") if Path(path).is_file() and not is_nothing(Path(path))]
    expected = {name: Path(name).read_bytes() for name in names}

    def read(seed: int) -> list[str]:
        shuffled = sorted(names, key=lambda name: hashlib.md5(f"{seed}{name}".encode()).digest())
        return [name for name in shuffled if (cold / str(Path(name).relative_to(plain))).read_bytes() != expected[name]]

    with ThreadPoolExecutor(16) as readers:
        assert list(readers.map(read, range(16))) == [[]] * 16


# Copying


def _cp(source: Path, target: Path) -> None:
    tool("cp", "-r", source, target)
    assert tool("diff", "-r", source, target) == b""


def _tar(source: Path, target: Path) -> None:
    archive = target.parent / "all.tar"
    tool("tar", "-cf", archive, "-C", source, ".")
    target.mkdir()
    tool("tar", "-xf", archive, "-C", target)


def _rsync(source: Path, target: Path) -> None:
    tool("rsync", "-a", f"{source}/", f"{target}/")
    assert tool("rsync", "-anic", f"{source}/", f"{target}/") == b"", "a second run would copy something again"


COPIERS: dict[str, Callable[[Path, Path], None]] = {"cp -r": _cp, "tar": _tar, "rsync -a": _rsync}


@pytest.mark.parametrize("copy", COPIERS.values(), ids=COPIERS)
def test_copies_are_complete(copy: Callable[[Path, Path], None], cold: Mounted, plain: Path, scratch: Path) -> None:
    """A copy of a mount that nobody looked at before holds every file, whole."""
    copy(cold.path, scratch / "copy")
    assert same_trees(plain, scratch / "copy")
