"""Finding experiments by what they logged: ``project/query`` and ``experiments/search``.

Both take trees of rules. A rule compares one value of an experiment, a *column*, with the rule's own. `~` of Comet's
Python client sends the opposite operator and says `negated` beside it, so that word changes nothing here.

A column that an experiment does not have meets ``is_null`` and ``is_empty`` and no comparison; a tag that it does not
have meets ``not_equal`` as well.

Not here: which columns there are (`columns`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from operator import ge, gt, le, lt
from typing import Any

import msgspec

from cometfs.server.catalog.project import ServedExperiment, ServedProject
from cometfs.server.runs import content
from cometfs.server.runs.values import text_of
from cometfs.text.numbers import number_of
from cometfs.text.times import in_utc


class Rule(msgspec.Struct):
    """A comparison (`field`, `operator`, `value`), or `rules` joined by a `condition`, ``AND`` or ``OR``."""

    field: str | None = None
    id: str | None = None
    source: str | None = None
    type: str | None = None
    operator: str = "equal"
    value: Any = None
    condition: str = "AND"
    rules: list[Rule] | None = None


class Predicate(msgspec.Struct):
    """Rules about columns of one `source`; of the source ``nested``, every rule names its own."""

    source: str
    query: Rule


class Query(msgspec.Struct, rename="camel"):
    """The body of ``project/query``; all `predicates` must be met."""

    project_id: str | None = None
    workspace_name: str | None = None
    project_name: str | None = None
    archived: bool = False
    predicates: list[Predicate] = []

    def place(self) -> dict[str, str]:
        """Which project, in the words of a query string."""
        words = {
            "projectId": self.project_id,
            "workspaceName": self.workspace_name,
            "projectName": self.project_name,
        }
        return {name: found for name, found in words.items() if found}

    def tree(self) -> Rule:
        return Rule(rules=[_sourced(one.query, one.source) for one in self.predicates])


class Search(msgspec.Struct, rename="camel"):
    """The body of ``experiments/search``, as far as it is understood: no sorting, no views."""

    project_id: str | None = None
    rules_tree: Rule | None = None
    limit: int | None = None
    page: int | None = None
    deleted: bool | None = False


def _sourced(rule: Rule, source: str) -> Rule:
    """`rule` with `source` wherever it names none."""
    rules = None if rule.rules is None else [_sourced(one, source) for one in rule.rules]
    own = rule.source or (None if source == "nested" else source)
    return msgspec.structs.replace(rule, rules=rules, source=own)


def found(project: ServedProject, tree: Rule, archived: bool) -> list[ServedExperiment]:
    """The experiments of a project that meet `tree`, in their order. May read archives; raises Unknown."""
    candidates = (one for one in project.experiments if one.record.archived == archived)
    return [one for one in candidates if _meets(_Facts(one), tree)]


@dataclass(slots=True)
class _Facts:
    """An experiment and what has been found out about it already."""

    experiment: ServedExperiment
    known: dict[str, Mapping[str, str | None]] = field(default_factory=dict)

    def column(self, rule: Rule) -> tuple[str | None, str]:
        """The value of the column that a rule names, None where there is none; and the source it was found in."""
        name = rule.field or rule.id or ""
        for source in [rule.source] if rule.source else _SOURCES:
            values = self._of(source)
            for spelling in (name, name.removesuffix(f"--{source}")):
                if values.get(spelling) is not None:
                    return values[spelling], source
        return None, rule.source or ""

    def _of(self, source: str) -> Mapping[str, str | None]:
        if source not in self.known:
            reader = _SOURCES.get(source)
            self.known[source] = reader(self.experiment) if reader else {}
        return self.known[source]


def _meets(facts: _Facts, rule: Rule) -> bool:
    if rule.rules is None:
        value, source = facts.column(rule)
        return meets(value, rule.operator, rule.value, rule.type or "string", absent_differs=source == "tag")
    joined = any if rule.condition.upper() == "OR" else all
    return joined(_meets(facts, one) for one in rule.rules)


def _metrics(experiment: ServedExperiment) -> dict[str, str | None]:
    return {name: series.summary.current.text for name, series in experiment.record.metrics.items()}


def _params(experiment: ServedExperiment) -> dict[str, str | None]:
    return {name: value.text for name, value in experiment.record.parameters.items()}


def _others(experiment: ServedExperiment) -> dict[str, str | None]:
    values: dict[str, str | None] = {name: value.text for name, value in experiment.record.others.items()}
    return values | ({"Name": experiment.name} if experiment.name is not None else {})


def _tags(experiment: ServedExperiment) -> dict[str, str | None]:
    return {tag: tag for tag in experiment.record.tags}


def _metadata(experiment: ServedExperiment) -> dict[str, str | None]:
    record = experiment.record
    path = record.file_path
    return {
        "experimentKey": experiment.key,
        "file_path": path,
        "file_name": path.rsplit("/", 1)[-1] if path else None,
        "user_name": record.user,
        "duration": None if record.start is None or record.end is None else str((record.end - record.start) / 1000),
        "start_server_timestamp": _moment(record.start),
        "end_server_timestamp": _moment(record.end),
        "last_message_time": _moment(record.last_seen),
        "runActive": _truth(experiment.running),
        "hasNotes": "false",
        "hasHtml": _truth("html" in record.lines),
        "hasImages": _truth(any(asset.type == "image" for asset in record.assets.values())),
    }


def _environment(experiment: ServedExperiment) -> dict[str, str | None]:
    """Details of the machine, read from the archive."""
    details = content.system_details(experiment.record)
    return {name: None if value is None else text_of(value) for name, value in details.items()}


_SOURCES = {
    "metrics": _metrics,
    "params": _params,
    "log_other": _others,
    "tag": _tags,
    "metadata": _metadata,
    "env_details": _environment,
}
"""How the columns of each source are read; a rule that names no source is tried with each, in this order."""


def columns_of(experiment: ServedExperiment) -> dict[str, str | None]:
    """What was logged, as the columns of a search's row: by the ids of ``project/column-names``; values are text."""
    read = {source: _SOURCES[source](experiment) for source in ("metrics", "params", "log_other")}
    found = {f"{name}--{source}": value for source, values in read.items() for name, value in values.items()}
    tags = {f"{tag}--tag": _truth(True) for tag in experiment.record.tags}
    return {"server_timestamp": _moment(experiment.record.start)} | found | tags


def _moment(milliseconds: int | None) -> str | None:
    moment = None if milliseconds is None else in_utc(milliseconds, "auto")
    return None if moment is None else f"{moment}+00:00"


def _truth(value: bool) -> str:
    return text_of(value)


# -- how a value that was logged compares with the one that a query asks for -------------------------------------------

Comparable = str | float


class Unknown(ValueError):
    """An operator, or a value, that no comparison is known for; the text says which."""


def meets(logged: str | None, operator: str, wanted: Any, kind: str, *, absent_differs: bool = False) -> bool:
    """Whether `logged` meets the comparison; `kind` is the type of its column, ``string``, ``double`` and so on.

    What was not logged, None, meets ``is_null`` and ``is_empty``, and with `absent_differs` also ``not_equal``. Raises
    Unknown.
    """
    if operator in _EMPTINESS:
        return _EMPTINESS[operator](logged)
    positive = operator.removeprefix("not_")
    if positive not in _COMPARISONS:
        raise Unknown(f"unknown operator {operator!r}")
    if logged is None:
        return absent_differs and operator == "not_equal"
    return _COMPARISONS[positive](logged, wanted, kind) == (positive == operator)


def _equal(logged: str, wanted: Any, kind: str) -> bool:
    if kind == "boolean":
        return _boolean(logged) == _boolean(text_of(wanted))
    return logged == text_of(wanted) or _ordered(logged, wanted, kind, lambda one, other: one == other)


def _ordered(logged: str, wanted: Any, kind: str, order: Callable[[Any, Any], bool]) -> bool:
    """As moments, or as numbers if both are; text has an order only where both are no numbers."""
    one: Comparable | None
    other: Comparable | None
    if kind == "datetime":
        one, other = _seconds(logged), _seconds(text_of(wanted))
    else:
        one, other = number_of(logged), number_of(wanted)
        if kind == "string" and one is None and other is None:
            one, other = logged, text_of(wanted)
    return one is not None and other is not None and order(one, other)


def _between(logged: str, wanted: Any, kind: str) -> bool:
    if not isinstance(wanted, list) or len(wanted) != 2:
        raise Unknown(f"between takes two values, not {wanted!r}")
    return _ordered(logged, wanted[0], kind, ge) and _ordered(logged, wanted[1], kind, le)


def _seconds(text: str) -> float | None:
    """Seconds since 1970; a time without a zone is UTC."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


def _boolean(text: str) -> bool | None:
    return {"true": True, "1": True, "false": False, "0": False}.get(text.lower())


_EMPTINESS: dict[str, Callable[[str | None], bool]] = {
    "is_null": lambda logged: logged is None,
    "is_not_null": lambda logged: logged is not None,
    "is_empty": lambda logged: not logged,
    "is_not_empty": lambda logged: bool(logged),
}

_COMPARISONS: dict[str, Callable[[str, Any, str], bool]] = {
    "equal": _equal,
    "less": partial(_ordered, order=lt),
    "less_or_equal": partial(_ordered, order=le),
    "greater": partial(_ordered, order=gt),
    "greater_or_equal": partial(_ordered, order=ge),
    "between": _between,
    "contains": lambda logged, wanted, _: text_of(wanted) in logged,
    "begins_with": lambda logged, wanted, _: logged.startswith(text_of(wanted)),
    "ends_with": lambda logged, wanted, _: logged.endswith(text_of(wanted)),
}
