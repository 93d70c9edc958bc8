"""Goes through the table of checks: one call after the other, on what the calls before it have shown.

Not here: the table (checks.py), what an answer means (findings.py).
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from urllib.parse import urljoin

from cometfs.comet.calls import REDIRECTS
from cometfs.comet.downloads.spans import PLAIN
from cometfs.comet.question import Question
from cometfs.doctor.asking import JSON, Answer, Asker
from cometfs.doctor.checks import BYTES, CHECKS, About, Check
from cometfs.doctor.clock import offset
from cometfs.doctor.findings import Finding, judged
from cometfs.doctor.storage import with_storage
from cometfs.doctor.subjects import PAGE, WORKSPACES, Subject, chosen, longest_run, text
from cometfs.errors import Throttled

VERSION = "isAlive/ver"
"""Below ``/clientlib/``; open to all."""


@dataclass
class Survey:
    """All that was found."""

    findings: list[Finding] = field(default_factory=list)
    not_asked: list[tuple[Check, str]] = field(default_factory=list)
    """Checks and where, for which there was nothing to ask about, or no call was left."""
    answers: list[Answer] = field(default_factory=list)
    version: str = ""

    @property
    def is_throttled(self) -> bool:
        """Whether the server wanted no more calls."""
        return any(isinstance(answer.error, Throttled) for answer in self.answers)

    @property
    def latencies(self) -> tuple[float, float]:
        """Median and longest, in seconds."""
        taken = [answer.seconds for answer in self.answers if answer.status]
        return (statistics.median(taken), max(taken)) if taken else (0.0, 0.0)

    @property
    def clock(self) -> float | None:
        """Seconds that the server's clock is ahead; None where it says no time."""
        return offset(self.answers)


async def survey(asker: Asker) -> Survey:
    """Asks all; at most `asking.CALLS` calls."""
    found = Survey(answers=asker.answers)
    await _Surveyor(asker, found).run()
    return found


class _Surveyor:
    def __init__(self, asker: Asker, found: Survey) -> None:
        self._asker, self._found = asker, found

    async def run(self) -> None:
        account = Subject("")
        await self._ask_version()
        await self._make(About.ACCOUNT, account)
        projects = [one for name in _workspaces(account) for one in await self._projects(name)]
        subjects = chosen(projects) or [Subject("")]
        for subject in subjects:
            await self._make(About.PROJECT, subject)
            listed = subject.rows("experiments", "experiments") or subject.rows(PAGE, "experiments")
            subject.experiment = longest_run(listed)
            await self._make(About.EXPERIMENT, subject)
        await self._make(About.ONCE, subjects[-1])

    async def _ask_version(self) -> None:
        question = Question(f"clientlib/{VERSION}")
        url = f"{self._asker.address.root}/clientlib/{VERSION}"
        answer = await self._asker.ask_without_key(question, url, self._asker.allowing)
        try:
            self._found.version = text(answer.decoded(), "version")
        except (ValueError, AttributeError):
            self._found.version = ""

    async def _projects(self, workspace: str) -> list[tuple[str, dict[str, object]]]:
        subject = Subject("", workspace)
        await self._make(About.WORKSPACE, subject)
        return [(workspace, row) for row in subject.rows("projects", "projects")]

    async def _make(self, about: About, subject: Subject) -> None:
        for check in CHECKS:
            if check.about is about:
                await self._check(check, subject)

    async def _check(self, check: Check, subject: Subject) -> None:
        question = check.ask(subject) if _has(subject, check.about) else None
        if question is None or not self._asker.may_ask:
            self._found.not_asked.append((check, subject.where))
            return
        answer = await self._asker.ask(question, PLAIN if check.form is BYTES else JSON)
        finding = judged(check, subject, answer)
        if answer.status in REDIRECTS and check.form is BYTES and self._asker.may_ask:
            finding = with_storage(finding, await self._at_storage(question, answer))
        self._found.findings.append(finding)

    async def _at_storage(self, question: Question, redirect: Answer) -> Answer:
        """What the storage makes of Range; it never sees the key."""
        target = urljoin(self._asker.address.rest + question.endpoint, redirect.headers.get("location", ""))
        return await self._asker.ask_without_key(question, target, {**PLAIN, "Range": "bytes=0-0"})


def _workspaces(account: Subject) -> list[str]:
    """The default one first: it is the one in use."""
    default = text(account.answer("account-details"), "defaultWorkspaceName")
    names = account.answer("workspaces").get("workspaceNames")
    listed = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    return list(dict.fromkeys(filter(None, (default, *listed))))[:WORKSPACES]


def _has(subject: Subject, about: About) -> bool:
    """Whether there is what a check is about."""
    needed = {About.PROJECT: subject.project_id, About.EXPERIMENT: subject.key, About.ONCE: subject.key}
    return bool(needed.get(about, "-"))
