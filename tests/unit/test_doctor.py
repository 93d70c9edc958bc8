"""The doctor's judgement: forms, redaction, what counts as missing, clocks, storages."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from cometfs.comet.answers.models import Asset, Project
from cometfs.comet.calls import Open
from cometfs.comet.missing import FILE, HOLDS, KnownGate, Missing, read_missing, write_missing
from cometfs.comet.question import Question, refusal
from cometfs.doctor import open_questions
from cometfs.doctor.asking import CALLS, Answer
from cometfs.doctor.checks import CHECKS, About, Check, Look
from cometfs.doctor.clock import offset
from cometfs.doctor.findings import Finding, Result, judged, unusable
from cometfs.doctor.shapes.forms import compared
from cometfs.doctor.shapes.redaction import names_in, outline
from cometfs.doctor.storage import with_storage
from cometfs.doctor.subjects import PAGE, WORKSPACES, Subject, chosen
from cometfs.errors import Unsupported

ASSET = {"assetId": "a", "fileName": "x", "fileSize": 3, "remote": False}


@pytest.mark.parametrize(
    ("value", "form", "differences"),
    [
        ({"assets": [ASSET]}, {"assets": list[Asset]}, []),
        ({"assets": None}, {"assets": list[Asset]}, []),
        (
            {"assets": [{**ASSET, "fileSize": "3"}]},
            {"assets": list[Asset]},
            ["assets.fileSize is text instead of a whole number or null"],
        ),
        (
            {"assets": [{**ASSET, "fileSize": True}]},
            {"assets": list[Asset]},
            ["assets.fileSize is true or false instead of a whole number or null"],
        ),
        ({"assets": [{"fileName": "x"}]}, {"assets": list[Asset]}, ["assets.assetId is missing"]),
        ({"assets": {}}, {"assets": list[Asset]}, ["assets is an object instead of a list"]),
        ([], {"assets": list[Asset]}, ["it is a list instead of an object"]),
        ({}, {"html": str | None}, []),
        ({"tags": ["a", 1]}, {"tags": list[str]}, ["tags is a whole number instead of text"]),
        ({"projectId": "p", "projectName": "n", "lastUpdated": 1.5}, Project, []),
        (
            {"secret name": {"projectId": 3, "projectName": "n"}},
            dict[str, Project],
            ["projectId is a whole number instead of text"],
        ),
    ],
)
def test_an_answer_is_compared_with_its_form(value: Any, form: Any, differences: list[str]) -> None:
    assert list(compared(value, form).differences) == differences


def test_new_and_left_out_fields_are_no_difference() -> None:
    found = compared({"assets": [{**ASSET, "pinned": True}]}, {"assets": list[Asset]})
    assert (found.differences, found.new) == ({}, {"assets.pinned"})
    assert {"assets.link", "assets.step"} < found.left_out


def test_what_differs_often_is_counted() -> None:
    rows = [{**ASSET, "step": "1"}] * 5
    assert compared({"assets": rows}, {"assets": list[Asset]}).differences.total() == 5


secrets = st.text(st.characters(codec="utf-8"), min_size=3).map(lambda text: f"secret{text}")
values = st.recursive(
    secrets | st.integers(min_value=10**6) | st.none() | st.booleans(),
    lambda inner: st.lists(inner) | st.dictionaries(secrets | st.just("fileName"), inner),
)


@given(values)
def test_an_outline_has_nothing_of_what_it_describes(value: Any) -> None:
    """No text, no number, no name of a field that is not Comet's own."""
    shown = json.dumps(outline([value], names_in(Asset)))
    assert "secret" not in shown
    assert max((int(part) for part in shown.replace('"', " ").split() if part.isdigit()), default=0) < 10**6


def finding(endpoint: str, status: int, body: bytes = b"", where: str = "") -> Finding:
    question = Question(endpoint)
    error = refusal(question, status, body) if status != 200 else None
    check = next(check for check in CHECKS if check.endpoint == endpoint)
    return judged(check, Subject(where), Answer(question, status, {}, body, error=error))


GOOD = [finding("workspaces", 200, b'{"workspaceNames": []}'), finding("account-details", 200, b'{"userName": "u"}')]
GET_ALL = "experiment/metrics/get-all"
POINTS = b'{"metrics": []}'


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        ([finding(GET_ALL, 404), *GOOD], {GET_ALL}),
        ([finding(GET_ALL, 404, b'{"msg": "no such thing", "code": 404}'), *GOOD], {GET_ALL}),
        ([finding(GET_ALL, 405), *GOOD], {GET_ALL}),
        ([finding(GET_ALL, 504), finding(GET_ALL, 504), *GOOD], {GET_ALL}),
        ([finding(GET_ALL, 200, POINTS), finding(GET_ALL, 504), *GOOD], set()),
        ([finding(GET_ALL, 403), *GOOD], set()),
        ([finding(GET_ALL, 429), *GOOD], set()),
        ([finding(GET_ALL, 200, b"<html>"), *GOOD], set()),
        ([finding("experiment/tags", 404), *GOOD], set()),
        ([finding("project/column-names", 404), *GOOD], {"project/column-names"}),
        ([finding("project/column-names", 504), *GOOD], set()),
        ([finding("panel/store", 502), *GOOD], set()),
        ([finding(GET_ALL, 502), finding("workspaces", 502)], set()),
    ],
)
def test_only_what_always_fails_and_can_be_done_without_counts_as_missing(
    found: list[Finding], missing: set[str]
) -> None:
    """Not what is refused, what fails for the larger project alone or has no other way, and nothing where the server
    is away."""
    assert unusable(found) == missing


@pytest.mark.parametrize(
    ("status", "body", "result", "words"),
    [
        (200, POINTS, Result.OK, ""),
        (
            200,
            b'{"metrics": [{"metricName": 3}]}',
            Result.DIFFERS,
            "metrics.metricName is a whole number instead of text",
        ),
        (
            200,
            b'{"metrics": [{"metricName": NaN}]}',
            Result.DIFFERS,
            "it is JSON that strict readers refuse, metrics.metricName is a number instead of text",
        ),
        (200, b'{"metrics": [{"metricName": "\\ud800"}]}', Result.DIFFERS, "it is JSON that strict readers refuse"),
        (200, b"\xff", Result.DIFFERS, "no JSON came, but something else"),
        (200, b"[" * 100_000, Result.DIFFERS, "no JSON came, but something else"),
        (200, b"<html>", Result.DIFFERS, "no JSON came, but something else"),
        (302, b"", Result.REFUSED, "redirected (302)"),
        (401, b"", Result.REFUSED, "answered 401: the key is not accepted"),
        (403, b'{"msg": "secret name"}', Result.REFUSED, "answered 403: not allowed to this key"),
        (404, b"", Result.MISSING, "answered 404"),
        (429, b"", Result.REFUSED, "answered 429: no more calls for now"),
        (504, b"", Result.REFUSED, "answered 504"),
    ],
)
def test_an_answer_has_one_of_four_results(status: int, body: bytes, result: Result, words: str) -> None:
    """With words of our own: a server's may be private."""
    question = Question(GET_ALL)
    error = None if status in (200, 302) else refusal(question, status, body)
    check = next(check for check in CHECKS if check.endpoint == GET_ALL)
    found = judged(check, Subject(""), Answer(question, status, {}, body, error=error))
    assert (found.result, found.words) == (result, words)
    assert bool(found.instead) == (result is not Result.OK)


def test_the_table_fits_into_the_calls_that_are_promised() -> None:
    """Two projects, every storage and workspace, and a few calls for what is asked twice."""
    times = {About.WORKSPACE: WORKSPACES, About.PROJECT: 2, About.EXPERIMENT: 2}
    version_and_storage = 2
    assert version_and_storage + sum(times.get(check.about, 1) for check in CHECKS) <= CALLS - 1


def test_titles_of_checks_are_unique_and_each_says_what_is_done_instead() -> None:
    titles = [check.title for check in CHECKS]
    assert len(set(titles)) == len(titles)
    assert [check.title for check in CHECKS if not (check.instead and check.question)] == []


def test_the_ends_of_an_account_are_chosen() -> None:
    """Projects without experiments are none of them; one project is asked once."""
    rows = [
        ("w", {"projectName": name, "numberOfExperiments": count}) for name, count in (("a", 3), ("b", 0), ("c", 9))
    ]
    assert [(one.where, one.project["projectName"]) for one in chosen(rows)] == [
        ("smallest project", "a"),
        ("largest project", "c"),
    ]
    assert [one.where for one in chosen(rows[:2])] == [""]
    assert chosen(rows[1:2]) == []


def test_missing_is_kept_for_a_day(tmp_path: Path) -> None:
    write_missing(tmp_path, {GET_ALL})
    found = read_missing(tmp_path)
    assert found.endpoints == {GET_ALL}
    assert found.holds(time.time())
    assert not found.holds(found.found_at + HOLDS)
    assert not found.holds(found.found_at - 1)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("content", [b"", b"nonsense", b'{"endpoints": 3}', b"\xff"])
def test_what_cannot_be_read_is_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert read_missing(tmp_path) == Missing()


async def test_a_gate_refuses_what_is_missing_until_the_day_is_over() -> None:
    now = 1000.0
    gate = KnownGate(Open(), Missing(now, frozenset({GET_ALL})), lambda: now)
    await gate.admit("workspaces")
    with pytest.raises(Unsupported, match="lacks experiment/metrics/get-all, as 'cometfs doctor --account' has found"):
        await gate.admit(GET_ALL)
    now += HOLDS
    await gate.admit(GET_ALL)
    await trio.lowlevel.checkpoint()


def test_the_clock_of_a_server_is_compared() -> None:
    """By the middle of the call; ``Date`` has whole seconds."""
    answers = [Answer(Question("x"), 200, {"date": "Thu, 01 Jan 1970 00:10:00 GMT"}, seconds=2.0, at=501.0)]
    assert offset(answers) == pytest.approx(100.5)
    assert offset([Answer(Question("x"), 200)]) is None


@pytest.mark.parametrize(
    ("storage", "result", "words"),
    [
        (
            Answer(Question("x"), 206, {"etag": '"e"'}),
            Result.OK,
            "takes Range and names an ETag; its links hold for 900 s",
        ),
        (Answer(Question("x"), 200), Result.OK, "does not take Range and names no ETag; its links hold for 900 s"),
        (Answer(Question("x"), 403), Result.DIFFERS, "its storage answered 403"),
        (Answer(Question("x")), Result.DIFFERS, "its storage cannot be reached"),
    ],
)
def test_a_storage_is_described_without_its_link(storage: Answer, result: Result, words: str) -> None:
    question = Question("experiment/asset/get-asset")
    check: Check = next(check for check in CHECKS if check.endpoint == question.endpoint)
    redirect = Answer(question, 302, {"location": "https://secret.example/b/k?X-Amz-Expires=900&X-Amz-Signature=s"})
    found = with_storage(judged(check, Subject(""), redirect), storage)
    assert found.result is result
    assert found.words.endswith(words)
    assert "secret" not in found.words


def about_one(**answers: Any) -> Subject:
    """An experiment "k" with one metric of 600 points and one parameter, and what other checks answered."""
    points = [{"metricName": "m", "metricValue": "1"}] * 600
    usual = {
        GET_ALL: {"metrics": points},
        "experiment/metrics/get-metric": {"metrics": points},
        "experiment/parameters": {"values": [{"name": "lr", "valueCurrent": "0.1"}]},
    }
    experiments = [{"experimentKey": "k"}, {"experimentKey": "other"}]
    found = Subject("", experiment=experiments[0], answers=usual | answers)
    found.answers["experiments"] = {"experiments": experiments}
    return found


def chart_of(count: int = 0, params: Any = None) -> Any:
    return {"experiments": {"k": {"metrics": [{"metricName": "m", "values": [1.0] * count}], "params": params}}}


ANSWER = Answer(Question("experiments/multi-metric-chart"), 200)


@pytest.mark.parametrize(
    ("look", "answers", "fits", "words"),
    [
        (open_questions.is_full, {ANSWER.question.endpoint: chart_of(600)}, True, "all 600 points of a metric"),
        (open_questions.is_full, {ANSWER.question.endpoint: chart_of(501)}, False, "501 of 600 points came"),
        (open_questions.is_full, {ANSWER.question.endpoint: {"experiments": {}}}, False, "0 of 600 points came"),
        (open_questions.is_full, {ANSWER.question.endpoint: {"experiments": []}}, False, "0 of 600 points came"),
        (
            open_questions.charts_of_many,
            {ANSWER.question.endpoint: chart_of(600), open_questions.MANY: chart_of(600)},
            True,
            "2 experiments in one answer",
        ),
        (
            open_questions.charts_of_many,
            {ANSWER.question.endpoint: chart_of(600), open_questions.MANY: chart_of(300)},
            False,
            "300 of 600 points came among others",
        ),
        (
            open_questions.parameters_of_chart,
            {open_questions.PARAMETERS: chart_of(params={"lr": "0.1"})},
            True,
            "the same value as when asked alone",
        ),
        (
            open_questions.parameters_of_chart,
            {open_questions.PARAMETERS: chart_of(params={"lr": "0.1", open_questions.LACKED: None})},
            False,
            "null for a parameter that is not there",
        ),
        (
            open_questions.parameters_of_chart,
            {open_questions.PARAMETERS: chart_of()},
            False,
            "not the value that came when asked alone",
        ),
        (
            open_questions.is_a_page,
            {PAGE: {"experiments": [{"experimentKey": "k"}, {"experimentKey": "other"}]}},
            False,
            "2 experiments on a page of one",
        ),
    ],
)
def test_what_only_an_account_can_tell_is_told(look: Look, answers: dict[str, Any], fits: bool, words: str) -> None:
    """Whatever came; what does not fit has what the mount does."""
    seen = look(about_one(**answers), ANSWER)
    assert seen is not None
    assert (seen.fits, seen.words) == (fits, words)
    assert bool(seen.instead) == (not fits)


@pytest.mark.parametrize(
    "odd", [None, [], {}, "text", {"experiments": None}, {"experiments": {"k": []}}, {"values": 3}]
)
def test_odd_answers_of_other_checks_are_no_obstacle(odd: Any) -> None:
    """They were found to differ; every question can still be asked and looked at."""
    subject = about_one(**dict.fromkeys([check.title for check in CHECKS], odd))
    for check in CHECKS:
        check.ask(subject)
        if check.look is not None:
            check.look(subject, Answer(Question(check.endpoint), 200, {}, b"{}"))
