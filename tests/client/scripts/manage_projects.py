"""Makes, describes, annotates and deletes projects with comet_ml's API; prints what it then says of them as JSON. Not a
test by itself.
"""

import contextlib
import json
import sys
from typing import Any

import comet_ml

untyped: Any = comet_ml

with contextlib.redirect_stdout(sys.stderr):
    api = untyped.API(cache=False)
    made = api.create_project("new ws", "p", "described", public=True)
    api.create_project("new ws", "bare")
    api.create_project("new ws", "gone")
    api.set_project_notes("new ws", "bare", "# Notes é\n")
    api.update_project("new ws", "bare", description="later")
    api.update_project_by_id(made["projectId"], public=False)
    api.delete_project("new ws", "gone")
    experiment = untyped.APIExperiment(api=api, workspace="new ws", project_name="p", experiment_name="one")
    for name in ("b", "a"):
        experiment.log_metric(name, 0.5, step=1)
    found = {
        "id": made["projectId"],
        "workspaces": api.get_workspaces(),
        "projects": {name: api.get_project("new ws", name) for name in api.get_projects("new ws")},
        "notes": api.get_project_notes("new ws", "bare"),
        "metrics": [row["metricName"] for row in experiment.get_metrics(["b", "a"])],
    }
json.dump(found, sys.stdout)
