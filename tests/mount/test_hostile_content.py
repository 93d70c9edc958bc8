"""A Comet whose names and texts are chosen to do harm: nothing leaves the mount, hides another, or reaches a terminal.

Pages and pictures of such texts are in browser/ and unit/test_plots.py, names as values in unit/test_names.py.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.mount.test_foreign_text import bears
from tests.support.faulty_comet import Answer, Faults, faulty_comet
from tests.support.processes import COMETFS, PATIENCE, Comet, Mounted, running_mount

PROJECT = "vision-lab/digits"
TITLE = "\x1b]0;owned\x07"
NAMES = [
    *("..", ".", "/", "//", "a/b", "../../../../etc/passwd", "/etc/passwd", "~", "-rf", "*", "$(touch owned)", "`id`"),
    *("a\x00b", "a\nb", f"{TITLE}x", "\x9b2J", "\u202egnp.exe", "a\tb", " ", "%2E%2E", "%", "%41", "A"),
    *("n" * 10_000, "\u65e5" * 10_000, "n" * 9_999 + ".csv", unicodedata.normalize("NFC", "é"), "e\u0301"),
    *("project.json", "README.md", "experiments.csv", "archived", ".api", ".git", ".cometfs", "summary", "views"),
    *("=1+1", "@SUM(A1)", "+1", "-1", "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a,b;\"c'", "NUL"),
]


def row_of(first: dict[str, Any], key: int, **fields: Any) -> dict[str, Any]:
    return {**first, "experimentKey": f"{key:032x}", **fields}


def hostile_experiments(answer: Any, _query: dict[str, str]) -> Any:
    if not answer["experiments"]:
        return answer  # the archived ones
    first = answer["experiments"][0]
    return {"experiments": [row_of(first, key, experimentName=name) for key, name in enumerate(NAMES)]}


def hostile_assets(answer: Any, _query: dict[str, str]) -> Any:
    """Each name twice: they must be told apart as well."""
    first = answer["assets"][0] | {"type": "asset", "step": None, "remote": False, "fileSize": 3, "link": None}
    several = [*NAMES, *NAMES]
    return {"assets": [{**first, "fileName": name, "assetId": f"{at:032x}"} for at, name in enumerate(several)]}


def hostile_columns(answer: Any, _query: dict[str, str]) -> Any:
    return {"columns": [{"name": name, "source": source} for name in NAMES for source in ("metrics", "tag")]}


def hostile_summary(answer: Any, _query: dict[str, str]) -> Any:
    return {"values": [{**answer["values"][0], "name": name} for name in NAMES]}


def hostile_values(answer: Any, _query: dict[str, str]) -> Any:
    return {"values": [{**answer["values"][0], "name": name, "valueCurrent": name} for name in NAMES]}


def hostile_workspaces(answer: Any, _query: dict[str, str]) -> Any:
    return {"workspaceNames": [*NAMES, "vision-lab"]}


def hostile_projects(answer: Any, _query: dict[str, str]) -> Any:
    if answer is None:
        return {"projects": []}
    first, *others = answer["projects"]
    about = f"{TITLE}\n# forged"
    hostile = [
        {**first, "projectName": name, "projectId": f"{at:032x}", "projectDescription": about}
        for at, name in enumerate(NAMES)
    ]
    return {"projects": [first | {"projectDescription": about}, *others, *hostile]}


def hostile_tags(answer: Any, _query: dict[str, str]) -> Any:
    return {"tags": NAMES}


EDITS = {
    "workspaces": hostile_workspaces,
    "projects": hostile_projects,
    "experiments": hostile_experiments,
    "experiment/asset/list": hostile_assets,
    "project/column-names": hostile_columns,
    "experiment/metrics/summary": hostile_summary,
    "experiment/parameters": hostile_values,
    "experiment/log-other": hostile_values,
    "experiment/tags": hostile_tags,
}


def as_first(faults: Faults) -> None:
    """Questions about experiments that are made up here are answered as about one that is there."""

    def layer(request: Any, behind: Any) -> Answer:
        key = request.query.get("experimentKey", "")
        if not key.startswith("0" * 20):
            return behind(request)  # type: ignore[no-any-return]
        target = request.target.replace(key, "50d3a93fdfbc7f162d0165d3174ee601")
        return behind(type(request)(target, request.body))  # type: ignore[no-any-return]

    faults.layers.append(layer)


@contextmanager
def hostile_comet(comet: Comet, *endpoints: str) -> Iterator[tuple[Comet, Faults]]:
    with faulty_comet(comet) as (before, faults):
        as_first(faults)
        faults.edits |= {endpoint: EDITS[endpoint] for endpoint in endpoints}
        yield before, faults


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, comet: Comet) -> Iterator[Mounted]:
    """A mount in which everything has such names."""
    with hostile_comet(comet, *EDITS) as (before, faults):
        faults.answers["get-asset"] = Answer(200, b"abc", "application/octet-stream")
        with running_mount(tmp_path_factory.mktemp("hostile"), before) as mounted:
            yield mounted


def entries(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


def original(name: str) -> str:
    """What a name in a directory stands for, by the rules of the manual."""
    return unquote(name, errors="surrogateescape") if "%" in name else name


TOO_LONG = "\u65e5" * 50
"""How names begin of which no address can be made: 90,000 characters, escaped."""

SHORT = [name for name in NAMES if len(name.encode()) <= 255]


def test_every_experiment_is_there_under_a_name_of_its_own(hostile: Mounted) -> None:
    """All, each once, beside what else is there; names that fit can be undone."""
    project = hostile / PROJECT
    found = {name for name in entries(project) if os.getxattr(project / name, "user.comet.key").startswith(b"0000")}
    found = {name for name in found if (project / name).is_dir() and (project / name / "url.txt").is_file()}
    found -= {"archived", "charts", "summary", "views"}
    assert len(found) == len(NAMES)
    assert {original(name) for name in found} >= set(SHORT)
    assert {"project.json", "README.md", "archived", "summary", "views"} <= set(entries(project))
    assert len(entries(project / "views/by-key")) == len(NAMES)


def test_every_workspace_and_project_is_there(hostile: Mounted) -> None:
    """One that is called as what the mount has itself is another one."""
    root = entries(hostile.path)
    assert {original(name) for name in root} >= set(SHORT)
    assert len(root) == len(NAMES) + len(("README.md", "vision-lab", ".api", ".cometfs"))
    assert (hostile / ".cometfs/status.json").is_file()
    projects = entries(hostile / "vision-lab")
    assert {original(name) for name in projects} >= set(SHORT)


def test_every_asset_is_there_below_its_directory(hostile: Mounted) -> None:
    """`..` and `/` make folders inside of it, at most; two of one name are two files."""
    assets = hostile / PROJECT / "A/assets"
    files = [Path(folder) / name for folder, _, names in os.walk(assets) for name in names]
    assert len(files) == 2 * len(NAMES)
    assert {path.read_bytes() for path in files} == {b"abc"}
    assert all(path.resolve().is_relative_to(assets) for path in files)


def test_every_tag_and_metric_is_there(hostile: Mounted) -> None:
    """In views, in charts, in metrics/."""
    assert {original(name) for name in entries(hostile / PROJECT / "views/by-tag")} >= set(SHORT)
    for place, suffix in ((hostile / PROJECT / "charts", ".svg"), (hostile / PROJECT / "A/metrics", ".csv")):
        files = [name for _, _, names in os.walk(place) for name in names if name.endswith(suffix)]
        assert len(files) >= len(NAMES), place


def test_every_link_leads_to_what_is_in_the_mount(hostile: Mounted) -> None:
    """By key, by tag, by state, the latest one."""
    views = hostile / PROJECT / "views"
    tops = [views, *(views / name for name in ("by-key", "finished"))]
    links = [link for top in tops for link in top.iterdir() if link.is_symlink()]
    assert len(links) > len(NAMES)
    assert all(link.resolve(strict=True).is_relative_to(hostile / PROJECT) for link in links)


def test_a_walk_bears_every_name(hostile: Mounted) -> None:
    """`ls -lR` and `find` of all of it end with 0; no name has a control character."""
    for command in (["find", str(hostile / PROJECT), "-maxdepth", "3"], ["ls", "-R", str(hostile / PROJECT / "A")]):
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        assert not set(done.stdout.decode()) & set(map(chr, [*range(10), *range(11, 32), *range(0x7F, 0xA0)]))


def test_a_copy_stays_where_it_is_made(tmp_path: Path, hostile: Mounted) -> None:
    """By cp and by tar: nothing beside it, and as many files."""
    place = hostile / PROJECT / "A/assets"
    for number, command in enumerate(("cp -r {0} copy", "tar cf - -C {0} . | tar xf - -C copy")):
        room = tmp_path / str(number)
        (room / "copy").mkdir(parents=True)
        done = subprocess.run(["sh", "-c", command.format(place)], cwd=room, timeout=PATIENCE, check=False)
        assert done.returncode == 0
        assert entries(room) == ["copy"]
        assert sum(len(names) for _, _, names in os.walk(room)) == 2 * len(NAMES)


def test_tables_hold_what_was_logged(hostile: Mounted) -> None:
    """Formulas, markup and line ends as they are: a reader of CSV gets the text that Comet has."""
    with (hostile / PROJECT / "experiments.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in sorted(rows, key=lambda row: row["key"])] == NAMES
    values = json.loads((hostile / PROJECT / "A/params.json").read_text())
    assert values["=1+1"] == "=1+1"
    assert values[NAMES[5]] == NAMES[5]
    lines = (hostile / PROJECT / "experiments.jsonl").read_text().splitlines()
    assert {json.loads(line)["other.@SUM(A1)"] for line in lines} == {"@SUM(A1)"}


def test_pages_have_markup_of_ours_alone(hostile: Mounted) -> None:
    """In overview.html, in charts and in plots."""
    page = (hostile / PROJECT / "overview.html").read_text()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert(1)" in page
    pictures = [Path(at) / one for at, _, names in os.walk(hostile / PROJECT / "A/plots") for one in names]
    assert len(pictures) == len(NAMES)
    shown = [picture.read_bytes().lower() for picture in pictures if not picture.name.startswith(TOO_LONG)]
    assert len(shown) > len(NAMES) - 3
    assert not [picture for picture in shown if b"<script" in picture]


def test_readme_of_a_project_gives_a_terminal_no_command(hostile: Mounted) -> None:
    """It has the project's name and description."""
    written = (hostile / PROJECT / "README.md").read_bytes()
    assert b"owned" in written
    assert bears(written)


def test_doctor_gives_a_terminal_no_command(tmp_path: Path, comet: Comet) -> None:
    """Nor its report."""
    own = {"COMET_API_KEY": "k", "XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    with hostile_comet(comet, *EDITS) as (before, faults):
        faults.answers["experiment/html"] = Answer(403, json.dumps({"msg": f"{TITLE}\n\x9b2J", "code": 403}).encode())
        command = [*COMETFS, "doctor", "--account", "--yes", "--url", before.url]
        done = subprocess.run(
            command, env={**os.environ, **own}, cwd=tmp_path, capture_output=True, timeout=PATIENCE, check=False
        )
    assert done.stdout
    assert all(map(bears, (done.stdout, done.stderr, (tmp_path / "cometfs-doctor.json").read_bytes())))


def test_nothing_is_kept_outside_the_cache(tmp_path: Path, comet: Comet) -> None:
    """Whatever ids and names a server sends: the files of a mount are in its folders, and none bears such a name."""

    def ids(answer: Any, _query: dict[str, str]) -> Any:
        rows = hostile_assets(answer, {})["assets"]
        return {"assets": [row | {"assetId": name} for row, name in zip(rows, NAMES, strict=False)]}

    home = tmp_path / "a/b/c/d/e"
    home.mkdir(parents=True)
    with hostile_comet(comet) as (before, faults):
        faults.edits["experiment/asset/list"] = ids
        faults.answers["get-asset"] = Answer(200, b"abc", "application/octet-stream")
        with running_mount(home, before) as mounted:
            assets = mounted / PROJECT / "mlp-baseline/assets"
            for folder, _, names in os.walk(assets):
                for name in names:
                    if not name.startswith(TOO_LONG):
                        assert (Path(folder) / name).read_bytes() == b"abc"
            assert (mounted / PROJECT / "experiments.csv").read_bytes()
        outside = [path for path in tmp_path.rglob("*") if not path.is_relative_to(home) and path not in home.parents]
        assert outside == []
        kept = [path.name for path in home.rglob("*")]
        assert not [name for name in kept if {"passwd", "owned"} & {name, name.rpartition(".")[0]}]
