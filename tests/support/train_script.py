"""Trains a model and logs it with comet_ml: ``train_script.py WORKSPACE PROJECT KEY``. Not a test by itself.

A number on a line of stdin is how many epochs to train next; the end of stdin is the end of the run. What was printed
stands in ``printed.txt``, and ``done`` in a line of its own on the real stdout when a number of epochs was trained.
"""

import os
import sys
from pathlib import Path
from typing import Any

import comet_ml.experiment
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss

untyped: Any = comet_ml
# Else it asks a cloud's address for what it knows of this machine.
untyped.experiment.get_env_cloud_details = lambda *_args, **_kwargs: None

images, labels = (part[:300] for part in load_digits(return_X_y=True))
model = SGDClassifier(loss="log_loss", random_state=0, learning_rate="constant", eta0=1e-5)
workspace, project, key = sys.argv[1:]
experiment = untyped.Experiment(
    experiment_key=key,
    workspace=workspace,
    project_name=project,
    log_code=False,
    log_env_cpu=False,
    log_env_gpu=False,
    log_env_disk=False,
    log_env_network=False,
    log_git_metadata=False,
    log_git_patch=False,
)
experiment.set_name("digits")
printed = Path("printed.txt").open("w", encoding="utf-8")  # noqa: SIM115  # as long as the process
step = 0


def epoch() -> None:
    """Three lines, one of which in two pieces, and three points of two metrics, one in two contexts."""
    global step
    step += 1
    model.partial_fit(images, labels, classes=range(10))
    loss = log_loss(labels, model.predict_proba(images))
    accuracy = model.score(images, labels)
    for line in (
        f"epoch {step:04} · loss {loss:.6f} ·",
        f"{'損失🙂' * 20} {step:04}",
        f"précision {accuracy:.4f} {step:04}",
    ):
        print(*line.partition(" "), sep="")
        printed.write(f"{line}\n")
    with experiment.train():
        experiment.log_metric("loss", loss, step=step, epoch=step)
    with experiment.validate():
        experiment.log_metric("accuracy", accuracy, step=step)
    experiment.log_metric("rate/now", 1e-5 * step, step=step)


for wanted in iter(sys.stdin.readline, ""):
    for _ in range(int(wanted)):
        epoch()
    printed.flush()
    os.write(sys.__stdout__.fileno(), b"done\n")  # type: ignore[union-attr]  # past comet_ml, which logs the other one
experiment.end()
