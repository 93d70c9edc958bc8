"""What the declaration shows of the sample, in process."""

from __future__ import annotations

import csv
import io
import json
import posixpath
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cometfs.comet.api import API
from cometfs.comet.http.transport import Transport
from cometfs.composition.assembly import open_vfs
from cometfs.server import sample_directory
from cometfs.server.catalog.catalog import open_directory
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.layout import PROJECT
from cometfs.vfs.layout.experiment import EXPERIMENT
from cometfs.vfs.schema.declaration import Dir, ForEach, for_eaches_of
from cometfs.vfs.sources.experiment import PATCH, PROJECT_NAMES
from cometfs.vfs.sources.parameters import TAGS
from tests.inprocess.conftest import BASELINE, FOREST, Wire, at, mounted, names, read

KNN = "tabular/wine-cultivars/knn-imported-from-old-tracker"


def rows(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode())))


def test_the_names_that_no_experiment_can_have_are_declared() -> None:
    """What stands in a project's directory is reserved, so that no experiment changes its name for it."""
    fixed = {entry.name for entry in PROJECT.entries if not isinstance(entry, ForEach)}
    assert fixed <= PROJECT_NAMES


async def test_typed_assets_are_tables(vfs: Vfs) -> None:
    """Curves, confusion matrices and histograms as CSV, from the same list of assets."""
    assert rows(await read(vfs, f"{BASELINE}/curves/roc-digit-3.csv"))[0] == ["x", "y"]
    matrix = rows(await read(vfs, f"{BASELINE}/confusion-matrix/confusion-matrix.csv"))
    assert len(matrix) == 11
    assert {len(row) for row in matrix} == {11}
    histogram = rows(await read(vfs, f"{BASELINE}/histograms/weights/layer-0.csv"))
    assert histogram[0] == ["step", "low", "high", "count"]
    assert all(float(low) < float(high) and int(count) > 0 for _, low, high, count in histogram[1:])
    assert list(dict.fromkeys(step for step, *_ in histogram[1:])) == ["10", "100", "200", "300"]


@pytest.mark.parametrize(
    ("logged", "shown"),
    [
        (["m.json"], ["m.csv"]),
        (["m"], ["m.csv"]),
        (["deep/M.JSON"], ["deep/M.csv"]),
        ([".json", "d/.json"], [".json.csv", "d/.json.csv"]),
        (["loss/"], ["loss%2F.csv"]),
        (["d/", "d/"], ["d%2F-1-aaaaaaaa.csv", "d%2F-1-bbbbbbbb.csv"]),
        ([""], [f"{'a' * 32}.csv"]),
        (["m.json.txt"], ["m.json.txt.csv"]),
        (["m.json", "m"], ["m-1-aaaaaaaa.csv", "m-1-bbbbbbbb.csv"]),
        (["m.json", "m.csv"], ["m.csv", "m.csv.csv"]),
    ],
)
def test_a_table_made_of_json_has_one_suffix(logged: list[str], shown: list[str]) -> None:
    """The one of what it is made of is replaced; two that come to share a name are told apart as any others."""
    rows = [{"fileName": name, "step": 1, "assetId": letter * 32} for name, letter in zip(logged, "ab", strict=False)]
    for directory in ("curves", "confusion-matrix", "histograms"):
        entry = next(one for one in EXPERIMENT.entries if isinstance(one, Dir) and one.name == directory)
        assert ["/".join(path) for path in for_eaches_of(entry)[0].names(rows)] == shown


async def test_images_bear_their_step_and_a_suffix(vfs: Vfs, wire: Wire) -> None:
    """The suffix of PNG where the name has none; the bytes of none are fetched for it."""
    found = await names(vfs, f"{BASELINE}/images")
    assert {"first-layer-10.png", "first-layer-300.png", "confidence-300.png"} <= set(found)
    assert wire.asked == ["workspaces", "projects", "experiments", "experiment/asset/list"]
    assert (await read(vfs, f"{BASELINE}/images/first-layer-10.png")).startswith(b"\x89PNG")


def image_names(*logged: tuple[str, int | None, str | None, bool]) -> list[str]:
    """How images are called, from (name, step, context, whether it lies elsewhere), with ids "aaa...", "bbb..." ..."""
    entry = next(one for one in EXPERIMENT.entries if isinstance(one, Dir) and one.name == "images")
    rows = [
        {"fileName": name, "step": step, "runContext": context, "remote": remote, "assetId": chr(97 + at) * 32}
        for at, (name, step, context, remote) in enumerate(logged)
    ]
    return ["/".join(path) for path in for_eaches_of(entry)[0].names(rows)]


def test_only_suffixes_of_images_are_suffixes_of_images() -> None:
    """What else follows a point is part of the name, and so is a suffix of other files."""
    found = image_names(
        ("conv1.weight", 100, None, False),
        ("img.2024.05.01", 100, None, False),
        ("photo.JPEG", 7, None, False),
        ("a/plot.csv", 1, None, False),
        ("a.b/c", None, None, False),
        ("", 2, None, False),
        ("samples/", 3, None, False),
        ("others/", None, None, False),
    )
    assert found == [
        "conv1.weight-100.png",
        "img.2024.05.01-100.png",
        "photo-7.JPEG",
        "a/plot.csv-1.png",
        "a.b/c.png",
        f"{'f' * 32}-2.png",
        "samples/-3.png",
        "others%2F.png",
    ]


def test_images_are_told_apart_by_their_context_first() -> None:
    """Those of one name that were logged in several; then by step, then by id."""
    found = image_names(
        ("confusion", 5, "train", False),
        ("confusion", 5, "validate", False),
        ("confusion", 6, "validate", False),
        ("confusion", 6, "validate", False),
        ("confusion", 5, None, False),
        ("alone.png", 5, "train", False),
    )
    assert found == [
        "confusion-train-5.png",
        "confusion-validate-5.png",
        "confusion-validate-6-cccccccc.png",
        "confusion-validate-6-dddddddd.png",
        "confusion-5.png",
        "alone-5.png",
    ]


def test_an_image_that_lies_elsewhere_is_a_link() -> None:
    """Nobody knows of which kind it is where its name does not say so."""
    found = image_names(
        ("photo", 3, None, True),
        ("photo.png", None, None, True),
        ("photo.png", 3, None, True),
        ("far/", None, None, True),
    )
    assert found == ["photo-3.url", "photo.png.url", "photo-3.png.url", "far%2F.url"]


@pytest.mark.parametrize(
    ("kind", "directory", "shown"),
    [
        ("image", "images", "far-3.url"),
        ("curve", "curves", "far.url"),
        ("model-element", "models", "net/far.url"),
        ("source_code", "source", "far.url"),
        ("asset", "assets", "far.url"),
    ],
)
async def test_what_lies_elsewhere_is_in_its_directory(
    kind: str, directory: str, shown: str, vfs: Vfs, wire: Wire
) -> None:
    """As a link, whatever it is, beside those that Comet has; it hides none, and is not lost."""

    def add(answer: dict[str, list[dict[str, object]]]) -> None:
        far = {"fileName": "far", "step": 3, "type": kind, "dir": "models/net", "assetId": "f" * 32}
        answer["assets"].append({**answer["assets"][0], **far, "remote": True, "link": "s3://far/x"})

    wire.edits["experiment/asset/list"] = add
    assert len(await names(vfs, f"{BASELINE}/{directory}")) > 1
    assert await read(vfs, f"{BASELINE}/{directory}/{shown}") == b"s3://far/x\n"


async def test_source_files_and_models_have_their_own_folders(vfs: Vfs) -> None:
    """Absolute paths are made relative, models lie under their names."""
    assert await read(vfs, f"{BASELINE}/source/home/ada/digits/train.py") == await read(vfs, f"{BASELINE}/code.py")
    assert set(await names(vfs, f"{BASELINE}/models/digits-mlp")) == {"config.json", "model.joblib"}


CLEAN = "tabular/Diabetes progression/boosting-depth-5/git"
"""Of an experiment whose working copy had no changes."""


async def test_git_is_listed_without_a_question(vfs: Vfs, wire: Wire) -> None:
    """A patch is taken out of its zip; of a clean tree it is empty."""
    for place in (f"{BASELINE}/git", CLEAN):
        assert await names(vfs, place) == ["metadata.json", "diff.patch"]
    assert not [endpoint for endpoint in wire.asked if endpoint.startswith("experiment/")]
    assert (await read(vfs, f"{BASELINE}/git/diff.patch")).startswith(b"diff --git")
    assert json.loads(await read(vfs, f"{BASELINE}/git/metadata.json"))["branch"]
    assert await read(vfs, f"{CLEAN}/diff.patch") == b""


async def test_an_answer_at_hand_hides_an_empty_patch(vfs: Vfs) -> None:
    """Where that is known before anything listed it, as of siblings that are read ahead."""
    await vfs._answers.ask(PATCH, (await at(vfs, CLEAN)).at)
    assert await names(vfs, CLEAN) == ["metadata.json"]


@pytest.mark.parametrize("rw", [False, True])
async def test_what_can_be_edited_is_listed_although_it_is_empty(wire: Wire, rw: bool) -> None:
    """In a mount that may be written to; others leave out what an answer at hand says to be nothing."""
    async with API("key", "http://comet", transport=Transport(wire)) as api, open_vfs(api, rw=rw) as vfs:
        vfs._answers.fill(TAGS, (await at(vfs, BASELINE)).at, [])
        assert ("tags.txt" in await names(vfs, BASELINE)) is rw


async def test_every_view_leads_to_its_experiment(vfs: Vfs) -> None:
    """Relative, and to a directory that is there."""
    project = "vision-lab/digits"
    directories = {name for name in await names(vfs, project) if "." not in name.removesuffix(".md") or "σ" in name}
    for view in ("by-key", "finished"):
        links = await names(vfs, f"{project}/views/{view}")
        assert len(links) == 5
        for link in links:
            target = await vfs.readlink(await at(vfs, f"{project}/views/{view}/{link}"))
            assert posixpath.normpath(posixpath.join("views", view, target)) in directories
    assert await names(vfs, f"{project}/views/running") == await names(vfs, f"{project}/views/crashed") == []
    latest = await vfs.readlink(await at(vfs, f"{project}/views/latest"))
    assert posixpath.normpath(posixpath.join("views", latest)) in directories


async def test_views_cost_the_one_listing(vfs: Vfs, wire: Wire) -> None:
    """All of by-key, latest and the states, whatever the number of experiments."""
    for view in ("", "/by-key", "/running", "/finished", "/crashed"):
        await names(vfs, f"vision-lab/digits/views{view}")
    assert wire.asked == ["workspaces", "projects", "experiments"]


async def test_the_state_is_asked_for_where_the_listing_does_not_tell(vfs: Vfs, wire: Wire) -> None:
    """As on older servers: the metadata of each experiment, when somebody looks."""

    def forget(answer: dict[str, list[dict[str, object]]]) -> None:
        for row in answer["experiments"]:
            del row["running"], row["hasCrashed"]

    wire.edits["experiments"] = forget
    assert len(await names(vfs, "vision-lab/digits/views/finished")) == 5
    assert wire.asked[3:] == ["experiment/metadata"] * 5


async def test_archived_experiments_are_asked_for_only_when_somebody_looks(vfs: Vfs, wire: Wire) -> None:
    """And stand apart from the others, in the same shape."""
    await names(vfs, "vision-lab/digits")
    assert wire.asked == ["workspaces", "projects", "experiments"]
    assert await names(vfs, "vision-lab/digits/archived") == []
    assert wire.asked[3:] == ["experiments"]


async def test_raw_answers_are_whole_and_hold_no_key(vfs: Vfs) -> None:
    """Every method of the SDK about an experiment; curlDownload, which holds the key, is gone."""
    for name in await names(vfs, f"{FOREST}/.api"):
        body = await read(vfs, f"{FOREST}/.api/{name}")
        assert b"curlDownload" not in body
        assert b"Authorization" not in body
        json.loads(body or b"null")
    assets = json.loads(await read(vfs, f"{FOREST}/.api/experiment_assets.json"))
    assert {"assetId", "fileName", "type"} <= set(assets[0])


async def test_addresses_lead_to_comets_pages(vfs: Vfs) -> None:
    """Of a workspace, a project, an experiment."""
    assert await read(vfs, "vision-lab/url.txt") == b"http://comet/vision-lab\n"
    assert await read(vfs, "vision-lab/digits/url.txt") == b"http://comet/vision-lab/digits\n"
    key = "50d3a93fdfbc7f162d0165d3174ee601"
    assert await read(vfs, f"{BASELINE}/url.txt") == f"http://comet/vision-lab/digits/{key}\n".encode()


async def test_the_table_of_a_project_says_what_the_files_of_its_experiments_say(vfs: Vfs) -> None:
    """Every parameter, other and metric of every experiment, and its tags."""
    body = await read(vfs, "vision-lab/digits/summary/experiments.csv")
    for row in csv.DictReader(io.StringIO(body.decode())):
        place = f"vision-lab/digits/{row['directory']}"
        assert row["tags"].split(";") == (await read(vfs, f"{place}/tags.txt")).decode().splitlines()
        for prefix, name in (("param.", "params.json"), ("other.", "others.json")):
            found = json.loads(await read(vfs, f"{place}/{name}"), parse_float=str, parse_int=str)
            texts = {word: str(value).lower() if isinstance(value, bool) else value for word, value in found.items()}
            assert {
                word.removeprefix(prefix): cell for word, cell in row.items() if word.startswith(prefix) and cell
            } == {word: value for word, value in texts.items() if value}
        metrics = json.loads(await read(vfs, f"{place}/metrics.json"), parse_float=str, parse_int=str)
        for name, summary in metrics.items():
            assert [row[f"metric.{name}.{word}"] for word in ("last", "min", "max")] == [
                summary[word] for word in ("last", "min", "max")
            ]


async def test_the_table_as_json_says_what_the_csv_says(vfs: Vfs, wire: Wire) -> None:
    """The same columns of the same rows, at no call more, with types: numbers, lists, null."""
    body = await read(vfs, "vision-lab/digits/summary/experiments.csv")
    asked = len(wire.asked)
    lines = (await read(vfs, "vision-lab/digits/summary/experiments.jsonl")).decode().splitlines()
    assert len(wire.asked) == asked
    found = [json.loads(line) for line in lines]
    for row, one in zip(csv.DictReader(io.StringIO(body.decode())), found, strict=True):
        assert list(row) == list(one)
        for column, value in one.items():
            assert spelt_as(column, value, row[column]), (column, value, row[column])
    (baseline,) = [one for one in found if one["name"] == "mlp-baseline"]
    assert baseline["param.hidden"] == [32]
    assert baseline["param.resume_from"] is None
    assert baseline["param.augment"] is False
    assert baseline["param.lr"] == 0.002
    assert {type(one["tags"]) for one in found} == {list}


def spelt_as(column: str, value: object, cell: str) -> bool:
    """Whether a cell of the CSV says the same."""
    if value is None:
        return cell in ("", "null", "NaN", "Infinity", "-Infinity")
    if isinstance(value, bool | dict) or (isinstance(value, list) and column != "tags"):
        return bool(json.loads(cell) == value)
    if isinstance(value, list):
        return cell == ";".join(value)
    return cell == value if isinstance(value, str) else float(cell) == value


async def test_no_table_has_a_column_that_says_nothing(vfs: Vfs) -> None:
    """Archived experiments are in `archived/` and not in the table, so it does not tell of each that it is not one."""
    head = (await read(vfs, "vision-lab/digits/summary/experiments.csv")).decode().splitlines()[0].split(",")
    assert head[:3] == ["key", "name", "directory"]
    assert "archived" not in head


async def test_a_chart_has_every_point_of_every_experiment(vfs: Vfs) -> None:
    """The values of an experiment's own metric, in its column."""
    chart = list(csv.DictReader(io.StringIO((await read(vfs, "vision-lab/digits/charts/validate_loss.csv")).decode())))
    metric = await read(vfs, f"{BASELINE}/metrics/validate_loss.csv")
    own = {row["step"]: float(row["value"]) for row in csv.DictReader(io.StringIO(metric.decode()))}
    assert {row["step"]: float(row["mlp-baseline"]) for row in chart if row["mlp-baseline"]} == own


async def test_a_chart_costs_a_call_for_a_hundred_experiments(vfs: Vfs, wire: Wire) -> None:
    """Not one for each; the best ones of the metric come from the same answer. And one to compare it with."""
    await read(vfs, "vision-lab/digits/charts/validate_loss.csv")
    assert await names(vfs, "vision-lab/digits/views/best/validate_loss") == ["max", "min"]
    assert wire.asked[3:] == ["project/column-names", "experiments/multi-metric-chart", "experiment/metrics/get-metric"]


BEST = "vision-lab/digits/views/best"


async def test_the_best_views_are_listed_without_a_question(vfs: Vfs, wire: Wire) -> None:
    """But for the names of the metrics. To follow one asks, and the other of its metric is answered by that."""
    metrics = await names(vfs, BEST)
    assert len(metrics) > 5
    for metric in metrics:
        await names(vfs, f"{BEST}/{metric}")
    links = [await at(vfs, f"{BEST}/train_loss/{which}") for which in ("max", "min")]
    sizes = [(await vfs.attributes(link)).size for link in links]
    assert wire.asked[3:] == ["project/column-names"]
    assert [vfs.readlink_nowait(link) for link in links] == [None, None]
    for link in links:
        assert (await vfs.readlink(link)).startswith("../../../")
        assert vfs.readlink_nowait(link) == await vfs.readlink(link)
    assert wire.asked[4:] == ["experiments/multi-metric-chart", "experiment/metrics/get-metric"]
    assert [(await vfs.attributes(link)).size for link in links] == sizes == [4095, 4095]


def add_metrics(*names: str) -> Callable[[dict[str, list[dict[str, str]]]], None]:
    def add(answer: dict[str, list[dict[str, str]]]) -> None:
        answer["columns"] += [{"name": name, "source": "metrics", "type": "double", "id": name} for name in names]

    return add


async def test_a_metric_keeps_its_name_beside_those_below_it(vfs: Vfs, wire: Wire) -> None:
    """Also where one of those is called like one of its links, and gives way."""
    logged = ("train_loss/dataloader_idx_0", "train_loss/max", "train_loss/max/min", "end/")
    wire.edits["project/column-names"] = add_metrics(*logged)
    assert await names(vfs, f"{BEST}/train_loss") == ["max", "min", "dataloader_idx_0", "%6Dax"]
    assert await names(vfs, f"{BEST}/train_loss/dataloader_idx_0") == ["max", "min"]
    assert await names(vfs, f"{BEST}/train_loss/%6Dax") == ["max", "min", "%6Din"]
    assert await names(vfs, f"{BEST}/train_loss/%6Dax/%6Din") == ["max", "min"]
    assert await names(vfs, f"{BEST}/end%2F") == ["max", "min"]
    link = f"{BEST}/train_loss/%6Dax/%6Din/max"
    assert posixpath.normpath(posixpath.join(BEST, "a/b/c", await vfs.readlink(await at(vfs, link)))).startswith(
        "vision-lab/digits/"
    )
    assert {"train_loss.csv", "train_loss", "end%2F.csv"} <= set(await names(vfs, "vision-lab/digits/charts"))


async def test_no_experiment_is_the_best_by_what_none_has(vfs: Vfs, wire: Wire) -> None:
    """The link leads to no directory, but to a file: what copies or follows links does not fail."""
    wire.edits["project/column-names"] = add_metrics("words")
    link = await vfs.readlink(await at(vfs, f"{BEST}/words/max"))
    assert posixpath.normpath(posixpath.join("views/best/words", link)) == "README.md"
    assert "README.md" in await names(vfs, "vision-lab/digits")


async def test_a_best_view_is_asked_again_after_a_refresh(vfs: Vfs, wire: Wire) -> None:
    """Of the link itself, and of a directory above it."""
    link = await at(vfs, f"{BEST}/train_loss/max")
    above = [await at(vfs, path) for path in (f"{BEST}/train_loss", BEST, "vision-lab/digits")]
    for depth, refreshed in enumerate((link, *above)):
        await vfs.readlink(link)
        wire.asked.clear()
        await vfs.refresh(refreshed, above[depth:])
        await vfs.readlink(link)
        assert "experiments/multi-metric-chart" in wire.asked, refreshed.name


async def test_the_best_views_lead_to_the_least_and_the_greatest(vfs: Vfs) -> None:
    """By the metrics' own summaries; a "/" in a metric's name makes folders, which the links climb out of."""
    for project, metric in (("vision-lab/digits", "validate_loss"), ("tabular/Diabetes progression", "val/rmse")):
        values = {}
        for name in await names(vfs, project):
            if not (await at(vfs, project)).at.project or name not in await _experiments(vfs, project):
                continue
            summary = json.loads(await read(vfs, f"{project}/{name}/metrics.json"))
            if metric in summary:
                values[name] = (summary[metric]["min"], summary[metric]["max"])
        for which, wanted in (
            ("min", min(values, key=lambda name: values[name][0])),
            ("max", max(values, key=lambda name: values[name][1])),
        ):
            place = f"views/best/{metric}"
            target = await vfs.readlink(await at(vfs, f"{project}/{place}/{which}"))
            assert posixpath.normpath(posixpath.join(place, target)) == wanted


async def _experiments(vfs: Vfs, project: str) -> set[str]:
    links = await names(vfs, f"{project}/views/by-key")
    found = [await vfs.readlink(await at(vfs, f"{project}/views/by-key/{link}")) for link in links]
    return {posixpath.basename(target) for target in found}


async def test_views_by_tag_have_the_experiments_with_the_tag(vfs: Vfs, wire: Wire) -> None:
    """One call for the tags, one for each that is looked into."""
    assert "baseline" in await names(vfs, "vision-lab/digits/views/by-tag")
    assert await names(vfs, "vision-lab/digits/views/by-tag/baseline") == ["mlp-baseline"]
    assert wire.asked[3:] == ["project/column-names", "project/query"]
    link = await at(vfs, "vision-lab/digits/views/by-tag/baseline/mlp-baseline")
    assert await vfs.readlink(link) == "../../../mlp-baseline"


async def test_a_picture_is_drawn_of_every_metric(vfs: Vfs) -> None:
    """Of one experiment and of all."""
    for path in (f"{BASELINE}/plots/validate_loss.svg", "vision-lab/digits/charts/validate_loss.svg"):
        assert b"<svg" in await read(vfs, path)


SUMMARIES = ("experiments.csv", "experiments.jsonl", "overview.html")


async def test_a_project_links_to_its_tables_and_a_look_at_the_links_makes_none(vfs: Vfs, wire: Wire) -> None:
    """`ls -l` of a project of thousands must not cost thousands of calls."""
    project = "vision-lab/digits"
    for name in SUMMARIES:
        link = await at(vfs, f"{project}/{name}")
        assert await vfs.readlink(link) == f"summary/{name}"
        seen = await vfs.attributes(link)
        assert (seen.kind, seen.size) == ("link", len(f"summary/{name}"))
    assert wire.asked == ["workspaces", "projects", "experiments"]


async def test_a_stat_of_a_table_makes_it_however_big_the_project_is(vfs: Vfs, wire: Wire) -> None:
    """Its size is the number of its bytes: tarfile, cpio and bsdtar cut it at any other without a word."""

    def grow(answer: dict[str, list[dict[str, object]]]) -> None:
        for row in answer["projects"]:
            row["numberOfExperiments"] = 5000

    wire.edits["projects"] = grow
    for name in (*(f"summary/{name}" for name in SUMMARIES), "charts/validate_loss.csv", "notes.md"):
        path = f"vision-lab/digits/{name}"
        seen = await vfs.attributes(await at(vfs, path))
        wire.asked.clear()
        assert seen.size == len(await read(vfs, path))
        assert wire.asked == []


async def test_an_archived_experiment_stands_apart_in_the_same_shape(tmp_path: Path) -> None:
    """Not among the others, not in their table; whole below archived/."""
    key = "a8ade3907ffd2629b4d41c6f812db19b"
    for name in (key, "9e763c52d9940cdfba157abe2ef2c5a4"):
        with zipfile.ZipFile(sample_directory() / f"{name}.zip") as archive:
            archive.extractall(tmp_path / name)
    heading = tmp_path / key / "experiment.json"
    heading.write_text(json.dumps(json.loads(heading.read_text()) | {"archived": True}))
    wire = Wire(open_directory(tmp_path))
    async with API("key", "http://comet", transport=Transport(wire)) as api, open_vfs(api) as vfs:
        project = "tabular/wine-cultivars"
        assert await names(vfs, f"{project}/views/by-key") == ["9e763c52d9940cdfba157abe2ef2c5a4"]
        assert await names(vfs, f"{project}/archived") == ["%6Eotes.md"]
        assert "params.json" in await names(vfs, f"{project}/archived/%6Eotes.md")
        assert b"/archive/" in await read(vfs, f"{project}/archived/%6Eotes.md/url.txt")
        assert key.encode() not in await read(vfs, f"{project}/summary/experiments.csv")
        assert key.encode() not in await read(vfs, f"{project}/summary/experiments.jsonl")


async def test_charts_are_the_same_from_disk(wire: Wire, tmp_path: Path) -> None:
    """A table of one metric, its picture and who is best, within the minute that the answer holds."""
    project = posixpath.dirname(BASELINE)
    shown = []
    for _ in range(2):
        async with mounted(wire, tmp_path) as vfs:
            wire.asked.clear()
            files = [await read(vfs, f"{project}/charts/train_loss.{suffix}") for suffix in ("csv", "svg")]
            links = [
                await vfs.readlink(await at(vfs, f"{project}/views/best/train_loss/{which}"))
                for which in ("min", "max")
            ]
            shown.append((files, links))
    assert "experiments/multi-metric-chart" not in wire.asked
    assert shown[0] == shown[1]
