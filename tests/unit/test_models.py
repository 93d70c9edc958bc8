"""What Comet answers, read: recorded answers, both spellings, missing and null fields, and what is not Comet at all."""

from __future__ import annotations

import doctest
import json
import math
import re
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, get_type_hints, is_typeddict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometfs import API
from cometfs.comet.answers import models, predicates, series, workspace_models
from cometfs.comet.answers.shapes import Mismatch, Shape, as_text, mending, noting, value_if_any, whole
from cometfs.text.numbers import number_of
from tests.support.mutations import ODD

RECORDED = Path(__file__).parent.parent / "recorded"
"""Answers of the real Comet from 2020, from the tests of its R SDK (MIT)."""


def body(found: Any) -> bytes:
    return json.dumps(found).encode()


def recorded(name: str) -> bytes:
    return (RECORDED / f"{name}.json").read_bytes()


# -- recorded answers --------------------------------------------------------------------------------------------------


def test_recorded_workspaces() -> None:
    """A list of names."""
    assert models.workspaces(recorded("workspaces")) == ["testuser-cometr"]


def test_recorded_projects() -> None:
    """Rows as they are, with the other spelling of `public` and what this server does not know."""
    assert models.projects(recorded("projects-dafb61")) == [
        {
            "projectId": "ebfbbc1212004f92b618d50db41f27f3",
            "projectName": "cometrtestproject",
            "projectDescription": "cometrtestdescription",
            "ownerUserName": "testuser-cometr",
            "workspaceId": None,
            "workspaceName": "testuser-cometr",
            "public": True,
            "isPublic": True,
            "numberOfExperiments": 1,
            "lastUpdated": 1587670596951,
        }
    ]


def test_recorded_experiments() -> None:
    """An old server's row: what it does not tell is None, `running` above all."""
    (row,) = models.experiments(recorded("experiments-1280bb"))
    assert (row["experimentKey"], row["experimentName"]) == ("c352827bcdcb45e3ad40d0decec0b43c", "testexperiment1")
    assert (row["startTimeMillis"], row["endTimeMillis"]) == (1587671932216, 1587671932275)
    assert (row["running"], row["hasCrashed"], row["archived"]) == (None, None, False)
    assert row.keys() == get_type_hints(models.Experiment).keys()


def test_recorded_chart_of_nothing() -> None:
    """No experiment has any of it."""
    assert models.charts(recorded("multi-metric-chart-df83ef-POST")) == {}


RECORDED_SUMMARY = {
    "name": "loss",
    "valueMax": "1.0",
    "valueMin": "8.63224093336612E-4",
    "valueCurrent": "0.5",
    "timestampMax": 1542823695820,
    "timestampMin": 1542823695820,
    "timestampCurrent": 1542823695820,
    "runContextMax": "train",
    "runContextMin": "train",
    "runContextCurrent": "train",
    "stepMax": 0,
    "stepMin": 0,
    "stepCurrent": 0,
}


def test_a_summary_is_passed_on_as_it_is() -> None:
    """Values stay text, digit for digit; what is new in it stays, too."""
    assert models.values(body({"values": [RECORDED_SUMMARY]})) == [RECORDED_SUMMARY]
    newer = {**RECORDED_SUMMARY, "editable": False}
    assert models.values(body({"values": [newer]})) == [newer]


def test_a_point_is_passed_on_as_it_is() -> None:
    """With its nulls and a 64-bit offset below zero."""
    point = {
        "metricName": "val_acc",
        "metricValue": "0.91000000166893",
        "timestamp": 1542738534731,
        "step": 500,
        "epoch": None,
        "runContext": None,
        "offset": -9223372036854775808,
    }
    assert models.points(body({"metrics": [point]})) == [point]


# -- spellings and nulls -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "public"),
    [({"public": True}, True), ({"isPublic": False}, False), ({}, None), ({"public": True, "isPublic": True}, True)],
)
def test_both_spellings_of_public_are_the_same(told: dict[str, bool], public: bool | None) -> None:
    """And both are in the row, whichever came."""
    row = models.PROJECT.read(body({"projectId": "p", "projectName": "n", **told}))
    assert (row["public"], row["isPublic"]) == (public, public)


def test_omitted_nulls_become_nulls() -> None:
    """Old servers leave out what is null; all thirteen fields are there, all the same."""
    (row,) = models.values(body({"values": [{"name": "a", "valueCurrent": "1"}]}))
    assert dict(row) == {**dict.fromkeys(RECORDED_SUMMARY), "name": "a", "valueCurrent": "1"}


def test_the_misspelt_context_is_the_context() -> None:
    """`runConext` on the SDK's page."""
    (row,) = models.assets(body({"assets": [{"assetId": "a", "runConext": "train"}]}))
    assert row["runContext"] == "train"
    assert "runConext" not in row


def test_an_asset_without_an_id_has_it_from_its_link() -> None:
    """As in the example of the SDK's page."""
    link = "https://www.comet.com/api/rest/v2/experiment/asset/get-asset?experimentKey=someKey&assetId=6YZYszn9cO9mhDoY"
    (row,) = models.assets(body({"assets": [{"fileName": "file.py", "link": link}]}))
    assert row["assetId"] == "6YZYszn9cO9mhDoY"


def test_the_command_line_with_the_key_is_left_out() -> None:
    """`curlDownload` holds the API key."""
    (row,) = models.assets(body({"assets": [{"assetId": "a", "curlDownload": "curl -H 'Authorization: secret'"}]}))
    assert "secret" not in str(row)


def test_values_that_are_no_text_become_text() -> None:
    """As JSON writes them."""
    (row,) = models.values(
        body({"values": [{"name": "a", "valueMax": True, "valueMin": 0.1, "valueCurrent": [1, "x"]}]})
    )
    assert (row["valueMax"], row["valueMin"], row["valueCurrent"]) == ("true", "0.1", '[1,"x"]')


@pytest.mark.parametrize(
    ("read", "answers"),
    [
        (models.tags, [{"tags": []}]),
        (models.values, [{"values": []}]),
        (models.points, [{"metrics": None}, {"metrics": []}, {}]),
        (models.projects, [{"projects": []}]),
        (models.experiments, [{"experiments": []}]),
        (models.assets, [{"assets": []}]),
        (workspace_models.registered_models, [{"registryModels": []}, {}]),
    ],
)
def test_every_way_to_say_nothing_is_an_empty_list(read: Callable[[bytes], Any], answers: list[Any]) -> None:
    """Null, missing where it may be, empty."""
    assert [read(body(answer)) for answer in answers] == [[]] * len(answers)


def test_every_way_to_have_no_text_is_none_but_the_empty_one() -> None:
    """An empty text is one."""
    assert [value_if_any(body(answer), "html", str) for answer in ({}, {"html": None}, {"html": ""})] == [
        None,
        None,
        "",
    ]


def test_parameters_of_a_chart_are_text_as_those_of_a_single_answer() -> None:
    """Whatever they are in the JSON; null stays, for that may be one that the experiment lacks."""
    params = {"a": "1", "b": 2.5, "c": True, "d": [1, {"x": None}], "e": None}
    chart = models.charts(body({"experiments": {"k": {"params": params, "metrics": []}}}))["k"]
    assert chart["params"] == {"a": "1", "b": "2.5", "c": "true", "d": '[1,{"x":null}]', "e": None}
    values = [{"name": name, "valueCurrent": value} for name, value in params.items()]
    assert {row["name"]: row["valueCurrent"] for row in models.values(body({"values": values}))} == chart["params"]


def test_numbers_of_a_chart_may_be_text_as_java_writes_it() -> None:
    """One list of numbers comes out."""
    told = {"metricName": "m", "values": [1, 0.5, "8.6E-4", "-Infinity", None, "word"], "steps": list(range(6))}
    chart = models.charts(body({"experiments": {"k": {"metrics": [told]}}}))["k"]
    assert chart["experimentKey"] == "k"
    assert chart["metrics"][0]["values"] == [1, 0.5, 8.6e-4, -math.inf, None, None]
    assert chart["metrics"][0]["steps"] == [0, 1, 2, 3, 4, 5]
    assert chart["metrics"][0]["epochs"] == [None] * 6
    assert models.charts(body({"experiments": {"k": {"metrics": None, "params": {"a": "1"}}}}))["k"]["metrics"] == []
    assert models.charts(body({"experiments": {}, "empty": True})) == {}


def test_a_curve_is_named_by_its_listing_if_it_does_not_name_itself() -> None:
    """And may hold NaN, which Python writes and JSON does not know."""
    asset = models.ASSET.normal({"assetId": "a", "fileName": "listed", "step": 3})
    curve = models.curve(asset, b'{"x": [1, 2], "y": [0.5, NaN]}')
    assert (curve["name"], curve["step"], curve["assetId"], curve["x"]) == ("listed", 3, "a", [1, 2])
    assert math.isnan(curve["y"][1])
    assert models.curve(asset, b'{"x": [], "y": [], "name": "own"}')["name"] == "own"


def test_an_image_has_the_form_of_the_page() -> None:
    """Made from the listing; nothing of the key in it."""
    asset = models.ASSET.normal({"assetId": "a", "fileName": "fig", "step": 3, "runContext": "c", "link": "l"})
    row = models.image("k", asset)
    assert row == {
        "apiKey": None,
        "runId": None,
        "experimentKey": "k",
        "projectId": None,
        "figCounter": None,
        "figName": "fig",
        "step": 3,
        "runContext": "c",
        "fileName": "fig",
        "imagePath": "l",
        "assetId": "a",
        "remote": None,
    }


OWN = "https://www.comet.com/api/rest/v2/experiment/asset/get-asset?assetId=a"


@pytest.mark.parametrize(
    ("row", "remote"),
    [
        ({"link": "s3://b/k", "fileSize": 0}, True),
        ({"link": "S3://b/k", "fileSize": 5}, True),
        ({"link": "file:///k", "fileSize": None}, True),
        ({"link": "https://data.example/k?sig=1", "fileSize": 0}, True),
        ({"link": "https://s3.example/k", "fileSize": 5}, False),
        ({"link": OWN, "fileSize": 0}, False),
        ({"link": None, "fileSize": 0}, None),
        ({"link": "s3://b/k", "fileSize": 0, "remote": False}, False),
        ({"link": OWN, "fileSize": 5, "remote": True}, True),
    ],
)
def test_a_file_of_an_artifact_is_remote_by_its_link(row: dict[str, Any], remote: bool | None) -> None:
    """Where the row does not say it."""
    (found,) = workspace_models.artifact_files(body({"files": [{"assetId": "a", "fileName": "f", **row}]}))
    assert found["remote"] is remote


def test_a_model_has_either_name() -> None:
    """Both are in Comet's own documentation."""
    (row,) = workspace_models.experiment_models(body({"models": [{"experimentModelName": "m", "modelName": None}]}))
    assert row["modelName"] == "m"
    logged = {"version": "1", "experimentModel": {"experimentModelName": "m"}}
    found = workspace_models.registered_model(body({"registryModelName": "r", "versions": [logged]}))
    assert found["modelName"] == "r"
    assert (found["versions"][0]["experimentModel"] or {})["modelName"] == "m"


FORMS = [
    form
    for module in (models, workspace_models)
    for form in vars(module).values()
    if is_typeddict(form) and form.__module__ == module.__name__
]
UNITS = {
    "ms since 1970": re.compile("Millis$|^timestamps?|^createdAt$|^lastUpdated$|^added$"),
    "bytes": re.compile("Size$|Bytes$|Ram$"),
}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: str(form.__name__))
def test_a_form_says_its_units_and_where_it_comes_from(form: type) -> None:
    """Of times and sizes; and the methods that it names are there."""
    text = " ".join((form.__doc__ or "").split())
    for unit, pattern in UNITS.items():
        if any(pattern.search(name) for name in get_type_hints(form)):
            assert unit in text
    for method in re.findall(r"`API\.(\w+)`", text):
        assert hasattr(API, method)


def test_examples_of_conditions_are_true() -> None:
    """Each function that makes one has an example."""
    done = doctest.testmod(predicates)
    assert done.failed == 0
    assert done.attempted >= 6


# -- what is not what it should be -------------------------------------------------------------------------------------

READERS: list[Callable[[bytes], Any]] = [
    models.workspaces,
    models.projects,
    models.experiments,
    models.tags,
    models.values,
    models.points,
    series.logged,
    workspace_models.found_experiments,
    models.assets,
    models.charts,
    models.PROJECT.read,
    models.EXPERIMENT.read,
    models.SYSTEM.read,
    models.GIT.read,
    lambda found: models.curve(models.ASSET.normal({"assetId": "a"}), found),
]

FIELDS = ["workspaceNames", "projects", "experiments", "tags", "values", "metrics", "assets", "name", "metricName", "x"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("read", "answer"),
    [
        (models.workspaces, {}),
        (models.workspaces, {"workspaceNames": [[1]]}),
        (models.workspaces, {"workspaceNames": None}),
        (models.workspaces, []),
        (models.projects, {}),
        (models.projects, {"projects": {}}),
        (models.projects, {"projects": None}),
        (models.projects, {"projects": [{"projectName": "no id"}]}),
        (models.experiments, {"experiments": [{"experimentKey": None}]}),
        (models.experiments, {"experiments": ["k"]}),
        (models.experiments, {"experiments": None}),
        (models.tags, {}),
        (models.tags, {"tags": None}),
        (models.values, {}),
        (models.values, {"values": None}),
        (models.values, {"values": [{"valueCurrent": "1"}]}),
        (workspace_models.found_experiments, {"experiments": [{"experimentName": "no key"}]}),
        (models.assets, {}),
        (models.assets, {"assets": None}),
        (models.assets, {"assets": [{"fileName": "no id"}]}),
        (workspace_models.columns, {"columns": None}),
        (workspace_models.artifacts, {"artifacts": None}),
        (workspace_models.artifact_files, {"files": None}),
        (workspace_models.artifact, {"artifactId": "a", "name": "n"}),
        (workspace_models.registered_model, {"modelName": "m"}),
        (models.charts, {}),
        (models.charts, {"experiments": None, "empty": True}),
        (models.charts, {"experiments": {"k": {"metrics": 5}}}),
        (models.charts, {"experiments": {"k": {"metrics": [5]}}}),
        (models.charts, {"experiments": {"k": {"metrics": [{"metricName": "m", "values": "x"}]}}}),
        (models.charts, {"experiments": {"k": {"metrics": [{"metricName": "m", "values": [1], "steps": ["x"]}]}}}),
        (models.charts, {"experiments": {"k": {"metrics": [{"metricName": "m", "values": [1], "timestamps": [{}]}]}}}),
    ],
)
def test_a_missing_or_mistyped_field_is_noticed(read: Callable[[bytes], Any], answer: Any) -> None:
    """Rather than an empty directory."""
    with pytest.raises((Mismatch, msgspec.ValidationError)):
        read(body(answer))


ROWS: list[tuple[Callable[[bytes], Any], str, dict[str, Any]]] = [
    (models.projects, "projects", {"projectId": "p", "projectName": "n"}),
    (models.experiments, "experiments", {"experimentKey": "k"}),
    (models.values, "values", {"name": "n"}),
    (models.points, "metrics", {"metricName": "m"}),
    (models.assets, "assets", {"assetId": "a"}),
    (workspace_models.columns, "columns", {"name": "c", "source": "params"}),
    (workspace_models.found_experiments, "experiments", {"experimentKey": "k"}),
    (workspace_models.artifacts, "artifacts", {"artifactId": "a", "name": "n"}),
    (workspace_models.artifact_files, "files", {"assetId": "a", "fileName": "f"}),
    (workspace_models.experiment_models, "models", {"modelName": "m"}),
    (workspace_models.registered_models, "registryModels", {"modelName": "m"}),
]
"""Readers of lists, the field with the rows, and what a row needs."""


@pytest.mark.parametrize(("read", "field", "least"), ROWS, ids=[row[0].__name__ for row in ROWS])
def test_a_bad_row_costs_that_row(
    read: Callable[[bytes], Any], field: str, least: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Null, no object, without what it is known by, or with that in no one text, or with a number that no reader
    takes."""
    whole = read(body({field: [least]}))
    name = next(iter(least))
    bad: list[Any] = [
        None,
        5,
        [],
        {**least, name: None},
        {**least, name: [7]},
        {**least, name: {}},
        {other: least[other] for other in least if other != name},
    ]
    with noting() as left_out:
        assert read(body({field: [*bad, least]})) == whole
    assert sum(left_out.values()) == len(bad)
    endless = json.dumps({field: [{**least, "x": 0}, least]}).replace('"x": 0', '"x": 1e999').encode()
    assert read(endless) == whole


@pytest.mark.parametrize(("read", "field", "least"), ROWS, ids=[row[0].__name__ for row in ROWS])
@pytest.mark.parametrize(
    ("odd", "meant"),
    [
        (5, ["5"]),
        ("true", [True]),
        (True, ["true"]),
        ([1], [["1"]]),
        ({}, []),
        (1.5, ["1.5"]),
        ("12", [12]),
        ("x", []),
        ("9" * 5000, []),
        ("NaN", []),
        (10**30, ["1" + "0" * 30]),
        (-(10**30), ["-1" + "0" * 30]),
    ],
)
def test_an_optional_field_of_a_wrong_type_is_what_it_means_or_none(
    read: Callable[[bytes], Any], field: str, least: dict[str, Any], odd: Any, meant: list[Any]
) -> None:
    """And the row is there, with what else it says; every field has a type that its form declares."""
    (blank,) = read(body({field: [least]}))
    (row,) = read(body({field: [{**dict.fromkeys(blank, odd), **least}]}))
    assert row.keys() == blank.keys()
    for name in blank.keys() - least.keys():
        assert row[name] in (odd, blank[name], as_text(odd), [], *meant), name


def test_what_means_one_thing_only_is_that() -> None:
    """The examples: they made a whole listing unreadable."""

    def asset(**fields: Any) -> models.Asset:
        return models.assets(body({"assets": [{"assetId": "a", **fields}]}))[0]

    def run(**fields: Any) -> models.Experiment:
        return models.experiments(body({"experiments": [{"experimentKey": "k", **fields}]}))[0]

    sizes: list[Any] = ["12", "-1", "12.0", 12.0, "1e3"]
    assert [asset(fileSize=size)["fileSize"] for size in sizes] == [12, -1, 12, 12, 1000]
    none: list[Any] = ["12 kB", 1.5, "", True, 2**63, "9e99", []]
    assert [asset(fileSize=size)["fileSize"] for size in none] == [None] * len(none)
    steps: list[Any] = ["3", "2.5", "NaN", True, "x"]
    assert [asset(step=step)["step"] for step in steps] == [3, 2.5, None, None, None]
    states: list[Any] = ["true", "FALSE", "yes", 1, []]
    assert [run(running=state)["running"] for state in states] == [True, False, None, None, None]
    names: list[Any] = [5, 1.5, True, [5], {}]
    assert [run(experimentName=name)["experimentName"] for name in names] == ["5", "1.5", "true", None, None]
    (model,) = workspace_models.registered_models(
        body(
            {
                "registryModels": [
                    {"modelName": "m", "versions": [None, {"version": "1", "tags": [1, "t"], "stages": 5}]}
                ]
            }
        )
    )
    assert [(one["version"], one["tags"], one["stages"]) for one in model["versions"]] == [("1", ["1", "t"], [])]


def test_points_by_metric_lose_a_bad_one_alone() -> None:
    """Of the others all is there, whatever type a field has."""
    good = {"metricName": "m", "metricValue": "1", "step": 1}
    found = series.logged(
        body({"metrics": [None, {"metricValue": "2"}, good, good | {"step": "x", "timestamp": True}]})
    )
    assert {name: [point[0] for point in points] for name, points in found.items()} == {"m": [1, None]}
    with pytest.raises(Mismatch):
        series.logged(body({"metrics": [{"metricValue": "2"}]}))


def test_texts_lose_what_is_none() -> None:
    """Workspaces, tags, keys that a query found."""
    assert models.workspaces(body({"workspaceNames": [None, "w", 5]})) == ["w", "5"]
    assert models.tags(body({"tags": ["t", {}, "t"]})) == ["t"]
    assert workspace_models.experiment_keys(body({"experimentKeys": [[1], "k"]})) == ["k"]


KNOWN = [row for row in ROWS if row[0] not in (models.points, workspace_models.columns)]


@pytest.mark.parametrize(("read", "field", "least"), KNOWN, ids=[row[0].__name__ for row in KNOWN])
def test_what_stands_twice_is_there_once(read: Callable[[bytes], Any], field: str, least: dict[str, Any]) -> None:
    """The first row of each; the log says of another one only where that differs."""
    with noting() as left_out:
        (row,) = read(body({field: [least, least]}))
    assert not left_out
    with noting() as left_out:
        assert read(body({field: [least, {**least, "new": 1}]})) == [row]
    assert left_out.total() == 1
    assert "another row has the same" in next(iter(left_out))


def test_versions_that_stand_twice_are_there_once() -> None:
    """Rows within a row."""
    version = {"artifactVersionId": "v", "version": "1.0.0"}
    found = workspace_models.artifact(body({"artifactId": "a", "name": "n", "versions": [version, version]}))
    assert len(found["versions"]) == 1


@pytest.mark.parametrize(
    ("read", "field", "name"),
    [
        (models.projects, "projects", "projectId"),
        (models.experiments, "experiments", "experimentKey"),
        (models.assets, "assets", "assetId"),
    ],
)
def test_what_has_an_empty_key_cannot_be_asked_for(read: Callable[[bytes], Any], field: str, name: str) -> None:
    """It is left out as one without a key is; a metric and a parameter may have no name."""
    row = {"projectName": "n", name: "k"}
    assert [found[name] for found in read(body({field: [row | {name: ""}, row]}))] == ["k"]
    assert [found["name"] for found in models.values(body({"values": [{"name": ""}]}))] == [""]


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (rb'"a\ud800b"', "a\ufffdb"),
        (rb'"a\udc00"', "a\ufffd"),
        (rb'"\ud83d\ude00\ud83d"', "\U0001f600\ufffd"),
        (rb'"\\ud800\ud800"', "\\ud800\ufffd"),
        (b'"a\xed\xa0\x80"', "a\ufffd\ufffd\ufffd"),
        (b'"\xff"', "\ufffd"),
    ],
)
def test_a_lone_surrogate_costs_a_character(sent: bytes, name: str) -> None:
    """Not the answer that has it somewhere, nor the row."""
    answer = b'{"assets": [{"assetId": "a", "fileName": %b}, {"assetId": "b"}]}' % sent
    assert [row["fileName"] for row in mending(models.assets)(answer)] == [name, None]


def test_a_word_for_a_number_costs_no_answer() -> None:
    """JSON has no NaN; Python's json writes it, between the rows and within texts that stay as they are."""
    rows = [
        {"name": "a", "valueCurrent": math.nan, "stepCurrent": -math.inf},
        {"name": 'NaN: "Infinity', "x": [math.inf]},
    ]
    first, second = mending(models.values)(body({"values": rows}))
    assert (first["valueCurrent"], first["stepCurrent"]) == ("NaN", None)
    assert second["name"] == 'NaN: "Infinity'
    with pytest.raises(msgspec.DecodeError):
        mending(models.values)(b'{"values": [nan]}')


@pytest.mark.parametrize(
    "refusal", [{"msg": "no", "code": 500}, {"sdk_error_code": 90210}, {"error": "x", "path": "/"}]
)
@pytest.mark.parametrize(
    "read",
    [
        lambda body: value_if_any(body, "html", str),
        models.points,
        series.logged,
        models.patch,
        models.SYSTEM.read,
        models.GIT.read,
        workspace_models.experiment_models,
        workspace_models.registered_models,
    ],
)
def test_a_refusal_with_status_200_does_not_mean_that_there_is_nothing(
    read: Callable[[bytes], Any], refusal: dict[str, Any]
) -> None:
    """Where what is missing may mean it."""
    with pytest.raises(Mismatch, match="refusal"):
        read(body(refusal))


def test_what_has_no_declared_form_is_no_refusal_either() -> None:
    """Fields of one may be among others."""
    with pytest.raises(Mismatch):
        whole(body({"msg": "no", "code": 400}))
    assert whole(body({"code": 1, "artifacts": []})) == {"code": 1, "artifacts": []}


@given(st.sampled_from(READERS), JSON)
def test_whatever_a_server_sends_is_read_or_refused(read: Callable[[bytes], Any], answer: Any) -> None:
    """No reader fails in a way that the caller does not know."""
    with suppress(ValueError, msgspec.MsgspecError):
        read(body(answer))


def odd_rows(read: Callable[[bytes], Any], field: str, form: type) -> st.SearchStrategy[Any]:
    """Answers with rows of the fields of a form, each with anything in it."""
    row = st.fixed_dictionaries({}, optional=dict.fromkeys(get_type_hints(form), ODD))
    return st.lists(row, max_size=3).map(lambda rows: (read, {field: rows}))


LISTS_OF: list[tuple[Callable[[bytes], Any], str, type]] = [
    (models.projects, "projects", models.Project),
    (models.experiments, "experiments", models.Experiment),
    (models.values, "values", models.Value),
    (models.points, "metrics", models.Point),
    (series.logged, "metrics", models.Point),
    (models.assets, "assets", models.Asset),
    (workspace_models.columns, "columns", workspace_models.Column),
    (workspace_models.found_experiments, "experiments", workspace_models.FoundExperiment),
    (workspace_models.artifacts, "artifacts", workspace_models.Artifact),
    (workspace_models.artifact, "versions", workspace_models.ArtifactVersion),
    (workspace_models.artifact_files, "files", workspace_models.ArtifactFile),
    (workspace_models.experiment_models, "models", workspace_models.ExperimentModel),
    (workspace_models.registered_models, "registryModels", workspace_models.RegisteredModel),
    (workspace_models.registered_model, "versions", workspace_models.ModelVersion),
]


@given(st.one_of([odd_rows(*form) for form in LISTS_OF]))
def test_rows_of_anything_are_read_or_refused(asked: tuple[Callable[[bytes], Any], dict[str, Any]]) -> None:
    """Whatever stands in the fields of a form; numbers of what is read fit into the attributes of a file."""
    read, answer = asked
    least = {"artifactId": "a", "name": "n", "modelName": "m"}
    with suppress(ValueError, msgspec.MsgspecError):
        found = mending(read)(body(least | answer))
        for row in found if isinstance(found, list) else []:
            for name in ("fileSize", "sizeInBytes", "createdAt", "lastUpdated", "endTimeMillis", "startTimeMillis"):
                size = row.get(name)
                assert size is None or -(2**63) <= size < 2**63


SHAPES: list[tuple[Shape[Any], dict[str, Any]]] = [
    (models.PROJECT, {"projectId": "p", "projectName": "n"}),
    (models.EXPERIMENT, {"experimentKey": "k"}),
    (models.VALUE, {"name": "n"}),
    (models.POINT, {"metricName": "m"}),
    (models.ASSET, {"assetId": "a"}),
    (models.SYSTEM, {}),
    (models.GIT, {}),
]


@given(st.sampled_from(SHAPES), st.dictionaries(st.text(min_size=1).map(lambda name: "x" + name), JSON))
def test_a_row_has_every_field_of_its_form_and_keeps_what_is_new(
    shaped: tuple[Shape[Any], dict[str, Any]], extra: dict[str, Any]
) -> None:
    """And the normal form of a normal form is itself."""
    shape, least = shaped
    row = shape.normal({**least, **extra})
    assert row.keys() == get_type_hints(shape.form).keys() | extra.keys()
    assert {name: row[name] for name in extra} == extra
    assert shape.normal(dict(row)) == row


@given(st.floats() | st.integers(-(2**53), 2**53))
def test_a_number_is_the_same_as_text_and_number_of(number: float) -> None:
    """Python's own text of it is what Comet would send."""
    back = number_of(str(number))
    assert back is not None
    assert back == number or math.isnan(number)


def test_text_and_null_stay() -> None:
    """Nothing is made of what is not there."""
    assert [as_text(found) for found in (None, "", "1.0", 1)] == [None, "", "1.0", "1"]
    assert number_of(None) is None


# -- series ------------------------------------------------------------------------------------------------------------


def point(text: str, step: float | None, timestamp: float | None = 0, offset: float | None = 0) -> models.Point:
    return models.POINT.normal(
        {"metricName": text[0], "metricValue": text, "step": step, "timestamp": timestamp, "offset": offset}
    )


def test_points_are_sorted_by_step_then_time_then_offset() -> None:
    """Comet sends them in no order; those without a step come first, by time."""
    points = [
        point("f", 2),
        point("e", 1, 5, -1),
        point("d", 1, 5, -7),
        point("c", 1, 2),
        point("b", None, 9),
        point("a", None, 3),
    ]
    assert [value for _, value in series.pairs(points, "step")] == list("abcdef")
    assert series.pairs(points[:1], "timestamp") == [(0, "f")]
    assert series.pairs(points[:1], "epoch") == [(None, "f")]


def test_points_are_taken_apart_by_name() -> None:
    """A name without points has an empty list; one that was not asked for is left out."""
    points = [point("b1", 1), point("a0", 0), point("b0", 0), point("c", 0)]
    assert series.by_name(points, ["a", "b", "z"], "step") == {"a": [(0, "a0")], "b": [(0, "b0"), (1, "b1")], "z": []}


def test_points_by_metric_take_little_memory() -> None:
    """Many times less than a dictionary for each; an answer may have a million."""
    point = {"metricName": "loss", "metricValue": "0.12345678901234567", "timestamp": 1542738534731, "step": 0}
    rows = [point | {"step": step, "epoch": None, "runContext": None, "offset": step} for step in range(30_000)]
    sent = body({"metrics": rows})
    del rows
    tracemalloc.start()
    try:
        found = series.logged(sent)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert tuple(found["loss"][7]) == (7, None, 1542738534731, "0.12345678901234567", 7)
    assert len(found["loss"]) == 30_000
    assert peak < 2.5 * len(sent), peak / len(sent)
