"""Reads experiments and their files with comet_ml's API: ``read_files.py KEY...`` prints JSON. Not a test by itself.

Bytes are told by their digest.
"""

import contextlib
import hashlib
import json
import sys
from typing import Any

import comet_ml

untyped: Any = comet_ml


def of_asset(experiment: Any, row: dict[str, Any]) -> dict[str, Any]:
    told = {name: row[name] for name in ("assetId", "fileName", "fileSize", "type", "step", "metadata", "remote")}
    if row["remote"]:
        return told | {"link": row["link"]}
    body = experiment.get_asset(row["assetId"]) if row["fileSize"] else b""
    return told | {"digest": hashlib.sha256(body).hexdigest(), "items": [item["fileName"] for item in row["items"]]}


def of_histogram(experiment: Any, row: dict[str, Any]) -> list[Any]:
    """Step, then low, high and count of every bin, as comet_ml's own class has them."""
    found = experiment.get_asset(row["assetId"], return_type="json")
    steps = [one["step"] for one in found["histograms"]]
    histograms = untyped.Histogram.from_json(found, verbose=False)
    return [[step, bins(one)] for step, one in zip(steps, histograms, strict=True)]


def bins(histogram: Any) -> list[list[float]]:
    ends = zip(histogram.values, histogram.values[1:], strict=False)
    return [[low, high, int(count)] for (low, high), count in zip(ends, histogram.counts, strict=False) if count]


def of_experiment(experiment: Any) -> dict[str, Any]:
    metadata = experiment.get_metadata()
    return {
        "place": [metadata[name] for name in ("workspaceName", "projectName", "experimentName", "archived")],
        "times": [metadata[name] for name in ("startTimeMillis", "endTimeMillis")],
        "state": experiment.get_state(),
        "tags": sorted(experiment.get_tags()),
        "parameters": {row["name"]: row["valueCurrent"] for row in experiment.get_parameters_summary()},
        "others": {row["name"]: row["valueCurrent"] for row in experiment.get_others_summary()},
        "metrics": sorted(
            [row[name] for name in ("metricName", "metricValue", "step", "epoch", "runContext", "timestamp")]
            for row in experiment.get_metrics()
        ),
        "html": experiment.get_html(),
        "code": experiment.get_code(),
        "graph": experiment.get_model_graph(),
        "output": experiment.get_output(),
        "git": experiment.get_git_metadata(),
        "patch": hashlib.sha256(experiment.get_git_patch() or b"").hexdigest(),
        "system": experiment.get_system_details(),
        "models": sorted(experiment.get_model_names()),
        "lineage": experiment.get_artifact_lineage(),
        "histograms": {
            row["fileName"]: of_histogram(experiment, row) for row in experiment.get_asset_list("histogram_combined_3d")
        },
        "assets": sorted(
            (of_asset(experiment, row) for row in experiment.get_asset_list()),
            key=lambda row: (row["fileName"], row["step"] or 0, row["assetId"]),
        ),
    }


with contextlib.redirect_stdout(sys.stderr):
    api = untyped.API(cache=False)
    told: dict[str, Any] = {key: of_experiment(api.get_experiment_by_key(key)) for key in sys.argv[1:]}
json.dump(told, sys.stdout)
