"""What is changed through a mount, comet_ml's own API reads back."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.changed_experiments import OTHER, PROJECT, WORKSPACE, Experiments, changing_comet, sh
from tests.support.comet_ml_client import run
from tests.support.processes import running_mount

COMMANDS = """
mv one renamed
echo best >> renamed/tags.txt
vim -N -u NONE -es -c '%s/"first"/"second"/' -c wq renamed/others.json < /dev/null
sed -i /old/d two/tags.txt
mv two archived/
mv three ../elsewhere/moved
mv archived/two . && mv two archived/two-again
"""


def test_comet_ml_reads_back_what_is_changed(tmp_path: Path) -> None:
    """Names, tags, others, projects, the archive."""
    with changing_comet(tmp_path) as comet:
        experiments = Experiments(comet)
        keys = [experiments.make(name, "old", note="first") for name in ("one", "two", "three")]
        with running_mount(tmp_path, comet, "--rw") as mounted:
            done = sh(f"set -e; {COMMANDS}", mounted / WORKSPACE / PROJECT)
            assert (done.returncode, done.stderr) == (0, "")
        found = json.loads(run("read_changes.py", *keys, folder=tmp_path, url=comet.url))
    common = {"project": PROJECT, "archived": False, "note": "first"}
    assert found == [
        common | {"name": "renamed", "tags": ["best", "old"], "note": "second"},
        common | {"name": "two-again", "tags": [], "archived": True},
        common | {"name": "moved", "tags": ["old"], "project": OTHER},
    ]
