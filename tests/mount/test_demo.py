"""`cometfs demo`: embedded Comet and mount together, until somebody stops it; nothing stays behind."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from cometfs.demo import run as demo_run
from cometfs.demo.tour import FOLLOWS, STOPS
from cometfs.server import sample_directory
from tests.support.live_runs import following
from tests.support.processes import COMETFS, PATIENCE, is_mounted
from tests.support.spawning import inside
from tests.support.subprocesses import Stage, await_that, clean_up


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    found = Stage(tmp_path)
    (tmp_path / "mnt").mkdir()
    yield found
    clean_up(found, tmp_path / "mnt", tmp_path / "comet-demo")


ELSEWHERE = {"XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"}
"""Variables by which a user keeps things outside of the home."""


class Demo:
    """A demo that runs, and what it has printed so far."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self.output = output

    def await_tour(self, path: Path) -> str:
        """Its text, once it tells how to stop it."""
        await_that(
            lambda: self.process.poll() is not None or "Ctrl-C" in self.output.read_text(), "no tour was printed"
        )
        assert self.process.poll() is None, self.output.read_text()
        assert is_mounted(path)
        return self.output.read_text()


def started_demo(
    stage: Stage, *arguments: str, prefix: tuple[str, ...] = (), stdin: int = subprocess.DEVNULL, **environ: str
) -> Demo:
    output = stage.home / "tour.txt"
    with output.open("wb") as tour:
        process = subprocess.Popen(
            [*prefix, *COMETFS, "demo", *arguments],
            cwd=stage.home,
            env={name: value for name, value in stage.environ.items() if name not in ELSEWHERE} | environ,
            stdin=stdin,
            stdout=tour,
            stderr=subprocess.STDOUT,
            start_new_session=not prefix,
        )
    return Demo(process, output)


@pytest.mark.parametrize("whom", ["the process", "the group"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_demo_ends_on_a_signal_and_leaves_nothing(number: signal.Signals, whom: str, stage: Stage) -> None:
    """Status 0, unmounted, no process left; a mountpoint of its own making is removed."""
    path = stage.home / "comet-demo"
    demo = started_demo(stage)
    tour = demo.await_tour(path)
    assert str(path) in tour or "~/comet-demo" in tour
    assert (path / "tabular/wine-cultivars/forest-200/params.json").read_bytes()
    if whom == "the group":
        os.killpg(demo.process.pid, number)
    else:
        demo.process.send_signal(number)
    assert demo.process.wait(PATIENCE) == 0, demo.output.read_text()
    assert not is_mounted(path)
    assert not path.exists()
    assert "Traceback" not in demo.output.read_text()
    stage.await_no_process()


def test_demo_ends_on_ctrl_c_in_a_terminal(stage: Stage) -> None:
    """A real terminal whose foreground job it is; a mountpoint that was there stays, empty."""
    path = stage.home / "mnt"
    ours, its = os.openpty()
    try:
        demo = started_demo(stage, str(path), prefix=("setsid", "--ctty"), stdin=its)
        demo.await_tour(path)
        os.write(ours, b"\x03")
        assert demo.process.wait(PATIENCE) == 0, demo.output.read_text()
    finally:
        os.close(ours)
        os.close(its)
    assert not is_mounted(path)
    assert list(path.iterdir()) == []
    stage.await_no_process()


def test_demo_ends_when_it_is_unmounted_from_outside(stage: Stage) -> None:
    """No mount, no demo: Comet does not stay behind."""
    path = stage.home / "comet-demo"
    demo = started_demo(stage)
    demo.await_tour(path)
    subprocess.run(["fusermount3", "-u", str(path)], check=True)
    assert demo.process.wait(PATIENCE) == 0, demo.output.read_text()
    stage.await_no_process()
    assert not path.exists()


def test_demo_says_what_it_cannot_remove(stage: Stage) -> None:
    """What somebody puts in the place of the mount stays; a sentence says so, and no traceback."""
    path = stage.home / "comet-demo"
    demo = started_demo(stage)
    demo.await_tour(path)
    demo.process.send_signal(signal.SIGSTOP)
    subprocess.run(["fusermount3", "-u", str(path)], check=True)
    (path / "kept").touch()
    demo.process.send_signal(signal.SIGCONT)
    assert demo.process.wait(PATIENCE) == 1, demo.output.read_text()
    assert f"cometfs: {path} was made for the demo and stays: Directory not empty\n" in demo.output.read_text()
    assert "Traceback" not in demo.output.read_text()
    assert (path / "kept").exists()


def test_demo_ends_under_load(stage: Stage) -> None:
    """A reader at work, with its working directory inside, changes nothing."""
    path = stage.home / "comet-demo"
    demo = started_demo(stage)
    demo.await_tour(path)
    command = inside(path, "sh", "-c", "while :; do grep -r accuracy . >/dev/null 2>&1; echo; done")
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as reader:
        try:
            assert reader.stdout is not None
            assert reader.stdout.read(1) == b"\n"
            demo.process.terminate()
            assert demo.process.wait(PATIENCE) == 0, demo.output.read_text()
            assert not is_mounted(path)
        finally:
            os.killpg(reader.pid, signal.SIGKILL)
    stage.await_no_process()


def test_demo_needs_no_account_and_heeds_none(stage: Stage) -> None:
    """Whatever key, address or configuration is there, the demo shows its own sample."""
    (stage.home / ".comet.config").write_text("[comet]\napi_key = real\nurl_override = http://127.0.0.1:9/clientlib/\n")
    path = stage.home / "comet-demo"
    demo = started_demo(stage)
    demo.await_tour(path)
    assert {entry.name for entry in path.iterdir()} >= {"tabular", "vision-lab"}
    assert "warning" not in demo.output.read_text()
    demo.process.terminate()
    assert demo.process.wait(PATIENCE) == 0
    stage.await_no_process()


EVERYWHERE = {"cat", "cp", "cut", "diff", "find", "grep", "head", "ls", "tail", "touch"}
"""Commands of packages that Debian calls essential."""


def test_every_command_of_the_tour_works_as_it_stands(stage: Stage) -> None:
    """In a shell, in the mountpoint: it prints something and complains of nothing."""
    path = stage.home / "comet-demo"
    demo = started_demo(stage)
    tour = demo.await_tour(path)
    found = re.search(r"Open (http://127\.0\.0\.1:\d+) in a browser", tour)
    assert found
    with urlopen(f"{found[1]}/vision-lab/digits", timeout=PATIENCE) as page:
        assert b"mlp-live" in page.read()
    for command, _ in STOPS:
        assert command in tour
        assert {part.split()[0] for part in command.split("&&")} <= EVERYWHERE
        if command.startswith(FOLLOWS):
            assert_grows(stage, path, command)
            continue
        said = subprocess.run(
            inside(path, "sh", "-c", command), env=stage.environ, capture_output=True, timeout=PATIENCE, check=False
        )
        assert said.stderr == b"", command
        assert said.returncode == (1 if command.startswith("diff") else 0), command
        assert said.stdout or command.startswith("cp"), command
    assert (stage.home / "mlp-baseline/params.json").read_bytes()
    demo.process.terminate()
    assert demo.process.wait(PATIENCE) == 0
    stage.await_no_process()


def assert_grows(stage: Stage, path: Path, command: str) -> None:
    """It prints what is there, and then what comes."""
    with following(stage.home, "sh", "-c", f"cd {path} && exec {command}") as follower:
        follower.await_said(lambda said: b"epoch" in said)
        before = follower.said.count(b"\n")
        follower.await_said(lambda said: said.count(b"\n") >= before + 3)
    lines = follower.said.decode().splitlines()
    epochs = [int(line.split()[1]) for line in lines[:-1]]
    assert epochs == list(range(epochs[0], epochs[0] + len(epochs))), "each line once"


def test_the_demos_run_is_running_and_logs_what_the_others_log(stage: Stage) -> None:
    """Parameters, metrics and output; its state is that of a run that goes on, in its project's views and tables."""
    path = stage.home / "comet-demo"
    demo = started_demo(stage)
    demo.await_tour(path)
    project = path / demo_run.WORKSPACE / demo_run.PROJECT
    assert json.loads((project / demo_run.NAME / "params.json").read_text())["lr"] == 0.003
    assert {entry.name for entry in (project / "views/running").iterdir()} == {demo_run.NAME}
    last = json.loads((project / demo_run.NAME / "metrics.json").read_text())
    await_that(lambda: json.loads((project / demo_run.NAME / "metrics.json").read_text()) != last, "it logs no points")
    table = (project / "experiments.csv").read_text()
    (row,) = [row for row in csv.DictReader(io.StringIO(table)) if row["name"] == demo_run.NAME]
    assert row["state"] == "running"
    demo.process.terminate()
    assert demo.process.wait(PATIENCE) == 0
    stage.await_no_process()


def test_demo_leaves_nothing_in_the_home_and_where_temporary_files_are(stage: Stage) -> None:
    """No log, no lock, no cache after pictures were drawn; the sample in the package is as it was."""
    for name in ("home", "temporary"):
        (stage.home / name).mkdir()
    sample = {path: path.stat().st_mtime_ns for path in sample_directory().rglob("*")}
    path = stage.home / "home/comet-demo"
    demo = started_demo(stage, HOME=str(stage.home / "home"), TMPDIR=str(stage.home / "temporary"))
    demo.await_tour(path)
    for picture in ("charts/validate_accuracy.svg", "mlp-live/plots/train_loss.svg"):
        assert b"<svg" in (path / "vision-lab/digits" / picture).read_bytes()
    demo.process.terminate()
    assert demo.process.wait(PATIENCE) == 0, demo.output.read_text()
    stage.await_no_process()
    assert list((stage.home / "home").iterdir()) == []
    assert list((stage.home / "temporary").iterdir()) == []
    assert {path: path.stat().st_mtime_ns for path in sample_directory().rglob("*")} == sample


def test_demo_refuses_a_mountpoint_that_is_a_file(stage: Stage) -> None:
    """One sentence and status 1; no Comet stays behind."""
    (stage.home / "file").write_text("mine")
    said = stage.run("demo", stage.home / "file")
    assert said.status == 1
    assert "Traceback" not in said.complaint
    assert str(stage.home / "file") in said.complaint
    assert (stage.home / "file").read_text() == "mine"
    stage.await_no_process()
