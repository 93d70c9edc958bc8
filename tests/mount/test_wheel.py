"""A wheel, installed into an environment of its own outside the checkout: manual, man pages, and the demo."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE, is_mounted
from tests.support.subprocesses import Stage, await_that, clean_up
from tests.support.wheels import ROOT, build, run

COMMANDS = {"mount", "umount", "refresh", "status", "serve", "demo", "help", "cache", "cache-info", "cache-clear"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with cometfs from the wheel. What it depends on is taken from the environment of the tests."""
    place = tmp_path_factory.mktemp("installed") / "env"
    venv.create(place)
    packages = sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)})
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(place / "bin/python")]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    (Path(packages) / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = run(place / "bin/python", "-c", "import cometfs; print(cometfs.__file__)")
    assert Path(where.strip()).is_relative_to(place)
    return place


def names(wheel: Path) -> list[str]:
    return sorted(zipfile.ZipFile(wheel).namelist())


def test_a_wheel_from_an_sdist_has_the_same_files(wheel: Path, tmp_path: Path) -> None:
    """A page of the manual and a man page for each, too."""
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path], cwd=ROOT, check=True)
    (sdist,) = tmp_path.glob("*.tar.gz")
    found = names(wheel)
    assert names(build(sdist, tmp_path)) == found
    pages = {path.name for path in (ROOT / "src/cometfs/manual").iterdir()}
    assert {f"cometfs/manual/{page}" for page in pages} <= set(found)
    made = {Path(name).name for name in found if "/data/share/man/man1/" in name}
    assert {"cometfs.1", *(f"cometfs-{command}.1" for command in COMMANDS)} <= made


def test_a_wheel_lists_what_it_depends_on(wheel: Path) -> None:
    """As PEP 770 has it, so that scanners of an environment find it."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if ".dist-info/sboms/" in name]
        assert archive.read(name) == (ROOT / "scripts/cometfs.cdx.json").read_bytes()


def test_the_manual_is_shown(installed: Path) -> None:
    """The page on semantics, as it stands in the checkout."""
    assert run(installed / "bin/cometfs", "help", "semantics") == (
        (ROOT / "src/cometfs/manual/semantics.md").read_text()
    )


def test_every_man_page_can_be_read(installed: Path) -> None:
    """By `man`, without a warning of groff's; it has the name, the options and their help."""
    if shutil.which("man") is None or not run("man", "--version").startswith("man "):
        pytest.skip("man is not installed here")  # images of Ubuntu have a script in its place that says so
    for page in sorted((installed / "share/man/man1").glob("*.1")):
        done = subprocess.run(["man", "--warnings=w", "-l", page], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"{page.stem} - " in " ".join(done.stdout.split())
        assert "Show this message and exit." in done.stdout
    assert "--live-interval" in run("man", "-l", installed / "share/man/man1/cometfs-mount.1")
    assert "cometfs help troubleshooting" in run("man", "-l", installed / "share/man/man1/cometfs.1")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    found = Stage(tmp_path)
    yield found
    clean_up(found, tmp_path / "comet-demo")


def test_the_demo_starts_there(installed: Path, stage: Stage) -> None:
    """With the sample that came in the wheel."""
    place, tour = stage.home / "comet-demo", stage.home / "tour.txt"
    with tour.open("wb") as output:
        demo = subprocess.Popen(
            [installed / "bin/cometfs", "demo", place],
            cwd="/",
            env={**stage.environ, "PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    await_that(lambda: demo.poll() is not None or "Ctrl-C" in tour.read_text(), "no tour was printed")
    assert is_mounted(place), tour.read_text()
    assert "epoch 30/30" in (place / "vision-lab/digits/mlp-baseline/output.txt").read_text()
    demo.send_signal(signal.SIGINT)
    assert demo.wait(PATIENCE) == 0
