"""What was found, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

Result = Literal["ok", "note", "wrong"]
"""A note costs something, and nothing is broken by it."""


class Finding(NamedTuple):
    """One thing that was looked at."""

    result: Result
    subject: str
    sentence: str
    remedy: str = ""


def ok(subject: str, sentence: str) -> Finding:
    return Finding("ok", subject, sentence)


def lines(found: Sequence[Finding]) -> Iterator[str]:
    """For a terminal: what is wrong last, where it is seen."""
    order = {"ok": 0, "note": 1, "wrong": 2}
    for one in sorted(found, key=lambda finding: order[finding.result]):
        yield f"{one.result:<7}{one.subject:<14}{one.sentence}"
        if one.remedy:
            yield f"{'':<21}{one.remedy}"
    wrong = sum(one.result == "wrong" for one in found)
    yield f"{wrong} wrong, {sum(one.result == 'note' for one in found)} to note, {len(found)} looked at"


def as_objects(found: Sequence[Finding]) -> list[dict[str, Any]]:
    """The same for JSON."""
    return [one._asdict() for one in found]
