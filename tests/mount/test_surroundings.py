"""Machines that lack what one takes for granted: a home, standard streams, privileges. It works, or one sentence says
what to set.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cometfs.folders import log_name
from cometfs.telemetry.bounded_log import FULL
from tests.support.faulty_comet import Answer, faulty_comet
from tests.support.other_users import Stranger, needs_root, stranger_on
from tests.support.processes import COMETFS, PATIENCE, Comet, is_mounted, running_comet
from tests.support.spawning import inside
from tests.support.subprocesses import Said, Stage, await_that, clean_up


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    found = Stage(tmp_path)
    (tmp_path / "mnt").mkdir()
    tmp_path.chmod(0o755)
    yield found
    clean_up(found, tmp_path / "mnt")


@pytest.fixture(params=[None, "/proc"], ids=["unset", "unwritable"])
def stranger(request: pytest.FixtureRequest, stage: Stage) -> Iterator[Stranger]:
    """With a HOME that is none."""
    yield from stranger_on(stage, request.param)


@pytest.fixture
def homeless(stage: Stage) -> Iterator[Stranger]:
    """Without HOME."""
    yield from stranger_on(stage, None)


def assert_one_sentence(said: Said, *words: str) -> None:
    """On stderr, with all the words, and status 1."""
    assert said.status == 1, said
    (line,) = said.complaint.splitlines()
    assert line.startswith("cometfs: ")
    assert [word for word in words if word not in line] == [], line


# No home


@needs_root
def test_daemon_needs_no_home_with_a_cache_directory(stranger: Stranger, comet: Comet) -> None:
    """It mounts, logs beside the cache, and is found again; no directory called `~` appears."""
    said = stranger.run(
        f"cometfs mount m --url {comet.url} --cache-dir c && ls m && cometfs status m && cometfs umount m"
    )
    assert (said.status, said.complaint) == (0, "")
    assert {"tabular", "vision-lab"} <= set(said.output.split())
    assert sorted(path.name for path in stranger.place.iterdir()) == ["c", "m"]
    assert [path.name[:24] for path in (stranger.place / "c/log").iterdir()], "no log"
    stranger.stage.await_no_process()


@needs_root
def test_foreground_needs_no_home(stranger: Stranger, comet: Comet) -> None:
    """It keeps what it fetches as long as it runs, and says so."""
    said = stranger.run(
        f"cometfs mount --foreground m --url {comet.url} & pid=$!\n"
        'until grep -q " $PWD/m " /proc/self/mountinfo; do kill -0 $pid || exit 9; sleep 0.1; done\n'
        "ls m && cometfs umount m && wait $pid"
    )
    assert said.status == 0, said
    assert {"tabular", "vision-lab"} <= set(said.output.split())
    (warning,) = said.complaint.splitlines()
    assert "nothing that is fetched outlives this mount" in warning
    assert "--cache-dir" in warning
    assert [path.name for path in stranger.place.iterdir()] == ["m"]


@needs_root
@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("mount m --url http://127.0.0.1:9", ("HOME", "--cache-dir", "--foreground")),
        ("cache info", ("HOME", "--cache-dir")),
        ("cache clear", ("HOME", "--cache-dir")),
        ("cache verify", ("HOME", "--cache-dir")),
        ("demo", ("HOME", "~/comet-demo")),
        ("umount '~/m'", ("HOME", "~/m")),
        ("mount m --foreground --api-key-file '~/key' --url http://127.0.0.1:9", ("HOME", "~/key")),
    ],
)
def test_command_that_needs_a_home_says_what_to_set(command: str, words: tuple[str, ...], homeless: Stranger) -> None:
    """HOME is not set, and the user has no passwd entry."""
    said = homeless.run(f"cometfs {command}")
    assert_one_sentence(said, *words)
    assert [path.name for path in homeless.place.iterdir()] == ["m"]


@needs_root
@pytest.mark.parametrize("command", ["mount m --url http://127.0.0.1:9", "demo"])
def test_home_that_cannot_be_written_is_named(command: str, homeless: Stranger) -> None:
    """One of another user."""
    homeless.home = "/root"
    assert_one_sentence(homeless.run(f"cometfs {command}"), "Permission denied")


# Standard streams


@pytest.mark.parametrize(
    ("closed", "mode"),
    [("<&-", ""), (">&-", ""), ("2>&-", ""), ("<&- >&- 2>&-", ""), ("<&- >&- 2>&-", "--foreground")],
)
def test_closed_streams_are_no_obstacle(closed: str, mode: str, stage: Stage, comet: Comet) -> None:
    """Mounted, status 0, and unmounted again under the same conditions."""
    path = stage.home / "mnt"
    script = f'"$@" {closed}'
    mount = [*COMETFS, "mount", str(path), "--url", comet.url, *mode.split()]
    environ = {**stage.environ, "COMET_API_KEY": "k"}
    with subprocess.Popen(["sh", "-c", script, "sh", *mount], env=environ) as process:
        if not mode:
            assert process.wait(PATIENCE) == 0
        await_that(lambda: is_mounted(path), "nothing is mounted")
        assert {entry.name for entry in path.iterdir()} >= {"tabular", "vision-lab"}
        umount = ["sh", "-c", script, "sh", *COMETFS, "umount", str(path)]
        assert subprocess.run(umount, env=environ, check=False, timeout=PATIENCE).returncode == 0
        assert process.wait(PATIENCE) == 0
    stage.await_no_process()


def test_error_is_logged_though_stderr_was_closed(stage: Stage) -> None:
    """The daemon's stderr is its log, also where there was none before."""
    command = [*COMETFS, "mount", str(stage.home / "mnt"), "--url", "http://127.0.0.1:9"]
    environ = {**stage.environ, "COMET_API_KEY": "k"}
    ended = subprocess.run(["sh", "-c", '"$@" 2>&-', "sh", *command], env=environ, check=False, timeout=PATIENCE)
    assert ended.returncode == 1
    (log,) = (stage.home / ".local/state/cometfs/log").iterdir()
    assert "cannot reach Comet at http://127.0.0.1:9" in log.read_text()


def test_log_of_a_daemon_is_bounded(stage: Stage, comet: Comet) -> None:
    """A file that is full gives way, also one from before; equal lines are counted."""
    path = stage.home / "mnt"
    folder = stage.home / ".local/state/cometfs/log"
    folder.mkdir(parents=True)
    log = folder / log_name(path)
    log.write_bytes(b"x" * FULL)
    with faulty_comet(comet) as (behind, faults):
        assert stage.run("mount", path, "--url", behind.url, COMET_API_KEY="k") == Said(0, "", "")
        try:
            place = path / "tabular/wine-cultivars/forest-200"
            assert (place / "params.json").read_bytes()
            faults.answers["rest/v2/experiment/"] = Answer(403)
            for _ in range(120):
                with pytest.raises(PermissionError):
                    (place / "output.txt").read_bytes()
        finally:
            assert stage.run("umount", path).status == 0
    stage.await_no_process()
    assert sorted(one.name for one in folder.iterdir()) == [log.name, f"{log.name}.1"]
    assert Path(f"{log}.1").read_bytes() == b"x" * FULL
    lines = [line for line in log.read_text().splitlines() if "open: Comet refuses" in line]
    assert len(lines) == 5
    assert lines[-1].endswith("(100 times)")


# Paths


def test_mountpoint_may_have_a_long_path(stage: Stage, comet: Comet) -> None:
    """Longer than a file's name may be."""
    path = stage.home / "mnt" / "/".join(["seventy-characters-of-a-directory" * 2] * 4)
    path.mkdir(parents=True)
    assert len(str(path)) > 280
    assert stage.run("mount", path, "--url", comet.url, COMET_API_KEY="k") == Said(0, "", "")
    try:
        assert (path / "tabular").is_dir()
        assert len(list((stage.home / ".local/state/cometfs/log").iterdir())) == 1
    finally:
        assert stage.run("umount", path) == Said(0, "", "")
    stage.await_no_process()


@pytest.mark.parametrize("path", ["x" * 280, "x/" * 3000], ids=["name", "path"])
def test_mountpoint_that_no_system_call_takes_is_one_sentence(path: str, stage: Stage) -> None:
    """Longer than the kernel allows."""
    for command in (("mount", "--url", "http://127.0.0.1:9"), ("demo",)):
        assert_one_sentence(stage.run(*command, path, COMET_API_KEY="k"), "File name too long")
    assert_one_sentence(stage.run("umount", path), "is not mounted")


def test_working_directory_that_is_gone_matters_only_where_it_is_needed(stage: Stage, comet: Comet) -> None:
    """A path from the root works; one from here is said to lead nowhere."""
    script = 'cd "$1" && rmdir "$1" && shift && "$@"'
    environ = {**stage.environ, "COMET_API_KEY": "k"}
    for place, status in ((str(stage.home / "mnt"), 0), ("mnt", 1)):
        (stage.home / "gone").mkdir()
        mount = [*COMETFS, "mount", place, "--url", comet.url]
        command = ["sh", "-c", script, "sh", str(stage.home / "gone"), *mount]
        ended = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=PATIENCE)
        assert ended.returncode == status, ended.stderr
    assert "the current directory is gone" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert stage.run("umount", stage.home / "mnt") == Said(0, "", "")
    stage.await_no_process()


def test_only_one_mounts_at_a_place_at_a_time(stage: Stage, comet: Comet) -> None:
    """The lock is on the directory itself, so that it is one for all users and needs no home."""
    path = stage.home / "mnt"
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        said = stage.run("mount", path, "--url", comet.url, COMET_API_KEY="k")
        assert_one_sentence(said, f"another cometfs is mounting on {path} right now")
    finally:
        os.close(descriptor)
    assert not is_mounted(path)


# Mounts that the system refuses


@needs_root
@pytest.mark.parametrize("foreground", ["", "--foreground"], ids=["daemon", "foreground"])
@pytest.mark.parametrize(
    ("device", "known", "options", "words"),
    [
        ("600", True, (), ("fuse: failed to open /dev/fuse: Permission denied",)),
        ("666", True, ("--no-new-privs",), ("fusermount3: mount failed: Operation not permitted", "no_new_privs")),
        ("666", False, (), ("fusermount3: could not determine username", "/etc/passwd")),
    ],
    ids=["device", "no-new-privs", "no-passwd-entry"],
)
def test_why_the_system_refuses_a_mount_is_in_the_sentence(
    device: str,
    known: bool,
    options: tuple[str, ...],
    words: tuple[str, ...],
    foreground: str,
    homeless: Stranger,
    comet: Comet,
) -> None:
    """In fusermount3's or libfuse's own words, in both modes, once; and no account is left of it."""
    script = f"cometfs mount m --url {comet.url} --cache-dir c {foreground}"
    said = homeless.run(script, mounts=False, device=device, known=known, options=options)
    assert_one_sentence(said, f"cannot mount on {homeless.place}/m: ", *words)
    assert said.complaint.count(words[0]) == 1
    assert [path.name for path in (homeless.place / "c").iterdir() if path.name != "log"] == []
    homeless.stage.await_no_process()


@needs_root
def test_user_with_a_passwd_entry_whose_home_is_not_there_mounts(homeless: Stranger, comet: Comet) -> None:
    """By fusermount3, as services do that run as a user of their own."""
    script = f"cometfs mount m --url {comet.url} --cache-dir c && ls m && cometfs umount m"
    said = homeless.run(script, mounts=False, known=True)
    assert (said.status, said.complaint) == (0, "")
    assert {"tabular", "vision-lab"} <= set(said.output.split())
    homeless.stage.await_no_process()


# What a mount that failed leaves


def accounts(stage: Stage) -> list[str]:
    said = stage.run("cache", "info", "--json")
    return [account["server"] for account in json.loads(said.output)["accounts"]]


@pytest.mark.parametrize("foreground", [(), ("--foreground",)], ids=["daemon", "foreground"])
def test_mount_that_failed_is_no_account(foreground: tuple[str, ...], stage: Stage) -> None:
    """A wrong address, a wrong key; what was mounted once is one."""
    (stage.home / "serve").mkdir()
    path = stage.home / "mnt"
    with running_comet(stage.home / "serve", "--api-key", "right-key") as comet:
        assert stage.run("mount", path, "--url", "http://127.0.0.1:9", *foreground, COMET_API_KEY="k").status == 1
        assert stage.run("mount", path, "--url", comet.url, *foreground, COMET_API_KEY="wrong").status == 1
        assert accounts(stage) == []
        assert list((stage.home / ".cache/cometfs").iterdir()) == []
        assert stage.run("mount", path, "--url", comet.url, COMET_API_KEY="right-key").status == 0
        assert stage.run("umount", path).status == 0
        assert accounts(stage) == [comet.url]


# Unmounting what is in use


def test_umount_says_what_still_uses_the_mount(stage: Stage, comet: Comet) -> None:
    """A working directory, an open file, memory; status 0, and they read on."""
    path = stage.home / "mnt"
    assert stage.run("mount", path, "--url", comet.url, COMET_API_KEY="k").status == 0
    run = path / "tabular/wine-cultivars/forest-200"
    mapping = "f = open('params.json'); m = mmap.mmap(f.fileno(), 0, prot=1); os.closerange(3, 99); os.chdir('/')"
    python = f"import mmap, os, time; {mapping}; print(flush=True); time.sleep(1000)"
    shell = "echo && exec sleep 1000"
    users = {
        "working directory .*/tabular": ["sh", "-c", f"cd ../.. && {shell}"],
        "forest-200/metadata.json open": ["sh", "-c", f"exec 3<metadata.json && cd / && {shell}"],
        "forest-200/params.json in memory": [sys.executable, "-c", python],
    }
    processes = [subprocess.Popen(inside(run, *command), stdout=subprocess.PIPE) for command in users.values()]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.read(1) == b"\n"
        said = stage.run("umount", path)
        assert (said.status, said.output, len(said.complaint.splitlines())) == (0, "", 1)
        for process, use in zip(processes, users, strict=True):
            assert re.search(rf"\(pid {process.pid}, [^)]*{use}", said.complaint), said.complaint
        assert not is_mounted(path)
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    stage.await_no_process()


def test_process_takes_no_more_descriptors_than_are_of_use(stage: Stage, comet: Comet) -> None:
    """What is started from here would close them all, one by one, where a container allows a billion."""
    path = stage.home / "mnt"
    assert stage.run("mount", path, "--url", comet.url, COMET_API_KEY="k").status == 0
    (process,) = stage.processes()
    limits = Path(f"/proc/{process}/limits").read_text()
    soft, hard = re.findall(r"Max open files +(\d+) +(\d+)", limits)[0]
    assert int(soft) == min(int(hard), 65536)
    assert stage.run("umount", path) == Said(0, "", "")
    stage.await_no_process()
