"""Makes the archives of the benchmark with the real `comet_ml.OfflineExperiment`; run as a program of its own.

`python archives.py DIR KIND` writes one folder of them: `DIR/runs/*.zip` (`RUNS` experiments of one project),
`DIR/whole/*.zip` (as many with all that a training logs) or `DIR/big/*.zip` (one experiment with one asset of 100 MB).
Its caller sees to it that comet_ml contacts no server (`environment`).

Not here: how often an archive is served (`cometfs serve --replicate`).
"""

from __future__ import annotations

import io
import json
import math
import os
import random
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

WORKSPACE, PROJECT = "bench", "runs"

RUNS = 10
"""Distinct experiments; served 100, 500, 1,000 and 2,500 times they are what the workloads ask for."""

KINDS = ("runs", "whole", "big")

METRICS = ("accuracy", "loss", "lr", "val_accuracy", "val_loss")
WHOLE_METRICS = (
    *METRICS,
    *(f"{split}_top{k}" for split in ("train", "val") for k in range(1, 6)),
    "epoch_s",
    "grad",
    "mem",
)
POINTS = 100
SMALL, SMALL_BYTES, LARGE_BYTES = 3, 10 << 10, 1 << 20

LAYERS, HISTOGRAMS, FILES = 5, 4, 12
"""Of a whole experiment: images without a suffix, histograms, plain assets. With a table and the code, 23."""

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


def make(work: Path, kind: str) -> Path:
    """The folder with the archives of a kind, made unless it is there already."""
    target = work / "archives" / kind
    if not target.exists():
        with tempfile.TemporaryDirectory(prefix="making-", dir=work) as folder:
            command = [sys.executable, __file__, folder, kind]
            subprocess.run(command, env=environment(Path(folder)), check=True, stdout=subprocess.DEVNULL)
            target.parent.mkdir(exist_ok=True)
            (Path(folder) / kind).rename(target)
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


def log_whole(target: Path, number: int) -> None:
    """One experiment as a training leaves it: 18 metrics, 23 assets, a git patch, code, others and a tag."""
    chance = random.Random(f"whole {number}")
    exp = _experiment(target, PROJECT, f"run-{number:02}", chance)
    exp.log_parameters(_parameters(chance, number))
    exp.log_others({"team": "vision", "note": f"attempt {number}"})
    exp.add_tags(["baseline" if number % 2 else "tuned"])
    exp.set_code(code=f"train(seed={number})\n", overwrite=True)
    for step in range(POINTS):
        for metric in WHOLE_METRICS:
            exp.log_metric(metric, _value(chance, metric, step), step=step, epoch=step // 10)
    for n in range(LAYERS):
        exp._log_asset_data(_png(chance), file_name=f"conv{n}.weight", asset_type="image", step=POINTS)
    for n in range(HISTOGRAMS):
        exp.log_histogram_3d([chance.gauss(0, 1) for _ in range(500)], name=f"layer{n}", step=POINTS)
    for n in range(FILES):
        exp.log_asset_data(chance.randbytes(SMALL_BYTES), name=f"checkpoints/part-{n:02}.bin")
    exp.log_table("metrics.csv", [[step, step / POINTS] for step in range(POINTS)], headers=["step", "share"])
    exp._log_asset_data(_patch(number), file_name="git_diff.patch", asset_type="git-patch")
    _end(exp)


def _png(chance: random.Random) -> bytes:
    """A picture of one grey pixel, and a comment that makes it as big as one of a layer's weights."""
    pieces = ((b"IHDR", bytes((0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0))), (b"IDAT", zlib.compress(b"\0\x7f")))
    filling = (b"tEXt", b"Comment\0" + chance.randbytes(SMALL_BYTES).hex().encode())
    chunks = [_chunk(*piece) for piece in (*pieces, filling, (b"IEND", b""))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _patch(number: int) -> bytes:
    """A git patch as comet_ml sends it, in a zip."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(
            "git_diff.patch", f"--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-seed = 0\n+seed = {number}\n"
        )
    return packed.getvalue()


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
    """What an archive says of itself, its messages, and its plain assets by name."""
    with zipfile.ZipFile(path) as archive:
        about = json.loads(archive.read("experiment.json"))
        messages = [json.loads(line) for line in archive.read("messages.json").splitlines()]
        uploads = [message["payload"] for message in messages if message["type"] == "file_upload"]
        plain = [one for one in uploads if one["upload_type"] == "asset"]
        assets = {one["additional_params"]["fileName"]: archive.read(one["file_path"]) for one in plain}
    return about, messages, assets


def main(target: Path, kind: str) -> None:
    (target / kind).mkdir(parents=True)
    if kind == "big":
        log_big(target / kind)
        return
    log = log_whole if kind == "whole" else log_run
    for number in range(1, RUNS + 1):
        log(target / kind, number)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
