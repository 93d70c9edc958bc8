"""Logged curves, confusion matrices and histograms as tables, from all that an asset may hold."""

from __future__ import annotations

import csv
import io
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometfs.render import logged
from cometfs.render.logged import NoTable
from cometfs.render.objects import pretty


def cells(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode(), newline="")))


def test_a_curve_is_its_points() -> None:
    """In the order in which they were logged; a missing half is an empty cell."""
    assert cells(logged.curve({"x": [0, 0.5, 1], "y": [1, 2]})) == [["x", "y"], ["0", "1"], ["0.5", "2"], ["1", ""]]
    assert cells(logged.curve({"x": None, "y": [1]})) == [["x", "y"], ["", "1"]]
    assert cells(logged.curve({"x": [], "y": []})) == [["x", "y"]]


def test_a_value_of_a_curve_is_shown_whatever_it_is() -> None:
    """Not the infinity that it would be as a double, not Python's words."""
    body = b'{"x": [1e999, NaN, -Infinity, null, true], "y": [%b, "a,b", [1, "\\u00e9"], {"a": null}, 1e20]}' % (
        b"1" * 5000
    )
    assert cells(logged.curve(logged.parsed(body)))[1:] == [
        ["1e999", "1" * 5000],
        ["NaN", "a,b"],
        ["-Infinity", '[1, "é"]'],
        ["", '{"a": null}'],
        ["true", "1e+20"],
    ]


@pytest.mark.parametrize("inner", [b"1", b"NaN"])
@pytest.mark.parametrize("depth", [10, 60, 70, 500, 900, 980, 100_000])
def test_json_of_any_depth_is_a_table_or_none(depth: int, inner: bytes) -> None:
    """Never an error of another kind: what is parsed can be written, NaN inside it included, and so in raw answers."""
    body = b'{"x": [%b], "y": [1]}' % (b"[" * depth + inner + b"]" * depth)
    try:
        found = logged.parsed(body)
    except NoTable:
        assert depth >= 62
        return
    assert len(cells(logged.curve(found))) == 2
    assert json.loads(pretty([found]))


@pytest.mark.parametrize(("labels", "rows"), [(None, [[0] * 4_000] + [[]] * 4_000), (["label"] * 4_000, [[]] * 4_000)])
def test_a_confusion_matrix_of_holes_is_none(labels: Any, rows: Any) -> None:
    """A few kilobytes would be megabytes as a table, a few megabytes terabytes."""
    with pytest.raises(NoTable, match="empty"):
        logged.confusion_matrix({"labels": labels, "matrix": rows})


def test_a_confusion_matrix_has_its_labels_on_both_sides() -> None:
    """Rows are what was, columns what was predicted."""
    answer = {"labels": ["cat", "dog"], "matrix": [[3, 1], [0, 4]], "rowLabel": "Actual", "columnLabel": "Predicted"}
    assert cells(logged.confusion_matrix(answer)) == [
        ["Actual \\ Predicted", "cat", "dog"],
        ["cat", "3", "1"],
        ["dog", "0", "4"],
    ]


@pytest.mark.parametrize(
    ("labels", "matrix", "table"),
    [
        (["cat"], [[1, 2, 3], [4, 5, 6]], ["cat,1,2", "cat,1,2,3", "1,4,5,6"]),
        (["a", "b"], [[1], [2, 3, 4], None], ["a,b,2", "a,1,,", "b,2,3,4", "2,,,"]),
        (None, [[1, 2]], ["0,1", "0,1,2"]),
        (5, [[1]], ["0", "0,1"]),
        (["a", None, "c"], [[1]], ["a,1,c", "a,1,,"]),
        (["a"], [], ["a"]),
    ],
)
def test_no_row_of_a_confusion_matrix_is_lost(labels: Any, matrix: Any, table: list[str]) -> None:
    """What has no label bears its number, short rows have empty cells."""
    head, *rows = logged.confusion_matrix({"labels": labels, "matrix": matrix}).decode().splitlines()
    assert [head.partition(",")[2], *rows] == table


BINS = {"offset": 0, "start": 1e-12, "stop": 1e20, "step": 1.1}


def test_a_histogram_has_the_bins_that_comet_ml_counted_in() -> None:
    """The values that comet_ml put into a bin lie between its ends."""
    values = [-3.5, 0.0, 1e-5, 2.0, 2.0]
    # What Histogram().to_json() of comet_ml 3.58.8 says of these values.
    found = {"version": 2, "index_values": [[470, 1], [775, 1], [945, 1], [1073, 2]], "values": None, **BINS}
    rows = cells(logged.histogram(found, 7))
    for step, low, high, count in rows:
        inside = [value for value in values if float(low) <= value < float(high)]
        assert (step, len(inside)) == ("7", int(count)), (low, high)
    assert sum(int(row[3]) for row in rows) == len(values)


def test_a_count_of_no_known_bin_stands_alone() -> None:
    """An index beyond the values, or before them, is no reason to lose the count, or to show another bin's ends."""
    found: Any = {
        "values": [0, 1, 2],
        "index_values": [[0, 5], [2, 6], [3, 7], [-1, 8], [10**30, 9], ["x", 10], [0.5, 11]],
    }
    assert cells(logged.histogram(found, None)) == [
        ["", "0", "1", "5"],
        ["", "2", "", "6"],
        *(["", "", "", str(count)] for count in (7, 8, 9, 10, 11)),
    ]


def test_many_steps_come_one_by_one_in_an_asset_or_alone() -> None:
    """With what cannot be read among them, which is told from what is there."""
    one = {"index_values": [[0, 1]], "values": [0, 1]}
    for many in (
        b'{"histograms": [{"step": 3, "histogram": %b}, 5, {"step": 2}]}',
        b'{"a": NaN, "histograms": [{"step": 3, "histogram": %b}, 5, {"step": 2}]}',
    ):
        found: list[Any] = list(logged.histogram_steps(many % json.dumps(one).encode(), 9))
        assert found == [(3, one), (None, None), (2, None)]
    assert list(logged.histogram_steps(json.dumps(one).encode(), 9)) == [(9, one)]
    rows: list[Any] = [(None, b"d"), (10, b"c"), (2.5, b"b"), ("1", b"a")]
    assert logged.in_steps(rows) == b"step,low,high,count\nabcd"


OTHERS: list[Any] = [None, 5, "text", True, [], [1, 2], [{"x": [1]}], {}]
BROKEN = [
    b"",
    b"no json",
    b"\xff\xfe\x00",
    b"[" * 100_000,
    *(json.dumps(found).encode() for found in OTHERS),
]


@pytest.mark.parametrize("body", BROKEN)
@pytest.mark.parametrize("table", [logged.curve, logged.confusion_matrix, lambda found: logged.histogram(found, 1)])
def test_what_is_no_table_is_said_to_be_none(body: bytes, table: Any) -> None:
    """By one error, whatever it is."""
    with pytest.raises(logged.NoTable):
        table(logged.parsed(body))


@pytest.mark.parametrize(
    "found",
    [
        {"index_values": None},
        {"index_values": [[1, 2, 3]]},
        {"index_values": [5]},
        {"index_values": [], "values": 5},
        {"index_values": [[0, 1]], "step": 1},
        {"index_values": [[0, 1]], "step": 1 + 1e-12},
        {"index_values": [[0, 1]], "start": 0},
        {"index_values": [[0, 1]], "start": 1e-320},
        {"index_values": [[0, 1]], "stop": "Infinity"},
        {"index_values": [[0, 1]], "offset": "1e999"},
        {"index_values": [[0, 1]], "offset": 10**400},
        {"index_values": [[0, 1]], "offset": [1]},
    ],
)
def test_bins_that_never_end_are_none(found: Any) -> None:
    """Their ends would be counted for hours, or until memory is full."""
    began = time.process_time()
    try:
        logged.histogram(found, 1)
    except logged.NoTable:
        pass
    else:
        assert found["start"] == 1e-320, "only a start that small has bins, and they end"
    assert time.process_time() - began < 5


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "x",
                    "y",
                    "matrix",
                    "labels",
                    "rowLabel",
                    "index_values",
                    "values",
                    "offset",
                    "step",
                    "stop",
                    "histograms",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_whatever_is_logged_is_a_table_or_none(found: Any) -> None:
    """No other error, and each row of a table has as many cells as its head."""
    body = json.dumps(found).encode()
    for table in (logged.curve, logged.confusion_matrix):
        try:
            sheet = cells(table(logged.parsed(body)))
        except logged.NoTable:
            continue
        assert {len(row) for row in sheet} == {len(sheet[0])}
    try:
        steps = list(logged.histogram_steps(body, 1))
    except logged.NoTable:
        return
    for step, one in steps:
        try:
            assert all(len(row) == 4 for row in cells(logged.histogram(one, step)))
        except logged.NoTable:
            continue
