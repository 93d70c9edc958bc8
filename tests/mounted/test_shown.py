"""What README.md and the demo's tour show is what really appears."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cometfs.tour import STOPS
from tests.mounted.processes import Mounted
from tests.mounted.spawning import inside

README = (Path(__file__).parents[2] / "README.md").read_text()


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(inside(folder, "bash", "-c", command), capture_output=True, text=True, check=False)


def test_the_transcript_of_the_readme_is_what_appears(warm: Mounted) -> None:
    """Every command of the console block prints, on the sample, just what stands below it."""
    (block,) = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    commands = re.findall(r"\$ (.*)\n((?:(?!\$ ).*\n)*)", block)
    assert len(commands) > 3
    for command, printed in commands:
        assert run(command, warm.path).stdout == printed, command


@pytest.mark.parametrize("command", [command for command, _ in STOPS])
def test_every_stop_of_the_tour_works(warm: Mounted, command: str, tmp_path: Path) -> None:
    """Each prints something and complains of nothing; diff's 1 means that it found what it is to show."""
    if shutil.which(command.split()[0]) is None:
        pytest.skip(f"{command.split()[0]} is not installed here")
    done = run(command.replace("/tmp/", f"{tmp_path}/"), warm.path)
    assert done.returncode == (1 if command.startswith("diff") else 0), done.stderr
    assert done.stderr == ""
    assert done.stdout or any(tmp_path.iterdir())
