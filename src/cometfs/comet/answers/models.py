"""What Comet answers: the forms of its rows, and a reader for every endpoint, from the body to what the SDK returns.

Fields are Comet's own, in the order of the SDK's page. A field that a server leaves out is None. Times are integers,
milliseconds since 1970; durations are milliseconds; sizes are bytes; logged values are text, however they were logged.

Not here: how a form is applied (`shapes`), and which endpoint is asked (`api`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NotRequired, TypedDict, TypeVar, cast
from urllib.parse import parse_qs, urlsplit

import msgspec

from cometfs.comet.answers.shapes import Mismatch, Row, Shape, as_text, bounded, items, texts, value
from cometfs.text.numbers import number_of

T = TypeVar("T")


class Project(TypedDict):
    """A project, as `API.projects` and `API.project_metadata` return it.

    `lastUpdated` is in ms since 1970, None for an empty project. `public` and `isPublic` are the same: Comet's answers
    have now one, now the other. `ownerUserName` is the user that made it; `projectDescription` is text.
    """

    projectId: str
    projectName: str
    projectDescription: str | None
    ownerUserName: str | None
    workspaceId: Any
    workspaceName: str | None
    public: bool | None
    isPublic: bool | None
    numberOfExperiments: int | None
    lastUpdated: float | None


class Experiment(TypedDict):
    """An experiment, in listings (`API.experiments_by_project_id`) and alone (`API.experiment_metadata`).

    `startTimeMillis` and `endTimeMillis` are in ms since 1970, `durationMillis` in ms. `endTimeMillis` is the time of
    the last message, so it is set while the experiment is `running`, too. `filePath` and `fileName` are of the script
    that created it. `throttle` says whether Comet limited what was logged, `throttleMessage` and `throttleReasons` why.
    """

    experimentKey: str
    experimentName: str | None
    optimizationId: Any
    userName: str | None
    projectId: str | None
    projectName: str | None
    workspaceName: str | None
    filePath: str | None
    fileName: str | None
    throttle: Any
    throttleMessage: Any
    throttleReasons: Any
    durationMillis: float | None
    startTimeMillis: float | None
    endTimeMillis: float | None
    running: bool | None
    hasCrashed: bool | None
    archived: bool | None


class Value(TypedDict):
    """A parameter, an other, or the summary of a metric.

    `API.experiment_parameters`, `API.experiment_other` and `API.experiment_metrics_summary` return it. `valueCurrent`
    is the last value, `valueMin` and `valueMax` the least and the greatest: text, however they were logged. Each has
    its `timestamp` in ms since 1970, its `step`, and its `runContext` (``"train"``), None where there is none.
    """

    name: str
    valueMax: str | None
    valueMin: str | None
    valueCurrent: str | None
    timestampMax: float | None
    timestampMin: float | None
    timestampCurrent: float | None
    runContextMax: str | None
    runContextMin: str | None
    runContextCurrent: str | None
    stepMax: float | None
    stepMin: float | None
    stepCurrent: float | None


class Point(TypedDict):
    """One logged value of a metric: `API.experiment_metric_points` and `API.experiment_every_point` return these.

    `metricValue` is text; `timestamp` is in ms since 1970. `step` and `epoch` are None where they were not logged.
    `offset` counts in the order of logging; it may be negative.
    """

    metricName: str
    metricValue: str | None
    timestamp: float | None
    step: float | None
    epoch: float | None
    runContext: str | None
    offset: float | None


class Asset(TypedDict):
    """A file of an experiment, as `API.experiment_assets` returns it; `API.experiment_asset` takes its `assetId`.

    `fileSize` is in bytes, `createdAt` in ms since 1970. `remote`: Comet has only its `link`. `metadata` is JSON in a
    string, `type` a word such as ``"image"``, `dir` the folder that Comet's pages show it in.
    """

    assetId: str
    fileName: str | None
    fileSize: int | None
    runContext: str | None
    step: float | None
    remote: bool | None
    link: str | None
    createdAt: float | None
    dir: str | None
    type: str | None
    metadata: Any


class Image(TypedDict):
    """A logged image, as the SDK's page shows it, with the `assetId` that `API.experiment_asset` takes.

    `figName` and `fileName` are the name, `imagePath` is the address of the bytes. `apiKey`, `runId`, `projectId` and
    `figCounter` are always None. `remote`: Comet has only its link.
    """

    apiKey: None
    runId: None
    experimentKey: str
    projectId: None
    figCounter: None
    figName: str | None
    step: float | None
    runContext: str | None
    fileName: str | None
    imagePath: str | None
    assetId: str
    remote: bool | None


class SystemDetails(TypedDict):
    """Machine, Python and command of an experiment, as `API.experiment_system_details` returns it.

    `command` is the list of arguments. `totalRam` and the memory of GPUs are in bytes.
    `installedPackages` are ``name==version``, `env` has environment variables by name. What was not logged is None.
    """

    command: list[Any] | str | None
    executable: str | None
    experimentKey: str | None
    gpuStaticInfoList: list[Any] | None
    hostname: str | None
    installedPackages: list[str] | None
    ip: str | None
    logAdditionalSystemInfoList: list[Any] | None
    maxTotalMemory: Any
    networkInterfaceIps: list[Any] | None
    os: str | None
    osPackages: list[Any] | None
    osRelease: str | None
    osType: str | None
    machine: str | None
    processor: str | None
    env: Any
    pid: Any
    pythonVersion: str | None
    pythonVersionVerbose: str | None
    systemMetricNames: list[Any] | None
    totalRam: Any
    user: str | None


class ChartMetric(TypedDict):
    """A metric of a `Chart`: lists of equal length, an item for each point.

    `values` are numbers, NaN and infinities too, and None for other text. `timestamps` are in ms since 1970,
    `durations` in ms since the start of the experiment.
    """

    metricName: str
    values: list[float | None]
    steps: list[Any]
    epochs: list[Any]
    timestamps: list[Any]
    durations: list[Any]


class Chart(TypedDict):
    """What `API.experiment_metrics_for_chart` returns for one experiment.

    `params` maps names to text; None if none was asked for. `empty` says that there is nothing of what was asked.
    `steps` and `epochs` are usually None, as every metric has its own.
    """

    experimentKey: str
    experimentName: str | None
    empty: bool | None
    steps: list[Any] | None
    epochs: list[Any] | None
    params: dict[str, Any] | None
    metrics: list[ChartMetric]


class GitMetadata(TypedDict):
    """The state of the working copy that an experiment ran in; all None if there was none.

    `branch` is a ref (``refs/heads/main``), `parent` the hash of the commit, `root` of the first commit, `origin` the
    address of the remote, `user` git's ``user.name``.
    """

    user: str | None
    root: str | None
    branch: str | None
    parent: str | None
    origin: str | None


class Curve(TypedDict):
    """A logged curve, as `API.experiment_curves` returns it: `x` and `y` are lists of numbers of equal length.

    `name` is the logged one, `step` and `assetId` are from the list of assets.
    """

    name: str | None
    x: list[Any]
    y: list[Any]
    step: float | None
    assetId: str


# -- other spellings ---------------------------------------------------------------------------------------------------


def _project(row: Row) -> None:
    public = row.get("public", row.get("isPublic"))
    row["public"] = row["isPublic"] = public


def _value(row: Row) -> None:
    for name in ("valueMax", "valueMin", "valueCurrent"):
        row[name] = as_text(row.get(name))


def _point(row: Row) -> None:
    row["metricValue"] = as_text(row.get("metricValue"))


def _asset(row: Row) -> None:
    """`curlDownload` is left out: it is a command line with the API key in it."""
    row.pop("curlDownload", None)
    if "runConext" in row:  # sic: so it is spelt on the SDK's page
        row.setdefault("runContext", row.pop("runConext"))
    if row.get("assetId") is None:
        row["assetId"] = _asset_id(row.get("link"))
    if row.get("remote") is None and is_elsewhere(row.get("link")):
        row["remote"] = True


def _asset_id(link: Any) -> str | None:
    """The id in a link to an asset, where the listing of an old server has it."""
    found = parse_qs(urlsplit(link).query).get("assetId") if isinstance(link, str) else None
    return found[0] if found else None


def is_elsewhere(link: Any) -> bool:
    """Whether a link leads where no Comet keeps its files: ``s3://bucket/key``, ``file:///data``."""
    scheme, colon, _ = link.partition("://") if isinstance(link, str) else ("", "", "")
    return bool(colon) and scheme.lower() not in ("http", "https")


_NUMBERS = frozenset((int, float))


def _chart_metric(row: Row) -> None:
    values = items(row, "values")
    # Nearly always numbers, and then there is nothing to do; there are many. Programs log words as metrics, too, and a
    # chart of many must not fail for one of them.
    row["values"] = values if _NUMBERS.issuperset(map(type, values)) else [number_of(found) for found in values]
    for name in ("steps", "epochs", "timestamps", "durations"):
        row[name] = _places(row, name) or [None] * len(row["values"])


_PLACES = _NUMBERS | {type(None)}


def _places(row: Row, name: str) -> list[float | None]:
    """Where points are: None for one that is nowhere. What is neither may be a sign of anything."""
    found = items(row, name)
    if _PLACES.issuperset(map(type, found)):
        return found
    places = [number_of(one) for one in found]
    if any(place is None and one is not None for one, place in zip(found, places, strict=True)):
        raise Mismatch(f"{name!r} has what is no number")
    return places


def _chart(row: Row) -> None:
    row["metrics"] = [CHART_METRIC.normal(metric) for metric in items(row, "metrics")]
    if isinstance(params := row.get("params"), dict):
        row["params"] = {name: as_text(value) for name, value in params.items()}


PROJECT = Shape(Project, _project, known_by="projectId")
EXPERIMENT = Shape(Experiment, known_by="experimentKey")
VALUE = Shape(Value, _value, known_by="name", nameless=True)
POINT = Shape(Point, _point)
ASSET = Shape(Asset, _asset, known_by="assetId")
SYSTEM = Shape(SystemDetails)
CHART = Shape(Chart, _chart, strict=True)
CHART_METRIC = Shape(ChartMetric, _chart_metric, strict=True)
GIT = Shape(GitMetadata)
CURVE = Shape(Curve, strict=True)


# -- readers -----------------------------------------------------------------------------------------------------------


def workspaces(body: bytes) -> list[str]:
    return texts(body, "workspaceNames")


def projects(body: bytes) -> list[Project]:
    return PROJECT.rows(body, "projects")


def experiments(body: bytes) -> list[Experiment]:
    return EXPERIMENT.rows(body, "experiments")


def tags(body: bytes) -> list[str]:
    return texts(body, "tags")


def values(body: bytes) -> list[Value]:
    """Parameters, others and summaries of metrics."""
    return VALUE.rows(body, "values")


def named(rows: Sequence[Value], name: str) -> Value | None:
    """The first of that name."""
    return next((row for row in rows if row["name"] == name), None)


def points(body: bytes) -> list[Point]:
    """Of a metric that an experiment does not have, servers may answer without the field."""
    return POINT.rows_if_any(body, "metrics")


def assets(body: bytes) -> list[Asset]:
    return ASSET.rows(body, "assets")


def charts(body: bytes) -> dict[str, Chart]:
    """With all fields that the server sends, known or not."""
    found = value(bounded(body), "experiments", dict[str, msgspec.Raw])
    return {key: _any_chart(key, raw) for key, raw in found.items()}


def _any_chart(key: str, raw: msgspec.Raw) -> Chart:
    return CHART.normal({"experimentKey": key} | msgspec.json.decode(raw, type=Row))


def charts_as(body: bytes, make: Callable[[Chart], T]) -> dict[str, T]:
    """What `make` makes of each, of which no more than one is in memory at a time: the points of many experiments are
    ten times as many bytes as the body."""
    found = value(bounded(body), "experiments", dict[str, msgspec.Raw])
    return {key: make(_chart_of(key, raw)) for key, raw in found.items()}


class _PlainMetric(TypedDict):
    """A `ChartMetric` in its normal form. `timestamps` are in ms since 1970, `durations` in ms."""

    metricName: str
    values: list[float]
    steps: list[int | None]
    epochs: list[int | None]
    timestamps: list[int]
    durations: list[int | None]


class _PlainChart(TypedDict):
    """A chart of which each metric is in its normal form already, as nearly all are."""

    metrics: list[_PlainMetric]
    params: NotRequired[dict[str, str | None] | None]
    experimentName: NotRequired[str | None]
    empty: NotRequired[bool | None]
    steps: NotRequired[None]
    epochs: NotRequired[None]


_PLAIN = msgspec.json.Decoder(_PlainChart)

_BLANK: Row = dict.fromkeys(Chart.__annotations__)


def _chart_of(key: str, raw: msgspec.Raw) -> Chart:
    """The known fields alone."""
    try:
        plain = _PLAIN.decode(raw)
    except msgspec.ValidationError:
        return _any_chart(key, raw)
    whole = all(all(metric.values()) for metric in plain["metrics"])  # none of the lists is left empty
    return cast(Chart, _BLANK | {"experimentKey": key} | plain) if whole else _any_chart(key, raw)


def patch(body: bytes) -> bytes | None:
    """A zip, or a text from very old servers. ``{"msg": ...}`` with code 200 means that there is none."""
    if not body.startswith(b"{"):
        return body or None
    row = msgspec.json.decode(body, type=Row)
    if "msg" not in row or "sdk_error_code" in row or row.get("code", 200) != 200:
        raise Mismatch("it is a refusal, though its status is 200")
    return None


def image(experiment_key: str, asset: Asset) -> Image:
    """An asset that is an image, in the form of version 1 of Comet's API, which is what the SDK's page shows."""
    return Image(
        apiKey=None,
        runId=None,
        experimentKey=experiment_key,
        projectId=None,
        figCounter=None,
        figName=asset["fileName"],
        step=asset["step"],
        runContext=asset["runContext"],
        fileName=asset["fileName"],
        imagePath=asset["link"],
        assetId=asset["assetId"],
        remote=asset["remote"],
    )


def curve(asset: Asset, body: bytes) -> Curve:
    """The body of an asset of type ``curve``, named by its listing if it does not name itself."""
    row = logged_json(body)
    if not isinstance(row, dict):
        raise Mismatch("a curve is no object")
    row["name"] = row.get("name") or asset["fileName"]
    return CURVE.normal(row | {"step": asset["step"], "assetId": asset["assetId"]})


def logged_json(body: bytes) -> Any:
    """The content of a JSON file that a user logged; Python wrote it, so it may hold the words NaN and Infinity."""
    return json.loads(body)
