"""Reads whole projects with comet_ml's own API and prints them as JSON: ``read_project.py WORKSPACE/PROJECT...``. Not a
test by itself.

Keys and ids are left out: a copy has its own. Experiments are by the time of their start.
"""

import contextlib
import hashlib
import io
import json
import re
import sys
import zipfile
from typing import Any

import comet_ml

untyped: Any = comet_ml


def of_experiment(experiment: Any) -> dict[str, Any]:
    metadata = experiment.get_metadata()
    times = ("startTimeMillis", "endTimeMillis", "durationMillis", "running", "hasCrashed", "archived", "fileName")
    return {
        **{name: metadata[name] for name in times},
        "name": experiment.get_name(),
        "tags": sorted(experiment.get_tags()),
        "parameters": values(experiment.get_parameters_summary()),
        "others": values(experiment.get_others_summary()),
        "metrics": sorted(point(row) for row in experiment.get_metrics()),
        "assets": assets(experiment),
        "html": experiment.get_html(),
        "code": experiment.get_code(),
        "output": experiment.get_output(),
        "graph": experiment.get_model_graph(),
        "system": {name: value for name, value in experiment.get_system_details().items() if name != "experimentKey"},
        "git": experiment.get_git_metadata(),
        "patch": patch(experiment.get_git_patch()),
    }


def values(rows: list[Any]) -> dict[str, Any]:
    return {row["name"]: row["valueCurrent"] for row in rows}


def point(row: Any) -> list[str]:
    """All but `offset`, which is the server's own."""
    return [str(row[name]) for name in ("metricName", "step", "metricValue", "epoch", "timestamp", "runContext")]


def assets(experiment: Any) -> list[list[str]]:
    rows = experiment.get_asset_list()
    names = {row["assetId"]: row["fileName"] for row in rows}
    return sorted(asset(experiment, row, names | {experiment.id: "this run"}) for row in rows)


def asset(experiment: Any, row: Any, names: dict[str, str]) -> list[str]:
    """A file that refers to others is JSON, which has no size of its own, with their names for their ids."""
    about = {name: str(row[name]) for name in ("fileName", "type", "step", "dir", "remote", "fileSize", "runContext")}
    if row["remote"]:
        content = row["link"]
    elif row["type"] in ("confusion-matrix", "embeddings"):
        text = re.sub("[0-9a-f]{32}", lambda found: names[found[0]], experiment.get_asset(row["assetId"], "text"))
        content, about["fileSize"] = digest(json.dumps(json.loads(text), sort_keys=True).encode()), "any"
    else:
        content = digest(experiment.get_asset(row["assetId"], return_type="binary"))
    return [*about.values(), content, json.dumps(json.loads(row["metadata"] or "{}"), sort_keys=True)]


def patch(content: Any) -> str | None:
    """What is in the zip, which is another one with each copy; no bytes where there is none."""
    if not isinstance(content, bytes):
        return None
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return digest(archive.read("git_diff.patch"))


def digest(content: Any) -> str:
    return hashlib.sha256(content if isinstance(content, bytes) else json.dumps(content).encode()).hexdigest()


def of_project(place: str) -> dict[str, Any]:
    about, runs = api.get_project(*place.split("/")), api.get_experiments(*place.split("/"))
    return {
        "description": about["projectDescription"],
        "public": about["public"],
        "notes": api.get_project_notes(*place.split("/")),
        "experiments": {one.start_server_timestamp: of_experiment(one) for one in runs},
    }


with contextlib.redirect_stdout(sys.stderr):
    api = untyped.API(cache=False)
    found = {place: of_project(place) for place in sys.argv[1:]}
json.dump(found, sys.stdout)
