"""Open files that grow, as values and on a clock that jumps: who asks when, who is told. No kernel is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pyfuse3
import pytest
import trio
import trio.testing

from cometfs import lease
from cometfs.errors import CometFSError, Unreachable
from cometfs.fuse.notify import KernelInvalidator
from cometfs.mountstate.follow import BREATH, GRACE, REST, Follower
from cometfs.mountstate.handles import Handles
from cometfs.mountstate.inodes import Inode, Inodes
from cometfs.mountstate.kernel_view import Shared
from cometfs.vfs.nodes import Attributes, Content, Node
from cometfs.vfs.schema.declaration import Context, Dir, File, Source, Stream

INTERVAL = 5.0
RUNNING = {"experimentKey": "k", "running": True}


async def _nothing(_asker: Any, _at: Context) -> None:
    raise AssertionError("nobody asks a source here")


FILE = File("output.txt", Source("an output", _nothing, lambda _at: lease.RUNNING), grows=True)
NODE = Node("output.txt", FILE, Context("http://comet", 0.0, ("k",), experiment=RUNNING))


class FakeVfs:
    """A tree of one file. What it is now is at hand for `INTERVAL` seconds after it was asked for."""

    def __init__(self) -> None:
        self.now = Content(b"one\n", grows=True)
        self.error: Exception | None = None
        self.takes = 0.0
        """Seconds until an answer."""
        self.asked: list[float] = []
        self.files = self
        self._held: Content | None = None
        self._until = 0.0

    async def open(self, _node: Node) -> Content:
        self.asked.append(trio.current_time())
        await trio.sleep(self.takes)
        if self.error is not None:
            raise self.error
        self._held, self._until = self.now, trio.current_time() + INTERVAL
        return self._fresh()

    def open_nowait(self, _node: Node) -> Content | None:
        return self._fresh() if self._held is not None and trio.current_time() < self._until else None

    def glance(self, _node: Node) -> Attributes:
        return Attributes("file", None, 0.0, max(0.0, self._until - trio.current_time()))

    def _fresh(self) -> Content:
        assert self._held is not None
        return Content(self._held.data, self._held.grows)


class Waker:
    """Who waits in poll(2)."""

    def __init__(self) -> None:
        self.woken = 0
        self.event = trio.Event()

    def notify(self) -> None:
        self.woken += 1
        self.event.set()


class Stands:
    """A run that goes on under its name."""

    def follows(self, _inode: Inode, *, goes_on: bool) -> bool:  # noqa: ARG002
        return True

    async def follow(self, _inode: Inode, *, goes_on: bool) -> None:  # noqa: ARG002
        await trio.lowlevel.checkpoint()


class Stage:
    """A file that is open, with all that looks after it."""

    def __init__(self) -> None:
        self.vfs = FakeVfs()
        self.inodes = Inodes(Node("", Dir("", (), lambda _at: lease.RUNNING), Context("http://comet", 0.0)))
        self.handles = Handles()
        self.live = Follower(self.vfs, self.inodes, Stands(), KernelInvalidator().invalidate_attrs)  # type: ignore[arg-type]
        self.inode = self.inodes.child(self.inodes.root, NODE)
        self.inodes.remember(self.inode)

    async def open(self) -> int:
        fresh = self.vfs.open_nowait(NODE) or await self.vfs.open(NODE)
        shared = self.inode.shared
        assert shared is None or self.live.take(shared, fresh)
        return self.handles.share(self.inode, fresh)[0]

    @property
    def shared(self) -> Shared:
        found = self.inode.shared
        assert found is not None
        return found

    @property
    def shown(self) -> bytes:
        opened = self.shared.opened
        assert isinstance(opened, Content)
        return opened.data

    async def look(self) -> None:
        """What a getattr does."""
        if self.is_due():
            await self.live.look(self.shared)

    def is_due(self) -> bool:
        return self.live.is_due(self.shared)

    def wait(self, handle: int) -> Waker:
        """What a poll does."""
        waker = Waker()
        self.live.wait(self.handles.behind(handle), handle, waker, 1)
        return waker


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of which inodes the kernel was told to ask for the attributes again."""
    numbers: list[int] = []

    def invalidate(number: int, attr_only: bool = False) -> None:
        assert attr_only, "anything else can freeze the mount"
        numbers.append(number)

    monkeypatch.setattr(pyfuse3, "invalidate_inode", invalidate)
    return numbers


@pytest.fixture
async def stage(told: list[int]) -> AsyncIterator[Stage]:
    stage = Stage()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stage.live.run)
        await trio.testing.wait_all_tasks_blocked()
        yield stage
        nursery.cancel_scope.cancel()


# Content


@pytest.mark.parametrize(
    ("before", "grows", "after", "goes_on", "taken"),
    [
        (b"ab", True, b"abc", True, b"abc"),  # added to
        (b"ab", True, b"ab", True, b"ab"),  # nothing new
        (b"ab", True, b"abc", False, b"abc"),  # the last of it, and the end
        (b"ab", True, b"ab", False, b"ab"),  # the end
        (b"ab", True, b"a", True, b"ab"),  # an answer from behind: what was shown stays
        (b"ab", True, b"a", False, None),  # it ended as less: another file
        (b"ab", True, b"xab", True, None),  # rewritten
        (b"", True, b"a", True, b"a"),
        (b"ab", False, b"ab", False, b"ab"),  # what does not grow is taken for itself alone
        (b"ab", False, b"abc", False, None),
        (b"ab", False, b"abc", True, None),
    ],
)
def test_a_snapshot_goes_on_as_what_begins_with_it(
    before: bytes, grows: bool, after: bytes, goes_on: bool, taken: bytes | None
) -> None:
    """And is left as it was by anything else."""
    snapshot = Content(before, grows)
    assert snapshot.take(Content(after, goes_on)) == (taken is not None)
    assert snapshot.data == (before if taken is None else taken)
    assert snapshot.grows == (grows and goes_on if taken is not None else grows)


@pytest.mark.parametrize(
    ("after", "goes_on", "taken"),
    [
        (b"abc", True, b"abc"),  # it goes on
        (b"abc", False, b"abc"),  # its last lines came late
        (b"a", True, b"ab"),  # it goes on, and the answer comes from behind
        (b"a", False, None),
        (b"xab", True, None),
    ],
)
def test_what_has_ended_goes_on_where_nobody_reads_it_through_pages(
    after: bytes, goes_on: bool, taken: bytes | None
) -> None:
    """As if it had been growing all the time."""
    snapshot = Content(b"ab")
    assert snapshot.take(Content(after, goes_on), unpaged=True) == (taken is not None)
    assert (snapshot.data, snapshot.grows) == (taken or b"ab", goes_on and taken is not None)


# Looks


async def test_a_file_is_asked_for_once_in_a_lease_however_many_look(
    stage: Stage, autojump_clock: trio.testing.MockClock, told: list[int]
) -> None:
    """What was added is there for all handles at once, and the kernel is told that it knows a former size."""
    first, second = await stage.open(), await stage.open()
    stage.vfs.now = Content(b"one\ntwo\n", grows=True)
    for _ in range(19):
        await stage.look()
        await trio.sleep(INTERVAL / 10)
    assert stage.vfs.asked == [0.0, INTERVAL]
    assert bytes(await stage.handles.file(first).read(0, 99)) == b"one\ntwo\n"
    assert stage.handles.file(first) is stage.handles.file(second)
    assert told == [stage.inode.number]


async def test_what_somebody_else_has_just_asked_for_is_taken_without_a_call(
    stage: Stage, autojump_clock: trio.testing.MockClock
) -> None:
    """Who opens the file again brings what is new to all."""
    await stage.open()
    await trio.sleep(INTERVAL)
    stage.vfs.now = Content(b"one\ntwo\n", grows=True)
    await stage.vfs.open(NODE)
    assert not stage.is_due()
    assert stage.shown == b"one\ntwo\n"
    assert len(stage.vfs.asked) == 2


async def test_a_look_that_fails_is_no_error_and_not_repeated_at_once(
    stage: Stage, autojump_clock: trio.testing.MockClock
) -> None:
    """What the file was is shown; after a rest it is asked again."""
    await stage.open()
    await trio.sleep(INTERVAL)
    stage.vfs.error = Unreachable("no network")
    await stage.look()
    assert stage.shown == b"one\n"
    assert not stage.is_due()
    stage.vfs.error, stage.vfs.now = None, Content(b"one\ntwo\n", grows=True)
    await trio.sleep(REST)
    await stage.look()
    assert stage.shown == b"one\ntwo\n"


async def test_a_look_waits_no_longer_than_its_grace(stage: Stage, autojump_clock: trio.testing.MockClock) -> None:
    """A server that takes long is waited for by nobody."""
    await stage.open()
    await trio.sleep(INTERVAL)
    stage.vfs.takes = 100.0
    began = trio.current_time()
    await stage.look()
    assert trio.current_time() - began == pytest.approx(GRACE)
    assert not stage.is_due()
    await trio.sleep(GRACE)
    assert stage.is_due()


async def test_a_file_that_was_closed_meanwhile_is_nobodys_affair(
    stage: Stage, autojump_clock: trio.testing.MockClock, told: list[int]
) -> None:
    """An answer that comes then is dropped."""
    handle = await stage.open()
    await trio.sleep(INTERVAL)
    stage.vfs.takes, stage.vfs.now = 0.5, Content(b"one\ntwo\n", grows=True)
    async with trio.open_nursery() as nursery:
        shared = stage.shared
        nursery.start_soon(stage.live.look, shared)
        await trio.sleep(0.1)
        stage.handles.release(handle)
    assert told == []
    assert not stage.live.is_due(shared)
    assert stage.inode.shared is None


async def test_an_inode_that_the_kernel_has_forgotten_is_no_bug(
    stage: Stage, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was closed, and that has not been heard of yet."""

    def forgotten(_number: int, attr_only: bool = False) -> None:
        raise FileNotFoundError(attr_only)

    monkeypatch.setattr(pyfuse3, "invalidate_inode", forgotten)
    await stage.open()
    await trio.sleep(INTERVAL)
    stage.vfs.now = Content(b"one\ntwo\n", grows=True)
    await stage.look()
    assert stage.shown == b"one\ntwo\n"


async def test_what_cannot_have_changed_is_not_fetched_again(
    stage: Stage, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A download: all that is to be learned, where that is in doubt, is whether its run goes on."""
    learned = []

    async def follow(inode: Inode, *, goes_on: bool) -> None:
        assert not goes_on
        learned.append(inode)

    node = Node("model.bin", File("model.bin", Stream("an asset", _nothing, lambda _at: {})), NODE.at)  # type: ignore[arg-type]
    inode = stage.inodes.child(stage.inodes.root, node)
    stage.handles.share(inode, Content(b"one\n", grows=False))
    monkeypatch.setattr(Stands, "follows", lambda *_asked, **_how: False)
    monkeypatch.setattr(stage.live._revalidator, "follow", follow)
    assert inode.shared is not None
    assert stage.live.is_due(inode.shared)
    await stage.live.look(inode.shared)
    assert learned == [inode]
    assert stage.vfs.asked == []


# A file that becomes another one


@pytest.mark.promise("Another version is another file")
async def test_a_file_that_was_rewritten_gets_another_inode_and_who_has_it_open_keeps_it(
    stage: Stage, autojump_clock: trio.testing.MockClock
) -> None:
    """And nobody asks for his any more."""
    handle = await stage.open()
    await trio.sleep(INTERVAL)
    stage.vfs.now = Content(b"zero\none\n", grows=True)
    waker = stage.wait(handle)
    await stage.look()
    assert stage.shown == b"one\n"
    assert stage.inodes.child(stage.inodes.root, NODE) is not stage.inode
    assert waker.woken == 1
    assert stage.handles.has_more(handle), "who polls it must not wait for what will never come"
    stage.vfs.now = Content(b"one\ntwo\n", grows=True)
    await trio.sleep(10 * INTERVAL)
    await stage.look()
    assert len(stage.vfs.asked) == 2
    assert not stage.live.take(stage.shared, Content(b"one\ntwo\n", grows=True)), "its name is another inode's by now"


@pytest.mark.parametrize("goes_on", [True, False], ids=["it goes on", "its last lines came late"])
async def test_a_run_that_was_taken_for_ended_goes_on_under_its_readers(
    stage: Stage, autojump_clock: trio.testing.MockClock, goes_on: bool
) -> None:
    """It was silent for a while, or somebody logs to it again: whoever had it open at its end sees more, and those who
    have come to them since. None of them reads it through pages."""
    handle = await stage.open()
    stage.vfs.now = Content(b"one\n", grows=False)
    await trio.sleep(INTERVAL)
    await stage.look()
    assert not stage.shared.opened.grows
    stage.handles.release(await stage.open())  # as `tail -F` does now and then
    late = await stage.open()
    stage.vfs.now = Content(b"one\ntwo\n", grows=goes_on)
    await trio.sleep(INTERVAL)
    await stage.look()
    for one in (handle, late):
        assert bytes(await stage.handles.file(one).read(0, 99)) == b"one\ntwo\n"
    assert stage.inodes.child(stage.inodes.root, NODE) is stage.inode


async def test_pages_of_the_kernel_do_not_grow(stage: Stage, autojump_clock: trio.testing.MockClock) -> None:
    """Who opened it when it had ended reads it through them: whoever comes next gets another inode."""
    stage.vfs.now = Content(b"one\n", grows=False)
    await stage.open()
    stage.vfs.now = Content(b"one\ntwo\n", grows=True)
    await trio.sleep(INTERVAL)
    await stage.look()
    assert stage.shown == b"one\n"
    assert stage.inodes.child(stage.inodes.root, NODE) is not stage.inode


# poll


async def test_who_waits_is_woken_by_what_is_added(stage: Stage, autojump_clock: trio.testing.MockClock) -> None:
    """At the first look after it, whoever looks; then he is told once."""
    handle, other = await stage.open(), await stage.open()
    stage.handles.note_read(handle, 4)
    assert not stage.handles.has_more(handle)
    assert stage.handles.has_more(other), "each has its own place in the file"
    waker = stage.wait(handle)
    stage.vfs.now = Content(b"one\ntwo\n", grows=True)
    await trio.sleep(INTERVAL + BREATH)
    assert waker.woken == 1
    assert stage.handles.has_more(handle)
    await trio.sleep(10 * INTERVAL)
    assert waker.woken == 1


@pytest.mark.promise("Waking")
async def test_who_waits_is_woken_at_the_end_of_the_run(stage: Stage, autojump_clock: trio.testing.MockClock) -> None:
    """There will never be more, which is what a file that does not grow says of itself."""
    handle = await stage.open()
    stage.handles.note_read(handle, 4)
    waker = stage.wait(handle)
    stage.vfs.now = Content(b"one\n", grows=False)
    await trio.sleep(INTERVAL + BREATH)
    assert waker.woken == 1
    assert stage.handles.has_more(handle)


async def test_who_goes_on_waiting_is_asked_for_once_a_lease(
    stage: Stage, autojump_clock: trio.testing.MockClock
) -> None:
    """The kernel polls again for whoever is woken and finds nothing, as long as he waits."""
    handle = await stage.open()
    stage.handles.note_read(handle, 4)
    for _ in range(5):
        waker = stage.wait(handle)
        with trio.fail_after(2 * INTERVAL):
            await waker.event.wait()
    assert len(stage.vfs.asked) == 6


async def test_who_has_stopped_waiting_costs_no_call(stage: Stage, autojump_clock: trio.testing.MockClock) -> None:
    """With the file still open, and when he has closed it."""
    handle, other = await stage.open(), await stage.open()
    tasks = trio.lowlevel.current_statistics().tasks_living
    waker = stage.wait(handle)
    await trio.sleep(INTERVAL + BREATH)
    assert waker.woken == 1, "to see whether he still waits"
    asked = len(stage.vfs.asked)
    await trio.sleep(10 * INTERVAL)
    assert len(stage.vfs.asked) == asked
    stage.wait(other)
    stage.live.forget(other)
    stage.handles.release(other)
    await trio.sleep(10 * INTERVAL)
    assert len(stage.vfs.asked) == asked
    assert trio.lowlevel.current_statistics().tasks_living == tasks, "nobody looks after what nobody waits for"


@pytest.mark.parametrize("error", [Unreachable("no network"), CometFSError("odd")])
async def test_who_waits_goes_on_waiting_while_the_server_is_away(
    stage: Stage, autojump_clock: trio.testing.MockClock, error: CometFSError
) -> None:
    """Asked again and again, but not in haste."""
    handle = await stage.open()
    stage.vfs.error = error
    stage.handles.note_read(handle, 4)
    while trio.current_time() < 10 * INTERVAL:
        await stage.wait(handle).event.wait()
    assert len(stage.vfs.asked) <= 1 + 10 * INTERVAL / REST
    stage.vfs.error, stage.vfs.now = None, Content(b"one\ntwo\n", grows=True)
    with trio.fail_after(REST + 2 * BREATH):
        while not stage.handles.has_more(handle):
            await stage.wait(handle).event.wait()


@pytest.mark.logs("bug in following a file")
async def test_a_bug_in_following_is_not_the_end_of_the_mount(
    stage: Stage, autojump_clock: trio.testing.MockClock
) -> None:
    """It is logged, and the next one who waits is looked after again."""
    handle = await stage.open()
    stage.vfs.error = KeyError("oops")
    stage.wait(handle)
    await trio.sleep(INTERVAL + BREATH)
    stage.vfs.error, stage.vfs.now = None, Content(b"one\ntwo\n", grows=True)
    waker = stage.wait(handle)
    await trio.sleep(INTERVAL + BREATH)
    assert waker.woken == 1
