"""Logs a run with comet_ml, everything but files: ``log_run.py HOW KEY``. Not a test by itself.

HOW is ``online``, ``offline:DIRECTORY`` or one of comet_ml's own words for `comet_ml.start`, ``get`` and ``create``.
Run in a process of its own: comet_ml takes over stdout and much else of the interpreter that it runs in.
"""

import sys
from fractions import Fraction
from typing import Any

import comet_ml.experiment
import numpy as np

untyped: Any = comet_ml
# Else it asks a cloud's address for metadata.
untyped.experiment.get_env_cloud_details = lambda *_args, **_kwargs: None

WHERE = {"workspace": "ws é", "project_name": "pro ject"}
LITTLE = {
    "log_code": False,
    "parse_args": False,
    "log_git_patch": False,
    "log_env_cpu": False,
    "log_env_gpu": False,
    "log_env_disk": False,
    "log_env_network": False,
}


def opened(how: str, key: str) -> Any:
    word, _, directory = how.partition(":")
    match word:
        case "online":
            return untyped.Experiment(experiment_key=key, **WHERE, **LITTLE)
        case "offline":
            return untyped.OfflineExperiment(experiment_key=key, offline_directory=directory, **WHERE, **LITTLE)
        case "existing":
            return untyped.ExistingExperiment(experiment_key=key)
    config = untyped.ExperimentConfig(**LITTLE)
    return untyped.start(experiment_key=key, mode=word, workspace="ws é", project="pro ject", experiment_config=config)


def log_all(experiment: Any) -> None:
    experiment.set_name("réglage/1")
    experiment.add_tags(["one", "two words"])
    experiment.log_parameters({"lr": 0.1, "layers": [1, 2], "nested": {"deep": {"x": True}}, "nothing": None})
    experiment.log_other("note", "a text\x85with 🙂 and \ud83d")
    experiment.log_other("undefined", float("nan"))
    experiment.set_filename("/neutral/train.py")
    for step in range(5):
        with experiment.train():
            experiment.log_metric("loss", 1 / (step + 1), step=step, epoch=0)
        experiment.log_metric("val/acc", step / 4, step=step)
    for step, value in enumerate([float("nan"), float("inf"), float("-inf"), "text", 1e300]):
        experiment.log_metric("odd", value, step=step)
    experiment.log_metric("odd", -2.5, step=2.5)
    steps = (float("nan"), float("inf"), Fraction(1, 3), True, 1j, np.float32(2.5), np.float64("nan"), np.int64(3))
    for at, odd in enumerate(steps):
        experiment.log_metric("oddly stepped", at, step=odd, epoch=odd)
        experiment.log_parameter(f"oddly stepped {at}", at, step=odd)
    experiment.log_html("<b>old</b>")
    experiment.log_html("<b>new é</b>", clear=True)
    experiment.log_html("<i>more</i>")
    experiment.set_model_graph("Graph(1)")
    experiment.log_system_info("cluster", "node-3")
    experiment.log_dependency("mylib", "1.2.3")
    print("printed é")
    print("complained", file=sys.stderr)


experiment = opened(*sys.argv[1:])
if sys.argv[1] in ("existing", "get"):
    experiment.log_metric("val/acc", 0.5, step=5)
    experiment.log_parameter("lr", 0.2)
    experiment.add_tag("three")
    experiment.set_name("renamed")
    print("again")
else:
    log_all(experiment)
experiment.end()
