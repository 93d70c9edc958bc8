"""What `API.query_experiments` looks for: conditions as values, in the words of Comet's query builder. Pure functions.

All of an experiment's conditions must hold; there is no "or" here.

Not here: asking (`workspace_api`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

ColumnSource = Literal["metadata", "metrics", "params", "log_other", "tag", "env_details"]
"""Where a value comes from; `Column.source` has the same words."""

Operator = Literal[
    "equal",
    "not_equal",
    "less",
    "less_or_equal",
    "greater",
    "greater_or_equal",
    "between",
    "not_between",
    "contains",
    "not_contains",
    "begins_with",
    "not_begins_with",
    "ends_with",
    "not_ends_with",
    "is_null",
    "is_not_null",
    "is_empty",
    "is_not_empty",
]

Operand = str | bool | float | tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: the column `name` of `source` compares to `value` by `operator`.

    `source`, `name` and `type` are those of a `Column` of `API.project_column_names`. `value` depends on the type:
    ``string`` a text, ``double`` a number, ``boolean`` True or False, ``datetime`` a text ``YYYY-MM-DD HH:MM:SS`` in
    UTC, ``timenumber`` seconds; ``between`` takes a tuple of two numbers, ``is_null`` and the like take None.

        >>> Condition("metadata", "duration", "greater", 3600, "timenumber")
        Condition(source='metadata', name='duration', operator='greater', value=3600, type='timenumber')
    """

    source: ColumnSource
    name: str
    operator: Operator
    value: Operand = None
    type: str = "string"


def tagged(tag: str) -> Condition:
    """The experiment has the tag `tag`.

    >>> tagged("best")
    Condition(source='tag', name='best', operator='equal', value='best', type='string')
    """
    return Condition("tag", tag, "equal", tag)


def has_metric(name: str) -> Condition:
    """The experiment logged the metric `name`.

    >>> has_metric("loss")
    Condition(source='metrics', name='loss', operator='is_not_null', value=None, type='double')
    """
    return Condition("metrics", name, "is_not_null", type="double")


def metric(name: str, operator: Operator, value: float | tuple[float, float]) -> Condition:
    """The last value of the metric `name` compares to the number `value`; ``between`` takes a tuple of two.

    >>> metric("loss", "between", (0.1, 0.2))
    Condition(source='metrics', name='loss', operator='between', value=(0.1, 0.2), type='double')
    """
    return Condition("metrics", name, operator, value, "double")


def parameter(name: str, operator: Operator, value: Operand = None) -> Condition:
    """The parameter `name` compares to `value`: as a number if that is one, as a truth value, else as text.

    >>> parameter("lr", "less", 0.1)
    Condition(source='params', name='lr', operator='less', value=0.1, type='double')
    """
    return Condition("params", name, operator, value, _type_of(value))


def other(name: str, operator: Operator, value: Operand = None) -> Condition:
    """What ``log_other`` logged under `name` compares to `value`: by its type, as in `parameter`.

    >>> other("host", "begins_with", "gpu-")
    Condition(source='log_other', name='host', operator='begins_with', value='gpu-', type='string')
    """
    return Condition("log_other", name, operator, value, _type_of(value))


def predicates(conditions: Sequence[Condition]) -> list[dict[str, Any]]:
    """All `conditions` at once, as the body of ``project/query`` has them: one predicate for each source."""
    by_source: dict[str, list[dict[str, Any]]] = {}
    for one in conditions:
        by_source.setdefault(one.source, []).append(_rule(one))
    return [
        {"source": source, "query": {"condition": "AND", "rules": rules, "valid": True}}
        for source, rules in by_source.items()
    ]


def _type_of(value: Operand) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "double" if isinstance(value, int | float | tuple) else "string"


def _rule(one: Condition) -> dict[str, Any]:
    return {"id": one.name, "field": one.name, "type": one.type, "operator": one.operator, "value": _spelt(one.value)}


def _spelt(value: Operand) -> Any:
    """As Comet's Python client sends it: numbers and text as they are, ``1`` and ``0`` for true and false, and text for
    the bounds of ``between``."""
    if isinstance(value, bool):
        return int(value)
    return [str(bound) for bound in value] if isinstance(value, tuple) else value
