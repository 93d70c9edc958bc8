"""What a whole server, its network, its certificate or the machine of a mount may meet, one after the other.

A case reads a file that was never read while the fault lasts, and one that was; then the fault ends. Not here: faults
of single requests (fault_rows.py).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from errno import EAGAIN, ENETUNREACH, EPROTO, ETIMEDOUT
from functools import partial

from tests.support import fault_kinds as kinds
from tests.support.certificates import Authority
from tests.support.fault_matrix import KEY, Outcome, Stage, named, path_of, recovery, result, sentence
from tests.support.fault_proxy import Fault as RequestFault
from tests.support.fault_proxy import FaultProxy, Request, fault_proxy
from tests.support.fault_rows import FILE, RIGHT, Case
from tests.support.fault_world import Subject
from tests.support.processes import PATIENCE, Mounted, running_mount

STEADY = "60"
"""A deadline that is longer than it takes to notice a dead connection."""

STOPPED = 3.0
"""Seconds for which a daemon is stopped."""

READERS = 12

PAUSE = 1
"""Seconds that a server asks for that answers 429."""

ALLOWED = 4
"""Requests that it answers after each pause."""

DECADE = 10 * 365 * 86400

CLOCK = (sys.executable, "-W", "error", "-m", "tests.support.cometfs_clock")


@dataclass(frozen=True)
class Scenario(Case):
    """A fault of more than a request."""

    run: Callable[[Stage, Scenario], Outcome]


def scenarios() -> list[Scenario]:
    lost = ENETUNREACH, "[Cc]onnection|reach"
    return [
        Scenario("server", "connections refused", FILE, *lost, partial(_meeting, _refused)),
        Scenario("server", "every connection reset", FILE, *lost, partial(_meeting, _reset)),
        Scenario("server", "silence", FILE, ETIMEDOUT, "(?i)no answer|came", partial(_meeting, _silent, hasty=True)),
        Scenario("server", "dead kept-alive connections", FILE, RIGHT, "", _dead_connections),
        Scenario("server", "an expired certificate", FILE, EPROTO, "certificate", _expired),
        Scenario("server", "429 for a day", FILE, EAGAIN, "429|calls", _long_throttle),
        Scenario("server", f"429 to {READERS} readers", FILE, RIGHT, "", _storm),
        Scenario("machine", "the clock jumps by ten years", FILE, RIGHT, "", _clock),
        Scenario("machine", "the daemon is stopped", FILE, RIGHT, "", _stopped),
    ]


Fault = Callable[[FaultProxy], AbstractContextManager[None]]


@contextmanager
def _refused(proxy: FaultProxy) -> Iterator[None]:
    proxy.refuse()
    try:
        yield
    finally:
        proxy.accept()


@contextmanager
def _declared(fault: RequestFault, proxy: FaultProxy) -> Iterator[None]:
    proxy.declare("everything", lambda _: True, fault)
    try:
        yield
    finally:
        proxy.clear("everything")


_reset, _silent = partial(_declared, kinds.reset), partial(_declared, kinds.silent)


def _meeting(fault: Fault, stage: Stage, case: Scenario, *, hasty: bool = False) -> Outcome:
    return _met(fault, stage, case, stage.hasty if hasty else stage.patient, stage.proxy)


def _met(fault: Fault, stage: Stage, case: Scenario, mounted: Mounted, proxy: FaultProxy) -> Outcome:
    """While it lasts the file that was never read is asked for, and the one that was read."""
    outcome = Outcome(case)
    victim, neighbour = stage.subjects(case.project)
    unread, known = partial(_is_right, mounted, victim), partial(_is_right, mounted, neighbour)
    assert known()
    before = proxy.connections + len(proxy.seen)
    with fault(proxy):
        outcome.got, outcome.seconds = _timed(unread)
        outcome.calls = proxy.connections + len(proxy.seen) - before
        outcome.says = sentence(mounted, path_of(case, victim), outcome.got)
        if (got := result(known)) != RIGHT:
            outcome.amiss.append(f"what was read before: {named(got)}")
    outcome.recovered = recovery(unread, outcome)
    return outcome


def _is_right(mounted: Mounted, subject: Subject) -> bool:
    path = f"{subject.folder}/params.json"
    return (mounted / path).read_bytes() == subject.files()[path]


def _timed(read: Callable[[], bool]) -> tuple[int | None, float]:
    began = time.monotonic()
    return result(read), time.monotonic() - began


@contextmanager
def _own_mount(stage: Stage, case: Scenario, *options: str, url: str = "", **more: object) -> Iterator[Mounted]:
    """A mount whose troubles are not those of the others."""
    folder = stage.folder / case.project
    folder.mkdir()
    comet = replace(stage.patient.comet, url=url or stage.proxy.url)
    with running_mount(folder, comet, "--deadline", STEADY, *options, COMET_API_KEY=KEY, **more) as mounted:  # type: ignore[arg-type]
        yield mounted


def _dead_connections(stage: Stage, case: Scenario) -> Outcome:
    """Those that were used before are silent from now on, as after a suspend, or where a NAT has forgotten them."""

    @contextmanager
    def silenced(proxy: FaultProxy) -> Iterator[None]:
        proxy.silence()
        yield
        proxy.break_all()

    with _own_mount(stage, case) as mounted:
        return _met(silenced, stage, case, mounted, stage.proxy)


def _expired(stage: Stage, case: Scenario) -> Outcome:
    """The server's certificate has expired while it is mounted."""
    authority = Authority.made(stage.folder / "authority")
    good, expired = authority.server("127.0.0.1"), authority.server("127.0.0.1", days=-1)

    @contextmanager
    def expiring(proxy: FaultProxy) -> Iterator[None]:
        proxy.tls = expired
        proxy.break_all()
        yield
        proxy.tls = good

    trusted = {"SSL_CERT_FILE": str(authority.certificate)}
    with (
        fault_proxy(stage.patient.comet.url, good) as proxy,
        _own_mount(stage, case, url=proxy.url, **trusted) as mounted,
    ):
        return _met(expiring, stage, case, mounted, proxy)


def _long_throttle(stage: Stage, case: Scenario) -> Outcome:
    """One endpoint asks for no calls for a day. What is at hand is served; there is no waiting for the end."""
    outcome = Outcome(case)
    victim, neighbour = stage.subjects(case.project)

    def is_met(request: Request) -> bool:
        return request.query.get("experimentKey") == victim.key

    with _own_mount(stage, case) as mounted:
        assert _is_right(mounted, neighbour)
        os.listdir(mounted / victim.folder)  # noqa: PTH208
        stage.proxy.declare(case.project, is_met, kinds.throttling("86400"))
        outcome.got, outcome.seconds = _timed(partial(_is_right, mounted, victim))
        if (got := result(partial(_is_right, mounted, neighbour))) != RIGHT:
            outcome.amiss.append(f"what was read before: {named(got)}")
        outcome.calls = stage.proxy.clear(case.project)
        outcome.says = sentence(mounted, path_of(case, victim), outcome.got)
    return outcome


def _storm(stage: Stage, case: Scenario) -> Outcome:
    """Readers at once, of a server that answers a few calls and then asks for a pause, again and again."""
    outcome, gate = Outcome(case), _Gate()
    projects = list(stage.numbers)[: READERS // 2]
    subjects = [subject for project in projects for subject in stage.subjects(project)]
    with _own_mount(stage, case) as mounted, ThreadPoolExecutor(READERS) as abreast:
        for subject in subjects:
            os.listdir(mounted / subject.folder)  # noqa: PTH208
        stage.proxy.declare(case.project, gate.is_refused, kinds.throttling(str(PAUSE)))
        began = time.monotonic()
        found = list(abreast.map(result, [partial(_is_right, mounted, subject) for subject in subjects]))
        outcome.seconds = time.monotonic() - began
        outcome.calls = stage.proxy.clear(case.project) + gate.answered
    outcome.got = next((got for got in found if got != RIGHT), RIGHT)
    if gate.repeated:
        outcome.amiss.append(f"{gate.repeated} calls were made again in the same pause")
    return outcome


class _Gate:
    """Answers `ALLOWED` calls, then none until a pause is over. A call that was on its way when the pause began is
    refused, too, but none is to come again before its end: `repeated` counts those."""

    def __init__(self) -> None:
        self.answered = self.repeated = 0
        self._left = ALLOWED
        self._until: float | None = None
        self._refused: set[str] = set()

    def is_refused(self, request: Request) -> bool:
        if request.endpoint != "experiment/parameters":
            return False
        if self._until is not None and time.monotonic() >= self._until:
            self._left, self._until = ALLOWED, None
        if self._left:
            self._left -= 1
            self.answered += 1
            return False
        if self._until is None:
            self._until, self._refused = time.monotonic() + PAUSE, set()
        self.repeated += request.target in self._refused
        self._refused.add(request.target)
        return True


def _clock(stage: Stage, case: Scenario) -> Outcome:
    """Forward, back again, and back: each time a file that was never read, and one that was."""
    outcome = Outcome(case, RIGHT)
    victim, neighbour = stage.subjects(case.project)
    offset = stage.folder / "offset"
    offset.write_text("0")
    with _own_mount(stage, case, program=CLOCK, COMETFS_CLOCK=str(offset)) as mounted:
        names = iter(["params.json", "output.txt", "assets/table.csv"])
        assert _is_right(mounted, neighbour)
        for jump in (DECADE, 0, -DECADE):
            offset.write_text(str(jump))
            path = f"{victim.folder}/{next(names)}"
            read = partial(lambda path: (mounted / path).read_bytes() == victim.files()[path], path)
            got, seconds = _timed(read)
            outcome.got, outcome.seconds = outcome.got or got, max(outcome.seconds, seconds)
            if (again := result(partial(_is_right, mounted, neighbour))) != RIGHT:
                outcome.amiss.append(f"what was read before: {named(again)} at {jump} s")
        offset.write_text("0")
    return outcome


def _stopped(stage: Stage, case: Scenario) -> Outcome:
    """SIGSTOP while a program reads; meanwhile all its connections end. After SIGCONT it goes on."""
    outcome = Outcome(case)
    victim, _ = stage.subjects(case.project)
    mounted = stage.patient
    with ThreadPoolExecutor(1) as beside:
        mounted.process.send_signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            read = beside.submit(result, partial(_is_right, mounted, victim))
            time.sleep(STOPPED)
            stage.proxy.break_all()
            if read.done():
                outcome.amiss.append("it was read while the daemon was stopped")
        finally:
            mounted.process.send_signal(signal.SIGCONT)
        outcome.got = read.result(PATIENCE)
        outcome.seconds = time.monotonic() - began - STOPPED
    return outcome


def run_scenarios(stage: Stage, cases: Sequence[Scenario]) -> dict[Case, Outcome]:
    return {case: case.run(stage, case) for case in cases}
