"""Every method of the SDK against the embedded Comet with the sample's real archives, in process and over a socket."""

from __future__ import annotations

import inspect
import io
import json
import math
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, get_type_hints

import httpx
import pytest
import trio

import cometfs.server
from cometfs import API
from cometfs.comet.answers import models
from cometfs.comet.http.transport import Transport
from cometfs.errors import CometFSError, KeyRejected, NotFound
from cometfs.server.catalog.catalog import open_directory
from cometfs.server.http import listener
from cometfs.server.http.app import make_app
from cometfs.text.numbers import number_of

SAMPLE = Path(cometfs.server.__file__).parent / "sample"
KEY = "0123456789abcdefghijklmno"

SDK = [
    "getVersion",
    "experimentURL",
    "experimentMetadata",
    "experimentTags",
    "workspaces",
    "projects",
    "projectNotes",
    "projectMetadata",
    "get",
    "experimentsByProjectName",
    "experimentsByProjectId",
    "experimentHtml",
    "experimentCode",
    "experimentOutput",
    "experimentInstalledPackages",
    "experimentSystemDetails",
    "experimentGraph",
    "experimentImages",
    "experimentParameters",
    "experimentMetricsSummary",
    "experimentOther",
    "experimentName",
    "experimentMetric",
    "experimentMetricsForChart",
    "experimentAssets",
    "experimentAssetByName",
    "experimentCurves",
    "experimentAsset",
    "store",
    "getFromStore",
    "getStore",
]
"""The methods on the page of Comet's JavaScript SDK."""


@pytest.fixture
async def api() -> AsyncIterator[API]:
    app = make_app(open_directory(SAMPLE), api_key=KEY)
    async with API(KEY, "http://comet.example", transport=Transport(httpx.ASGITransport(app))) as one:
        yield one


async def projects(api: API) -> list[models.Project]:
    return [project for workspace in await api.workspaces() for project in await api.projects(workspace)]


async def keys(api: API) -> list[str]:
    """Every experiment of the sample."""
    found = [await api.experiments_by_project_id(project["projectId"]) for project in await projects(api)]
    return [row["experimentKey"] for rows in found for row in rows]


def snake(name: str) -> str:
    spaced = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name.replace("URL", "Url"))
    return spaced.lstrip("_")


@pytest.mark.parametrize("name", SDK)
def test_every_method_of_the_sdk_is_here_and_documented(name: str) -> None:
    """By its name in snake_case; all but `get_version` async."""
    method = getattr(API, snake(name))
    assert inspect.getdoc(method)
    assert inspect.iscoroutinefunction(method) == (name != "getVersion")


def test_every_public_member_is_documented() -> None:
    """What is not of the SDK, too."""
    assert [name for name in dir(API) if not name.startswith("_") and not inspect.getdoc(getattr(API, name))] == []


async def test_the_account_is_what_the_archives_say(api: API) -> None:
    """Workspaces, projects and experiments, the same whichever way they are asked for."""
    assert len(await api.workspaces()) >= 2
    assert len(await projects(api)) >= 3
    told = json.loads((SAMPLE / "projects.json").read_text())
    for project in await projects(api):
        notes = told.get(f"{project['workspaceName']}/{project['projectName']}", {}).get("notes")
        assert project.keys() == get_type_hints(models.Project).keys()
        assert await api.project_metadata(project["projectId"]) == project
        assert await api.project_notes(project["projectId"]) == notes
        rows = await api.experiments_by_project_id(project["projectId"])
        assert len(rows) == project["numberOfExperiments"]
        by_name = await api.experiments_by_project_name(str(project["workspaceName"]), project["projectName"])
        assert by_name == rows
        assert await api.experiments_by_project_id(project["projectId"], archived=True) == []
    assert sorted(await keys(api)) == sorted(path.stem for path in SAMPLE.glob("*.zip"))


async def test_get_goes_down_the_names(api: API) -> None:
    """Workspaces, projects, keys, metadata; in one string or in several; an experiment by key or name."""
    assert await api.get() == await api.workspaces()
    for project in await projects(api):
        workspace, name = str(project["workspaceName"]), project["projectName"]
        assert project in await api.get(workspace)
        rows = await api.experiments_by_project_name(workspace, name)
        found = await api.get(f"{workspace}/{name}")
        assert found == [row["experimentKey"] for row in rows] == await api.get(workspace, name)
        for row in rows:
            assert await api.get(f"{workspace}/{name}/{row['experimentKey']}") == row
            if row["experimentName"]:
                named = await api.get(workspace, name, row["experimentName"])
                assert named["experimentName"] == row["experimentName"]
                assert named == await api.get(f"{workspace}/{name}/{row['experimentName']}")
        with pytest.raises(NotFound, match="no experiment 'nobody'"):
            await api.get(workspace, name, "nobody")


async def test_an_experiment_tells_who_it_is(api: API) -> None:
    """Metadata, name, page, tags."""
    for key in await keys(api):
        row = await api.experiment_metadata(key)
        assert row.keys() == get_type_hints(models.Experiment).keys()
        assert await api.experiment_name(key) == (row["experimentName"] or key)
        assert await api.experiment_name(key, 4) == (row["experimentName"] or key)[:4]
        assert (await api.experiment_url(key)).startswith("http://comet.example/")
        assert (await api.experiment_url(key)).endswith(f"/{key}")
        assert all(isinstance(tag, str) for tag in await api.experiment_tags(key))


async def test_texts_of_an_experiment_are_texts_or_none(api: API) -> None:
    """And over the sample there is one of each."""
    reads: list[Callable[[str], Awaitable[str | None]]] = [
        api.experiment_html,
        api.experiment_code,
        api.experiment_output,
        api.experiment_graph,
    ]
    found = {read.__name__: [await read(key) for key in await keys(api)] for read in reads}
    for name, texts in found.items():
        assert all(text is None or isinstance(text, str) for text in texts), name
        assert any(texts), name


async def test_system_details_have_every_field(api: API) -> None:
    """Logged or not; the packages are a part of them."""
    for key in await keys(api):
        details = await api.experiment_system_details(key)
        assert details.keys() >= get_type_hints(models.SystemDetails).keys()
        assert await api.experiment_installed_packages(key) == (details["installedPackages"] or [])


async def test_values_are_text_and_can_be_had_by_name(api: API) -> None:
    """Parameters as a list, a metric or an other as the one, and a field of it."""
    for key in await keys(api):
        for row in await api.experiment_parameters(key):
            assert isinstance(row["valueCurrent"], str)
            assert await api.experiment_parameters(key, row["name"]) == [row]
        for row in await api.experiment_metrics_summary(key):
            assert isinstance(row["valueMin"], str)
            assert await api.experiment_metrics_summary(key, row["name"]) == row
        for row in await api.experiment_other(key):
            assert await api.experiment_other(key, row["name"]) == row
            assert await api.experiment_other(key, row["name"], "valueMax") == row["valueMax"]
        assert await api.experiment_parameters(key, "nothing") == []
        assert await api.experiment_metrics_summary(key, "nothing") is None
        assert await api.experiment_other(key, "nothing") is None
        assert await api.experiment_other(key, "nothing", "valueMax") is None


async def test_points_are_the_same_whichever_way_they_are_asked_for(api: API) -> None:
    """All at once, by one name, by several, and in a chart, as numbers."""
    for key in await keys(api):
        names = [row["name"] for row in await api.experiment_metrics_summary(key)]
        together = await api.experiment_metric(key)
        assert {point["metricName"] for point in together} == set(names)
        several = await api.experiment_metric(key, names)
        charts = await api.experiment_metrics_for_chart([key], names)
        plotted = {metric["metricName"]: metric for metric in charts[key]["metrics"]} if names else {}
        for name in names:
            points = await api.experiment_metric_points(key, name)
            pairs = await api.experiment_metric(key, name)
            assert len(pairs) == len(points) == sum(point["metricName"] == name for point in together)
            assert several[name] == pairs
            texts = [text for _, text in pairs]
            shown = plotted[name]["values"]
            if len(shown) == len(texts):
                assert [_number(text) for text in texts] == [_number(found) for found in shown]


def _number(found: str | float | None) -> float | str | None:
    """Comparable: NaN is NaN, and a word is no number."""
    number = number_of(found)
    return "nan" if number is not None and math.isnan(number) else number


async def test_pairs_are_placed_by_the_interval(api: API) -> None:
    """Step, epoch or time."""
    for key in await keys(api):
        for row in await api.experiment_metrics_summary(key):
            points = {
                interval: [place for place, _ in await api.experiment_metric(key, row["name"], interval)]
                for interval in ("step", "epoch", "timestamp")
            }
            steps = [step for step in points["step"] if step is not None]
            assert steps == sorted(steps)
            assert all(moment > 1_000_000_000_000 for moment in points["timestamp"])
            return


async def test_a_chart_has_parameters_of_many_experiments_in_one_answer(api: API) -> None:
    """The same as asked one by one."""
    every = await keys(api)
    wanted = sorted({row["name"] for key in every for row in await api.experiment_parameters(key)})
    charts = await api.experiment_metrics_for_chart(every, [], wanted)
    for key in every:
        single = {row["name"]: row["valueCurrent"] for row in await api.experiment_parameters(key)}
        if single:
            assert {name: text for name, text in (charts[key]["params"] or {}).items() if text is not None} == single


async def test_assets_are_the_bytes_of_the_archives(api: API) -> None:
    """Every one, of the size that its listing tells; by name the first of that name."""
    for key in await keys(api):
        members = zipfile.ZipFile(SAMPLE / f"{key}.zip")
        logged = {members.read(name) for name in members.namelist()}
        assets = await api.experiment_assets(key)
        first = {row["fileName"]: row for row in reversed(assets)}
        for row in assets:
            assert KEY not in str(row)
            if row["remote"]:
                continue
            body = await api.experiment_asset(key, row["assetId"])
            if row["type"] == "histogram_combined_3d":  # made of the pieces, each as it is in the archive
                assert all(
                    json.dumps(one["histogram"], separators=(",", ":")).encode() in logged
                    for one in json.loads(body)["histograms"]
                )
            else:
                assert body in logged
            assert len(body) == row["fileSize"]
            async with api.stream_asset(key, row["assetId"]) as stream:
                assert stream.size == row["fileSize"]
                assert b"".join([chunk async for chunk in stream]) == body
            if not first[row["fileName"]]["remote"]:
                by_name = await api.experiment_asset_by_name(key, str(row["fileName"]))
                assert by_name == await api.experiment_asset(key, first[row["fileName"]]["assetId"])


async def test_typed_assets_are_had_in_their_own_form(api: API) -> None:
    """Images as the page shows them, curves as numbers, JSON as what it says."""
    images = curves = 0
    for key in await keys(api):
        assets = {row["assetId"]: row for row in await api.experiment_assets(key)}
        for image in await api.experiment_images(key):
            assert (assets[image["assetId"]]["type"], image["apiKey"]) == ("image", None)
            images += 1
        for curve in await api.experiment_curves(key):
            assert len(curve["x"]) == len(curve["y"]) > 0
            assert assets[curve["assetId"]]["step"] == curve["step"]
            raw = await api.experiment_asset(key, curve["assetId"], "json")
            assert raw["x"] == curve["x"]
            assert '"x"' in await api.experiment_asset(key, curve["assetId"], "text")
            curves += 1
    assert images
    assert curves


async def test_git_is_what_was_logged(api: API) -> None:
    """A dirty tree has a patch, in a zip."""
    patches = [await api.experiment_git_patch(key) for key in await keys(api)]
    for patch in filter(None, patches):
        assert zipfile.ZipFile(io.BytesIO(patch)).namelist() == ["git_diff.patch"]
    assert any(patches)
    for key in await keys(api):
        assert (await api.experiment_git_metadata(key)).keys() >= get_type_hints(models.GitMetadata).keys()


async def test_the_store_keeps_what_it_is_given(api: API) -> None:
    """Empty at first."""
    assert await api.get_store() == {"store": "{}"}
    assert await api.store("text", "This is the text") == {"msg": "Stored"}
    assert await api.get_from_store("text") == "This is the text"


async def test_what_is_not_there_is_not_found(api: API) -> None:
    """By every method that names something."""
    key = (await keys(api))[0]
    calls: list[Awaitable[Any]] = [
        api.projects("nobody"),
        api.project_metadata("nothing"),
        api.project_notes("nothing"),
        api.experiments_by_project_id("nothing"),
        api.experiments_by_project_name("nobody", "nothing"),
        api.experiment_metadata("nothing"),
        api.experiment_metric("nothing"),
        api.experiment_metric("nothing", "loss"),
        api.experiment_metric("nothing", ["a", "b"]),
        api.experiment_assets("nothing"),
        api.experiment_curves("nothing"),
        api.experiment_asset(key, "nothing"),
        api.experiment_asset_by_name(key, "nothing"),
        api.experiment_git_patch("nothing"),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            await call


async def test_a_wrong_key_is_told_so() -> None:
    """Without being shown."""
    app = make_app(open_directory(SAMPLE), api_key="another")
    async with API(KEY, "http://comet.example", transport=Transport(httpx.ASGITransport(app))) as one:
        with pytest.raises(KeyRejected) as caught:
            await one.workspaces()
    assert KEY not in str(caught.value)


async def test_it_is_the_same_over_a_socket() -> None:
    """Everything at once: many calls and downloads, some of them left in the middle."""
    app = make_app(open_directory(SAMPLE), api_key=KEY)
    seen: list[int] = []

    async def look(api: API, key: str) -> None:
        for row in await api.experiment_assets(key):
            if row["remote"]:
                continue
            async with api.stream_asset(key, row["assetId"]) as stream:
                async for _ in stream:
                    break
            seen.append(len(await api.experiment_asset(key, row["assetId"])) - (row["fileSize"] or 0))
        assert (await api.experiment_metadata(key))["experimentKey"] == key

    async with trio.open_nursery() as serving:
        url = await serving.start(listener.serve, app, "127.0.0.1:0")
        async with API(KEY, url) as api:
            async with trio.open_nursery() as nursery:
                for key in await keys(api):
                    nursery.start_soon(look, api, key)
            with pytest.raises(CometFSError):
                await api.experiment_metadata("nothing")
        serving.cancel_scope.cancel()
    assert len(seen) > 50
    assert set(seen) == {0}
