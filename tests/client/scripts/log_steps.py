"""Logs and prints steps as it is told on stdin, by comet_ml: ``log_steps.py CLASS KEY``. Not a test by itself.

Orders are ``log N``, ``more``, ``flush``, ``connected``, ``away``, ``end``; each is answered on the real stdout with
``done`` and its text, once it is done. ``more`` is what is neither a point nor output. ``connected`` waits until
comet_ml takes the server to be there: until its next ping is answered it sends nothing that is logged, and what ends in
the meantime goes to an archive of its own. ``away`` waits for the opposite.
"""

import sys
import time
from typing import Any

import comet_ml.experiment

untyped: Any = comet_ml
untyped.experiment.get_env_cloud_details = lambda *_args, **_kwargs: None

experiment = getattr(untyped, sys.argv[1])(
    experiment_key=sys.argv[2], workspace="ws", project_name="p", log_code=False, log_env_details=False
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
        # What was just logged may miss the round that the first one waits for, and not that of the second.
        experiment.flush()
        experiment.flush()
    elif order == "more":
        experiment.log_html(f"<p>{step}</p>")
        experiment.log_other("at", step)
        experiment.log_parameter("lr", step)
        experiment.log_system_info(f"node {step}", step)
        experiment.log_asset_data(f"bytes {step}", name=f"file {step}")
        experiment.log_remote_asset(f"s3://bucket/{step}", remote_file_name=f"link {step}")
    elif order in ("connected", "away"):
        while experiment.streamer.has_connection_to_server() != (order == "connected"):
            time.sleep(0.01)
    else:
        experiment.end()
    assert sys.__stdout__ is not None
    sys.__stdout__.write(f"done {line}")
    sys.__stdout__.flush()
