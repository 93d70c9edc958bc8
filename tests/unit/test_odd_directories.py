"""What others may have put into the directory of a server: no file keeps it waiting, fills its memory, or ends it."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cometfs.server.catalog.catalog import Catalog, open_directory
from cometfs.server.runs import content, lines, zip_reader
from cometfs.server.storage.journal import Journal
from cometfs.server.storage.kv_store import KvStore
from cometfs.server.storage.lock import lock
from cometfs.server.storage.optimizer_store import OptimizerStore
from tests.unit.test_archives import KEY, metric, only, write_archive

OTHER = "f" * 32


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        os.chdir(path.parent)  # such an address is short
        sock.bind(path.name)


ODD: dict[str, Callable[[Path], Any]] = {
    "fifo": os.mkfifo,
    "device": device,
    "loop": lambda path: path.symlink_to(path.name),
    "dangling link": lambda path: path.symlink_to("nothing"),
    "folder": lambda path: path.mkdir(),
    "socket": listening,
}

PLACES = (
    "x.zip",
    f"{OTHER}/messages.json",
    f"{OTHER}/experiment.json",
    f"{KEY}-2/experiment.json",
    "projects.json",
    "store.json",
    "artifacts",
    "artifacts/w",
    "artifacts/w/a",
    "artifacts/w/a/artifact.json",
    "artifacts/w/a/1.0.0.jsonl",
    "artifacts/w/a/1.0.0/file",
    "optimizers",
    f"optimizers/{KEY}.jsonl",
    ".arriving-x",
    ".cometfs-serve",
    ".deleted",
)


def served(directory: Path) -> Catalog:
    """As a server does it that is to keep what is logged."""
    locked = lock(directory)
    try:
        index = open_directory(directory)
        Journal(index, locked)
        KvStore(directory)
        OptimizerStore(directory).find(KEY)
        return index
    finally:
        locked.close()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_file_is_left_out(
    kind: str, place: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever one is looked for: the start does not wait for it, and the others are served."""
    monkeypatch.chdir(tmp_path)
    write_archive(tmp_path, [metric("a", 1)])
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    ODD[kind](path)
    try:
        index = served(tmp_path)
    except OSError:
        assert place == ".cometfs-serve"  # then it is read alone
        index = open_directory(tmp_path)
    assert KEY in index.experiments
    caplog.clear()  # what is left out is said, or is nothing


def test_what_may_not_be_read_is_left_out(tmp_path: Path) -> None:
    """By a user for whom folders cannot be opened, or be looked into."""
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    place = tmp_path / "runs"
    write_archive(place, [metric("a", 1)])
    for mode in (0o000, 0o444, 0o111):
        for name in (f"{OTHER}-{mode}", f"artifacts/w{mode}", f"artifacts/w/a{mode}", f"artifacts/w/a/{mode}"):
            (place / name / "deep").mkdir(parents=True)
            (place / name / "experiment.json").write_text("{}")
            (place / name).chmod(mode)
    (place / "secret.zip").write_bytes(b"")
    (place / "secret.zip").chmod(0)
    for folder in (place, *place.parents):
        folder.chmod(folder.stat().st_mode | 0o555)
    code = (
        "import os; os.setgroups([]); os.setgid(12345); os.setuid(12345);"
        "import sys; from pathlib import Path; from cometfs.server.catalog.catalog import open_directory;"
        "print(*open_directory(Path(sys.argv[1])).experiments)"
    )
    done = subprocess.run([sys.executable, "-c", preload(code), place], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [KEY]
    assert "secret.zip: skipped" in done.stderr


def preload(code: str) -> str:
    """Python may lie in root's home: what is imported is, before this process becomes another user."""
    return f"import cometfs.server.catalog.catalog, encodings.cp437; {code}"


# -- archives that hold more than they seem to ------------------------------------------------------------------------


def packed(directory: Path, write: Callable[[zipfile.ZipFile], None], name: str = KEY) -> Path:
    path = directory / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("experiment.json", json.dumps({"offline_id": name, "start_time": 1, "stop_time": 2}))
        write(archive)
    return path


def filled(piece: bytes, count: int, last: bytes = b"") -> Callable[[zipfile.ZipFile], None]:
    def write(archive: zipfile.ZipFile) -> None:
        with archive.open("messages.json", "w", force_zip64=True) as member:
            for _ in range(count):
                member.write(piece)
            member.write(last)

    return write


LOG = (metric("a", 1) + "\n").encode() + json.dumps({"type": "ignored", "payload": {"x": "x" * (1 << 20)}}).encode()


def limited(directory: Path, memory: int) -> subprocess.CompletedProcess[str]:
    """Opens a directory and reads a metric, in a process that has so many bytes of memory."""
    code = (
        "import sys; from pathlib import Path; from cometfs.server.runs import content;"
        "from cometfs.server.catalog.catalog import open_directory;"
        "index = open_directory(Path(sys.argv[1]));"
        "print(*(len(content.points(one.record, 'a')) for one in index.experiments.values()))"
    )
    return subprocess.run(
        [sys.executable, "-c", code, directory],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (memory, memory)),
    )


def test_a_compressed_log_is_not_taken_into_memory(tmp_path: Path) -> None:
    """Its points are found, the last one too, in a process that has less memory than that."""
    packed(tmp_path, filled(LOG + b"\n", 200))
    done = limited(tmp_path, 180 << 20)
    assert done.stdout.split() == ["200"], done.stderr[-2000:]


BOMBS: dict[str, tuple[Callable[[zipfile.ZipFile], None], str]] = {
    "one line": (filled(bytes(1 << 20), 600, b"\n" + LOG), "line 1 skipped"),
    "a heading": (lambda archive: archive.writestr("experiment.json", bytes(300 << 20)), "more than"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_itself(name: str, tmp_path: Path) -> None:
    """It is read as far as it goes, or left out; the other archive is served."""
    write, said = BOMBS[name]
    packed(tmp_path, write)
    write_archive(tmp_path, [metric("a", 1)], name="other", offline_id=OTHER)
    done = limited(tmp_path, 600 << 20)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "1" in done.stdout.split()
    assert said in done.stderr


def test_a_zip_of_very_many_members_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its table is not read: it would take ten times its length in memory."""

    def many(archive: zipfile.ZipFile) -> None:
        for number in range(1000):
            archive.writestr(f"{number}", b"")

    monkeypatch.setattr(zip_reader, "LONGEST_DIRECTORY", 10_000)
    path = packed(tmp_path, many)
    with pytest.raises(zip_reader.BrokenArchive, match="table"):
        zip_reader.open_archive(path)


@pytest.mark.logs("line 2 skipped")
def test_a_line_that_is_too_long_costs_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those behind it keep their numbers and places."""
    monkeypatch.setattr(lines, "LONGEST_LINE", 100)
    long = json.dumps({"type": "ignored", "payload": {"x": "x" * 1000}})
    write_archive(tmp_path, ["", long, json.dumps({"type": "graph", "payload": {"graph": "g"}})])
    record = only(open_directory(tmp_path)).record
    assert content.graph(record) == "g"
    assert record.line_count == 3


@pytest.mark.logs("ends behind line 100")
def test_very_many_lines_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes some bytes, and a megabyte of a zip may hold a milliard of empty ones."""
    monkeypatch.setattr(lines, "MOST_LINES", 100)
    write_archive(tmp_path, [metric("a", 1), *[""] * 200])
    record = only(open_directory(tmp_path)).record
    assert record.line_count == 100
    assert len(content.points(record, "a")) == 1


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "other bytes": lambda raw: raw.replace(b"\x78", b"\x79"),
    "another checksum": lambda raw: damaged(raw, b"PK\x01\x02", 16),
    "another method": lambda raw: damaged(damaged(raw, b"PK\x01\x02", 10), b"PK\x03\x04", 8),
    "encrypted": lambda raw: damaged(damaged(raw, b"PK\x01\x02", 8), b"PK\x03\x04", 6),
    "a length of its own": lambda raw: damaged(raw, b"PK\x01\x02", 26),
    "a place of its own": lambda raw: damaged(raw, b"PK\x01\x02", 45),
    "cut": lambda raw: raw[: len(raw) // 2],
}


def damaged(raw: bytes, magic: bytes, offset: int) -> bytes:
    """A byte of the last member's header changed."""
    at = raw.rindex(magic) + offset
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_compressed_zip_ends_no_start(how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever `zipfile` thinks of it; the other archive is served."""
    path = packed(tmp_path, filled((metric("a", 1) + "\n").encode(), 50_000))
    path.write_bytes(BROKEN[how](path.read_bytes()))
    write_archive(tmp_path, [metric("a", 1)], name="other", offline_id=OTHER)
    assert OTHER in open_directory(tmp_path).experiments
    caplog.clear()
