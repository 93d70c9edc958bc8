"""`comet://`: the words of fsspec, errors, threads, forks, copies, asyncio. Libraries: test_fsspec_libraries.py."""

from __future__ import annotations

import asyncio
import errno
import json
import multiprocessing
import os
import pickle
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import pytest
import trio
from fsspec.callbacks import Callback
from fsspec.tests.abstract import AbstractFixtures, AbstractGetTests

from cometfs.errnos import NoAnswer
from cometfs.errors import Interrupted
from cometfs.fsspec import CometFileSystem, portal
from tests.support.big_assets import content
from tests.support.fsspec_account import ASSETS, BIG, TREES, write_account
from tests.support.processes import Comet, running_comet

RUN = "ws/p/run-00"


@pytest.fixture(scope="module")
def comet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comet]:
    folder = tmp_path_factory.mktemp("comet")
    archives = folder / "archives"
    write_account(archives)
    with running_comet(folder, "--assets", "redirect", archives=archives) as running:
        yield running
        portal.close()


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMET_API_KEY", "test-key")


@pytest.fixture(scope="module")
def shared(comet: Comet, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Options of a file system that tests share."""
    return {"url": comet.url, "cache_dir": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture
def fs(shared: dict[str, Any]) -> CometFileSystem:
    return CometFileSystem(**shared)


@pytest.fixture
def cold(comet: Comet, tmp_path: Path) -> CometFileSystem:
    """One that has asked nothing."""
    return CometFileSystem(url=comet.url, cache_dir=tmp_path / "cache")


class TestOfFsspec(AbstractFixtures, AbstractGetTests):  # type: ignore[misc]  # fsspec ships no types
    """fsspec's own tests of file systems that are read. What they would write lies there already."""

    @pytest.fixture
    def fs(self, shared: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> CometFileSystem:
        found = CometFileSystem(**shared)

        def lies_there(path: str, **_kwargs: Any) -> None:
            assert found.exists(path)

        monkeypatch.setattr(found, "mkdir", lies_there)
        monkeypatch.setattr(found, "touch", lies_there)
        return found

    @pytest.fixture
    def fs_path(self) -> str:
        return ASSETS

    @pytest.fixture
    def fs_bulk_operations_scenario_0(self) -> str:
        return f"{ASSETS}/scenario"

    @pytest.fixture
    def fs_glob_edge_cases_files(self) -> str:
        return f"{ASSETS}/glob"

    @pytest.fixture
    def fs_dir_and_file_with_same_name_prefix(self) -> str:
        return f"{ASSETS}/prefix"

    @pytest.fixture
    def fs_10_files_with_hashed_names(self) -> str:
        return f"{ASSETS}/hashed"


def test_a_file_is_opened_by_its_address(comet: Comet, fs: CometFileSystem, shared: dict[str, Any]) -> None:
    """As text, as bytes, by any library that knows fsspec."""
    with fsspec.open(f"comet://{RUN}/params.json", "rt", **shared) as file:
        assert json.load(file)["dropout"] == 0.5
    assert fs.cat(f"comet://{RUN}/params.json") == fs.cat(f"{RUN}/params.json") == fs.cat(f"/{RUN}/params.json")


def test_names_and_types_are_those_of_the_tree(fs: CometFileSystem) -> None:
    assert {"ws", "README.md"} <= set(fs.ls("comet://", detail=False))
    assert f"{RUN}/params.json" in fs.ls(RUN, detail=False)
    assert fs.ls(f"{RUN}/params.json", detail=False) == [f"{RUN}/params.json"]
    types = {one["name"]: one["type"] for one in fs.ls("ws/p")}
    assert (types[RUN], types["ws/p/url.txt"], types["ws/p/experiments.csv"]) == ("directory", "file", "link")
    assert (fs.isdir(RUN), fs.isfile(RUN), fs.exists(RUN)) == (True, False, True)
    assert (fs.isdir("ws/p/nothing"), fs.exists(f"{RUN}/params.json/x"), fs.isfile(f"{RUN}/params.json")) == (
        False,
        False,
        True,
    )
    walked = {path: (set(folders), set(files)) for path, folders, files in fs.walk(f"{ASSETS}/scenario")}
    assert walked[f"{ASSETS}/scenario"] == ({"subdir"}, {"file1", "file2"})
    assert fs.find(f"{ASSETS}/prefix") == [f"{ASSETS}/prefix/subdir.txt", f"{ASSETS}/prefix/subdir/subfile.txt"]


def test_a_link_is_followed_where_it_is_named(fs: CometFileSystem) -> None:
    """On the way, and at the end; a listing shows it as what it is."""
    info = fs.info("ws/p/experiments.csv")
    assert (info["type"], info["islink"], info["destination"]) == ("file", True, "summary/experiments.csv")
    assert info["size"] == fs.info("ws/p/summary/experiments.csv")["size"] == len(fs.cat("ws/p/experiments.csv"))
    assert fs.isdir(f"ws/p/views/by-key/{0:032x}")
    assert fs.cat(f"ws/p/views/by-key/{0:032x}/params.json") == fs.cat(f"{RUN}/params.json")
    assert fs.glob("ws/p/views/by-tag/odd/*/params.json")


def test_a_size_is_the_number_of_bytes(fs: CometFileSystem) -> None:
    """Of each file of a run; without a call it is None, never a guess."""
    for path in fs.find(RUN):
        assert fs.info(path)["size"] == len(fs.cat(path)), path


def test_a_pattern_costs_what_it_leads_to(cold: CometFileSystem, comet: Comet) -> None:
    """No directory beside the named ones is listed."""
    with comet.asked() as asked:
        found = cold.glob("comet://ws/p/run-*/params.json")
    assert found == [f"ws/p/run-{number:02}/params.json" for number in range(12)]
    assert Counter(asked) == {"workspaces": 1, "projects": 1, "experiments": 1}
    assert cold.glob("ws/*/run-0[0-2]") == ["ws/p/run-00", "ws/p/run-01", "ws/p/run-02"]
    assert cold.glob("ws/p/run-00/*/") == sorted(
        one["name"] for one in cold.ls("ws/p/run-00") if one["type"] == "directory"
    )
    assert f"{ASSETS}/scenario/subdir/nesteddir/nestedfile" in cold.glob(f"{ASSETS}/scenario/**/nested*")
    assert cold.glob("ws/p/nothing*") == []


def test_files_that_are_wanted_together_are_asked_for_together(cold: CometFileSystem, comet: Comet) -> None:
    """A call for all of them, once a few were asked by themselves."""
    paths = cold.glob("comet://ws/p/run-*/params.json")
    with comet.asked() as asked:
        found = cold.cat(paths)
    assert {path: json.loads(body)["lr"] for path, body in found.items()} == {
        path: number / 10 for number, path in enumerate(paths)
    }
    assert Counter(asked)["experiment/parameters"] <= 3
    assert sum(Counter(asked).values()) <= 8, asked


def test_files_that_are_read_together_take_few_trips_between_threads(
    fs: CometFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for each file was most of what 25,000 of them cost."""
    paths = fs.glob("comet://ws/p/run-*/params.json")
    alone = {path: fs.cat(path) for path in paths}
    trips: list[object] = []
    begin = portal.Portal.begin

    def counted(taken: portal.Portal, work: Any) -> None:
        trips.append(work)
        begin(taken, work)

    monkeypatch.setattr(portal.Portal, "begin", counted)
    assert fs.cat(paths) == alone
    assert len(trips) <= 2
    assert fs.cat(paths, start=2, end=-1) == {path: body[2:-1] for path, body in alone.items()}


def test_one_that_cannot_be_read_together_with_others(fs: CometFileSystem) -> None:
    """Ends it all, is left out, or stands for itself, as its reader wants."""
    paths = [f"{RUN}/params.json", f"{RUN}/nothing.json", RUN]
    with pytest.raises(FileNotFoundError, match=r"nothing\.json"):
        fs.cat(paths[:2])
    assert fs.cat(paths, on_error="omit") == {paths[0]: fs.cat(paths[0])}
    found = fs.cat(paths, on_error="return")
    assert isinstance(found[paths[1]], FileNotFoundError)
    assert isinstance(found[paths[2]], IsADirectoryError)


def test_ranges_of_a_big_asset_cost_their_parts(cold: CometFileSystem, comet: Comet) -> None:
    """Bytes from the middle do not wait for those before; ranges of several files come together."""
    whole, path = content(BIG), f"{ASSETS}/big.bin"
    before = len(comet.requests())
    assert cold.cat_file(path, start=5_000_000, end=5_000_100) == whole[5_000_000:5_000_100]
    assert cold.cat_file(path, start=-7) == whole[-7:]
    assert sum(one["bytes"] for one in comet.requests()[before:]) < BIG / 2
    table = cold.cat(f"{ASSETS}/table.csv")
    assert cold.cat_ranges([path, path, f"{ASSETS}/table.csv"], [0, 100, 3], [10, 200, 9]) == [
        whole[:10],
        whole[100:200],
        table[3:9],
    ]
    with cold.open(path) as file:
        assert file.seek(-5, os.SEEK_END) == BIG - 5
        assert file.read() == whole[-5:]
        file.seek(0)
        assert file.read() == whole


def test_get_file_leaves_whole_files_alone(fs: CometFileSystem, tmp_path: Path) -> None:
    """Nothing has its name before all of it has come."""
    fs.get_file(f"{ASSETS}/big.bin", tmp_path / "big.bin")
    assert (tmp_path / "big.bin").read_bytes() == content(BIG)
    with pytest.raises(FileNotFoundError):
        fs.get_file(f"{ASSETS}/nothing", tmp_path / "nothing")
    with (tmp_path / "open").open("wb") as file:
        fs.get_file(f"{ASSETS}/table.csv", file)
    assert (tmp_path / "open").read_bytes() == fs.cat(f"{ASSETS}/table.csv")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == ["big.bin", "open"]


def test_get_file_makes_the_directories_that_it_needs(fs: CometFileSystem, tmp_path: Path) -> None:
    fs.get_file(f"{ASSETS}/table.csv", tmp_path / "not/there/table.csv")
    assert (tmp_path / "not/there/table.csv").read_bytes() == fs.cat(f"{ASSETS}/table.csv")


def test_what_cannot_be_copied_does_not_end_the_rest(fs: CometFileSystem, tmp_path: Path) -> None:
    """The error comes when all else is there; nothing is left half written."""
    with pytest.raises(FileNotFoundError):
        fs.get("ws/p/nothing", str(tmp_path / "copy"), recursive=True)
    assert not (tmp_path / "copy").exists()
    (tmp_path / "copy/scenario/file1").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        fs.get(f"{ASSETS}/scenario", f"{tmp_path}/copy", recursive=True)
    assert list(tmp_path.rglob("*.part")) == []


def test_a_copy_tells_how_far_it_is(fs: CometFileSystem, tmp_path: Path) -> None:
    """By fsspec's callbacks: files, and bytes of each."""
    callback = Counted()
    fs.get(ASSETS, str(tmp_path / "copy"), recursive=True, callback=callback)
    copied = [path for path in (tmp_path / "copy").rglob("*") if path.is_file()]
    assert callback.size == callback.value == len(copied)
    assert callback.bytes == sum(path.stat().st_size for path in copied)


class Counted(Callback):  # type: ignore[misc]  # fsspec ships no types
    """Adds up what its branches are told."""

    bytes = 0

    def branched(self, *_paths: str, **_kwargs: Any) -> Callback:
        return Callback(hooks={"count": self._count})

    def _count(self, size: int, value: int, **_kwargs: Any) -> None:
        self.bytes += size if size == value else 0


def test_the_files_of_a_directory_are_read_by_one_word(fs: CometFileSystem) -> None:
    """Its directories are no files."""
    found = fs.cat(f"{ASSETS}/hashed", recursive=True)
    assert sorted(found.values()) == [str(number).encode() for number in range(10)]
    assert set(fs.cat(f"{ASSETS}/scenario", recursive=True)) == set(fs.find(f"{ASSETS}/scenario"))


def test_what_is_asked_again_is_asked_of_comet(cold: CometFileSystem, comet: Comet) -> None:
    """A listing that is to be fresh, and all that a path means."""
    with comet.asked() as first:
        names = cold.ls("ws/p", detail=False)
        assert cold.ls("ws/p", detail=False) == names
    assert first.count("experiments") == 1
    with comet.asked() as again:
        assert cold.ls("ws/p", detail=False, refresh=True) == names
    assert again.count("experiments") == 1
    body = cold.cat(f"{RUN}/params.json")
    for path in (f"comet://{RUN}/params.json", RUN, None):
        cold.invalidate_cache(path)
        with comet.asked() as asked:
            assert cold.cat(f"{RUN}/params.json") == body
        assert asked.count("experiment/parameters") == 1, path


def test_what_cannot_be_listed_is_no_empty_directory(tmp_path: Path) -> None:
    """However deep, in whatever goes through a tree; a program that says so gets the rest."""
    write_account(tmp_path / "archives")
    with running_comet(tmp_path, archives=tmp_path / "archives") as comet:
        fs = CometFileSystem(url=comet.url, cache_dir=tmp_path / "cache", deadline=2)
        listed = fs.ls("ws/p", detail=False)
        comet.process.terminate()
        comet.process.wait()
        ways: list[Callable[[], object]] = [
            lambda: list(fs.walk("ws/p")),
            lambda: list(fs.walk("ws/p", topdown=False)),
            lambda: fs.find("ws/p"),
            lambda: fs.glob("ws/p/**/loss.csv"),
            lambda: fs.du("ws/p"),
            lambda: fs.cat("ws/p", recursive=True),
            lambda: fs.get("ws/p", str(tmp_path / "copy"), recursive=True),
        ]
        for way in ways:
            with pytest.raises(OSError, match=r"127\.0\.0\.1"):
                way()
        walked = [path for path, _, _ in fs.walk("ws/p", on_error="omit", maxdepth=2)]
        assert {path for path in listed if path.startswith("ws/p/run")} <= set(walked)
        portal.close()
    assert list(fs.walk("ws/nothing", on_error="omit")) == [("ws/nothing", [], [])]


def test_a_copy_of_a_project_has_its_links(fs: CometFileSystem, tmp_path: Path) -> None:
    """As `cp -r` of a mount makes them; no experiment is copied twice."""
    fs.get("ws/p/views", str(tmp_path / "views"), recursive=True)
    assert (tmp_path / "views/latest").is_symlink()
    assert [path for path in (tmp_path / "views").rglob("params.json") if not path.parent.is_symlink()] == []


def test_times_and_versions(fs: CometFileSystem) -> None:
    """`ukey` is that of another process, too; it changes with the file."""
    assert fs.created(RUN) == datetime.fromtimestamp(1_700_000_000, UTC)
    assert fs.modified(RUN) == datetime.fromtimestamp(1_700_000_900, UTC)
    with pytest.raises(OSError, match="Comet does not tell when ws was created") as raised:
        fs.created("ws")
    assert raised.value.errno == errno.ENOTSUP
    keys = [fs.ukey(f"{RUN}/params.json"), fs.ukey("ws/p/run-01/params.json"), fs.ukey(f"{ASSETS}/big.bin")]
    assert len(set(keys)) == 3
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(fs.ukey, [f"{RUN}/params.json"]) == keys[:1]
    assert fs.checksum(f"{RUN}/params.json") == int(keys[0], 16)
    with pytest.raises(OSError, match="comet:// signs no links") as raised:
        fs.sign(f"{ASSETS}/big.bin")
    assert raised.value.errno == errno.ENOTSUP


def test_errors_have_the_errno_of_the_mount_and_a_sentence(fs: CometFileSystem, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        fs.cat("ws/p/nothing/params.json")
    assert (missing.value.errno, missing.value.strerror) == (errno.ENOENT, "p has no entry 'nothing'")
    with pytest.raises(IsADirectoryError):
        fs.cat(RUN)
    with pytest.raises(NotADirectoryError):
        fs.info(f"{RUN}/params.json/x")
    writes: list[Callable[[], object]] = [
        lambda: fs.open(f"{RUN}/params.json", "wb"),
        lambda: fs.pipe(f"{RUN}/params.json", b""),
        lambda: fs.rm(f"{RUN}/params.json"),
        lambda: fs.mkdir(f"{RUN}/x"),
        lambda: fs.touch(f"{RUN}/x"),
        lambda: fs.put_file(__file__, f"{RUN}/x"),
        lambda: fs.mv(f"{RUN}/params.json", f"{RUN}/x"),
    ]
    for write in writes:
        with pytest.raises(OSError, match="comet:// is only read") as refused:
            write()
        assert refused.value.errno == errno.EROFS


def test_a_server_that_is_not_there_is_one(tmp_path: Path) -> None:
    """Neither an empty listing nor a file that does not exist."""
    away = fsspec.filesystem("comet", url="http://127.0.0.1:9", cache_dir=tmp_path, deadline=2)
    with pytest.raises(OSError, match=r"127\.0\.0\.1") as raised:
        away.ls("ws")
    assert raised.value.errno in (errno.ENETUNREACH, errno.ETIMEDOUT)
    with pytest.raises(OSError, match=r"127\.0\.0\.1"):
        away.exists("ws")


def test_without_a_key_the_sentence_says_where_one_is_looked_for(
    comet: Comet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COMET_API_KEY")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match="No Comet API key was found") as raised:
        fsspec.filesystem("comet", url=comet.url, cache_dir=tmp_path / "one").ls("ws")
    assert raised.value.errno == errno.EINVAL
    (tmp_path / "key").write_text("the-key")
    found = fsspec.filesystem("comet", url=comet.url, api_key_file=tmp_path / "key", cache_dir=tmp_path / "two")
    assert found.exists("ws/p")
    assert b"the-key" not in pickle.dumps(found)
    assert "the-key" not in repr(vars(found))


def test_a_key_is_no_option(comet: Comet) -> None:
    """Nor is what has no meaning: a name that is misspelt would be silence."""
    with pytest.raises(TypeError, match="a key is no option of comet://"):
        fsspec.filesystem("comet", url=comet.url, api_key="secret")
    with pytest.raises(TypeError, match="comet:// has no option cache_directory"):
        fsspec.filesystem("comet", url=comet.url, cache_directory="/tmp")


def test_threads_share_what_is_asked(cold: CometFileSystem, comet: Comet) -> None:
    """Of the same file each gets its bytes, for one call."""
    path = f"{RUN}/output.txt"
    cold.ls(RUN)
    with comet.asked() as asked, ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: cold.cat(path), range(16)))) == 1
    assert Counter(asked)["experiment/output"] <= 1


def _read(path: str, fs: CometFileSystem, file: Any, send: Any) -> None:
    send.send((fs.cat(path), file.read(10)))


def test_a_child_that_was_forked_goes_on(fs: CometFileSystem) -> None:
    """With a thread of its own, while its parent reads, too; an open file is the same version of its bytes."""
    with fs.open(f"{ASSETS}/big.bin") as file:
        file.read(5)
        receive, send = multiprocessing.Pipe(duplex=False)
        child = multiprocessing.get_context("fork").Process(target=_read, args=(f"{RUN}/params.json", fs, file, send))
        child.start()
        assert fs.cat(f"{RUN}/params.json") == receive.recv()[0]
        child.join()
        assert child.exitcode == 0
        assert file.read(5) == content(BIG)[5:10]
    receive.close()
    send.close()


def _fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_work_that_a_fork_interrupts_is_done_again(cold: CometFileSystem) -> None:
    """A thread that reads while another forks all the time gets its bytes."""
    found: list[int] = []

    def read() -> None:
        for number in range(5):
            found.append(len(cold.cat_file(f"{ASSETS}/big.bin", number, number + 100)))

    reader = threading.Thread(target=read)
    reader.start()
    while reader.is_alive():
        _fork()
    reader.join()
    assert found == [100] * 5


def test_a_program_that_forks_while_it_awaits_gets_its_bytes(comet: Comet, tmp_path: Path) -> None:
    """In the thread of its event loop, which cannot ask again meanwhile."""

    async def main() -> int:
        fs = fsspec.filesystem("comet", asynchronous=True, url=comet.url, cache_dir=tmp_path)
        reading = asyncio.ensure_future(fs._cat_file(f"{ASSETS}/big.bin", 0, 100))
        await asyncio.sleep(0)
        for _ in range(5):
            _fork()
        return len(await reading)

    assert asyncio.run(main()) == 100


def test_work_that_cannot_be_done_between_forks_is_an_error(
    cold: CometFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the system, with a sentence, and not a wait without end."""
    monkeypatch.setattr(portal, "PATIENCE", 0)
    started = threading.Event()

    async def endless(_portal: portal.Portal) -> None:
        started.set()
        await trio.sleep_forever()

    endless_work = portal.submit(endless)
    for _ in range(portal.AGAIN + 1):
        assert started.wait(10)
        started.clear()
        _fork()
    with pytest.raises(Interrupted, match="read it again"):
        endless_work.result(10)
    assert len(cold.cat_file(f"{ASSETS}/big.bin", 0, 100)) == 100


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_leaves_nobody_waiting(cold: CometFileSystem) -> None:
    """What waits for it gets the error; what is asked next begins another."""

    async def endless(_portal: portal.Portal) -> None:
        await trio.sleep_forever()

    async def broken(_portal: portal.Portal) -> None:
        raise SystemExit(3)

    waiting = portal.submit(endless)
    portal.submit(broken)
    with pytest.raises(BaseExceptionGroup) as raised:
        waiting.result(10)
    assert raised.group_contains(SystemExit)
    assert len(cold.cat_file(f"{ASSETS}/big.bin", 0, 100)) == 100


def _cat(fs: CometFileSystem, paths: list[str]) -> Any:
    return fs.cat(paths)


def test_a_copy_finds_the_same_without_a_call(fs: CometFileSystem, comet: Comet) -> None:
    """In another process: what was fetched is in the cache on disk when the copy is made."""
    paths = [f"ws/p/run-{number:02}/params.json" for number in range(12)]
    bodies = fs.cat(paths)
    with multiprocessing.get_context("spawn").Pool(1) as pool, comet.asked() as asked:
        assert pool.apply(_cat, (fs, paths)) == bodies
    assert asked == []
    assert pickle.loads(pickle.dumps(fs)) is fs  # noqa: S301


def test_an_asyncio_program_awaits(comet: Comet, tmp_path: Path) -> None:
    async def main() -> None:
        fs = fsspec.filesystem("comet", asynchronous=True, url=comet.url, cache_dir=tmp_path)
        paths = await fs._glob("ws/p/run-0*/params.json")
        bodies = await asyncio.gather(*(fs._cat_file(path) for path in paths))
        assert await fs._cat(paths) == dict(zip(paths, bodies, strict=True))
        stream = await fs.open_async(f"{ASSETS}/big.bin")
        async with stream:
            assert await stream.read(10) == content(BIG)[:10]
        assert (await fs._info(paths[0]))["size"] == len(bodies[0])
        with pytest.raises(FileNotFoundError):
            await fs._info("ws/p/nothing")
        task = asyncio.ensure_future(fs._cat_file(f"{ASSETS}/big.bin"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_to_import_it_needs_no_fuse() -> None:
    """Nor does it bring the server, or what no reader of files wants."""
    import subprocess
    import sys

    code = "import sys, cometfs.fsspec; print(*[one for one in sys.modules if one in ('pyfuse3', 'starlette', 'dask')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_the_trees_are_there(fs: CometFileSystem) -> None:
    """What fsspec's own tests read is what they would have written."""
    for folder, files in TREES.items():
        assert {path.removeprefix(f"{ASSETS}/{folder}/") for path in fs.find(f"{ASSETS}/{folder}")} == set(files)


def test_the_thread_is_gone_before_a_fork(fs: CometFileSystem) -> None:
    """For the system, too: until then it holds locks of OpenSSL, for which a child would wait for ever."""
    for _ in range(5):
        assert fs.exists(RUN)
        number = next(thread.native_id for thread in threading.enumerate() if thread.name == "cometfs")
        child = os.fork()
        if child == 0:
            os._exit(0)
        gone = not Path(f"/proc/self/task/{number}").exists()
        assert os.waitpid(child, 0)[1] == 0
        assert gone


def test_a_deadline_that_passes_keeps_its_errno(tmp_path: Path) -> None:
    """fsspec takes Python's own TimeoutError for one of its own, and loses errno and sentence. It survives a pickle."""
    (tmp_path / "slow").mkdir()
    write_account(tmp_path / "slow/archives")
    with running_comet(tmp_path / "slow", "--latency", "60000", archives=tmp_path / "slow/archives") as slow:
        fs = CometFileSystem(url=slow.url, cache_dir=tmp_path / "cache", deadline=1)
        with pytest.raises(NoAnswer) as raised:
            fs.cat(f"{RUN}/params.json")
        portal.close()
    assert (raised.value.errno, raised.value.filename) == (errno.ETIMEDOUT, f"{RUN}/params.json")
    assert raised.value.strerror
    again = pickle.loads(pickle.dumps(raised.value))  # noqa: S301
    assert (type(again), again.args, again.filename) == (NoAnswer, raised.value.args, raised.value.filename)


def test_a_profile_names_the_account(comet: Comet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a mount; one that is not there is a sentence."""
    (tmp_path / "key").write_text("the-key")
    (tmp_path / "config.toml").write_text(
        f'[profiles.work]\nurl = "{comet.url}"\napi_key_file = "{tmp_path}/key"\ncache_dir = "{tmp_path}/cache"\n'
    )
    monkeypatch.setenv("COMETFS_CONFIG", str(tmp_path / "config.toml"))
    assert CometFileSystem(profile="work").exists("ws/p")
    with pytest.raises(OSError, match="there is no profile 'wrok'") as raised:
        CometFileSystem(profile="wrok").exists("ws/p")
    assert raised.value.errno == errno.EINVAL
    with pytest.raises(OSError, match="live") as raised:
        CometFileSystem(profile="work", live_interval=0).exists("ws/p")
    assert raised.value.errno == errno.EINVAL
