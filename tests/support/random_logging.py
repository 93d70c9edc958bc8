"""What a run logs at random: output, points in order and late, parameters, others, tags.

Not here: what becomes of the experiment (random_lifecycle.py).
"""

from __future__ import annotations

import math
from typing import Any

from tests.support.account_history import Experiment
from tests.support.expected_files import Point, json_of, line_of, place_of, sheet_of, tags_of
from tests.support.history import Bytes, History
from tests.support.log_client import CLIENTLIB, WORDS, Scribe

METRICS = (("loss", None), ("val/acc", None), ("acc", "train"), ("unstepped", None))
"""Name and context."""

LONGEST = 400_000
"""Bytes of output, and hundred times the points of a metric, beyond which nothing is added."""

LARGE = 300
"""Parameters of which the JSON takes several pages of the kernel."""


def set_other(scribe: Scribe, one: Experiment) -> None:
    set_other_to(scribe, one, scribe.chance.choice(("note", "host", "grund")), scribe.words(3))


def set_other_to(scribe: Scribe, one: Experiment, key: str, value: str) -> None:
    one.others[key] = value
    scribe.begin(one, "others.json", Bytes.of(json_of(one.others)))
    scribe.do(f"set {key} of {one.key[:8]} to {value}", lambda: scribe.log(one, "log-other", key=key, value=value))


def print_lines(scribe: Scribe, one: Experiment, lines: int | None = None) -> None:
    """Lines of output; now and then many."""
    if one.files["output.txt"].now.size > LONGEST:
        return
    many = lines or scribe.chance.choice((1,) * 9 + (2, 5, 30, 30, 300))
    pieces = [f"{one.key[:6]} {scribe.pieces + number} {scribe.words(4)}\n" for number in range(many)]
    told = []
    for piece in pieces:
        scribe.pieces += 1
        told.append({"output": piece, "stderr": False, "localTimestamp": scribe.pieces, "offset": scribe.pieces})
    scribe.begin(one, "output.txt", one.files["output.txt"].now.with_more("".join(pieces).encode()))
    scribe.do(f"print {many} lines of {one.key[:8]}", lambda: scribe.log(one, "output", outputLines=told))


def print_part(scribe: Scribe, one: Experiment) -> None:
    """A piece of a line, as progress bars print: what is there then ends without a newline."""
    scribe.pieces += 1
    piece = scribe.chance.choice(WORDS)
    told = {"output": piece, "stderr": True, "localTimestamp": scribe.pieces, "offset": scribe.pieces}
    scribe.begin(one, "output.txt", one.files["output.txt"].now.with_more(piece.encode()))
    scribe.do(f"print a piece of {one.key[:8]}", lambda: scribe.log(one, "output", outputLines=[told]))


def log_metric(
    scribe: Scribe, one: Experiment, metric: tuple[str, str | None] | None = None, many: int | None = None
) -> None:
    """Points in order."""
    metric = metric or scribe.chance.choice(METRICS)
    before = one.points.get(shown(metric), [])
    last = max((point.step for point in before if point.step is not None), default=0)
    steps = [last + number + 1 for number in range(many or scribe.chance.choice((1, 1, 3, 20, 200)))]
    _log_points(scribe, one, metric, [None if metric[0] == "unstepped" else step for step in steps])


def log_metric_late(scribe: Scribe, one: Experiment) -> None:
    """Points of steps that are over: the file is another one, and not only longer."""
    metric = scribe.chance.choice(METRICS[:3])
    before = one.points.get(shown(metric), [])
    last = max((point.step for point in before if point.step is not None), default=3)
    _log_points(scribe, one, metric, [scribe.chance.randint(0, last) for _ in range(scribe.chance.choice((1, 2, 7)))])


def _log_points(scribe: Scribe, one: Experiment, metric: tuple[str, str | None], steps: list[int | None]) -> None:
    if len(one.points.get(shown(metric), ())) > LONGEST // 100:
        return
    points = [Point(step, _epoch(scribe, step), scribe.now(), _value(scribe)) for step in steps]
    name, before = shown(metric), one.points.get(shown(metric), [])
    one.points[name] = [*before, *points]
    _begin_sheet(scribe, one, name, before, points)
    values = [
        {
            "metricName": metric[0],
            "context": metric[1],
            "metricValue": "NaN" if math.isnan(point.value) else point.value,
            "step": point.step,
            "epoch": point.epoch,
            "timestamp": point.timestamp,
        }
        for point in points
    ]
    scribe.do(f"log {len(steps)} {name} of {one.key[:8]}", lambda: scribe.batch(one, "metric", values))


def _begin_sheet(scribe: Scribe, one: Experiment, name: str, before: list[Point], points: list[Point]) -> None:
    file = f"metrics/{name}.csv"
    if not before:
        one.files[file] = History(Bytes.of(b""))
        scribe.begin(one, file, Bytes.of(sheet_of(points)))
        scribe.account.begin(one.metrics, one.metrics.now | {name})
    elif max(map(place_of, before)) < min(map(place_of, points)):
        added = b"".join(map(line_of, sorted(points, key=place_of)))
        scribe.begin(one, file, one.files[file].now.with_more(added))
    else:
        scribe.begin(one, file, Bytes.of(sheet_of(one.points[name])))


def set_params(scribe: Scribe, one: Experiment, many: int | None = None) -> None:
    """Some change, some are new, some get shorter; now and then many."""
    names = [f"p{scribe.chance.randrange(LARGE):03}" for _ in range(many or scribe.chance.choice((1, 2, 5, 40)))]
    # A value of the same length: the size of the file alone does not tell that it is another one.
    values: dict[str, Any] = {
        "own": one.key,
        "turn": f"{scribe.count:08}",
        **{name: _setting(scribe) for name in names},
    }
    one.params.update(values)
    scribe.begin(one, "params.json", Bytes.of(json_of(one.params)))
    told = [
        {"parameterName": name, "parameterValue": value, "timestamp": scribe.now()} for name, value in values.items()
    ]
    scribe.do(f"set {len(values)} parameters of {one.key[:8]}", lambda: scribe.batch(one, "parameter", told))


def tag(scribe: Scribe, one: Experiment) -> None:
    added = [f"{one.key[:4]}-{scribe.words(1)}".strip() for _ in range(2)]
    one.tags.update(added)
    scribe.begin(one, "tags.txt", Bytes.of(tags_of(one.tags)))
    body = {"experimentKey": one.key, "addedTags": added}
    scribe.do(f"tag {one.key[:8]}", lambda: scribe.post(f"{CLIENTLIB}tags/add-tags-to-experiment", **body))


def beat(scribe: Scribe, one: Experiment) -> None:
    scribe.do(f"beat {one.key[:8]}", lambda: scribe.status(one, True))


def _epoch(scribe: Scribe, step: int | None) -> int | None:
    return None if step is None or step % 3 else step // 3


def _value(scribe: Scribe) -> float:
    return scribe.chance.choice((scribe.chance.random(), scribe.chance.random() * 1e-6, 1e22, 3.0, math.nan))


def _setting(scribe: Scribe) -> Any:
    return scribe.chance.choice((scribe.words(5), scribe.chance.random(), scribe.chance.randrange(10**9), True))


def shown(metric: tuple[str, str | None]) -> str:
    """The name under which Comet shows a metric."""
    name, context = metric
    return f"{context}_{name}" if context else name
