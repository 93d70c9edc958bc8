"""Reads runs without files back with comet_ml's own API and prints them as JSON: ``read_run.py KEY...``. Not a test by
itself.
"""

import json
import sys
from typing import Any

import comet_ml

LINKS = {"link", "curlDownload", "compressedAssetLink"}
"""Fields that have the server's own address."""


def of_experiment(experiment: Any) -> dict[str, Any]:
    return {
        "metadata": experiment.get_metadata(),
        "state": experiment.get_state(),
        "tags": experiment.get_tags(),
        "parameters": experiment.get_parameters_summary(),
        "others": experiment.get_others_summary(),
        "summary": experiment.get_metrics_summary(),
        "metrics": experiment.get_metrics(),
        "html": experiment.get_html(),
        "output": experiment.get_output(),
        "graph": experiment.get_model_graph(),
        "system": experiment.get_system_details(),
        "git": experiment.get_git_metadata(),
        "assets": [
            {field: value for field, value in asset.items() if field not in LINKS}
            for asset in experiment.get_asset_list()
        ],
    }


untyped: Any = comet_ml
api = untyped.API(cache=False)
json.dump({key: of_experiment(api.get_experiment_by_key(key)) for key in sys.argv[1:]}, sys.stdout)
