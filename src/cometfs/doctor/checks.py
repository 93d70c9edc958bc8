"""The table of what is asked of an account: endpoint, question, expected form, and what the mount does without it.

Not here: the order of asking (survey.py), how answers are judged (findings.py), what they tell beyond their form
(open_questions.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cometfs.comet.answers.models import Asset, Chart, Experiment, GitMetadata, Point, Project, SystemDetails, Value
from cometfs.comet.answers.workspace_models import Artifact, Column, ExperimentModel, RegisteredModel
from cometfs.doctor import open_questions, questions
from cometfs.doctor.asking import Answer
from cometfs.doctor.open_questions import Seen
from cometfs.doctor.questions import Ask
from cometfs.doctor.shapes.forms import Form
from cometfs.doctor.subjects import ASSETS, EVERY_POINT, PAGE, Subject


class About(StrEnum):
    """What a check is about, and so how often it is made."""

    ACCOUNT = "account"
    WORKSPACE = "workspace"
    PROJECT = "project"
    """The smallest and the largest."""
    EXPERIMENT = "experiment"
    """One of each of these projects."""
    ONCE = "once"
    """One experiment of the largest project."""


Look = Callable[[Subject, Answer], Seen | None]

BYTES: Form = None
"""The form of what is no JSON."""


@dataclass(frozen=True)
class Check:
    """A question to a Comet."""

    about: About
    endpoint: str
    question: str
    """What it is for, in words of the mount."""
    ask: Ask
    form: Form
    instead: str
    """What the mount does where it gets no answer."""
    lacking: bool = False
    """Whether the mount can do without: what is missing is not asked for again for a day."""
    only: bool = False
    """Whether nothing has the same: what only fails, for now, is asked for again then."""
    look: Look | None = None
    """What an answer of the right form tells beyond it."""
    name: str = ""
    """Where two checks ask the same endpoint."""

    @property
    def title(self) -> str:
        return self.name or self.endpoint


CHART: Form = {"experiments": dict[str, Chart]}

EXPERIMENTS: Form = {"experiments": list[Experiment]}

POINTS: Form = {"metrics": list[Point]}

VALUES: Form = {"values": list[Value]}

NOT_ASKED = "nothing is lost: no mount asks for it"


def _file(what: str, shown: str, form: Form, about: About = About.EXPERIMENT, look: Look | None = None) -> Check:
    """A check of an endpoint below ``experiment/`` that has a file or files of its own."""
    instead = f"{shown} cannot be read"
    return Check(about, f"experiment/{what}", shown, questions.of_experiment(what), form, instead, look=look)


CHECKS: tuple[Check, ...] = (
    Check(
        *(About.ACCOUNT, "account-details", "the user and the default workspace"),
        questions.everything("account-details"),
        {"userName": str, "defaultWorkspaceName": str | None},
        NOT_ASKED,
    ),
    Check(
        *(About.ACCOUNT, "workspaces", "the root of the mount"),
        questions.everything("workspaces"),
        {"workspaceNames": list[str]},
        "it needs --workspace, for each workspace",
    ),
    Check(
        *(About.WORKSPACE, "projects", "the directories of a workspace"),
        questions.of_workspace("projects", "workspaceName"),
        {"projects": list[Project]},
        "nothing of the workspace is shown",
    ),
    Check(
        *(About.PROJECT, "experiments", "the directories of a project"),
        questions.of_project("experiments", archived="false"),
        EXPERIMENTS,
        "it is listed page by page",
        look=open_questions.is_whole,
    ),
    Check(
        *(About.PROJECT, "experiments", "a page of a listing"),
        questions.of_project("experiments", archived="false", page="1", size="1", sortBy="startTime", sortOrder="asc"),
        EXPERIMENTS,
        "a listing that is too long for one answer cannot be read",
        look=open_questions.is_a_page,
        name=PAGE,
    ),
    Check(
        *(About.PROJECT, "project", "one project"),
        questions.of_project("project"),
        Project,
        "the row of the listing is shown",
    ),
    Check(
        *(About.PROJECT, "project/notes", "notes.md"),
        questions.of_project("project/notes"),
        {"notes": str | None},
        "notes.md cannot be read",
    ),
    Check(
        *(About.PROJECT, "project/column-names", "names of a project's metrics and parameters"),
        questions.of_project("project/column-names"),
        {"columns": list[Column]},
        "summary/, charts/ and views/best/ are errors; experiments can be read",
        lacking=True,
        only=True,
    ),
    Check(
        *(About.PROJECT, "project/query", "which experiments have a tag, a parameter or a metric"),
        questions.query,
        {"experimentKeys": list[str]},
        "each experiment is asked for its tags, parameters and metrics",
        lacking=True,
    ),
    Check(
        *(About.EXPERIMENT, "experiment/metadata", "one experiment"),
        questions.of_experiment("metadata"),
        Experiment,
        "the row of the listing is shown",
    ),
    _file("tags", "tags.txt", {"tags": list[str]}),
    _file("parameters", "params.json", VALUES),
    _file("log-other", "others.json", VALUES),
    _file("metrics/summary", "metrics.json", VALUES),
    Check(
        *(About.EXPERIMENT, EVERY_POINT, "all points of an experiment in one call"),
        questions.of_experiment("metrics/get-all"),
        POINTS,
        "each metric is asked for by itself: a call for each file in metrics/",
        lacking=True,
    ),
    Check(
        *(About.EXPERIMENT, "experiment/metrics/get-metric", "the points of one metric"),
        questions.one_metric,
        POINTS,
        "all metrics are asked for in one answer",
    ),
    Check(
        *(About.EXPERIMENT, "experiments/multi-metric-chart", "points of many experiments in one call"),
        questions.chart_of_metric,
        CHART,
        "each experiment is asked by itself",
        lacking=True,
        look=open_questions.is_full,
    ),
    Check(
        *(About.EXPERIMENT, ASSETS, "assets/, images/ and all that is made of assets"),
        questions.of_experiment("asset/list", type="all"),
        {"assets": list[Asset]},
        "no assets are shown",
    ),
    _file("output", "output.txt", {"output": str | None}, look=open_questions.length_of_output),
    _file("code", "code.py", {"code": str | None}),
    _file("graph", "graph.txt", {"graph": str | None}),
    _file("html", "report.html", {"html": str | None}),
    _file("system-details", "system.json and requirements.txt", SystemDetails),
    Check(
        *(About.ONCE, "experiments/search", "whole columns in one call"),
        questions.search,
        {"experiments": list[dict[str, Any]]},
        "tables of projects cost more calls",
        lacking=True,
        look=open_questions.fields_of_search,
    ),
    Check(
        *(About.ONCE, "experiments/multi-metric-chart", f"a metric of up to {open_questions.TOGETHER} experiments"),
        questions.chart_of_many,
        CHART,
        "fewer experiments are asked for together",
        look=open_questions.charts_of_many,
        name=open_questions.MANY,
    ),
    Check(
        *(About.ONCE, "experiments/multi-metric-chart", "parameters of many experiments in one call"),
        questions.chart_of_parameters,
        CHART,
        "each experiment is asked for its parameters",
        look=open_questions.parameters_of_chart,
        name=open_questions.PARAMETERS,
    ),
    Check(
        *(About.ONCE, "experiment/asset/get-by-name", "an asset by its name"),
        questions.named_asset,
        {"assets": list[Asset]},
        "the list of assets is searched",
        lacking=True,
    ),
    Check(
        *(About.ONCE, "experiment/asset/get-asset", "the bytes of assets"),
        questions.bytes_of_asset,
        BYTES,
        "no file of assets/ can be read",
        look=open_questions.bytes_came,
    ),
    _file("git/metadata", "git/metadata.json", GitMetadata, About.ONCE),
    _file("git/patch", "git/diff.patch", BYTES, About.ONCE),
    _file("model", "models/", {"models": list[ExperimentModel]}, About.ONCE),
    Check(
        *(About.ONCE, "artifacts/get-all", "the artifacts of a workspace"),
        questions.of_workspace("artifacts/get-all", "workspace"),
        {"artifacts": list[Artifact]},
        "the directory of artifacts cannot be read",
    ),
    Check(
        *(About.ONCE, "registry-model", "the registered models of a workspace"),
        questions.of_workspace("registry-model", "workspaceName"),
        {"registryModels": list[RegisteredModel]},
        "the directory of registered models cannot be read",
    ),
    Check(
        *(About.ONCE, "panel/store", "the key-value store"),
        questions.everything("panel/store"),
        {"store": str | None},
        ".cometfs/store/ is an error, all else works",
        lacking=True,
        only=True,
    ),
)
