"""The lines that `cometfs doctor --account` prints. Pure functions.

Not here: the report in a file (report_file.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from cometfs.doctor.findings import Finding, Result
from cometfs.doctor.survey import Survey

NAMES = max(map(len, Result.__members__))
TITLES = 34
"""Width of the column of endpoints."""

IN_STEP = 2.0
"""Seconds by which clocks differ that agree: answers say whole ones."""


def lines(found: Survey, server: str) -> list[str]:
    """The table, and what else was seen."""
    return [_head(found, server), "", *_rows(found), "", *_not_asked(found), _sum(found)]


def _head(found: Survey, server: str) -> str:
    median, longest = found.latencies
    version = f" {found.version}" if found.version else ""
    times = f"half of them within {median * 1000:.0f} ms, the longest {longest * 1000:.0f} ms"
    return f"Comet{version} at {server}: {len(found.answers)} calls, {times}. {_clock(found.clock)}."


def _clock(ahead: float | None) -> str:
    if ahead is None:
        return "It does not say what time it is"
    if abs(ahead) < IN_STEP:
        return "Its clock agrees with this machine's"
    return f"Its clock is {abs(ahead):,.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"


def by_check(found: Survey) -> dict[str, list[Finding]]:
    """The findings of each check, by its title, in the order of asking."""
    grouped: dict[str, list[Finding]] = {}
    for finding in found.findings:
        grouped.setdefault(finding.check.title, []).append(finding)
    return grouped


def _rows(found: Survey) -> Iterator[str]:
    for title, findings in by_check(found).items():
        worst = max(findings, key=lambda one: one.result)
        yield _row(str(worst.result), title, _words(findings, worst))
        if worst.result is not Result.OK and worst.instead:
            yield _row("", "", f"the mount: {worst.instead}")


def _row(result: str, title: str, words: str) -> str:
    return f"{result:<{NAMES}}  {title:<{TITLES}}  {words}".rstrip()


def _words(findings: list[Finding], worst: Finding) -> str:
    """What is wrong and where; what all answers tell where nothing is; else what it is for."""
    if worst.result is Result.OK:
        words = "; ".join(dict.fromkeys(one.words for one in findings if one.words))
        return ": ".join(filter(None, (worst.check.question, words)))
    bad = [one for one in findings if one.result is worst.result and one.words == worst.words]
    places = [one.where for one in bad if one.where] if len(bad) < len(findings) else []
    return f"{worst.words} ({', '.join(places)})" if places else worst.words


def _not_asked(found: Survey) -> Iterator[str]:
    titles = dict.fromkeys(check.title for check, _ in found.not_asked if check.title not in by_check(found))
    if titles:
        yield f"Not asked, as there is nothing here to ask about, or no call was left: {', '.join(titles)}."
    if found.is_throttled:
        yield "Comet wants no more calls for now, so the rest was not asked."


def _sum(found: Survey) -> str:
    results = [max(one.result for one in findings) for findings in by_check(found).values()]
    return ", ".join(f"{results.count(result)} {result}" for result in Result) + "."
