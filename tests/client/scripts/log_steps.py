"""Logs and prints steps as it is told on stdin, with comet_ml's Experiment: ``log_steps.py KEY``. Not a test by itself.

Orders are ``log N``, ``flush``, ``end``; each is answered on the real stdout with ``done`` and its text.
"""

import sys
from typing import Any

import comet_ml.experiment

untyped: Any = comet_ml
untyped.experiment.get_env_cloud_details = lambda *_args, **_kwargs: None

experiment = untyped.Experiment(
    experiment_key=sys.argv[1], workspace="ws", project_name="p", log_code=False, log_env_details=False
)
step = 0
for line in sys.stdin:
    order, *number = line.split()
    if order == "log":
        for _ in range(int(number[0])):
            experiment.log_metric("loss", step / 8, step=step)
            print(f"step {step}")
            step += 1
    elif order == "flush":
        experiment.flush()
    else:
        experiment.end()
    assert sys.__stdout__ is not None
    sys.__stdout__.write(f"done {line}")
    sys.__stdout__.flush()
