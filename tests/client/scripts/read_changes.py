"""Reads experiments with comet_ml's own API, by their keys, and prints as JSON what can be changed of them.

Not a test by itself.
"""

import contextlib
import io
import json
import sys
from typing import Any

import comet_ml

untyped: Any = comet_ml


def of_experiment(api: Any, key: str) -> dict[str, Any]:
    experiment = api.get_experiment_by_key(key)
    metadata = experiment.get_metadata()
    others = {row["name"]: row["valueCurrent"] for row in experiment.get_others_summary()}
    return {
        "name": experiment.get_name(),
        "tags": sorted(experiment.get_tags()),
        "project": metadata["projectName"],
        "archived": metadata["archived"],
        "note": others.get("note"),
    }


with contextlib.redirect_stdout(io.StringIO()):
    api = untyped.API()
    found = [of_experiment(api, key) for key in sys.argv[1:]]
print(json.dumps(found))
