"""THE declaration: the whole tree of a mounted Comet, and only in this package.

A new file is one `File` line. A new question is a `Source` line in experiment.py, a method of `API` and a pure
renderer. Here stand the root, workspaces and projects; experiment.py, views.py and versioned.py are what they hold. Not
here: how the tree is walked (listings.py) and how names are made (names.py)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from cometfs.comet.api import VERSION
from cometfs.render import tables as csv
from cometfs.render import text
from cometfs.render.pictures.plots import DRAWN_BY
from cometfs.vfs.layout.experiment import EXPERIMENT
from cometfs.vfs.layout.guide import of_mount, of_project
from cometfs.vfs.layout.rendering import (
    always,
    api_file,
    chart_svg,
    overview_page,
    url_text,
    whole_answer,
)
from cometfs.vfs.layout.versioned import versions_of
from cometfs.vfs.layout.views import VIEWS, metric_words
from cometfs.vfs.schema import names
from cometfs.vfs.schema.changes import Movable
from cometfs.vfs.schema.declaration import Dir, File, ForEach, Link, Source
from cometfs.vfs.sources import experiment, kv_store, parameters, project_tables, versioned
from cometfs.vfs.sources.experiment import account_lease, listing_lease

STATUS = PurePath(".cometfs", "status.json")
"""Where a mount reports on itself: calls and cache."""

ERRORS = PurePath(".cometfs", "errors.log")
"""Where it lists what failed."""

CHART_CSV = File(
    "",
    project_tables.CHART,
    lambda chart: csv.chart(chart.series(), [f"{name}: {why}" for name, why in chart.errors.items()]),
    "one metric of all experiments, aligned on step, a column for each: 1 call for every 100",
    sdk=("experiment_metrics_for_chart",),
    slow=True,
)
CHART_SVG = File("", project_tables.CHART, chart_svg, "the same as a picture", slow=True, made_by=DRAWN_BY)


# -- Projects and above ------------------------------------------------------------------------------------------------


def _experiments(source: Source, label: str, *, archived: bool) -> ForEach:
    return ForEach(
        source,
        experiment.directories,
        experiment.at_experiment,
        always(EXPERIMENT),
        label,
        () if archived else (EXPERIMENT,),
        movable=Movable(archived),
    )


ARCHIVED = Dir(
    "archived",
    (_experiments(experiment.ARCHIVED, "<experiment>, in the same shape", archived=True),),
    listing_lease,
    means_it=True,
)

TABLES = (
    File(
        "experiments.csv",
        project_tables.RECORDS,
        lambda records: csv.experiments(project_tables.TableRows(records)),
        "a row for each experiment: state, times, tags, parameters, others, metrics; asked in batches",
        slow=True,
    ),
    File(
        "experiments.jsonl",
        project_tables.RECORDS,
        lambda records: csv.experiments_lines(project_tables.TableRows(records)),
        "the same as JSON, an object a line: numbers, lists and null as such; NaN of a metric is null, too",
        slow=True,
    ),
    File(
        "overview.html",
        project_tables.OVERVIEW,
        overview_page,
        "a page for the browser: experiments to sort and filter, charts, links to the files",
        slow=True,
    ),
)

SUMMARY = Dir("summary", TABLES, listing_lease)


def _link_to(entry: File) -> Link:
    """A table where people look for it. A link has a size of its own, so that `ls -l` of the project makes no table."""
    path = f"{SUMMARY.name}/{entry.name}"
    return Link(entry.name, lambda _at: 0, lambda _at: path, f"a link to `{path}`")


PROJECT = Dir(
    "",
    (
        File(
            "project.json",
            None,
            lambda at: whole_answer(at.project),
            "description, owner, number of experiments",
            sdk=("project_metadata",),
        ),
        File("url.txt", None, url_text, "its page at Comet"),
        File("README.md", None, of_project, "what is here and what it costs to read"),
        File(
            "notes.md",
            experiment.NOTES,
            text.text,
            "the project's notes",
            sdk=("project_notes",),
        ),
        SUMMARY,
        *map(_link_to, TABLES),
        Dir(
            "charts",
            (
                ForEach(
                    parameters.COLUMNS,
                    lambda words: names.of_metrics(words, ".csv"),
                    project_tables.at_word,
                    always(CHART_CSV),
                    "<metric>.csv",
                    (CHART_CSV,),
                    metric_words,
                ),
                ForEach(
                    parameters.COLUMNS,
                    lambda words: names.of_metrics(words, ".svg"),
                    project_tables.at_word,
                    always(CHART_SVG),
                    "<metric>.svg",
                    (CHART_SVG,),
                    metric_words,
                ),
            ),
            listing_lease,
        ),
        Dir(
            ".api",
            (
                api_file("project_metadata", experiment.PROJECT),
                api_file("project_notes", experiment.NOTES),
                api_file("experiments_by_project_id", experiment.EXPERIMENTS),
                api_file("experiments_by_project_name", experiment.EXPERIMENTS),
            ),
            listing_lease,
        ),
        VIEWS,
        ARCHIVED,
        _experiments(experiment.EXPERIMENTS, "<experiment>", archived=False),
    ),
    listing_lease,
    "a project",
    means_it=True,
)


WORKSPACE = Dir(
    "",
    (
        File("url.txt", None, url_text, "its page at Comet"),
        Dir(".api", (api_file("projects", experiment.PROJECTS),), listing_lease),
        versions_of(
            ".artifacts", versioned.ARTIFACTS, versioned.ARTIFACT, versioned.ARTIFACT_FILES, "alias", "an artifact"
        ),
        versions_of(
            ".models", versioned.MODELS, versioned.MODEL, versioned.MODEL_FILES, "stages", "a registered model"
        ),
        ForEach(
            experiment.PROJECTS,
            lambda rows: names.of_keyed([(row["projectName"], row["projectId"]) for row in rows]),
            experiment.at_project,
            always(PROJECT),
            "<project>",
            (PROJECT,),
        ),
    ),
    listing_lease,
    "a workspace",
    means_it=True,
)


def tree(workspaces: Sequence[str] = ()) -> Dir:
    """The root: the workspaces that the key can see, or just those named (Comet does not list public ones)."""

    named = list(workspaces)
    source = None if named else experiment.WORKSPACES
    children = ForEach(
        source,
        names.of_words,
        experiment.at_workspace,
        always(WORKSPACE),
        "<workspace>",
        (WORKSPACE,),
        (lambda _at: named) if named else list,
    )
    raw = Dir(
        ".api",
        (
            api_file("workspaces", source, (lambda _at: whole_answer(named)) if named else whole_answer),
            api_file("get_version", None, lambda _at: whole_answer(VERSION)),
        ),
        account_lease,
    )
    readme = File("README.md", None, lambda _at: guide, "what is here and what it costs to read", sdk=("get",))
    status = File(
        STATUS.name,
        experiment.STATUS,
        whole_answer,
        "calls used and left, by endpoint and program; the cache. In no listing: it would differ from every copy",
        listed=False,
    )
    failures = File(
        ERRORS.name,
        experiment.FAILURES,
        text.lines,
        "the last 200 errors: time, errno, pid, program, path, reason, with tabs between them. In no listing, either",
        listed=False,
    )
    metrics = File(
        "metrics",
        experiment.METRICS,
        text.text,
        "what the mount counts and measures, in Prometheus's format: see `cometfs help metrics`. In no listing, either",
        listed=False,
    )
    mount = Dir(STATUS.parent.name, (status, failures, metrics, kv_store.DIRECTORY), account_lease)
    root = Dir("", (readme, raw, mount, children), account_lease, means_it=True)
    guide = of_mount(root)
    return root
