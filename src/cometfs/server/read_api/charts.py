"""Metrics and parameters of many experiments in one answer, as charts want them.

Not here: the points of one metric as they were logged (`runs.content.points`).
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import msgspec

from cometfs.server.catalog.catalog import Catalog
from cometfs.server.catalog.project import ServedExperiment
from cometfs.server.runs import content
from cometfs.server.runs.record import RunRecord
from cometfs.server.runs.values import text_of
from cometfs.text.numbers import number_of

SAMPLE = 500
"""How many points of a metric a chart gets that does not ask for all."""

Point = dict[str, Any]


class ChartQuestion(msgspec.Struct, rename="camel"):
    """The body of ``experiments/multi-metric-chart``."""

    targeted_experiments: list[str]
    metrics: list[str] | None = None
    params: list[str] | None = None
    independent_metrics: bool | None = True
    fetch_full: bool | None = False


def chart(index: Catalog, question: ChartQuestion) -> dict[str, Any]:
    """The answer, by experiment key; experiments that have nothing of what is asked for are left out. Reads."""
    found = {}
    for key in question.targeted_experiments:
        experiment = index.experiments.get(key)
        if experiment is not None:
            answer = _of_experiment(index, experiment, question)
            if answer["metrics"] or answer["params"]:
                found[key] = answer
    return {"experiments": found, "empty": not found}


def _of_experiment(index: Catalog, experiment: ServedExperiment, question: ChartQuestion) -> dict[str, Any]:
    record = experiment.record
    names = [name for name in dict.fromkeys(question.metrics or ()) if name in record.metrics]
    sampled = not question.fetch_full
    metrics = _alone(index, record, names, sampled) if question.independent_metrics else _joint(record, names, sampled)
    params = {name: record.parameters[name].text for name in question.params or () if name in record.parameters}
    return {
        "experimentKey": experiment.key,
        "experimentName": experiment.name,
        "steps": None,
        "epochs": None,
        "empty": not names,
        "params": params if question.params else None,
        "metrics": metrics,
    }


def _alone(index: Catalog, record: RunRecord, names: list[str], sampled: bool) -> list[Any]:
    """Each metric with steps of its own, which are the same for every replica; as JSON already."""

    def columns(name: str) -> dict[str, Any]:
        points = _sorted_points(record, name)
        return _columns(record, name, _sampled(points) if sampled else points)

    # A record only grows, so the number of points identifies what is in a part.
    keys = {name: (record.serial, name, sampled, len(record.metrics[name].lines)) for name in names}
    return [index.encoded.part(key, partial(columns, name)) for name, key in keys.items()]


def _joint(record: RunRecord, names: list[str], sampled: bool) -> list[Any]:
    series = _on_shared_steps({name: _sorted_points(record, name) for name in names})
    return [_columns(record, name, _sampled(points) if sampled else points) for name, points in series.items()]


def _sorted_points(record: RunRecord, name: str) -> list[Point]:
    """Points by step, those without one first, then by time and order of logging."""
    return sorted(content.points(record, name), key=_order)


def _order(point: Point) -> tuple[bool, float, int, int]:
    step = point["step"]
    return step is not None, step or 0, point["timestamp"] or 0, point["offset"]


def _on_shared_steps(series: dict[str, list[Point]]) -> dict[str, list[Point]]:
    if not series:
        return series
    shared = set.intersection(*({point["step"] for point in points} for points in series.values()))
    return {name: [point for point in points if point["step"] in shared] for name, points in series.items()}


def _sampled(points: list[Point]) -> list[Point]:
    """At most `SAMPLE` points at even distances, the first and the last among them."""
    last = len(points) - 1
    if last < SAMPLE:
        return points
    return [points[round(place * last / (SAMPLE - 1))] for place in range(SAMPLE)]


def _columns(record: RunRecord, name: str, points: list[Point]) -> dict[str, Any]:
    """One metric as parallel arrays; durations in milliseconds since the experiment's start."""
    start = record.start or 0
    return {
        "metricName": name,
        "values": [_chart_value(point["metricValue"]) for point in points],
        "steps": [point["step"] for point in points],
        "epochs": [point["epoch"] for point in points],
        "timestamps": [point["timestamp"] for point in points],
        "durations": [None if point["timestamp"] is None else point["timestamp"] - start for point in points],
    }


def _chart_value(text: str) -> float | str | None:
    """A number; NaN and the infinities, which JSON has no number for, as text; null for what is no number."""
    number = number_of(text)
    return number if number is None or math.isfinite(number) else text_of(number)
