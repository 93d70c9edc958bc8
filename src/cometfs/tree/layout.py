"""THE declaration: the whole tree of a mounted Comet, and only here.

A new file is one `File` line. A new question is a `Source` line, a method of `API` and a pure renderer. Not here: how
the tree is walked (vfs.py) and how names are made (names.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import trio

from cometfs import lease
from cometfs.comet.api import API
from cometfs.lease import Lease
from cometfs.render import objects, tables, text
from cometfs.tree import names
from cometfs.tree.node import Asker, At, Dir, Each, File, Row, Source, Stream

# -- How long answers hold ---------------------------------------------------------------------------------------------


def _account(_at: At) -> Lease:
    return lease.ACCOUNT


def _listing(_at: At) -> Lease:
    return lease.LISTING


def _experiment(at: At) -> Lease:
    row = at.experiment or {}
    return lease.of_experiment(row.get("running"))


# -- What is known at a place ------------------------------------------------------------------------------------------


def _at_workspace(at: At, name: str) -> At:
    return At(at.web, at.modified_ms, (name,), name)


def _at_project(at: At, row: Row) -> At:
    return At(at.web, row["lastUpdated"] or at.modified_ms, (row["projectId"],), at.workspace, row)


def _at_experiment(at: At, row: Row) -> At:
    ended = row["endTimeMillis"] or row["startTimeMillis"] or at.modified_ms
    return At(at.web, ended, (row["experimentKey"],), at.workspace, at.project, row)


def _at_metric(at: At, row: Row) -> At:
    return At(at.web, at.modified_ms, (*at.key, row["name"]), at.workspace, at.project, at.experiment, row)


def _at_asset(at: At, row: Row) -> At:
    created = row["createdAt"] or at.modified_ms
    return At(at.web, created, (*at.key, row["assetId"]), at.workspace, at.project, at.experiment, row)


def _key(at: At) -> str:
    """The experiment's key."""
    return str(at.experiment["experimentKey"]) if at.experiment else ""


def _project_id(at: At) -> str:
    return str(at.project["projectId"]) if at.project else ""


# -- The questions -----------------------------------------------------------------------------------------------------


def _of_experiment(name: str, ask: Any) -> Source:
    """A question about one experiment: `ask` is the method of API that takes its key."""
    return Source(name, lambda asker, at: ask(asker.api, _key(at)), _experiment)


WORKSPACES = Source("workspaces", lambda asker, _at: asker.api.workspaces(), _account)
PROJECTS = Source("projects", lambda asker, at: asker.api.projects(at.workspace), _listing)
NOTES = Source("project/notes", lambda asker, at: asker.api.project_notes(_project_id(at)), _account)
EXPERIMENTS = Source("experiments", lambda asker, at: asker.api.experiments_by_project_id(_project_id(at)), _listing)
METADATA = _of_experiment("experiment/metadata", API.experiment_metadata)
TAGS = _of_experiment("experiment/tags", API.experiment_tags)
CODE = _of_experiment("experiment/code", API.experiment_code)
OUTPUT = _of_experiment("experiment/output", API.experiment_output)
HTML = _of_experiment("experiment/html", API.experiment_html)
GRAPH = _of_experiment("experiment/graph", API.experiment_graph)
SYSTEM = _of_experiment("experiment/system-details", API.experiment_system_details)
PARAMETERS = _of_experiment("experiment/parameters", API.experiment_parameters)
OTHERS = _of_experiment("experiment/log-other", API.experiment_other)
SUMMARY = _of_experiment("experiment/metrics/summary", API.experiment_metrics_summary)
ASSETS = _of_experiment("experiment/asset/list", API.experiment_assets)
METRIC = Source(
    "experiment/metrics/get-metric",
    lambda asker, at: asker.api.experiment_metric_points(_key(at), at.item["name"]),
    _experiment,
)
ASSET = Stream(
    "experiment/asset/get-asset",
    lambda api, at: api.stream_asset(_key(at), at.item["assetId"]),
    # A 0 may be the truth or a listing that does not know; asking tells which.
    lambda at: at.item["fileSize"] or None,
)


# -- The tree ----------------------------------------------------------------------------------------------------------


def _system(answer: Row | None) -> bytes:
    return objects.pretty(objects.without(answer, "experimentKey", "installedPackages"))


def _packages(answer: Row | None) -> list[str]:
    return (answer or {}).get("installedPackages") or []


def _url(at: At) -> bytes:
    row = at.experiment or {}
    return text.lines(
        [API.page(at.web, row["workspaceName"] or at.workspace, row["projectName"], row["experimentKey"])]
    )


def _is_remote(row: Row) -> bool:
    return bool(row["remote"])


METRIC_CSV = File("", METRIC, tables.metric_points, "every point: step,epoch,timestamp_ms,value; a `/` makes folders")
ASSET_BYTES = File("", ASSET, about="an asset, byte for byte; a `/` makes folders")
ASSET_LINK = File("", None, lambda at: text.lines([at.item["link"] or ""]), "the link of an asset that lies elsewhere")

METRICS = Each(
    SUMMARY,
    names=lambda rows: names.of_metrics([row["name"] for row in rows], ".csv"),
    bind=_at_metric,
    child=lambda _row: METRIC_CSV,
    label="<metric>.csv",
    shown=(METRIC_CSV,),
)


def _asset_names(rows: Sequence[Row]) -> list[names.Path]:
    return names.of_assets(
        [((row["fileName"] or "") + (".url" if _is_remote(row) else ""), row["step"], row["assetId"]) for row in rows]
    )


ASSET_FILES = Each(
    ASSETS,
    names=_asset_names,
    bind=_at_asset,
    child=lambda row: ASSET_LINK if _is_remote(row) else ASSET_BYTES,
    label="<asset>",
    shown=(ASSET_BYTES, ASSET_LINK),
)

EXPERIMENT = Dir(
    "",
    (
        File("metadata.json", METADATA, objects.pretty, "name, times, state, project, user"),
        File("url.txt", None, _url, "its page at Comet"),
        File("tags.txt", TAGS, text.sorted_lines, "one tag a line"),
        File("code.py", CODE, text.text, "the script that created it"),
        File("output.txt", OUTPUT, text.text, "stdout and stderr"),
        File("report.html", HTML, text.text, "the logged HTML"),
        File("graph.txt", GRAPH, text.text, "the model's graph"),
        File(
            "requirements.txt",
            SYSTEM,
            lambda answer: text.sorted_lines(_packages(answer)),
            "installed Python packages",
            nothing=lambda answer: not _packages(answer),
        ),
        File("system.json", SYSTEM, _system, "machine, Python, command", nothing=lambda answer: not _system(answer)),
        File("params.json", PARAMETERS, objects.named_values, "parameter -> value, sorted"),
        File("others.json", OTHERS, objects.named_values, "other -> value, sorted"),
        File("metrics.json", SUMMARY, objects.metric_summaries, "metric -> last, min, max and their steps"),
        Dir("metrics", (METRICS,), _experiment),
        Dir("assets", (ASSET_FILES,), _experiment),
    ),
    _experiment,
    "an experiment, by its name (with a piece of its key where several share it)",
)

PROJECT = Dir(
    "",
    (
        File("project.json", None, lambda at: objects.pretty(at.project), "description, owner, number of experiments"),
        File("notes.md", NOTES, text.text, "the project's notes"),
        Each(
            EXPERIMENTS,
            names=lambda rows: names.of_experiments(
                [(row["experimentName"] or "", row["experimentKey"]) for row in rows]
            ),
            bind=_at_experiment,
            child=lambda _row: EXPERIMENT,
            label="<experiment>",
            shown=(EXPERIMENT,),
        ),
    ),
    _listing,
    "a project",
)

WORKSPACE = Dir(
    "",
    (
        Each(
            PROJECTS,
            names=lambda rows: names.of_words([row["projectName"] for row in rows]),
            bind=_at_project,
            child=lambda _row: PROJECT,
            label="<project>",
            shown=(PROJECT,),
        ),
    ),
    _listing,
    "a workspace",
)


def tree(workspaces: Sequence[str] = ()) -> Dir:
    """The root: the workspaces that the key can see, or just those named (Comet does not list public ones)."""

    async def named(_asker: Asker, _at: At) -> list[str]:
        await trio.lowlevel.checkpoint()
        return list(workspaces)

    source = Source("workspaces", named, _account) if workspaces else WORKSPACES
    children = Each(source, names.of_words, _at_workspace, lambda _name: WORKSPACE, "<workspace>", (WORKSPACE,))
    return Dir("", (children,), _account)
