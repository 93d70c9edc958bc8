"""The kernel's bookkeeping as values: inodes, handles, errors, patience. No kernel is asked."""

from __future__ import annotations

import errno
import math
import os
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pyfuse3
import pytest
import trio
import trio.testing

from cometfs import errors, lease
from cometfs.comet.http.retries import InTrouble, Transient
from cometfs.errnos import errno_of
from cometfs.fuse.notify import KernelInvalidator
from cometfs.fuse.procfs import is_sizeless, shows_no_size
from cometfs.fuse.replies import Replies
from cometfs.fuse.requests import at_once, handler, handler_after
from cometfs.lease import Lease
from cometfs.mountstate.handles import Handles
from cometfs.mountstate.inodes import AT_A_TIME, Inode, Inodes, State
from cometfs.mountstate.limits import RequestLimiter, is_dying
from cometfs.telemetry.gauges import Histogram
from cometfs.vfs.nodes import Attributes, Content, Node
from cometfs.vfs.schema.declaration import Context, Dir, File, Link


def a_lease(_at: Context) -> Lease:
    return lease.LISTING


DIRECTORY = Dir("", (), a_lease)
PLAIN = File("", None)


def node(name: str, key: str = "", entry: Dir | File | Link = PLAIN) -> Node:
    return Node(name, entry, Context("http://comet", 0.0, (key or name,)))


@pytest.fixture
def inodes() -> Inodes:
    return Inodes(node("", "root", DIRECTORY))


def told(inodes: Inodes, child: Node, parent: Inode | None = None) -> Inode:
    inode = inodes.child(parent or inodes.root, child)
    inodes.remember(inode)
    return inode


def test_a_name_keeps_its_inode_while_it_means_the_same(inodes: Inodes) -> None:
    """Told twice, one number, and it takes two forgets to lose it."""
    first, second = told(inodes, node("a")), told(inodes, node("a"))
    assert first is second
    inodes.forget([(first.number, 1)])
    assert inodes.at(first.number) is first
    inodes.forget([(first.number, 1)])
    with pytest.raises(errors.Stale):
        inodes.at(first.number)


def test_a_name_that_means_something_else_gets_another_inode(inodes: Inodes) -> None:
    """Who stands in the old one does not find himself in somebody else's experiment."""
    old, new = told(inodes, node("run", "key-1")), told(inodes, node("run", "key-2"))
    assert old.number != new.number
    assert inodes.at(old.number).node.at.key == ("key-1",)
    inodes.forget([(old.number, 1)])
    assert inodes.child(inodes.root, node("run", "key-2")) is new


def test_a_number_is_a_hash_of_what_the_node_is() -> None:
    """The same in every mount and every order, of what is there again too; another one for each thing that differs."""
    nodes = [
        node("run", "key-1", DIRECTORY),
        node("run", "key-2", DIRECTORY),
        node("sprint", "key-1", DIRECTORY),
        node("run", "key-1"),
        node("run", "key-1", Link("", lambda _at: 0, lambda _at: "")),
        node("na\u00efve \udc80", "key-1"),
    ]
    orders: list[dict[int, int]] = []
    for order in (nodes, nodes[::-1]):
        inodes = Inodes(node("", "root", DIRECTORY))
        orders.append({})
        for one in order:
            inode = inodes.child(inodes.root, one)
            orders[-1][nodes.index(one)] = inode.number
            inodes.remember(inode)
            inodes.forget([(inode.number, 1)])
            assert told(inodes, one).number == inode.number
    assert orders[0] == orders[1]
    assert len(set(orders[0].values())) == len(nodes)
    assert all(1 < number < 1 << 60 for number in orders[0].values())
    # Written down: another Python, or another version of this program, must not lead to others.
    assert orders[0][0] == 363851901877730562
    assert orders[0][5] == 1030871568170566742


def test_the_same_name_in_another_directory_has_another_number(inodes: Inodes) -> None:
    """A link to an experiment stands in many views, with the experiment's key in each."""
    some, others = (told(inodes, node(name, entry=DIRECTORY)) for name in ("some", "others"))
    assert told(inodes, node("run", "key"), some).number != told(inodes, node("run", "key"), others).number


def test_nodes_whose_hashes_are_equal_get_different_numbers(inodes: Inodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fourteen nodes find the fourteen numbers that there are but 0 and the root's; a free one is found again."""
    monkeypatch.setattr("cometfs.vfs.inode_numbers.BITS", 4)
    found = [told(inodes, node(f"n{index}")) for index in range(14)]
    assert sorted(inode.number for inode in found) == list(range(2, 16))
    assert all(inodes.at(inode.number) is inode for inode in found)
    inodes.forget([(found[3].number, 1)])
    assert told(inodes, node("n14")).number == found[3].number


def test_a_former_version_keeps_its_number_from_the_next_one(inodes: Inodes) -> None:
    """`tail -F` sees by the number that a file is another one; when nobody has the former one, there is one number."""
    former = told(inodes, node("output.txt"))
    inodes.part(inodes.root, "output.txt")
    later = told(inodes, node("output.txt"))
    assert later.number != former.number
    inodes.forget([(former.number, 1)])
    assert inodes.child(inodes.root, node("output.txt")) is later
    inodes.forget([(later.number, 1)])
    assert told(inodes, node("output.txt")).number == former.number


def test_nothing_is_left_of_what_the_kernel_forgot(inodes: Inodes) -> None:
    """A table of a million names shrinks again; forgetting the unknown is no error."""
    numbers = [told(inodes, node(f"n{index}")).number for index in range(100)]
    inodes.forget([(number, 1) for number in (*numbers, 2, 3)])
    assert len(inodes) == 1
    assert not inodes.root.children


class Steps(trio.abc.Instrument):
    """What `look` returns after each step of a task: between two steps, others have their turn."""

    def __init__(self, look: Callable[[], int]) -> None:
        self._look = look
        self.seen = [look()]

    def after_task_step(self, task: trio.lowlevel.Task) -> None:  # noqa: ARG002
        self.seen.append(self._look())


async def test_what_lies_below_is_doubted_in_slices() -> None:
    """Others get their turn between two; all below has been told of in the end, what is gone stays gone."""
    outdated: list[Inode] = []
    inodes = Inodes(node("", "root", DIRECTORY), outdated.append)
    run = told(inodes, node("run", entry=DIRECTORY))
    below = [told(inodes, node(f"n{index}", entry=DIRECTORY), run) for index in range(2 * AT_A_TIME)]
    below += [told(inodes, node("leaf"), folder) for folder in below]
    for inode in below:
        inode.until = math.inf
    below[-1].until = State.GONE
    inodes.doubt(run)
    assert len(outdated) == 1 + AT_A_TIME
    steps = Steps(lambda: len(outdated))
    trio.lowlevel.add_instrument(steps)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(inodes.run)
        await trio.testing.wait_all_tasks_blocked()
        assert set(outdated) == {run, *below}
        assert max(after - before for before, after in pairwise(steps.seen)) <= AT_A_TIME
        assert {inode.until for inode in below} == {State.DOUBTED, State.GONE}
        await trio.testing.wait_all_tasks_blocked()
        inodes.doubt(below[0])
        assert outdated[len(below) + 1 :] == [below[0], *(below[0].children or {}).values()]
        nursery.cancel_scope.cancel()


class Body(Content):
    """Content that counts its closes."""

    closed = 0

    def close(self) -> None:
        type(self).closed += 1


def test_states_are_before_every_moment_and_a_directory_bounds_what_is_in_it(inodes: Inodes) -> None:
    """One comparison with the clock tells all; what is gone is not believed again because it is doubted, too."""
    directory, moment = told(inodes, node("run", entry=DIRECTORY)), 0.0  # the earliest of a test's clock
    assert State.GONE < State.DOUBTED < moment
    assert directory.until is State.DOUBTED
    for until, bound in ((9.0, 5.0), (2.0, 2.0), (State.DOUBTED, State.DOUBTED), (State.GONE, State.DOUBTED)):
        directory.until = until
        assert directory.bound(5.0) == bound
        directory.doubt()
        assert directory.until is (State.GONE if until is State.GONE else State.DOUBTED)
    assert math.isinf(inodes.root.until)
    assert inodes.root.bound(5.0) == 5.0


async def test_handles_that_are_open_at_once_share_one_version(inodes: Inodes) -> None:
    """The page cache is the inode's: a second version may come only when nobody has the first one open."""
    handles, versions = Handles(), [b"one", b"two"]
    inode = told(inodes, node("f"))

    first, kept_first = handles.share(inode, Body(versions.pop(0)))
    second, kept_second = handles.share(inode, Body(b"one"))
    assert bytes(await handles.file(second).read(0, 10)) == b"one"
    assert (kept_first, kept_second) == (False, True)
    handles.release(first)
    handles.release(second)
    third, kept_third = handles.share(inode, Body(versions.pop(0)))
    assert bytes(await handles.file(third).read(0, 10)) == b"two"
    assert not kept_third, "the kernel must drop the pages of the first version"
    assert Body.closed == 2, "the second one's own, and the first when nobody had it open any more"
    handles.close()
    assert Body.closed == 3


def test_what_grew_leaves_no_pages_that_are_taken_for_right(inodes: Inodes) -> None:
    """A private mapping of it may have left a page that ends in zeros where there are bytes now."""
    handles, inode = Handles(), told(inodes, node("output.txt"))
    handle, kept = handles.share(inode, Content(b"one", grows=True))
    assert not kept
    handles.file(handle).take(Content(b"one two", grows=False))
    handles.release(handle)
    for expected in (False, True):
        handle, kept = handles.share(inode, Content(b"one two"))
        assert kept is expected
        handles.release(handle)


async def test_a_file_that_two_open_at_the_same_moment_is_one(inodes: Inodes) -> None:
    """Both wait for the first answer; the loser's snapshot is closed, not leaked."""
    handles, gate = Handles(), trio.Event()
    inode = told(inodes, node("f"))
    Body.closed = 0

    async def begin(_node: Node) -> Body:
        await gate.wait()
        return Body(os.urandom(8))

    found: list[int] = []

    async def opened() -> None:
        found.append(handles.share(inode, await begin(inode.node))[0])

    async with trio.open_nursery() as readers:
        readers.start_soon(opened)
        readers.start_soon(opened)
        await trio.testing.wait_all_tasks_blocked()
        gate.set()
    assert handles.file(found[0]) is handles.file(found[1])
    assert Body.closed == 1


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What the kernel is told of its own accord: (inode, offset, bytes) to store, (inode,) to ask again."""
    told: list[tuple[object, ...]] = []
    monkeypatch.setattr(pyfuse3, "notify_store", lambda number, at, data: told.append((number, at, bytes(data))))
    monkeypatch.setattr(pyfuse3, "invalidate_inode", lambda number, **_: told.append((number,)))
    return told


@pytest.fixture
def handles() -> Handles:
    return Handles()


@pytest.fixture
def replies(inodes: Inodes, handles: Handles) -> Replies:
    return Replies(None, inodes, handles, None, KernelInvalidator())  # type: ignore[arg-type]  # no more is asked of them


def test_the_size_of_what_is_opened_is_pushed_before_anybody_reads(
    replies: Replies, kernel: list[tuple[object, ...]]
) -> None:
    """Asked for alone it could be undone by a reply that is on its way. Not while others read it: that could freeze."""
    place = Inode(7, node("output.txt"), None)
    content = Content(b"a" * (128 << 10) + b"b" * 10)
    assert not replies.open_file(place, content).keep_cache
    assert kernel == [(7, 128 << 10, b"b" * 10), (7,)]
    replies.open_file(place, content)
    assert kernel[2:] == [(7,)]


def test_small_files_are_pushed_whole_and_once(
    replies: Replies, handles: Handles, kernel: list[tuple[object, ...]]
) -> None:
    """As a whole whenever the kernel has not these very bytes; then it keeps them. Nothing of them is read()."""
    place = Inode(7, node("params.json"), None)
    for content, stored in ((b"a" * 5000, True), (b"a" * 5000, False), (b"b" * 5000, True)):
        place.report_size(5000)
        opened = replies.open_file(place, Content(content))
        assert opened.keep_cache
        assert kernel == ([(7, 0, content)] if stored else [])
        handles.release(opened.fh)
        kernel.clear()
    assert replies.open_file(place, Content(b"", grows=True)).direct_io
    assert kernel == [(7,)], "what grows is read past the kernel's pages"


async def test_what_was_longer_before_is_not_pushed_whole(
    replies: Replies, handles: Handles, kernel: list[tuple[object, ...]]
) -> None:
    """A kernel that still takes it for as long as it was would read on into what it was: it must read() it to its end.

    Whether it was told another size since tells nothing: it may have found that reply late, and dropped it.
    """
    place = Inode(7, node("params.json"), None)
    seen = Attributes("file", None, 0.0, 0.0)
    for size, whole in ((98, True), (93, False), (97, False)):
        kernel.clear()
        opened = replies.open_file(place, Content(os.urandom(size)))
        assert opened.keep_cache == whole
        assert kernel[-1] == (7,), "it asks for the size"
        replies.attributes(place, seen)
        handles.release(opened.fh)


def test_what_was_pushed_and_not_told_counts_as_what_it_was(
    replies: Replies, handles: Handles, kernel: list[tuple[object, ...]]
) -> None:
    """Who opened it has not read: the kernel knows its size from what was pushed alone."""
    place = Inode(7, node("params.json"), None)
    for size, whole in ((98, True), (93, False)):
        opened = replies.open_file(place, Content(os.urandom(size)))
        assert opened.keep_cache == whole
        handles.release(opened.fh)


def test_the_largest_size_that_the_kernel_may_believe_never_falls(
    replies: Replies, handles: Handles, kernel: list[tuple[object, ...]], inodes: Inodes
) -> None:
    """Told or pushed, opened or only listed. What is as long again is pushed whole; an inode that is forgotten takes
    all that with it, one that was looked up anew while its forget was on its way only its pages."""
    place = told(inodes, node("params.json"))
    for size in (5, 98, 98):
        place.report_size(size)
    assert place.view is None, "what is only listed costs no more"
    place.report_size(93)
    view = place.viewed()
    assert (view.reported, view.largest, place.reported_size) == (93, 98, 93)
    for size, whole in ((97, False), (98, True), (120, True), (110, False)):
        opened = replies.open_file(place, Content(os.urandom(size)))
        assert opened.keep_cache == whole
        handles.release(opened.fh)
        assert view.largest == max(size, 98 if size < 110 else 120)
    place.report_size(120)
    same = Content(b"a" * 120)
    for forgotten, pushed in ((False, True), (False, False), (True, True)):
        if forgotten:
            inodes.remember(place)
            inodes.forget([(place.number, 1)])
        kernel.clear()
        handles.release(replies.open_file(place, same).fh)
        assert kernel == [(place.number, 0, same.data)] * pushed
    inodes.forget([(place.number, 1)])
    again = told(inodes, node("params.json"))
    assert again is not place
    assert again.view is None


def test_a_kernel_that_cannot_be_told_keeps_nobody_from_opening(
    replies: Replies, handles: Handles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it answers; who opens gets his handle, and it is closed with it."""

    def refused(*_arguments: object, **_named: object) -> None:
        raise OSError(errno.EINVAL, "no")

    monkeypatch.setattr(pyfuse3, "notify_store", refused)
    monkeypatch.setattr(pyfuse3, "invalidate_inode", refused)
    place = Inode(7, node("params.json"), None)
    opened = replies.open_file(place, Content(b"a"))
    assert not opened.keep_cache
    handles.release(opened.fh)
    assert handles.inodes() == []


class Face:
    """Handlers as pyfuse3 would call them."""

    def __init__(self, deadline: float = 5.0, room: int = 3) -> None:
        self.limiter = RequestLimiter(deadline, room)
        self.timings: defaultdict[str, Histogram] = defaultdict(Histogram)
        self.errnos: Counter[str] = Counter()
        self.failures: list[tuple[Any, ...]] = []

    def failed(self, *failure: Any) -> dict[str, Any]:
        self.failures.append(failure)
        return {}

    @handler
    async def fail(self, error: Exception) -> None:
        raise error

    @handler
    async def wait(self) -> None:
        await trio.sleep_forever()

    @handler
    async def at_hand(self) -> str:
        return "known"

    @at_once
    def fail_at_once(self, error: Exception) -> None:
        raise error

    def _known(self, word: str) -> str | None:
        if word == "bad":
            raise errors.Stale(word)
        return word if word == "known" else None

    @handler_after(_known)
    async def look(self, word: str) -> str:
        with_deadline = trio.current_effective_deadline() < math.inf
        await trio.lowlevel.checkpoint()
        return f"{word}, asked{' in time' if with_deadline else ''}"


async def test_at_the_end_of_a_mount_all_who_wait_are_answered(autojump_clock: trio.testing.MockClock) -> None:
    """And whoever comes then, at once; what is at hand is served on."""
    face = Face(deadline=99.0)
    answers: list[int] = []
    began = trio.current_time()

    async def wait() -> None:
        with pytest.raises(pyfuse3.FUSEError) as raised:
            await face.wait()
        answers.append(raised.value.errno)

    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        await face.limiter.end()
        assert answers == [errno.EINTR] * 2
    await wait()
    assert answers == [errno.EINTR] * 3
    assert trio.current_time() - began < 1.0
    assert await face.look("known") == "known"


@pytest.mark.logs("fail: no network")
async def test_an_error_of_ours_is_an_errno_and_a_sentence_in_the_log() -> None:
    """The log names what happened; the program gets the errno."""
    face = Face()
    with pytest.raises(pyfuse3.FUSEError) as raised:
        await face.fail(errors.Unreachable("no network"))
    assert raised.value.errno == errno.ENETUNREACH
    assert [one[2:] for one in face.failures] == [("ENETUNREACH", "no network")]


async def test_a_refusal_of_what_cannot_be_is_no_failure() -> None:
    """Programs look for names that are not there all the time."""
    face = Face()
    for error in (errors.NoSuchEntry("x"), errors.ReadOnly("x"), errors.Gone("x"), pyfuse3.FUSEError(errno.ENODATA)):
        with pytest.raises(pyfuse3.FUSEError):
            await face.fail(error)
    assert face.failures == []


def test_an_errno_says_what_is_the_matter() -> None:
    """Network, server, silence and nonsense are told apart, also of what is tried again."""
    fault = InTrouble("503")
    assert [errno_of(kind("x")) for kind in (errors.Unreachable, Transient, errors.DeadlineExceeded)] == [
        errno.ENETUNREACH,
        errno.ENETUNREACH,
        errno.ETIMEDOUT,
    ]
    assert errno_of(fault) == errno_of(errors.ServerFailed("x")) == errno_of(errors.PageInstead("x")) == errno.EREMOTEIO
    assert errno_of(errors.Unintelligible("x")) == errno.EPROTO
    assert isinstance(fault, errors.Unreachable), "what is done about a server that does not answer is done about it"


@pytest.mark.logs("bug in fail")
async def test_a_bug_is_eio_for_that_one_request() -> None:
    """Anything but FUSEError leaving a handler would end the mount."""
    face = Face()
    with pytest.raises(pyfuse3.FUSEError) as raised:
        await face.fail(KeyError("oops"))
    assert raised.value.errno == errno.EIO
    assert face.failures[0][2:] == ("EIO", "bug in fail: KeyError; the log has its traceback")
    assert await face.at_hand() == "known"


@pytest.mark.logs("bug in fail_at_once")
async def test_what_never_waits_is_no_end_of_the_mount_either() -> None:
    """The same errnos for a handler without a deadline."""
    for error, number in (
        (errors.NoSuchEntry("x", 0.0), errno.ENOENT),
        (KeyError("oops"), errno.EIO),
        (pyfuse3.FUSEError(errno.ERANGE), errno.ERANGE),
    ):
        with pytest.raises(pyfuse3.FUSEError) as raised:
            await Face().fail_at_once(error)
        assert raised.value.errno == number


@pytest.mark.logs("look: bad")
async def test_what_is_at_hand_is_answered_at_once_and_the_rest_in_time() -> None:
    """No deadline is armed for what does not wait; an error is an errno on both ways."""
    face = Face(room=0)
    assert await face.look("known") == "known"
    with pytest.raises(pyfuse3.FUSEError) as raised:
        await face.look("bad")
    assert raised.value.errno == errno.ESTALE
    assert await Face().look("unknown") == "unknown, asked in time"


@pytest.mark.logs("wait: no answer within 5 s")
async def test_a_wait_ends_at_the_deadline(autojump_clock: trio.testing.MockClock) -> None:
    """The kernel lets nobody go before the answer, so there always is one."""
    with pytest.raises(pyfuse3.FUSEError) as raised:
        await Face().wait()
    assert raised.value.errno == errno.ETIMEDOUT
    assert trio.current_time() == 5.0


@pytest.mark.logs("wait: 3 requests wait already")
async def test_what_is_at_hand_is_answered_while_too_many_wait() -> None:
    """A stalled server takes up the room for waiting, not the whole mount."""
    face = Face(room=3)
    async with trio.open_nursery() as readers:
        for _ in range(3):
            readers.start_soon(face.wait)
        await trio.testing.wait_all_tasks_blocked()
        assert await face.at_hand() == "known"
        with pytest.raises(pyfuse3.FUSEError) as raised:
            await face.wait()
        assert raised.value.errno == errno.EAGAIN
        readers.cancel_scope.cancel()


def test_an_error_without_a_row_of_its_own_gets_its_bases() -> None:
    """The table is looked up along the bases."""

    class Odd(errors.NotAllowed):
        pass

    assert errno_of(Odd("odd")) == errno.EACCES
    assert errno_of(ValueError("bug")) == errno.EIO


def test_only_a_signal_that_ends_a_process_counts_as_dying() -> None:
    """A blocked SIGTERM pends but does not kill; an ignored one is nothing; SIGCHLD never counts."""
    code = (
        "import os, signal, sys\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})\n"
        "os.kill(os.getpid(), signal.SIGTERM); os.kill(os.getpid(), signal.SIGCHLD)\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            assert not is_dying(process.pid)
            os.kill(process.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            os.kill(process.pid, signal.SIGINT)  # pends: a stopped process takes no signal but SIGKILL and SIGCONT
            assert is_dying(process.pid)
        finally:
            process.kill()
    assert not is_dying(process.pid)


@pytest.mark.parametrize(
    ("command", "sizeless"),
    [
        ("ls", True),
        ("/bin/ls --color=auto -aF x", True),
        ("ls -1 -- x", True),
        ("ls -l", False),
        ("ls -aS", False),
        ("ls --sort=size", False),
        ("ls -t", False),
        ("tree -D", False),
        ("rg --files --sort=modified", False),
        ("ls --format=long", False),
        ("ls --full-time", False),
        ("tree -L 2", True),
        ("tree -h", False),
        ("rg --files --hidden --max-depth 2 x", True),
        ("rg --files --max-filesize 1M", False),
        ("rg --hidden x", False),
        ("tree --du", False),
        ("tree --sort=size", False),
        ("du -a", False),
        ("sls", False),
    ],
)
def test_what_shows_no_size_is_known_by_its_options(command: str, sizeless: bool) -> None:
    """Every other program is told the truth, and so is one with an option that nobody here knows."""
    assert is_sizeless(command.split(" ")) is sizeless


def test_a_program_that_is_not_known_is_told_the_truth() -> None:
    """One that has ended, one of another namespace, and this one."""
    assert not any(shows_no_size(pid) for pid in (0, 2**22 + 1, os.getpid()))
    assert not is_sizeless([])
