"""What followed files were is told to whoever comes to their names while nobody says what they are."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
import trio
import trio.testing

from cometfs import errors, lease
from cometfs.mountstate.handles import Handles
from cometfs.mountstate.inodes import Inodes
from cometfs.mountstate.limits import RequestLimiter
from cometfs.mountstate.stale_if_error import StaleIfError
from cometfs.vfs.nodes import Content, Node, Opened
from cometfs.vfs.schema.declaration import Context, Dir, File

DEADLINE = 30.0
RUN = Node("run", Dir("", (), lambda _at: lease.RUNNING), Context("http://comet", 0.0, ("run",)))
OUTPUT = Node("output.txt", File("", None), Context("http://comet", 0.0, ("run", "output")))


class Stage:
    """A file in a directory, a tree that answers what a test says, and what was asked of it."""

    def __init__(self, room: int = 8) -> None:
        self.files = self.listings = self
        self.answer: Callable[[], object] = self.fail
        self.asked = 0
        self.inodes = Inodes(Node("", Dir("", (), lambda _at: lease.RUNNING), Context("http://comet", 0.0)))
        self.handles = Handles()
        self.run = self.inodes.child(self.inodes.root, RUN)
        self.inodes.remember(self.run)
        self.file = self.inodes.child(self.run, OUTPUT)
        self.inodes.remember(self.file)
        self.limiter = RequestLimiter(DEADLINE, room)
        self.outage = StaleIfError(self, self.handles, self, self.limiter)  # type: ignore[arg-type]

    def fail(self) -> object:
        raise errors.Unreachable("no route")

    def is_gone(self, _inode: object) -> bool:
        return False

    async def open(self, _node: Node) -> object:
        self.asked += 1
        await trio.lowlevel.checkpoint()
        return self.answer()

    async def child(self, _node: Node, _name: str) -> object:
        return await self.open(_node)

    def follow(self, *, grows: bool = True) -> tuple[int, Opened]:
        opened = Content(b"one\n", grows=grows)
        return self.handles.share(self.file, opened)[0], opened


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_what_is_followed_is_what_it_was(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """The file, and every name that leads to it; it is said in the log that nobody said so."""
    _, opened = stage.follow()
    with caplog.at_level(logging.INFO):
        assert await stage.outage.open(stage.file) is opened
    assert "no route" in caplog.text
    assert await stage.outage.child(stage.run, "output.txt") == (OUTPUT, 0.0)
    assert await stage.outage.child(stage.inodes.root, "run") == (RUN, 0.0)
    with pytest.raises(errors.Unreachable):
        await stage.outage.child(stage.run, "code.py")


async def test_what_has_ended_under_who_follows_it_too(stage: Stage) -> None:
    """`tail -F` goes on to go back to the name; who opened it only then reads it as any file."""
    _, opened = stage.follow()
    assert opened.take(Content(b"one\n", grows=False))
    assert await stage.outage.open(stage.file) is opened
    other = Stage()
    other.follow(grows=False)
    with pytest.raises(errors.Unreachable):
        await other.outage.open(other.file)


async def test_it_is_told_after_a_part_of_the_deadline(
    stage: Stage, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of it for the file, and seconds for a name: `tail -F` gets its answer before the deadline."""
    _, opened = stage.follow()

    async def stall(*_asked: object) -> object:
        await trio.sleep_forever()

    monkeypatch.setattr(stage, "open", stall)
    began = trio.current_time()
    assert await stage.outage.open(stage.file) is opened
    assert trio.current_time() - began == pytest.approx(DEADLINE / 2)
    assert await stage.outage.child(stage.run, "output.txt") == (OUTPUT, 0.0)
    assert trio.current_time() - began == pytest.approx(DEADLINE / 2 + 3)


async def test_where_too_many_wait_it_is_told_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """A server that stalls is what makes them wait."""
    stage = Stage(room=0)
    _, opened = stage.follow()
    with stage.limiter.limit(0):
        assert await stage.outage.open(stage.file) is opened
    assert stage.asked == 0


async def test_who_is_alone_when_the_answer_fails_is_told_that_it_failed(stage: Stage) -> None:
    """The last one who followed it has gone meanwhile; it is not asked a second time."""
    handle, _ = stage.follow()

    def fail() -> object:
        stage.handles.release(handle)
        raise errors.Unreachable("no route")

    stage.answer = fail
    with pytest.raises(errors.Unreachable):
        await stage.outage.open(stage.file)
    assert stage.asked == 1


@pytest.mark.parametrize("error", [errors.NotFound("gone"), errors.NoSuchEntry("gone", 0.0)])
async def test_what_the_server_says_is_believed(stage: Stage, error: errors.CometFSError) -> None:
    """That there is no such thing is an answer."""
    stage.follow()

    def fail() -> object:
        raise error

    stage.answer = fail
    with pytest.raises(type(error)):
        await stage.outage.open(stage.file)
