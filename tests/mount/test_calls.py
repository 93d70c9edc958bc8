"""What was answered once is not asked again: counted in the access log of the embedded Comet."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE, PATIENT, Comet, Mounted, running_comet, running_mount

FOREST = "tabular/wine-cultivars/forest-200"
READERS = 100
MARK = "isAlive/ver"


@contextmanager
def counted(comet: Comet) -> Iterator[Counter[str]]:
    """How often each endpoint was asked while the block ran; filled in when the log has everything."""
    before = len(_flushed(comet))
    found: Counter[str] = Counter()
    yield found
    found.update(path for path in _flushed(comet)[before:] if path != MARK)


def _flushed(comet: Comet) -> list[str]:
    """The endpoints of the access log, once it shows a request that was made after all others."""
    marks = _endpoints(comet).count(MARK)
    urllib.request.urlopen(f"{comet.url}/clientlib/{MARK}").close()
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        endpoints = _endpoints(comet)
        if endpoints.count(MARK) > marks:
            return endpoints
    raise AssertionError("the access log does not show a request that was answered")


def _endpoints(comet: Comet) -> list[str]:
    paths = [request["path"] for request in comet.requests()]
    return [path.removeprefix("/api/rest/v2/").removeprefix("/clientlib/") for path in paths]


def run(*command: str | Path, status: int = 0) -> bytes:
    ended = subprocess.run([*map(str, command)], capture_output=True, timeout=PATIENCE, check=False)
    assert ended.returncode == status, ended.stderr
    return ended.stdout


@pytest.fixture
def cold(tmp_path: Path, comet: Comet) -> Iterator[Mounted]:
    """A mount of the sample that nobody has looked at."""
    with running_mount(tmp_path, comet, program=PATIENT) as mounted:
        yield mounted
        assert mounted.log.read_text() == "", "the mount logged something that the test did not expect"


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comet]:
    """The sample 250 times: 1,250 experiments in one project."""
    with running_comet(tmp_path_factory.mktemp("many"), "--replicate", "250") as running:
        yield running


@pytest.mark.parametrize(
    ("name", "endpoint"),
    [
        ("output.txt", "experiment/output"),
        ("code.py", "experiment/code"),
        ("params.json", "experiment/parameters"),
        ("tags.txt", "experiment/tags"),
        ("metrics.json", "experiment/metrics/summary"),
    ],
)
def test_cat_of_a_cold_file_asks_once_a_level_and_once_for_its_answer(
    name: str, endpoint: str, tmp_path: Path, comet: Comet
) -> None:
    """From the start of the mount on: workspaces, projects, experiments, the answer; a second cat asks nothing."""
    with counted(comet) as first, running_mount(tmp_path, comet, program=PATIENT) as mounted:
        run("cat", mounted / FOREST / name)
    assert first == {"workspaces": 1, "projects": 1, "experiments": 1, endpoint: 1}


def test_second_cat_asks_nothing(cold: Mounted) -> None:
    """Neither for the file nor for the directories above it, in another process."""
    once = run("cat", cold / FOREST / "output.txt")
    with counted(cold.comet) as again:
        assert run("cat", cold / FOREST / "output.txt") == once
    assert not again


def test_cat_of_a_cold_metric_asks_for_the_list_of_metrics_and_for_its_points(cold: Mounted) -> None:
    """The directory metrics/ is one more level; no other metric is fetched."""
    with counted(cold.comet) as asked:
        run("cat", cold / FOREST / "metrics/oob_score.csv")
    assert sum(count for endpoint, count in asked.items() if "experiment/metrics/" in endpoint) <= 2
    assert asked.total() <= 4


def test_cat_of_a_cold_asset_fetches_that_asset_alone(cold: Mounted) -> None:
    """The directory assets/ is one more level; no other asset is fetched."""
    with counted(cold.comet) as asked:
        run("cat", cold / FOREST / "assets/preds.json")
    assert asked == {"projects": 1, "experiments": 1, "experiment/asset/list": 1, "experiment/asset/get-asset": 1}


def test_assets_are_not_fetched_for_a_listing(cold: Mounted) -> None:
    """Sizes and times of assets come with their list; a listed 0 is asked about, for Comet lists it for unknown too."""
    with counted(cold.comet) as asked:
        run("ls", "-lR", cold / FOREST / "assets")
    empty = [path for path in (cold / FOREST / "assets").rglob("*") if path.is_file() and not path.stat().st_size]
    assert asked == {
        "projects": 1,
        "experiments": 1,
        "experiment/asset/list": 1,
        "experiment/asset/get-asset": len(empty),
    }


def test_ls_of_a_project_of_a_thousand_is_one_listing(many: Comet, tmp_path: Path) -> None:
    """With and without the attributes of every entry; no call for any experiment."""
    with running_mount(tmp_path, many, program=PATIENT) as mounted:
        with counted(many) as asked:
            names = run("ls", mounted / "vision-lab/digits").decode().splitlines()
            run("ls", "-l", mounted / "vision-lab/digits")
        assert len(names) >= 1000
        experiments = asked.pop("experiments")
        assert experiments == 1
        assert asked == {"projects": 1} or asked == {"projects": 1, "project/notes": 1}


def test_plain_ls_asks_for_nothing_but_the_listing(many: Comet, tmp_path: Path) -> None:
    """Not even for the project's notes, whose size nobody wants to know."""
    with running_mount(tmp_path, many, program=PATIENT) as mounted, counted(many) as asked:
        assert len(list((mounted / "vision-lab/digits").iterdir())) >= 1000
    assert asked == {"projects": 1, "experiments": 1, "workspaces": 1} or asked == {"projects": 1, "experiments": 1}


def test_second_recursive_listing_asks_nothing(cold: Mounted) -> None:
    """After the first `ls -lR` everything that it shows is known."""
    first = run("ls", "-lR", cold.path)
    with counted(cold.comet) as asked:
        assert run("ls", "-lR", cold.path) == first
    assert not asked


def test_reading_the_tree_twice_asks_once(cold: Mounted) -> None:
    """No question was asked twice for a whole `grep -r`, and a second one asks none."""
    before = len(cold.comet.requests())
    found = run("grep", "-rc", "accuracy", cold.path)
    _flushed(cold.comet)
    # The log has no bodies, so it cannot tell one POST (a chart, a query) from another.
    asked = [(one["path"], one["query"]) for one in cold.comet.requests()[before:] if one["method"] == "GET"]
    assert max(Counter(asked).values()) == 1
    with counted(cold.comet) as again:
        assert run("grep", "-rc", "accuracy", cold.path) == found
    # What the store holds holds for seconds only: others write to it.
    assert set(again) <= {"panel/store"}


def test_hundred_processes_reading_one_cold_file_make_one_call(tmp_path: Path) -> None:
    """All wait at one FIFO and start together while Comet takes its time; each reads the whole answer."""
    barrier = tmp_path / "barrier"
    os.mkfifo(barrier)
    with running_comet(tmp_path, "--latency", "300") as slow, running_mount(tmp_path, slow, program=PATIENT) as mounted:
        script = 'echo ready; read _ < "$0"; exec cat "$1"'
        command = ["sh", "-c", script, str(barrier), str(mounted / FOREST / "output.txt")]
        readers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(READERS)]
        try:
            for reader in readers:
                assert reader.stdout is not None
                assert os.read(reader.stdout.fileno(), 6) == b"ready\n"
            with counted(slow) as asked:
                gate = os.open(barrier, os.O_RDWR)
                os.write(gate, b"\n" * READERS)
                said = [reader.communicate(timeout=PATIENCE)[0] for reader in readers]
                os.close(gate)
        finally:
            for reader in readers:
                reader.kill()
                reader.wait(PATIENCE)
        assert asked == {"projects": 1, "experiments": 1, "experiment/output": 1}
        assert len(set(said)) == 1
        assert said[0].startswith(b"oob ")
        assert [reader.returncode for reader in readers] == [0] * READERS


@pytest.mark.parametrize("name", ["nosuch", "tabular/nosuch", "tabular/wine-cultivars/nosuch", f"{FOREST}/nosuch"])
def test_repeated_miss_asks_nothing_more(name: str, cold: Mounted) -> None:
    """What was looked for in vain is answered from the listing at hand, for other wrong names too."""
    run("stat", cold / name, status=1)
    with counted(cold.comet) as asked:
        run("stat", cold / name, status=1)
        run("stat", cold / f"{name}2", status=1)
        run("cat", cold / f"{name}3/deeper", status=1)
    assert not asked


def test_miss_in_an_experiment_costs_its_levels_alone(cold: Mounted) -> None:
    """A name that an experiment never has is refused without a question about that experiment."""
    with counted(cold.comet) as asked:
        run("stat", cold / FOREST / "nosuch", status=1)
    assert asked == {"projects": 1, "experiments": 1}


def test_requirements_and_system_share_one_answer(cold: Mounted) -> None:
    """Two files made of one answer cost one call."""
    with counted(cold.comet) as asked:
        assert run("cat", cold / FOREST / "requirements.txt")
        assert run("cat", cold / FOREST / "system.json")
    assert asked == {"projects": 1, "experiments": 1, "experiment/system-details": 1}


def test_notes_and_projects_cost_no_experiments(cold: Mounted) -> None:
    """What a project says of itself comes with the list of projects."""
    with counted(cold.comet) as asked:
        assert run("cat", cold / "tabular/wine-cultivars/project.json")
        assert b"forest" not in run("ls", cold / "tabular")
    assert asked.total() <= 2
    assert asked["projects"] == 1


def test_metadata_file_asks_only_for_itself(cold: Mounted) -> None:
    """One call at most beyond the levels; url.txt costs none more."""
    with counted(cold.comet) as asked:
        assert run("cat", cold / FOREST / "metadata.json")
        assert run("cat", cold / FOREST / "url.txt")
    assert asked["projects"] == asked["experiments"] == 1
    assert asked.total() <= 3


def test_what_scanners_ask_for_costs_nothing(tmp_path: Path, comet: Comet) -> None:
    """In a workspace and a project that nobody has listed yet."""
    names = (".git", ".DS_Store", ".hidden", ".Trash-0", "node_modules", "pyvenv.cfg")
    with running_mount(tmp_path, comet, program=PATIENT) as mounted:
        with counted(comet) as asked:
            for name in names:
                assert not (mounted / name).exists()
                assert not (mounted / "tabular" / name).exists()
        assert asked == {}
        with counted(comet) as asked:
            assert (mounted / "tabular/wine-cultivars").is_dir()
            for name in names:
                assert not (mounted / "tabular/wine-cultivars" / name).exists()
        assert asked == {"projects": 1}


def test_who_looks_at_small_files_that_were_read_does_not_ask_the_mount(tmp_path: Path, comet: Comet) -> None:
    """The kernel has their bytes when they are open; a read() that came to the mount would make it ask again."""
    with running_mount(tmp_path, comet, program=PATIENT) as mounted:
        names = ("params.json", "output.txt", "code.py", "tags.txt", "metrics.json")
        files = [mounted / FOREST / name for name in names]
        sizes = [len(path.read_bytes()) for path in files]
        mounted.process.send_signal(signal.SIGSTOP)
        with subprocess.Popen(["find", *files, "-printf", "%s "], stdout=subprocess.PIPE) as finder:
            try:
                said, _ = finder.communicate(timeout=PATIENCE)
            finally:
                mounted.process.send_signal(signal.SIGCONT)  # else it could not even be killed
        assert said.split() == [b"%d" % size for size in sizes]
