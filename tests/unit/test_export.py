"""What `cometfs export` takes, and the directory that it writes to: whole files, nothing outside."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from cometfs.errors import OutOfSpace, SetupError
from cometfs.export import cometx_files
from cometfs.export.target import DIRECTORIES, OWN, Target
from cometfs.walking.globs import Selection


def named(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("pattern", "path", "taken"),
    [
        ("*.svg", "run/plots/loss.svg", True),
        ("*.svg", "run/plots/loss.csv", False),
        ("assets", "run/assets/a/b.bin", True),
        ("*/params.json", "run/params.json", True),
        ("*/params.json", "archived/run/params.json", False),
        ("**/params.json", "archived/run/params.json", True),
        ("**/params.json", "params.json", True),
        ("run-?/metrics/**", "run-1/metrics/train/loss.csv", True),
        ("run-[0-3]", "run-2/code.py", True),
        ("run-[!0-3]", "run-2/code.py", False),
        ("a+b(c", "x/a+b(c", True),
        ("metrics/", "run/metrics/loss.csv", True),
    ],
)
def test_patterns(pattern: str, path: str, taken: bool) -> None:
    """As the manual has them, and the opposite for those that leave out."""
    parts = tuple(path.split("/"))
    assert Selection([pattern]).takes(parts) is taken
    assert Selection([], [pattern]).takes(parts) is not taken
    if taken:
        assert all(Selection([pattern]).enters(parts[:depth]) for depth in range(1, len(parts)))


def test_directories_that_hold_nothing_wanted_are_not_looked_into() -> None:
    """That may cost calls."""
    assert not Selection(["*/params.json"]).enters(("run", "assets"))
    assert not Selection([], ["assets"]).enters(("run", "assets"))
    assert not Selection(["assets"], ["assets"]).takes(("run", "assets", "a"))


def test_a_file_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    """And the time that it was given; a part that was not finished is gone."""
    with Target(tmp_path / "new/there") as target:
        with target.part("a/b") as part:
            part.write(b"whole")
            assert not (tmp_path / "new/there/a").exists()
            target.finish(part, ("a", "b"), 1_500_000_000_123_456_789)
        with target.part("a/c") as part:
            part.write(b"half")
        assert named(tmp_path / "new/there" / OWN) == ["journal.jsonl"]
    assert (tmp_path / "new/there/a/b").read_bytes() == b"whole"
    assert (tmp_path / "new/there/a/b").stat().st_mtime_ns == 1_500_000_000_123_456_789
    assert named(tmp_path / "new/there/a") == ["b"]


def test_nothing_is_written_outside(tmp_path: Path) -> None:
    """Through links in place of directories, of files, and of the export's own directory."""
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    (outside / "file").write_text("mine")
    with Target(inside) as target:
        (inside / "folder").symlink_to(outside)
        (inside / "file").symlink_to(outside / "file")
        with target.part("file") as part, pytest.raises(OSError, match=r"directory|symbolic"):
            target.finish(part, ("folder", "file"), 0)
        with target.part("file") as part:
            target.finish(part, ("file",), 0)
        assert not target.link(("up",), "../outside/file", 0)
        assert not target.link(("up",), "/etc/passwd", 0)
        assert target.link(("file-again",), "file", 0)
    assert (outside / "file").read_text() == "mine"
    assert named(outside) == ["file"]
    assert stat.S_ISREG((inside / "file").lstat().st_mode)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / OWN).symlink_to(outside)
    with pytest.raises(SetupError, match="cannot export to"), Target(tmp_path / "other"):
        pass


def test_directories_that_stay_open_are_those_that_are_there(tmp_path: Path) -> None:
    """One that is removed meanwhile is made again; only so many are open, and none afterwards."""
    before = len(named(Path("/proc/self/fd")))
    with Target(tmp_path) as target:
        for number in range(DIRECTORIES + 10):
            write(target, f"d{number}", "f")
        assert len(named(Path("/proc/self/fd"))) <= before + DIRECTORIES + 4
        newest = tmp_path / f"d{DIRECTORIES + 9}"
        (newest / "f").unlink()
        newest.rmdir()
        write(target, newest.name, "g")
        assert named(newest) == ["g"]
        assert named(tmp_path / "d0") == ["f"]
    assert len(named(Path("/proc/self/fd"))) == before


def write(target: Target, *path: str) -> None:
    """An empty file."""
    with target.part("/".join(path)) as part:
        target.finish(part, path, 0)


def test_what_is_there_is_known_again_until_it_changes(tmp_path: Path) -> None:
    """By version, time, size and checksum; after a line of the journal was cut, too."""
    with Target(tmp_path) as target, target.part("f") as part:
        part.write(b"bytes")
        target.finish(part, ("f",), 0)
        target.remember(part, ("f",), "v1", 100.0)
    with (tmp_path / OWN / "journal.jsonl").open("a") as journal:
        journal.write('["f", "v2", 1')
    (tmp_path / OWN / "7.part").write_text("half")
    with Target(tmp_path) as target:
        assert not (tmp_path / OWN / "7.part").exists()
        kept = target.remembered(("f",), "v1", 99.0)
        assert kept is not None
        assert (kept.size, target.holds(("f",), kept)) == (5, True)
        assert target.remembered(("f",), "v1", 101.0) is None
        assert target.remembered(("f",), "v2", 99.0) is None
        (tmp_path / "f").write_text("BYTES")
        assert not target.holds(("f",), kept)
        with pytest.raises(SetupError, match="another export"), Target(tmp_path):
            pass


def test_a_full_disk_is_a_sentence() -> None:
    """Which names the file."""
    from cometfs.export.target import Part

    full = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(OutOfSpace, match=r"no room for a/b: No space left"):
            Part("1.part", full, "a/b").write(b"x")
    finally:
        os.close(full)


def test_places_of_assets_of_cometx() -> None:
    """Equal names are numbered, sounds bear their step, and no name leads out of the directory."""
    rows = [
        {"fileName": name, "type": kind, "step": 3, "remote": False, "assetId": "id"}
        for name, kind in [
            ("a.b.wav", "audio"),
            ("x", None),
            ("x", None),
            ("x.y.z", "t"),
            ("x.y.z", "t"),
            ("../../e:", "t"),
        ]
    ]
    assert ["/".join(path) for path, _row in cometx_files.asset_paths(rows)] == [
        "assets/audio/a-3.b.wav",
        "assets/asset/x",
        "assets/asset/x_1",
        "assets/t/x.y.z",
        "assets/t/x.y_1.z",
        "assets/t/e-",
    ]
