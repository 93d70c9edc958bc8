"""Makes the archives of the benchmark with the real `comet_ml.OfflineExperiment`; run as a program of its own.

`python archives.py DIR` writes `DIR/runs/*.zip` (`RUNS` experiments of one project) and `DIR/big/*.zip` (one experiment
with one asset of 100 MB). Whoever runs it sees to it that comet_ml has nobody to talk to (`environment`).

Not here: how often an archive is served (`cometfs serve --replicate`).
"""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

WORKSPACE, PROJECT = "bench", "runs"

RUNS = 10
"""Distinct experiments; served 100, 500, 1,000 and 2,500 times they are what the workloads ask for."""

METRICS = ("accuracy", "loss", "lr", "val_accuracy", "val_loss")
POINTS = 100
SMALL, SMALL_BYTES, LARGE_BYTES = 3, 10 << 10, 1 << 20
BIG_BYTES = 100 * 10**6
BIG_NAME = "big.bin"


def environment(home: Path) -> dict[str, str]:
    """Surroundings in which comet_ml finds no settings and no server but a port at which nobody answers."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "COMET_ERROR_TRACKING_ENABLE": "false",
        "COMET_URL_OVERRIDE": "http://127.0.0.1:9/clientlib/",
        "COMET_LOGGING_CONSOLE": "ERROR",
        "COMET_DISABLE_ANNOUNCEMENT": "1",
    }


def make(work: Path) -> Path:
    """The folder with the archives, made unless it is there already."""
    target = work / "archives"
    if not target.exists():
        with tempfile.TemporaryDirectory(prefix="making-", dir=work) as folder:
            command = [sys.executable, __file__, str(Path(folder) / "archives")]
            subprocess.run(command, env=environment(Path(folder)), check=True, stdout=subprocess.DEVNULL)
            (Path(folder) / "archives").rename(target)
    return target


def log_run(target: Path, number: int) -> None:
    """One experiment of the project."""
    chance = random.Random(number)
    exp = _experiment(target, PROJECT, f"run-{number:02}", chance)
    exp.log_parameters(_parameters(chance, number))
    for step in range(POINTS):
        for metric in METRICS:
            exp.log_metric(metric, _value(chance, metric, step), step=step, epoch=step // 10)
    for n in range(SMALL):
        exp.log_asset_data(chance.randbytes(SMALL_BYTES), name=f"sample-{n}.bin")
    exp.log_asset_data(chance.randbytes(LARGE_BYTES), name="weights.bin")
    _end(exp)


def log_big(target: Path) -> None:
    """One experiment with one big asset."""
    chance = random.Random("big")
    exp = _experiment(target, "big", "big", chance)
    exp.log_asset_data(chance.randbytes(BIG_BYTES), name=BIG_NAME)
    _end(exp)


def _experiment(target: Path, project: str, name: str, chance: random.Random) -> Any:
    """An OfflineExperiment that logs just what it is told to."""
    import comet_ml
    import comet_ml.experiment

    untyped: Any = comet_ml
    untyped.experiment.get_env_cloud_details = lambda *_args, **_kwargs: None
    exp = untyped.OfflineExperiment(
        workspace=WORKSPACE,
        project_name=project,
        experiment_key=f"{chance.getrandbits(128):032x}",
        offline_directory=str(target),
        display_summary_level=0,
        log_code=False,
        parse_args=False,
        auto_output_logging=None,
        auto_param_logging=False,
        auto_metric_logging=False,
        log_env_details=False,
        log_git_metadata=False,
        log_git_patch=False,
    )
    exp.set_name(name)
    return exp


def _end(exp: Any) -> None:
    """Ends it without the metric that comet_ml adds of its own, "process duration": five are asked for."""
    exp._log_metric = lambda *_args, **_kwargs: None
    exp.end()


def _parameters(chance: random.Random, number: int) -> dict[str, Any]:
    return {
        "lr": round(10 ** chance.uniform(-4, -1), 6),
        "batch_size": chance.choice((16, 32, 64)),
        "epochs": POINTS // 10,
        "layers": chance.randint(2, 12),
        "hidden": chance.choice((128, 256, 512)),
        "dropout": round(chance.random() / 2, 3),
        "optimizer": chance.choice(("sgd", "adam", "lamb")),
        "momentum": 0.9,
        "seed": number,
        "augment": chance.choice((True, False)),
    }


def _value(chance: random.Random, metric: str, step: int) -> float:
    fall = math.exp(-step / 40) + chance.gauss(0, 0.01)
    return 1 - fall / 2 if "accuracy" in metric else fall


def read(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, bytes]]:
    """What an archive says of itself, its messages, and its assets by name."""
    with zipfile.ZipFile(path) as archive:
        about = json.loads(archive.read("experiment.json"))
        messages = [json.loads(line) for line in archive.read("messages.json").splitlines()]
        uploads = [message["payload"] for message in messages if message["type"] == "file_upload"]
        assets = {one["additional_params"]["fileName"]: archive.read(one["file_path"]) for one in uploads}
    return about, messages, assets


def main(target: Path) -> None:
    target.mkdir(parents=True)
    for number in range(1, RUNS + 1):
        log_run(target / "runs", number)
    log_big(target / "big")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
