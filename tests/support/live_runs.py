"""Runs that go on while a test looks: one that logs by plain requests, and programs that follow its files.

Not here: comet_ml's own Experiment (train_script.py), and what a mount shows (test_following.py, test_growing.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.processes import PATIENCE, Comet, Mounted
from tests.support.subprocesses import await_that

LIVE = ("--live-interval", "0.5")
"""The shortest interval there is."""

INTERVAL = 0.5
"""The same, in seconds."""

ALIVE = ("--crashed-after", "3600")
"""However slow the machine is, no run is taken to have crashed."""


@dataclass
class Run:
    """An experiment of an embedded Comet. What is logged is with the server when the call returns."""

    comet: Comet
    key: str
    name: str = "run"
    workspace: str = "lab"
    project: str = "live"
    output: str = ""
    """All that it has said."""
    _times: Iterator[int] = field(default_factory=lambda: count(1_700_000_000_000))

    @property
    def folder(self) -> str:
        return f"{self.workspace}/{self.project}/{self.name}"

    def begin(self) -> Run:
        body = {"teamName": self.workspace, "projectName": self.project, "local_timestamp": next(self._times)}
        self._post("logger/add/run", body)
        self._post("rest/v2/write/experiment/log-other", {"key": "Name", "value": self.name})
        return self

    def say(self, text: str) -> None:
        self._post("rest/v2/write/experiment/output", {"outputLines": [{"output": text, "stderr": False}]})
        self.output += text

    def point(self, name: str, step: int, value: float) -> None:
        point = {"metricName": name, "metricValue": value, "step": step, "epoch": 0, "timestamp": next(self._times)}
        self._post("batch/logger/experiment/metric", {"values": [point]})

    def end(self) -> None:
        self._status(is_alive=False)

    def resume(self) -> None:
        self._post("logger/get/run", {"previousExperiment": self.key})

    def delete(self) -> None:
        address = f"{self.comet.url}/api/rest/v2/write/experiment/delete?experimentKey={self.key}"
        request = urllib.request.Request(address, headers={"Authorization": "test-key"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            assert reply.status == 200

    def _status(self, **told: Any) -> None:
        self._post("status-report/update", told)

    def _post(self, endpoint: str, body: dict[str, Any]) -> None:
        request = urllib.request.Request(f"{self.comet.url}/clientlib/{endpoint}", method="POST")
        request.data = json.dumps({"experimentKey": self.key, **body}).encode()
        request.add_header("Authorization", "test-key")
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            assert reply.status == 200


@dataclass
class Follower:
    """A program that goes on printing, and what it has printed."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    @property
    def said(self) -> bytes:
        return self.out.read_bytes()

    @property
    def complaint(self) -> str:
        return self.err.read_text()

    def await_said(self, wanted: bytes | Callable[[bytes], bool]) -> None:
        """Returns once it has printed just that."""
        holds = wanted if callable(wanted) else wanted.__eq__
        self._await(lambda: bool(holds(self.said)))

    def await_complaint(self, part: str) -> None:
        self._await(lambda: part in self.complaint)

    def _await(self, condition: Callable[[], bool]) -> None:
        def holds() -> bool:
            assert self.process.poll() is None or condition(), f"it ended: {self.said[-500:]!r}, {self.complaint}"
            return condition()

        await_that(holds, "it never came")


@contextmanager
def following(folder: Path, *command: str | Path) -> Iterator[Follower]:
    """Runs a program that does not end by itself, until the block ends."""
    number = next(number for number in count() if not (folder / f"{number}.out").exists())
    out, err = folder / f"{number}.out", folder / f"{number}.err"
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    with out.open("wb") as output, err.open("wb") as complaint:
        words = [*map(str, command)]
        with subprocess.Popen(words, env=environment, stdout=output, stderr=complaint, cwd=folder) as process:
            try:
                yield Follower(process, out, err)
            finally:
                process.kill()


def tail(path: Path, *options: str) -> tuple[str | Path, ...]:
    """`tail` of all there is and what comes, that looks ten times a second."""
    return ("tail", "-n", "+1", "-s", "0.1", *(options or ("-f",)), path)


def asked_of(mounted: Mounted, endpoint: str) -> int:
    """How often the mount has asked for that, so far."""
    return sum(request["path"].endswith(endpoint) for request in mounted.comet.requests())
