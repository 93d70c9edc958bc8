"""THE declaration: the whole tree of a mounted Comet, and only here.

A new file is one `File` line. A new question is a `Source` line in questions.py, a method of `API` and a pure renderer.
Not here: how the tree is walked (vfs.py) and how names are made (names.py).
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import trio

from cometfs.comet.api import VERSION
from cometfs.render import objects, tables, text
from cometfs.render.sieve import sieve
from cometfs.tree import names, questions
from cometfs.tree.guide import of_mount, of_project
from cometfs.tree.node import Asker, At, Dir, Each, File, Link, Row, Source
from cometfs.tree.provenance import page_of
from cometfs.tree.questions import Named, Picture, account, experiment, listing

# -- How an answer becomes bytes ---------------------------------------------------------------------------------------


def _system(answer: Row | None) -> bytes:
    return objects.pretty(objects.without(answer, "experimentKey", "installedPackages"))


def _packages(answer: Row | None) -> list[str]:
    return (answer or {}).get("installedPackages") or []


def _url(at: At) -> bytes:
    return text.lines([page_of(at)])


def _raw(answer: Any) -> bytes:
    """A whole answer of the SDK, secrets removed."""
    return objects.pretty(sieve(answer))


def _says_nothing(answer: Row) -> bool:
    return not any(answer.values())


def _api(method: str, source: Source | None, render: Callable[[Any], bytes] = _raw) -> File:
    """A whole answer of the SDK, under the method's name."""
    return File(f"{method}.json", source, render, f"`{method}`, whole", nothing=lambda _answer: False, sdk=(method,))


# -- What stands for a row ---------------------------------------------------------------------------------------------


def _always(entry: Any) -> Callable[[Any], Any]:
    return lambda _row: entry


def _of_type(*types: str) -> Callable[[Sequence[Row]], list[Row]]:
    return lambda rows: [row for row in rows if row["type"] in types]


def _asset_names(
    rows: Sequence[Row], suffix: str = "", inside: Callable[[Row], str] = lambda _row: ""
) -> list[names.Path]:
    """Paths from asset rows: `suffix` is added to each name, `inside` gives the folder that it lies in."""
    return names.of_assets(
        [(inside(row) + (row["fileName"] or "") + suffix, row["step"], row["assetId"]) for row in rows]
    )


def _remote(row: Row) -> bool:
    return bool(row["remote"])


def _remote_names(rows: Sequence[Row]) -> list[names.Path]:
    links = [{**row, "fileName": (row["fileName"] or "") + ".url"} if _remote(row) else row for row in rows]
    return _asset_names(links)


def _model(row: Row) -> str:
    """The folder of a model's file, where its name does not begin with it: Comet says "models/<name>" of its place."""
    folder = (row["dir"] or "").removeprefix("models/").strip("/") + "/"
    return "" if (row["fileName"] or "").startswith(folder) else folder


def _relative(rows: Sequence[Row]) -> list[names.Path]:
    return _asset_names([{**row, "fileName": (row["fileName"] or "").lstrip("/")} for row in rows])


def _picture_names(pictures: Sequence[Picture]) -> list[names.Path]:
    """`<name>-<step>.<ext>`, whether or not another image has the name."""
    rows = []
    for row, suffix in pictures:
        stem, own = posixpath.splitext(row["fileName"] or row["assetId"])
        step = "" if row["step"] is None else f"-{row['step']}"
        rows.append((stem + step + (own or suffix), None, row["assetId"]))
    return names.of_assets(rows)


METRIC_CSV = File(
    "",
    questions.METRIC,
    tables.metric_points,
    "every point: step,epoch,timestamp_ms,value; a `/` makes folders",
    sdk=("experiment_metric",),
)
ASSET_BYTES = File(
    "",
    questions.ASSET,
    about="an asset, byte for byte; a `/` makes folders",
    sdk=("experiment_asset", "experiment_asset_by_name"),
)
ASSET_LINK = File("", None, lambda at: text.lines([at.item["link"] or ""]), "the link of an asset that lies elsewhere")
IMAGE_BYTES = File("", questions.ASSET, about="an image; the suffix comes from its bytes where the name has none")
SOURCE_BYTES = File("", questions.ASSET, about="a logged source file, absolute paths made relative")
MODEL_BYTES = File("", questions.ASSET, about="a file of a logged model")
CURVE_CSV = File("", questions.ASSET_JSON, tables.curve, "a logged curve: x,y", sdk=("experiment_curves",))
MATRIX_CSV = File("", questions.ASSET_JSON, tables.confusion_matrix, "a confusion matrix: actual by predicted")
HISTOGRAM_CSV = File(
    "", questions.ASSET_JSON, tables.histogram, "a histogram: low,high,count of bins that are not empty"
)
PATCH = File("", questions.PATCH, text.patch, "uncommitted changes")


def _typed(
    name: str, child: File, path_of: Callable[[Sequence[Row]], list[names.Path]], label: str, *types: str
) -> Dir:
    """A directory of the assets of some types."""
    rows = _of_type(*types)
    each = Each(questions.ASSETS, path_of, questions.at_asset, _always(child), label, (child,), rows)
    return Dir(name, (each,), experiment)


_csv = partial(_asset_names, suffix=".csv")

EXPERIMENT = Dir(
    "",
    (
        File(
            "metadata.json",
            questions.METADATA,
            objects.pretty,
            "name, times, state, project, user",
            sdk=("experiment_metadata", "experiment_name"),
        ),
        File("url.txt", None, _url, "its page at Comet", sdk=("experiment_url",)),
        File("tags.txt", questions.TAGS, text.sorted_lines, "one tag a line", sdk=("experiment_tags",)),
        File("code.py", questions.CODE, text.text, "the script that created it", sdk=("experiment_code",)),
        File("output.txt", questions.OUTPUT, text.text, "stdout and stderr", sdk=("experiment_output",)),
        File("report.html", questions.HTML, text.text, "the logged HTML", sdk=("experiment_html",)),
        File("graph.txt", questions.GRAPH, text.text, "the model's graph", sdk=("experiment_graph",)),
        File(
            "requirements.txt",
            questions.SYSTEM,
            lambda answer: text.sorted_lines(_packages(answer)),
            "installed Python packages",
            nothing=lambda answer: not _packages(answer),
            sdk=("experiment_installed_packages",),
        ),
        File(
            "system.json",
            questions.SYSTEM,
            _system,
            "machine, Python, command",
            nothing=lambda answer: not _system(answer),
            sdk=("experiment_system_details",),
        ),
        File(
            "params.json",
            questions.PARAMETERS,
            objects.named_values,
            "parameter -> value, sorted",
            sdk=("experiment_parameters",),
        ),
        File(
            "others.json", questions.OTHERS, objects.named_values, "other -> value, sorted", sdk=("experiment_other",)
        ),
        File(
            "metrics.json",
            questions.SUMMARY,
            objects.metric_summaries,
            "metric -> last, min, max and their steps",
            sdk=("experiment_metrics_summary",),
        ),
        Dir(
            "metrics",
            (
                Each(
                    questions.SUMMARY,
                    lambda rows: names.of_metrics([row["name"] for row in rows], ".csv"),
                    questions.at_metric,
                    _always(METRIC_CSV),
                    "<metric>.csv",
                    (METRIC_CSV,),
                ),
            ),
            experiment,
        ),
        Dir(
            "assets",
            (
                Each(
                    questions.ASSETS,
                    _remote_names,
                    questions.at_asset,
                    lambda row: ASSET_LINK if _remote(row) else ASSET_BYTES,
                    "<asset>",
                    (ASSET_BYTES, ASSET_LINK),
                ),
            ),
            experiment,
        ),
        Dir(
            "images",
            (
                Each(
                    questions.PICTURES,
                    _picture_names,
                    lambda at, picture: questions.at_asset(at, picture.row),
                    _always(IMAGE_BYTES),
                    "<name>-<step>.<ext>",
                    (IMAGE_BYTES,),
                ),
            ),
            experiment,
        ),
        _typed("curves", CURVE_CSV, _csv, "<name>.csv", "curve"),
        _typed("confusion-matrix", MATRIX_CSV, _csv, "<name>.csv", "confusion-matrix"),
        _typed("histograms", HISTOGRAM_CSV, _csv, "<name>.csv", "histogram3d"),
        _typed("models", MODEL_BYTES, partial(_asset_names, inside=_model), "<model>/<file>", "model-element"),
        _typed("source", SOURCE_BYTES, _relative, "<path>", "source_code"),
        Dir(
            "git",
            (
                File("metadata.json", questions.GIT, objects.pretty, "branch, commit, origin", nothing=_says_nothing),
                Each(
                    questions.PATCH,
                    lambda rows: [("diff.patch",)] * len(rows),
                    lambda at, _row: at,
                    _always(PATCH),
                    "diff.patch",
                    (PATCH,),
                    rows=lambda answer: [answer] if answer else [],
                ),
            ),
            experiment,
        ),
        Dir(
            ".api",
            (
                _api("experiment_metadata", questions.METADATA),
                _api("experiment_tags", questions.TAGS),
                _api("experiment_code", questions.CODE),
                _api("experiment_output", questions.OUTPUT),
                _api("experiment_html", questions.HTML),
                _api("experiment_graph", questions.GRAPH),
                _api("experiment_system_details", questions.SYSTEM),
                _api("experiment_installed_packages", questions.SYSTEM, lambda answer: _raw(_packages(answer))),
                _api("experiment_parameters", questions.PARAMETERS),
                _api("experiment_other", questions.OTHERS),
                _api("experiment_metrics_summary", questions.SUMMARY),
                _api("experiment_metric", questions.POINTS),
                _api("experiment_metrics_for_chart", questions.OWN_CHART),
                _api("experiment_assets", questions.ASSETS),
                _api("experiment_images", questions.IMAGE_ROWS),
                _api("experiment_curves", questions.CURVES),
            ),
            experiment,
        ),
    ),
    experiment,
    "an experiment, by its name (with a piece of its key where several share it)",
)

# -- Views: links to experiments of the project ------------------------------------------------------------------------


def _directory(at: At) -> str:
    return str(at.item)


def _at_named(at: At, one: Named) -> At:
    place = questions.at_experiment(at, one.row)
    return At(place.web, place.modified_ms, place.key, at.workspace, at.project, one.row, one.directory)


def _links(
    source: Source,
    label: str,
    path_of: Callable[[Sequence[Named]], list[names.Path]],
    about: str,
    rows: Any = list,
    up: int = 2,
) -> Each:
    """Links to experiments, from rows of `Named`; `up`: how deep their directory lies below the project's."""
    link = Link("", lambda _at: up, _directory, about)
    return Each(source, path_of, _at_named, _always(link), label, (link,), rows)


def _by_directory(rows: Sequence[Named]) -> list[names.Path]:
    return [(one.directory,) for one in rows]


def _latest(rows: Sequence[Named]) -> list[Named]:
    started = [one for one in rows if one.row["startTimeMillis"] is not None]
    return sorted(started, key=lambda one: (one.row["startTimeMillis"], one.row["experimentKey"]))[-1:]


def _in_state(state: str) -> Dir:
    rows: Callable[[Sequence[Named]], list[Named]] = lambda found: [one for one in found if one.state == state]  # noqa: E731
    return Dir(
        state, (_links(questions.STATES, "<experiment>", _by_directory, f"each {state} experiment", rows),), listing
    )


VIEWS = Dir(
    "views",
    (
        Dir(
            "by-key",
            (
                _links(
                    questions.NAMED,
                    "<key>",
                    lambda rows: [names.folders(one.row["experimentKey"]) for one in rows],
                    "each experiment by its key, which never changes",
                ),
            ),
            listing,
        ),
        _in_state("running"),
        _in_state("finished"),
        _in_state("crashed"),
        _links(
            questions.NAMED, "latest", lambda rows: [("latest",)] * len(rows), "the one started last", _latest, up=1
        ),
    ),
    listing,
)

# -- Projects and above ------------------------------------------------------------------------------------------------


def _experiments(source: Source, label: str) -> Each:
    return Each(source, questions.directories, questions.at_experiment, _always(EXPERIMENT), label, (EXPERIMENT,))


ARCHIVED = Dir(
    "archived",
    (
        Each(
            questions.ARCHIVED,
            questions.directories,
            questions.at_experiment,
            _always(EXPERIMENT),
            "<experiment>, in the same shape",
        ),
    ),
    listing,
)

PROJECT = Dir(
    "",
    (
        File(
            "project.json",
            None,
            lambda at: objects.pretty(at.project),
            "description, owner, number of experiments",
            sdk=("project_metadata",),
        ),
        File("url.txt", None, _url, "its page at Comet"),
        File("README.md", None, of_project, "what is here and what it costs to read"),
        File("notes.md", questions.NOTES, text.text, "the project's notes", sdk=("project_notes",)),
        Dir(
            ".api",
            (
                _api("project_metadata", questions.PROJECT),
                _api("project_notes", questions.NOTES),
                _api("experiments_by_project_id", questions.EXPERIMENTS),
                _api("experiments_by_project_name", questions.EXPERIMENTS),
            ),
            listing,
        ),
        VIEWS,
        ARCHIVED,
        _experiments(questions.EXPERIMENTS, "<experiment>"),
    ),
    listing,
    "a project",
)

WORKSPACE = Dir(
    "",
    (
        File("url.txt", None, _url, "its page at Comet"),
        Dir(".api", (_api("projects", questions.PROJECTS),), listing),
        Each(
            questions.PROJECTS,
            lambda rows: names.of_words([row["projectName"] for row in rows]),
            questions.at_project,
            _always(PROJECT),
            "<project>",
            (PROJECT,),
        ),
    ),
    listing,
    "a workspace",
)


def tree(workspaces: Sequence[str] = ()) -> Dir:
    """The root: the workspaces that the key can see, or just those named (Comet does not list public ones)."""

    async def named(_asker: Asker, _at: At) -> list[str]:
        await trio.lowlevel.checkpoint()
        return list(workspaces)

    source = Source("workspaces", named, account) if workspaces else questions.WORKSPACES
    children = Each(source, names.of_words, questions.at_workspace, _always(WORKSPACE), "<workspace>", (WORKSPACE,))
    raw = Dir(".api", (_api("workspaces", source), _api("get_version", None, lambda _at: _raw(VERSION))), account)
    readme = File("README.md", None, lambda _at: guide, "what is here and what it costs to read", sdk=("get",))
    root = Dir("", (readme, raw, children), account)
    guide = of_mount(root)
    return root
