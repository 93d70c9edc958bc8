"""What only a live account can tell: functions from an answer of the right form to what it tells beyond it.

Not here: which answers these are (checks.py).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from cometfs.comet.http.sniffing import is_page, is_refusal
from cometfs.doctor.asking import Answer
from cometfs.doctor.subjects import Row, Subject, rows, text
from cometfs.numbers import number_of

SAMPLED = 500
"""Points of a metric in a chart that is not full."""

LONG = 10_000_000
"""Characters of an output that may be cut."""


class Seen(NamedTuple):
    """What an answer tells, and whether it is what the mount expects."""

    fits: bool
    words: str
    instead: str = ""
    """What the mount does because of it."""


def a_parameter(subject: Subject) -> str:
    """The name of some parameter, "" for none."""
    return next((text(row, "name") for row in subject.rows("experiment/parameters", "values")), "")


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


def size_of_sample(subject: Subject, _answer: Answer) -> Seen | None:
    name, _ = subject.longest_metric()
    return Seen(True, f"{len(_charted(subject, 'a sampled chart', name)):,} points of a metric")


def parameters_of_chart(subject: Subject, _answer: Answer) -> Seen | None:
    """Whether a chart without metrics has the values of parameters."""
    name = a_parameter(subject)
    alone = next((row.get("valueCurrent") for row in subject.rows("experiment/parameters", "values")), None)
    params = _chart_of(subject, "a chart of parameters").get("params")
    if isinstance(params, dict) and params.get(name) == alone:
        return Seen(True, "the same value as when asked alone")
    return Seen(False, "not the value that came when asked alone", "each experiment is asked for its parameters")


def _charted(subject: Subject, check: str, name: str) -> list[Any]:
    """The values of a metric in a chart of one experiment."""
    metrics = rows(_chart_of(subject, check).get("metrics"))
    found = next((row.get("values") for row in metrics if row.get("metricName") == name), None)
    return found if isinstance(found, list) else []


def _chart_of(subject: Subject, check: str) -> Row:
    found = subject.answers.get(check, {}).get("experiments", {}).get(subject.key)
    return found if isinstance(found, dict) else {}


def length_of_output(subject: Subject, _answer: Answer) -> Seen | None:
    length = len(subject.answers["experiment/output"].get("output") or "")
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
    size = subject.smallest_asset().get("fileSize")
    if len(answer.body) == size:
        return Seen(True, f"streamed by Comet itself, as long as listed, as {answer.kind or 'no type'}")
    if is_page(answer.body) or is_refusal(answer.body):
        return Seen(False, "a page or a refusal with status 200", "such a file is an error, and is not cached")
    return Seen(False, f"{len(answer.body):,} bytes came, {size:,} are listed", "the bytes that came are shown")
