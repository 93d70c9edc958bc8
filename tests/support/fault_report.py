"""The outcomes of the matrix of faults as a section of the manual. Pure functions of values, but for the page itself.

Not here: the runs (fault_matrix.py, fault_scenarios.py), and when the page is written (scripts/reliability).
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from tests.support.fault_matrix import Outcome
from tests.support.fault_rows import RIGHT, Case

PAGE = Path(__file__).parents[2] / "src/cometfs/manual/reliability.md"

HEADING = (
    "| fault | at | a program gets | calls | until then, s | right again after, s | memory, MB | held |",
    "|---|---|---|---|---|---|---|---|",
)


def write_section(name: str, text: str) -> None:
    """Puts `text` between the marks of a section of the page, which name the script that makes it."""
    marked = re.compile(rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    page, found = marked.subn(lambda match: f"{match[1]}\n{text.strip()}\n\n{match[2]}", PAGE.read_text("utf-8"))
    assert found == 1, f"{PAGE} has no section {name!r}"
    PAGE.write_text(page, "utf-8")


def markdown(outcomes: Mapping[Case, Outcome], surroundings: str) -> str:
    """A sentence, and a table with a row for each fault."""
    held = sum(is_held(outcome) for outcome in outcomes.values())
    faults = len({(case.group, case.name) for case in outcomes})
    sentence = f"{faults} faults at {len(outcomes)} places, {held} of them held. {surroundings}"
    return "\n".join([sentence, "", *HEADING, *_rows(list(outcomes.values()))])


def is_held(outcome: Outcome) -> bool:
    """Whether all was as it should be."""
    case = outcome.case
    return outcome.got == case.expected and not outcome.amiss and bool(re.search(case.says, outcome.says))


def _rows(outcomes: Sequence[Outcome]) -> Iterator[str]:
    for _, alike in groupby(outcomes, lambda outcome: (outcome.case.group, outcome.case.name)):
        by_result: dict[int | None, list[Outcome]] = {}
        for outcome in alike:
            by_result.setdefault(outcome.got, []).append(outcome)
        for got, same in by_result.items():
            yield _row(got, same)


def _row(got: int | None, same: Sequence[Outcome]) -> str:
    case = same[0].case
    calls = sorted({outcome.calls for outcome in same})
    peaks = [outcome.peak for outcome in same if outcome.peak is not None]
    cells = (
        f"{case.group}: {case.name}",
        ", ".join(outcome.case.place for outcome in same),
        shown(got),
        "-".join(map(str, dict.fromkeys((calls[0], calls[-1])))),
        f"{max(outcome.seconds for outcome in same):.1f}",
        f"{max(outcome.recovered for outcome in same):.1f}",
        f"{max(peaks) / 1e6:.0f}" if peaks else "",
        "yes" if all(map(is_held, same)) else "**no**",
    )
    return f"| {' | '.join(cells)} |"


def shown(got: int | None) -> str:
    """What a program gets, as it stands in the manual."""
    if got is None:
        return "**other bytes**"
    return "the right bytes" if got == RIGHT else f"`{errno.errorcode[got]}` ({os.strerror(got)})"


def named_faults() -> set[str]:
    """The faults of the table, as they stand in it."""
    return set(re.findall(r"^\| ((?:\w+): .*?) \| ", PAGE.read_text("utf-8"), re.MULTILINE))
