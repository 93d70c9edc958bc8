"""Each request that can often be answered at once has a way that waits: both answer the same, over the whole sample."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pyfuse3
import pytest
import trio.testing
from pyfuse3 import EntryAttributes, FileInfo, RequestContext

from cometfs.errors import CometFSError
from cometfs.fuse.operations import Operations
from cometfs.mountstate.inodes import Inode
from cometfs.mountstate.limits import RequestLimiter
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.schema import names
from cometfs.vfs.schema.declaration import Dir, File, Link

CONTEXT = RequestContext()
PROJECTS = ("vision-lab/digits", "vision-lab/digits/views/by-key", "tabular/wine-cultivars")
NOBODY = 1_000_000
"""The number of an inode that there is not."""
ATTRIBUTES = [name for name in dir(EntryAttributes) if name.startswith("st_") or name.endswith("_timeout")]


class Face:
    """The handlers of a mount, and all that the kernel has looked up there."""

    def __init__(self, vfs: Vfs) -> None:
        self.vfs = vfs
        self.operations = Operations(vfs, RequestLimiter(30.0, 300))
        self.known = [self.operations._inodes.root]

    async def walk(self, inode: Inode, depth: int) -> None:
        """Looks up all in a directory, and in those below that to `depth`."""
        for name in list((await self.vfs.listings.children(inode.node))[0].nodes):
            entry = await self.operations.lookup(inode.number, names.encoded(name), CONTEXT)
            child = self.operations._inodes.at(entry.st_ino)
            self.known.append(child)
            if depth > 1 and isinstance(child.node.entry, Dir):
                await self.walk(child, depth - 1)

    async def questions(self, request: str) -> list[tuple[Any, ...]]:
        """The arguments of all that can be asked so of what is known, and of what there is not."""
        if request == "lookup":
            below = [(one.parent.number, names.encoded(one.node.name), CONTEXT) for one in self.known if one.parent]
            odd = [b".", b"..", b"absent", b".git", b"\xff"]
            some = [one for one in self.known if isinstance(one.node.entry, Dir)][::10]
            return [*below, *((one.number, name, CONTEXT) for one in some for name in odd), (NOBODY, b"a", CONTEXT)]
        if request == "read":
            handles = [(await self.operations.open(number, 0, CONTEXT)).fh for number in self._numbers(File)]
            return [(handle, at, size) for handle in [*handles, NOBODY] for at, size in ((0, 1 << 20), (3, 5))]
        if request == "readlink":
            return [(number, CONTEXT) for number in [*self._numbers(Link), NOBODY]]
        rest = (0, CONTEXT) if request == "open" else (CONTEXT,)
        kinds = {"getattr": (Dir, File, Link)}.get(request, (Dir, File))
        return [(number, *rest) for number in [*self._numbers(*kinds), NOBODY]]

    def _numbers(self, *kinds: type) -> list[int]:
        return [one.number for one in self.known if isinstance(one.node.entry, kinds)]

    def doubt(self) -> None:
        """All that is known is to be looked at again."""
        for one in self.known[1:]:
            one.doubt()

    async def at_once(self, request: str, asked: tuple[Any, ...]) -> Any:
        """By the way that waits for nothing."""
        try:
            return await self._described(getattr(self.operations, f"_{request}_nowait")(*asked))
        except CometFSError as error:
            return type(error)

    async def waiting(self, request: str, asked: tuple[Any, ...]) -> Any:
        """By the way that waits, also where it need not."""
        try:
            handle = getattr(type(self.operations), request).__wrapped__
            return await self._described(await handle(self.operations, *asked))
        except CometFSError as error:
            return type(error)

    async def _described(self, answer: Any) -> Any:
        """An answer as a value. What it has opened is read or listed, and closed."""
        if isinstance(answer, EntryAttributes):
            return {name: getattr(answer, name) for name in ATTRIBUTES}
        if isinstance(answer, FileInfo):
            data = bytes(await self.operations.read(answer.fh, 0, 1 << 20))
            await self.operations.release(answer.fh)
            return answer.keep_cache, answer.direct_io, data
        if isinstance(answer, int):
            listed = self.operations._handles.dir(answer)
            await self.operations.releasedir(answer)
            return listed.inode, [node.name for node in listed.nodes or ()], listed.until
        return bytes(answer) if isinstance(answer, memoryview) else answer


@pytest.fixture
async def face(vfs: Vfs, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Face]:
    monkeypatch.setattr(pyfuse3, "notify_store", lambda *_asked: None)
    monkeypatch.setattr(pyfuse3, "invalidate_inode", lambda *_asked, **_how: None)
    now, wall = vfs._store._memory.clock(), vfs._sizes._wall()
    monkeypatch.setattr(vfs._store._memory, "clock", lambda: now)
    monkeypatch.setattr(vfs._sizes, "_wall", lambda: wall)
    face = Face(vfs)
    for path in PROJECTS:
        inode = face.operations._inodes.root
        for part in path.split("/"):
            entry = await face.operations.lookup(inode.number, names.encoded(part), CONTEXT)
            inode = face.operations._inodes.at(entry.st_ino)
            face.known.append(inode)
        await face.walk(inode, 2)
    yield face
    face.operations.close()


@pytest.mark.parametrize(
    ("request_", "least"),
    [("lookup", 200), ("getattr", 200), ("readlink", 8), ("open", 100), ("read", 200), ("opendir", 40)],
)
@pytest.mark.parametrize("doubted", [False, True], ids=["known", "doubted"])
async def test_what_waits_answers_as_what_does_not(
    request_: str, least: int, doubted: bool, face: Face, mock_clock: trio.testing.MockClock
) -> None:
    """Attributes and their timeouts, bytes, handles, lists and errors; once more where all is to be looked at again."""
    questions, at_hand = await face.questions(request_), 0
    for asked in questions:
        await face.waiting(request_, asked)  # as once more, it changes nothing: a size is told, a page is pushed
        if doubted:
            face.doubt()
        answers = [await face.at_once(request_, asked)]
        if doubted:
            face.doubt()
        answers += [await face.waiting(request_, asked), await face.at_once(request_, asked)]
        known = [answer for answer in answers if answer is not None]
        assert known == known[:1] * len(known), asked
        at_hand += answers[0] is not None or answers[-1] is not None
    assert at_hand >= least, f"{at_hand} of {len(questions)} were at hand"
