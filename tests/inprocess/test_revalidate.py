"""Whether inodes still stand for what they stood for: when that is looked at, what it costs, and what is learned."""

from __future__ import annotations

import errno
import math
from collections.abc import Callable
from typing import Any

import httpx
import pyfuse3
import pytest
import trio
import trio.testing

from cometfs.errors import Gone
from cometfs.fuse.operations import Operations
from cometfs.lease import FINISHED, LISTING, RUNNING
from cometfs.mountstate.inodes import Inode, Inodes
from cometfs.mountstate.limits import BRIEF, RequestLimiter
from cometfs.mountstate.revalidate import AGAIN, PAUSE, Revalidator
from cometfs.vfs.engine.vfs import Vfs
from tests.inprocess.conftest import BASELINE, Wire, at

DEADLINE = 30.0
PROJECT, NAME = BASELINE.rsplit("/", 1)
FILE = f"{BASELINE}/params.json"


class Kernel:
    """What the kernel was told, as inodes, and what it was told to ask for again."""

    def __init__(self, vfs: Vfs, patience: RequestLimiter | None = None) -> None:
        self.vfs = vfs
        self.outdated: list[Inode] = []
        self.inodes = Inodes(vfs.root, self.outdated.append)
        self.standing = Revalidator(vfs, self.inodes, patience or RequestLimiter(DEADLINE, 300))

    async def told(self, path: str) -> Inode:
        inode = self.inodes.root
        for part in path.split("/"):
            node, _ = await self.vfs.listings.child(inode.node, part)
            inode = self.inodes.child(inode, node)
            self.inodes.remember(inode)
        return inode


@pytest.fixture
def kernel(vfs: Vfs) -> Kernel:
    return Kernel(vfs)


def editing(**fields: Any) -> Callable[[dict[str, Any]], None]:
    """Of the baseline's row in its project's listing."""

    def edit(answer: dict[str, Any]) -> None:
        for row in answer["experiments"]:
            if row["experimentName"] == NAME:
                row.update(fields)

    return edit


async def test_within_the_leases_it_is_known_and_after_them_each_listing_is_asked_once(
    kernel: Kernel, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """Not the experiment's own: what every experiment has stands as long as it does."""
    file = await kernel.told(FILE)
    before = len(wire.asked)
    assert kernel.standing.is_fresh(file)
    await trio.sleep(LISTING - 1)
    assert kernel.standing.is_fresh(file)
    await trio.testing.wait_all_tasks_blocked()
    del wire.asked[:before]
    await trio.sleep(LISTING + 1)
    assert not kernel.standing.is_fresh(file)
    for inode in (file, file.parent, await kernel.told(f"{BASELINE}/code.py")):
        assert inode is not None
        assert await kernel.standing.revalidate(inode)
    assert wire.asked == ["projects", "experiments"]


async def test_what_has_ended_goes_on_under_its_number_with_the_leases_of_what_has_ended(
    kernel: Kernel, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """And the kernel is told to ask again for the attributes of all it knows there; the other way round too."""
    wire.edits["experiments"] = editing(running=True)
    file, metric = await kernel.told(FILE), await kernel.told(f"{BASELINE}/metrics")
    directory = file.parent
    assert directory is not None
    assert kernel.vfs.glance(directory.node).lease == RUNNING
    for running, lease in ((False, FINISHED), (True, RUNNING)):
        wire.edits["experiments"] = editing(running=running)
        kernel.outdated.clear()
        await trio.sleep(LISTING + 1)
        assert await kernel.standing.revalidate(file)
        assert kernel.vfs.glance(directory.node).lease == lease
        assert bool(file.node.at.version) == (not running)
        assert {directory, file, metric} <= set(kernel.outdated)
        assert await kernel.standing.revalidate(metric)
        assert metric.node.at is file.node.at


async def test_a_path_that_is_walked_tells_those_who_stand_there(
    kernel: Kernel, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """A lookup that finds another experiment under the name leaves the old inode gone, at once."""
    file = await kernel.told(FILE)
    directory = file.parent
    assert directory is not None
    await trio.sleep(LISTING + 1)
    assert await kernel.standing.revalidate(file)
    wire.edits["experiments"] = editing(experimentKey="f" * 32)
    kernel.vfs._store._memory._held.clear()
    other = await kernel.told(BASELINE)
    assert other is not directory
    assert kernel.standing.is_fresh(other)
    with pytest.raises(Gone):
        kernel.standing.is_fresh(directory)
    assert {directory, file} <= set(kernel.outdated)


@pytest.mark.parametrize("fields", [{"experimentName": "another"}, {"experimentKey": "f" * 32}])
async def test_all_of_what_is_gone_is_gone_and_comes_back_with_it(
    fields: dict[str, str], kernel: Kernel, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """Files, directories and folders that a "/" made; a name that is given back stands again."""
    held = [await kernel.told(f"{BASELINE}/{path}") for path in ("assets", "metrics", "code.py")]
    folder = next(node for node in (await kernel.vfs.listings.children(held[0].node))[0].nodes.values() if node.within)
    held.append(await kernel.told(f"{BASELINE}/assets/{folder.name}"))
    wire.edits["experiments"] = editing(**fields)
    await trio.sleep(LISTING + 1)
    for inode in held:
        with pytest.raises(Gone):
            await kernel.standing.revalidate(inode)
        with pytest.raises(Gone):
            kernel.standing.is_fresh(inode)
    assert set(held) <= set(kernel.outdated)
    wire.edits.clear()
    await trio.sleep(LISTING + 1)
    for inode in held:
        assert await kernel.standing.revalidate(inode)


async def test_a_metric_or_an_asset_that_is_gone_is_gone_alone(
    kernel: Kernel, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """What stands for a row is looked at against the list of its own directory."""
    wire.edits["experiments"] = editing(running=True)
    listing = (await kernel.vfs.listings.children(await at(kernel.vfs, f"{BASELINE}/assets")))[0]
    first = next(name for name, node in listing.nodes.items() if not node.within)
    asset, directory = await kernel.told(f"{BASELINE}/assets/{first}"), await kernel.told(f"{BASELINE}/assets")
    assert await kernel.standing.revalidate(asset)

    def without(answer: dict[str, Any]) -> None:
        answer["assets"] = [row for row in answer["assets"] if row["assetId"] != asset.node.at.item["assetId"]]

    wire.edits["experiment/asset/list"] = without
    await trio.sleep(RUNNING + 1)
    with pytest.raises(Gone):
        await kernel.standing.revalidate(asset)
    assert await kernel.standing.revalidate(directory)


async def test_a_project_that_is_gone_takes_what_is_in_it_along(
    kernel: Kernel, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """Its workspace says so, and its experiments are not asked for."""
    file = await kernel.told(FILE)
    wire.edits["projects"] = lambda answer: answer["projects"].clear()
    await trio.sleep(LISTING + 1)
    wire.asked.clear()
    with pytest.raises(Gone):
        await kernel.standing.revalidate(file)
    assert wire.asked == ["projects"]


async def test_a_server_that_is_away_is_waited_for_once(
    kernel: Kernel, wire: Wire, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    """What is at hand is served then, neither gone nor an error; when the server is back the truth is told."""
    file, other = await kernel.told(FILE), await kernel.told(f"{PROJECT}/sgd-20k-steps")
    directory = file.parent
    assert directory is not None
    for inode in (file, other):
        assert await kernel.standing.revalidate(inode)
    answered = wire.handle_async_request

    async def stalled(_request: httpx.Request) -> httpx.Response:
        await trio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr(wire, "handle_async_request", stalled)
    await trio.sleep(LISTING + 1)

    async def waited(inode: Inode) -> float:
        began = trio.current_time()
        assert await kernel.standing.revalidate(inode) is False
        return trio.current_time() - began

    assert await waited(file) == pytest.approx(BRIEF)
    assert [await waited(inode) for inode in (file, directory, other)] == [0.0, 0.0, 0.0]
    await trio.sleep(PAUSE)
    assert await waited(file) == pytest.approx(AGAIN)
    assert await waited(other) == 0.0
    wire.edits["experiments"] = editing(experimentName="another")
    monkeypatch.setattr(wire, "handle_async_request", answered)
    await trio.sleep(2 * DEADLINE)  # the call that stalls is given up
    assert await kernel.standing.revalidate(other)
    with pytest.raises(Gone):
        await kernel.standing.revalidate(file)


async def test_a_listing_that_answers_tells_nothing_of_one_that_does_not(
    kernel: Kernel, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """The broken one is not asked for again before its pause is over, and nothing is left of that once it answers."""
    wire.edits["experiments"] = editing(running=True)
    folders = [await at(kernel.vfs, f"{BASELINE}/{name}") for name in ("assets", "metrics")]
    broken, healthy = [
        await kernel.told(
            f"{BASELINE}/{folder.name}/{next(iter((await kernel.vfs.listings.children(folder))[0].nodes))}"
        )
        for folder in folders
    ]
    wire.refused.add("experiment/asset/list")
    await trio.sleep(RUNNING + 1)
    assert await kernel.standing.revalidate(broken) is False
    assert await kernel.standing.revalidate(healthy)
    wire.asked.clear()
    assert await kernel.standing.revalidate(broken) is False
    assert "experiment/asset/list" not in wire.asked
    await trio.sleep(PAUSE)
    assert await kernel.standing.revalidate(broken) is False
    assert "experiment/asset/list" in wire.asked
    wire.refused.clear()
    await trio.sleep(PAUSE)
    assert await kernel.standing.revalidate(broken)
    assert kernel.standing._unanswered == {}


async def test_of_what_the_kernel_forgot_nothing_is_known_any_more(
    vfs: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """Directories that could not be listed for weeks: the pauses of those that are forgotten go with them."""
    operations, context = Operations(vfs, RequestLimiter(DEADLINE, 300)), pyfuse3.RequestContext()
    numbers = [pyfuse3.ROOT_INODE]
    for part in FILE.split("/"):
        numbers.append((await operations.lookup(numbers[-1], part.encode(), context)).st_ino)
    workspace = numbers[1]
    wire.refused.add("projects")
    await trio.sleep(LISTING + 1)
    await operations.getattr(numbers[-1], context)
    assert operations._revalidator._unanswered.keys() == {workspace}
    await operations.forget([(number, 1) for number in reversed(numbers)])
    assert operations._revalidator._unanswered == {}


@pytest.mark.logs("Comet cannot be reached")
async def test_what_is_gone_stays_gone_while_nobody_answers(
    kernel: Kernel, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """Also once the listing that told so has run out."""
    file = await kernel.told(FILE)
    directory = file.parent
    assert directory is not None
    wire.edits["experiments"] = editing(experimentName="another")
    await trio.sleep(LISTING + 1)
    with pytest.raises(Gone):
        await kernel.standing.revalidate(file)
    wire.failing = True
    for _ in range(2):
        await trio.sleep(LISTING + PAUSE)
        for inode in (directory, file):
            with pytest.raises(Gone):
                await kernel.standing.revalidate(inode)
        kernel.inodes.doubt(kernel.inodes.root)
    wire.failing = False
    wire.edits.clear()
    await trio.sleep(LISTING + PAUSE)
    assert await kernel.standing.revalidate(file)


@pytest.mark.parametrize(("interrupted", "away"), [(True, False), (False, True)])
async def test_that_who_asks_is_interrupted_tells_nothing_of_the_server(
    interrupted: bool,
    away: bool,
    kernel: Kernel,
    wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Ctrl-C is not a server that is away: the next one asks. Who has waited as long as he may need not ask again."""
    file = await kernel.told(FILE)
    answered = wire.handle_async_request

    async def slow(request: httpx.Request) -> httpx.Response:
        await trio.sleep(BRIEF / 3)
        return await answered(request)

    monkeypatch.setattr(wire, "handle_async_request", slow)
    await trio.sleep(LISTING + 1)
    with trio.CancelScope(deadline=trio.current_time() + 0.2) as scope:
        if interrupted:
            scope.deadline = math.inf
            async with trio.open_nursery() as nursery:
                nursery.start_soon(kernel.standing.revalidate, file)
                await trio.sleep(0.2)
                scope.cancel()
        await kernel.standing.revalidate(file)
    assert scope.cancelled_caught
    wire.edits["experiments"] = editing(experimentName="another")
    if away:
        assert await kernel.standing.revalidate(file) is False
    else:
        with pytest.raises(Gone):
            await kernel.standing.revalidate(file)


async def test_a_request_with_little_or_no_time_does_not_wait(
    vfs: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """A short deadline leaves most of itself to the request, and where too many wait nobody asks."""
    patience = RequestLimiter(1.0, 1)
    kernel = Kernel(vfs, patience)
    file = await kernel.told(FILE)
    await trio.sleep(LISTING + 1)
    wire.failing = True
    began = trio.current_time()
    assert await kernel.standing.revalidate(file) is False
    assert trio.current_time() - began <= 0.25
    await trio.sleep(PAUSE)
    wire.asked.clear()
    with patience.limit(0):
        assert await kernel.standing.revalidate(file) is False
    assert wire.asked == []


async def test_what_the_kernel_has_forgotten_meanwhile_is_no_error(
    vfs: Vfs, wire: Wire, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    """Its forget may still be unread when it is told that something there is out of date: the answer is ESTALE."""
    asked: list[int] = []

    def unknown(inode: int, *, attr_only: bool) -> None:
        assert attr_only, "anything else may freeze the daemon here"
        asked.append(inode)
        raise FileNotFoundError(errno.ENOENT, "no such inode")

    monkeypatch.setattr(pyfuse3, "invalidate_inode", unknown)
    operations = Operations(vfs, RequestLimiter(DEADLINE, 300))
    number, context = pyfuse3.ROOT_INODE, pyfuse3.RequestContext()
    for part in FILE.split("/"):
        number = (await operations.lookup(number, part.encode(), context)).st_ino
    wire.edits["experiments"] = editing(experimentName="another")
    await trio.sleep(LISTING + 1)
    with pytest.raises(pyfuse3.FUSEError) as raised:
        await operations.getattr(number, context)
    assert raised.value.errno == errno.ESTALE
    assert number in asked


async def test_who_follows_an_open_file_learns_that_its_run_has_ended(
    kernel: Kernel, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """At the cost of the project's listing, not of those of the run; and that it runs again, where he can be shown what
    comes then."""
    wire.edits["experiments"] = editing(running=True)
    metrics = await at(kernel.vfs, f"{BASELINE}/metrics")
    name = next(
        name for name, node in (await kernel.vfs.listings.children(metrics))[0].nodes.items() if not node.within
    )
    file = await kernel.told(f"{BASELINE}/metrics/{name}")
    assert kernel.standing.follows(file, goes_on=True)
    await trio.sleep(LISTING + 1)
    wire.asked.clear()
    assert not kernel.standing.follows(file, goes_on=True)
    await kernel.standing.follow(file, goes_on=True)
    assert wire.asked == ["projects", "experiments"]
    wire.edits["experiments"] = editing(running=False)
    await trio.sleep(LISTING + 1)
    await kernel.standing.follow(file, goes_on=True)
    assert file.node.at.version
    await trio.sleep(LISTING + 1)
    assert kernel.standing.follows(file, goes_on=False)
    wire.asked.clear()
    wire.edits["experiments"] = editing(running=True)
    assert not kernel.standing.follows(file, goes_on=True)
    await kernel.standing.follow(file, goes_on=True)
    assert wire.asked == ["projects", "experiments", "experiment/metrics/summary"]
    assert not file.node.at.version
    wire.edits["experiments"] = editing(experimentName="another")
    await trio.sleep(LISTING + 1)
    await kernel.standing.follow(file, goes_on=True)
    assert file.node.name == name, "what is gone stays what it was for him"
