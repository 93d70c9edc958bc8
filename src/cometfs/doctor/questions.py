"""The questions of the checks: functions of a `Subject`, which give None where there is nothing to ask about.

Not here: which check asks what (checks.py).
"""

from __future__ import annotations

from collections.abc import Callable

from cometfs.comet.question import Question, about
from cometfs.doctor import open_questions
from cometfs.doctor.subjects import Subject, text

Ask = Callable[[Subject], Question | None]


def of_experiment(what: str, **more: str) -> Ask:
    return lambda subject: about(subject.key, what, **more)


def of_project(endpoint: str, **more: str) -> Ask:
    return lambda subject: Question(endpoint, {"projectId": subject.project_id, **more})


def of_workspace(endpoint: str, name: str) -> Ask:
    return lambda subject: Question(endpoint, {name: subject.workspace})


def everything(endpoint: str) -> Ask:
    return lambda _subject: Question(endpoint)


def query(subject: Subject) -> Question:
    body = {
        "workspaceName": subject.workspace,
        "projectName": text(subject.project, "projectName"),
        "archived": False,
        "predicates": [],
    }
    return Question("project/query", body=body)


def search(subject: Subject) -> Question:
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


def one_metric(subject: Subject) -> Question | None:
    name, _ = subject.longest_metric()
    return about(subject.key, "metrics/get-metric", metricName=name) if name else None


def chart_of_metric(subject: Subject) -> Question | None:
    name, _ = subject.longest_metric()
    return _chart([subject.key], metrics=[name]) if name else None


def chart_of_many(subject: Subject) -> Question | None:
    name, _ = subject.longest_metric()
    keys = open_questions.keys_together(subject)
    return _chart(keys, metrics=[name]) if name and len(keys) > 1 else None


def chart_of_parameters(subject: Subject) -> Question | None:
    """Of one that the experiment has, and of one that it lacks."""
    name = open_questions.a_parameter(subject)
    return _chart([subject.key], params=[name, open_questions.LACKED]) if name else None


def _chart(keys: list[str], **more: list[str]) -> Question:
    wanted = {"targetedExperiments": keys, "metrics": [], "params": [], **more}
    return Question("experiments/multi-metric-chart", body=wanted | {"independentMetrics": True, "fetchFull": True})


def named_asset(subject: Subject) -> Question | None:
    name = text(subject.smallest_asset(), "fileName")
    return about(subject.key, "asset/get-by-name", assetName=name) if name else None


def bytes_of_asset(subject: Subject) -> Question | None:
    found = text(subject.smallest_asset(), "assetId")
    return about(subject.key, "asset/get-asset", assetId=found, allow301="true") if found else None
