"""What copies and one-off reads cost, counted in the access log: each call once, and none for what is not read."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mount.test_calls import _flushed
from tests.support.processes import PATIENCE, PATIENT, Comet, Mounted, running_mount
from tests.support.spawning import inside

PROJECT = "vision-lab/digits"
BASELINE = "mlp-baseline"
BODY = "experiment/asset/get-asset"
ANSWERS = {
    "experiment/asset/list",
    "experiment/code",
    "experiment/git/metadata",
    "experiment/git/patch",
    "experiment/graph",
    "experiment/html",
    "experiment/log-other",
    "experiment/metrics/get-all",
    "experiment/metrics/summary",
    "experiment/output",
    "experiment/parameters",
    "experiment/system-details",
    "experiment/tags",
    "get/artifacts",
}
"""What must be asked for all that an experiment's files hold, each once, beside bodies."""

LISTED_AND_READ = "import os; open(next(e.path for e in os.scandir('assets') if e.is_file()), 'rb', 0).read(512)"


@pytest.fixture
def cold(tmp_path: Path, comet: Comet) -> Iterator[Mounted]:
    """A mount of the sample in which the project was listed."""
    with running_mount(tmp_path, comet, program=PATIENT) as mounted:
        run(mounted, ".", "ls")
        yield mounted
        assert mounted.log.read_text() == ""


def run(mounted: Mounted, where: str, *command: str | Path) -> None:
    arguments = inside(mounted / PROJECT / where, *map(str, command))
    subprocess.run(arguments, stdout=subprocess.DEVNULL, timeout=PATIENCE, check=True)


def asked(comet: Comet, mounted: Mounted, where: str, *command: str | Path) -> list[str]:
    """The endpoints that a command costs."""
    before = len(_flushed(comet))
    run(mounted, where, *command)
    return [path for path in _flushed(comet)[before:] if "isAlive" not in path]


def of_experiments(comet: Comet, since: int) -> dict[str, Counter[str]]:
    """What was asked of each experiment."""
    found: dict[str, Counter[str]] = {}
    for request in comet.requests()[since:]:
        words = dict(word.partition("=")[::2] for word in request["query"].split("&"))
        if "experimentKey" in words:
            endpoint = request["path"].removeprefix("/api/rest/v2/")
            found.setdefault(words["experimentKey"], Counter())[endpoint] += 1
    return found


def test_a_copy_of_an_experiment_asks_each_thing_once(comet: Comet, cold: Mounted, tmp_path: Path) -> None:
    since = len(comet.requests())
    found = Counter(asked(comet, cold, ".", "cp", "-r", BASELINE, tmp_path / "copy"))
    bodies = found.pop(BODY)
    assert found == dict.fromkeys(ANSWERS, 1)
    assert len(of_experiments(comet, since)) == 1
    # All of its assets, whichever directories they are seen in.
    there = [path for path in (tmp_path / "copy" / "assets").rglob("*") if path.is_file() and path.suffix != ".url"]
    assert bodies == len(there)


def test_a_copy_of_two_experiments_looks_ahead_by_one(comet: Comet, cold: Mounted, tmp_path: Path) -> None:
    first, second, *_ = sorted(path.name for path in (cold / PROJECT).iterdir() if (path / "tags.txt").exists())
    since = len(comet.requests())
    asked(comet, cold, ".", "cp", "-r", first, second, tmp_path)
    about = of_experiments(comet, since)
    assert len(about) <= 3
    for counted in about.values():
        assert all(count == 1 for endpoint, count in counted.items() if endpoint != BODY), about
    again = asked(comet, cold, ".", "diff", "-r", first, tmp_path / first)
    assert again == []


@pytest.mark.parametrize(
    ("where", "command", "cost"),
    [
        (".", ("ls", BASELINE), []),
        (BASELINE, ("cat", "params.json", "system.json"), ["experiment/parameters", "experiment/system-details"]),
        (BASELINE, ("sh", "-c", "ls; cat url.txt tags.txt"), ["experiment/tags"]),
        (BASELINE, (sys.executable, "-c", LISTED_AND_READ), [BODY, "experiment/asset/list"]),
        (BASELINE, ("sh", "-c", "ls assets models source"), ["experiment/asset/list"]),
    ],
)
def test_one_off_reads_cost_what_is_read(
    comet: Comet, cold: Mounted, where: str, command: tuple[str, ...], cost: list[str]
) -> None:
    assert sorted(asked(comet, cold, where, *command)) == cost


def test_looking_at_the_files_of_an_experiment_starts_no_download(comet: Comet, cold: Mounted) -> None:
    """`file *`, which opens them all: neither assets nor points."""
    found = asked(comet, cold, BASELINE, "sh", "-c", "head -c 512 *.* > /dev/null")
    assert BODY not in found
    assert not [path for path in found if "get-all" in path or "get-metric" in path]
