"""`cometfs serve` as whoever logs to it sees it: killed at any moment, started twice, with and without a directory."""

from __future__ import annotations

import json
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cometfs.server import sample_directory
from tests.client.test_comet_ml_logs import free_port
from tests.support.processes import COMETFS, PATIENCE, running_comet
from tests.support.subprocesses import await_that

KEY = "00c0ffee" * 4
HEADERS = {"Authorization": "k"}
START = {"experimentKey": KEY, "teamName": "ws", "projectName": "p", "local_timestamp": 1000}
BATCH = "/clientlib/batch/logger/experiment/metric"


class Logger(threading.Thread):
    """Logs batches of ten points, one after the other, and repeats what was not acknowledged; `acknowledged` points."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url, self.acknowledged, self.stopping = url, 0, False

    def run(self) -> None:
        with httpx.Client(base_url=self.url, headers=HEADERS, timeout=PATIENCE) as client:
            self._send(client, "/clientlib/logger/add/run", START)
            while not self.stopping:
                steps = range(self.acknowledged, self.acknowledged + 10)
                values = [{"metricName": "m", "metricValue": 1, "step": step, "timestamp": step} for step in steps]
                self._send(client, BATCH, {"experimentKey": KEY, "values": values})
                self.acknowledged += 10

    def has(self, acknowledged: int) -> bool:
        assert self.is_alive(), "it was refused"
        return self.acknowledged >= acknowledged

    def _send(self, client: httpx.Client, path: str, body: object) -> None:
        while True:
            try:
                assert client.post(path, json=body).status_code == 200
                return
            except httpx.TransportError:
                time.sleep(0.01)


def steps_in(runs: Path) -> list[int]:
    """Without a last line that is not whole, which a killed server may leave."""
    *lines, _ = (runs / KEY / "messages.json").read_text().split("\n")
    return [json.loads(line)["payload"]["metric"]["step"] for line in lines]


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """However often it is killed while it is being logged to: what was acknowledged is there, once and in order."""
    runs, bind, chance = tmp_path / "runs", f"127.0.0.1:{free_port()}", random.Random(5)
    logger = Logger(f"http://{bind}")
    logger.start()
    try:
        for _ in range(6):
            with running_comet(tmp_path, "--bind", bind, archives=runs) as comet:
                before = logger.acknowledged
                await_that(lambda wanted=before + 50: logger.has(wanted), "nothing is acknowledged")  # type: ignore[misc]
                time.sleep(chance.random() / 20)
                comet.process.kill()
                comet.process.wait()
            # The last answer may still be on its way to the logger.
            acknowledged = logger.acknowledged
            assert steps_in(runs)[:acknowledged] == list(range(acknowledged))
        with running_comet(tmp_path, "--bind", bind, archives=runs) as comet:
            logger.stopping = True
            logger.join(PATIENCE)
            query = {"experimentKey": KEY, "metricName": "m"}
            asked = get(f"{comet.url}/api/rest/v2/experiment/metrics/get-metric", **query)
            assert [point["step"] for point in asked.json()["metrics"]] == list(range(logger.acknowledged))
    finally:
        logger.stopping = True
        logger.join(PATIENCE)
    assert steps_in(runs) == list(range(logger.acknowledged))


def get(url: str, **query: str) -> httpx.Response:
    return httpx.get(url, params=query, headers=HEADERS, timeout=PATIENCE)


def post(url: str, body: object) -> httpx.Response:
    return httpx.post(url, json=body, headers=HEADERS, timeout=PATIENCE)


def refusal(url: str) -> str:
    reply = post(f"{url}/clientlib/logger/add/run", START)
    assert reply.status_code == 403
    said: str = reply.json()["msg"]
    return said


@pytest.fixture(scope="module")
def sample_before() -> Iterator[None]:
    """The package's own sample stays as it is."""
    before = {path: path.stat().st_mtime_ns for path in sample_directory().rglob("*")}
    yield
    assert {path: path.stat().st_mtime_ns for path in sample_directory().rglob("*")} == before


@pytest.mark.usefixtures("sample_before")
def test_the_sample_is_never_written_to(tmp_path: Path) -> None:
    """Without DIR, or with the sample's own, nothing is taken, and the client is told what to do."""
    with running_comet(tmp_path, archives=sample_directory()) as comet:
        assert "cometfs serve DIR" in refusal(comet.url)


def test_a_directory_that_cannot_be_written_to(tmp_path: Path) -> None:
    """It is served, and logging is refused with the reason."""
    (tmp_path / "runs" / ".cometfs-serve").mkdir(parents=True)
    with running_comet(tmp_path, archives=tmp_path / "runs") as comet:
        assert "Is a directory" in refusal(comet.url)
        assert get(f"{comet.url}/api/rest/v2/workspaces").status_code == 200


def test_one_server_for_a_directory(tmp_path: Path) -> None:
    """A second server of a directory says so and ends; when the first has ended, another may begin."""
    runs = tmp_path / "runs"
    for _ in range(2):
        with running_comet(tmp_path, archives=runs):
            second = subprocess.run([*COMETFS, "serve", str(runs)], capture_output=True, text=True, timeout=PATIENCE)
            assert (second.returncode, second.stdout) == (1, "")
            assert second.stderr == f"cometfs: another server has {runs}: only one at a time can serve a directory\n"


def test_a_directory_without_a_parent(tmp_path: Path) -> None:
    """A new directory is made; a whole path of them is a mistake, and said to be one."""
    there = tmp_path / "no" / "such"
    done = subprocess.run([*COMETFS, "serve", str(there)], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    assert done.stderr == f"cometfs: cannot read the archives' directory {there}: No such file or directory\n"


def test_a_run_that_fell_silent(tmp_path: Path) -> None:
    """It has crashed after the time that `--crashed-after` says, also for the next server, and runs when it is back."""
    runs = tmp_path / "runs"

    def state(url: str) -> tuple[bool, bool]:
        row = get(f"{url}/api/rest/v2/experiment/metadata", experimentKey=KEY).json()
        return row["running"], row["hasCrashed"]

    def is_seen_alive(url: str) -> bool:
        """After a beat; on a machine that takes a second for the look it has fallen silent by then."""
        said = post(f"{url}/clientlib/status-report/update", {"experimentKey": KEY, "is_alive": True}).json()
        assert said["is_alive_beat_duration_millis"] == 333
        return state(url) == (True, False)

    with running_comet(tmp_path, "--crashed-after", "1", archives=runs) as comet:
        post(f"{comet.url}/clientlib/logger/add/run", START)
        await_that(lambda: is_seen_alive(comet.url), "it never runs")
        await_that(lambda: state(comet.url) == (False, True), "it never crashes")
    with running_comet(tmp_path, "--crashed-after", "1", archives=runs) as comet:
        assert state(comet.url) == (False, True)
        await_that(lambda: is_seen_alive(comet.url), "it never runs again")
