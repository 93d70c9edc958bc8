"""The recipes for Slurm of `cometfs help cluster` run: a fake `sbatch` starts each job's script with bash at once.

What the scripts and manifests may say: unit/test_recipes_for_clusters.py.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE, Comet, Mounted
from tests.support.subprocesses import Stage, clean_up, mounts_at

PAGE = (Path(__file__).parents[2] / "src/cometfs/manual/cluster.md").read_text("utf-8")

PROJECT = "vision-lab/digits"

TASKS = 2

COMMANDS = {
    "sbatch": f"""#!{sys.executable}
import os, re, shutil, subprocess, sys
script = shutil.copy(sys.argv[-1], "submitted.sh")  # which sbatch copies, too
last = re.search(r"^#SBATCH --array=0-([0-9]+)$", open(script).read(), re.MULTILINE)
with open("jobs.txt", "a") as output:
    for task in range(int(last[1]) + 1 if last else 1):
        environ = {{**os.environ, "SLURM_ARRAY_TASK_ID": str(task)}}
        running = subprocess.Popen(["bash", script], stdout=output, stderr=output, env=environ)
        if "--wait" in sys.argv:
            assert running.wait() == 0
print("Submitted batch job", running.pid)
""",
    "scancel": '#!/bin/sh\nkill "$@"\n',
    "srun": '#!/bin/sh\nexec "$@"\n',
}
"""A scheduler of one machine, which starts each job at once."""

SUMMARIZE = """
import sys, fsspec
fs = fsspec.filesystem("comet")
paths = fs.glob("vision-lab/digits/*/params.json")[int(sys.argv[1]) :: 2]
print(*fs.cat(paths), sep="\\n")
"""


@pytest.fixture
def stage(comet: Comet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A home with the file of the key, and the commands of Slurm on the path."""
    for name, text in COMMANDS.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config/comet-key").write_text("test-key")
    (tmp_path / ".config/comet-key").chmod(0o600)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("COMETFS_URL", comet.url)
    monkeypatch.setenv("DASK_JOBQUEUE__SLURM__INTERFACE", "lo")
    found = Stage(tmp_path)
    yield found
    clean_up(found)


def recipe(language: str, word: str) -> str:
    """The one with this word in it, about the sample's project."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    text: str
    (text,) = [one for one in found if word in one]
    return text.replace("acme/vision", PROJECT)


def run(stage: Stage, *command: str) -> str:
    """What it prints; it succeeds."""
    done = subprocess.run(
        command, cwd=stage.home, env=stage.environ, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def submitted(stage: Stage, script: str) -> list[str]:
    """The lines that a job prints to its end."""
    (stage.home / "job.sh").write_text(script)
    assert run(stage, "sbatch", "--wait", "job.sh").startswith("Submitted batch job")
    return (stage.home / "jobs.txt").read_text().splitlines()


def test_tasks_of_an_array_read_their_parts(stage: Stage, warm: Mounted) -> None:
    (stage.home / "summarize.py").write_text(SUMMARIZE)
    printed = submitted(stage, recipe("sh", "--array").replace("0-9", f"0-{TASKS - 1}"))
    assert sorted(printed) == sorted(
        str(path.relative_to(warm.path)) for path in (warm / PROJECT).glob("*/params.json")
    )


def test_a_job_mounts_and_unmounts(stage: Stage) -> None:
    """Nothing is left mounted, and no daemon."""
    printed = submitted(stage, recipe("sh", "cometfs mount"))
    assert f"/{PROJECT}/mlp-wide-76e61c8b/params.json" in " ".join(printed)
    assert all(line.endswith("/params.json") for line in printed)
    assert mounts_at(Path(printed[0].partition(f"/{PROJECT}")[0])) == 0
    stage.await_no_process()


def test_dask_has_jobs_for_workers(stage: Stage, warm: Mounted) -> None:
    (stage.home / "program.py").write_text(recipe("python", "SLURMCluster").replace("jobs=10", "jobs=1"))
    printed = run(stage, sys.executable, "program.py")
    with_it = {path.parents[1].name for path in (warm / PROJECT).glob("*/metrics/loss.csv")}
    assert with_it
    assert all(name.partition("-")[0] in printed for name in with_it)
    stage.await_no_process()
