"""What is kept on disk: never misread, never for ever, and nobody waits for it."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from cometfs.cache.downloads import downloads
from cometfs.cache.downloads.body import Body
from cometfs.cache.downloads.downloads import SMALL, Bodies
from cometfs.cache.persistent.blobs import BLOCK, BlobStore, Whole
from cometfs.cache.persistent.eviction import FLOOR, Disk, Evictor, first_to_go, too_much
from cometfs.cache.persistent.index import FOLDER, GRACE, Index
from cometfs.cache.persistent.inspection import Findings, clear, look, verify
from cometfs.cache.persistent.rows import Answer, Changes, KeptBody, Row
from cometfs.cache.persistent.schema import ANSWERS, BODIES, FORMAT, TOTALS
from cometfs.cache.persistent.writebehind import WriteBehind
from cometfs.errors import Stale
from cometfs.host import database

NOON = 1_700_000_000.0
BUDGET = 1 << 30
BIG = bytes(range(256)) * 4 * 1024 * 3  # three blocks


class Account:
    """One process's hands on the cache of an account."""

    def __init__(self, folder: Path, budget: int = BUDGET) -> None:
        self.now = NOON
        self.index = Index(folder, lambda: self.now)
        self.index.open()
        self.evictor = Evictor(self.index, budget)
        self.blobs = BlobStore(self.index, self.evictor)
        self.writebehind = WriteBehind(self.index, self.evictor, self.blobs, lambda: self.now)

    def write(self, *answers: Answer) -> bool:
        return self.index.write(Changes(answers))

    def answer(self, key: str = '"k"', value: bytes = b"v", lease: float = 3600.0) -> Answer:
        return Answer(key, value, self.now, self.now + lease)

    def settle(self) -> None:
        """What the writebehind writes after half a second."""
        self.index.write(self.blobs.changes(Changes()))
        self.evictor.make()
        fresh = self.index.renewed_view()
        if fresh is not None:
            self.index.view.take(fresh)


@pytest.fixture
def open_account(tmp_path: Path) -> Iterator[Callable[..., Account]]:
    opened: list[Account] = []

    def one(budget: int = BUDGET) -> Account:
        opened.append(Account(tmp_path, budget))
        return opened[-1]

    yield one
    for account in opened:
        account.index.close()


@pytest.fixture
def account(open_account: Callable[..., Account]) -> Account:
    return open_account()


class Source:
    """A body at Comet."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.begun = 0

    @property
    def size(self) -> int:
        return len(self.content)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Source]:
        self.begun += 1
        yield self

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.content), 300_000):
            await trio.lowlevel.checkpoint()
            yield self.content[start : start + 300_000]


@asynccontextmanager
async def bodies_of(account: Account) -> AsyncIterator[Bodies]:
    async with trio.open_nursery() as loads:
        bodies = Bodies(loads, 0, account.index.folder, account.blobs)
        yield bodies
    bodies.close()


async def fetch(account: Account, key: str, content: bytes) -> None:
    """Reads a body once, so that it is kept."""
    async with bodies_of(account) as bodies:
        body = await bodies.open(key, Source(content).begin)
        assert await body.read(0, len(content)) == content
        bodies.release(key, body)


def files(account: Account) -> list[Path]:
    return [path for path in (account.index.folder / FOLDER).rglob("*") if path.is_file()]


async def arrived(body: Body) -> None:
    """Returns when a body has its place on disk."""
    with trio.fail_after(60):
        while body.arriving:  # noqa: ASYNC110  # its end is no event of its own
            await trio.sleep(0.001)


async def test_a_small_body_is_at_hand_after_it_got_its_place(account: Account) -> None:
    """In memory, so that what was fetched ahead is read without the disk; a big one is read from there."""
    async with bodies_of(account) as bodies:
        for content in (b"small" * 100, b"big" * SMALL):
            body = await bodies.open(content[:5], Source(content).begin)
            bodies.release(content[:5], body)
            await arrived(body)
        small = bodies.open_nowait(b"small")
        assert small is not None
        assert small.read_nowait(5, 7) == await small.read(5, 7) == b"smallsm"
        assert bodies.open_nowait(b"bigbi") is None
        bodies.release(b"small", small)


async def test_what_has_been_read_is_kept_by_a_process_that_ends(account: Account) -> None:
    """At once, as `cometfs warm` does: bodies that wait for their place on disk get it."""
    async with trio.open_nursery() as loads:
        bodies = Bodies(loads, 0, account.index.folder, account.blobs)
        for number in range(20):
            body = await bodies.open(number, Source(b"%d" % number).begin)
            assert await body.read(0, 2) == b"%d" % number
            bodies.release(number, body)
        loads.cancel_scope.cancel()
    bodies.close()
    account.settle()
    assert [account.blobs.size(number) for number in range(20)] == [len(str(number)) for number in range(20)]


async def test_small_bodies_in_memory_hold_no_descriptors(account: Account) -> None:
    """16 MiB of the smallest are more than any process may have open."""
    async with bodies_of(account) as bodies:
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        for number in range(20):
            body = await bodies.open(number, Source(b"%d" % number).begin)
            bodies.release(number, body)
            await arrived(body)
        assert len(os.listdir("/proc/self/fd")) <= before + 3  # noqa: PTH208  # SQLite's
        found = [bodies.open_nowait(number) for number in range(20)]
        assert [body and body.read_nowait(0, 2) for body in found] == [b"%d" % number for number in range(20)]
        for number, opened in enumerate(found):
            assert opened is not None
            bodies.release(number, opened)


async def test_small_bodies_in_memory_are_bounded(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was wanted longest ago goes; it is on disk."""
    monkeypatch.setattr(downloads, "AT_HAND", 250)
    async with bodies_of(account) as bodies:
        for key in "abc":
            body = await bodies.open(key, Source(key.encode() * 100).begin)
            bodies.release(key, body)
            await arrived(body)
        found = {key: bodies.open_nowait(key) for key in "abc"}
        assert [key for key, body in found.items() if body is not None] == ["b", "c"]
        again = await bodies.open("a", Source(b"").begin)
        assert await again.read(0, 100) == b"a" * 100
        for key, opened in (*found.items(), ("a", again)):
            if opened is not None:
                bodies.release(key, opened)


def test_an_answer_comes_back_until_it_expires(account: Account) -> None:
    """Not a second longer."""
    account.write(account.answer(lease=60))
    assert account.writebehind.recall("k") == (b"v", NOON, NOON + 60)
    account.now += 60
    assert account.writebehind.recall("k") is None


def test_a_clock_that_was_set_back_makes_no_answer_last(account: Account) -> None:
    """Its age cannot be told any more; a correction of seconds is none."""
    account.write(account.answer(lease=3600))
    account.now -= 30
    assert account.writebehind.recall("k") is not None
    account.now -= 86400
    assert account.writebehind.recall("k") is None


@pytest.mark.logs("was damaged on disk")
@pytest.mark.parametrize("column", ["key = '\"other\"'", "value = X'00'", "arrived = 1.0", "expires = 9e9", "mark = 7"])
def test_a_damaged_answer_is_none_and_goes(account: Account, column: str) -> None:
    """Whatever of its row was changed, its key and its times too."""
    account.write(account.answer())
    with sqlite3.connect(account.index.folder / database.FILE) as db:
        db.execute(f"UPDATE {ANSWERS} SET {column}")
    db.close()
    assert account.writebehind.recall("k" if "key" not in column else "other") is None
    account.index.write(Changes(unsound=account.index.view.unsound))
    assert account.index.totals().answers == 0


def test_what_another_format_left_is_emptied_and_never_misread(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows and bodies go, silently but for a line; the tables of others stay."""
    caplog.set_level("INFO")
    old = database.connect(tmp_path)
    old.execute("CREATE TABLE answers_77 (key TEXT PRIMARY KEY, value BLOB, used REAL)")
    old.execute("CREATE TABLE budget (used INTEGER)")
    old.execute("INSERT INTO budget VALUES (42)")
    old.execute("PRAGMA user_version=77")
    stray = tmp_path / FOLDER / "ab" / "cdef"
    stray.parent.mkdir(parents=True)
    stray.touch()
    account = Account(tmp_path)
    names = {name for (name,) in old.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert "answers_77" not in names
    assert ANSWERS in names
    assert old.execute("SELECT used FROM budget").fetchall() == [(42,)]
    assert old.execute("PRAGMA user_version").fetchone() == (FORMAT,)
    assert not stray.exists()
    assert "another version" in caplog.text
    old.close()
    account.index.close()


def test_a_daemon_of_this_version_makes_way_for_another(account: Account) -> None:
    """It runs on, keeps nothing any more and takes nothing from the other, whose tables have other names."""
    account.write(account.answer())
    newer = database.connect(account.index.folder)
    newer.execute(f"DROP TABLE {ANSWERS}")
    newer.execute("CREATE TABLE answers_78 (key TEXT PRIMARY KEY)")
    newer.execute("PRAGMA user_version=78")
    assert account.writebehind.recall("k") is None
    account.settle()
    assert not account.write(account.answer())
    assert account.writebehind.recall("k") is None
    assert newer.execute("SELECT count(*) FROM answers_78").fetchone() == (0,)
    newer.close()


def test_opening_and_reading_wait_for_nobody_who_writes(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction of another process may last as long as it likes."""
    monkeypatch.setattr(database, "PATIENCE", 60.0)  # by far more than any machine takes without waiting
    account.write(account.answer())
    writer = database.connect(account.index.folder)
    writer.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    other = Account(account.index.folder)
    assert other.writebehind.recall("k") is not None
    assert other.blobs.size("none") is None
    assert time.monotonic() - began < database.PATIENCE / 2
    writer.execute("ROLLBACK")
    writer.close()
    other.index.close()


async def test_what_is_forgotten_while_it_is_written_stays_forgotten(account: Account) -> None:
    """The row may be there for an instant; nobody sees it."""
    account.writebehind.keep("k", b"v", NOON, NOON + 60)
    due = dict(account.writebehind._due)
    account.writebehind.forget("k")
    account.write(*[answer for answer in due.values() if answer])
    account.writebehind._forget_due(due, keep_drops=False)
    assert account.writebehind.recall("k") is None
    await account.writebehind._flush()
    assert account.writebehind._due == {}
    assert account.writebehind._bytes == 0
    assert account.writebehind.recall("k") is None


def test_totals_are_those_of_the_rows(account: Account) -> None:
    """After replacing, dropping and keeping again; `verify` puts right what is not."""
    for number in range(10):
        account.write(account.answer(f'"{number % 4}"', b"x" * number))
    account.index.write(Changes(dropped=['"1"', '"none"']))
    rows = [account.answer(f'"{number}"', b"x" * number) for number in (8, 6, 7)]
    assert account.index.totals().answers == len(rows)
    assert account.index.totals().answer_bytes == sum(row.size for row in rows)
    account.index.attempt(lambda db: db.execute(f"UPDATE {TOTALS} SET bytes = 5"), None)
    verify(account.index.folder)
    assert account.index.totals().answer_bytes == sum(row.size for row in rows)


def test_room_is_made_of_what_was_used_first() -> None:
    """Pure: how much must go, and what."""
    big = 1000 * FLOOR
    disk = Disk(big, big // 2)
    assert too_much(100, 100, disk) == 0
    assert too_much(110, 100, disk) == 15
    assert too_much(big, big, Disk(big, big // 50)) == big * 3 // 100
    assert too_much(10, 100, Disk(big, 0)) == 10
    assert too_much(FLOOR, big, Disk(2 * FLOOR, FLOOR - 1)) == 1
    rows = [Row(float(number), str(number), 10, "") for number in range(5)]
    assert [row.key for row in first_to_go(rows, 15)] == ["0", "1"]


async def test_the_oldest_goes_and_what_is_open_stays(open_account: Callable[..., Account]) -> None:
    """Whichever process has it open; what was read again goes last; a body over the budget is not kept at all."""
    account, other = open_account(1000), open_account()
    for key in "abc":
        await fetch(account, key, key.encode() * 300)
        account.now += 1
    used = other.blobs.open("b")
    assert used is not None
    used.file.close()
    other.now = account.now
    other.settle()
    # Nobody has noted yet that this one is used: it would be the first to go.
    held = other.blobs.open("a")
    assert held is not None
    await fetch(account, "d", b"d" * 300)
    account.settle()
    assert [key for key in "abcd" if account.blobs.size(key)] == ["a", "b", "d"]
    assert len(files(account)) == 3
    held.file.close()
    await fetch(account, "e", b"e" * 1001)
    account.settle()
    assert account.blobs.size("e") is None
    assert account.blobs.size("d") == 300


async def test_a_process_that_dies_between_name_and_row_leaves_nothing(account: Account) -> None:
    """Its file goes when the time has passed that one takes at most, without a search for it."""
    script = """
import os, signal, sys, trio
from pathlib import Path
from cometfs.cache.persistent.index import Index
from tests.unit.test_persistent_cache import Account, fetch
Index.keep_bodies = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
trio.run(fetch, Account(Path(sys.argv[1])), "k", b"content")
"""
    root = Path(__file__).parents[2]
    done = await trio.run_process(
        [sys.executable, "-c", script, str(account.index.folder)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root}:{root / 'src'}"},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert len(files(account)) == 1
    account.settle()
    assert len(files(account)) == 1
    account.now += GRACE + 1
    account.settle()
    assert files(account) == []
    assert verify(account.index.folder) == Findings()


async def test_bodies_that_wait_for_their_places_hold_few_descriptors(account: Account) -> None:
    """Hundreds may come while another process writes to the index."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with bodies_of(account) as bodies:
        opened: dict[str, Body] = {}
        with account.index._turn:
            for number in range(400):
                key = f"k{number}"
                opened[key] = await bodies.open(key, Source(b"bytes").begin)
                assert await opened[key].read(0, 5) == b"bytes"
            resource.setrlimit(resource.RLIMIT_NOFILE, (sum(1 for _ in Path("/proc/self/fd").iterdir()) + 100, hard))
        try:
            for body in opened.values():
                await arrived(body)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert all(body.digest for body in opened.values())
        for key, body in opened.items():
            bodies.release(key, body)


def test_a_body_without_room_bars_none_that_is_placed_with_it(account: Account) -> None:
    whole = []
    for key, size in (("a", 5), ("huge", 1 << 60), ("b", 5)):
        file = os.open(account.index.folder, os.O_TMPFILE | os.O_RDWR)
        os.write(file, b"bytes")
        whole.append(Whole(key, file, size, b""))
    assert [one.key for one in account.blobs.adopt(*whole)] == ["a", "b"]
    for one in whole:
        os.close(one.descriptor)
    assert len(files(account)) == 2


async def test_a_replaced_body_goes_and_its_reader_reads_on(open_account: Callable[..., Account]) -> None:
    """Two mounts have fetched the same at once: one row, one file, and each reader his bytes."""
    one, other = open_account(), open_account()
    await fetch(one, "k", b"first")
    reading = one.blobs.open("k")
    assert reading is not None
    file = os.open(other.index.folder, os.O_TMPFILE | os.O_RDWR)
    os.write(file, b"first")
    assert other.blobs.adopt(Whole("k", file, 5, reading.sums))
    os.close(file)
    other.settle()
    assert len(files(one)) == 1
    assert reading.read(0, 5) == b"first"
    reading.file.close()


def damage(account: Account, offset: int) -> None:
    (path,) = files(account)
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


@pytest.mark.logs("damaged")
async def test_two_readers_of_a_damaged_body_get_the_right_bytes(account: Account) -> None:
    """At once, from one download; it is kept again, and the damaged one is set aside."""
    await fetch(account, "k", BIG)
    damage(account, 2 * BLOCK + 5)
    source = Source(BIG)
    found: list[bytes] = []

    async def read(body_offset: int) -> None:
        body = await bodies.open("k", source.begin)
        found.append(await body.read(body_offset, len(BIG)))
        assert found[-1] == BIG[body_offset:]
        bodies.release("k", body)

    async with bodies_of(account) as bodies, trio.open_nursery() as readers:
        for offset in (0, 7, 2 * BLOCK, 2 * BLOCK + 6):
            readers.start_soon(read, offset)
    assert len(found) == 4
    assert source.begun == 1
    account.settle()
    account.settle()
    assert look(account.index.folder).damaged == 1
    assert verify(account.index.folder) == Findings(bodies=1)


@pytest.mark.logs("damaged")
async def test_a_damaged_body_that_changed_at_comet_is_an_error_and_no_mixture(account: Account) -> None:
    """Who has it open may have seen the old bytes; who opens it next gets the new ones."""
    await fetch(account, "k", BIG)
    damage(account, BLOCK)
    changed = Source(b"x" + BIG[1:])
    async with bodies_of(account) as bodies:
        body = await bodies.open("k", changed.begin)
        assert await body.read(0, 10) == BIG[:10]
        with pytest.raises(Stale):
            await body.read(BLOCK, 10)
        bodies.release("k", body)
        again = await bodies.open("k", changed.begin)
        assert await again.read(0, len(BIG)) == changed.content
        bodies.release("k", again)
    account.settle()


async def test_many_open_files_do_not_cost_a_body_its_place(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may open no more files has found no damage."""
    await fetch(account, "k", b"content")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refuse)
        assert account.blobs.open("k") is None
    account.settle()
    again = account.blobs.open("k")
    assert again is not None
    again.file.close()


async def test_clear_takes_all_and_whoever_reads_reads_on(account: Account) -> None:
    """Rows, files, what was set aside; not the tables of others."""
    other = database.connect(account.index.folder)
    other.execute("CREATE TABLE budget (used INTEGER)")
    other.execute("INSERT INTO budget VALUES (42)")
    for number in range(2500):
        account.writebehind.keep(number, b"x" * 100, NOON, NOON + 60)
    await account.writebehind._flush()
    await fetch(account, "k", BIG)
    assert account.index.totals().answers == 2500
    async with bodies_of(account) as bodies:
        body = await bodies.open("k", Source(b"").begin)
        assert clear(account.index.folder) > len(BIG)
        assert await body.read(0, len(BIG)) == BIG
        bodies.release("k", body)
        assert bodies.size("k") is None
    assert account.writebehind.recall(1) is None
    assert account.index.totals() == (0, 0, 0, 0)
    assert files(account) == []
    assert other.execute("SELECT used FROM budget").fetchall() == [(42,)]
    other.close()
    account.write(account.answer())
    assert account.writebehind.recall("k") is not None


@pytest.mark.logs("damaged")
async def test_verify_tells_and_mends(account: Account) -> None:
    """Each kind of wrong once, and nothing of it the second time."""
    for number in range(4):
        account.write(account.answer(f'"{number}"'))
    for key in "abc":
        await fetch(account, key, key.encode() * 10)
    assert verify(account.index.folder) == Findings(answers=4, bodies=3)
    account.index.attempt(lambda db: db.execute(f"UPDATE {ANSWERS} SET value = X'01' WHERE key = '\"2\"'"), None)
    none: dict[str, str] = {}
    rows = account.index.attempt(lambda db: dict(db.execute(f"SELECT key, file FROM {BODIES}").fetchall()), none)
    (account.index.folder / FOLDER / rows['"a"']).unlink()
    (account.index.folder / FOLDER / rows['"b"']).write_bytes(b"B" * 10)
    stray = account.index.folder / FOLDER / "ab" / ("c" * 30)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"nobody's")
    found = verify(account.index.folder)
    assert found == Findings(4, 3, damaged_answers=1, damaged_bodies=1, lost=1, strays=1)
    assert found.damaged
    assert verify(account.index.folder) == Findings(answers=3, bodies=1)


@pytest.mark.logs("damaged")
async def test_a_row_that_is_damaged_leads_nowhere_else(account: Account, tmp_path: Path) -> None:
    """A file outside is not removed, whatever stands in the index."""
    await fetch(account, "k", b"content")
    victim = tmp_path / "victim"
    victim.touch()
    account.index.attempt(lambda db: db.execute(f"UPDATE {BODIES} SET file = '../victim'"), None)
    assert account.blobs.open("k") is None
    account.index.write(Changes(unsound=account.index.view.unsound))
    account.settle()
    assert victim.exists()


@pytest.mark.logs("damaged")
def test_two_processes_that_find_one_damage_set_it_aside_once(open_account: Callable[..., Account]) -> None:
    """The second one takes up the new file, and both share it."""
    one, other = open_account(), open_account()
    one.write(one.answer())
    path = one.index.folder / database.FILE
    one.index.attempt(lambda db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall(), None)
    path.write_bytes(b"this is no database " * 5000)
    for account in (one, other, one, other):
        account.settle()
        assert account.write(account.answer(f'"{id(account)}"'))
        account.settle()
    for account in (one, other):
        assert account.index.totals().answers == 2
        assert account.writebehind.recall(str(id(one))) is not None
        assert account.writebehind.recall(str(id(other))) is not None
    assert look(one.index.folder).damaged == 1


def test_a_file_that_another_process_has_begun_anew_is_not_set_aside(account: Account) -> None:
    """Who finds damage in the old one comes too late."""
    account.write(account.answer())
    assert account.index.give_up((0, 0), "damage in a file that is gone")
    assert account.writebehind.recall("k") is not None
    assert account.index.totals().answers == 1


def test_a_folder_that_is_deleted_meanwhile_is_begun_anew(account: Account, tmp_path: Path) -> None:
    """Under a process that goes on."""
    account.write(account.answer())
    for path in sorted(tmp_path.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    account.settle()
    assert account.writebehind.recall("k") is None
    assert account.write(account.answer())
    assert account.writebehind.recall("k") is not None


def test_a_body_that_is_too_late_for_its_row_is_not_kept(account: Account) -> None:
    """Somebody took it for one whose process had died."""
    assert account.index.announce("ab/" + "c" * 30)
    account.index.removed(["ab/" + "c" * 30])
    assert not account.index.keep_bodies([("k", KeptBody("ab/" + "c" * 30, 1, b""))])


async def test_many_answers_that_wait_for_room_are_all_kept(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit into the queue is not kept: it is for what comes faster than a disk writes."""
    monkeypatch.setattr("cometfs.cache.persistent.writebehind.QUEUE", 100_000)
    for number in range(20):
        account.writebehind.keep(("k", number), bytes(20_000), NOON, NOON + 3600)
        await account.writebehind.room()
    await account.writebehind.settle()
    assert account.index.totals().answers == 20
