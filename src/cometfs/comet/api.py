"""Comet's JavaScript SDK in Python: an async class, one method for each of its methods, by the same name in snake_case.

Every method answers with what the SDK's page shows, in the normal form of `models`. What any method may raise:

- `NotFound`: Comet has no such workspace, project, experiment or asset
- `NotAllowed`, `KeyRejected`: it is not for this key; the key itself is refused
- `Throttled`: too many calls; its `retry_after` says how many seconds to wait
- `Unreachable`, `DeadlineExceeded`: no answer after several tries; none in time
- `Unsupported`: this server does not offer it
- `Unintelligible`: an answer that its endpoint does not promise

Not here: artifacts, registered models, queries (`workspace_api`); HTTP (`transport`), patience (`calls`), forms of
answers (`models`).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from types import TracebackType
from typing import Any, Literal, Self, overload

import msgspec
import trio

from cometfs.comet.address import page, parse_address
from cometfs.comet.answers import models, series
from cometfs.comet.answers.models import (
    Asset,
    Chart,
    Curve,
    Experiment,
    GitMetadata,
    Image,
    Point,
    Project,
    SystemDetails,
    Value,
)
from cometfs.comet.answers.shapes import value_if_any
from cometfs.comet.calls import AssetStream, Calls, Gate
from cometfs.comet.http.sniffing import LOOK, is_page
from cometfs.comet.http.transport import Transport
from cometfs.comet.kv_store import Alone, Held, Store
from cometfs.comet.question import Question
from cometfs.comet.settings import find_settings
from cometfs.comet.workspace_api import WorkspaceAPI
from cometfs.errors import NotFound, Unintelligible, Unreachable, Unsupported

__all__ = ["API", "AssetStream"]

VERSION = "v2"

DEADLINE = 60.0
"""Seconds that a call may take, its retries included."""

ReturnType = Literal["raw", "json", "text"]


class API(WorkspaceAPI):
    """A Comet account.

    `api_key` and `url` are found where Comet's own clients find them when they are not given: COMET_API_KEY and
    COMET_URL_OVERRIDE in the environment, ``./.env``, ``.comet.config``. `deadline` in seconds is for a whole call, its
    retries included; a download must have begun by then. `gate` is asked before each call and may hold it back; `alone`
    is held while the store is changed. Raises SetupError when there is no key.

        async with API() as api:
            print(await api.workspaces())

    It runs under trio. Calls may run concurrently; `transport` replaces the network, for tests.
    """

    def __init__(
        self,
        api_key: str | None = None,
        url: str | None = None,
        *,
        deadline: float = DEADLINE,
        transport: Transport | None = None,
        gate: Gate | None = None,
        alone: Alone = nullcontext,
    ) -> None:
        settings = find_settings(api_key, url)
        address = parse_address(settings.url)
        self._calls = Calls(address, settings.api_key, transport or Transport(), deadline=deadline, gate=gate)
        self._store = Store(self._calls, deadline, alone)
        self._lacks_every_point = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection; what `async with` does at its end."""
        await self._calls.aclose()

    # -- the account -----------------------------------------------------------------------------------------------

    @property
    def root(self) -> str:
        """The root of Comet's web pages, without a final slash: ``https://www.comet.com``."""
        return self._calls.address.root

    @staticmethod
    def page(root: str, workspace: str, project: str, experiment_key: str, archived: bool = False) -> str:
        """The address of an experiment's page, without asking. Archived ones have theirs in another place."""
        return page(root, workspace, project, *(["archive"] if archived else []), experiment_key)

    def get_version(self) -> str:
        """The version of the REST API that is spoken: ``"v2"``. A constant, so this one is not async."""
        return VERSION

    async def workspaces(self) -> list[str]:
        """Names of the workspaces that the key's owner belongs to.

        Public workspaces of others are not among them, but can be read by name.
        """
        return await self._calls.ask(Question("workspaces"), models.workspaces)

    async def projects(self, workspace: str) -> list[Project]:
        """The projects of `workspace`, in Comet's order, each a `Project`: ``projectId``, ``projectName`` ...

        `lastUpdated` is in ms since 1970, None for an empty project.
        """
        return await self._calls.ask(Question("projects", {"workspaceName": workspace}), models.projects)

    async def project_notes(self, project_id: str) -> str | None:
        """The notes of a project, in Markdown; None where there are none."""
        return await self._text("project/notes", "notes", projectId=project_id)

    async def project_metadata(self, project_id: str) -> Project:
        """One `Project`."""
        return await self._calls.ask(Question("project", {"projectId": project_id}), models.PROJECT.read)

    @overload
    async def get(self) -> list[str]: ...
    @overload
    async def get(self, workspace: str, project: str | None = None, experiment: str | None = None) -> Any: ...

    async def get(self, workspace: str | None = None, project: str | None = None, experiment: str | None = None) -> Any:
        """What is at a place, by names: ``get("ws", "proj", "exp")`` or ``get("ws/proj/exp")``.

        - ``get()``: names of workspaces
        - ``get("ws")``: its projects
        - ``get("ws/proj")``: keys of its experiments that are not archived
        - ``get("ws/proj/exp")``: the metadata of the experiment with that key, else of the first with that name

        One string is split at its first two slashes, so that the name of an experiment may have some.
        """
        names = [part for part in (*(workspace or "").split("/", 2), project, experiment) if part]
        if not names:
            return await self.workspaces()
        if len(names) == 1:
            return await self.projects(names[0])
        if len(names) == 2:
            return [row["experimentKey"] for row in await self.experiments_by_project_name(names[0], names[1])]
        return await self._experiment(names[0], names[1], "/".join(names[2:]))

    async def _experiment(self, workspace: str, project: str, key_or_name: str) -> Experiment:
        try:
            return await self.experiment_metadata(key_or_name)
        except NotFound:
            rows = await self.experiments_by_project_name(workspace, project)
        named = [row["experimentKey"] for row in rows if row["experimentName"] == key_or_name]
        if not named:
            raise NotFound(f"Comet has no experiment {key_or_name!r} in project {project!r} of workspace {workspace!r}")
        return await self.experiment_metadata(named[0])

    async def experiments_by_project_name(
        self, workspace: str, project: str, *, archived: bool = False
    ) -> list[Experiment]:
        """The experiments of a project, in no promised order, each an `Experiment`; one call, whatever their number.

        `archived`: only the archived ones instead of only the others; Comet has no way to ask for both.
        `running`, `hasCrashed` and `userName` are None where the server's listing does not tell; metadata does.
        """
        return await self._experiments({"workspaceName": workspace, "projectName": project}, archived)

    async def experiments_by_project_id(self, project_id: str, *, archived: bool = False) -> list[Experiment]:
        """As `experiments_by_project_name`."""
        return await self._experiments({"projectId": project_id}, archived)

    async def _experiments(self, project: Mapping[str, str], archived: bool) -> list[Experiment]:
        query = {**project, "archived": "true" if archived else "false"}
        return await self._calls.ask(Question("experiments", query), models.experiments)

    # -- an experiment ---------------------------------------------------------------------------------------------

    async def experiment_url(self, experiment_key: str) -> str:
        """The address of the experiment's web page, made from its metadata."""
        row = await self.experiment_metadata(experiment_key)
        return self.page(
            self.root, row["workspaceName"] or "", row["projectName"] or "", experiment_key, bool(row["archived"])
        )

    async def experiment_metadata(self, experiment_key: str) -> Experiment:
        """Name, times (ms since 1970), state, project, user.

        `endTimeMillis` is the time of the last message, while the experiment is `running` too.
        """
        return await self._calls.ask(_about(experiment_key, "metadata"), models.EXPERIMENT.read)

    async def experiment_tags(self, experiment_key: str) -> list[str]:
        """Its tags."""
        return await self._calls.ask(_about(experiment_key, "tags"), models.tags)

    async def experiment_html(self, experiment_key: str) -> str | None:
        """The logged HTML, all of it; None where there is none."""
        return await self._text("experiment/html", "html", experimentKey=experiment_key)

    async def experiment_code(self, experiment_key: str) -> str | None:
        """The script that created it; None where there is none. Other sources are assets of type ``source_code``."""
        return await self._text("experiment/code", "code", experimentKey=experiment_key)

    async def experiment_output(self, experiment_key: str) -> str | None:
        """What it printed, stdout and stderr as one text; ``""`` or None where there is nothing."""
        return await self._text("experiment/output", "output", experimentKey=experiment_key)

    async def experiment_graph(self, experiment_key: str) -> str | None:
        """The text of its model's graph; ``""`` or None where there is none."""
        return await self._text("experiment/graph", "graph", experimentKey=experiment_key)

    async def experiment_installed_packages(self, experiment_key: str) -> list[str]:
        """Its Python packages, ``name==version``; a part of the system details."""
        return (await self.experiment_system_details(experiment_key))["installedPackages"] or []

    async def experiment_system_details(self, experiment_key: str) -> SystemDetails:
        """Machine, Python, command. `totalRam` and GPU memory in bytes; what was not logged is None."""
        return await self._calls.ask(_about(experiment_key, "system-details"), models.SYSTEM.read)

    @overload
    async def experiment_parameters(self, experiment_key: str) -> list[Value]: ...
    @overload
    async def experiment_parameters(self, experiment_key: str, name: str | None) -> list[Value]: ...

    async def experiment_parameters(self, experiment_key: str, name: str | None = None) -> list[Value]:
        """Its parameters, or those called `name` (a list too, as the SDK's page shows). The value is `valueCurrent`.

        Comet answers values as text, whatever was logged; nested ones are flattened, ``a|b``.
        """
        rows = await self._calls.ask(_about(experiment_key, "parameters"), models.values)
        return rows if name is None else [row for row in rows if row["name"] == name]

    @overload
    async def experiment_metrics_summary(self, experiment_key: str) -> list[Value]: ...
    @overload
    async def experiment_metrics_summary(self, experiment_key: str, metric_name: str) -> Value | None: ...

    async def experiment_metrics_summary(
        self, experiment_key: str, metric_name: str | None = None
    ) -> list[Value] | Value | None:
        """Least, greatest and last value of its metrics; of one metric where it is named, None if there is no such.

        Values are text as Java writes numbers: ``8.63E-4``, ``NaN``, ``-Infinity``.
        """
        rows = await self._calls.ask(_about(experiment_key, "metrics/summary"), models.values)
        return rows if metric_name is None else _named(rows, metric_name)

    @overload
    async def experiment_other(self, experiment_key: str) -> list[Value]: ...
    @overload
    async def experiment_other(self, experiment_key: str, other: str) -> Value | None: ...
    @overload
    async def experiment_other(self, experiment_key: str, other: str, field: str) -> Any: ...

    async def experiment_other(self, experiment_key: str, other: str | None = None, field: str | None = None) -> Any:
        """What else was logged: all of it; one by its name; or one field of that (``"valueCurrent"``).

        None where there is no such other or field.
        """
        rows = await self._calls.ask(_about(experiment_key, "log-other"), models.values)
        if other is None:
            return rows
        row = _named(rows, other)
        return row if field is None or row is None else row.get(field)

    async def experiment_name(self, experiment_key: str, max_length: int | None = None) -> str:
        """Its name, or its key where it has none; at most `max_length` characters of it."""
        name = (await self.experiment_metadata(experiment_key))["experimentName"]
        if not name:  # older servers keep a name that was given only among the others
            name = await self.experiment_other(experiment_key, "Name", "valueCurrent")
        return (name or experiment_key)[:max_length]

    # -- metrics ---------------------------------------------------------------------------------------------------

    async def experiment_metric_points(self, experiment_key: str, metric_name: str) -> list[Point]:
        """Every point of one metric that Comet keeps (15,000 at most), in no promised order. None known: ``[]``."""
        question = _about(experiment_key, "metrics/get-metric", metricName=metric_name)
        return await self._calls.ask(question, models.points)

    @overload
    async def experiment_metric(self, experiment_key: str) -> list[Point]: ...
    @overload
    async def experiment_metric(
        self, experiment_key: str, metric_name: str, interval: series.Interval = "step"
    ) -> list[series.Pair]: ...
    @overload
    async def experiment_metric(
        self, experiment_key: str, metric_name: list[str] | tuple[str, ...], interval: series.Interval = "step"
    ) -> dict[str, list[series.Pair]]: ...

    async def experiment_metric(
        self,
        experiment_key: str,
        metric_name: str | list[str] | tuple[str, ...] | None = None,
        interval: series.Interval = "step",
    ) -> Any:
        """Logged values of metrics.

        - no name: the points of all metrics, each a `Point`, as Comet sends them: in no order
        - a name: pairs ``(interval, value)``, sorted by step, then time, then order of logging
        - several names: name to such pairs

        `interval` is ``"step"``, ``"epoch"`` or ``"timestamp"`` (ms since 1970). Values are text, as Comet sends them.
        """
        if isinstance(metric_name, str):
            return series.pairs(await self.experiment_metric_points(experiment_key, metric_name), interval)
        if metric_name is None:
            return await self._all_points(experiment_key)
        points = await self._all_points(experiment_key, metric_name) if metric_name else []
        return series.by_name(points, metric_name, interval)

    async def experiment_every_point(self, experiment_key: str) -> list[Point]:
        """The points of all metrics, in no order, in one call. Servers before 3.20.60 have none for that: Unsupported
        (once one has said so, without asking it again)."""
        if self._lacks_every_point:
            raise Unsupported("this server does not offer all metrics in one answer")
        question = _about(experiment_key, "metrics/get-all", lacking="all metrics in one answer")
        try:
            return await self._calls.ask(question, models.points)
        except Unsupported:
            self._lacks_every_point = True
            raise

    async def _all_points(self, experiment_key: str, names: Sequence[str] | None = None) -> list[Point]:
        """Points of all metrics, in one call; of those named, in one each, where the server is too old for that."""
        if names is None or len(names) > 1:
            try:
                return await self.experiment_every_point(experiment_key)
            except (Unsupported, NotFound):  # some servers have the same 404 for an endpoint that they lack
                pass
        if names is None:
            names = [row["name"] for row in await self.experiment_metrics_summary(experiment_key)]
        return [point for name in names for point in await self.experiment_metric_points(experiment_key, name)]

    async def experiment_metrics_for_chart(
        self,
        experiment_keys: Sequence[str],
        metrics: Sequence[str] | None = None,
        parameters: Sequence[str] | None = None,
        independent: bool = True,
        full: bool = True,
    ) -> dict[str, Chart]:
        """Metrics and parameters of many experiments in one call: experiment key to `Chart`.

        `independent`: every metric keeps its own steps; otherwise only steps that all have. `full`: up to 15,000 points
        a metric, otherwise a sample of about 500. Values of metrics are numbers here. An experiment that has nothing of
        what is asked may be absent.
        """
        body = {
            "targetedExperiments": list(experiment_keys),
            "metrics": list(metrics or ()),
            "params": list(parameters or ()),
            "independentMetrics": independent,
            "fetchFull": full,
        }
        return await self._calls.ask(Question("experiments/multi-metric-chart", body=body), models.charts)

    # -- assets ----------------------------------------------------------------------------------------------------

    async def experiment_assets(self, experiment_key: str, asset_type: str | None = None) -> list[Asset]:
        """What was uploaded with it, or just that of one type (``"image"``, ``"curve"`` ...), each an `Asset`.

        `fileSize` in bytes is 0 for a remote one, of which Comet has only the `link`. Names are what the logging
        program made of them: absolute, repeated, with slashes. `curlDownload` is left out: it holds the API key.
        """
        query = {"type": asset_type} if asset_type else {}
        return await self._calls.ask(_about(experiment_key, "asset/list", **query), models.assets)

    async def experiment_images(self, experiment_key: str) -> list[Image]:
        """Its images, in the form of the SDK's page, which is that of version 1 of Comet's API.

        Made from the list of assets: `apiKey`, `runId`, `projectId` and `figCounter` are None; `assetId` is added.
        """
        return [models.image(experiment_key, asset) for asset in await self.experiment_assets(experiment_key, "image")]

    async def experiment_curves(self, experiment_key: str) -> list[Curve]:
        """Its curves, ``{"name", "x", "y", "step", "assetId"}``, in the order of their list; a call for each."""
        assets = await self.experiment_assets(experiment_key, "curve")
        curves: dict[str, Curve] = {}

        async def load(asset: Asset) -> None:
            question = _asset(experiment_key, asset["assetId"])
            body = await self.experiment_asset(experiment_key, asset["assetId"])
            curves[asset["assetId"]] = await self._calls.understood(
                question, body, lambda body: models.curve(asset, body)
            )

        await _all(load, assets)
        return [curves[asset["assetId"]] for asset in assets]

    async def experiment_asset_by_name(
        self, experiment_key: str, file_name: str, return_type: ReturnType = "raw"
    ) -> Any:
        """The content of the first asset called `file_name`; `return_type` as in `experiment_asset`."""
        question = _about(experiment_key, "asset/get-by-name", assetName=file_name, lacking="finding an asset by name")
        try:
            assets = await self._calls.ask(question, models.assets)
        except (Unsupported, NotFound):  # some servers have the same 404 for an endpoint that they lack
            assets = [row for row in await self.experiment_assets(experiment_key) if row["fileName"] == file_name]
        if not assets:
            raise NotFound(f"Comet has no asset {file_name!r} of experiment {experiment_key!r}")
        return await self.experiment_asset(experiment_key, assets[0]["assetId"], return_type)

    async def experiment_asset(self, experiment_key: str, asset_id: str, return_type: ReturnType = "raw") -> Any:
        """The content of an asset: bytes (``"raw"``), what its JSON says (``"json"``), or UTF-8 (``"text"``)."""
        async with self.stream_asset(experiment_key, asset_id) as stream:
            body = b"".join([chunk async for chunk in stream])
        if return_type == "raw":
            return body
        read = models.logged_json if return_type == "json" else bytes.decode
        return await self._calls.understood(_asset(experiment_key, asset_id), body, read)

    def stream_asset(
        self, experiment_key: str, asset_id: str, artifact_version_id: str | None = None
    ) -> AbstractAsyncContextManager[AssetStream]:
        """The content of an asset as it arrives: an async context manager that gives an `AssetStream`.

        `size` is the number of bytes, None where the server does not tell; `async for` gives the bytes. A body that
        ends early is `Unreachable`, never just the end; where `close_delimited` is True nobody can tell, so compare
        with the listing's `fileSize`. What is sent with a Content-Encoding is decoded, as Comet's own client does.
        Where Comet redirects to a storage, the key does not go there.
        A file of an artifact needs `artifact_version_id`, and the key of the experiment that logged it; ``""`` where
        none did.
        """
        return self._calls.stream(_asset(experiment_key, asset_id, artifact_version_id))

    # -- git -------------------------------------------------------------------------------------------------------

    async def experiment_git_metadata(self, experiment_key: str) -> GitMetadata:
        """Branch, commit and origin of the working copy it ran in; all None where there was none."""
        return await self._calls.ask(_about(experiment_key, "git/metadata"), models.GIT.read)

    async def experiment_git_patch(self, experiment_key: str) -> bytes | None:
        """Uncommitted changes, None where there were none: a zip with ``git_diff.patch`` (very old servers: text)."""
        question = _about(experiment_key, "git/patch")
        async with self._calls.stream(question) as stream:
            body = b"".join([chunk async for chunk in stream])
        if stream.close_delimited and not zipfile.is_zipfile(io.BytesIO(body)):
            raise Unreachable(f"The connection ended before all of {question} had come, or without a sign of that")
        if is_page(body[:LOOK]):
            raise Unintelligible(f"An HTML page came instead of {question}: a login page, or a proxy's?")
        return await self._calls.understood(question, body, models.patch)

    # -- the store -------------------------------------------------------------------------------------------------

    async def store(self, key: str, value: str) -> dict[str, Any]:
        """Keep `value` under `key`; ``{"msg": "Stored"}``, when the server was seen to have it.

        The store is sent whole, as the SDK does, but on top of what the server has at that moment, so that what others
        stored is kept; what is stored at once is sent together. Raises `Unsupported` where the server has no store, and
        `Conflict` where somebody else keeps replacing it.
        """

        def put(held: Held) -> dict[str, Any]:
            held[key] = encoded
            return {"msg": "Stored"}

        encoded = msgspec.Raw(msgspec.json.encode(value))
        return await self._store.change(put)

    async def delete_from_store(self, key: str) -> bool:
        """Keep nothing under `key` any more; whether there was something. As `store`, which can only put."""
        return await self._store.change(lambda held: held.pop(key, None) is not None)

    async def rename_in_store(self, key: str, new_key: str) -> bytes | None:
        """Keep under `new_key`, over what is there, what is stored under `key`, and nothing under `key`: in one step.
        The JSON of it; None where there was nothing."""

        def rename(held: Held) -> bytes | None:
            if key not in held:
                return None
            held[new_key] = held.pop(key)
            return bytes(held[new_key])

        return await self._store.change(rename)

    async def get_from_store(self, key: str) -> Any:
        """What is stored under `key`; None where nothing is."""
        found = (await self._store.read()).get(key)
        return None if found is None else msgspec.json.decode(found)

    async def get_store(self) -> dict[str, str]:
        """The whole store: ``{"store": "<JSON of an object>"}``. An account that never stored anything has ``{}``."""
        return {"store": await self._store.text()}

    async def _text(self, endpoint: str, name: str, **query: str) -> str | None:
        return await self._calls.ask(Question(endpoint, query), lambda body: value_if_any(body, name, str))


def _about(experiment_key: str, what: str, lacking: str = "", **more: str) -> Question:
    return Question(f"experiment/{what}", {"experimentKey": experiment_key, **more}, lacking=lacking)


def _asset(experiment_key: str, asset_id: str, artifact_version_id: str | None = None) -> Question:
    query = {"experimentKey": experiment_key, "assetId": asset_id, "allow301": "true"}
    if artifact_version_id is not None:
        query["artifactVersionId"] = artifact_version_id
    return Question("experiment/asset/get-asset", {name: found for name, found in query.items() if found})


def _named(rows: Sequence[Value], name: str) -> Value | None:
    return next((row for row in rows if row["name"] == name), None)


async def _all(load: Any, items: Sequence[Any]) -> None:
    """`load` for every item at once; the first error is raised, alone, and ends the others."""
    try:
        async with trio.open_nursery() as loads:
            for item in items:
                loads.start_soon(load, item)
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from group
