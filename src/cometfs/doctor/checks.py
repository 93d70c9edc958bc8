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
from cometfs.comet.question import Question, about
from cometfs.doctor import open_questions
from cometfs.doctor.asking import Answer
from cometfs.doctor.open_questions import Seen
from cometfs.doctor.shapes.forms import Form
from cometfs.doctor.subjects import ASSETS, EVERY_POINT, SUMMARY, Subject, text

PAGE = 1000
"""Experiments of a page, as Comet's own tools ask for them."""


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


BYTES: Form = None
"""The form of what is no JSON."""


@dataclass(frozen=True)
class Check:
    """A question to a Comet."""

    about: About
    endpoint: str
    question: str
    """What it is for, in words of the mount."""
    ask: Callable[[Subject], Question | None]
    """None where there is nothing to ask about."""
    form: Form
    instead: str
    """What the mount does where it gets no answer."""
    lacking: bool = False
    """Whether the mount can do without: what is missing is not asked for again for a day."""
    look: Callable[[Subject, Answer], Seen | None] | None = None
    """What an answer of the right form tells beyond it."""
    name: str = ""
    """Where two checks ask the same endpoint."""

    @property
    def title(self) -> str:
        return self.name or self.endpoint


CHART: Form = {"experiments": dict[str, Chart]}


def _of_experiment(what: str, **more: str) -> Callable[[Subject], Question | None]:
    return lambda subject: about(subject.key, what, **more)


def _of_project(endpoint: str, **more: str) -> Callable[[Subject], Question | None]:
    return lambda subject: Question(endpoint, {"projectId": subject.project_id, **more})


def _of_workspace(endpoint: str, name: str) -> Callable[[Subject], Question | None]:
    return lambda subject: Question(endpoint, {name: subject.workspace})


def _everything(endpoint: str) -> Callable[[Subject], Question | None]:
    return lambda _subject: Question(endpoint)


def _query(subject: Subject) -> Question:
    body = {
        "workspaceName": subject.workspace,
        "projectName": text(subject.project, "projectName"),
        "archived": False,
        "predicates": [],
    }
    return Question("project/query", body=body)


def _search(subject: Subject) -> Question:
    body = {
        "projectId": subject.project_id,
        "viewId": None,
        "rulesTree": {"condition": "AND", "rules": [], "valid": True},
        "limit": 10,
        "page": 1,
        "deleted": False,
        "ignorePinnedExperimentsFirst": True,
        "pinnedOnly": None,
        "multipleSort": None,
        "chainsQueryRules": None,
    }
    return Question("experiments/search", body=body)


def _one_metric(subject: Subject) -> Question | None:
    name, _ = subject.longest_metric()
    return about(subject.key, "metrics/get-metric", metricName=name) if name else None


def _chart(metrics: bool, parameters: bool, full: bool) -> Callable[[Subject], Question | None]:
    def ask(subject: Subject) -> Question | None:
        name, _ = subject.longest_metric()
        parameter = open_questions.a_parameter(subject)
        if (metrics and not name) or (parameters and not parameter):
            return None
        body = {
            "targetedExperiments": [subject.key],
            "metrics": [name] if metrics else [],
            "params": [parameter] if parameters else [],
            "independentMetrics": True,
            "fetchFull": full,
        }
        return Question("experiments/multi-metric-chart", body=body)

    return ask


def _named_asset(subject: Subject) -> Question | None:
    name = text(subject.smallest_asset(), "fileName")
    return about(subject.key, "asset/get-by-name", assetName=name) if name else None


def _bytes_of_asset(subject: Subject) -> Question | None:
    found = text(subject.smallest_asset(), "assetId")
    return about(subject.key, "asset/get-asset", assetId=found, allow301="true") if found else None


NOTHING = "nothing works without it"
UNREADABLE = "reading the file is an error"
EMPTY_FILE = "the file cannot be read; all others can"

CHECKS: tuple[Check, ...] = (
    Check(
        About.ACCOUNT,
        "account-details",
        "the user and the default workspace",
        _everything("account-details"),
        {"userName": str, "defaultWorkspaceName": str | None},
        "nothing is lost: the mount does not ask for it",
    ),
    Check(
        About.ACCOUNT,
        "workspaces",
        "the root of the mount",
        _everything("workspaces"),
        {"workspaceNames": list[str]},
        "only workspaces that --workspace names are shown",
    ),
    Check(
        About.WORKSPACE,
        "projects",
        "the directories of a workspace",
        _of_workspace("projects", "workspaceName"),
        {"projects": list[Project]},
        NOTHING,
    ),
    Check(
        About.PROJECT,
        "experiments",
        "the directories of a project",
        _of_project("experiments", archived="false"),
        {"experiments": list[Experiment]},
        NOTHING,
        look=open_questions.is_whole,
    ),
    Check(
        About.PROJECT,
        "project",
        "the description of a project",
        _of_project("project"),
        Project,
        "the row of the listing is shown",
    ),
    Check(
        About.PROJECT,
        "project/notes",
        "notes.md",
        _of_project("project/notes"),
        {"notes": str | None},
        EMPTY_FILE,
    ),
    Check(
        About.PROJECT,
        "project/column-names",
        "the names of a project's metrics, parameters and others",
        _of_project("project/column-names"),
        {"columns": list[Column]},
        "each experiment is asked by itself, and tables of projects cost more calls",
        lacking=True,
    ),
    Check(
        About.PROJECT,
        "project/query",
        "which experiments have a tag, a parameter or a metric",
        _query,
        {"experimentKeys": list[str]},
        "each experiment is asked for its tags and parameters",
        lacking=True,
    ),
    Check(
        About.EXPERIMENT,
        "experiment/metadata",
        "metadata.json, and whether it runs",
        _of_experiment("metadata"),
        Experiment,
        "the row of the listing is shown",
    ),
    Check(About.EXPERIMENT, "experiment/tags", "tags.json", _of_experiment("tags"), {"tags": list[str]}, UNREADABLE),
    Check(
        About.EXPERIMENT,
        "experiment/parameters",
        "params.json",
        _of_experiment("parameters"),
        {"values": list[Value]},
        UNREADABLE,
    ),
    Check(
        About.EXPERIMENT,
        "experiment/log-other",
        "others.json",
        _of_experiment("log-other"),
        {"values": list[Value]},
        UNREADABLE,
    ),
    Check(
        About.EXPERIMENT,
        SUMMARY,
        "metrics.json, and the names in metrics/",
        _of_experiment("metrics/summary"),
        {"values": list[Value]},
        "metrics/ cannot be listed",
    ),
    Check(
        About.EXPERIMENT,
        EVERY_POINT,
        "all points of an experiment in one call",
        _of_experiment("metrics/get-all"),
        {"metrics": list[Point]},
        "each metric is asked for by itself: a call for each file in metrics/",
        lacking=True,
    ),
    Check(
        About.EXPERIMENT,
        "experiment/metrics/get-metric",
        "the points of one metric",
        _one_metric,
        {"metrics": list[Point]},
        "the points come from the answer for all metrics, if there is one",
    ),
    Check(
        About.EXPERIMENT,
        "experiments/multi-metric-chart",
        "points of many experiments in one call",
        _chart(metrics=True, parameters=False, full=True),
        CHART,
        "each experiment is asked by itself",
        lacking=True,
        look=open_questions.is_full,
    ),
    Check(
        About.EXPERIMENT,
        ASSETS,
        "assets/, images/ and all that is made of assets",
        _of_experiment("asset/list"),
        {"assets": list[Asset]},
        "these directories cannot be listed",
    ),
    Check(
        About.EXPERIMENT,
        "experiment/output",
        "output.txt",
        _of_experiment("output"),
        {"output": str | None},
        EMPTY_FILE,
        look=open_questions.length_of_output,
    ),
    Check(
        About.EXPERIMENT,
        "experiment/code",
        "the script",
        _of_experiment("code"),
        {"code": str | None},
        EMPTY_FILE,
    ),
    Check(
        About.EXPERIMENT,
        "experiment/graph",
        "the graph of the model",
        _of_experiment("graph"),
        {"graph": str | None},
        EMPTY_FILE,
    ),
    Check(
        About.EXPERIMENT,
        "experiment/html",
        "the report",
        _of_experiment("html"),
        {"html": str | None},
        EMPTY_FILE,
    ),
    Check(
        About.EXPERIMENT,
        "experiment/system-details",
        "machine, packages and environment",
        _of_experiment("system-details"),
        SystemDetails,
        EMPTY_FILE,
    ),
    Check(
        About.ONCE,
        "experiments",
        "a page of a listing",
        _of_project("experiments", archived="false", page="1", size=str(PAGE), sortBy="startTime", sortOrder="asc"),
        {"experiments": list[Experiment]},
        "a listing that is too long for one answer cannot be read",
        name="experiments by page",
    ),
    Check(
        About.ONCE,
        "experiments/search",
        "whole columns in one call",
        _search,
        {"experiments": list[dict[str, Any]]},
        "tables of projects cost more calls",
        lacking=True,
        look=open_questions.fields_of_search,
    ),
    Check(
        About.ONCE,
        "experiments/multi-metric-chart",
        "a sample of points",
        _chart(metrics=True, parameters=False, full=False),
        CHART,
        "nothing is lost: the mount asks for all points",
        look=open_questions.size_of_sample,
        name="a sampled chart",
    ),
    Check(
        About.ONCE,
        "experiments/multi-metric-chart",
        "parameters of many experiments in one call",
        _chart(metrics=False, parameters=True, full=False),
        CHART,
        "each experiment is asked for its parameters",
        look=open_questions.parameters_of_chart,
        name="a chart of parameters",
    ),
    Check(
        About.ONCE,
        "experiment/asset/get-by-name",
        "an asset by its name",
        _named_asset,
        {"assets": list[Asset]},
        "the list of assets is searched",
        lacking=True,
    ),
    Check(
        About.ONCE,
        "experiment/asset/get-asset",
        "the bytes of assets",
        _bytes_of_asset,
        BYTES,
        "no file of assets/ can be read",
        look=open_questions.bytes_came,
    ),
    Check(
        About.ONCE,
        "experiment/git/metadata",
        "git/",
        _of_experiment("git/metadata"),
        GitMetadata,
        EMPTY_FILE,
    ),
    Check(About.ONCE, "experiment/git/patch", "git/diff.patch", _of_experiment("git/patch"), BYTES, EMPTY_FILE),
    Check(
        About.ONCE,
        "experiment/model",
        "models/",
        _of_experiment("model"),
        {"models": list[ExperimentModel]},
        "models/ cannot be listed",
    ),
    Check(
        About.ONCE,
        "artifacts/get-all",
        "the artifacts of a workspace",
        _of_workspace("artifacts/get-all", "workspace"),
        {"artifacts": list[Artifact]},
        "the directory of artifacts cannot be listed",
    ),
    Check(
        About.ONCE,
        "registry-model",
        "the registered models of a workspace",
        _of_workspace("registry-model", "workspaceName"),
        {"registryModels": list[RegisteredModel]},
        "the directory of registered models cannot be listed",
    ),
    Check(
        About.ONCE,
        "panel/store",
        "the key-value store",
        _everything("panel/store"),
        {"store": str | None},
        ".cometfs/store/ is an error, all else works",
        lacking=True,
    ),
)
