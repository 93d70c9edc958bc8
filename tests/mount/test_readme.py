"""What README.md and the manual's recipes show is what really appears. Not here: the demo's tour (test_demo.py)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import Mounted
from tests.support.spawning import inside

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
RECIPES = (ROOT / "src/cometfs/manual/recipes.md").read_text()

PROJECT = "vision-lab/digits"
"""Of the sample; recipes are commands to be run in it."""

TERMINAL = 'ls() { command ls -C -T 0 -w 100 "$@"; }'
"""What `ls` prints on a terminal of 100 columns."""


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        inside(folder, "bash", "-c", command),
        env=os.environ | {"LC_ALL": "C.UTF-8", "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def blocks(language: str, text: str) -> list[str]:
    """What stands between fences of that language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_transcript_of_the_readme_is_what_appears(warm: Mounted) -> None:
    """The commands of the console block print, on the sample and in one shell, just what stands below each."""
    (block,) = blocks("console", README)
    commands = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    assert len(commands) > 3
    done = run("\n".join([TERMINAL, *(f"{command}; printf '\\0'" for command, _ in commands)]), warm.path)
    assert done.stderr == ""
    for (command, shown), printed in zip(commands, done.stdout.split("\0"), strict=False):
        assert printed == shown, command


def shell_recipes() -> list[str]:
    """Each line of the blocks: those of README.md in its section, and all of the manual's page."""
    text = README.split("## Recipes\n")[1].split("\n## ")[0] + RECIPES
    return [line for block in blocks("sh", text) for line in block.splitlines()]


@pytest.mark.parametrize("recipe", shell_recipes())
def test_every_recipe_for_the_shell_works(warm: Mounted, recipe: str, tmp_path: Path) -> None:
    """On the sample as it stands. What follows a file is not waited for: the end of the file is what matters here."""
    if shutil.which(recipe.split()[0]) is None:
        pytest.skip(f"{recipe.split()[0]} is not installed here")
    done = run(recipe.replace("/tmp/", f"{tmp_path}/").replace("tail -f", "tail"), warm.path / PROJECT)
    assert done.stderr == ""
    assert done.returncode == (1 if recipe.startswith("diff") else 0)
    assert done.stdout or any(tmp_path.iterdir())


@pytest.mark.parametrize("recipe", blocks("python", RECIPES))
def test_every_recipe_in_python_works(warm: Mounted, recipe: str) -> None:
    """It prints something."""
    command = inside(warm.path / PROJECT, sys.executable, "-c", recipe)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
