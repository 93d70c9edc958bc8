"""Each answer judged: ok, differs, missing or refused, with the words that say why. Pure functions.

Words hold no names, keys, links or values of the account: they are printed, and are in the report.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from cometfs.comet.calls import REDIRECTS
from cometfs.doctor.asking import IN_TROUBLE, Answer
from cometfs.doctor.checks import BYTES, Check
from cometfs.doctor.shapes.forms import Comparison, compared
from cometfs.doctor.shapes.vocabulary import FURTHER
from cometfs.doctor.subjects import Subject
from cometfs.errors import (
    AnswerTooLarge,
    CometFSError,
    DeadlineExceeded,
    KeyRejected,
    NotAllowed,
    NotFound,
    Throttled,
    Unsupported,
)

AT_ONCE = 3
"""Differences of one answer that are named."""


class Result(IntEnum):
    """Of a check; the worse the greater."""

    OK = 0
    DIFFERS = 1
    REFUSED = 2
    MISSING = 3

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Finding:
    """What one check found about one subject."""

    check: Check
    where: str
    result: Result
    words: str
    answer: Answer
    instead: str = ""
    """What the mount does because of it."""

    @property
    def unusable(self) -> bool:
        """Whether the server lacks this, or always fails at it where the mount has another way: not what is refused to
        a key or for a while."""
        late = isinstance(self.answer.error, DeadlineExceeded)
        fails = self.answer.status >= IN_TROUBLE or late
        return self.result is Result.MISSING or (fails and not self.check.only)


def judged(check: Check, subject: Subject, answer: Answer) -> Finding:
    """What `answer` means. A decoded answer is kept in `subject`, for the checks that follow."""
    if answer.error is not None:
        result = _result_of(answer.error)
        return Finding(check, subject.where, result, _refusal_words(answer), answer, check.instead)
    if check.form is BYTES:
        return _looked_at(check, subject, answer, Comparison())
    return _compared(check, subject, answer)


def _result_of(error: CometFSError) -> Result:
    """The thing that is asked about is there, as it was listed: "not found" means the endpoint."""
    if isinstance(error, Unsupported | NotFound):
        return Result.MISSING
    return Result.DIFFERS if isinstance(error, AnswerTooLarge) else Result.REFUSED


_WORDS: tuple[tuple[type[CometFSError], str], ...] = (
    (KeyRejected, "the key is not accepted"),
    (NotAllowed, "not allowed to this key"),
    (Throttled, "no more calls for now"),
    (AnswerTooLarge, "an answer of more than 64 MiB"),
    (DeadlineExceeded, "no answer in time"),
)


def _refusal_words(answer: Answer) -> str:
    """Never the server's own: they may name things."""
    words = next((words for kind, words in _WORDS if isinstance(answer.error, kind)), "")
    status = f"answered {answer.status}" if answer.status else ""
    return ": ".join(filter(None, (status, words))) or "no answer"


def _compared(check: Check, subject: Subject, answer: Answer) -> Finding:
    if answer.status in REDIRECTS:
        words = f"redirected ({answer.status})"
        return Finding(check, subject.where, Result.REFUSED, words, answer, check.instead)
    try:
        value = answer.decoded()
    except ValueError:
        words = f"no JSON came, but {_media(answer)}"
        return Finding(check, subject.where, Result.DIFFERS, words, answer, check.instead)
    subject.answers[check.title] = value
    comparison = compared(value, check.form)
    if not answer.is_strict:
        comparison.differences["it is JSON that strict readers refuse"] += 1
    if comparison.differences:
        return Finding(check, subject.where, Result.DIFFERS, _differences(comparison), answer, _LENIENT)
    return _looked_at(check, subject, answer, comparison)


_LENIENT = "fields of another type, and rows that nothing identifies, are left out"


def _media(answer: Answer) -> str:
    known = {"text/html", "text/plain", "application/json", "application/octet-stream", "application/xml"}
    return answer.kind if answer.kind in known else "something else"


def _looked_at(check: Check, subject: Subject, answer: Answer, comparison: Comparison) -> Finding:
    seen = check.look(subject, answer) if check.look else None
    words = "; ".join(filter(None, (seen.words if seen else "", _additions(comparison))))
    fits = seen is None or seen.fits
    result = Result.OK if fits else Result.DIFFERS
    return Finding(check, subject.where, result, words, answer, seen.instead if seen and not fits else "")


def _differences(comparison: Comparison) -> str:
    named = [f"{words}{f' ({count} times)' if count > 1 else ''}" for words, count in comparison.differences.items()]
    more = len(named) - AT_ONCE
    return ", ".join(sorted(named)[:AT_ONCE] + ([f"{more} more differences"] if more > 0 else []))


def _additions(comparison: Comparison) -> str:
    """How many fields are new: which ones, is in the report."""
    count = sum(name.rpartition(".")[2] not in FURTHER for name in comparison.new)
    return f"{count} new {'field' if count == 1 else 'fields'}" if count else ""


def unusable(findings: Iterable[Finding]) -> set[str]:
    """Endpoints that the mount can do without, and that failed whatever they were asked about.

    None where most fail: then the server is in trouble, and lacks nothing.
    """
    found = list(findings)
    bad = {one.check.endpoint for one in found if one.unusable}
    good = {one.check.endpoint for one in found if not one.unusable}
    if len(bad) >= len(good):
        return set()
    return {one.check.endpoint for one in found if one.check.lacking} & bad - good
