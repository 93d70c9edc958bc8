"""From the first moment of a mount to its last: ready when it says so, gone without a trace when it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import COMETFS, PATIENCE, Comet, Mounted, is_mounted, running_mount
from tests.support.subprocesses import Said, Stage, await_that, mounts_at

SECRET = "sekret-4711-of-the-key"


@pytest.fixture
def daemon(stage: Stage, comet: Comet) -> Path:
    """A mountpoint that a daemon serves."""
    path = stage.home / "mnt"
    said = stage.run("mount", path, "--url", comet.url, "--log-level", "debug", COMET_API_KEY=SECRET)
    assert said == Said(0, "", "")
    return path


# The daemon


def test_mount_returns_when_it_answers_and_prints_nothing(daemon: Path, stage: Stage) -> None:
    """One daemon, detached, under the mountpoint at once."""
    assert {path.name for path in daemon.iterdir()} >= {"tabular", "vision-lab"}
    assert mounts_at(daemon) == 1
    (process,) = stage.processes()
    assert os.getsid(process) != os.getsid(0)
    assert Path(f"/proc/{process}/cwd").resolve() != stage.home, "a daemon keeps no directory busy"


def test_mount_ends_though_its_output_is_a_pipe(stage: Stage, comet: Comet) -> None:
    """The daemon holds none of its parent's streams: who reads the command's output to its end is not kept waiting."""
    command = [*COMETFS, "mount", str(stage.home / "mnt"), "--url", comet.url]
    environ = {**stage.environ, "COMET_API_KEY": SECRET}
    ended = subprocess.run(command, env=environ, capture_output=True, timeout=PATIENCE, check=True)
    assert (ended.stdout, ended.stderr) == (b"", b"")
    assert stage.run("umount", stage.home / "mnt") == Said(0, "", "")
    stage.await_no_process()


def test_mountpoint_may_be_relative(stage: Stage, comet: Comet) -> None:
    """Taken from where the command runs, for mount and for umount."""
    assert stage.run("mount", "mnt", "--url", comet.url, COMET_API_KEY=SECRET) == Said(0, "", "")
    assert is_mounted(stage.home / "mnt")
    assert stage.run("umount", "./mnt/") == Said(0, "", "")
    assert not is_mounted(stage.home / "mnt")
    stage.await_no_process()


def test_umount_unmounts_and_the_daemon_ends(daemon: Path, stage: Stage) -> None:
    """Nothing printed, status 0, mountpoint empty and still there."""
    assert stage.run("umount", daemon) == Said(0, "", "")
    assert mounts_at(daemon) == 0
    assert list(daemon.iterdir()) == []
    stage.await_no_process()


def test_daemon_ends_when_fusermount3_unmounts_it(daemon: Path, stage: Stage) -> None:
    """Unmounted by somebody else's hand."""
    subprocess.run(["fusermount3", "-u", str(daemon)], check=True)
    stage.await_no_process()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_daemon_ends_on_a_signal_and_unmounts(number: signal.Signals, daemon: Path, stage: Stage) -> None:
    """Nothing stays mounted, no process stays."""
    (process,) = stage.processes()
    os.kill(process, number)
    stage.await_no_process()
    assert mounts_at(daemon) == 0


def test_key_shows_in_no_command_line_and_no_log(daemon: Path, stage: Stage) -> None:
    """Neither in ps nor in what was printed or written at log level debug."""
    (process,) = stage.processes()
    assert (daemon / "tabular/wine-cultivars/forest-200/params.json").read_bytes()
    assert SECRET.encode() not in Path(f"/proc/{process}/cmdline").read_bytes()
    assert str(daemon).encode() in Path(f"/proc/{process}/cmdline").read_bytes()
    logs = [path for path in stage.home.rglob("*") if path.is_file() and daemon not in path.parents]
    assert [path for path in logs if SECRET.encode() in path.read_bytes()] == []
    assert SECRET not in Path("/proc/self/mountinfo").read_text()


def test_key_shows_in_no_debug_log_of_the_foreground(tmp_path: Path, comet: Comet) -> None:
    """At the lowest level there is a log, and the key is not in it."""
    with running_mount(tmp_path, comet, "--log-level", "debug", COMET_API_KEY=SECRET) as mounted:
        assert (mounted / "tabular/wine-cultivars/forest-200/params.json").read_bytes()
        assert b"forest" in (mounted / "tabular/wine-cultivars/forest-200/metadata.json").read_bytes()
    assert mounted.log.read_text()
    assert SECRET not in mounted.log.read_text()


# The foreground


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_foreground_ends_with_status_zero_on_a_signal(number: signal.Signals, cold: Mounted) -> None:
    """Silently, and unmounted."""
    assert (cold / "tabular").is_dir()
    assert cold.stop(number) == 0
    assert not is_mounted(cold.path)


def test_foreground_ends_with_status_zero_when_unmounted_from_outside(cold: Mounted) -> None:
    """By fusermount3 -u."""
    subprocess.run(["fusermount3", "-u", str(cold.path)], check=True)
    assert cold.process.wait(PATIENCE) == 0


@pytest.fixture
def load(cold: Mounted) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Readers of the whole tree, for ever, one of them with a file open; all have begun."""
    held = f"exec 3< '{cold.path}/tabular/wine-cultivars/forest-200/code.py'; "
    loop = f"while :; do find '{cold.path}' -type f -exec cat {{}} + >/dev/null 2>&1; echo; done"
    readers = [
        subprocess.Popen(["sh", "-c", before + loop], stdout=subprocess.PIPE, start_new_session=True)
        for before in ("", "", "", held)
    ]
    try:
        for reader in readers:
            assert reader.stdout is not None
            assert reader.stdout.read(1) == b"\n"
        yield readers
    finally:
        for reader in readers:
            os.killpg(reader.pid, signal.SIGKILL)
            reader.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_mount_under_load_ends_with_status_zero(
    number: signal.Signals, cold: Mounted, load: list[subprocess.Popen[bytes]]
) -> None:
    """Readers at work and an open file are no obstacle; nothing stays mounted."""
    assert cold.stop(number) == 0
    assert not is_mounted(cold.path)


def test_umount_under_load_unmounts(cold: Mounted, load: list[subprocess.Popen[bytes]], stage: Stage) -> None:
    """Status 0, and a line that names the readers; the process ends, with status 0 too, though a file is open."""
    said = stage.run("umount", cold.path)
    assert (said.status, said.output) == (0, "")
    assert f"cometfs: {cold.path} is unmounted, but still in use by " in said.complaint
    await_that(lambda: not is_mounted(cold.path), "still mounted")
    for reader in load:
        os.killpg(reader.pid, signal.SIGKILL)
    assert cold.process.wait(PATIENCE) == 0


# Service managers


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_service_manager_is_told_of_readiness_and_of_the_end(abstract: bool, stage: Stage, comet: Comet) -> None:
    """READY=1 once the mount answers, the calls left, STOPPING=1 before it ends, on a socket of either kind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        address = f"\0cometfs-test-{os.getpid()}" if abstract else str(stage.home / "socket")
        manager.bind(address)
        manager.settimeout(PATIENCE)
        environ = {**stage.environ, "COMET_API_KEY": SECRET, "NOTIFY_SOCKET": address.replace("\0", "@")}
        command = [*COMETFS, "mount", "--foreground", str(stage.home / "mnt"), "--url", comet.url]
        with subprocess.Popen(command, env=environ) as process:
            assert "READY=1" in _told(manager, "READY=1")
            line = rf"STATUS={re.escape(comet.url)}: online; 1[45],\d{{3}} calls left of 15,000 an hour"
            assert re.fullmatch(line, manager.recv(4096).decode())
            assert {path.name for path in (stage.home / "mnt").iterdir()} >= {"tabular", "vision-lab"}
            process.terminate()
            assert "READY=1" not in _told(manager, "STOPPING=1")
            assert process.wait(PATIENCE) == 0
    assert not is_mounted(stage.home / "mnt")


def _told(manager: socket.socket, last: str) -> list[str]:
    """The lines of all messages up to one that has `last`."""
    lines: list[str] = []
    while last not in lines:
        lines += manager.recv(4096).decode().splitlines()
    return lines


def test_service_manager_that_is_gone_is_no_obstacle(stage: Stage, comet: Comet) -> None:
    """A socket that nobody listens on: the mount works all the same."""
    path = stage.home / "mnt"
    environ = {"COMET_API_KEY": SECRET, "NOTIFY_SOCKET": str(stage.home / "nobody")}
    assert stage.run("mount", path, "--url", comet.url, **environ) == Said(0, "", "")
    assert stage.run("umount", path) == Said(0, "", "")
    stage.await_no_process()


def test_help_of_every_command_says_what_it_is_for(stage: Stage) -> None:
    """Status 0 and the options that the issue promises."""
    assert sys.executable in COMETFS
    for command, words in {
        "mount": ("MOUNTPOINT", "--url", "--api-key-file", "--workspace", "--foreground", "--log-level"),
        "umount": ("MOUNTPOINT",),
        "demo": ("MOUNTPOINT",),
        "serve": ("--bind", "--api-key", "--latency", "--access-log", "--replicate"),
    }.items():
        said = stage.run(command, "--help")
        assert (said.status, said.complaint) == (0, "")
        assert [word for word in words if word not in said.output] == []


def test_help_cuts_no_summary(stage: Stage) -> None:
    """Every command's first sentence is whole, however narrow the terminal."""
    for group in ((), ("cache",)):
        said = stage.run(*group, "--help", COLUMNS="60")
        assert "..." not in said.output.replace("COMMAND [ARGS]...", "")
        assert said.output.count(".\n") >= 3


def test_help_of_mount_names_every_place_of_the_key(stage: Stage) -> None:
    """In the order in which they are asked (comet/settings.py)."""
    said = " ".join(stage.run("mount", "--help").output.split())
    places = ["--api-key-file", "COMET_API_KEY", "./.env", "COMET_CONFIG", "./.comet.config", "~/.comet.config"]
    assert re.search(".*".join(map(re.escape, places)), said)
