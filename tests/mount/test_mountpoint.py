"""Where a mount may be, and by which paths it is found again: one answer for all commands."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE, Comet, is_mounted, running_mount
from tests.support.spawning import inside
from tests.support.subprocesses import Said, Stage, clean_up


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    found = Stage(tmp_path)
    (tmp_path / "mnt").mkdir()
    yield found
    clean_up(found, tmp_path / "mnt", tmp_path)


# Files in the way


@pytest.mark.parametrize("command", [("mount", "--foreground"), ("mount",), ("demo",)], ids=" ".join)
def test_directory_that_holds_files_is_not_mounted_over(command: tuple[str, ...], stage: Stage, comet: Comet) -> None:
    """One sentence that names the way around it; a hidden file counts."""
    (stage.home / "mnt/.mine").write_text("mine")
    options = ("--url", comet.url) if "mount" in command else ()
    said = stage.run(*command, stage.home / "mnt", *options, COMET_API_KEY="k")
    assert (said.status, said.output, len(said.complaint.splitlines())) == (1, "", 1), said
    assert f"{stage.home / 'mnt'} is not empty" in said.complaint
    assert "--allow-non-empty" in said.complaint
    assert not is_mounted(stage.home / "mnt")
    assert (stage.home / "mnt/.mine").read_text() == "mine"


def test_home_directory_is_not_mounted_over(stage: Stage, comet: Comet) -> None:
    """`mount ~`, as a shell expands it and as it does not."""
    for written in (str(stage.home), "~"):
        said = stage.run("mount", written, "--url", comet.url, COMET_API_KEY="k")
        assert said.status == 1
        assert f"{stage.home} is not empty" in said.complaint


def test_files_are_hidden_where_that_is_meant_and_there_again_afterwards(stage: Stage, comet: Comet) -> None:
    """With --allow-non-empty."""
    path = stage.home / "mnt"
    (path / "mine").write_text("mine")
    options = ("--allow-non-empty", "--url", comet.url)
    assert stage.run("mount", path, *options, COMET_API_KEY="k") == Said(0, "", "")
    assert (path / "tabular").is_dir()
    assert not (path / "mine").exists()
    assert stage.run("umount", path) == Said(0, "", "")
    assert (path / "mine").read_text() == "mine"
    stage.await_no_process()


# Every way to write it


def test_mountpoint_may_be_a_symbolic_link_for_every_command(stage: Stage, comet: Comet) -> None:
    """To a directory, by way of another link."""
    (stage.home / "first").symlink_to("second")
    (stage.home / "second").symlink_to(stage.home / "mnt")
    link = stage.home / "first"
    assert stage.run("mount", link, "--url", comet.url, COMET_API_KEY="k") == Said(0, "", "")
    assert is_mounted(stage.home / "mnt")
    assert json.loads(stage.run("status", "--json", link).output)["mountpoint"] == str(stage.home / "mnt")
    assert stage.run("refresh", link) == Said(0, "", "")
    again = stage.run("mount", link, "--url", comet.url, COMET_API_KEY="k")
    assert "is mounted by cometfs already" in again.complaint
    assert stage.run("umount", link) == Said(0, "", "")
    assert not is_mounted(stage.home / "mnt")
    stage.await_no_process()


@pytest.mark.parametrize("dead", [False, True], ids=["alive", "dead"])
def test_umount_finds_the_mount_by_where_one_stands(dead: bool, stage: Stage, comet: Comet) -> None:
    """`.` at its root and `..` one below, by a shell that stood there before the daemon died."""
    for place, written in ((".", "."), ("tabular", "..")):
        with running_mount(stage.home, comet) as mounted, standing(mounted / place, stage, "umount", written) as shell:
            if dead:
                mounted.process.kill()
                mounted.process.wait(PATIENCE)
            assert shell.communicate(b"\n", PATIENCE)[0] == b""
            assert shell.returncode == 0
            assert not is_mounted(mounted.path)


@contextmanager
def standing(place: Path, stage: Stage, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A shell in `place` that runs the command once it may read a line."""
    ours = (sys.executable, "-P", "-m", "cometfs")  # -P: Python itself would look into its working directory
    script = inside(place, "sh", "-c", 'echo && read -r _ && exec "$@"', "sh", *ours, *arguments)
    pipe = subprocess.PIPE
    with subprocess.Popen(script, env=stage.environ, stdin=pipe, stdout=pipe) as shell:
        assert shell.stdout is not None
        assert shell.stdout.read(1) == b"\n", "it does not stand there"
        yield shell


@pytest.mark.parametrize("written", ["//{0}//mnt/", "{0}/./mnt/.", "{0}/link/../../mnt", "./mnt//"])
def test_umount_finds_a_dead_mount_however_it_is_written(written: str, stage: Stage, comet: Comet) -> None:
    """Doubled slashes, dots, a link's parent."""
    (stage.home / "other/place").mkdir(parents=True)
    (stage.home / "link").symlink_to("other/place")
    with running_mount(stage.home, comet) as mounted:
        mounted.process.kill()
        mounted.process.wait(PATIENCE)
        assert stage.run("umount", written.format(stage.home)) == Said(0, "", "")
        assert not is_mounted(mounted.path)


def test_path_goes_up_from_where_a_link_leads(stage: Stage, comet: Comet) -> None:
    """`link/..` is the parent of the link's target, as the kernel has it, not the link's own."""
    (stage.home / "deep/er").mkdir(parents=True)
    (stage.home / "link").symlink_to("deep/er")
    with running_mount(stage.home, comet) as mounted:
        assert stage.run("umount", "link/../mnt").status == 1
        assert is_mounted(mounted.path)
        assert stage.run("umount", "link/../../mnt").status == 0
        assert not is_mounted(mounted.path)


def test_status_and_refresh_know_a_mount_by_where_one_stands(stage: Stage, comet: Comet) -> None:
    """`.` at its root, `..` one below."""
    with running_mount(stage.home, comet) as mounted:
        for place, written in ((mounted.path, "."), (mounted / "tabular", "..")):
            said = Stage(stage.home, cwd=place).run("status", written)
            assert said.output.startswith(f"{mounted.path}: "), said
            assert Stage(stage.home, cwd=place).run("refresh", written) == Said(0, "", "")


def test_a_daemon_that_is_stopped_keeps_no_command_waiting(stage: Stage, comet: Comet) -> None:
    """Another mount is refused, since it is no dead one; umount asks it nothing."""
    with running_mount(stage.home, comet) as mounted:
        mounted.process.send_signal(signal.SIGSTOP)
        try:
            again = stage.run("mount", mounted.path, "--url", comet.url, COMET_API_KEY="k")
            assert "is mounted by cometfs already" in again.complaint
            assert stage.run("umount", mounted.path).status == 0
            assert not is_mounted(mounted.path)
        finally:
            mounted.process.send_signal(signal.SIGCONT)
        assert mounted.process.wait(PATIENCE) == 0


def test_links_that_go_round_in_a_circle_are_said_so(stage: Stage) -> None:
    """By every command that takes a path."""
    (stage.home / "a").symlink_to("b")
    (stage.home / "b").symlink_to("a")
    for command in (("mount", "--url", "http://127.0.0.1:1"), ("umount",), ("status",), ("refresh",), ("demo",)):
        said = stage.run(*command, "a", COMET_API_KEY="k")
        assert (said.status, said.complaint) == (
            1,
            "cometfs: a leads nowhere: its symbolic links go round in a circle\n",
        )


def test_empty_path_names_nothing(stage: Stage) -> None:
    """`umount "$M"` with M unset is not `umount .`."""
    for command in ("mount", "umount", "status", "refresh", "demo"):
        said = stage.run(command, "")
        assert said.status == 2, said
        assert "an empty path names nothing" in said.complaint
