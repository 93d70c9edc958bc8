"""Why a mount cannot start: one sentence, status 1, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess

import pytest

from tests.support.processes import PATIENCE, Comet, is_mounted, running_comet, running_mount
from tests.support.subprocesses import Said, Stage, mounts_at


def assert_refused(said: Said, *words: str) -> None:
    """One line on stderr that has all the words (patterns), nothing on stdout, status 1."""
    assert (said.status, said.output) == (1, ""), said
    (line,) = said.complaint.splitlines()
    for word in words:
        assert re.search(word, line, re.IGNORECASE), (word, line)
    assert len(line.split()) >= 5
    assert "Error(" not in line
    assert "Errno" not in line


def test_missing_key_names_where_one_is_looked_for(stage: Stage, comet: Comet) -> None:
    """No argument, no variable, no configuration file."""
    said = stage.run("mount", stage.home / "mnt", "--url", comet.url)
    assert_refused(said, "key", "COMET_API_KEY", "--api-key-file|.comet.config")
    assert not stage.processes()


def test_missing_fusermount3_names_the_package(stage: Stage, comet: Comet) -> None:
    """A PATH without it."""
    said = stage.run("mount", stage.home / "mnt", "--url", comet.url, COMET_API_KEY="k", PATH=str(stage.home))
    assert_refused(said, "fusermount3", "fuse3|install")
    assert not stage.processes()


def test_missing_mountpoint_is_named(stage: Stage, comet: Comet) -> None:
    """No such directory."""
    said = stage.run("mount", stage.home / "nosuch", "--url", comet.url, COMET_API_KEY="k")
    assert_refused(said, re.escape(str(stage.home / "nosuch")), "no such|not exist|create|mkdir")
    assert not (stage.home / "nosuch").exists()


def test_mountpoint_that_is_a_file_is_refused(stage: Stage, comet: Comet) -> None:
    """Not a directory; the file keeps its bytes."""
    (stage.home / "file").write_text("mine")
    said = stage.run("mount", stage.home / "file", "--url", comet.url, COMET_API_KEY="k")
    assert_refused(said, re.escape(str(stage.home / "file")), "not a directory|director")
    assert (stage.home / "file").read_text() == "mine"


def test_second_mount_is_refused_and_does_not_stack(stage: Stage, comet: Comet) -> None:
    """The first one goes on."""
    with running_mount(stage.home, comet) as mounted:
        said = stage.run("mount", mounted.path, "--url", comet.url, COMET_API_KEY="k")
        assert_refused(said, re.escape(str(mounted.path)), "already|in use", "umount|unmount|another|other")
        assert mounts_at(mounted.path) == 1
        assert {"tabular", "vision-lab"} <= {path.name for path in mounted.path.iterdir()}
        assert not stage.processes()


def test_mountpoint_of_another_file_system_is_refused(stage: Stage, comet: Comet) -> None:
    """A tmpfs stays as it was."""
    path = stage.home / "mnt"
    mounting = subprocess.run(["mount", "-t", "tmpfs", "none", str(path)], capture_output=True, check=False)
    if mounting.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounting.stderr.decode().strip()}")
    try:
        said = stage.run("mount", path, "--url", comet.url, COMET_API_KEY="k")
        assert mounts_at(path) == 1
        assert_refused(said, re.escape(str(path)), "already|in use|mounted")
    finally:
        subprocess.run(["umount", str(path)], check=True)


def test_unreachable_server_is_named(stage: Stage) -> None:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    said = stage.run("mount", stage.home / "mnt", "--url", url, "--deadline", "6", COMET_API_KEY="k")
    assert_refused(said, re.escape(url.removeprefix("http://")), "reach|connect")
    assert not is_mounted(stage.home / "mnt")
    stage.await_no_process()


@pytest.mark.parametrize("foreground", [(), ("--foreground",)], ids=["daemon", "foreground"])
def test_rejected_key_says_so_without_showing_it(foreground: tuple[str, ...], stage: Stage) -> None:
    """The server takes just another one."""
    (stage.home / "serve").mkdir()
    with running_comet(stage.home / "serve", "--api-key", "right-key") as strict:
        said = stage.run("mount", stage.home / "mnt", "--url", strict.url, *foreground, COMET_API_KEY="wrong-key-17")
    assert_refused(said, "key", "refused|reject|not accept|denied|invalid|wrong|not valid")
    assert "wrong-key-17" not in said.complaint
    assert not is_mounted(stage.home / "mnt")
    stage.await_no_process()


def test_unknown_workspace_is_named(stage: Stage, comet: Comet) -> None:
    """One that exists beside it does not help."""
    options = ("--workspace", "tabular", "--workspace", "nosuch-lab")
    said = stage.run("mount", stage.home / "mnt", "--url", comet.url, *options, COMET_API_KEY="k")
    assert_refused(said, "nosuch-lab", "workspace")
    assert not is_mounted(stage.home / "mnt")
    stage.await_no_process()


def test_missing_key_file_is_named(stage: Stage, comet: Comet) -> None:
    """--api-key-file wins over the variable, so its absence is not glossed over."""
    path = stage.home / "nosuch.key"
    said = stage.run("mount", stage.home / "mnt", "--url", comet.url, "--api-key-file", path, COMET_API_KEY="k")
    assert said.status != 0
    assert str(path) in said.complaint
    assert "Traceback" not in said.complaint
    assert not is_mounted(stage.home / "mnt")


def test_unmounting_what_is_no_mount_says_so(stage: Stage) -> None:
    """An ordinary directory; a missing one."""
    assert_refused(stage.run("umount", stage.home / "mnt"), re.escape(str(stage.home / "mnt")))
    assert_refused(stage.run("umount", stage.home / "nosuch"), re.escape(str(stage.home / "nosuch")))


@pytest.mark.parametrize("looked_at", [False, True], ids=["cold", "with cached attributes"])
def test_dead_mount_of_ours_is_cleaned_up_and_mounted_over(looked_at: bool, stage: Stage, comet: Comet) -> None:
    """After SIGKILL of the daemon the same command just works again, with one mount and no other."""
    with running_mount(stage.home, comet) as mounted:
        if looked_at:
            assert list(mounted.path.iterdir())
        mounted.process.kill()
        mounted.process.wait(PATIENCE)
        said = stage.run("mount", mounted.path, "--url", comet.url, COMET_API_KEY="k")
        assert said == Said(0, "", "")
        assert mounts_at(mounted.path) == 1
        assert {path.name for path in mounted.path.iterdir()} >= {"tabular", "vision-lab"}
        assert stage.run("umount", mounted.path) == Said(0, "", "")
        assert not is_mounted(mounted.path)
    stage.await_no_process()


def test_dead_mount_with_an_open_file_is_mounted_over_too(stage: Stage, comet: Comet) -> None:
    """Somebody's open file or working directory inside the dead mount is no obstacle."""
    with running_mount(stage.home, comet) as mounted:
        held = os.open(mounted.path / "tabular/wine-cultivars", os.O_RDONLY | os.O_DIRECTORY)
        try:
            mounted.process.send_signal(signal.SIGKILL)
            mounted.process.wait(PATIENCE)
            assert stage.run("mount", mounted.path, "--url", comet.url, COMET_API_KEY="k") == Said(0, "", "")
            assert mounts_at(mounted.path) == 1
            assert stage.run("umount", mounted.path) == Said(0, "", "")
        finally:
            os.close(held)
    stage.await_no_process()


def test_workspace_option_shows_just_those(stage: Stage, comet: Comet) -> None:
    """One of two, by name; the other is not there at all."""
    with running_mount(stage.home, comet, "--workspace", "tabular") as mounted:
        assert [path.name for path in mounted.path.glob("[!.R]*")] == ["tabular"]
        assert not (mounted.path / "vision-lab").exists()
        assert (mounted.path / "tabular/wine-cultivars/project.json").exists()


def test_workspaces_that_are_named_are_not_listed_by_comet(stage: Stage, comet: Comet) -> None:
    """Both given, in any order: both there."""
    with running_mount(stage.home, comet, "--workspace", "vision-lab", "--workspace", "tabular") as mounted:
        assert {path.name for path in mounted.path.iterdir()} >= {"tabular", "vision-lab"}


def test_mounts_with_and_without_workspaces_share_a_cache(stage: Stage, comet: Comet) -> None:
    """Each shows its own: what one was told to show is no answer of Comet. One that does not exist is refused, too."""
    named = (("--workspace", "tabular"), (), ("--workspace", "vision-lab"))
    for options, shown in zip(named, ({"tabular"}, {"tabular", "vision-lab"}, {"vision-lab"}), strict=True):
        with running_mount(stage.home, comet, *options) as mounted:
            assert {path.name for path in mounted.path.iterdir()} & {"tabular", "vision-lab"} == shown
            assert set(json.loads((mounted.path / ".api/workspaces.json").read_text())) == shown
    cache = stage.home / "cache/cometfs"
    assert any(cache.glob("127.0.0.1*/*")), "it is this one"
    unknown = ("--url", comet.url, "--cache-dir", cache, "--workspace", "nosuch-lab")
    said = stage.run("mount", stage.home / "mnt", *unknown, COMET_API_KEY="test-key")
    assert said.status == 1
    assert_refused(said, "nosuch-lab", "workspace")
    assert not is_mounted(stage.home / "mnt")
    stage.await_no_process()


def test_key_comes_from_a_file(stage: Stage) -> None:
    """A line break at its end does not matter."""
    (stage.home / "serve").mkdir()
    (stage.home / "key").write_text("right-key\n")
    (stage.home / "key").chmod(0o600)
    with running_comet(stage.home / "serve", "--api-key", "right-key") as strict:
        said = stage.run("mount", stage.home / "mnt", "--url", strict.url, "--api-key-file", stage.home / "key")
        assert said == Said(0, "", "")
        assert (stage.home / "mnt/tabular").is_dir()
        assert stage.run("umount", stage.home / "mnt") == Said(0, "", "")
    stage.await_no_process()
