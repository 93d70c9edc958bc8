"""A real server on a real disk of few megabytes, logged to until it is full, killed, started again: what was
acknowledged is there, and what was not is there as a whole or not at all.
"""

from __future__ import annotations

import hashlib
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.processes import PATIENCE, running_comet
from tests.support.small_disks import small_disk

BALLAST = 600_000

REST = "/api/rest/v2/"


def printed(text: str) -> dict[str, Any]:
    return {"outputLines": [{"output": text, "stderr": False, "localTimestamp": 5, "offset": 0}]}


def fill(path: Path, at_once: int) -> None:
    """Take all that is left of a disk."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(at_once)) == at_once:
            pass


class Run:
    """A run, with what was acknowledged of it, and what was tried."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.steps: list[int] = []
        self.parameters: dict[str, str] = {}
        self.lines: list[str] = []
        self.files: dict[str, str] = {}
        self.tried: set[int] = set()


class Logger:
    """Logs at random by plain requests, as comet_ml does it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.client = httpx.Client(timeout=PATIENCE, headers={"Authorization": "k"})
        self.runs: list[Run] = []
        self.store, self.stores_tried = "{}", {"{}"}
        self.refused = self.taken = self.number = 0
        self.begun: set[str] = set()

    def at(self, url: str) -> Logger:
        self.client.base_url = httpx.URL(url)
        return self

    def step(self) -> None:
        self.number += 1
        kinds = [self.points, self.parameter, self.line, self.file, self.file, self.save]
        if not self.runs or self.chance.random() < 0.05:
            self.begin()
        else:
            self.chance.choice(kinds)(self.chance.choice(self.runs))

    def took(self, reply: httpx.Response) -> bool:
        assert reply.status_code in (200, 507), reply.text
        is_taken = reply.status_code == 200
        self.taken += is_taken
        self.refused += not is_taken
        return is_taken

    def post(self, path: str, **body: Any) -> bool:
        return self.took(self.client.post(path, json=body))

    def begin(self) -> None:
        key = hashlib.md5(str(self.number).encode(), usedforsecurity=False).hexdigest()
        asked = {"experimentKey": key, "teamName": "ws", "projectName": "p", "local_timestamp": 1000}
        self.begun.add(key)
        if self.post("/clientlib/logger/add/run", **asked):
            self.runs.append(Run(key))

    def points(self, run: Run) -> None:
        steps = list(range(self.number * 1000, self.number * 1000 + self.chance.choice((1, 10, 300))))
        values = [{"metricName": "m", "metricValue": 1, "step": step, "timestamp": step} for step in steps]
        run.tried |= set(steps)
        if self.post("/clientlib/batch/logger/experiment/metric", experimentKey=run.key, values=values):
            run.steps += steps

    def parameter(self, run: Run) -> None:
        name, value = f"p{self.number}", "v" * self.chance.choice((1, 5000))
        values = [{"parameterName": name, "parameterValue": value, "timestamp": 5}]
        if self.post("/clientlib/batch/logger/experiment/parameter", experimentKey=run.key, values=values):
            run.parameters[name] = value

    def line(self, run: Run) -> None:
        text = f"line {self.number} {'x' * self.chance.choice((1, 20_000))}\n"
        if self.post(f"{REST}write/experiment/output", experimentKey=run.key, **printed(text)):
            run.lines.append(text)

    def file(self, run: Run) -> None:
        content = self.chance.randbytes(self.chance.choice((10, 10_000, 300_000)))
        asked = {"experimentId": run.key, "fileName": f"f{self.number}", "assetId": f"a{self.number}"}
        if self.took(self.client.post("/clientlib/asset/upload", params=asked, files={"file": ("f", content)})):
            run.files[asked["assetId"]] = hashlib.sha256(content).hexdigest()

    def save(self, _: Run) -> None:
        text = f'{{"number": {self.number}, "x": "{"y" * self.chance.choice((1, 30_000))}"}}'
        self.stores_tried = {self.store, text}
        if self.post(f"{REST}write/panel/store", store=text):
            self.store, self.stores_tried = text, {text}

    # -- what is there -------------------------------------------------------------------------------------------------

    def get(self, path: str, **query: str) -> Any:
        reply = self.client.get(REST + path, params=query)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def verify(self) -> None:
        listed = self.get("experiments", projectId=self.get("projects", workspaceName="ws")["projects"][0]["projectId"])
        keys = {one["experimentKey"] for one in listed["experiments"]}
        assert {run.key for run in self.runs} <= keys <= self.begun
        assert self.get("panel/store")["store"] in self.stores_tried
        for run in self.runs:
            self.verify_run(run)

    def verify_run(self, run: Run) -> None:
        points = self.get("experiment/metrics/get-metric", experimentKey=run.key, metricName="m")["metrics"]
        steps = [point["step"] for point in points]
        assert len(steps) == len(set(steps))
        assert set(run.steps) <= set(steps) <= run.tried
        parameters = {one["name"]: one["valueCurrent"] for one in self.get_values(run)}
        assert parameters.items() >= run.parameters.items()
        output = self.get("experiment/output", experimentKey=run.key)["output"] or ""
        assert [line for line in run.lines if line not in output] == []
        assets = {one["assetId"] for one in self.get("experiment/asset/list", experimentKey=run.key)["assets"]}
        assert set(run.files) <= assets
        for identity in assets:
            asked = {"experimentKey": run.key, "assetId": identity}
            body = self.client.get(f"{REST}experiment/asset/get-asset", params=asked)
            assert body.status_code == 200
            if identity in run.files:
                assert hashlib.sha256(body.content).hexdigest() == run.files[identity]

    def get_values(self, run: Run) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self.get("experiment/parameters", experimentKey=run.key)["values"]
        return found


@contextmanager
def logging(seed: int) -> Iterator[Logger]:
    logger = Logger(seed)
    with logger.client:
        yield logger


@pytest.mark.parametrize("seed", [1, 2])
def test_what_was_acknowledged_survives_a_full_disk_and_kills(seed: int, tmp_path: Path) -> None:
    """Logged to until a hundred requests were refused; killed and started again meanwhile, also where nothing can be
    written; then there is room again, and it goes on.
    """
    with logging(seed) as logger, small_disk(tmp_path, "4m") as disk:
        (disk / "ballast").write_bytes(bytes(BALLAST))
        runs = disk / "runs"
        for wanted in (1, 40, 100):
            with running_comet(tmp_path, archives=runs) as comet:
                logger.at(comet.url)
                if wanted > 1:
                    logger.verify()
                while logger.refused < wanted:
                    logger.step()
                logger.verify()
                comet.process.kill()
                comet.process.wait(PATIENCE)
        fill(disk / "rest", 4096)
        with running_comet(tmp_path, archives=runs) as comet:
            logger.at(comet.url).verify()
            comet.process.kill()
            comet.process.wait(PATIENCE)
        (disk / "ballast").unlink()
        before = logger.taken
        with running_comet(tmp_path, archives=runs) as comet:
            logger.at(comet.url).verify()
            while logger.taken < before + 20:
                logger.step()
            comet.process.kill()
            comet.process.wait(PATIENCE)
        with running_comet(tmp_path, archives=runs) as comet:
            logger.at(comet.url).verify()
            assert list(runs.glob(".arriving-*/*")) == []


def test_a_full_disk_under_the_access_log_refuses_nothing(tmp_path: Path) -> None:
    """What was done is answered so; that it is not logged is said once."""
    with small_disk(tmp_path, "64k") as disk:
        access, said = disk / "access.jsonl", tmp_path / "stderr"
        with said.open("wb") as stderr, serving(tmp_path / "runs", access, stderr) as url:
            fill(disk / "rest", 512)
            with logging(1) as logger:
                logger.at(url)
                for _ in range(60):
                    logger.step()
                assert logger.refused == 0
                logger.verify()
    assert said.read_text().count("a request is not logged") == 1


@contextmanager
def serving(runs: Path, access: Path, stderr: Any) -> Iterator[str]:
    from tests.support.processes import COMETFS

    command = [*COMETFS, "serve", str(runs), "--access-log", str(access)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()
            process.wait(PATIENCE)
