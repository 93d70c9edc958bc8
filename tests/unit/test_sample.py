"""The sample's archives hold what the demo and the other tests count on, and nothing of the machine that made them.

Reads the committed zips with zipfile and json alone: neither comet_ml nor our own reader of archives is asked.
"""

from __future__ import annotations

import io
import json
import re
import sqlite3
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

SAMPLE = Path(__file__).parents[2] / "src" / "cometfs" / "server" / "sample"
REGLAGE = "réglage fin / σ=0.5 (été 2026)"
Payload = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Experiment:
    """One archive, read once."""

    key: str
    members: dict[str, bytes]
    compression: set[int]

    @cached_property
    def about(self) -> dict[str, Any]:
        return dict(json.loads(self.members["experiment.json"]))

    @cached_property
    def messages(self) -> list[tuple[str, Payload]]:
        lines = map(json.loads, self.members["messages.json"].decode().splitlines())
        return [(line["type"], line["payload"]) for line in lines]

    def of(self, kind: str) -> list[Payload]:
        return [payload for found, payload in self.messages if found == kind]

    @cached_property
    def name(self) -> str | None:
        return self.others.get("Name")

    @cached_property
    def others(self) -> dict[str, Any]:
        return {payload["key"]: payload["value"] for payload in self.of("log_other")}

    @cached_property
    def params(self) -> dict[str, Any]:
        found = [payload.get("param") or payload["params"] for payload in self.of("parameter_msg")]
        return {param["paramName"]: param["paramValue"] for param in found}

    @cached_property
    def metrics(self) -> list[dict[str, Any]]:
        return [{"context": payload.get("context"), **payload["metric"]} for payload in self.of("metric_msg")]

    def uploads(self, kind: str) -> list[tuple[dict[str, Any], bytes]]:
        found = [payload for payload in self.of("file_upload") if payload["upload_type"] == kind]
        return [(payload["additional_params"] or {}, self.members[payload["file_path"]]) for payload in found]

    def assets(self) -> dict[str, list[tuple[Any, bytes]]]:
        """Return (step, content) of each plain asset by name."""
        found: dict[str, list[tuple[Any, bytes]]] = {}
        for params, content in [*self.uploads("asset"), *self.uploads("dataframe")]:
            found.setdefault(params["fileName"], []).append((params["step"], content))
        return found


def read(path: Path) -> Experiment:
    with zipfile.ZipFile(path) as archive:
        members = {item.filename: archive.read(item) for item in archive.infolist()}
        return Experiment(path.stem, members, {item.compress_type for item in archive.infolist()})


@pytest.fixture(scope="module")
def sample() -> list[Experiment]:
    return sorted(map(read, SAMPLE.glob("*.zip")), key=lambda experiment: experiment.about["start_time"])


@pytest.fixture(scope="module")
def named(sample: list[Experiment]) -> dict[str | None, Experiment]:
    return {experiment.name: experiment for experiment in sample}


def contents(sample: list[Experiment]) -> Iterator[tuple[str, bytes]]:
    """Yield every member, and what is inside of members that are zips."""
    for experiment in sample:
        for name, content in experiment.members.items():
            yield f"{experiment.key}/{name}", content
            if content.startswith(b"PK\x03\x04"):
                with zipfile.ZipFile(io.BytesIO(content)) as inner:
                    yield from ((f"{experiment.key}/{name}/{item}", inner.read(item)) for item in inner.namelist())


# What a clone and a wheel can bear, and what an archive is


def test_archives_are_five_megabytes_at_most() -> None:
    """A clone and a wheel carry all of them."""
    assert 0 < sum(path.stat().st_size for path in SAMPLE.glob("*.zip")) <= 5_000_000


def test_archives_are_flat_stored_and_named_for_their_key(sample: list[Experiment]) -> None:
    """They have the shape that OfflineExperiment writes: no folders, no compression."""
    for experiment in sample:
        assert experiment.about["offline_id"] == experiment.key
        assert re.fullmatch("[0-9a-f]{32}", experiment.key)
        assert experiment.compression == {zipfile.ZIP_STORED}
        assert not any("/" in name for name in experiment.members)


def test_every_blob_belongs_to_a_message_and_every_message_to_a_blob(sample: list[Experiment]) -> None:
    """No file is left over, none is missing."""
    for experiment in sample:
        named = {payload["file_path"] for payload in experiment.of("file_upload")}
        for scene in experiment.of("3d-image"):
            named |= {scene["thumbnail_path"], *(item["file_path"] for item in scene["items"])}
        assert named == set(experiment.members) - {"experiment.json", "messages.json"}


def test_times_lie_in_2026_and_inside_their_experiment(sample: list[Experiment]) -> None:
    """Every run has its own hours, and its messages follow one another within them."""
    for experiment in sample:
        start, stop = experiment.about["start_time"], experiment.about["stop_time"]
        times = [payload["local_timestamp"] for _, payload in experiment.messages if "local_timestamp" in payload]
        assert 1_767_225_600_000 < start < stop < 1_798_761_600_000
        assert [start, *times, stop] == sorted([start, *times, stop])
    lengths = {experiment.about["stop_time"] - experiment.about["start_time"] for experiment in sample}
    assert len(lengths) == len(sample)
    assert max(lengths) > 3_600_000 > 60_000 > min(lengths)


# Nothing of the machine


def test_no_member_tells_of_the_machine_that_made_it(sample: list[Experiment]) -> None:
    """No path, no user and no chatter of comet_ml's, in zips within the zips either."""
    for where, content in contents(sample):
        for trace in (b"/tmp/", b"/root", b"/home/", b"COMET INFO", b"COMET WARNING", b"site-packages"):
            left = content.replace(b"/home/ada/", b"").replace(b".venv/lib/python3.11/site-packages/numpy/", b"")
            assert trace not in left, (where, trace)


def test_no_address_but_the_one_reserved_for_documentation(sample: list[Experiment]) -> None:
    """Nobody's address is in there, and no credentials in a link."""
    for experiment in sample:
        text = experiment.members["messages.json"].decode()
        assert set(re.findall(r"\b\d{1,3}(?:\.\d{1,3}){3}\b", text)) <= {"192.0.2.10"}
        assert not re.search(r"//[^/\s\"]*@", text)


def test_system_is_one_that_never_was(sample: list[Experiment]) -> None:
    """Host, user, packages are made up, and short."""
    for experiment in sample:
        for system in experiment.of("system_details"):
            assert (system["hostname"], system["user"], system["ip"]) == ("trainer-01", "ada", "192.0.2.10")
            assert (system["os"], system["python_exe"]) == ("Linux-6.1-x86_64", "/usr/bin/python3")
        assert all(len(payload["installed_packages"]) < 10 for payload in experiment.of("installed_packages"))
        assert all(len(payload["os_packages"]) < 10 for payload in experiment.of("os_packages"))


# What there is to see


def test_experiments_spread_over_workspaces_and_projects(sample: list[Experiment]) -> None:
    """Eight or more of them, in two workspaces and three projects."""
    projects = Counter((experiment.about["workspace"], experiment.about["project_name"]) for experiment in sample)
    assert len(sample) >= 8
    assert len({workspace for workspace, _ in projects}) == 2
    assert len(projects) == 3
    assert min(projects.values()) >= 3


def test_names_are_as_people_give_them(sample: list[Experiment]) -> None:
    """Two share one, one has none, one has slashes, spaces and accents, one looks like a file of the tree."""
    names = Counter(experiment.name for experiment in sample)
    assert names["mlp-wide"] == 2
    assert names[None] == 1
    assert names["notes.md"] == 1
    assert names[REGLAGE] == 1


def test_tags_may_be_in_any_script(sample: list[Experiment]) -> None:
    """Some have spaces, slashes or letters beyond ASCII; one experiment has none."""
    tags = {tag for experiment in sample for tag in experiment.about["tags"]}
    assert any(not tag.isascii() for tag in tags)
    assert any(" " in tag for tag in tags)
    assert any("/" in tag for tag in tags)
    assert [] in [experiment.about["tags"] for experiment in sample]


def test_parameters_are_of_every_kind(named: dict[str | None, Experiment]) -> None:
    """Nested, lists, booleans, small floats, null, cut texts, names with anything in them."""
    params = named["mlp-baseline"].params
    assert params["alpha"] == 1e-4
    assert params["augment"] is False
    assert params["hidden"] == [32]
    assert params["data|split|seed"] == 7
    assert params["resume_from"] is None
    assert named["forest-200"].params["query"].endswith(" [truncated]")
    assert named[REGLAGE].params["étapes"][1] == {"nom": "bruit", "graine": None}
    assert {"..", "a", "a/b", "multi\nline"} <= set(named["knn-imported-from-old-tracker"].params)


def test_metrics_have_contexts_slashes_and_values_that_are_no_numbers(sample: list[Experiment]) -> None:
    """train and validate, `val/...`, NaN, Infinity, a boolean, an epoch without a step."""
    metrics = [metric for experiment in sample for metric in experiment.metrics]
    assert {metric["context"] for metric in metrics} == {None, "train", "validate"}
    assert {"NaN", "Infinity", "True"} <= {str(metric["metricValue"]) for metric in metrics}
    names = {metric["metricName"] for metric in metrics}
    assert {"val/rmse", "oob_score", "accuracy", "accuracy/k", "../accuracy", "..", "acc\nuracy"} <= names
    assert any(not name.isascii() and "/" in name for name in names)
    assert any(metric["step"] is None and metric["epoch"] is not None for metric in metrics)


def test_one_metric_has_twenty_thousand_points(named: dict[str | None, Experiment]) -> None:
    """One for each step from 0 on."""
    points = [metric["step"] for metric in named["sgd-20k-steps"].metrics if metric["metricName"] == "loss"]
    assert points == list(range(20_000))


def test_html_code_output_and_graph_are_there(named: dict[str | None, Experiment]) -> None:
    """HTML is appended or replaced, code compiles, output has both streams, the graph is the model's."""
    assert len(named["mlp-baseline"].of("html")) == 2
    assert len(named["forest-200"].of("htmlOverride")) == 1
    assert {payload["stderr"] for payload in named["forest-200"].of("standard_output")} == {False, True}
    assert "MLPClassifier(" in named["mlp-baseline"].of("graph")[0]["graph"]
    for experiment in named.values():
        for params, content in experiment.uploads("source_code"):
            if params["fileName"].endswith(".py"):
                compile(content, params["fileName"], "exec")


def test_source_code_is_more_than_one_file(named: dict[str | None, Experiment]) -> None:
    """The script that created the experiment, and one beside it."""
    names = [params["fileName"] for params, _ in named["forest-200"].uploads("source_code")]
    assert names == ["/home/ada/wine-cultivars/train.py", "run.sh"]


def test_git_tree_is_dirty_in_some_and_clean_in_others(sample: list[Experiment]) -> None:
    """Metadata in nearly all; the patch is a zip with one file."""
    with_git = [experiment for experiment in sample if experiment.of("git_metadata")]
    patches = [experiment.uploads("git-patch") for experiment in with_git]
    assert [] in patches
    for _, content in [patch for found in patches for patch in found]:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.namelist() == ["git_diff.patch"]
            assert archive.read("git_diff.patch").startswith(b"diff --git a/config.json b/config.json\n")
    assert any(patches)
    assert {experiment.of("git_metadata")[0]["git_metadata"]["user"] for experiment in with_git} == {"Ada Example"}


def test_images_stand_at_several_steps_under_one_name(named: dict[str | None, Experiment]) -> None:
    """Four pictures of the same layer, and a figure."""
    images = named["mlp-baseline"].uploads("visualization")
    layers = [params["step"] for params, content in images if content.startswith(b"\x89PNG")]
    assert len(set(layers)) == len(layers) == 4
    assert {params["figName"] for params, _ in images} == {"first-layer.png", "confidence"}
    assert any(b"<svg" in content for _, content in images)


def test_assets_form_folders_and_share_names(named: dict[str | None, Experiment]) -> None:
    """A folder with sub-folders; one name without a step, at another, and twice at one."""
    assets = named["forest-200"].assets()
    assert {f"run/folds/fold-{fold}/scores.csv" for fold in range(3)} <= set(assets)
    assert [step for step, _ in assets["preds.json"]] == [None, 19, 20, 20]
    assert assets["warnings.log"][0][1] == b""


def test_assets_are_files_that_other_programs_open(named: dict[str | None, Experiment], tmp_path: Path) -> None:
    """An SQLite database, a zip, JSON, CSV."""
    assets = named["forest-200"].assets()
    path = tmp_path / "predictions.sqlite"
    path.write_bytes(assets["predictions.sqlite"][0][1])
    database = sqlite3.connect(path)
    assert database.execute("SELECT count(*) FROM predictions").fetchone() == (54,)
    database.close()
    with zipfile.ZipFile(io.BytesIO(assets["folds.zip"][0][1])) as archive:
        assert archive.testzip() is None
    assert "labels" in json.loads(assets["preds.json"][0][1])
    assert assets["importances.csv"][0][1].startswith(b",feature,importance\n0,alcohol,")
    assert json.loads(assets["importances.json"][0][1])


def test_asset_names_may_be_hostile(named: dict[str | None, Experiment]) -> None:
    """Out of the tree, absolute, a line break, a file that is also a folder, longer than a file system bears."""
    names = set(named["knn-imported-from-old-tracker"].assets())
    assert {"../../etc/passwd", "/etc/cron.d/backup", "line\nbreak.txt", "a", "a/b", "..", ".", "folder/"} <= names
    assert any(len(name) > 255 for name in names)
    assert any(len(name.encode()) > 255 >= len(name) for name in names)
    assert {"\u00e9.txt", "e\u0301.txt"} <= names


def test_special_assets_are_there(sample: list[Experiment]) -> None:
    """Confusion matrix, curves, histograms, table, text, audio, model, 3D points."""
    kinds = {payload["upload_type"] for experiment in sample for payload in experiment.of("file_upload")}
    assert {"confusion-matrix", "curve", "histogram3d", "dataframe", "text-sample", "audio", "model-element"} <= kinds
    assert any(experiment.of("3d-image") for experiment in sample)
    for experiment in sample:
        for _, content in experiment.uploads("confusion-matrix"):
            assert len(json.loads(content)["matrix"]) == len(json.loads(content)["labels"])
        for _, content in experiment.uploads("audio"):
            assert content.startswith(b"RIFF")


def test_models_are_logged_and_registered_in_versions(sample: list[Experiment]) -> None:
    """Two versions of one model, each with its stage; the model is two files."""
    versions = {
        (record["registry_name"] or record["model_name"], record["version"]): record["stages"]
        for experiment in sample
        for record in experiment.of("register_model")
    }
    assert versions == {("digits-mlp", "1.0.0"): ["staging"], ("digits-mlp", "1.1.0"): ["production"]}
    for experiment in sample:
        if experiment.of("register_model"):
            files = {params["fileName"] for params, _ in experiment.uploads("model-element")}
            assert files == {"digits-mlp/model.joblib", "digits-mlp/config.json"}


def test_remote_assets_are_links(named: dict[str | None, Experiment]) -> None:
    """Only an address: no member stands behind it."""
    links = {payload["remote_uri"] for payload in named["forest-200"].of("remote_file")}
    assert links == {"s3://wine-archive/raw/wine.parquet", "https://datasets.example.org/wine/names.txt"}
    assert named["forest-200"].of("remote_model")


def test_tiny_experiment_has_next_to_nothing(named: dict[str | None, Experiment]) -> None:
    """A parameter, a metric, no more: what Comet has nothing of must be seen to be absent."""
    kinds = {kind for kind, _ in named["ridge"].messages}
    assert kinds == {"log_other", "parameter_msg", "metric_msg"}


def test_one_run_failed_and_says_how(sample: list[Experiment]) -> None:
    """The one that diverged carries its error."""
    errors = [experiment.about["customer_error_message"] for experiment in sample]
    assert [error for error in errors if error] == ["FloatingPointError: mse is nan after 260 steps"]


# What lies beside the archives


def test_notes_belong_to_projects_of_the_sample(sample: list[Experiment]) -> None:
    """Some projects have notes and a description, some have none; none is told of that is not there."""
    there = {f"{one.about['workspace']}/{one.about['project_name']}" for one in sample}
    told = json.loads((SAMPLE / "projects.json").read_text())
    assert told.keys() < there
    assert all(about["notes"] and about["description"] for about in told.values())


def test_artifacts_have_versions_and_aliases_of_experiments(sample: list[Experiment]) -> None:
    """Two artifacts of two versions each, files in folders, aliases, and experiments of the sample that made them."""
    keys = {one.key for one in sample}
    workspaces = {one.about["workspace"] for one in sample}
    abouts = sorted(SAMPLE.glob("artifacts/*/*/artifact.json"))
    assert {path.parts[-3] for path in abouts} == workspaces
    for path in abouts:
        versions = json.loads(path.read_text())["versions"]
        assert sorted(entry.name for entry in path.parent.iterdir() if entry.is_dir()) == sorted(versions)
        assert len(versions) == 2
        assert all(version["aliases"] and version["experimentKey"] in {*keys, None} for version in versions.values())
        assert any(file.is_file() for file in path.parent.glob("*/*/*"))
    assert sum(file.stat().st_size for file in SAMPLE.glob("artifacts/**/*") if file.is_file()) < 10_000
