"""Every file of the mounted sample holds what the archives hold, under the name that the design gives it."""

from __future__ import annotations

import csv
import json
import os
import re
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.support.archive_contents import Archive, Asset, folders, quoted, read_archives
from tests.support.processes import Comet, Mounted

JSON_BARE = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?|true|false")
PART_BYTES = 255


class Bare(str):
    """A number of a JSON text, as it is written there."""


@pytest.fixture(scope="module")
def archives(comet: Comet) -> list[Archive]:
    return read_archives(comet.archives)


@pytest.fixture(scope="module")
def places(archives: list[Archive], warm: Mounted) -> dict[str, Path]:
    """The directory of each experiment, by its key."""
    return {key: warm.path / path for key, path in folders(archives).items()}


@pytest.fixture(scope="module")
def hostile(archives: list[Archive]) -> Archive:
    (found,) = [archive for archive in archives if any(asset.name == "../../etc/passwd" for asset in archive.assets)]
    return found


def files(path: Path) -> list[Path]:
    return [Path(folder) / name for folder, _, names in os.walk(path) for name in names]


def answered(comet: Comet, endpoint: str, key: str) -> Any:
    """What Comet itself says, past the mount."""
    url = f"{comet.url}/api/rest/v2/{endpoint}?experimentKey={quoted(key)}"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": "test-key"})) as response:
        return json.load(response)


def original(place: Path, path: Path) -> str:
    """The name of an asset, read back from its path."""
    return "/".join(unquote(part) for part in path.relative_to(place).parts)


# Sizes and names


def test_size_is_the_number_of_bytes_read_for_every_file(warm: Mounted) -> None:
    """Stat before the first read, stat after it and the bytes agree."""
    found = files(warm.path)
    assert len(found) > 200
    for path in found:
        before, content, after = path.stat().st_size, path.read_bytes(), path.stat().st_size
        assert before == len(content) == after, path


def test_every_experiment_has_the_directory_that_its_name_gives_it(
    archives: list[Archive], places: dict[str, Path]
) -> None:
    """Equal names bear the key, no name is the key, `/` and names of fixed files are escaped; nothing else is there."""
    for project in {place.parent for place in places.values()}:
        fixed = {".api", "archived", "charts", "summary", "views"}
        found = {path.name for path in project.iterdir() if path.is_dir()} - fixed
        assert found == {place.name for place in places.values() if place.parent == project}
    names = {place.name for place in places.values()}
    assert {"mlp-wide-76e61c8b", "mlp-wide-80a71956", "%6Eotes.md"} <= names
    assert any("%2F" in name for name in names)
    assert any(place.name == key for key, place in places.items())
    for key, place in places.items():
        assert json.loads((place / "metadata.json").read_bytes())["experimentKey"] == key


def test_root_has_the_workspaces_and_each_its_projects(archives: list[Archive], warm: Mounted) -> None:
    """Two workspaces and three projects, no more; a project's file tells its own name and size."""
    found = {(project.parent.name, project.name) for project in warm.path.glob("[!.]*/[!.]*") if project.is_dir()}
    assert found == {archive.project for archive in archives}
    for workspace, project in found:
        told = json.loads((warm / workspace / project / "project.json").read_bytes())
        count = sum(archive.project == (workspace, project) for archive in archives)
        assert (told["workspaceName"], told["projectName"], told["numberOfExperiments"]) == (workspace, project, count)


# Texts


def test_code_output_report_and_graph_are_what_was_logged(archives: list[Archive], places: dict[str, Path]) -> None:
    """Code is the creating script, output both streams in order, the report all since the last override."""
    for archive in archives:
        place = places[archive.key]
        assert _content(place / "code.py") == archive.code
        assert _content(place / "output.txt") == archive.output.encode()
        assert _content(place / "report.html") == archive.html.encode()
        graphs = [payload["graph"] for payload in archive.of("graph")]
        assert _content(place / "graph.txt").decode().rstrip("\n") == "".join(graphs[-1:]).rstrip("\n")


def test_tags_and_packages_are_one_a_line(archives: list[Archive], places: dict[str, Path]) -> None:
    """In any script, with spaces and slashes; without any, the file is absent or empty."""
    for archive in archives:
        place = places[archive.key]
        assert sorted(_content(place / "tags.txt").decode().splitlines()) == sorted(archive.about["tags"])
        logged = {name for payload in archive.of("installed_packages") for name in payload["installed_packages"]}
        assert logged <= set(_content(place / "requirements.txt").decode().splitlines())


def test_system_tells_the_machine_of_the_run(archives: list[Archive], places: dict[str, Path]) -> None:
    """Host, Python and user are those of the archive."""
    for archive in archives:
        for details in archive.of("system_details"):
            told = json.loads(_content(places[archive.key] / "system.json"))
            for field in ("hostname", "user", "pid", "os", "command"):
                assert told[field] == details[field], field


def test_metadata_and_url_are_those_of_the_experiment(archives: list[Archive], places: dict[str, Path]) -> None:
    """Key, name, project, times; the link ends in the experiment's key."""
    for archive in archives:
        told = json.loads((places[archive.key] / "metadata.json").read_bytes())
        assert (told["workspaceName"], told["projectName"]) == archive.project
        assert told["startTimeMillis"] == archive.about["start_time"]
        assert told["endTimeMillis"] == archive.about["stop_time"]
        if "Name" in archive.others:
            assert told["experimentName"] == archive.others["Name"]
        link = (places[archive.key] / "url.txt").read_text()
        assert re.fullmatch(rf"https?://\S+/{archive.key}\n?", link)


def _content(path: Path) -> bytes:
    """A file that Comet has nothing for may be absent; then its content is nothing."""
    return path.read_bytes() if path.exists() else b""


# Values


@pytest.mark.parametrize(
    ("name", "endpoint"), [("params.json", "experiment/parameters"), ("others.json", "experiment/log-other")]
)
def test_values_are_sorted_one_a_line_with_their_digits(
    name: str, endpoint: str, archives: list[Archive], places: dict[str, Path], comet: Comet
) -> None:
    """A text that is a JSON number, true or false stands bare and unchanged; anything else is a string."""
    for archive in archives:
        text = (places[archive.key] / name).read_text()
        pairs = json.loads(
            text, parse_int=Bare, parse_float=Bare, parse_constant=pytest.fail, object_pairs_hook=lambda pairs: pairs
        )
        expected = {row["name"]: row["valueCurrent"] for row in answered(comet, endpoint, archive.key)["values"]}
        assert [key for key, _ in pairs] == sorted(expected)
        assert len(text.splitlines()) == len(pairs) + 2
        assert all(line.rstrip(",").startswith("  ") for line in text.splitlines()[1:-1])
        for key, value in pairs:
            shown = json.dumps(value) if isinstance(value, bool) else value
            assert shown == expected[key], key
            assert isinstance(value, Bare | bool) == bool(JSON_BARE.fullmatch(expected[key])), (key, value)


def test_parameters_and_others_are_those_of_the_archive(archives: list[Archive], places: dict[str, Path]) -> None:
    """Numbers, booleans and texts survive with type and value; lists are their JSON as a text."""
    for archive in archives:
        for name, logged in (("params.json", archive.params), ("others.json", archive.others)):
            told = json.loads((places[archive.key] / name).read_bytes())
            for key, value in logged.items():
                if isinstance(value, list | dict) or value is None:
                    assert json.loads(told[key]) == value, key
                elif not isinstance(value, str) or not JSON_BARE.fullmatch(value):
                    assert told[key] == value, key
                    assert isinstance(told[key], bool) == isinstance(value, bool), key


def test_every_point_of_every_metric_is_there_in_order(archives: list[Archive], places: dict[str, Path]) -> None:
    """Sorted by step, time and offset, no sampling, empty cells for null; every number has its value."""
    lengths = []
    for archive in archives:
        found = _tables(places[archive.key] / "metrics")
        assert set(found) == set(archive.points)
        for name, points in archive.points.items():
            with found[name].open(newline="") as lines:
                rows = list(csv.reader(lines))
            assert rows[0] == ["step", "epoch", "timestamp_ms", "value"]
            assert len(rows) - 1 == len(points), name
            lengths.append(len(points))
            for row, (step, epoch, time, value) in zip(rows[1:], points, strict=True):
                assert row[:3] == ["" if cell is None else str(cell) for cell in (step, epoch, time)], name
                assert row[3] == value if isinstance(value, str) else float(row[3]) == float(value), name
    assert max(lengths) == 20_000


def test_metrics_summary_tells_last_min_and_max(archives: list[Archive], places: dict[str, Path]) -> None:
    """One entry for each metric, sorted; where all points are finite numbers they are those of the archive."""
    for archive in archives:
        told = json.loads((places[archive.key] / "metrics.json").read_bytes())
        assert list(told) == sorted(archive.points)
        for name, points in archive.points.items():
            values = [value for *_, value in points]
            if all(isinstance(value, int | float) for value in values):
                assert (told[name]["min"], told[name]["max"]) == (min(values), max(values)), name


def _tables(place: Path) -> dict[str, Path]:
    """The CSV of each metric, by the metric's own name."""
    return {original(place, path).removesuffix(".csv"): path for path in files(place)}


# Assets


def test_assets_are_as_many_and_hold_the_same_bytes(archives: list[Archive], places: dict[str, Path]) -> None:
    """Nothing is lost, added or mixed up: the bodies in assets/ are those of the archive, links included."""
    for archive in archives:
        found = Counter(path.read_bytes().rstrip(b"\n") for path in files(places[archive.key] / "assets"))
        assert found == Counter(asset.content.rstrip(b"\n") for asset in archive.assets)


def test_every_asset_stands_under_its_own_name(archives: list[Archive], places: dict[str, Path]) -> None:
    """Unescaping the path gives the asset's name (with step and id where needed), and the bytes are its own."""
    for archive in archives:
        place = places[archive.key] / "assets"
        found = {original(place, path): path for path in files(place)}
        for asset in archive.assets:
            if asset.named and len(asset.name.encode()) < PART_BYTES and asset.name not in (".", ".."):
                name = _expected_name(asset, archive.assets)
                assert name in found, (archive.key, name)
                assert found[name].read_bytes().removesuffix(b"\n") == asset.content.removesuffix(b"\n"), name
                assert asset.remote or found[name].read_bytes() == asset.content, name


def test_dots_alone_can_be_read_back_too(hostile: Archive, places: dict[str, Path]) -> None:
    """Assets named `.` and `..` stand beside folders of these names, escaped reversibly."""
    place = places[hostile.key] / "assets"
    found = {original(place, path): path.read_bytes() for path in files(place)}
    for asset in hostile.assets:
        if asset.name in (".", ".."):
            assert found.get(asset.name) == asset.content, asset.name


def test_remote_assets_are_a_text_with_their_link(archives: list[Archive], places: dict[str, Path]) -> None:
    """`<name>.url` holds the link and nothing else."""
    remote = [(archive, asset) for archive in archives for asset in archive.assets if asset.remote]
    assert len(remote) >= 3
    for archive, asset in remote:
        text = (places[archive.key] / "assets" / f"{asset.name}.url").read_bytes()
        assert text.strip() == asset.content


def test_equal_names_bear_step_and_then_id_before_the_suffix(archives: list[Archive], places: dict[str, Path]) -> None:
    """Four predictions of one name: without a step, at one, and two at another."""
    (archive,) = [archive for archive in archives if any(asset.name == "preds.json" for asset in archive.assets)]
    equal = [asset for asset in archive.assets if asset.name == "preds.json"]
    assert len(equal) == 4
    for asset in equal:
        same = [other for other in equal if other.step == asset.step]
        stem = "preds" + (f"-{asset.step}" if asset.step is not None else "")
        name = f"{stem}-{asset.id[:8]}.json" if len(same) > 1 else f"{stem}.json"
        assert (places[archive.key] / "assets" / name).read_bytes() == asset.content


def test_hostile_names_stay_inside_and_overlong_ones_fit(hostile: Archive, places: dict[str, Path]) -> None:
    """No entry is hidden behind dots, slashes or control characters; a cut name keeps its beginning and its suffix."""
    place = places[hostile.key] / "assets"
    parts = [part for path in files(place) for part in path.relative_to(place).parts]
    for part in parts:
        assert len(part.encode()) <= PART_BYTES
        assert not any(letter < " " for letter in part)
    names = [path.name for path in files(place)]
    for asset in hostile.assets:
        if len(asset.name.encode()) > PART_BYTES:
            (cut,) = [name for name in names if name.startswith(asset.name[:50])]
            assert cut.endswith(".txt")
            assert (place / cut).read_bytes() == asset.content


def _expected_name(asset: Asset, among: list[Asset]) -> str:
    equal = [other for other in among if other.name == asset.name and other.named]
    marks = ""
    if len(equal) > 1:
        marks = f"-{asset.step}" if asset.step is not None else ""
        if sum(other.step == asset.step for other in equal) > 1:
            marks += f"-{asset.id[:8]}"
    folder, slash, last = asset.name.rpartition("/")
    stem, dot, suffix = last.rpartition(".")
    marked = f"{stem}{marks}.{suffix}" if dot and stem else f"{last}{marks}"
    return f"{folder}{slash}{marked}" + (".url" if asset.remote else "")
