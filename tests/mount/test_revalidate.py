"""Who stands in an experiment that is renamed, moved, archived or deleted meanwhile: an errno, never others' files."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.edited_comet import Edited, edited_mount
from tests.support.faulty_comet import Answer
from tests.support.processes import PATIENCE, Comet, Mounted
from tests.support.spawning import inside
from tests.support.subprocesses import await_that

PROJECT = "tabular/wine-cultivars"
FOREST, OTHER = "forest-200", "knn-imported-from-old-tracker"
LEASE = 1.0
"""Seconds for which a listing holds here (cometfs_hasty.py)."""


@pytest.fixture
def edited(tmp_path: Path, comet: Comet) -> Iterator[tuple[Mounted, Edited]]:
    with edited_mount(tmp_path, comet) as (mounted, table):
        yield mounted, table
        assert mounted.log.read_text() == "", "the mount logged something that the test did not expect"


def errno_of(ask: Callable[[], Any]) -> int:
    """The errno that it ends with; 0 for none."""
    try:
        ask()
    except OSError as error:
        return error.errno or -1
    return 0


def eventually(what: Callable[[], Any]) -> None:
    """Returns when it is so."""
    await_that(lambda: bool(what()), "it never came true")


@contextmanager
def standing(path: Path) -> Iterator[int]:
    """A directory that is held open: what is asked in it is asked by its inode, and no path is walked."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_in(directory: int, name: str) -> bytes:
    descriptor = os.open(name, os.O_RDONLY, dir_fd=directory)
    try:
        return os.read(descriptor, 1 << 20)
    finally:
        os.close(descriptor)


def listed_in(directory: int) -> list[str]:
    descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)
    try:
        return sorted(entry.name for entry in os.scandir(descriptor))
    finally:
        os.close(descriptor)


CHANGES: dict[str, Callable[[Edited], None]] = {
    "renamed": lambda table: table.change(FOREST, experimentName="forest-renamed"),
    "renamed, its name taken over": lambda table: table.swap(FOREST, OTHER),
    "one of two that share the name": lambda table: table.change(OTHER, experimentName=FOREST),
    "archived": lambda table: table.change(FOREST, archived=True),
    "moved": lambda table: table.change(FOREST, projectId=table.rows[table.named("ridge")]["projectId"]),
    "deleted": lambda table: table.delete(FOREST),
}


@pytest.mark.promise("Nobody else's files")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_who_stood_there_gets_an_errno_and_never_somebody_elses_files(
    change: Callable[[Edited], None], edited: tuple[Mounted, Edited]
) -> None:
    """Listing, opening, statting and looking up, in it and below it; what was read before is what it was until then."""
    mounted, table = edited
    place = mounted / PROJECT / FOREST
    before = (place / "params.json").read_bytes()
    with standing(place) as there, standing(place / "metrics") as below:
        names = listed_in(there)
        metrics = listed_in(below)
        metric = metrics[0]
        points = read_in(below, metric)
        change(table)
        asked: dict[str, Callable[[], Any]] = {
            "list": lambda: listed_in(there),
            "read": lambda: read_in(there, "params.json"),
            "look up": lambda: os.stat("nosuch", dir_fd=there),
            "list below": lambda: listed_in(below),
            "read below": lambda: read_in(below, metric),
            "stat": lambda: os.stat("code.py", dir_fd=there),
        }
        told = {"list": names, "read": before, "list below": metrics, "read below": points}

        def is_stale(what: str) -> bool:
            answers: list[Any] = []
            number = errno_of(lambda: answers.append(asked[what]()))
            # As long as it stands there is no such file in it, and the others are what they were.
            assert number in (0, errno.ESTALE, errno.ENOENT if what == "look up" else 0), what
            assert number or told.get(what, answers[0]) == answers[0]
            return number == errno.ESTALE

        for what in asked:
            await_that(partial(is_stale, what), f"{what} still answers")
        assert [errno_of(ask) for ask in asked.values()] == [errno.ESTALE] * len(asked)


def test_a_stat_alone_is_told_so_too(edited: tuple[Mounted, Edited]) -> None:
    """The kernel keeps attributes and names of an ended experiment no longer than it is known to be there."""
    mounted, table = edited
    with standing(mounted / PROJECT / FOREST) as there:
        size = len(read_in(there, "params.json"))
        assert os.stat("params.json", dir_fd=there).st_size == size
        table.delete(FOREST)
        eventually(lambda: errno_of(lambda: os.stat("params.json", dir_fd=there)) == errno.ESTALE)


@pytest.mark.promise("Nobody else's files")
def test_a_name_that_another_takes_over_has_another_inode_and_his_files(edited: tuple[Mounted, Edited]) -> None:
    """By path it is the other one as soon as the listing says so: number, files, size."""
    mounted, table = edited
    place, other = mounted / PROJECT / FOREST, mounted / PROJECT / OTHER
    mine, his = (place / "params.json").read_bytes(), (other / "params.json").read_bytes()
    assert mine != his
    number = place.stat().st_ino
    table.swap(FOREST, OTHER)
    eventually(lambda: place.stat().st_ino != number)
    assert (place / "params.json").read_bytes() == his
    assert (other / "params.json").read_bytes() == mine


@pytest.mark.promise("Listings")
def test_where_an_experiment_went_it_is_whole(edited: tuple[Mounted, Edited]) -> None:
    """Archived, it is in archived/; of a name that two share the plain one is gone; views lead to where they are."""
    mounted, table = edited
    project = mounted / PROJECT
    mine = (project / FOREST / "params.json").read_bytes()
    key, other = table.named(FOREST), table.named(OTHER)
    table.change(OTHER, experimentName=FOREST)
    eventually(lambda: errno_of((project / FOREST).stat) == errno.ENOENT)
    assert (project / f"{FOREST}-{key[:8]}/params.json").read_bytes() == mine
    for one in (key, other):
        assert (project / "views/by-key" / one).resolve().name == f"{FOREST}-{one[:8]}"
    table.rows[key] |= {"archived": True}
    eventually(lambda: (project / "archived" / FOREST).exists())
    assert (project / "archived" / FOREST / "params.json").read_bytes() == mine
    eventually(lambda: (project / "views/by-key" / other).resolve().name == FOREST)
    assert not os.path.lexists(project / "views/by-key" / key)


def test_a_shell_that_stands_in_a_deleted_experiment_is_told_so(edited: tuple[Mounted, Edited]) -> None:
    """`cd`, the experiment goes, `ls` and `cat`: "Stale file handle"; `cd ..` leads out."""
    mounted, table = edited
    script = "echo; read _; ls; cat params.json; cd .. && ls -d knn*"
    with subprocess.Popen(
        inside(mounted / PROJECT / FOREST, "sh", "-c", script),
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as shell:
        assert shell.stdout is not None
        assert shell.stdout.readline() == "\n"  # it is there
        (mounted / PROJECT / FOREST / "params.json").read_bytes()
        table.delete(FOREST)
        eventually(lambda: errno_of((mounted / PROJECT / FOREST).stat) == errno.ENOENT)
        output, complaint = shell.communicate("\n", PATIENCE)
    assert output == f"{OTHER}\n"
    assert complaint.count("Stale file handle") == 2, complaint


@pytest.mark.promise("One version")
def test_what_is_open_stays_what_it_was(edited: tuple[Mounted, Edited]) -> None:
    """A file of an experiment that is deleted: stat, reads and a map of it are those of its one version to the end."""
    mounted, table = edited
    place = mounted / PROJECT / FOREST
    with standing(place) as there, (place / "params.json").open("rb", buffering=0) as held:
        size = os.fstat(held.fileno()).st_size
        table.delete(FOREST)
        eventually(lambda: errno_of(lambda: listed_in(there)) == errno.ESTALE)
        assert os.fstat(held.fileno()).st_size == size
        assert len(held.read()) == size
        assert json.loads(os.pread(held.fileno(), size, 0))
        assert errno_of(lambda: read_in(there, "params.json")) == errno.ESTALE


@pytest.mark.promise("Listings")
def test_a_run_that_ends_is_seen_from_inside(edited: tuple[Mounted, Edited]) -> None:
    """`metadata.json` by a relative path, and views/running and views/finished, tell the new state."""
    mounted, table = edited
    table.change(FOREST, running=True)
    project = mounted / PROJECT
    eventually(lambda: (project / "views/running" / FOREST).exists())
    with standing(project / FOREST) as there:
        assert json.loads(read_in(there, "metadata.json"))["running"] is True
        table.change(FOREST, running=False, endTimeMillis=1785000000000)
        eventually(lambda: json.loads(read_in(there, "metadata.json"))["running"] is False)
        eventually(lambda: os.getxattr(f"/proc/self/fd/{there}", "user.comet.state") == b"finished")
        eventually(lambda: os.fstat(there).st_mtime == 1785000000)
    eventually(lambda: (project / "views/finished" / FOREST).exists())
    assert not os.path.lexists(project / "views/running" / FOREST)


@pytest.mark.promise("What is running")
def test_what_a_run_logs_appears_by_name_and_in_its_listing(edited: tuple[Mounted, Edited]) -> None:
    """A new metric, and an output that was empty, both seen missing before."""
    mounted, table = edited
    logged = {"output": "", "new": False}

    def output(answer: Any, _query: dict[str, str]) -> Any:
        return {**answer, "output": logged["output"]}

    def summary(answer: Any, _query: dict[str, str]) -> Any:
        values = answer["values"]
        return {"values": [*values, {**values[0], "name": "val/new"}] if logged["new"] else values}

    table.faults.edits |= {"experiment/output": output, "experiment/metrics/summary": summary}
    table.change(FOREST, running=True)
    place = mounted / PROJECT / FOREST
    eventually(lambda: (mounted / PROJECT / "views/running" / FOREST).exists())
    assert (place / "output.txt").read_bytes() == b""
    with standing(place) as there, standing(place / "metrics") as metrics:
        assert errno_of(lambda: os.stat("val", dir_fd=metrics)) == errno.ENOENT
        logged |= {"output": "a line\n", "new": True}
        eventually(lambda: errno_of(lambda: os.stat("val/new.csv", dir_fd=metrics)) == 0)
        assert "val" in listed_in(metrics)
        eventually(lambda: "output.txt" in listed_in(there))
        eventually(lambda: read_in(there, "output.txt") == b"a line\n")


def test_a_server_that_is_away_takes_nothing_from_who_has_it(edited: tuple[Mounted, Edited]) -> None:
    """Long after the listing has run out what was read is read, without an error and, but once, without a wait; what
    was not read is an error, and never "no such file"; what has happened meanwhile is seen when the server is back."""
    mounted, table = edited
    place = mounted / PROJECT / FOREST
    with standing(place) as there:
        known = {name: read_in(there, name) for name in ("params.json", "code.py", "others.json")}
        names, metric = listed_in(there), next((place / "metrics").iterdir()).name
        table.faults.answers["rest/v2/"] = Answer(503)
        deadline = time.monotonic() + 3 * LEASE
        while time.monotonic() < deadline:
            assert {name: read_in(there, name) for name in known} == known
            assert listed_in(there) == names
            os.stat("params.json", dir_fd=there)
        assert errno_of(lambda: read_in(there, f"metrics/{metric}")) == errno.EREMOTEIO
        table.delete(FOREST)
        del table.faults.answers["rest/v2/"]
        eventually(lambda: errno_of(lambda: read_in(there, "params.json")) == errno.ESTALE)
    mounted.log.write_text("")  # that the server failed was said there


@pytest.mark.promise("Nobody looks")
def test_a_mount_in_which_somebody_stands_and_does_nothing_asks_nothing(edited: tuple[Mounted, Edited]) -> None:
    """A shell in an experiment is no use of it: no call while its listing runs out many times."""
    mounted, table = edited
    with standing(mounted / PROJECT / FOREST) as there:
        read_in(there, "params.json")
        before = -1
        while before != len(table.faults.arrivals):  # until what is asked ahead has come
            before = len(table.faults.arrivals)
            time.sleep(LEASE)
        time.sleep(3 * LEASE)
        assert len(table.faults.arrivals) == before
        listed_in(there)
        assert len(table.faults.arrivals) > before, "its listing had run out"
