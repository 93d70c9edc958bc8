"""The real client is satisfied: what comet_ml's Experiment logs to `cometfs serve DIR`, its API reads back.

Client and server run as processes of their own, in an empty folder and with an empty home; the client is given
loopback addresses only.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import copy, copytree
from typing import Any

import pytest

from tests.support.comet_ml_client import API_KEY, NOWHERE, SCRIPTS, make_dirty_repository, python, run, surroundings
from tests.support.processes import PATIENCE, running_comet

ONLINE = "0111e000000000000000000000000001"
OFFLINE = "0ff11e00000000000000000000000002"
RESUMED = "4e5d00000000000000000000000000aa"

Told = dict[str, Any]


@contextmanager
def serving(folder: Path, runs: Path, *options: str) -> Iterator[str]:
    folder.mkdir(exist_ok=True)
    with running_comet(folder, "--api-key", API_KEY, *options, archives=runs) as comet:
        yield comet.url


def read(folder: Path, url: str, *keys: str) -> Told:
    found: Told = json.loads(run("read_run.py", *keys, folder=folder, url=url))
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which ``runs`` was logged into by an Experiment, ``offline`` has an OfflineExperiment's archive."""
    folder = tmp_path_factory.mktemp("logged")
    make_dirty_repository(folder)
    return folder


@pytest.fixture(scope="module")
def told(place: Path) -> Told:
    """What comet_ml's API reads of both, of the one that was logged at once and after a restart."""
    with ExitStack() as stack:
        url = stack.enter_context(serving(place / "first", place / "runs"))
        run("log_run.py", "online", ONLINE, folder=place, url=url)
        run("log_run.py", f"offline:{place}/offline", OFFLINE, folder=place, url=url)
        told = {"at once": read(place, url, ONLINE)[ONLINE]}
    with ExitStack() as stack:
        url = stack.enter_context(serving(place / "second", place / "runs"))
        told["later"] = read(place, url, ONLINE)[ONLINE]
        url = stack.enter_context(serving(place / "third", place / "offline"))
        told["offline"] = read(place, url, OFFLINE)[OFFLINE]
    return told


def test_a_restarted_server_tells_the_same(told: Told) -> None:
    """All that was told of a run while it was in memory is in its folder."""
    assert told["later"] == told["at once"]


def test_who_and_where(told: Told) -> None:
    """Name, place and state are those of the run; an ended run is finished."""
    metadata = told["at once"]["metadata"]
    assert (metadata["experimentKey"], metadata["experimentName"]) == (ONLINE, "réglage/1")
    assert (metadata["workspaceName"], metadata["projectName"]) == ("ws é", "pro ject")
    assert (metadata["filePath"], metadata["running"], metadata["hasCrashed"]) == ("/neutral/train.py", False, False)
    assert metadata["durationMillis"] == metadata["endTimeMillis"] - metadata["startTimeMillis"] > 0
    assert told["at once"]["state"] == "finished"


def test_times_are_those_of_the_run(place: Path, told: Told) -> None:
    """Whatever was logged, its time is within the run's."""
    lines = (place / "runs" / ONLINE / "messages.json").read_text().splitlines()
    times = [at for line in lines if (at := json.loads(line)["payload"].get("local_timestamp"))]
    metadata = told["at once"]["metadata"]
    assert metadata["startTimeMillis"] <= min(times) <= max(times) <= metadata["endTimeMillis"] + 1000


@pytest.mark.parametrize("what", ["tags", "html", "graph", "git"])
def test_texts_are_those_of_an_offline_run(told: Told, what: str) -> None:
    """Tags, report, graph and repository are what the same script logs offline."""
    assert told["at once"][what] == told["offline"][what] != None  # noqa: E711  all of them are there


def values(rows: list[Told]) -> dict[str, Any]:
    return {row["name"]: (row["valueCurrent"], row["valueMin"], row["valueMax"], row["stepCurrent"]) for row in rows}


def test_values_are_those_of_an_offline_run(told: Told) -> None:
    """Parameters, others and summaries are what the same script logs offline, NaN and infinities included."""
    online, offline = told["at once"], told["offline"]
    assert values(online["parameters"]) == values(offline["parameters"])
    others = [values(one["others"]) for one in (online, offline)]
    assert others[1].pop("offline_experiment")
    assert [one.pop("undefined")[0] for one in others] == ["NaN", "null"], "offline, comet_ml itself writes null"
    assert others[0] == others[1]
    summaries = [values(one["summary"]) for one in (online, offline)]
    for one in summaries:
        one.pop("process duration", None)
    assert summaries[0] == summaries[1]


def points(one: Told) -> list[Any]:
    """Sorted, because comet_ml's uploader changes their order."""
    fields = ("metricName", "metricValue", "step", "epoch", "runContext")
    found = [tuple(point[field] for field in fields) for point in one["metrics"]]
    return sorted((point for point in found if point[0] != "process duration"), key=repr)


def test_points_are_those_of_an_offline_run(told: Told) -> None:
    """Every point has its value, step, epoch and context; there is none twice."""

    assert points(told["at once"]) == points(told["offline"])
    assert ("train_loss", "0.5", 1, 0, "train") in points(told["at once"])


def test_a_step_that_is_no_number_is_none(told: Told) -> None:
    """NaN, an infinity, a fraction, a truth value: online and offline the value stays, and has no step."""
    for one in (told["at once"], told["offline"]):
        found = sorted(point for point in points(one) if point[0] == "oddly stepped")
        steps = [None, None, None, None, None, 2.5, None, 3]
        assert found == [("oddly stepped", str(at), step, step, None) for at, step in enumerate(steps)]


def test_output(told: Told) -> None:
    """What was printed is there, of both streams."""
    assert "printed é\n" in told["at once"]["output"]
    assert "complained\n" in told["at once"]["output"]


def test_system_details_are_those_of_an_offline_run(told: Told) -> None:
    """Several requests that each tell a part are one answer."""
    one, other = (dict(told[which]["system"]) for which in ("at once", "offline"))
    for field in ("pid", "command", "experimentKey"):
        assert one.pop(field)
        assert other.pop(field)
    assert one == other
    assert one["installedPackages"]
    assert one["logAdditionalSystemInfoList"] == [{"key": "cluster", "value": "node-3"}]


def test_every_line_is_one_that_comet_ml_takes(place: Path, told: Told) -> None:
    """Its uploader leaves out messages that its schemas refuse, and says so in the run."""
    assert told
    assert (
        json.loads(run("check_folders.py", str(place / "runs" / ONLINE), folder=place, url="http://127.0.0.1:1")) == []
    )


def zipped(folder: Path) -> Path:
    """Flat, as comet_ml's uploader takes it."""
    archive = folder.parent.parent / f"{folder.name}.zip"
    with zipfile.ZipFile(archive, "w") as made:
        for member in folder.iterdir():
            made.write(member, member.name)
    return archive


def upload(archive: Path, folder: Path, url: str) -> subprocess.CompletedProcess[bytes]:
    """By comet_ml's uploader."""
    return python(str(Path(sys.executable).with_name("comet")), "upload", str(archive), folder=folder, url=url)


def test_any_archive_tool_reads_the_folder(place: Path, told: Told) -> None:
    """The folder, zipped flat, is an archive that comet_ml's own uploader takes, and tells the same elsewhere."""
    with serving(place / "fourth", place / "uploaded") as url:
        archive = zipped(place / "runs" / ONLINE)
        done = upload(archive, place, url)
        assert done.returncode == 0, done.stderr.decode()
        uploaded = read(place, url, ONLINE)[ONLINE]
        assert upload(archive, place, url).returncode == 1, "it is there already"
    before = told["at once"]
    for what in ("tags", "html", "graph", "git", "system", "state", "output"):
        assert uploaded[what] == before[what]
    assert values(uploaded["parameters"]) == values(before["parameters"])
    assert points(uploaded) == points(before)
    for what in ("startTimeMillis", "endTimeMillis", "experimentName", "filePath"):
        assert uploaded["metadata"][what] == before["metadata"][what]


def test_going_on_with_a_run(place: Path, told: Told) -> None:
    """An existing experiment and `comet_ml.start` go on with a run that an archive or a folder has; it is one run."""
    runs = place / "resumed"
    runs.mkdir()
    (runs / f"{OFFLINE}.zip").write_bytes((place / "offline" / f"{OFFLINE}.zip").read_bytes())
    with serving(place / "fifth", runs) as url:
        run("log_run.py", "existing", OFFLINE, folder=place, url=url)
        run("log_run.py", "create", RESUMED, folder=place, url=url)
        run("log_run.py", "get", RESUMED, folder=place, url=url)
        both = read(place, url, OFFLINE, RESUMED)
        assert len(list(runs.iterdir())) == 4, "an archive, two folders, a lock"
    with serving(place / "sixth", runs) as url:
        assert read(place, url, OFFLINE, RESUMED) == both
    for one in both.values():
        assert (one["state"], one["metadata"]["experimentName"]) == ("finished", "renamed")
        assert sorted(one["tags"]) == ["one", "three", "two words"]
        assert values(one["parameters"])["lr"][0] == "0.2"
        accuracies = [point["metricValue"] for point in one["metrics"] if point["metricName"] == "val/acc"]
        assert accuracies == ["0.0", "0.25", "0.5", "0.75", "1.0", "0.5"]
        assert one["output"].count("printed é\n") == one["output"].count("again\n") == 1
    assert points(both[OFFLINE])[:-1] != points(told["offline"]), "it has grown"


class Training:
    """A run that logs when it is told to; `log_steps.py`."""

    def __init__(self, key: str, folder: Path, url: str, *, kind: str = "Experiment", **settings: str) -> None:
        command = [sys.executable, str(SCRIPTS / "log_steps.py"), kind, key]
        environment = surroundings(folder, url, **{"COMET_TIMEOUT_HTTP": str(int(PATIENCE)), **settings})
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def do(self, order: str) -> None:
        """Returns when it is done; `flush` when a server that is there has acknowledged all."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{order}\n")
        self.process.stdin.flush()
        while (said := self.process.stdout.readline()) != f"done {order}\n":
            assert said, "it ended"

    def end(self) -> None:
        self.do("end")
        self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0


def logged(runs: Path, key: str) -> tuple[list[int], list[int]]:
    """The steps in a run's folder: those that have a point, and those whose line was printed."""
    lines = [json.loads(line) for line in (runs / key / "messages.json").read_text().splitlines()]
    metrics = [line["payload"]["metric"] for line in lines if line["type"] == "metric_msg"]
    output = "".join(line["payload"]["output"] for line in lines if line["type"] == "standard_output")
    steps = [metric["step"] for metric in metrics if metric["metricName"] == "loss"]
    return steps, [int(step) for step in re.findall(r"step (\d+)\n", output)]


def test_any_archive_tool_reads_the_folder_of_a_run_that_was_killed(tmp_path: Path) -> None:
    """What it had logged by then can be taken elsewhere, too."""
    with serving(tmp_path / "first", tmp_path / "runs") as url:
        training = Training(ONLINE, tmp_path, url)
        training.do("log 50")
        training.do("flush")
        training.process.kill()
        training.process.communicate()
    archive = zipped(tmp_path / "runs" / ONLINE)
    with serving(tmp_path / "second", tmp_path / "uploaded") as url:
        done = upload(archive, tmp_path, url)
        assert done.returncode == 0, done.stderr.decode()
    for runs in ("runs", "uploaded"):
        assert logged(tmp_path / runs, ONLINE) == (list(range(50)), list(range(50)))


def test_a_killed_offline_run_has_crashed(tmp_path: Path) -> None:
    """What it leaves in its temporary folder has no name and no end; put into DIR it is served, and can be managed."""
    work, runs = tmp_path / "work", tmp_path / "runs"
    work.mkdir()
    training = Training(OFFLINE, tmp_path, NOWHERE, kind="OfflineExperiment", TMPDIR=str(work))
    training.do("log 50")
    training.do("flush")
    training.process.kill()
    training.process.communicate()
    (left,) = (log.parent for log in work.glob("*/messages.json"))
    assert not (left / "experiment.json").exists()
    copytree(left, runs / "left over")
    for number in ("first", "second"):
        with serving(tmp_path / number, runs) as url:
            (key,) = json.loads(run("keys_of.py", "default", "general", folder=tmp_path, url=url))
            found = read(tmp_path, url, key)[key]
            assert found["state"] == "crashed"
            losses = [
                (point["metricValue"], point["step"]) for point in found["metrics"] if point["metricName"] == "loss"
            ]
            assert losses == [(str(step / 8), step) for step in range(50)]
            assert found["output"] == "".join(f"step {step}\n" for step in range(50))
            assert found["tags"] == ([] if number == "first" else ["salvaged"])
            run("keys_of.py", "default", "general", "salvaged", folder=tmp_path, url=url)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def test_a_server_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    """Killed in the middle of two runs and started again it has all that it acknowledged, and both end as if nothing
    had been: every point and every line once, and in the order in which they came.

    They go on when comet_ml knows that the server is back. A run that ends before sends no more and keeps all of it in
    an archive of its own.
    """
    bind, runs = f"127.0.0.1:{free_port()}", tmp_path / "runs"
    keys = [f"{number}dead00000000000000000000000beef" for number in (1, 2)]
    with ExitStack() as stack:
        comet = stack.enter_context(running_comet(tmp_path, "--bind", bind, archives=runs))
        trainings = [Training(key, tmp_path, comet.url) for key in keys]
        for order in ("log 50", "flush"):
            for training in trainings:
                training.do(order)
        comet.process.kill()
        comet.process.wait()
        for key in keys:
            assert logged(runs, key) == (list(range(50)), list(range(50)))
        for training in trainings:
            training.do("log 50")
        comet = stack.enter_context(running_comet(tmp_path, "--bind", bind, archives=runs))
        seen = read(tmp_path, comet.url, *keys)
        assert [one["state"] for one in seen.values()] == ["running", "running"]
        for order in ("connected", "log 50", "flush", "log 10"):
            for training in trainings:
                training.do(order)
        for training in trainings:
            training.end()
        assert not (tmp_path / ".cometml-runs").exists(), "comet_ml took the server to be away again"
        for key in keys:
            for found in logged(runs, key):
                # What a broken connection cost, comet_ml sends again when it has sent the rest.
                assert [*found[:50], *sorted(found[50:100]), *found[100:]] == list(range(160))
        seen = read(tmp_path, comet.url, *keys)
        assert [one["state"] for one in seen.values()] == ["finished", "finished"]
        assert [len([p for p in one["metrics"] if p["metricName"] == "loss"]) for one in seen.values()] == [160, 160]


NEVER_BACK = {"COMET_FALLBACK_STREAMER_CONNECTION_CHECK_INTERVAL": "3600", "COMET_HTTP_SESSION_RETRY_TOTAL": "0"}
"""A run that lost its server once keeps the rest in an archive of its own, however soon the server is there again."""


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``runs``, in which a run has the first of 110 steps, and comet_ml's own archive of all of them."""
    folder = tmp_path_factory.mktemp("outage")
    bind, runs = f"127.0.0.1:{free_port()}", folder / "runs"
    with ExitStack() as stack:
        comet = stack.enter_context(running_comet(folder, "--bind", bind, archives=runs))
        training = Training(ONLINE, folder, comet.url, **NEVER_BACK)
        for order in ("log 50", "more", "flush"):
            training.do(order)
        comet.process.kill()
        comet.process.wait()
        for order in ("log 10", "more", "away"):
            training.do(order)
        stack.enter_context(running_comet(folder, "--bind", bind, archives=runs))
        for order in ("log 50", "more", "flush"):
            training.do(order)
        training.end()
        for found in logged(runs, ONLINE):
            assert found[:50] == list(range(50))
            assert 109 not in found
    return folder


def own_archive(folder: Path) -> Path:
    (archive,) = (folder / ".cometml-runs").glob(f"{ONLINE}-*.zip")
    return archive


def assert_each_once(told: Told) -> None:
    """All of the run, with everything once."""
    losses = [point["step"] for point in told["metrics"] if point["metricName"] == "loss"]
    assert losses == list(range(110))
    assert told["output"] == "".join(f"step {step}\n" for step in range(110))
    assert re.findall("<p>.*?</p>", told["html"]) == ["<p>50</p>", "<p>60</p>", "<p>110</p>"]
    assert {row["name"]: row["valueCurrent"] for row in told["others"]}["at"] == "110"
    parameters = {row["name"]: row["valueCurrent"] for row in told["parameters"]}
    assert (parameters["lr"], parameters["curr_step"]) == ("110", "109")
    nodes = [fact["key"] for fact in told["system"]["logAdditionalSystemInfoList"]]
    assert nodes == ["node 50", "node 60", "node 110"]
    files = sorted(asset["fileName"] for asset in told["assets"])
    assert files == sorted(f"{kind} {step}" for kind in ("file", "link") for step in (50, 60, 110))
    assert told["state"] == "finished"


def test_what_comet_ml_kept_itself_can_be_put_beside_the_run(outage: Path, tmp_path: Path) -> None:
    """After an outage: all of the run is served, and everything once."""
    copytree(outage / "runs", tmp_path / "runs")
    copy(own_archive(outage), tmp_path / "runs")
    for number in ("first", "second"):
        with serving(tmp_path / number, tmp_path / "runs") as url:
            assert_each_once(read(tmp_path, url, ONLINE)[ONLINE])
            run("keys_of.py", "ws", "p", "seen", folder=tmp_path, url=url)


def test_what_comet_ml_kept_itself_can_be_uploaded(outage: Path, tmp_path: Path) -> None:
    """After an outage, when the run has crashed: the rest of it is added, once however often it is uploaded."""
    copytree(outage / "runs", tmp_path / "runs")
    with serving(tmp_path / "first", tmp_path / "runs", "--crashed-after", "1") as url:
        while read(tmp_path, url, ONLINE)[ONLINE]["state"] == "running":
            pass
        done = upload(own_archive(outage), tmp_path, url)
        assert done.returncode == 0, done.stderr.decode()
        assert_each_once(at_once := read(tmp_path, url, ONLINE)[ONLINE])
        assert upload(own_archive(outage), tmp_path, url).returncode == 1, "it is there already"
    with serving(tmp_path / "second", tmp_path / "runs") as url:
        assert read(tmp_path, url, ONLINE)[ONLINE] == at_once
