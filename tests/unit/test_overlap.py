"""comet_ml's own archive of a run whose server was away, beside what the server has of it: everything is there once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cometfs.server.catalog.catalog import open_directory
from cometfs.server.runs import content
from cometfs.server.runs.record import RunRecord
from tests.unit.test_archives import KEY, line, metric, only, upload, write_archive

POINTS = [metric("a", 1, at=110), metric("a", 2, at=120)]


def printed(text: str, at: int) -> str:
    return line("standard_output", output=text, stderr=False, local_timestamp=at)


def logged(directory: Path, lines: list[str], **heading: Any) -> None:
    """The folder of a server; its times of output are its own."""
    folder = directory / KEY
    folder.mkdir(parents=True)
    (folder / "messages.json").write_text("".join(text + "\n" for text in lines))
    head = {"offline_id": KEY, "start_time": 100, "stop_time": 200, "tags": ["online"], "resume_strategy": "create"}
    head |= {"last_seen": 200, "unfinished": True, "workspace": "ws", "project_name": "p"}
    (folder / "experiment.json").write_text(json.dumps(head | heading))
    (folder / "tmp0").write_bytes(b"server's")


def kept(directory: Path, lines: list[str], **heading: Any) -> RunRecord:
    """What is served with comet_ml's own archive beside."""
    head = {"start_time": 105, "stop_time": 900, "resume_strategy": "create", "tags": ["offline"]} | heading
    write_archive(directory, lines, members={"tmp1": b"client's"}, name=f"{KEY}-AbCdEf", **head)
    return only(open_directory(directory)).record


def values(record: RunRecord) -> list[str]:
    return [point["metricValue"] for point in content.points(record, "a")]


def test_everything_once(tmp_path: Path) -> None:
    """Points, output, HTML and files, those that the server has and those that it lacks; equal ones as often as they
    were logged.
    """
    mine = upload("tmp0", assetId="x", fileName="f")
    logged(tmp_path, [POINTS[0], printed("same\n", 150), printed("same\n", 151), line("html", html="<p>"), mine])
    again = [printed("same\n", 106 + number) for number in range(3)]
    both = [upload("tmp1", assetId=one, fileName="f") for one in "xy"]
    record = kept(tmp_path, [*again, *POINTS, POINTS[1], line("html", html="<p>"), line("html", html="<q>"), *both])
    assert values(record) == ["1", "2", "2"]
    assert content.output(record) == "same\n" * 3
    assert content.html(record) == "<p><q>"
    files = {name: b"".join(content.asset_chunks(asset)) for name, asset in record.assets.items()}
    assert files == {"x": b"server's", "y": b"client's"}
    assert record.tags == {"online", "offline"}
    assert (record.crashed, record.start, record.end) == (False, 100, 900)


def test_an_earlier_process_is_another(tmp_path: Path) -> None:
    """What it printed was not printed again, also where it is the same."""
    earlier = [metric("a", 0, at=50), printed("epoch 1\n", 60)]
    logged(tmp_path, [*earlier, POINTS[0], printed("loaded\n", 115)], start_time=40)
    record = kept(tmp_path, [printed("loaded\n", 109), printed("epoch 1\n", 110), *POINTS])
    assert content.output(record) == "epoch 1\nloaded\nepoch 1\n"
    assert values(record) == ["0", "1", "2"]


@pytest.mark.parametrize("heading", [{"resume_strategy": "get"}, {"resume_strategy": None}, {}])
def test_another_run_of_the_key_is_another(tmp_path: Path, heading: dict[str, Any]) -> None:
    """An archive that shares no point, or goes on with what is there, is no archive of the same process."""
    logged(tmp_path, [metric("a", 0, at=107), printed("epoch 1\n", 150)])
    record = kept(tmp_path, [printed("epoch 1\n", 109), *POINTS], **heading)
    assert content.output(record) == "epoch 1\n" * 2
    assert values(record) == ["0", "1", "2"]


def test_a_run_that_was_resumed_offline_ends_then(tmp_path: Path) -> None:
    """Its archive goes on with what the server has, which had ended before."""
    logged(tmp_path, POINTS, unfinished=False)
    assert kept(tmp_path, [], resume_strategy="get").end == 900


def test_a_server_whose_clock_is_behind(tmp_path: Path) -> None:
    """It took what no process but this one can have printed."""
    logged(tmp_path, [POINTS[0], printed("x\n", 10)])
    assert content.output(kept(tmp_path, [printed("x\n", 108), *POINTS])) == "x\n"


def test_what_the_server_knows_of_the_end_stays(tmp_path: Path) -> None:
    """It ended later, it failed, it was archived."""
    ended = {"unfinished": False, "stop_time": 2000, "has_crashed": True, "archived": True}
    logged(tmp_path, POINTS, **ended)
    record = kept(tmp_path, POINTS)
    assert (record.crashed, record.archived, record.end) == (True, True, 2000)


def test_a_scene_is_there_once(tmp_path: Path) -> None:
    """The server knows it in pieces."""
    item = {"file_path": "tmp0", "file_name": "points", "type": "points"}
    pieces: list[dict[str, Any]] = [{"metadata": {}}, {"items": [item]}, {"thumbnail_path": "tmp0"}]
    logged(tmp_path, [line("3d-image", asset_id="x", name="s", step=1, **piece) for piece in pieces])
    told = [{"name": "s", "step": step, "items": [item | {"file_path": "tmp1"}]} for step in (1, 2)]
    record = kept(tmp_path, [line("3d-image", asset_id=None, **one) for one in told])
    assert [asset.step for asset in record.assets.values() if asset.type == "3d-image"] == [1, 2]
