"""Big assets: read anywhere for what that costs, fetched on after a broken connection, and kept block by block."""

from __future__ import annotations

import errno
import gzip
import os
import random
import signal
import sqlite3
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.big_assets import END, MIB, PLACE, content, write_big_run
from tests.support.faulty_comet import Answer, Faults, Layer, Pass, Request, faulty_comet
from tests.support.processes import COMETFS, PATIENCE, Comet, Mounted, running_comet, running_mount
from tests.support.subprocesses import await_that

GET = "experiment/asset/get-asset"

OPTIONS = pytest.mark.parametrize("assets", ["stream", "redirect"])


@contextmanager
def big(folder: Path, assets: dict[str, bytes | int], *options: str) -> Iterator[tuple[Comet, Path]]:
    """A Comet that serves a run with those assets."""
    run = write_big_run(folder / "runs", assets)
    with running_comet(folder, *options, archives=folder / "runs") as comet:
        yield comet, run


def downloads(comet: Comet) -> list[dict[str, Any]]:
    """What was asked for bytes so far."""
    return [one for one in comet.requests() if GET in one["path"] or one["path"].startswith("/objects/")]


@OPTIONS
def test_the_end_of_a_huge_file(tmp_path: Path, assets: str) -> None:
    """Costs three round trips and two blocks; once more, nothing, not after a remount either."""
    with big(tmp_path, {"huge.bin": 8 << 30}, "--assets", assets) as (comet, _):
        for _ in range(2):
            with running_mount(tmp_path, comet) as mounted:
                path = mounted / PLACE / "assets/huge.bin"
                assert path.stat().st_size == 8 << 30
                done = subprocess.run(["tail", "-c", "8", path], capture_output=True, check=True)
                assert done.stdout == END
            asked = downloads(comet)
            assert len(asked) <= 3
    if assets == "redirect":
        assert sum(one["bytes"] for one in asked) <= 2 * MIB
        assert [one["status"] for one in asked] == [302, 206, 206]


@OPTIONS
def test_a_file_in_order(tmp_path: Path, assets: str) -> None:
    """Every byte is right and comes once; from Comet itself it is one call, from the disk none."""
    body = content(40 * MIB + 5)
    with big(tmp_path, {"a.bin": body}, "--assets", assets) as (comet, run):
        for _ in range(2):
            with running_mount(tmp_path, comet) as mounted:
                done = subprocess.run(["cmp", mounted / PLACE / "assets/a.bin", run / "asset0"], check=False)
                assert done.returncode == 0
                assert mounted.log.read_text() == ""
            asked = downloads(comet)
            assert sum(one["bytes"] for one in asked) == len(body)
            assert [one["path"] for one in asked if GET in one["path"]] == [f"/api/rest/v2/{GET}"]


def test_a_server_that_gives_wholes_only(tmp_path: Path) -> None:
    """One stream brings the file up to where it is read, and on from there; what has come is there for the next one."""
    body = content(30 * MIB)
    with big(tmp_path, {"a.bin": body}, "--assets", "stream-no-range") as (comet, run):
        with running_mount(tmp_path, comet) as mounted:
            path = mounted / PLACE / "assets/a.bin"
            done = subprocess.run(["tail", "-c", "8", path], capture_output=True, check=True)
            assert done.stdout == body[-8:]
            assert subprocess.run(["cmp", path, run / "asset0"], check=False).returncode == 0
        assert downloads(comet)[0]["status"] == 200
        assert sum(one["bytes"] for one in downloads(comet)) < 2 * len(body)


def test_programs_that_look_here_and_there(tmp_path: Path) -> None:
    """The directory of a zip and a row of a database cost a part of the file."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(30):
            archive.writestr(f"{number}.bin", content(MIB))
    with sqlite3.connect(tmp_path / "a.sqlite") as database:
        database.execute("create table t (key integer primary key, text text)")
        database.executemany("insert into t values (?, ?)", ((key, "x" * 1000) for key in range(30_000)))
    database.close()
    bodies: dict[str, bytes | int] = {name: (tmp_path / name).read_bytes() for name in ("a.zip", "a.sqlite")}
    with big(tmp_path, bodies, "--assets", "redirect") as (comet, _), running_mount(tmp_path, comet) as mounted:
        folder = mounted / PLACE / "assets"
        listed = subprocess.run(["python3", "-m", "zipfile", "-l", folder / "a.zip"], capture_output=True, check=True)
        assert listed.stdout.count(b".bin") == 30
        with sqlite3.connect(f"file:{folder}/a.sqlite?mode=ro&immutable=1", uri=True) as database:
            assert database.execute("select text from t where key = 25000").fetchone() == ("x" * 1000,)
        database.close()
        assert sum(one["bytes"] for one in downloads(comet)) <= 12 * MIB


def test_connections_that_break(tmp_path: Path) -> None:
    """Each brings half of what it should, and the file is whole all the same."""
    body = content(24 * MIB + 5)

    def cutting(request: Request, behind: Pass) -> Answer:
        answer = behind(request)
        if request.endpoint != GET or len(answer.body) <= MIB:
            return answer
        half = len(answer.body) // 2
        return replace(answer, body=answer.body[:half], missing=len(answer.body) - half)

    with (
        big(tmp_path, {"a.bin": body}) as (comet, run),
        faulty_comet(comet) as (before, faults),
        running_mount(tmp_path, before) as mounted,
    ):
        faults.layers.append(cutting)
        done = subprocess.run(["cmp", mounted / PLACE / "assets/a.bin", run / "asset0"], check=False)
        assert done.returncode == 0


def test_a_file_bigger_than_the_cache(tmp_path: Path) -> None:
    """Is read all the same, and the cache keeps to its size."""
    body = content(60 * MIB)
    with (
        big(tmp_path, {"a.bin": body}, "--assets", "redirect") as (comet, run),
        running_mount(tmp_path, comet, "--cache-size", "20M") as mounted,
    ):
        for _ in range(2):
            done = subprocess.run(["cmp", mounted / PLACE / "assets/a.bin", run / "asset0"], check=False)
            assert done.returncode == 0
        kept = sum(path.stat().st_blocks * 512 for path in (tmp_path / "cache").rglob("*") if path.is_file())
        assert kept < 40 * MIB


@OPTIONS
def test_a_file_that_changes(tmp_path: Path, assets: str) -> None:
    """Its reader gets ESTALE, not a mixture; who opens it anew reads the new one."""
    with (
        big(tmp_path, {"a.bin": content(60 * MIB)}, "--assets", assets) as (comet, run),
        running_mount(tmp_path, comet) as mounted,
    ):
        path = mounted / PLACE / "assets/a.bin"
        file = os.open(path, os.O_RDONLY)
        assert os.pread(file, 10, 0) == content(10)
        other = content(60 * MIB)[::-1]
        (run / "asset0").write_bytes(other)
        with pytest.raises(OSError, match="Stale file handle"):
            os.pread(file, 10, 50 * MIB)
        os.close(file)
        assert path.read_bytes() == other


# -- faults: what a program sees, what it costs, and that all is well afterwards ---------------------------------------

STORED = "/objects/"


@dataclass
class Storage:
    """An object store behind redirects of one Comet: its links are numbered, and can expire."""

    expired: int = 0
    """Links up to this one."""
    links: int = 0

    def __call__(self, request: Request, behind: Pass) -> Answer:
        if request.endpoint == GET and request.query.get("allow301") == "true":
            self.links += 1
            link = f"{STORED}{self.links}?{urlencode(request.query | {'allow301': 'false'})}"
            return Answer(302, b"", headers=(("Location", link),))
        if not request.target.startswith(STORED):
            return behind(request)
        number, _, query = request.target.removeprefix(STORED).partition("?")
        if int(number) <= self.expired:
            return Answer(403, b"<Error><Code>AccessDenied</Code></Error>", "application/xml")
        return behind(replace(request, target=f"/api/rest/v2/{GET}?{query}", key="test-key"))


def in_parts(change: Callable[[Request, Answer], Answer]) -> Layer:
    """What has bytes of a big body is answered as `change` says."""

    def layer(request: Request, behind: Pass) -> Answer:
        answer = behind(request)
        return change(request, answer) if len(answer.body) > MIB // 2 else answer

    return layer


@contextmanager
def faulty(
    folder: Path, body: bytes, *options: str, assets: str = "stream", name: str = "a.bin"
) -> Iterator[tuple[Path, Faults, Mounted]]:
    """The path of a big asset in a mount before a Comet with faults."""
    with (
        big(folder, {name: body}, "--assets", assets) as (comet, _),
        faulty_comet(comet) as (before, faults),
        running_mount(folder, before, *options) as mounted,
    ):
        yield mounted / PLACE / "assets" / name, faults, mounted


def asked(faults: Faults, part: str) -> int:
    return sum(part in target for target in faults.arrivals)


def same(path: Path, body: bytes) -> bool:
    """Whether a program that reads all of the file gets those bytes."""
    return subprocess.run(["cmp", "-", path], input=body, check=False).returncode == 0


def test_a_link_that_expires(tmp_path: Path) -> None:
    """Comet is asked once for another one, and the reader does not notice."""
    body = content(40 * MIB)
    with faulty(tmp_path, body) as (path, faults, mounted):
        storage = Storage()
        faults.layers.append(storage)
        with path.open("rb") as file:
            assert file.read(3 * MIB) == body[: 3 * MIB]
            assert (storage.links, asked(faults, GET)) == (1, 1)
            storage.expired = 1
            assert file.read() == body[3 * MIB :]
        assert (storage.links, asked(faults, GET)) == (2, 2)
        assert mounted.log.read_text() == ""


@pytest.mark.parametrize("dead", [Answer(503), Answer(500, b"")])
def test_a_storage_that_dies(tmp_path: Path, dead: Answer) -> None:
    """Comet itself sends the rest."""
    body = content(40 * MIB)
    with faulty(tmp_path, body) as (path, faults, mounted):
        faults.layers.append(Storage())
        with path.open("rb") as file:
            assert file.read(3 * MIB) == body[: 3 * MIB]
            faults.answers[STORED] = dead
            assert file.read() == body[3 * MIB :]
        (line,) = mounted.log.read_text().splitlines()
        assert "their storage cannot be used from here" in line


def test_a_storage_that_falls_silent(tmp_path: Path) -> None:
    """Between two parts: Comet itself sends the rest."""
    body = content(40 * MIB)
    with faulty(tmp_path, body) as (path, faults, _):
        faults.layers.append(Storage())
        with path.open("rb") as file:
            assert file.read(3 * MIB) == body[: 3 * MIB]
            faults.stall(STORED)
            assert file.read() == body[3 * MIB :]


def test_a_comet_that_dies(tmp_path: Path) -> None:
    """The storage sends the rest by the link that it has given."""
    body = content(40 * MIB)
    with faulty(tmp_path, body) as (path, faults, _):
        faults.layers.append(Storage())
        with path.open("rb") as file:
            assert file.read(3 * MIB) == body[: 3 * MIB]
            faults.answers["/api/rest/"] = Answer(503)
            assert file.read() == body[3 * MIB :]
        assert asked(faults, GET) == 1


PAGE = b"<html><head><title>Sign in</title></head></html>"

MIDDLE = {
    "other bytes": (Answer(206, b"x" * MIB, headers=(("Content-Range", "bytes 0-1048575/41943040"),)), "EPROTO"),
    "bytes of no file": (Answer(206, b"x" * MIB, headers=(("Content-Range", "bytes 9-8/7"),)), "EPROTO"),
    "no Content-Range": (Answer(206, b"x" * MIB), "EPROTO"),
    "multipart": (Answer(206, b"x" * MIB, "multipart/byteranges; boundary=x"), "EPROTO"),
    "login page": (Answer(200, PAGE, "text/html"), "EPROTO"),
    "login page, chunked": (Answer(200, PAGE, "text/html", framing="chunked"), "EPROTO"),
    "login page as long as the file": (Answer(200, PAGE.ljust(40 * MIB), "text/html"), "EPROTO"),
    "another version": (Answer(200, b"x" * (40 * MIB), headers=(("ETag", '"other"'),)), "ESTALE"),
    "precondition failed": (Answer(412, b""), "ESTALE"),
    "range not satisfiable": (Answer(416, b""), "ESTALE"),
}


@OPTIONS
def test_wrong_answers_in_the_middle(tmp_path: Path, assets: str) -> None:
    """An errno that says it, no byte of them, and the right ones afterwards."""
    body = content(40 * MIB)
    with faulty(tmp_path, body) as (path, faults, _):
        if assets == "redirect":
            faults.layers.append(Storage())
        where = STORED if assets == "redirect" else GET
        for case, (answer, name) in MIDDLE.items():
            subprocess.run([*COMETFS, "refresh", path], check=True)
            with path.open("rb", buffering=0) as file:
                assert file.read(4096) == body[:4096]
                faults.answers[where] = answer
                with pytest.raises(OSError) as caught:  # noqa: PT011  # the errno is looked at
                    os.pread(file.fileno(), 4096, 33 * MIB)
                assert errno.errorcode[caught.value.errno or 0] == name, case
                faults.answers.clear()
            assert same(path, body), case


LISTED = {"none": 0, "smaller": 9 * MIB, "greater": 40 * MIB}


@OPTIONS
@pytest.mark.parametrize("listed", LISTED)
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_size_that_the_listing_has_wrong(tmp_path: Path, listed: str, assets: str, framing: Any) -> None:
    """Is right before the first read returns; where only the end shows it, the reader that comes there gets ESTALE."""
    body = content(24 * MIB + 5)

    def edit(found: Any, _query: dict[str, str]) -> Any:
        rows = [row | {"fileSize": LISTED[listed]} for row in found["assets"]]
        return found | {"assets": rows}

    def unmarked(_request: Request, answer: Answer) -> Answer:
        return replace(answer, status=200, headers=(), framing="chunked")

    with faulty(tmp_path, body, assets="stream-no-range" if framing == "chunked" else "stream") as (path, faults, _):
        faults.edits["experiment/asset/list"] = edit
        if assets == "redirect":
            faults.layers.append(Storage())
        if framing == "chunked":
            faults.layers.append(in_parts(unmarked))
        for _ in range(2):
            with path.open("rb") as file:
                try:
                    found = file.read()
                except OSError as error:
                    assert (error.errno, framing) == (errno.ESTALE, "chunked")  # noqa: PT017  # the other one is no error
                    continue
                assert os.fstat(file.fileno()).st_size == len(body)
                assert found == body
        assert same(path, body)
        assert path.stat().st_size == len(body)


def test_a_body_without_a_length_opens_before_it_has_come(tmp_path: Path) -> None:
    """Chunked, from a server without ranges: what has come can be read while the rest is held."""
    body = content(30 * MIB)

    def held(_request: Request, answer: Answer) -> Answer:
        return replace(answer, framing="chunked", held_after=6 * MIB)

    with faulty(tmp_path, body, assets="stream-no-range") as (path, faults, _):
        faults.layers.append(in_parts(held))
        with path.open("rb", buffering=0) as file:
            assert file.read(MIB) == body[:MIB]
            assert os.fstat(file.fileno()).st_size == len(body)
            assert (path.parent.parent / "params.json").read_bytes() == b"{}\n"
            assert [found.name for found in path.parent.iterdir()] == [path.name]
            faults.release()
            assert os.pread(file.fileno(), 100, 29 * MIB) == body[29 * MIB :][:100]
        assert same(path, body)


def test_a_cut_body_without_a_length(tmp_path: Path) -> None:
    """The end of a connection is not that of the file: an error, and the whole file when the server is well again."""
    body = content(30 * MIB)

    def cut(_request: Request, answer: Answer) -> Answer:
        return replace(answer, body=answer.body[: 16 * MIB], framing="close")

    with faulty(tmp_path, body, assets="stream-no-range") as (path, faults, _):
        faults.layers.append(in_parts(cut))
        with path.open("rb", buffering=0) as file:
            assert file.read(MIB) == body[:MIB]
            with pytest.raises(OSError, match="Network is unreachable"):
                os.pread(file.fileno(), 100, 20 * MIB)
        faults.layers.clear()
        assert same(path, body)


def test_silence_ends_a_read_and_nothing_else(tmp_path: Path) -> None:
    """A part that stops coming is ETIMEDOUT for its reader; the same file can be read when it goes on. The kernel asks
    twice for one read, and waits once."""
    body = content(30 * MIB)

    def held(_request: Request, answer: Answer) -> Answer:
        return replace(answer, held_after=1000)  # less than tries in time could make whole

    with faulty(tmp_path, body, "--deadline", "3") as (path, faults, mounted):
        with path.open("rb", buffering=0) as file:
            assert file.read(4096) == body[:4096]
            faults.layers.append(in_parts(held))
            with pytest.raises(OSError, match="Connection timed out"):
                os.pread(file.fileno(), 100, 25 * MIB)
            assert mounted.log.read_text().count("read: No byte arrived") == 1
            faults.layers.clear()
            faults.release()
            assert os.pread(file.fileno(), 100, 25 * MIB) == body[25 * MIB :][:100]
        assert same(path, body)


@OPTIONS
def test_gzip_that_is_the_file_itself(tmp_path: Path, assets: str) -> None:
    """A storage may call a .csv.gz encoded: the file is what it sends, of the size that the listing says."""
    body = gzip.compress(random.Random(1).randbytes(12 * MIB))

    def marked(_request: Request, answer: Answer) -> Answer:
        return replace(answer, headers=(*answer.headers, ("Content-Encoding", "gzip")))

    with faulty(tmp_path, body, name="a.csv.gz") as (path, faults, _):
        faults.layers += [Storage()] if assets == "redirect" else []
        faults.layers.append(in_parts(marked))
        with path.open("rb", buffering=0) as file:
            assert os.pread(file.fileno(), 100, 10 * MIB) == body[10 * MIB :][:100]
        assert same(path, body)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_gzip_that_a_proxy_made(tmp_path: Path, framing: Any) -> None:
    """Is undone: the file is what was compressed."""
    body = content(12 * MIB)

    def compressed(_request: Request, answer: Answer) -> Answer:
        return Answer(200, gzip.compress(body, 1), framing=framing, headers=(("Content-Encoding", "gzip"),))

    with faulty(tmp_path, body) as (path, faults, _):
        faults.layers.append(in_parts(compressed))
        assert same(path, body)


def test_a_small_gzip_that_is_the_file_itself(tmp_path: Path) -> None:
    body = gzip.compress(random.Random(1).randbytes(MIB))

    def marked(_request: Request, answer: Answer) -> Answer:
        return replace(answer, headers=(*answer.headers, ("Content-Encoding", "gzip")))

    with faulty(tmp_path, body, name="a.csv.gz") as (path, faults, mounted):
        faults.layers.append(in_parts(marked))
        assert same(path, body)
        assert mounted.log.read_text() == ""


# -- the cache ---------------------------------------------------------------------------------------------------------


def usage(folder: Path) -> int:
    """Bytes that `du` finds there."""
    return int(subprocess.run(["du", "-s", "-B1", folder], capture_output=True, check=True).stdout.split()[0])


def test_a_full_disk(tmp_path: Path) -> None:
    """Reads go on without the cache, with a single warning."""
    body = content(60 * MIB)
    cache = tmp_path / "small"
    cache.mkdir()
    mounting = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", cache], check=False)
    if mounting.returncode:
        pytest.skip("no file system of any size can be mounted here")
    try:
        with faulty(tmp_path, body, "--cache-dir", str(cache)) as (path, faults, mounted):
            faults.layers.append(Storage())
            assert same(path, body)
            # What is not the cache's fills the rest: nothing can be evicted for a block.
            filling = cache / "filling"
            subprocess.run(["dd", "if=/dev/zero", f"of={filling}", "bs=1M"], check=False, capture_output=True)
            for _ in range(2):
                subprocess.run([*COMETFS, "refresh", path], check=True)
                before = asked(faults, STORED)
                assert same(path, body)
                print("parts", asked(faults, STORED) - before)
            warned = [line for line in mounted.log.read_text().splitlines() if "no room" in line]
            assert len(warned) <= 1
    finally:
        subprocess.run(["umount", "-l", cache], check=True)


def test_a_killed_daemon_keeps_what_has_come(tmp_path: Path) -> None:
    """After SIGKILL in the middle of a file, the next mount asks for the rest."""
    body = content(60 * MIB)
    with big(tmp_path, {"a.bin": body}, "--assets", "redirect") as (comet, _):
        with running_mount(tmp_path, comet) as mounted:
            reading = ["head", "-c", str(40 * MIB), str(mounted / PLACE / "assets/a.bin")]
            assert subprocess.run(reading, capture_output=True, check=True).stdout == body[: 40 * MIB]
            mounted.stop(signal.SIGKILL)
        with running_mount(tmp_path, comet) as mounted:
            assert same(mounted / PLACE / "assets/a.bin", body)
        assert sum(one["bytes"] for one in downloads(comet)) <= len(body) + 12 * MIB


def test_two_mounts_share_blocks(tmp_path: Path) -> None:
    """Two mounts with one cache read the same file at once, and right; a third one asks for nothing of it."""
    body = content(30 * MIB)
    cache = str(tmp_path / "cache")
    with big(tmp_path, {"a.bin": body}, "--assets", "redirect") as (comet, run):
        folders = [tmp_path / "1", tmp_path / "2"]
        for folder in folders:
            folder.mkdir()
        with (
            running_mount(folders[0], comet, "--cache-dir", cache) as first,
            running_mount(folders[1], comet, "--cache-dir", cache) as second,
        ):
            paths = [mounted / PLACE / "assets/a.bin" for mounted in (first, second)]
            readers = [subprocess.Popen(["cmp", path, run / "asset0"]) for path in paths]
            assert [reader.wait(PATIENCE) for reader in readers] == [0, 0]
        fetched = sum(one["bytes"] for one in downloads(comet))
        assert fetched <= 2 * len(body)
        with running_mount(tmp_path, comet, "--cache-dir", cache) as third:
            assert same(third / PLACE / "assets/a.bin", body)
        assert sum(one["bytes"] for one in downloads(comet)) == fetched


def test_the_cache_is_dropped_while_a_file_is_open(tmp_path: Path) -> None:
    """`touch` and `cometfs refresh` cost its reader no byte."""
    body = content(40 * MIB)
    with faulty(tmp_path, body) as (path, faults, _):
        faults.layers.append(Storage())
        with path.open("rb", buffering=0) as file:
            for number, command in enumerate((["touch", str(path)], [*COMETFS, "refresh", str(path)])):
                place = (5 + 12 * number) * MIB
                assert os.pread(file.fileno(), MIB, place) == body[place:][:MIB]
                subprocess.run(command, check=True)
                assert os.pread(file.fileno(), MIB, place + 2 * MIB) == body[place + 2 * MIB :][:MIB]
        assert same(path, body)


# -- readers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("assets", ["stream", "redirect", "stream-no-range"])
def test_a_killed_reader_leaves_no_download(tmp_path: Path, assets: str) -> None:
    """What was on its way is given up: its connection ends long before the file does."""
    with (
        big(tmp_path, {"a.bin": 8 << 30, "b.bin": content(9 * MIB)}, "--assets", assets) as (comet, _),
        running_mount(tmp_path, comet) as mounted,
        subprocess.Popen(["cat", mounted / PLACE / "assets/a.bin"], stdout=subprocess.PIPE) as reader,
    ):
        assert reader.stdout is not None
        assert len(reader.stdout.read(20 * MIB)) == 20 * MIB
        reader.send_signal(signal.SIGKILL)
        reader.wait(PATIENCE)
        await_that(lambda: not connections(mounted.process.pid), "a download goes on")
        assert (mounted / PLACE / "assets/b.bin").read_bytes() == content(9 * MIB)
        assert sum(one["bytes"] for one in downloads(comet)) < 300 * MIB


def connections(pid: int) -> list[str]:
    """Connections of a process on which bytes wait to be read."""
    found = subprocess.run(["ss", "-tnpH"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in found if f"pid={pid}," in line and line.split()[1] != "0"]


@pytest.mark.parametrize("assets", ["stream", "redirect", "stream-no-range"])
def test_readers_that_do_not_read_on_block_no_other(tmp_path: Path, assets: str) -> None:
    """30 files are open in the middle of their downloads; another one is read, and costs no more than itself."""
    bodies: dict[str, bytes | int] = {f"{number}.bin": 1 << 30 for number in range(30)}
    rest: dict[str, bytes | int] = {"big.bin": content(20 * MIB), "small.bin": content(1000)}
    with (
        big(tmp_path, bodies | rest, "--assets", assets) as (comet, _),
        running_mount(tmp_path, comet) as mounted,
        ExitStack() as stack,
    ):
        folder = mounted / PLACE / "assets"
        for name in bodies:
            file = stack.enter_context((folder / name).open("rb", buffering=0))
            assert file.read(4096) == bytes(4096)
        for name, body in rest.items():
            assert (folder / name).read_bytes() == body
        assert "Busy" not in mounted.log.read_text()


def test_memory_is_bounded(tmp_path: Path) -> None:
    """64 programs read 64 files of 1 GiB at once: the daemon stays under 512 MB."""
    with (
        big(tmp_path, {f"{number}.bin": 1 << 30 for number in range(64)}, "--assets", "redirect") as (comet, _),
        running_mount(tmp_path, comet) as mounted,
    ):
        folder = mounted / PLACE / "assets"
        command = 'for file in "$1"/*; do head -c 6M "$file" | tail -c 1 >/dev/null & done; wait'
        subprocess.run(["bash", "-c", command, "-", folder], check=True)
        status = Path(f"/proc/{mounted.process.pid}/status").read_text()
        (peak,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
        assert peak < 512_000
