"""Big assets: read anywhere for what that costs, fetched on after a broken connection, and kept block by block."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.big_assets import END, MIB, PLACE, content, write_big_run
from tests.support.faulty_comet import Answer, Pass, Request, faulty_comet
from tests.support.processes import Comet, running_comet, running_mount

GET = "experiment/asset/get-asset"

OPTIONS = pytest.mark.parametrize("assets", ["stream", "redirect"])


@contextmanager
def big(folder: Path, assets: dict[str, bytes | int], *options: str) -> Iterator[tuple[Comet, Path]]:
    """A Comet that serves a run with those assets."""
    run = write_big_run(folder / "runs", assets)
    with running_comet(folder, *options, archives=folder / "runs") as comet:
        yield comet, run


def downloads(comet: Comet) -> list[dict[str, Any]]:
    """What was asked for bytes so far."""
    return [one for one in comet.requests() if GET in one["path"] or one["path"].startswith("/objects/")]


@OPTIONS
def test_the_end_of_a_huge_file(tmp_path: Path, assets: str) -> None:
    """Costs three round trips and two blocks; once more, nothing, not after a remount either."""
    with big(tmp_path, {"huge.bin": 8 << 30}, "--assets", assets) as (comet, _):
        for _ in range(2):
            with running_mount(tmp_path, comet) as mounted:
                path = mounted / PLACE / "assets/huge.bin"
                assert path.stat().st_size == 8 << 30
                done = subprocess.run(["tail", "-c", "8", path], capture_output=True, check=True)
                assert done.stdout == END
            asked = downloads(comet)
            assert len(asked) <= 3
    if assets == "redirect":
        assert sum(one["bytes"] for one in asked) <= 2 * MIB
        assert [one["status"] for one in asked] == [302, 206, 206]


@OPTIONS
def test_a_file_in_order(tmp_path: Path, assets: str) -> None:
    """Every byte is right and comes once; from Comet itself it is one call, from the disk none."""
    body = content(40 * MIB + 5)
    with big(tmp_path, {"a.bin": body}, "--assets", assets) as (comet, run):
        for _ in range(2):
            with running_mount(tmp_path, comet) as mounted:
                done = subprocess.run(["cmp", mounted / PLACE / "assets/a.bin", run / "asset0"], check=False)
                assert done.returncode == 0
                assert mounted.log.read_text() == ""
            asked = downloads(comet)
            assert sum(one["bytes"] for one in asked) == len(body)
            assert [one["path"] for one in asked if GET in one["path"]] == [f"/api/rest/v2/{GET}"]


def test_a_server_that_gives_wholes_only(tmp_path: Path) -> None:
    """One stream brings the file up to where it is read, and on from there; what has come is there for the next one."""
    body = content(30 * MIB)
    with big(tmp_path, {"a.bin": body}, "--assets", "stream-no-range") as (comet, run):
        with running_mount(tmp_path, comet) as mounted:
            path = mounted / PLACE / "assets/a.bin"
            done = subprocess.run(["tail", "-c", "8", path], capture_output=True, check=True)
            assert done.stdout == body[-8:]
            assert subprocess.run(["cmp", path, run / "asset0"], check=False).returncode == 0
        assert downloads(comet)[0]["status"] == 200
        assert sum(one["bytes"] for one in downloads(comet)) < 2 * len(body)


def test_programs_that_look_here_and_there(tmp_path: Path) -> None:
    """The directory of a zip and a row of a database cost a part of the file."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(30):
            archive.writestr(f"{number}.bin", content(MIB))
    with sqlite3.connect(tmp_path / "a.sqlite") as database:
        database.execute("create table t (key integer primary key, text text)")
        database.executemany("insert into t values (?, ?)", ((key, "x" * 1000) for key in range(30_000)))
    database.close()
    bodies: dict[str, bytes | int] = {name: (tmp_path / name).read_bytes() for name in ("a.zip", "a.sqlite")}
    with big(tmp_path, bodies, "--assets", "redirect") as (comet, _), running_mount(tmp_path, comet) as mounted:
        folder = mounted / PLACE / "assets"
        listed = subprocess.run(["python3", "-m", "zipfile", "-l", folder / "a.zip"], capture_output=True, check=True)
        assert listed.stdout.count(b".bin") == 30
        with sqlite3.connect(f"file:{folder}/a.sqlite?mode=ro&immutable=1", uri=True) as database:
            assert database.execute("select text from t where key = 25000").fetchone() == ("x" * 1000,)
        database.close()
        assert sum(one["bytes"] for one in downloads(comet)) <= 12 * MIB


def test_connections_that_break(tmp_path: Path) -> None:
    """Each brings half of what it should, and the file is whole all the same."""
    body = content(24 * MIB + 5)

    def cutting(request: Request, behind: Pass) -> Answer:
        answer = behind(request)
        if request.endpoint != GET or len(answer.body) <= MIB:
            return answer
        half = len(answer.body) // 2
        return replace(answer, body=answer.body[:half], missing=len(answer.body) - half)

    with (
        big(tmp_path, {"a.bin": body}) as (comet, run),
        faulty_comet(comet) as (before, faults),
        running_mount(tmp_path, before) as mounted,
    ):
        faults.layers.append(cutting)
        done = subprocess.run(["cmp", mounted / PLACE / "assets/a.bin", run / "asset0"], check=False)
        assert done.returncode == 0


def test_a_file_bigger_than_the_cache(tmp_path: Path) -> None:
    """Is read all the same, and the cache keeps to its size."""
    body = content(60 * MIB)
    with (
        big(tmp_path, {"a.bin": body}, "--assets", "redirect") as (comet, run),
        running_mount(tmp_path, comet, "--cache-size", "20M") as mounted,
    ):
        for _ in range(2):
            done = subprocess.run(["cmp", mounted / PLACE / "assets/a.bin", run / "asset0"], check=False)
            assert done.returncode == 0
        kept = sum(path.stat().st_blocks * 512 for path in (tmp_path / "cache").rglob("*") if path.is_file())
        assert kept < 40 * MIB


@OPTIONS
def test_a_file_that_changes(tmp_path: Path, assets: str) -> None:
    """Its reader gets ESTALE, not a mixture; who opens it anew reads the new one."""
    with (
        big(tmp_path, {"a.bin": content(60 * MIB)}, "--assets", assets) as (comet, run),
        running_mount(tmp_path, comet) as mounted,
    ):
        path = mounted / PLACE / "assets/a.bin"
        file = os.open(path, os.O_RDONLY)
        assert os.pread(file, 10, 0) == content(10)
        other = content(60 * MIB)[::-1]
        (run / "asset0").write_bytes(other)
        with pytest.raises(OSError, match="Stale file handle"):
            os.pread(file, 10, 50 * MIB)
        os.close(file)
        assert path.read_bytes() == other
