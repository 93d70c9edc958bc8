"""Readers that queue behind one whose call failed: they share its failure, and cost no calls of their own."""

from __future__ import annotations

import httpx
import pytest
import trio
from trio.testing import MockClock

from cometfs.caller import CALLER, Caller
from cometfs.comet.api import API
from cometfs.comet.http.failures import MOST
from cometfs.comet.http.retries import RETRIES
from cometfs.comet.http.transport import Transport
from cometfs.errors import CometFSError, DeadlineExceeded, NotAllowed, ServerFailed, Unintelligible, Unreachable

NAMES = {"workspaceNames": ["a"]}
DEADLINE = 30.0


class Comet:
    """Stalls on `projects`, or on everything; the rest it answers at once."""

    def __init__(self) -> None:
        self.stalled = True
        self.dead = False
        self.answers: dict[str, httpx.Response] = {}
        """Instead of its own, by endpoint."""
        self.asked: list[str] = []
        self.probes = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        endpoint = request.url.path.removeprefix("/api/rest/v2/")
        if request.method == "HEAD":
            assert "authorization" not in request.headers
            self.probes += 1
        else:
            self.asked.append(endpoint)
        if self.dead or (self.stalled and endpoint == "projects"):
            await trio.sleep_forever()
        if endpoint in self.answers:
            return self.answers[endpoint]
        return httpx.Response(200, json=NAMES if endpoint == "workspaces" else {"projects": []})

    def api(self, deadline: float = DEADLINE) -> API:
        return API("key", "http://comet", deadline=deadline, transport=Transport(httpx.MockTransport(self)))


async def projects(api: API, pid: int, workspace: str = "a") -> None:
    CALLER.set(Caller(pid))
    await api.projects(workspace)


async def test_what_queues_behind_a_slow_failure_shares_it(autojump_clock: MockClock) -> None:
    """As the kernel hands on one lookup after the other. The server is well: another question is asked."""
    comet = Comet()
    async with comet.api() as api:
        for pid in range(1, 31):
            with pytest.raises(DeadlineExceeded):
                await projects(api, pid)
        assert trio.current_time() == pytest.approx(DEADLINE, abs=0.5)
        assert await api.workspaces() == ["a"]
        assert api.outage is None
    assert comet.asked == ["projects", "workspaces"]


async def test_a_program_that_asks_again_is_answered_anew(autojump_clock: MockClock) -> None:
    """It was not queued: it knows of the failure."""
    comet = Comet()
    async with comet.api() as api:
        with pytest.raises(DeadlineExceeded):
            await projects(api, 1)
        comet.stalled = False
        await projects(api, 1)
        await projects(api, 2, "b")
    assert comet.asked == ["projects"] * 3


FAILING = {
    "500": (httpx.Response(500), ServerFailed, 1 + RETRIES),
    "403": (httpx.Response(403), NotAllowed, 1),
    "no answer of Comet's": (httpx.Response(200, json=[]), Unintelligible, 1),
}


@pytest.mark.parametrize(("answer", "error", "tries"), FAILING.values(), ids=FAILING)
async def test_thirty_readers_of_a_failure_cost_one_call(
    answer: httpx.Response, error: type[CometFSError], tries: int, autojump_clock: MockClock
) -> None:
    """And its tries. A program that asks again has a call of its own, and so has another one after a moment."""
    comet = Comet()
    comet.stalled, comet.answers["projects"] = False, answer
    async with comet.api() as api:
        for pid in range(1, 31):
            with pytest.raises(error):
                await projects(api, pid)
        assert len(comet.asked) == tries
        with pytest.raises(error):
            await projects(api, 1)
        assert len(comet.asked) == 2 * tries
        await trio.sleep(MOST)
        comet.answers.clear()
        await projects(api, 31)
    assert len(comet.asked) == 2 * tries + 1


async def test_an_answer_ends_the_memory_of_a_failure(autojump_clock: MockClock) -> None:
    """For all programs; also one that came by a download."""
    comet = Comet()
    comet.stalled = False
    comet.answers |= dict.fromkeys(("projects", "experiment/asset/get-asset"), httpx.Response(403))
    async with comet.api() as api:
        for ask in (projects, asset):
            for pid in (1, 2):
                with pytest.raises(NotAllowed):
                    await ask(api, pid)
        comet.answers.clear()
        for ask in (projects, asset):
            for pid in (1, 2):
                await ask(api, pid)
    assert len(comet.asked) == 2 + 4


async def test_a_change_shares_no_failure(autojump_clock: MockClock) -> None:
    """It may be made by now, and each is meant."""
    comet = Comet()
    comet.answers["write/experiment/log-other"] = httpx.Response(403)
    async with comet.api() as api:
        for pid in (1, 2):
            CALLER.set(Caller(pid))
            with pytest.raises(NotAllowed):
                await api.log_experiment_other("k", "a", "b")
    assert len(comet.asked) == 2


async def asset(api: API, pid: int) -> None:
    CALLER.set(Caller(pid))
    async with api.stream_asset("k", "a") as stream:
        async for _ in stream:
            pass


async def test_a_patient_mount_remembers_it_no_longer(autojump_clock: MockClock) -> None:
    """By --deadline 600 it would be shown a minute after the server is well again."""
    comet = Comet()
    async with comet.api(20 * DEADLINE) as api:
        with pytest.raises(DeadlineExceeded):
            await projects(api, 1)
        comet.stalled = False
        await trio.sleep(MOST)
        await projects(api, 2)


async def test_a_failure_is_not_remembered_for_long(autojump_clock: MockClock) -> None:
    """A program that comes later was not queued either."""
    comet = Comet()
    async with comet.api() as api:
        with pytest.raises(DeadlineExceeded):
            await projects(api, 1)
        comet.stalled = False
        await trio.sleep(DEADLINE / 5)
        await projects(api, 2)


async def test_a_server_that_went_silent_is_found_out_once_for_all(autojump_clock: MockClock) -> None:
    """By the first deadline and one probe, whatever is asked after it."""
    comet = Comet()
    comet.dead = True
    async with comet.api() as api, trio.open_nursery() as nursery:
        with api.probing(nursery):
            for pid in range(30):
                with pytest.raises(Unreachable, match=f"workspace-{pid}'|No answer within 30 s"):
                    await projects(api, pid, f"workspace-{pid}")
            assert trio.current_time() < 2 * DEADLINE
            assert api.outage is not None
            assert len(comet.asked) == 1
            assert comet.probes == 1
            comet.dead = comet.stalled = False
            await trio.sleep(15.0)
            assert await api.workspaces() == ["a"]
        nursery.cancel_scope.cancel()
