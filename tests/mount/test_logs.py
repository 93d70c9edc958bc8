"""Where the log of a real mount goes, how its lines look, and that its level changes while it runs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mount.test_faults import FOREST
from tests.support.faulty_comet import Answer, Faults, faulty_comet
from tests.support.processes import COMETFS, PATIENCE, Comet, Mounted, running_mount
from tests.support.subprocesses import Said, Stage, await_that

KEY = "sekret-4712-of-the-key"


@pytest.fixture
def faulty(comet: Comet) -> Iterator[tuple[Comet, Faults]]:
    with faulty_comet(comet) as found:
        yield found


def lines(mounted: Mounted) -> list[dict[str, Any]]:
    """Every line of a log of JSON."""
    return [json.loads(line) for line in mounted.log.read_text().splitlines()]


def test_a_line_of_json_says_what_failed_for_which_program(tmp_path: Path, faulty: tuple[Comet, Faults]) -> None:
    """And what Comet was asked. The warning of the start is one, too; all lines are."""
    behind, faults = faulty
    key = tmp_path / "key"
    key.write_text(KEY)
    key.chmod(0o644)
    with running_mount(tmp_path, behind, "--log-format", "json", "--api-key-file", str(key)) as mounted:
        faults.answers["experiment/output"] = Answer(503, b'{"msg": "busy"}')
        with subprocess.Popen(["cat", str(mounted / FOREST / "output.txt")], stderr=subprocess.DEVNULL) as cat:
            assert cat.wait() == 1
        opened, failed = lines(mounted)
        assert opened["level"] == "warning"
        assert "is open to others" in opened["message"]
        assert failed.pop("time")
        assert "busy" in failed.pop("message")
        assert failed == {
            "level": "warning",
            "logger": "cometfs.fuse.requests",
            "path": f"{FOREST}/output.txt",
            "pid": cat.pid,
            "program": "cat",
            "request": "open",
            "errno": "EREMOTEIO",
            "endpoint": "experiment/output",
        }
        assert KEY not in mounted.log.read_text()


def log_level(mounted: Mounted, *level: str) -> subprocess.CompletedProcess[str]:
    command = [*COMETFS, "log-level", str(mounted.path), *level]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_the_level_changes_while_the_mount_runs(tmp_path: Path, comet: Comet) -> None:
    """A line for each call from then on, without the key; and none any more. Nothing lists the attribute."""
    options = ("--log-format", "json")
    with running_mount(tmp_path, comet, *options, COMET_API_KEY=KEY) as mounted:
        assert log_level(mounted).stdout == "warning\n"
        (mounted / FOREST / "params.json").read_bytes()
        assert lines(mounted) == []
        assert log_level(mounted, "debug").stdout == "debug\n"
        with comet.asked() as asked:
            (mounted / FOREST / "output.txt").read_bytes()
        calls = [line for line in lines(mounted) if "endpoint" in line]
        assert [line["endpoint"] for line in calls] == asked == ["experiment/output"]
        assert (calls[0]["level"], calls[0]["status"]) == ("debug", "200")
        assert calls[0]["seconds"] >= 0
        assert log_level(mounted, "error").stdout == "error\n"
        before = mounted.log.read_text()
        (mounted / FOREST / "code.py").read_bytes()
        assert mounted.log.read_text() == before
        assert KEY not in before
        assert "user.cometfs.log_level" not in os.listxattr(mounted.path)


def test_no_other_level_and_no_other_file_takes_one(tmp_path: Path, comet: Comet) -> None:
    """Each is refused in words, and changes nothing; so it is with `--rw`."""
    for option in ((), ("--rw",)):
        with running_mount(tmp_path, comet, *option) as mounted:
            for place, value in ((mounted.path, b"loud"), (mounted / "vision-lab", b"debug")):
                with pytest.raises(OSError, match=r"Invalid argument|Read-only file system"):
                    os.setxattr(place, "user.cometfs.log_level", value)
            assert log_level(mounted).stdout == "warning\n"
    said = log_level(mounted, "debug")
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.startswith("cometfs: ")


def test_what_systemd_starts_writes_to_the_journal(stage: Stage, comet: Comet) -> None:
    """The daemon too, which has no file then: stderr is a socket that JOURNAL_STREAM names."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, its:
        found = os.fstat(its.fileno())
        environ = {**stage.environ, "COMET_API_KEY": KEY, "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        command = [*COMETFS, "mount", "mnt", "--url", comet.url, "--log-level", "debug"]
        subprocess.run(command, env=environ, cwd=stage.home, stderr=its.fileno(), timeout=PATIENCE, check=True)
        its.close()
        assert stage.run("umount", "mnt") == Said(0, "", "")
        stage.await_no_process()
        came = b"".join(iter(lambda: ours.recv(1 << 16), b"")).decode()
    written = came.splitlines()
    assert "<7>DEBUG cometfs.comet.calls: workspaces: 200" in came
    assert all(line.startswith("<") for line in written)
    assert KEY not in came
    assert list(stage.home.rglob("*.log")) == []


def test_another_program_of_systemds_journal_logs_to_its_file(stage: Stage, comet: Comet) -> None:
    """A shell on a terminal has inherited the variable: its stderr is elsewhere."""
    assert stage.run("mount", "mnt", "--url", comet.url, COMET_API_KEY=KEY, JOURNAL_STREAM="8:1") == Said(0, "", "")
    assert stage.run("umount", "mnt") == Said(0, "", "")
    stage.await_no_process()
    await_that(lambda: len(list(stage.home.rglob("*.log"))) == 1, "no log")
