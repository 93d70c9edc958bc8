"""What a mount warns of when it starts: keys that others can read, here or on their way. One line each, once."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.support.processes import Comet, running_mount
from tests.support.subprocesses import Said, Stage

CONFIG = "[comet]\napi_key = right-key\n"
ENV = "COMET_API_KEY=right-key\n"

PLACES = {".comet.config": CONFIG, ".env": ENV, "key": "right-key\n"}


def written(stage: Stage, name: str, mode: int) -> tuple[str | Path, ...]:
    """The file, in the home and working directory, and the options by which a mount finds it."""
    path = stage.home / name
    path.write_text(PLACES[name])
    path.chmod(mode)
    return ("--api-key-file", path) if name == "key" else ()


@pytest.mark.parametrize("name", PLACES)
def test_a_daemon_says_so_to_the_terminal_and_in_its_log(name: str, stage: Stage, comet: Comet) -> None:
    """With the command that mends it; after that nothing is said."""
    path = stage.home / name
    options = written(stage, name, 0o644)
    line = f"cometfs: warning: {path} holds an API key and is open to others: chmod 600 {path}\n"
    assert stage.run("mount", stage.home / "mnt", "--url", comet.url, *options) == Said(0, "", line)
    assert stage.run("umount", stage.home / "mnt") == Said(0, "", "")
    stage.await_no_process()
    (log,) = (stage.home / ".local/state/cometfs/log").glob("*.log")
    assert log.read_text() == line
    path.chmod(0o600)
    assert stage.run("mount", stage.home / "mnt", "--url", comet.url, *options) == Said(0, "", "")
    assert stage.run("umount", stage.home / "mnt") == Said(0, "", "")
    stage.await_no_process()
    assert log.read_text() == line


def test_in_the_foreground_it_is_said_once(stage: Stage, comet: Comet) -> None:
    """To the terminal or to the journal, which is the same."""
    options = map(str, written(stage, "key", 0o640))
    with running_mount(stage.home, comet, *options) as mounted:
        assert (mounted / "tabular").is_dir()
    (line,) = mounted.log.read_text().splitlines()
    assert line.startswith(f"cometfs: warning: {stage.home / 'key'} ")


def test_files_without_a_key_may_be_read_by_all(stage: Stage, comet: Comet) -> None:
    """And so may those that nobody looks at, since the key comes from elsewhere."""
    (stage.home / ".env").write_text("WORKSPACE=x\n")
    (stage.home / ".comet.config").write_text("[comet]\nworkspace = x\n")
    said = stage.run("mount", stage.home / "mnt", "--url", comet.url, COMET_API_KEY="k")
    assert said == Said(0, "", "")
    assert stage.run("umount", stage.home / "mnt") == Said(0, "", "")


def test_errors_alone_are_said_to_those_who_want_that(stage: Stage, comet: Comet) -> None:
    """By --log-level."""
    options = written(stage, "key", 0o644)
    said = stage.run("mount", stage.home / "mnt", "--url", comet.url, "--log-level", "error", *options)
    assert said == Said(0, "", "")
    assert stage.run("umount", stage.home / "mnt") == Said(0, "", "")


@pytest.mark.parametrize("foreground", [(), ("--foreground",)], ids=["daemon", "foreground"])
def test_a_key_that_goes_unencrypted_to_another_machine_is_told_of(foreground: tuple[str, ...], stage: Stage) -> None:
    """Before it goes: nothing is sent here, for the proxy on the way is a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        proxy = f"http://127.0.0.1:{taken.getsockname()[1]}"
    url = "http://192.0.2.7:8080/clientlib/"
    environ = {"COMET_API_KEY": "k", "http_proxy": proxy, "no_proxy": ""}
    said = stage.run("mount", stage.home / "mnt", "--url", url, "--deadline", "3", *foreground, **environ)
    warning, error = said.complaint.splitlines()
    assert said.status == 1
    assert warning.startswith("cometfs: warning: ")
    assert "192.0.2.7" in warning
    assert "https://" in warning
    assert error.startswith("cometfs: cannot reach")
    stage.await_no_process()
