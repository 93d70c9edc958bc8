"""A training that goes on is followed with tail through the mount; comet_ml's own Experiment is the writer."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.comet_ml_client import surroundings
from tests.support.live_runs import ALIVE, LIVE, following, tail
from tests.support.processes import PATIENCE, Comet, running_comet, running_mount
from tests.support.subprocesses import await_that

KEY = "1f" * 16
WORKSPACE, PROJECT = "lab é", "digits"
RUN = f"{WORKSPACE}/{PROJECT}/digits"
METRICS = {"train_loss": "metrics/train_loss.csv", "rate/now": "metrics/rate/now.csv"}

READ_BACK = """
import json, sys
import comet_ml
experiment = comet_ml.API(cache=False).get_experiment_by_key(sys.argv[1])
json.dump({"output": experiment.get_output(), "metrics": experiment.get_metrics()}, sys.stdout)
"""


INTERVALS = {
    # A server that is away is found out, and found again, in a second.
    "COMET_FALLBACK_STREAMER_CONNECTION_CHECK_INTERVAL": "1",
    "COMET_MESSAGE_BATCH_STDOUT_INTERVAL": "1",
    "COMET_MESSAGE_BATCH_METRIC_INTERVAL": "1",
}


@dataclass
class Training:
    """train.py in a process of its own."""

    process: subprocess.Popen[bytes]
    home: Path

    @property
    def printed(self) -> str:
        return (self.home / "printed.txt").read_text(encoding="utf-8")

    def train(self, epochs: int) -> None:
        """Returns when they are trained and printed; comet_ml sends what was logged in its own time."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{epochs}\n".encode())
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line == b"done\n":
                return
        raise AssertionError(f"the training ended with {self.process.wait(PATIENCE)}")

    def end(self) -> None:
        """Returns when comet_ml has delivered all."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(PATIENCE) == 0


@contextmanager
def training(home: Path, comet: Comet) -> Iterator[Training]:
    home.mkdir()
    script = Path(__file__).parents[1] / "support" / "train_script.py"
    command = [sys.executable, str(script), WORKSPACE, PROJECT, KEY]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=home, env=surroundings(home, comet.url, **INTERVALS), stdin=pipe, stdout=pipe
    ) as process:
        try:
            yield Training(process, home)
        finally:
            process.kill()


def read_back(home: Path, comet: Comet) -> dict[str, Any]:
    """What comet_ml's own API reads of the run."""
    command = [sys.executable, "-c", READ_BACK, KEY]
    done = subprocess.run(
        command, cwd=home, env=surroundings(home, comet.url, **INTERVALS), capture_output=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def points_of(sheet: bytes) -> list[tuple[str, ...]]:
    return [tuple(row) for row in csv.reader(io.StringIO(sheet.decode()))][1:]


def points_by_api(told: dict[str, Any], name: str) -> list[tuple[str, ...]]:
    """Comet's own rows, as a sheet has them."""
    rows = [row for row in told["metrics"] if row["metricName"] == name]
    cells = [[row[field] for field in ("step", "epoch", "timestamp", "metricValue")] for row in rows]
    return sorted(
        (tuple("" if cell is None else str(cell) for cell in row) for row in cells), key=lambda row: int(row[0])
    )


@pytest.mark.promise("Following")
@pytest.mark.parametrize("killed", [False, True], ids=["steady", "server killed and restarted"])
def test_a_training_is_followed_line_by_line_and_over_its_end(tmp_path: Path, killed: bool) -> None:
    """Every line once and in order, the last ones too; the metrics end as what comet_ml's API reads."""
    archives = tmp_path / "archives"
    archives.mkdir()
    with ExitStack() as stack:
        comet = stack.enter_context(running_comet(tmp_path, *ALIVE, archives=archives))
        run = stack.enter_context(training(tmp_path / "home", comet))
        run.train(5)
        mounted = stack.enter_context(running_mount(tmp_path, comet, *LIVE))
        folder = mounted / RUN
        await_that(lambda: all((folder / path).exists() for path in METRICS.values()), "nothing is logged")
        said = stack.enter_context(following(tmp_path, *tail(folder / "output.txt")))
        sheets = {
            name: stack.enter_context(following(tmp_path, *tail(folder / path))) for name, path in METRICS.items()
        }
        run.train(60)
        said.await_said(lambda out: ends_as(out, run))
        if killed:
            comet.process.kill()
            comet.process.wait(PATIENCE)
            run.train(20)
            port = comet.url.rpartition(":")[2]
            comet = stack.enter_context(
                running_comet(tmp_path, *ALIVE, "--bind", f"127.0.0.1:{port}", archives=archives)
            )
        run.train(40)
        said.await_said(lambda out: ends_as(out, run))
        run.train(10)
        run.end()
        said.await_said(lambda out: ends_as(out, run))

        told = read_back(run.home, comet)
        text = told["output"].encode()
        assert run.printed in told["output"], "comet_ml or the server lost a line"
        said.await_said(text)
        for name, sheet in sheets.items():
            expected = points_by_api(told, name)
            assert len(expected) == (135 if killed else 115)
            sheet.await_said(lambda out, rows=expected: points_of(out) == rows)  # type: ignore[misc]
            assert sheet.said == (folder / METRICS[name]).read_bytes()
        for follower in (said, *sheets.values()):
            assert (follower.process.poll(), follower.complaint) == (None, "")
        # An outage that lasts long enough is told of once.
        said_of_it = mounted.log.read_text().splitlines()
        assert len(said_of_it) <= killed
        assert all("Comet cannot be reached, and what was answered before is shown" in line for line in said_of_it)


def ends_as(out: bytes, run: Training) -> bool:
    """Whether the last line that was printed has come."""
    return out.endswith(run.printed.splitlines(keepends=True)[-1].encode())
