"""What counts as a number in text that others wrote, wherever it is read."""

from __future__ import annotations

import math
from typing import Any, cast

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cometfs.comet.answers import models
from cometfs.comet.http.retries import UNSPECIFIED, retry_after
from cometfs.compat.httpcore_read import LONG, straight
from cometfs.render import points
from cometfs.render.cells import is_number
from cometfs.server.catalog.artifacts import order
from cometfs.server.errors import ApiError
from cometfs.server.http.listener import parsed
from cometfs.server.request import Request
from cometfs.text.numbers import number_of, numbers_of, whole_of

WIDE = "1\uff10"
"""A ten whose zero is a full-width digit: Python's `float` and `int` read it."""

LONGER = "9" * 5000
"""More digits than Python reads."""

NOT_ONE: list[Any] = ["1_000", WIDE, "\u0661\u0662", "\u00a05", "", " ", "word", "0x10", None, True, [1], {}, 10**400]


@pytest.mark.parametrize("found", NOT_ONE)
def test_what_python_alone_reads_is_no_number(found: Any) -> None:
    """Nor are words, and what is no text at all."""
    assert number_of(found) is None


@pytest.mark.parametrize(
    ("found", "number"),
    [
        ("8.6E-4", 8.6e-4),
        (" 5\n", 5.0),
        ("+.5", 0.5),
        ("Infinity", math.inf),
        ("-Infinity", -math.inf),
        ("infinity", math.inf),
        ("-inf", -math.inf),
        (3, 3.0),
    ],
)
def test_what_comet_and_python_write_is_one(found: Any, number: float) -> None:
    """Blanks at both ends do not count, for Java either."""
    assert number_of(found) == number


@pytest.mark.parametrize("word", ["NaN", "nan", "-NaN"])
def test_not_a_number_is_one(word: str) -> None:
    """In both spellings."""
    number = number_of(word)
    assert number is not None
    assert math.isnan(number)


@pytest.mark.parametrize("text", ["1_000", WIDE, "1" + WIDE])
def test_a_metric_is_the_same_alone_and_in_a_batch(text: str) -> None:
    """A batch with a word in it is not believed: that metric is asked by itself, and keeps its text."""
    columns = {"metricName": "m", "values": [text, "2"], "steps": [0, 1], "epochs": [0, 0], "timestamps": [1, 2]}
    chart = models.charts(msgspec.json.encode({"experiments": {"k": {"metrics": [columns]}}}))["k"]
    rows = [
        {"metricValue": value, "step": step, "epoch": 0, "timestamp": step + 1, "offset": step}
        for step, value in enumerate((text, "2"))
    ]
    assert points.of_chart(chart["metrics"][0]) is None
    assert points.of_points(rows).values == (text, "2.0")
    assert not is_number(text)


@pytest.mark.parametrize("text", ["1_000", WIDE, "\u00b2", "+5", " 5", "-1", "5.0", "", LONGER])
def test_digits_alone_make_a_whole_number(text: str) -> None:
    """A length, a page, a port, a part of a version: nothing but digits of ASCII, and no thousands of them."""
    assert whole_of(text) is None
    asked = Request(cast(Any, None), {"page": text}, b"", "key", "http://comet/")
    with pytest.raises(ApiError) as caught:
        asked.number("page", None)
    assert caught.value.status == 400
    with pytest.raises(ValueError, match="not an address"):
        parsed(f"localhost:{text}")


def test_a_length_is_digits_alone() -> None:
    """A long body is read past httpcore only if its length is certain."""
    lies_so = {"network_stream": object(), "http_version": b"HTTP/1.1"}
    assert straight({"content-length": f"{LONG}"}, lies_so) is not None
    assert straight({"content-length": WIDE * 5}, lies_so) is None


def test_versions_are_ordered_by_the_digits_of_their_parts() -> None:
    """A part of thousands of digits is a word."""
    assert order("1.10") > order("1.9")
    assert order(LONGER) > order("1.9")


@pytest.mark.parametrize("text", ["1_000", WIDE])
def test_a_wait_that_is_no_number_is_none(text: str) -> None:
    """What a 429 asks for."""
    assert retry_after({"retry-after": text}, now=0.0) == UNSPECIFIED


@given(st.lists(st.one_of(st.floats(), st.integers(), st.none(), st.booleans(), st.floats().map(str), st.text())))
@example(["1,2", ""])
@example(["1", "[2"])
@example(["1.5", "8.6E-4", "-0.0"])
@example(["1_0"])
@example(["9" * 400, "NaN", "null"])
@example([2**53 + 1])
def test_many_are_read_as_each_is(values: list[Any]) -> None:
    """However fast: words, nulls, texts that are two numbers when they are put together."""
    found = [None if one is None else repr(one + 0.0) for one in numbers_of(values)]  # of -0 the sign is lost
    assert found == [None if (one := number_of(value)) is None else repr(one + 0.0) for value in values]
