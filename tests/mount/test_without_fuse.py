"""The base package: an environment without pyfuse3, on a machine without a compiler. All but mounting works."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE
from tests.support.subprocesses import Stage, clean_up
from tests.support.wheels import ROOT, build, environment, run

READING = """
import sys, trio
from cometfs import API
async def main():
    async with API(api_key="any", url=sys.argv[1]) as api:
        for project in await api.projects("vision-lab"):
            print(project["projectName"])
trio.run(main)
"""


BY_FSSPEC = """
import sys, fsspec
fs = fsspec.filesystem("comet", server=sys.argv[1], api_key_file=sys.argv[2], cache_dir=sys.argv[3])
for path in fs.glob("comet://vision-lab/*"):
    print(path)
path = "vision-lab/digits/mlp-baseline/params.json"
with fs.open(path) as file:
    assert fs.cat(path) == file.read()
assert "pyfuse3" not in sys.modules
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With what the wheel depends on without its extra."""
    return environment(tmp_path_factory.mktemp("base") / "env", wheel)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    found = Stage(tmp_path)
    yield found
    clean_up(found)


def used(env: Path, stage: Stage, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """A command of the environment, which finds no other program."""
    return subprocess.run(
        [env / "bin/python", "-m", "cometfs", *command],
        cwd=stage.home,
        env={**stage.environ, "PATH": str(env / "bin")},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def serve_and_read(env: Path, stage: Stage, reading: str = READING, *arguments: str | Path) -> list[str]:
    """The projects of a workspace, by the SDK, at `cometfs serve`; both are of the environment."""
    command: list[str | Path] = [env / "bin/cometfs", "serve"]
    environ = {**stage.environ, "PATH": str(env / "bin")}
    with subprocess.Popen(command, cwd=stage.home, env=environ, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[-1]
            return run(env / "bin/python", "-c", reading, url, *arguments).splitlines()
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(PATIENCE)


@pytest.mark.parametrize("command", ["mount", "demo"])
def test_a_mount_names_the_two_commands_that_bring_what_it_needs(base: Path, stage: Stage, command: str) -> None:
    """In one sentence, with exit status 1; nothing is made or mounted."""
    place = stage.home / "comet"
    done = used(base, stage, command, place)
    assert done.stderr.startswith("cometfs: mounting needs the extra cometfs[fuse]: run '")
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith('"cometfs[fuse]"\'\n')
    assert (done.returncode, done.stdout, place.exists()) == (1, "", False)


def test_the_embedded_comet_is_served_and_read(base: Path, stage: Stage) -> None:
    assert "digits" in serve_and_read(base, stage)


def test_comet_is_read_by_fsspec(wheel: Path, tmp_path: Path, stage: Stage) -> None:
    """With the extra for that, and no pyfuse3 in the environment."""
    env = environment(tmp_path / "env", wheel, "fsspec")
    (tmp_path / "key").write_text("any")
    assert "vision-lab/digits" in serve_and_read(env, stage, BY_FSSPEC, tmp_path / "key", tmp_path / "cache")
    assert subprocess.run([env / "bin/python", "-c", "import pyfuse3"], capture_output=True).returncode == 1


def test_the_other_commands_work(base: Path, stage: Stage) -> None:
    """Each has its own words, and no traceback."""
    assert used(base, stage, "help", "install").stdout == (ROOT / "src/cometfs/manual/install.md").read_text()
    assert used(base, stage, "--version").returncode == 0
    assert used(base, stage, "cache", "info").returncode == 0
    assert used(base, stage, "umount", "comet").stderr == f"cometfs: {stage.home}/comet is not mounted\n"
    assert used(base, stage, "refresh", ".").stderr == "cometfs: . is in no mount of cometfs\n"
    assert "No Comet API key was found" in used(base, stage, "doctor").stdout


def test_with_the_extra_pyfuse3_is_there(wheel: Path, tmp_path: Path, stage: Stage) -> None:
    """The sentence is about the key then."""
    done = used(environment(tmp_path / "env", wheel, "fuse"), stage, "mount", stage.home)
    # fusermount3 is not on the path either, and what a mount needs of the machine is looked at first.
    assert done.stderr in (
        "cometfs: fusermount3 is missing: install the package fuse3\n",
        "cometfs: /dev/fuse is missing: load the fuse kernel module, or give the container the device\n",
    )


def test_pip_installs_it_from_wheels_alone(wheel: Path, tmp_path: Path, stage: Stage) -> None:
    """From the index, where nothing can be compiled: neither a compiler nor pkg-config is on the path."""
    place = tmp_path / "env"
    venv.create(place)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(place / "bin/python"), "install"]
    environ = {**os.environ, "PATH": str(place / "bin")}
    assert shutil.which("pkg-config", path=environ["PATH"]) is None
    options = ["--quiet", "--only-binary", ":all:", "--retries", "0", "--timeout", "5"]
    done = subprocess.run([*pip, *options, str(wheel)], env=environ, capture_output=True, text=True)
    if done.returncode and "onnection" in done.stderr:
        pytest.skip("no index of packages can be reached from here")
    assert done.returncode == 0, done.stderr
    assert "digits" in serve_and_read(place, stage)
