"""Experiments changed as files are: real programs rename, move, edit and remove; the server is asked what it has."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cometfs.server import sample_directory
from tests.support.processes import PATIENCE, Comet, Mounted, running_comet, running_mount
from tests.support.spawning import inside

WORKSPACE, PROJECT, OTHER = "lab", "changing", "elsewhere"


class Experiments:
    """Experiments of two projects of a Comet, made and looked at over the wire."""

    def __init__(self, comet: Comet) -> None:
        self.comet = comet
        for project in (PROJECT, OTHER):
            self.ask("write/project/create", {"workspaceName": WORKSPACE, "projectName": project})

    def ask(self, endpoint: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": "any", "Content-Type": "application/json"}
        asked = urllib.request.Request(f"{self.comet.url}/api/rest/v2/{endpoint}", data, headers)
        with urllib.request.urlopen(asked, timeout=PATIENCE) as reply:
            return json.load(reply)

    def make(self, name: str, *tags: str, project: str = PROJECT, **others: str) -> str:
        made = {"workspaceName": WORKSPACE, "projectName": project, "experimentName": name}
        key: str = self.ask("write/experiment/create", made)["experimentKey"]
        self.tag(key, *tags)
        for other, value in others.items():
            self.ask("write/experiment/log-other", {"experimentKey": key, "key": other, "value": value})
        return key

    def tag(self, key: str, *tags: str) -> None:
        self.ask("write/experiment/tags", {"experimentKey": key, "addedTags": list(tags)})

    def place(self, key: str) -> tuple[str, str, bool]:
        """Name, project, and whether it is archived."""
        row = self.ask(f"experiment/metadata?experimentKey={key}")
        return row["experimentName"], row["projectName"], row["archived"]

    def tags(self, key: str) -> list[str]:
        return sorted(self.ask(f"experiment/tags?experimentKey={key}")["tags"])

    def others(self, key: str) -> dict[str, str]:
        rows = self.ask(f"experiment/log-other?experimentKey={key}")["values"]
        return {row["name"]: row["valueCurrent"] for row in rows}


def sh(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(inside(folder, "bash", "-c", command), capture_output=True, text=True, timeout=PATIENCE)


def errors_of(mounted: Mounted) -> list[str]:
    """The sentences of `.cometfs/errors.log`."""
    return [line.split("\t")[-1] for line in (mounted / ".cometfs/errors.log").read_text().splitlines()]


@pytest.fixture(scope="module")
def comet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comet]:
    folder = tmp_path_factory.mktemp("changing")
    archives = folder / "archives"
    archives.mkdir()
    shutil.copy(next(sample_directory().glob("*.zip")), archives)
    with running_comet(folder, archives=archives) as running:
        yield running


@pytest.fixture(scope="module")
def experiments(comet: Comet) -> Experiments:
    return Experiments(comet)


@pytest.fixture(scope="module")
def rw(tmp_path_factory: pytest.TempPathFactory, comet: Comet, experiments: Experiments) -> Iterator[Mounted]:
    with running_mount(tmp_path_factory.mktemp("rw"), comet, "--rw") as mounted:
        yield mounted


@pytest.fixture
def project(rw: Mounted) -> Path:
    """A project whose listing is asked for anew, for tests that make experiments at the server."""
    folder = rw / WORKSPACE / PROJECT
    for path in (rw / WORKSPACE, folder, folder.with_name(OTHER)):
        path.touch()
    return folder


def test_a_directory_that_is_renamed_renames_its_experiment(rw: Mounted, experiments: Experiments) -> None:
    """It keeps its inode, a program that stands in it, and open files; links and tables follow."""
    key = experiments.make("first", "old")
    project = rw / WORKSPACE / PROJECT
    project.touch()
    number = (project / "first").stat().st_ino
    assert "first" in (project / "experiments.csv").read_text()
    with (project / "first/metadata.json").open() as opened:
        done = sh("cd first && mv ../first ../second && cat tags.txt && ls -d ../second && pwd -P", project)
        assert opened.read().count('"first"') == 1
    assert done.stdout.split() == ["old", "../second", str(project / "second")], done.stderr
    assert experiments.place(key) == ("second", PROJECT, False)
    assert (project / "second").stat().st_ino == number
    assert not (project / "first").exists()
    assert (project / "views/by-key" / key).resolve() == project / "second"
    assert json.loads((project / "second/metadata.json").read_text())["experimentName"] == "second"
    assert "second" in (project / "experiments.csv").read_text()
    assert rw.log.read_text() == ""


@pytest.mark.parametrize(
    ("command", "tags"),
    [
        ("echo new >> {}", ["a", "b", "new"]),
        ("echo new > {}", ["new"]),
        (": > {}", []),
        ("printf 'b\\n\\nb\\n  \\nc' > {}", ["b", "c"]),
        ("sed -i s/a/x/ {}", ["b", "x"]),
        ("vim -N -u NONE -es -c '%s/a/x/' -c wq {} < /dev/null", ["b", "x"]),
        ("perl -pi -e s/a/x/ {}", ["b", "x"]),
        ("echo n | tee -a {} > /dev/null", ["a", "b", "n"]),
        ("truncate -s 2 {}", ["a"]),
        ("printf 'c\\n' > /tmp/$$; cp -p /tmp/$$ {}; rm /tmp/$$", ["c"]),
    ],
)
def test_tags_are_edited_as_lines(
    rw: Mounted, project: Path, experiments: Experiments, command: str, tags: list[str]
) -> None:
    """They are at the server when the program has closed the file, and the file shows them; nothing else is left."""
    key = experiments.make("tagged", "a", "b")
    folder = rw / WORKSPACE / PROJECT / "views/by-key" / key
    listed = sorted(path.name for path in folder.iterdir())
    done = sh(command.format("tags.txt"), folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert experiments.tags(key) == tags
    assert (folder / "tags.txt").read_text() == "".join(f"{tag}\n" for tag in tags)
    assert (folder / "tags.txt").stat().st_size == len((folder / "tags.txt").read_bytes())
    assert sorted(path.name for path in folder.iterdir()) == listed
    assert rw.log.read_text() == ""
