"""Bytes of files from literal answers."""

from __future__ import annotations

import csv
import io
import json
import weakref
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometfs.render import objects, spreads, tables, text
from cometfs.render.points import of_points, sheet
from cometfs.render.redact import redact
from cometfs.render.series import Series


def row(name: str, value: str | None) -> dict[str, Any]:
    return {"name": name, "valueCurrent": value}


def point(step: float | None, timestamp: int, offset: int = 0, value: str = "1.0") -> dict[str, Any]:
    return {"step": step, "epoch": None, "timestamp": timestamp, "offset": offset, "metricValue": value}


SAS = "https://account.blob.example/c/data.csv?sv=2024-01-01&sig=abc%3D&se=2026"


@pytest.mark.parametrize(
    "logged",
    [
        {"name": "data", "valueCurrent": SAS, "valueMin": SAS, "valueMax": SAS},
        {"assetId": "a", "fileName": SAS, "remote": True, "link": SAS, "metadata": {"url": SAS, "api_key": "k"}},
        {"imagePath": SAS, "remote": True},
        {"experimentName": SAS, "params": {"data_url": SAS, "apiKey": "mine"}},
        [SAS],
        SAS,
    ],
)
def test_what_was_logged_passes_redaction(logged: Any) -> None:
    """Texts, parameters, links of remote files: the query of a link may be all that opens it."""
    assert redact(logged) == logged


def test_comets_own_links_are_cut_wherever_it_puts_them() -> None:
    """In a field that no declaration has, too; `remote` may be said of a row, and its other links are Comet's."""
    row = {"link": SAS, "thumbnailUrl": SAS, "remote": False}
    assert redact({"files": [row]}) == {"files": [dict.fromkeys(row, SAS.partition("?")[0]) | {"remote": False}]}
    assert redact(row | {"remote": True}) == {"link": SAS, "thumbnailUrl": SAS.partition("?")[0], "remote": True}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("1e-4", "1e-4"),
        ("8.63224093336612E-4", "8.63224093336612E-4"),
        ("-0.0", "-0.0"),
        ("12345678901234567890", '"12345678901234567890"'),
        ("true", "true"),
        ("True", '"True"'),
        ("NaN", '"NaN"'),
        ("Infinity", '"Infinity"'),
        ("null", '"null"'),
        ("007", '"007"'),
        ("1.", '"1."'),
        ("1\n", '"1\\n"'),
        ("[1, 2]", '"[1, 2]"'),
        ("réglage", '"réglage"'),
        (None, "null"),
    ],
)
def test_a_value_keeps_its_digits_and_its_kind(value: str | None, written: str) -> None:
    """JSON numbers and booleans stand bare, everything else is a string."""
    assert objects.named_values([row("lr", value)]) == f'{{\n  "lr": {written}\n}}\n'.encode()


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.floats(allow_nan=False).map(repr), st.integers().map(str))))
def test_params_are_json_sorted_one_a_line(values: dict[str, str]) -> None:
    """Whatever the names and values: it parses, in order, and a line break never splits a member."""
    body = objects.named_values([row(name, value) for name, value in values.items()]).decode()
    parsed = json.loads(body)
    clean = {name.encode("utf-8", "replace").decode() for name in values}
    assert set(parsed) == clean
    if values:
        assert len(body.split("\n")) == len(values) + 3


def test_metric_points_are_sorted_by_step_then_time_then_offset() -> None:
    """However the server ordered them; nulls are empty cells and come last."""
    points = [point(None, 5), point(2, 9), point(2, 9, offset=-1, value="NaN"), point(1.5, 1), point(2, 8)]
    assert sheet(of_points(points)).decode().splitlines() == [
        "step,epoch,timestamp_ms,value",
        "1.5,,1,1.0",
        "2,,8,1.0",
        "2,,9,NaN",
        "2,,9,1.0",
        ",,5,1.0",
    ]


def test_a_value_with_commas_and_quotes_survives_csv() -> None:
    """Texts logged as metrics are quoted as RFC 4180 says."""
    body = sheet(of_points([point(0, 0, value='["a", 1]')])).decode()
    assert list(csv.reader(io.StringIO(body)))[1][3] == '["a", 1]'


def test_a_summary_has_last_min_and_max_with_their_steps() -> None:
    """One metric, one line."""
    answer = {
        "name": "loss",
        "valueCurrent": "0.5",
        "valueMin": "0.25",
        "valueMax": "NaN",
        "stepCurrent": 3,
        "stepMin": 2,
        "stepMax": None,
    }
    assert objects.metric_spreads({"loss": spreads.of_summary(answer)}).decode() == (
        '{\n  "loss": {"last": 0.5, "last_step": 3, "min": 0.25, "min_step": 2, "max": "NaN", "max_step": null}\n}\n'
    )


def test_a_text_of_null_is_empty_and_no_json_is() -> None:
    """An experiment without parameters has an empty object of them."""
    assert text.text(None) == text.lines(None) == b""
    assert objects.pretty(None) == b"null\n"
    assert objects.named_values([]) == b"{}\n"


def test_an_object_of_nulls_says_nothing() -> None:
    """A server answers system details of an experiment that logged none with nulls."""
    assert objects.without({"experimentKey": "k", "pid": None, "osPackages": []}, "experimentKey") is None
    assert objects.without({"experimentKey": "k", "pid": 0}, "experimentKey") == {"pid": 0}


def test_text_stays_byte_for_byte() -> None:
    """No newline is added, none is changed."""
    assert text.text("a\r\nb é") == "a\r\nb é".encode()


def cells(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode())))


def test_a_chart_has_a_column_per_experiment_and_a_row_per_step() -> None:
    """Steps that one lacks are empty cells; epochs, or the order, stand in for steps."""
    steps = {"values": [1.0, 2.0], "steps": [0, 2], "epochs": [None, None]}
    epochs = {"values": [5.0, 6.0], "steps": [None, None], "epochs": [1, 2]}
    order = {"values": [7.0], "steps": [None], "epochs": [None]}
    metrics = {"a": steps, "b, c": epochs, "d": order}
    body = tables.chart([*((name, Series.of(metric)) for name, metric in metrics.items()), ("none", None)])
    assert cells(body) == [
        ["step", "a", "b, c", "d", "none"],
        ["0", "1.0", "", "7.0", ""],
        ["1", "", "5.0", "", ""],
        ["2", "2.0", "6.0", "", ""],
    ]


def test_a_table_without_experiments_has_its_head() -> None:
    """The columns that every experiment has, so that a program finds them."""
    assert tables.experiments([]) == b"key,name,directory,state,user,start,end,duration_s,tags,error\n"


def test_the_table_of_experiments_has_stable_columns() -> None:
    """Fixed ones first, then parameters, others, metrics, each sorted; what one lacks is empty."""
    rows = [{"key": "k1", "metric.loss.last": "0.5", "param.b": "1"}, {"key": "k2", "other.x": "y", "param.a": "2"}]
    assert cells(tables.experiments(rows)) == [
        ["key", "param.a", "param.b", "other.x", "metric.loss.last"],
        ["k1", "", "1", "", "0.5"],
        ["k2", "2", "", "y", ""],
    ]


def test_no_key_and_no_presigned_link_is_left_by_redaction() -> None:
    """Whatever level they stand on; what is no secret passes as it is."""
    answer = {
        "assets": [
            {"assetId": "a", "curlDownload": "curl -H KEY", "s3Link": "https://s3/x", "apiKey": "KEY", "step": 1}
        ],
        "link": "https://store.example/o/1?X-Amz-Credential=C&X-Amz-Signature=abc&x=1",
        "plain": "https://www.comet.com/api/asset/download?experimentKey=K&assetId=A",
    }
    assert redact(answer) == {
        "assets": [{"assetId": "a", "step": 1}],
        "link": "https://store.example/o/1",
        "plain": "https://www.comet.com/api/asset/download?experimentKey=K&assetId=A",
    }


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("1e-4", 1e-4),
        ("true", True),
        ("True", "True"),
        ("null", None),
        (None, None),
        ("", ""),
        ("[64, 32]", [64, 32]),
        ('{"a": [1.5, null, "x\\ny"]}', {"a": [1.5, None, "x\ny"]}),
        ("[64, 32", "[64, 32"),
        ("['a']", "['a']"),
        ("[NaN]", [None]),
        ("[" * 100_000, "[" * 100_000),
        ('two\nlines, "quoted"', 'two\nlines, "quoted"'),
        ("007", "007"),
    ],
)
def test_a_parameter_is_what_its_text_spells(value: str | None, written: Any) -> None:
    """In experiments.jsonl: numbers, booleans, lists, objects and null as such, all else as a text; always one line."""
    body = tables.experiments_lines([{"param.p": value}])
    assert body.count(b"\n") == 1
    assert json.loads(body) == {"param.p": written}


def test_a_metric_is_a_number_or_null() -> None:
    """A column of numbers with the word NaN in it would be a column of texts; experiments.csv has the word."""
    values = ["0.25", "1e+22", "-0.0", "NaN", "Infinity", "-Infinity", "text", None]
    rows = [{"metric.m.last": value} for value in values]
    found = [json.loads(line)["metric.m.last"] for line in tables.experiments_lines(rows).splitlines()]
    assert found == [0.25, 1e22, 0.0, None, None, None, None, None]
    assert [line for line in tables.experiments(rows).decode().splitlines()[1:] if line][3] == "NaN"


@given(st.lists(st.dictionaries(st.sampled_from(["name", "param.a", "param.\n", "metric.b.last"]), st.text())))
def test_every_line_of_a_table_is_an_object_of_all_columns(rows: list[dict[str, str]]) -> None:
    """Those of the CSV, in the same order, whatever is in them."""
    body = tables.experiments_lines(rows)
    lines = body.decode().split("\n")[:-1]
    head = next(csv.reader(io.StringIO(tables.experiments(rows).decode())), [])
    assert len(lines) == len(rows)
    assert all(list(json.loads(line)) == head for line in lines)


@pytest.mark.parametrize("render", [tables.experiments, tables.experiments_lines])
def test_a_table_holds_no_more_rows_than_it_writes_at_a_time(render: Any) -> None:
    """A row of 25,000 experiments has 160 cells: all of them at once were a gigabyte."""

    class Rows:
        """Makes them each time that they are gone through."""

        def __init__(self) -> None:
            self.alive: weakref.WeakSet[Held] = weakref.WeakSet()
            self.most = 0

        def __iter__(self) -> Iterator[Held]:
            for number in range(3 * tables.PIECE):
                row = Held({"key": str(number)})
                self.alive.add(row)
                self.most = max(self.most, len(self.alive))
                yield row

    rows = Rows()
    assert render(rows).count(b"\n") >= 3 * tables.PIECE
    assert rows.most <= 3


class Held(dict[str, str]):
    """A row that can be watched: its hash is its own."""

    __hash__ = object.__hash__  # type: ignore[assignment]


def _zip(content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("git_diff.patch", content)
    return made.getvalue()


@pytest.mark.parametrize(
    "damage",
    [b"PK is how this text begins", _zip(b"+ 1")[:-10], _zip(b"+ 1")[:35] + bytes(5)],
    ids=["begins like one", "cut", "broken"],  # a zip has the time in it, and workers must agree on names
)
def test_a_patch_that_is_no_zip_after_all_is_shown_as_it_is(damage: bytes) -> None:
    assert text.patch(damage) == damage


def test_a_zip_of_more_than_is_held_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "UNPACKED", 3)
    assert text.patch(_zip(b"+ 1")) == b"+ 1"
    bigger = _zip(b"+ 12")
    assert text.patch(bigger) == bigger


def test_a_patch_is_what_its_zip_holds() -> None:
    assert text.patch(_zip(b"+ 1")) == b"+ 1"
    damaged = bytearray(_zip(b"+ 1" * 100))
    damaged[45] ^= 255
    assert text.patch(bytes(damaged)) == damaged
