"""What only a live account can tell: functions from an answer of the right form to what it tells beyond it.

Not here: which answers these are (checks.py).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from cometfs.comet.http.sniffing import is_page, is_refusal
from cometfs.doctor.asking import Answer
from cometfs.doctor.subjects import PAGE, Row, Subject, inner, rows, text
from cometfs.text.numbers import number_of

SAMPLED = 500
"""Points of a metric in a chart that is not full."""

LONG = 10_000_000
"""Characters of an output that may be cut."""


TOGETHER = 100
"""Experiments in one chart, as a mount asks for them."""

LACKED = "cometfs doctor: no such parameter"

MANY = "a chart of many experiments"
PARAMETERS = "a chart of parameters"


class Seen(NamedTuple):
    """What an answer tells, and whether it is what the mount expects."""

    fits: bool
    words: str
    instead: str = ""
    """What the mount does because of it."""


def a_parameter(subject: Subject) -> str:
    """The name of some parameter, "" for none."""
    return next((text(row, "name") for row in subject.rows("experiment/parameters", "values")), "")


def keys_together(subject: Subject) -> list[str]:
    """The experiment, and others of its project."""
    others = [text(row, "experimentKey") for row in subject.rows("experiments", "experiments")]
    return list(dict.fromkeys(filter(None, (subject.key, *others))))[:TOGETHER]


def is_a_page(subject: Subject, _answer: Answer) -> Seen | None:
    """Whether the size of a page, of one experiment, is kept to."""
    count = len(subject.rows(PAGE, "experiments"))
    if count > 1:
        return Seen(False, f"{count:,} experiments on a page of one", "listings are asked for whole")
    return None


def is_whole(subject: Subject, _answer: Answer) -> Seen | None:
    listed = len(subject.rows("experiments", "experiments"))
    counted = number_of(subject.project.get("numberOfExperiments"))
    if counted is None or listed == counted:
        return Seen(True, f"{listed:,} experiments in one answer")
    if listed > counted:
        return Seen(True, f"{listed:,} experiments in one answer; the project counts {counted:,.0f}")
    return Seen(True, f"{listed:,} experiments in one answer; the project counts {counted:,.0f}, archived ones perhaps")


def is_full(subject: Subject, _answer: Answer) -> Seen | None:
    """Whether a full chart has every point."""
    name, _ = subject.longest_metric()
    alone = len(subject.rows("experiment/metrics/get-metric", "metrics"))
    charted = len(_charted(subject, "experiments/multi-metric-chart", name))
    if charted < alone:
        return Seen(
            False, f"{charted:,} of {alone:,} points came", "metrics of more points are asked for by themselves"
        )
    if alone <= SAMPLED:
        return Seen(True, f"all {alone:,} points of a metric; none here has more than {SAMPLED}, where it matters")
    return Seen(True, f"all {alone:,} points of a metric")


def charts_of_many(subject: Subject, _answer: Answer) -> Seen | None:
    """Whether the experiment has as many points among others as alone. Others may lack the metric."""
    name, _ = subject.longest_metric()
    alone, among = (len(_charted(subject, check, name)) for check in ("experiments/multi-metric-chart", MANY))
    if among < alone:
        return Seen(False, f"{among:,} of {alone:,} points came among others", "fewer are asked for together")
    return Seen(True, f"{len(keys_together(subject))} experiments in one answer")


def parameters_of_chart(subject: Subject, _answer: Answer) -> Seen | None:
    """Whether a chart without metrics has the values of parameters."""
    name = a_parameter(subject)
    alone = next((row.get("valueCurrent") for row in subject.rows("experiment/parameters", "values")), None)
    params = _chart_of(subject, PARAMETERS).get("params")
    if not isinstance(params, dict) or params.get(name) != alone:
        return Seen(False, "not the value that came when asked alone", "each experiment is asked for its parameters")
    if LACKED in params:
        return Seen(False, "null for a parameter that is not there", "an experiment with a null is asked by itself")
    return Seen(True, "the same value as when asked alone")


def _charted(subject: Subject, check: str, name: str) -> list[Any]:
    """The values of a metric in a chart of one experiment."""
    metrics = rows(_chart_of(subject, check).get("metrics"))
    found = next((row.get("values") for row in metrics if row.get("metricName") == name), None)
    return found if isinstance(found, list) else []


def _chart_of(subject: Subject, check: str) -> Row:
    return inner(inner(subject.answer(check), "experiments"), subject.key)


def length_of_output(subject: Subject, _answer: Answer) -> Seen | None:
    length = len(text(subject.answer("experiment/output"), "output"))
    beyond = "" if length < LONG else ": look whether its beginning is there"
    return Seen(True, f"{length:,} characters{beyond}")


def fields_of_search(subject: Subject, _answer: Answer) -> Seen | None:
    """How much more than keys a search brings."""
    found = subject.rows("experiments/search", "experiments")
    names = {name for row in found for name in row}
    columns = sum("--" in name for name in names)
    return Seen(True, f"{len(found)} rows of {len(names)} fields, {columns} of them columns")


def bytes_came(subject: Subject, answer: Answer) -> Seen | None:
    """Whether Comet streams an asset itself, and whether these are its bytes."""
    if answer.status != 200:
        return Seen(True, f"redirected ({answer.status}) to a storage")
    size = subject.smallest_asset().get("fileSize", 0)
    if len(answer.body) == size:
        return Seen(True, f"streamed by Comet itself, as long as listed, as {answer.kind or 'no type'}")
    if is_page(answer.body) or is_refusal(answer.body):
        return Seen(False, "a page or a refusal with status 200", "such a file is an error, and is not cached")
    return Seen(False, f"{len(answer.body):,} bytes came, {size:,} are listed", "the bytes that came are shown")
