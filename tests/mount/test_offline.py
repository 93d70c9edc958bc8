"""Without network, on a real mount: what programs read once they read again, after a remount and a week later."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.live_runs import Run
from tests.support.processes import COMETFS, PATIENCE, Comet, Mounted, running_comet, running_mount
from tests.support.subprocesses import await_that

PROJECT = "vision-lab/digits"
BASELINE = f"{PROJECT}/mlp-baseline"

LATER = (sys.executable, "-W", "error", "-m", "tests.support.cometfs_later")


def programs(mounted: Mounted, copy: Path) -> dict[str, list[str]]:
    """What people do with a project, by what they print; the copy is what `cp -r` prints."""
    place = mounted / PROJECT
    shown = run("ls", "-lR", "--time-style=+%s", str(place))
    found = run("grep", "-rc", "e", str(place))
    run("cp", "-r", str(place), str(copy))
    copied = {path for path in copy.rglob("*") if not path.is_dir()}
    return {
        "ls": [line for line in shown if not line.startswith("total")],
        "grep": sorted(found),
        "cp": sorted(run("md5sum", "--", *sorted(os.path.relpath(path, copy) for path in copied), cwd=copy)),
    }


def run(*command: str, cwd: Path | None = None) -> list[str]:
    done = subprocess.run(command, cwd=cwd, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode().splitlines()


def end(comet: Comet) -> None:
    comet.process.kill()
    comet.process.wait(PATIENCE)


def test_what_programs_read_they_read_again_without_network_a_week_later(tmp_path: Path) -> None:
    """`ls -lR`, `grep -r`, `cp -r` of a project, after a remount: they end well, and print nothing else."""
    with running_comet(tmp_path) as comet:
        with running_mount(tmp_path, comet) as mounted:
            before = programs(mounted, tmp_path / "before")
        end(comet)
    with running_mount(tmp_path, comet, program=LATER) as mounted:
        after = programs(mounted, tmp_path / "after")
        assert {name: missing(before[name], after[name]) for name in before} == {"ls": [], "grep": [], "cp": []}
        assert_unreachable(mounted / PROJECT / "a new run")
        with pytest.raises(OSError, match=os.strerror(errno.ENETUNREACH)):
            listed(mounted / "tabular" / "wine-cultivars")
        seen = subprocess.run([*COMETFS, "status", str(mounted.path)], check=True, capture_output=True, text=True)
        assert "Comet is away" in seen.stdout
        assert "7 days old" in seen.stdout
        for path in (PROJECT, BASELINE, f"{BASELINE}/params.json", f"{PROJECT}/project.json"):
            assert os.getxattr(mounted / path, "user.comet.stale") == b"true", path
            assert int(os.getxattr(mounted / path, "user.comet.age_s")) > 6 * 86400, path
        assert mounted.log.read_text().count("Comet cannot be reached, and what was answered before") == 1


def missing(before: list[str], after: list[str]) -> list[str]:
    """Lines that are not printed again. What Comet has nothing of may be listed in addition."""
    return sorted(set(before) - set(after))


def assert_unreachable(path: Path) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.ENETUNREACH)):
        path.stat()


def listed(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def status(mounted: Mounted) -> dict[str, object]:
    found: dict[str, object] = json.loads((mounted / ".cometfs" / "status.json").read_bytes())["network"]
    return found


def test_a_mount_without_network_becomes_current_when_comet_is_back(tmp_path: Path) -> None:
    """By itself: a new experiment is there."""
    archives = tmp_path / "archives"
    archives.mkdir()
    with running_comet(tmp_path, archives=archives) as comet:
        run = Run(comet, "1" * 32, "one").begin()
        with running_mount(tmp_path, comet) as mounted:
            project = mounted.path / Path(run.folder).parent
            assert run_name(run) in listed(project)
        end(comet)
    with running_mount(tmp_path, comet, program=LATER) as mounted:
        assert run_name(run) in listed(project)
        assert status(mounted)["state"] == "away"
        bind = comet.url.removeprefix("http://")
        with running_comet(tmp_path, "--bind", bind, archives=archives) as back:
            other = Run(back, "2" * 32, "two").begin()
            await_that(lambda: run_name(other) in listed(project), "the new experiment does not appear")
            assert status(mounted)["state"] == "online"


def run_name(run: Run) -> str:
    return Path(run.folder).name


def test_offline_makes_no_connection(tmp_path: Path) -> None:
    """Not even to a server that would answer; the command says how old what is shown may be."""
    with running_comet(tmp_path) as comet:
        with running_mount(tmp_path, comet) as mounted:
            before = (mounted / BASELINE / "params.json").read_bytes()
        asked = len(comet.requests())
        with running_mount(tmp_path, comet, "--offline", program=LATER) as mounted:
            assert (mounted / BASELINE / "params.json").read_bytes() == before
            assert_unreachable(mounted / "tabular" / "wine-cultivars")
            assert status(mounted)["state"] == "offline"
        assert len(comet.requests()) == asked
        assert (
            "this mount asks nothing (--offline), and shows what was fetched up to 7 days ago"
            in mounted.log.read_text()
        )
        other = {**os.environ, "COMET_API_KEY": "another", "XDG_CACHE_HOME": str(tmp_path / "cache")}
        command = [*COMETFS, "mount", str(mounted.path), "--url", comet.url, "--offline"]
        refused = subprocess.run(command, env=other, check=False, capture_output=True, text=True)
        assert (refused.returncode, len(comet.requests())) == (1, asked)
        assert "is in the cache: mount it once without --offline" in refused.stderr
