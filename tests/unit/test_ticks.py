"""Ticks of an axis: at round numbers, all with a label that says the whole number."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometfs.render.pictures.paper import view
from cometfs.render.pictures.ticks import between, linear, nice, powers


def labels(low: float, high: float, most: int = 6, *, whole: bool = False) -> list[str]:
    return [tick.label for tick in linear(low, high, most, whole=whole)]


@pytest.mark.parametrize(
    ("width", "step"),
    [(1, (1, 0)), (1.49, (1, 0)), (1.5, (2, 0)), (2.99, (2, 0)), (3, (5, 0)), (6.9, (5, 0)), (7, (1, 1)), (105, (1, 2)),
     (0.0021, (2, -3)), (1e-280, (1, -280))],
)  # fmt: skip
def test_steps_are_heckberts_nice_numbers(width: float, step: tuple[int, int]) -> None:
    """The bounds of `nicenum` in Graphics Gems, where it rounds."""
    assert nice(width) == step


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (-17, 423, ["0", "100", "200", "300", "400"]),
        (0, 20_000, ["0", "5,000", "10,000", "15,000", "20,000"]),
        (1e9, 3.5e9, ["1.0e9", "1.5e9", "2.0e9", "2.5e9", "3.0e9", "3.5e9"]),
        (0, 2.1e-9, ["0", "0.5e-9", "1.0e-9", "1.5e-9", "2.0e-9"]),
        (12_345_678, 12_345_678.008, [f"12,345,678.{n:03}" for n in (0, 2, 4, 6, 8)]),
        (0.00095, 0.00105, ["0.00096", "0.00098", "0.00100", "0.00102", "0.00104"]),
        (1.7e12, 1.7e12 + 5e6, [f"1.70000{n}e12" for n in range(6)]),
        (0, 4_000_000, ["0", "1,000,000", "2,000,000", "3,000,000", "4,000,000"]),
        (-0.31, 0.29, ["-0.3", "-0.2", "-0.1", "0.0", "0.1", "0.2"]),
    ],
)
def test_labels_have_the_decimals_that_tell_them_apart(low: float, high: float, expected: list[str]) -> None:
    """No binary noise, no zeros by the dozen."""
    assert labels(low, high) == expected


def test_there_is_no_half_of_a_step() -> None:
    """Where all places are whole numbers."""
    assert labels(0, 3, 10, whole=True) == ["0", "1", "2", "3"]
    assert labels(0, 3, 10)[1] != "1"


def test_a_logarithmic_axis_has_powers_of_ten() -> None:
    """All of a few, of many every second, fifth, ...; between neighbours the eight multiples."""
    few, many = powers(-3.1, 1.1, 8), powers(-200, 200, 8)
    assert [tick.label for tick in few] == ["10⁻³", "10⁻²", "10⁻¹", "10⁰", "10¹"]
    assert [tick.label for tick in many] == [
        "10⁻²⁰⁰",
        "10⁻¹⁵⁰",
        "10⁻¹⁰⁰",
        "10⁻⁵⁰",
        "10⁰",
        "10⁵⁰",
        "10¹⁰⁰",
        "10¹⁵⁰",
        "10²⁰⁰",
    ]
    assert len(between(-3, 1, few)) == 32
    assert between(-200, 200, many) == []


@given(st.floats(-1e200, 1e200), st.floats(-1e200, 1e200), st.integers(2, 10))
def test_ticks_are_few_different_ascending_and_on_the_axis(one: float, other: float, most: int) -> None:
    """Whatever the numbers of an axis are, those that are as good as one included."""
    low, high = view(min(one, other), max(one, other), 0.05)
    found = linear(low, high, most)
    assert 1 <= len(found) <= 2 * most
    assert len({tick.label for tick in found}) == len(found)
    hair = (high - low) * 1e-6
    places = [tick.place for tick in found]
    assert places == sorted(places)
    assert all(math.isfinite(place) and low - hair <= place <= high + hair for place in places)
