"""What was fetched lasts: across mounts, between mounts, and whatever happens to the files."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import PATIENT, Comet, Mounted, running_comet, running_mount
from tests.support.spawning import inside

KEY = "a-key-that-is-nowhere-4711"
PROJECT = "vision-lab/digits"
BASELINE = f"{PROJECT}/mlp-baseline"


@pytest.fixture(scope="module")
def comet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comet]:
    """One that is asked by the mounts of these tests alone."""
    with running_comet(tmp_path_factory.mktemp("asked")) as found:
        yield found


def everything(mounted: Mounted, place: str) -> dict[str, bytes]:
    """Every file below a place that is not empty, read by a real program.

    Of what Comet has nothing there may be an empty file, or none: that depends on what was known when it was listed.
    """
    copy = mounted.path.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    subprocess.run(["cp", "-r", str(mounted.path / place), str(copy)], check=True)
    found = {str(path.relative_to(copy)): path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    return {name: content for name, content in found.items() if content}


def cache_of(tmp_path: Path) -> Path:
    (account,) = [path for path in (tmp_path / "cache" / "cometfs").iterdir() if path.is_dir()]
    return account


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, comet: Comet) -> tuple[Path, dict[str, bytes]]:
    """A cache that a mount has left which read all of an experiment, and what that was."""
    folder = tmp_path_factory.mktemp("filled")
    with running_mount(folder, comet) as mounted:
        before = everything(mounted, BASELINE)
    return folder / "cache", before


@pytest.fixture
def before(tmp_path: Path, filled: tuple[Path, dict[str, bytes]]) -> dict[str, bytes]:
    """What a mount has read that left this test its cache."""
    cache, read = filled
    shutil.copytree(cache, tmp_path / "cache")
    return read


def test_what_was_read_costs_nothing_after_a_remount(tmp_path: Path, comet: Comet) -> None:
    """The same bytes, the listing, sizes: no call at all, not even at the start."""
    with running_mount(tmp_path, comet, COMET_API_KEY=KEY, program=PATIENT) as mounted:
        before = everything(mounted, BASELINE)
    with comet.asked() as asked, running_mount(tmp_path, comet, COMET_API_KEY=KEY, program=PATIENT) as mounted:
        subprocess.run(["ls", "-lR", str(mounted.path / BASELINE)], check=True, stdout=subprocess.DEVNULL)
        assert everything(mounted, BASELINE) == before
    assert asked == []


def test_pictures_cost_no_call_after_a_remount(tmp_path: Path, comet: Comet) -> None:
    """The same bytes, drawn of the points on disk."""
    with running_mount(tmp_path, comet, program=PATIENT) as mounted:
        before = everything(mounted, f"{BASELINE}/plots")
    assert len(before) > 3
    with comet.asked() as asked, running_mount(tmp_path, comet, program=PATIENT) as mounted:
        assert everything(mounted, f"{BASELINE}/plots") == before
    assert asked == []


def test_the_cache_is_for_its_owner_and_holds_no_key(tmp_path: Path, comet: Comet) -> None:
    """0700, and the key is in no file and in no name."""
    with running_mount(tmp_path, comet, COMET_API_KEY=KEY) as mounted:
        everything(mounted, BASELINE)
    found = list((tmp_path / "cache" / "cometfs").rglob("*"))
    assert len(found) > 5
    for path in [tmp_path / "cache" / "cometfs", *found]:
        if path.is_dir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert KEY not in str(path)
        assert not path.is_file() or KEY.encode() not in path.read_bytes()


def test_a_cache_directory_that_was_there_is_not_changed(tmp_path: Path, comet: Comet) -> None:
    """One that all may write to, like /tmp: what is kept in it is for its owner alone nevertheless."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    with running_mount(tmp_path, comet, "--cache-dir", str(shared)) as mounted:
        everything(mounted, BASELINE)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777
    (account,) = shared.iterdir()
    assert stat.S_IMODE(account.stat().st_mode) == 0o700


def test_two_mounts_share_what_one_has_read(tmp_path: Path, comet: Comet) -> None:
    """At the same time, through the same files."""
    (tmp_path / "other").mkdir()
    shared = str(tmp_path / "cache")
    with (
        running_mount(tmp_path, comet, program=PATIENT) as one,
        running_mount(tmp_path / "other", comet, XDG_CACHE_HOME=shared, program=PATIENT) as other,
    ):
        before = everything(one, BASELINE)
        # What is still to be written is written by the end.
        assert one.stop() == 0
        with comet.asked() as asked:
            assert everything(other, BASELINE) == before
        assert asked == []


def test_a_killed_mount_leaves_nothing_wrong(
    tmp_path: Path, comet: Comet, filled: tuple[Path, dict[str, bytes]]
) -> None:
    """SIGKILL in the middle of everything, again and again: what is read afterwards is right."""
    _, before = filled
    for round_ in range(4):
        with running_mount(tmp_path, comet) as mounted:
            paths = [mounted.path / BASELINE / name for name in list(before)[: 5 * round_ + 1]]
            subprocess.run(["cat", *map(str, paths)], stdout=subprocess.DEVNULL, check=True)
            mounted.process.kill()
            mounted.process.wait()
            subprocess.run(["fusermount3", "-u", "-z", str(mounted.path)], check=True)
    with running_mount(tmp_path, comet) as mounted:
        assert everything(mounted, BASELINE) == before


@pytest.mark.parametrize("damage", ["overwritten", "truncated", "no database"])
def test_a_damaged_database_is_set_aside(tmp_path: Path, comet: Comet, before: dict[str, bytes], damage: str) -> None:
    """A warning, a new one, and the right bytes."""
    file = cache_of(tmp_path) / "index.sqlite"
    whole = file.read_bytes()
    if damage == "overwritten":
        file.write_bytes(whole[:100] + os.urandom(len(whole) - 100))
    elif damage == "truncated":
        file.write_bytes(whole[: len(whole) // 2 // 4096 * 4096])
    else:
        file.write_bytes(b"this is no database " * 1000)
    with running_mount(tmp_path, comet) as mounted:
        assert everything(mounted, BASELINE) == before
    assert "damaged" in (tmp_path / "mount.log").read_text()
    assert list((cache_of(tmp_path) / "damaged").iterdir())


def test_a_damaged_body_is_fetched_again(tmp_path: Path, comet: Comet, before: dict[str, bytes]) -> None:
    """One byte of one file: its reader gets the right one, and the log says what happened."""
    bodies = [path for path in (cache_of(tmp_path) / "bodies").rglob("*") if path.is_file()]
    assert bodies
    for path in bodies:
        with path.open("r+b") as file:
            first = file.read(1)
            file.seek(0)
            file.write(bytes([first[0] ^ 1]))
    with running_mount(tmp_path, comet) as mounted:
        assert everything(mounted, BASELINE) == before
    assert "damaged" in (tmp_path / "mount.log").read_text()


def test_the_budget_holds(tmp_path: Path, comet: Comet) -> None:
    """Of 300 kB no more stays than 300 kB, and every byte is right nevertheless."""
    with running_mount(tmp_path, comet, "--cache-size", "300k") as mounted:
        assert everything(mounted, PROJECT)
    kept = sum(path.stat().st_size for path in (cache_of(tmp_path) / "bodies").rglob("*") if path.is_file())
    assert kept <= 300_000


def test_a_cache_that_cannot_be_is_said(tmp_path: Path, comet: Comet) -> None:
    """One sentence with a remedy."""
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(AssertionError, match="--cache-dir"),
        running_mount(tmp_path, comet, "--cache-dir", str(tmp_path / "file")),
    ):
        pass


def test_sizes_outlive_what_they_are_the_sizes_of(tmp_path: Path, comet: Comet) -> None:
    """`ls -l`, `du` and `find -size` of what was read before cost nothing, even where the answers have gone."""
    command = ["find", BASELINE, "-type", "f", "-not", "-path", "*/images/*", "-printf", "%s %p\\n"]
    with running_mount(tmp_path, comet, program=PATIENT) as mounted:
        everything(mounted, BASELINE)
        before = subprocess.run(inside(mounted.path, *command), check=True, capture_output=True).stdout
    kept: tuple[str, ...] = ("workspaces", "projects", "experiments", "sizes", "names of metrics")
    kept += ("experiment/asset/list", "experiment/git/patch")
    with sqlite3.connect(cache_of(tmp_path) / "index.sqlite") as db:
        (answers,) = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE name GLOB 'answers_[0-9]'")]
        for (key,) in db.execute(f"SELECT key FROM {answers}").fetchall():
            if json.loads(key)[0] not in kept:
                db.execute(f"DELETE FROM {answers} WHERE key = ?", (key,))
    db.close()
    with running_mount(tmp_path, comet, program=PATIENT) as mounted, comet.asked() as asked:
        again = subprocess.run(inside(mounted.path, *command), check=True, capture_output=True).stdout
    assert sorted(again.splitlines()) == sorted(before.splitlines())
    assert asked == []
