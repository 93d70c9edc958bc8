"""Goes on with a search of comet_ml's Optimizer for some experiments, and prints what came as JSON.

    python optimize.py CONFIG COUNT

CONFIG: an optimizer's configuration as JSON, or its id. The loss is (x - 3)^2 + y.
"""

from __future__ import annotations

import json
import sys
from itertools import islice
from typing import Any

import comet_ml

untyped: Any = comet_ml
# Else it asks a cloud's address for metadata.
untyped.experiment.get_env_cloud_details = lambda *_args, **_kwargs: None

config = sys.argv[1]
try:
    optimizer = untyped.Optimizer(json.loads(config) if config.startswith("{") else config, verbose=0)
except Exception as refused:
    print(json.dumps({"refused": str(refused)}))
    sys.exit()
came = []
for run in islice(optimizer.get_experiments(project_name="searched", workspace="ws", log_code=False), int(sys.argv[2])):
    x, y = run.get_parameter("x"), run.get_parameter("y")
    loss = (float(x) - 3) ** 2 + float(y)
    run.log_metric("loss", loss)
    came.append([x, y, loss, run.get_key()])
    run.end()
status = optimizer.status()
print(json.dumps({"id": optimizer.get_id(), "came": came, "status": status}))
