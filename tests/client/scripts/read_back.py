"""Reads everything of a workspace back with comet_ml's own API and prints it as JSON. Not a test by itself.

``read_back.py WORKSPACE PROJECT KEY``; the server and the key come from the environment, as for any user. Bytes are
told in base64.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import comet_ml


def text(body: bytes) -> str:
    return base64.b64encode(body).decode()


def of_experiment(experiment: Any) -> dict[str, Any]:
    return {
        "name": experiment.get_name(),
        "metadata": experiment.get_metadata(),
        "state": experiment.get_state(),
        "url": experiment.url,
        "tags": experiment.get_tags(),
        "parameters": experiment.get_parameters_summary(),
        "others": experiment.get_others_summary(),
        "summary": experiment.get_metrics_summary(),
        "one summary": experiment.get_metrics_summary("train_loss"),
        "metrics": experiment.get_metrics(),
        "loss": experiment.get_metrics("train_loss"),
        "html": experiment.get_html(),
        "code": experiment.get_code(),
        "output": experiment.get_output(),
        "graph": experiment.get_model_graph(),
        "system": experiment.get_system_details(),
        "additional": experiment.get_additional_system_info(),
        "packages": experiment.get_installed_packages(),
        "os packages": experiment.get_os_packages(),
        "python": experiment.get_python_version(),
        "git": experiment.get_git_metadata(),
        "patch": text(experiment.get_git_patch()),
        "curves": experiment.get_curves(),
        "models": experiment.get_model_names(),
    }


def downloaded(api: Any, key: str, asset: str) -> bytes:
    """An asset by comet_ml's second way, which allows the server to redirect; it takes its time."""
    path = Path("downloaded") / asset
    path.parent.mkdir(exist_ok=True)
    api.download_experiment_asset(key, asset, str(path))
    return path.read_bytes()


def of_assets(api: Any, experiment: Any) -> dict[str, Any]:
    listed = experiment.get_asset_list()
    here = [asset["assetId"] for asset in listed if not asset["remote"]]
    few = [asset["assetId"] for asset in listed if asset["fileName"] in ("d/blob.bin", "empty")]
    return {
        "listed": listed,
        "images": experiment.get_asset_list("image"),
        "bytes": {one: text(experiment.get_asset(one, return_type="binary")) for one in here},
        "downloaded": {one: text(downloaded(api, experiment.key, one)) for one in few},
        "named": text(experiment.get_asset_by_name("d/blob.bin", return_type="binary")),
        "model": experiment.get_model_asset_list("net"),
    }


def of_project(api: Any, workspace: str, project: str, key: str) -> dict[str, Any]:
    chart = api.get_metrics_for_chart([key], ["train_loss", "odd"], ["lr"], independent=True, full=True)
    return {
        "workspaces": api.get_workspaces(),
        "default": api.get_default_workspace(),
        "projects": api.get_projects(workspace),
        "project": api.get_project(workspace, project),
        "by id": api.get_project_by_id(api.get_project(workspace, project)["projectId"]),
        "notes": api.get_project_notes(workspace, project),
        "experiments": [one.key for one in api.get_experiments(workspace, project)],
        "archived": api.get_archived_experiments(workspace, project),
        "by name": api.get_experiment(workspace, project, "réglage/1").key,
        "unknown": api.get_experiment(workspace, project, "nope"),
        "unknown project": api.get_project(workspace, "nope"),
        "variables": [str(one) for one in api.get_query_variables(workspace, project)],
        "chart": chart,
    }


untyped: Any = comet_ml
api = untyped.API(cache=False)
workspace, project, key = sys.argv[1:]
experiment = api.get_experiment_by_key(key)
told = {
    "experiment": of_experiment(experiment),
    "assets": of_assets(api, experiment),
    "project": of_project(api, workspace, project, key),
}
json.dump(told, sys.stdout)
