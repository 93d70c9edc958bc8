"""Asks comet_ml's own API for queries, artifacts and models of the sample, and prints it as JSON. Not a test by itself.

The server and the key come from the environment, as for any user.
"""

import contextlib
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import comet_ml
import comet_ml.query

untyped: Any = comet_ml
words: Any = comet_ml.query
Metric, Parameter, Other, Tag, Metadata = (words.Metric, words.Parameter, words.Other, words.Tag, words.Metadata)
DIGITS = ("vision-lab", "digits")

QUERIES = {
    "tag": Tag("mlp"),
    "no tag": ~Tag("mlp"),
    "metric": Metric("train_loss") < 0.05,
    "no metric": Metric("train_loss") == None,  # noqa: E711  the words of comet_ml's queries
    "parameter": Parameter("lr") >= 0.002,
    "truth": Parameter("augment") == False,  # noqa: E712
    "other": Other("Name").startswith("mlp-"),
    "name": Metadata("file_name").contains("train"),
    "early": Metadata("start_server_timestamp") < datetime(2027, 1, 1),
    "long": Metadata("duration") > 1,
    "machine": words.Environment("os").contains("inux"),
    "both": Tag("mlp") & (Metric("train_loss") < 0.05),
    "either": Tag("wide") | Tag("baseline"),
    "neither": ~(Tag("wide") | Tag("baseline")),
}


def downloaded(folder: str, fetch: Any) -> dict[str, int]:
    """Sizes of the files that a download leaves, by name."""
    fetch(folder)
    root = Path(folder)
    return {path.relative_to(root).as_posix(): path.stat().st_size for path in root.rglob("*") if path.is_file()}


def of_models(api: Any) -> dict[str, Any]:
    model = api.get_model("vision-lab", "digits-mlp")
    return {
        "names": api.get_registry_model_names("vision-lab"),
        "count": api.get_registry_model_count("vision-lab"),
        "versions": api.get_registry_model_versions("vision-lab", "digits-mlp"),
        "details": api.get_registry_model_details("vision-lab", "digits-mlp", "1.0.0"),
        "notes": api.get_registry_model_notes("vision-lab", "digits-mlp"),
        "statuses": api.model_registry_allowed_status_values("vision-lab"),
        "found": model.find_versions(tag="reviewed"),
        "tags": model.tags("1.1.0"),
        "assets": model.get_assets("1.1.0"),
        "zip": downloaded("zip", lambda to: api.download_registry_model(*REGISTERED, "1.0.0", to, stage=None)),
        "stage": downloaded("stage", lambda to: api.download_registry_model(*REGISTERED, None, to, stage="production")),
        "files": downloaded("files", lambda to: model.download("1.1.0", to)),
    }


REGISTERED = ("vision-lab", "digits-mlp")


def of_artifacts(api: Any, maker: Any) -> dict[str, Any]:
    files = api.get_artifact_files("tabular", "wine features", alias="latest")["files"]
    return {
        "list": api.get_artifact_list("tabular"),
        "models": api.get_artifact_list("tabular", "model"),
        "details": api.get_artifact_details("tabular", "wine features"),
        "files": files,
        "first": api.get_artifact_files("tabular", "wine features", version="1.0.0")["files"],
        "lineage": maker.get_artifact_lineage("output"),
    }


api = untyped.API(cache=False)
with contextlib.redirect_stdout(sys.stderr):
    maker = api.get_experiment(*DIGITS, "mlp-baseline")
    long = api.get_experiment(*DIGITS, "sgd-20k-steps")
    told = {
        "query": {name: sorted(one.key for one in api.query(*DIGITS, query)) for name, query in QUERIES.items()},
        "search": {name: sorted(one.key for one in api.search(*DIGITS, query)) for name, query in QUERIES.items()},
        "notes": api.get_project_notes(*DIGITS),
        "models": of_models(api),
        "artifacts": of_artifacts(api, maker),
        "model": downloaded("model", lambda to: maker.download_model("digits-mlp", to)),
        "total": {name: len(long.get_metric_total_df(name)) for name in sys.argv[1:]},
    }
json.dump(told, sys.stdout)
