"""Logs one of each kind with any version of comet_ml, and prints as JSON what that version's API reads.

    python log_with_old_sdk.py KEY

It uses what all of them have.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import comet_ml
import comet_ml.api

untyped: Any = comet_ml
module: Any
for module in list(sys.modules.values()):
    # Else it asks a cloud's address for metadata.
    if module.__name__.startswith("comet_ml") and hasattr(module, "get_env_cloud_details"):
        module.get_env_cloud_details = lambda *_args, **_kwargs: None

run = untyped.Experiment(project_name="old", workspace="ws", experiment_key=sys.argv[1])
if not run.alive:
    print(json.dumps({"version": untyped.__version__, "alive": False}))
    sys.exit()
run.set_name("old run")
for step in range(5):
    run.log_metric("loss", 1 / (step + 1), step=step)
run.log_parameters({"lr": 0.1, "word": "x"})
run.log_other("note", "v")
run.add_tags(["t1", "t2"])
run.log_html("<b>x</b>")
Path("asset.txt").write_text("content")
run.log_asset("asset.txt")
run.log_curve("curve", [1, 2], [3, 4])
run.log_model("model", "asset.txt")
print("a printed line", file=sys.stderr)
run.end()

seen = untyped.api.API().get_experiment("ws", "old", sys.argv[1])
assets = seen.get_asset_list()
(asset,) = (one for one in assets if one["fileName"] == "asset.txt" and one["type"] == "asset")
told = {
    "version": untyped.__version__,
    "alive": True,
    "name": seen.get_name(),
    "points": [[point["metricValue"], point["step"]] for point in seen.get_metrics("loss")],
    "params": {row["name"]: row["valueCurrent"] for row in seen.get_parameters_summary()},
    "others": {row["name"]: row["valueCurrent"] for row in seen.get_others_summary()},
    "tags": sorted(seen.get_tags()),
    "html": seen.get_html(),
    "output": seen.get_output(),
    "assets": sorted(one["type"] for one in assets),
    "bytes": seen.get_asset(asset["assetId"]).decode(),
    "models": seen.get_model_names(),
}
print(json.dumps(told))
