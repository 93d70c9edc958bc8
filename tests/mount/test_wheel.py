"""A wheel, installed into an environment of its own outside the checkout: manual, demo, and what is in its share/."""

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
COMMANDS |= {"service", "service-install", "service-remove", "service-status"}


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
    """A page of the manual and a man page for each, too; completions, and units of systemd."""
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path], cwd=ROOT, check=True)
    (sdist,) = tmp_path.glob("*.tar.gz")
    found = names(wheel)
    assert names(build(sdist, tmp_path)) == found
    pages = {path.name for path in (ROOT / "src/cometfs/manual").iterdir()}
    assert {f"cometfs/manual/{page}" for page in pages} <= set(found)
    made = {Path(name).name for name in found if "/data/share/man/man1/" in name}
    assert {"cometfs.1", *(f"cometfs-{command}.1" for command in COMMANDS)} <= made
    shared = {name.partition("/data/share/")[2] for name in found}
    assert shared >= {
        "man/man8/mount.cometfs.8",
        "bash-completion/completions/cometfs",
        "zsh/site-functions/_cometfs",
        "fish/vendor_completions.d/cometfs.fish",
        "systemd/user/cometfs@.service",
        "systemd/system/cometfs@.service",
        "sysusers.d/cometfs.conf",
    }


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
    for page in sorted((installed / "share/man").glob("man[18]/*")):
        done = subprocess.run(["man", "--warnings=w", "-l", page], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"{page.stem} - " in " ".join(done.stdout.split())
        assert page.suffix == ".8" or "Show this message and exit." in done.stdout
    assert "--live-interval" in run("man", "-l", installed / "share/man/man1/cometfs-mount.1")
    assert "cometfs help troubleshooting" in run("man", "-l", installed / "share/man/man1/cometfs.1")


BASH = """
. "$1"
COMP_WORDS=(cometfs service re) COMP_CWORD=2
_cometfs_completion cometfs
echo "${COMPREPLY[@]}"
"""


def test_bash_completes_commands(installed: Path) -> None:
    """By the script that the wheel brings, and the command of the environment."""
    script = installed / "share/bash-completion/completions/cometfs"
    environ = {"PATH": f"{installed / 'bin'}:{os.environ['PATH']}"}
    assert run("env", f"PATH={environ['PATH']}", "bash", "-c", BASH, "bash", script) == "remove\n"


@pytest.mark.parametrize(
    ("shell", "name"), [("zsh", "zsh/site-functions/_cometfs"), ("fish", "fish/vendor_completions.d/cometfs.fish")]
)
def test_other_shells_have_theirs(installed: Path, shell: str, name: str) -> None:
    """Which the shell itself parses, where it is installed."""
    assert "_COMETFS_COMPLETE" in (installed / "share" / name).read_text()
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here")
    run(shell, "-n", installed / "share" / name)


def test_mount_has_a_helper(installed: Path) -> None:
    """A program of its own, which says what it is for; and a unit starts the command that is on its path."""
    done = subprocess.run([installed / "bin/mount.cometfs"], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("cometfs: mount.cometfs is for mount(8): ")
    unit = (installed / "share/systemd/user/cometfs@.service").read_text()
    assert "\nExecStart=/usr/bin/env cometfs mount --foreground --profile %i %h/comet-%i\n" in unit


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
