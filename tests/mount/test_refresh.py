"""Asked again now: `touch` and `cometfs refresh`, of a real mount of a Comet that changes behind its back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.faulty_comet import Answer, Faults, faulty_comet
from tests.support.live_runs import Run
from tests.support.older_kernels import ends_one_by_one
from tests.support.processes import COMETFS, PATIENCE, PATIENT, Comet, Mounted, running_mount

PROJECT = "tabular/wine-cultivars"
FOREST = f"{PROJECT}/forest-200"
TAGS, EXPERIMENTS, PROJECTS = "experiment/tags", "/experiments?", "/projects?"


@dataclass
class Changing:
    """A mount of a Comet that can be changed."""

    mount: Mounted
    behind: Comet
    faults: Faults

    def __truediv__(self, path: str) -> Path:
        return self.mount.path / path

    def change(self, part: str, edit: Callable[[Any], object]) -> None:
        """What was asked with `part` in its target is answered otherwise from now on."""
        target = next(target for target in reversed(self.faults.arrivals) if part in target)
        request = urllib.request.Request(self.behind.url + target, headers={"Authorization": "any"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            answer = json.load(reply)
        edit(answer)
        self.faults.answers[target] = Answer(200, json.dumps(answer).encode())

    def asked(self) -> list[str]:
        """What was asked since the last look, without the queries."""
        found = [target.removeprefix("/api/rest/v2/").partition("?")[0] for target in self.faults.arrivals]
        self.faults.arrivals.clear()
        return found


@pytest.fixture(params=["at once", "one by one"])
def changing(request: pytest.FixtureRequest, tmp_path: Path, comet: Comet) -> Iterator[Changing]:
    """On this kernel, and as on one that ends names one by one."""
    environ: Any = ends_one_by_one(tmp_path) if request.param == "one by one" else {}
    with (
        faulty_comet(comet) as (changed, faults),
        running_mount(tmp_path, changed, program=PATIENT, **environ) as mount,
    ):
        yield Changing(mount, comet, faults)
        assert mount.log.read_text() == ""


def touch(path: Path) -> None:
    done = subprocess.run(["touch", path], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def refresh(*paths: Path) -> None:
    done = subprocess.run([*COMETFS, "refresh", *map(str, paths)], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def new_tags(answer: Any) -> None:
    answer["tags"] = ["quite-new", "even-newer-than-that"]


def rename(row: Any) -> None:
    row["experimentName"] = "forest-300"


def described(word: str) -> Callable[[Any], None]:
    def change(answer: Any) -> None:
        for row in answer["projects"]:
            row["projectDescription"] = word

    return change


def of_forest(edit: Callable[[Any], object]) -> Callable[[Any], None]:
    def change(answer: Any) -> None:
        for row in answer["experiments"]:
            if row["experimentName"] == "forest-200":
                edit(row)

    return change


@pytest.mark.promise("Now")
@pytest.mark.parametrize("ask_again", [touch, refresh], ids=["touch", "refresh"])
@pytest.mark.parametrize(
    ("place", "calls"),
    [
        (f"{FOREST}/tags.txt", []),
        (FOREST, []),
        (f"{PROJECT}/views/finished/forest-200", []),
        (PROJECT, ["projects", "experiments"]),
        ("tabular", ["projects", "experiments"]),
        ("", ["workspaces", "projects", "experiments"]),
    ],
)
def test_what_is_read_next_is_what_comet_has_then(
    place: str, calls: list[str], ask_again: Callable[[Path], None], changing: Changing
) -> None:
    """Its bytes and its size; until then the old ones are shown, for they hold. What was not wanted is not asked."""
    path = changing / FOREST / "tags.txt"
    before = path.read_bytes()
    (changing / FOREST / "code.py").read_bytes()
    if "/views/" in place:
        assert (changing / place).resolve() == changing / FOREST
    changing.change(TAGS, new_tags)
    assert path.read_bytes() == before
    assert path.stat().st_size == len(before)
    changing.asked()
    ask_again(changing / place)
    assert changing.asked() == []
    assert path.stat().st_size == len(b"even-newer-than-that\nquite-new\n")
    assert path.read_bytes() == b"even-newer-than-that\nquite-new\n"
    assert path.stat().st_mtime > time.time() - 2 * PATIENCE
    assert changing.asked() == [*calls, TAGS]


@pytest.mark.promise("Now")
def test_names_come_and_go(changing: Changing) -> None:
    """Those that the kernel remembers, and those of which it remembers that there is none."""
    old, new = changing / FOREST, changing / f"{PROJECT}/forest-300"
    assert (old / "tags.txt").exists()
    assert not new.exists()
    assert old in (changing / PROJECT).iterdir()
    changing.change(EXPERIMENTS, of_forest(rename))
    assert (old / "tags.txt").exists()
    assert not new.exists()
    touch(changing / "tabular")
    assert not old.exists()
    assert (new / "tags.txt").read_bytes()
    assert old not in (changing / PROJECT).iterdir()


def test_names_in_the_directory_itself_come_and_go(changing: Changing) -> None:
    """Which the kernel has locked until it is answered: one by one they end an instant later."""
    old, new = changing / FOREST, changing / f"{PROJECT}/forest-300"
    assert (old / "tags.txt").exists()
    assert not new.exists()
    changing.change(EXPERIMENTS, of_forest(rename))
    touch(changing / PROJECT)
    deadline = time.monotonic() + PATIENCE
    while old.exists() or not new.exists():
        assert time.monotonic() < deadline


def test_rows_are_shown_as_they_are_told_now(changing: Changing) -> None:
    """A file that is made of the listing of its project's workspace, touched by itself and with its project."""
    path = changing / PROJECT / "project.json"
    path.read_bytes()
    for place, word in ((path, "first"), (changing / PROJECT, "second")):
        changing.faults.answers.clear()
        changing.change(PROJECTS, described(word))
        assert word.encode() not in path.read_bytes()
        touch(place)
        assert word.encode() in path.read_bytes()


def test_what_shares_the_answer_is_new_as_well(changing: Changing) -> None:
    """Its size first, for whoever has it in view."""
    touched, other = changing / FOREST / "tags.txt", changing / FOREST / ".api/experiment_tags.json"
    before = other.stat().st_size
    touched.read_bytes()
    changing.change(TAGS, new_tags)
    touch(touched)
    changing.asked()
    assert other.stat().st_size > before
    assert json.loads(other.read_bytes()) == ["quite-new", "even-newer-than-that"]
    assert changing.asked() == [TAGS]


@pytest.mark.promise("One version")
def test_what_is_open_stays_as_it_is_and_the_next_one_opened_is_new(changing: Changing) -> None:
    """At the same time: two versions of one file, each whole."""
    path = changing / FOREST / "tags.txt"
    before = path.read_bytes()
    with path.open("rb", buffering=0) as opened:
        assert opened.read(2) == before[:2]
        changing.change(TAGS, new_tags)
        touch(path)
        assert path.read_bytes() == b"even-newer-than-that\nquite-new\n"
        assert opened.read() == before[2:]
        opened.seek(0)
        assert opened.read() == before
        assert os.fstat(opened.fileno()).st_size == len(before)
    assert path.read_bytes() == b"even-newer-than-that\nquite-new\n"


@pytest.mark.promise("Now")
def test_what_a_run_rewrites_is_new_by_its_name_while_somebody_has_it_open(run: Run, tmp_path: Path) -> None:
    """Its size and its bytes, at once; who has it open keeps what he has."""
    run.point("loss", 1, 0.5)
    with running_mount(tmp_path, run.comet, "--live-interval", "600") as mount:
        path = mount / run.folder / "metrics.json"
        before = path.read_bytes()
        with path.open("rb", buffering=0) as opened:
            for name in ("a", "bc"):
                assert opened.read() == before
                run.point(name, 2, 0.123456789)
                touch(path)
                os.fstat(opened.fileno())
                size = path.stat().st_size
                assert size > len(before)
                assert name in json.loads(path.read_bytes())
                assert path.stat().st_size == size
                opened.seek(0)
            assert opened.read() == before
        assert mount.log.read_text() == ""


def test_a_download_that_is_read_goes_on_and_the_next_one_begins_anew(changing: Changing) -> None:
    """Of an asset, by touching its experiment."""
    path = changing / FOREST / "assets/predictions.sqlite"
    before = path.read_bytes()
    with path.open("rb") as opened:
        touch(changing / FOREST)
        changing.asked()
        assert path.read_bytes() == before
        assert changing.asked() == ["experiment/asset/list", "experiment/asset/get-asset"]
        assert opened.read() == before


STANDING = "import os, sys; os.chdir(sys.argv[1]); os.utime('.'); os.utime(sys.argv[2]); print(os.getcwd())"


def test_who_stands_in_a_directory_stands_there_on(changing: Changing) -> None:
    """Its name is looked up again, not taken away: getcwd() works."""
    command: list[str | Path] = ["python3", "-c", STANDING, changing / FOREST, changing.mount.path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout, done.stderr) == (f"{changing / FOREST}\n", "")


@pytest.mark.promise("Now")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["ended", "killed"])
def test_a_new_mount_finds_nothing_of_it_on_disk(number: int, tmp_path: Path, comet: Comet) -> None:
    """However the old one ends."""
    with faulty_comet(comet) as (changed, faults):
        with running_mount(tmp_path, changed, program=PATIENT) as first:
            before = (first / FOREST / "tags.txt").read_bytes()
            first.stop()
        with running_mount(tmp_path, changed, program=PATIENT) as second:
            assert (second / FOREST / "tags.txt").read_bytes() == before
            assert sum(TAGS in target for target in faults.arrivals) == 1
            touch(second / PROJECT)
            second.stop(number)
        with running_mount(tmp_path, changed, program=PATIENT) as third:
            changing = Changing(third, comet, faults)
            changing.change(TAGS, new_tags)
            assert (third / FOREST / "tags.txt").read_bytes() == b"even-newer-than-that\nquite-new\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["ended", "killed"])
def test_a_mount_ends_while_names_are_to_end_in_a_directory_that_is_looked_into(
    number: int, changing: Changing
) -> None:
    """The server stalls: nobody stays behind that cannot be killed, neither who looked nor the mount."""
    directory = changing / FOREST / "metrics"
    (changing / FOREST / "tags.txt").read_bytes()
    changing.faults.stall("experiment/")
    looking = subprocess.Popen(["stat", directory / "nosuch"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        changing.faults.await_arrivals("experiment/metrics")
        touch(changing / "tabular")
        changing.mount.stop(number)
        assert looking.wait(PATIENCE) != 0
    finally:
        changing.faults.release()
        looking.kill()
        looking.wait(PATIENCE)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nosuch", "there is no"),
        (f"{FOREST}/tags.txt/deeper", "there is no"),
        ("../elsewhere", "is in no mount of cometfs"),
    ],
)
def test_refresh_says_what_is_wrong(path: str, said: str, warm: Mounted, tmp_path: Path) -> None:
    """In a sentence, and does what can be done of the rest."""
    (tmp_path / "elsewhere").touch()
    place = tmp_path / "elsewhere" if path.startswith("..") else warm / path
    done = subprocess.run(
        [*COMETFS, "refresh", str(place), str(warm / FOREST)], capture_output=True, text=True, timeout=PATIENCE
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("cometfs: ")
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


def test_a_link_in_a_circle_keeps_nothing_else_from_being_refreshed(changing: Changing, tmp_path: Path) -> None:
    """One sentence about it; who is named behind it is refreshed."""
    (tmp_path / "loop").symlink_to("loop")
    path = changing / FOREST / "tags.txt"
    path.read_bytes()
    changing.change(TAGS, new_tags)
    command = [*COMETFS, "refresh", str(tmp_path / "loop"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"cometfs: {tmp_path / 'loop'} ")
    assert len(done.stderr.splitlines()) == 1
    assert path.read_bytes() == b"even-newer-than-that\nquite-new\n"


def test_refresh_says_that_the_daemon_is_gone(tmp_path: Path, comet: Comet) -> None:
    """And what to do about it."""
    with running_mount(tmp_path, comet) as mount:
        mount.stop(signal.SIGKILL)
        done = subprocess.run(
            [*COMETFS, "refresh", str(mount / FOREST)], capture_output=True, text=True, timeout=PATIENCE
        )
    assert done.returncode == 1
    assert f"the daemon of {mount.path} is gone" in done.stderr


def test_touch_makes_nothing_and_sets_no_time(warm: Mounted) -> None:
    """A name that there is not stays one; a time that is said is refused."""
    for options in ([], ["-d", "2001-01-01"], ["-r", "/etc/passwd"]):
        name = "tags.txt" if options else "new.txt"
        done = subprocess.run(["touch", *options, warm / FOREST / name], capture_output=True, text=True)
        assert done.returncode == 1
        assert "Read-only file system" in done.stderr
    assert not (warm / FOREST / "new.txt").exists()
