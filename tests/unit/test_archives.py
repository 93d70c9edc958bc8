"""Archives on disk: what is read from whole ones, and how far broken ones go. No server, no comet_ml."""

from __future__ import annotations

import json
import logging
import re
import zipfile
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from cometfs.errors import SetupError
from cometfs.server.catalog.catalog import Catalog, open_directory
from cometfs.server.catalog.project import ServedExperiment
from cometfs.server.read_api import serializers
from cometfs.server.runs import content
from cometfs.server.runs.zip_reader import open_archive

KEY = "0123456789abcdef0123456789abcdef"


def line(kind: str, **payload: Any) -> str:
    return json.dumps({"payload": payload, "type": kind})


def metric(name: str, value: Any, *, at: int = 5, step: Any = None, **more: Any) -> str:
    point = {"metricName": name, "metricValue": value, "step": step, "epoch": None}
    return line("metric_msg", metric=point, local_timestamp=at, **more)


def upload(member: str, *, kind: str = "asset", **placed: Any) -> str:
    metadata = placed.pop("metadata", {})
    return line("file_upload", file_path=member, upload_type=kind, additional_params=placed, metadata=metadata)


def write_archive(
    directory: Path, lines: list[str], *, members: dict[str, bytes] | None = None, name: str = KEY, **heading: Any
) -> Path:
    """A zip as the SDK writes it: flat, stored, ``experiment.json`` last."""
    head = {"offline_id": KEY, "workspace": "ws", "project_name": "p", "start_time": 1, "stop_time": 9, "tags": []}
    directory.mkdir(exist_ok=True)
    path = directory / f"{name}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for member, body in (members or {}).items():
            archive.writestr(member, body)
        archive.writestr("messages.json", "".join(text + "\n" for text in lines))
        archive.writestr("experiment.json", json.dumps(head | heading))
    return path


def only(index: Catalog) -> ServedExperiment:
    (experiment,) = index.experiments.values()
    return experiment


def test_contexts_stand_in_front_of_names(tmp_path: Path) -> None:
    """A metric logged in a context is another metric than the same name without one."""
    write_archive(tmp_path, [metric("loss", 1, context="train"), metric("loss", 2)])
    record = only(open_directory(tmp_path)).record
    assert {name: series.summary.current.text for name, series in record.metrics.items()} == {
        "train_loss": "1",
        "loss": "2",
    }
    assert content.points(record, "train_loss")[0]["runContext"] == "train"


def test_offsets_are_line_numbers(tmp_path: Path) -> None:
    """A point's offset is the number of its line, counted from 1, lines of other kinds included."""
    write_archive(tmp_path, [line("graph", graph="g"), metric("a", 1), "", metric("a", 2)])
    points = content.points(only(open_directory(tmp_path)).record, "a")
    assert [(point["offset"], point["metricValue"]) for point in points] == [(2, "1"), (4, "2")]


def test_the_last_value_of_a_parameter_wins(tmp_path: Path) -> None:
    """Of several values of one parameter the last is told, scalars and lists alike."""
    first = line("parameter_msg", param={"paramName": "a", "paramValue": 1})
    last = line("parameter_msg", params={"paramName": "a", "paramValue": [1, {"z": None}]})
    write_archive(tmp_path, [first, last])
    assert only(open_directory(tmp_path)).record.parameters["a"].text == '[1, {"z": null}]'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (0.1, "0.1"),
        (1e-7, "1e-07"),
        (2**70, str(2**70)),
        (True, "true"),
        (None, "null"),
        ("NaN", "NaN"),
        ("é", "é"),
        ({"a": 1}, '{"a": 1}'),
    ],
)
def test_values_become_text(tmp_path: Path, value: Any, text: str) -> None:
    """Everything is told as text that means what was logged, no digit lost."""
    write_archive(tmp_path, [line("parameter_msg", param={"paramName": "a", "paramValue": value})])
    assert only(open_directory(tmp_path)).record.parameters["a"].text == text


def test_a_summary_has_the_extremes_and_the_last(tmp_path: Path) -> None:
    """Least and greatest are by number, not by text; NaN is last like any value but never an extreme."""
    write_archive(tmp_path, [metric("a", value, step=step) for step, value in enumerate([10, 9, "Infinity", "NaN"])])
    (row,) = serializers.summary_rows(only(open_directory(tmp_path)).record)
    assert (row["valueMin"], row["valueMax"], row["valueCurrent"]) == ("9", "Infinity", "NaN")
    assert (row["stepMin"], row["stepMax"], row["stepCurrent"]) == (1, 2, 3)


def test_parts_of_one_run_are_merged_by_start(tmp_path: Path) -> None:
    """A resumed run is one experiment: its archives follow one another by start, and so do the offsets."""
    late = [metric("a", 2), line("standard_output", output="b\n")]
    early = [metric("a", 1), line("standard_output", output="a\n")]
    write_archive(tmp_path, late, name="a", start_time=100, stop_time=200, tags=["two"], project_name=None)
    write_archive(tmp_path, early, name="b", start_time=1, stop_time=50, tags=["one"])
    experiment = only(open_directory(tmp_path))
    points = content.points(experiment.record, "a")
    assert [(point["metricValue"], point["offset"]) for point in points] == [("1", 1), ("2", 3)]
    assert content.output(experiment.record) == "a\nb\n"
    assert (experiment.record.start, experiment.record.end) == (1, 200)
    assert experiment.record.tags == {"one", "two"}
    assert experiment.project.name == "p"


def test_a_zip_beside_its_folder_counts_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The same run found twice is served once, with a warning that names the second."""
    path = write_archive(tmp_path, [metric("a", 1)])
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "unpacked")
    assert len(content.points(only(open_directory(tmp_path)).record, "a")) == 1
    assert "unpacked" in caplog.text
    caplog.clear()


def test_a_folder_is_read_like_its_zip(tmp_path: Path) -> None:
    """An unpacked archive gives the same answers as the zip."""
    lines = [metric("a", 1), upload("tmp1", assetId="x", fileName="f"), line("html", html="h")]
    path = write_archive(tmp_path / "zips", lines, members={"tmp1": b"bytes"})
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "folders" / "run")
    zipped = only(open_directory(tmp_path / "zips"))
    unpacked = only(open_directory(tmp_path / "folders"))
    assert content.points(zipped.record, "a") == content.points(unpacked.record, "a")
    assert b"".join(content.asset_chunks(unpacked.record.assets["x"])) == b"bytes"
    assert content.html(unpacked.record) == "h"


def test_a_compressed_zip_is_read_too(tmp_path: Path) -> None:
    """Archives that somebody packed again, with compression, give the same answers."""
    path = write_archive(tmp_path, [metric("a", 1), metric("a", 2)], members={"tmp1": b"x" * 1000})
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, body in members.items():
            new.writestr(name, body)
    assert len(content.points(only(open_directory(tmp_path)).record, "a")) == 2
    assert open_archive(path).read("tmp1") == b"x" * 1000


def test_a_cut_last_line_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was written before a run was killed is served; the half line at the end is named in a warning."""
    write_archive(tmp_path, [metric("a", 1), metric("a", 2)[:40]])
    assert len(content.points(only(open_directory(tmp_path)).record, "a")) == 1
    assert f"{KEY}.zip" in caplog.text
    assert "line 2" in caplog.text
    caplog.clear()


@pytest.mark.parametrize(
    "broken",
    [
        line("new_kind", x=1),
        line("metric_msg", metric={"metricName": 5}),
        '{"type": "metric_msg"}',
        "[]",
        "\x00",
        line("file_upload", file_path="not-there", upload_type="asset", additional_params=None),
        line("file_upload", file_path="../../etc/passwd", upload_type="asset", additional_params=None),
    ],
)
def test_a_broken_line_costs_itself_only(tmp_path: Path, broken: str, caplog: pytest.LogCaptureFixture) -> None:
    """Lines of unknown types, of wrong shapes, or that name a missing file are skipped, the others are read."""
    write_archive(tmp_path, [metric("a", 1), broken, metric("a", 2)])
    record = only(open_directory(tmp_path)).record
    assert [point["offset"] for point in content.points(record, "a")] == [1, 3]
    assert not record.assets
    assert f"{KEY}.zip" in caplog.text
    caplog.clear()


def test_what_python_writes_is_read(tmp_path: Path) -> None:
    """Halves of surrogate pairs, NaN and infinities are no JSON, and comet_ml writes them; they become text."""
    write_archive(tmp_path, [line("graph", graph="a\ud800b"), line("log_other", key="x", value=float("-inf"))])
    record = only(open_directory(tmp_path)).record
    assert content.graph(record) == "a?b"
    assert record.others["x"].text == "-Infinity"


@pytest.mark.parametrize("step", [float("nan"), float("inf"), True, "1j", "Fraction is not JSON serializable", [1], {}])
def test_a_step_that_is_no_number_costs_no_value(tmp_path: Path, step: Any) -> None:
    """comet_ml writes such things offline: the value stays, and has no step."""
    setting = {"paramName": "p", "paramValue": 1, "source": "manual", "step": step}
    lines = [
        metric("a", 1, step=step).replace('"epoch": null', f'"epoch": {json.dumps(step)}'),
        line("parameter_msg", param=setting),
        line("parameter_msg", params=setting | {"paramName": "l", "paramValue": [1]}),
        upload("tmp1", assetId="x", fileName="f", step=step, metadata={"step": "kept"}),
        line("3d-image", name="s", items=[], step=step, asset_id="y"),
    ]
    write_archive(tmp_path, lines, members={"tmp1": b""})
    record = only(open_directory(tmp_path)).record
    (point,) = content.points(record, "a")
    assert (point["metricValue"], point["step"], point["epoch"]) == ("1", None, None)
    assert {name: one.step for name, one in record.parameters.items()} == {"p": None, "l": None}
    assert {name: one.step for name, one in record.assets.items()} == {"x": None, "y": None}
    assert record.assets["x"].metadata == '{"step": "kept"}'


def test_a_truncated_zip_is_read_as_far_as_it_goes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without its directory a zip still gives its whole members: here everything, for only the directory is cut."""
    path = write_archive(tmp_path, [metric("a", 1), upload("t", assetId="x", fileName="f")], members={"t": b"bytes"})
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"PK\x01\x02")])
    record = only(open_directory(tmp_path)).record
    assert len(content.points(record, "a")) == 1
    assert b"".join(content.asset_chunks(record.assets["x"])) == b"bytes"
    assert "cut short" in caplog.text
    caplog.clear()


def test_half_an_asset_is_no_asset(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that the cut went through is not served: its bytes would be wrong ones."""
    path = tmp_path / "run.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("experiment.json", json.dumps({"offline_id": KEY, "start_time": 1}))
        archive.writestr("messages.json", upload("t", assetId="x", fileName="f") + "\n")
        archive.writestr("t", b"first half, second half")
    path.write_bytes(path.read_bytes()[: path.read_bytes().index(b", second")])
    assert not only(open_directory(tmp_path)).record.assets
    assert "run.zip" in caplog.text
    caplog.clear()


@pytest.mark.parametrize("cut", range(0, 700, 23))
def test_no_cut_of_a_zip_breaks_the_others(tmp_path: Path, cut: int, caplog: pytest.LogCaptureFixture) -> None:
    """Wherever a zip is cut, it is skipped or read in part with a warning that names it; others are served whole."""
    path = write_archive(tmp_path, [metric("a", 1), metric("b", 2)], members={"t": b"bytes"}, name="cut")
    assert path.stat().st_size > 700
    path.write_bytes(path.read_bytes()[:cut])
    write_archive(tmp_path, [metric("a", 1)], name="whole", offline_id="other")
    index = open_directory(tmp_path)
    assert len(content.points(index.experiments["other"].record, "a")) == 1
    assert "cut.zip" in caplog.text
    caplog.clear()


@pytest.mark.parametrize("body", [b"", b"no zip at all", b"PK\x03\x04"])
def test_what_is_no_zip_is_skipped(tmp_path: Path, body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A file that only its suffix makes a zip is skipped with a warning that names it."""
    (tmp_path / "odd.zip").write_bytes(body)
    assert open_directory(tmp_path).experiments == {}
    assert "odd.zip" in caplog.text
    caplog.clear()


@pytest.mark.parametrize("heading", [{"offline_id": "../x"}, {"tags": 5}, {"start_time": "soon"}])
def test_a_heading_that_makes_no_sense_is_skipped(
    tmp_path: Path, heading: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """An archive whose ``experiment.json`` is not what it should be is skipped with a warning that names it."""
    write_archive(tmp_path, [metric("a", 1)], **heading)
    assert open_directory(tmp_path).experiments == {}
    assert f"{KEY}.zip" in caplog.text
    caplog.clear()


def left_over(folder: Path, *lines: str) -> Path:
    """What a killed OfflineExperiment leaves: no ``experiment.json``."""
    folder.mkdir()
    (folder / "messages.json").write_text("".join(text + "\n" for text in lines))
    (folder / "tmp1").write_bytes(b"bytes")
    return folder


def test_what_a_killed_run_left_is_a_crashed_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Under a key made of what it logged, whatever its folder is called and however far it came, with a warning."""
    lines = [metric("a", 1, at=7000), upload("tmp1", assetId="x", fileName="f"), *[metric("a", 2, at=8000)] * 200]
    folder = left_over(tmp_path / "tmpabc", *lines)
    other = left_over(tmp_path / "other", metric("a", 1, at=7001))
    found = open_directory(tmp_path).experiments
    (key,) = [key for key, one in found.items() if len(one.record.metrics["a"].lines) > 1]
    record = found[key].record
    assert re.fullmatch("[0-9a-f]{32}", key)
    assert (len(found), record.crashed, record.start, record.end) == (2, True, 7000, 8000)
    assert b"".join(content.asset_chunks(record.assets["x"])) == b"bytes"
    assert f"{folder}: served as crashed run {key}; it was killed, there is no experiment.json" in caplog.text
    rmtree(other)
    left_over(tmp_path / "later copy", *lines, metric("a", 3, at=9000))
    assert only(open_directory(tmp_path)).key == key
    assert [point["metricValue"] for point in content.points(only(open_directory(tmp_path)).record, "a")][-1] == "3"
    assert f"{folder}: skipped; it is the same run as {tmp_path / 'later copy'}" in caplog.text
    caplog.clear()


@pytest.mark.parametrize("lines", [[], ["broken"], [line("log_other", key="a", value=1)]])
def test_no_heading_and_no_time_no_experiment(
    tmp_path: Path, lines: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Without ``experiment.json`` and a log that says when it began, nothing tells runs apart."""
    left_over(tmp_path / "run", *lines)
    assert open_directory(tmp_path).experiments == {}
    assert "run: skipped; no experiment.json" in caplog.text
    caplog.clear()


def test_no_directory_is_a_sentence(tmp_path: Path) -> None:
    """A directory that does not exist is an error for the user, with its path."""
    with pytest.raises(SetupError, match="nowhere"):
        open_directory(tmp_path / "nowhere")


def test_other_files_are_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Hidden files, other files and other folders beside archives are not archives, and nothing is said of them."""
    write_archive(tmp_path, [])
    (tmp_path / ".half.zip").write_bytes(b"")
    (tmp_path / "README.md").write_text("hello")
    (tmp_path / "artifacts").mkdir()
    assert len(open_directory(tmp_path).experiments) == 1
    assert not caplog.records


def test_a_link_in_a_folder_is_no_member(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A symbolic link inside an archive's folder never serves the file that it points to."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    run = tmp_path / "archives" / "run"
    run.mkdir(parents=True)
    (run / "experiment.json").write_text(json.dumps({"offline_id": KEY}))
    (run / "messages.json").write_text(upload("link", assetId="x", fileName="f") + "\n")
    (run / "link").symlink_to(secret)
    assert not only(open_directory(tmp_path / "archives")).record.assets
    caplog.clear()


def test_a_killed_run_ended_with_its_last_message(tmp_path: Path) -> None:
    """Without a stop time the run has crashed, and its end is when it was last heard of."""
    write_archive(tmp_path, [metric("a", 1, at=7000)], stop_time=None)
    row = serializers.experiment_row(only(open_directory(tmp_path)))
    assert (row["hasCrashed"], row["startTimeMillis"], row["endTimeMillis"]) == (True, 1, 7000)


def test_nowhere_is_the_default_place(tmp_path: Path) -> None:
    """An archive that names no workspace and no project is in Comet's default ones."""
    write_archive(tmp_path, [], workspace=None, project_name=None)
    project = only(open_directory(tmp_path)).project
    assert (project.workspace, project.name) == ("default", "general")


def test_html_is_appended_until_it_is_replaced(tmp_path: Path) -> None:
    """Reports add up; an override throws away what was there."""
    write_archive(tmp_path, [line("html", html="a"), line("htmlOverride", htmlOverride="b"), line("html", html="c")])
    assert content.html(only(open_directory(tmp_path)).record) == "bc"


def test_output_keeps_the_order_of_both_streams(tmp_path: Path) -> None:
    """stdout and stderr stay interleaved as they were printed, with no newline added."""
    pieces = [("a", False), ("\n", False), ("err\n", True), ("b", False)]
    write_archive(tmp_path, [line("standard_output", output=text, stderr=err) for text, err in pieces])
    assert content.output(only(open_directory(tmp_path)).record) == "a\nerr\nb"


def test_an_old_message_is_read_like_the_new_ones(tmp_path: Path) -> None:
    """Archives of old SDKs, where one kind of message carries everything, give the same answers."""
    old = [
        line("ws_msg", metric={"metricName": "a", "metricValue": 1}, context="train", local_timestamp=3),
        line("ws_msg", param={"paramName": "lr", "paramValue": 0.1}, log_other={"key": "Name", "val": "n"}),
        line("ws_msg", stdout="out", stderr=False),
        line("ws_msg", code="print()", html="h", graph="g", installed_packages=["pip==1"], fileName="/x/t.py"),
        line("ws_msg", env_details={"user": "u", "pid": 3}, git_meta={"branch": "b"}),
    ]
    write_archive(tmp_path, old)
    experiment = only(open_directory(tmp_path))
    record = experiment.record
    assert content.points(record, "train_a")[0]["metricValue"] == "1"
    assert (experiment.name, record.parameters["lr"].text, record.file_path) == ("n", "0.1", "/x/t.py")
    assert [content.output(record), content.code(record), content.html(record), content.graph(record)] == [
        "out",
        "print()",
        "h",
        "g",
    ]
    assert content.system_details(record)["installedPackages"] == ["pip==1"]
    assert content.git_metadata(record)["branch"] == "b"


def test_images_are_listed_under_their_figure(tmp_path: Path) -> None:
    """An image has its figure's name and image id, is of type image, and keeps every step."""
    steps = [
        upload("t", kind="visualization", imageId=f"i{step}", figName="my/fig", step=step, overwrite=False)
        for step in (1, 2)
    ]
    write_archive(tmp_path, steps, members={"t": b"png"})
    assets = only(open_directory(tmp_path)).record.assets
    assert [(a.id, a.name, a.type, a.step, a.size) for a in assets.values()] == [
        ("i1", "my/fig", "image", 1, 3),
        ("i2", "my/fig", "image", 2, 3),
    ]


def test_overwriting_leaves_one_file_of_the_name(tmp_path: Path) -> None:
    """A file logged with overwrite replaces those of its name; without it, equal names stand side by side."""
    lines = [
        upload("t", assetId=f"a{n}", fileName="f", overwrite=overwrite) for n, overwrite in enumerate((0, 0, 1, 0))
    ]
    lines = [
        text.replace('"overwrite": 0', '"overwrite": false').replace('"overwrite": 1', '"overwrite": true')
        for text in lines
    ]
    write_archive(tmp_path, lines, members={"t": b""})
    assert list(only(open_directory(tmp_path)).record.assets) == ["a2", "a3"]


def test_invented_names_are_always_the_same(tmp_path: Path) -> None:
    """A text has no name of its own; the one it is given does not change from start to start."""
    text = upload("t", kind="text-sample", assetId="abcdef0123", fileName="auto-generated-in-the-backend")
    write_archive(tmp_path, [text], members={"t": b"hello"})
    names = [[a.name for a in only(open_directory(tmp_path)).record.assets.values()] for _ in range(2)]
    assert names == [["text-sample-abcdef01.txt"]] * 2


def test_a_scene_is_a_picture_and_its_items(tmp_path: Path) -> None:
    """A 3-D image is one asset with its thumbnail's bytes, and its points are an asset that it names."""
    items = [{"file_path": "p", "file_name": "points.jsonl", "type": "points"}]
    scene = line("3d-image", name="scene", items=items, thumbnail_path="t", step=4, metadata={"xRange": [0, 1]})
    write_archive(tmp_path, [scene], members={"p": b"[1,2,3]\n", "t": b"png"})
    experiment = only(open_directory(tmp_path))
    points, picture = experiment.record.assets.values()
    assert (points.name, points.type, points.size) == ("points.jsonl", "asset-item", 8)
    row = serializers.asset_row(experiment, picture, "http://h/", "k")
    assert (row["fileName"], row["type"], row["fileSize"], row["step"]) == ("scene", "3d-image", 3, 4)
    assert [item["assetId"] for item in row["items"]] == [points.id]


def test_a_remote_asset_is_its_link(tmp_path: Path) -> None:
    """Nothing of a remote asset is here but its link, whether it was logged alone or as a model's part."""
    placed = {"assetId": "x", "fileName": "big.bin", "isRemote": True, "step": 1}
    lines = [
        line(
            "remote_file", remote_uri="s3://b/big.bin", upload_type="asset", additional_params=placed, metadata={"n": 1}
        ),
        line(
            "remote_model", model_name="m", remote_assets=[{"assetId": "y", "fileName": "w", "remoteUrl": "s3://b/w"}]
        ),
    ]
    write_archive(tmp_path, lines)
    experiment = only(open_directory(tmp_path))
    rows = [serializers.asset_row(experiment, asset, "http://h/", "k") for asset in experiment.record.assets.values()]
    assert [(row["remote"], row["link"], row["fileSize"], row["type"], row["dir"]) for row in rows] == [
        (True, "s3://b/big.bin", 0, "asset", "others"),
        (True, "s3://b/w", 0, "model-element", "models/m"),
    ]
    assert rows[0]["metadata"] == '{"n": 1}'


def test_replicas_share_one_record(tmp_path: Path) -> None:
    """A thousand copies cost keys and names only; the first keeps its own, and all are the same after every start."""
    write_archive(tmp_path, [line("log_other", key="Name", value="run"), metric("a", 1)])
    index = open_directory(tmp_path, replicate=1000)
    experiments = list(index.experiments.values())
    assert len(experiments) == 1000
    assert len({id(one.record) for one in experiments}) == 1
    assert [one.name for one in experiments[:3]] == ["run", "run-r0002", "run-r0003"]
    assert experiments[0].key == KEY
    assert all(len(one.key) == 32 for one in experiments)
    assert list(index.experiments) == list(open_directory(tmp_path, replicate=1000).experiments)


def test_a_replica_says_its_own_name(tmp_path: Path) -> None:
    """The name among a copy's others is the copy's."""
    write_archive(tmp_path, [line("log_other", key="Name", value="run")])
    _, copy = open_directory(tmp_path, replicate=2).experiments.values()
    assert serializers.other_rows(copy)[0]["valueCurrent"] == "run-r0002"


def test_hostile_names_pass_through(tmp_path: Path) -> None:
    """Names are the user's: the server changes none, whatever is in them, and none becomes a path."""
    names = ["../../x", "/abs/path", "a\x00b", "é漢\n", "a/b", "a"]
    lines = [upload("t", assetId=f"a{n}", fileName=name) for n, name in enumerate(names)]
    write_archive(tmp_path, [*lines, *(metric(name, 1) for name in names)], members={"t": b"x"}, workspace="../w")
    experiment = only(open_directory(tmp_path))
    assert [asset.name for asset in experiment.record.assets.values()] == names
    assert list(experiment.record.metrics) == names
    assert experiment.project.workspace == "../w"


def test_many_faults_make_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """However much of an archive is broken, it is named once."""
    write_archive(tmp_path, ["x"] * 100)
    open_directory(tmp_path)
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert "and 97 more" in warning.getMessage()
    caplog.clear()


@pytest.mark.logs("line 1 skipped", "line 2 skipped")
def test_lines_that_nobody_can_read_keep_nothing_from_being_served(tmp_path: Path) -> None:
    """Too deep, or with a number of too many digits: the other lines are told."""
    deep = line("log_other", key="a", value=0).replace("0", "[" * 2000 + "]" * 2000)
    long = line("log_other", key="b", value=0).replace("0", "9" * 5000)
    write_archive(tmp_path, [deep, long, metric("loss", 1)])
    record = only(open_directory(tmp_path)).record
    assert set(record.metrics) == {"loss"}
    assert "a" not in record.others
