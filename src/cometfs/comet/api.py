"""Comet's JavaScript SDK in Python: an async class, one method for each of its methods, by the same name in snake_case.

Here are the account, its workspaces, its projects and what is in them. Not here: what is asked about an experiment
(`experiment_api`, `metric_api`, `asset_api`), the store and changes (`writes`), artifacts, registered models and
queries (`workspace_api`); HTTP (`transport`), retries and deadlines (`calls`), forms of answers (`models`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Self, overload

import trio

from cometfs.comet.address import page, parse_address
from cometfs.comet.answers import models
from cometfs.comet.answers.models import Experiment, Project
from cometfs.comet.asset_api import AssetAPI
from cometfs.comet.calls import Calls, Closed, Gate
from cometfs.comet.downloads.downloads import Downloads
from cometfs.comet.downloads.stream import AssetStream
from cometfs.comet.experiment_api import ExperimentAPI
from cometfs.comet.experiment_pages import ExperimentPages
from cometfs.comet.http.breaker import Outage
from cometfs.comet.http.transport import Transport
from cometfs.comet.kv_store import Alone, KvStoreClient
from cometfs.comet.metric_api import MetricAPI
from cometfs.comet.network import UNCHECKED_WARNING, Network
from cometfs.comet.question import Question
from cometfs.comet.settings import find_settings
from cometfs.comet.workspace_api import WorkspaceAPI
from cometfs.comet.writes.change_api import ChangeAPI
from cometfs.comet.writes.store_api import StoreAPI
from cometfs.connectivity import Connectivity
from cometfs.errors import NotFound
from cometfs.telemetry.traffic import Traffic

__all__ = ["API", "AssetStream"]

log = logging.getLogger(__name__)

VERSION = "v2"

DEADLINE = 60.0
"""Seconds that a call may take, its retries included."""


class API(WorkspaceAPI, ExperimentAPI, MetricAPI, AssetAPI, StoreAPI, ChangeAPI):
    """A Comet account: every method of Comet's JavaScript SDK, in snake_case and async, and some that the SDK lacks.

        async with API() as api:
            print(await api.workspaces())

    It runs under trio; calls may run concurrently. Arguments:

    - `api_key`, `url`: by default from where Comet's own clients take them: COMET_API_KEY and COMET_URL_OVERRIDE in the
      environment, ``./.env``, ``.comet.config``
    - `deadline`: seconds that a call may take, its retries included; a download must have begun by then,
      and bring a byte within that time (30 s at most) from then on
    - `transport`: replaces the network, for tests
    - `gate`: is asked before each call and may delay or refuse it
    - `alone`: a context that keeps other processes from changing the store meanwhile
    - `network`: certificates to trust, and a header for a firewall (`cometfs.comet.network.Network`); by default from
      where Comet's own clients take them
    - `connectivity`: knows afterwards whether Comet answers; with ``Connectivity(offline=True)`` nothing is sent
    - `traffic`: counts what is on its way (`cometfs.telemetry.traffic.Traffic`)

    Raises SetupError if there is no API key, or one that cannot be a key.

    `workspace` and `project` are names. `experiment_key` is the `experimentKey` of an `Experiment`. Rows are
    dictionaries (`Project`, `Experiment`, `Value`, `Point`, `Asset` ... in `cometfs.comet.answers.models`) with Comet's
    own field names; a field that the server leaves out is None. Times are integers in ms since 1970, sizes are in
    bytes, logged values are text.

    Every call may raise these errors of `cometfs.errors`; methods name those that they add:

    - KeyRejected, NotAllowed: Comet rejects the API key; Comet refuses this to the key
    - Throttled: too many calls; `retry_after` says how many seconds to wait
    - Unreachable, ServerFailed, DeadlineExceeded: no answer, 5xx each time, none before the deadline
    - Unsupported, Unintelligible, PageInstead: this server does not offer it, or is not a Comet; it answered something
      else, or an HTML page
    - AnswerTooLarge: the answer has more than 64 MiB; a download (`stream_asset`) may have any size

    In the examples of the methods `api` is open at ``cometfs serve --bind 127.0.0.1:8080``, which shows a sample; `key`
    is the key of its experiment `mlp-baseline`, `project_id` the id of its project `digits`. ``Endpoint`` says what is
    asked of Comet's REST API, below ``<url>/api/rest/v2/``; ``SDK`` names the method on the page of Comet's JavaScript
    SDK.
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
        network: Network | None = None,
        connectivity: Connectivity | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        settings = find_settings(api_key, url)
        network = network or _warned(settings.network)
        address = parse_address(settings.url)
        self._connectivity = connectivity or Connectivity()
        self._calls = Calls(
            address,
            settings.api_key,
            transport or Transport(network=network),
            deadline=deadline,
            gate=Closed() if self._connectivity.offline else gate,
            allowing=network.headers,
            traffic=traffic,
        )
        self._connectivity.watch(self._calls.breaker)
        self._downloads = Downloads(self._calls)
        self._pages = ExperimentPages(self._calls)
        self._store = KvStoreClient(self._calls, deadline, alone)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection. `async with` does it at its end.

        Endpoint: none
        SDK: none
        """
        await self._calls.aclose()

    @property
    def root(self) -> str:
        """The root of Comet's web pages, without a final slash. An attribute: it asks nothing.

            >>> api.root
            'http://127.0.0.1:8080'

        Endpoint: none
        SDK: none
        """
        return self._calls.address.root

    @property
    def outage(self) -> Outage | None:
        """What keeps calls from the server, None while they go out. An attribute: it asks nothing.

        After a few failures of connection, or a silence that a probe confirms, calls fail at once with Unreachable;
        `Outage` says since when and why. The server is probed while calls are wanted, at most every 10 s; any answer of
        it ends the outage.

            >>> api.outage is None
            True

        Endpoint: none
        SDK: none
        """
        return self._calls.breaker.outage

    @property
    def connectivity(self) -> Connectivity:
        """The same, with ``--offline`` and how old what is shown meanwhile may be. An attribute: it asks nothing.

            >>> api.connectivity.away
            False

        Endpoint: none
        SDK: none
        """
        return self._connectivity

    @property
    def traffic(self) -> Traffic:
        """What is on its way, and how many calls were made. An attribute: it asks nothing.

            >>> api.traffic.waiting()
            []

        Endpoint: none
        SDK: none
        """
        return self._calls.traffic

    @property
    def answering(self) -> dict[str, bool]:
        """Which hosts were asked, Comet's and its storages', and whether each is worth a call. An attribute: it asks
        nothing.

            >>> api.answering
            {'http://127.0.0.1:8080': True}

        Endpoint: none
        SDK: none
        """
        return self._calls.answering

    def probing(self, nursery: trio.Nursery) -> AbstractContextManager[None]:
        """Probes a server that does not answer in `nursery` while the block lasts; else the calls themselves do.

        `nursery` is trio's. No call then waits for a probe, but for the first after a quiet time.

        Endpoint: none
        SDK: none
        """
        return self._calls.probing(nursery)

    @staticmethod
    def page(root: str, workspace: str, project: str, experiment_key: str, archived: bool = False) -> str:
        """The address of an experiment's web page, made of its parts: it asks nothing and checks nothing.

        `root` is an API's `root`; `archived` experiments have their pages in another place.

            >>> API.page("https://www.comet.com", "vision-lab", "digits", key)
            'https://www.comet.com/vision-lab/digits/50d3a93fdfbc7f162d0165d3174ee601'

        Endpoint: none
        SDK: none (`experiment_url` asks where the experiment is)
        """
        return page(root, workspace, project, *(["archive"] if archived else []), experiment_key)

    def get_version(self) -> str:
        """The version of the REST API that this class speaks. A constant, so this method is not async.

            >>> api.get_version()
            'v2'

        Endpoint: none
        SDK: getVersion
        """
        return VERSION

    async def workspaces(self) -> list[str]:
        """Names of the workspaces that the API key's user belongs to.

        Public workspaces of others are not listed, but every other method takes their names.

            >>> await api.workspaces()
            ['tabular', 'vision-lab']

        Raises the errors of every call (`API`).
        Endpoint: GET workspaces
        SDK: workspaces
        """
        return await self._calls.ask(Question("workspaces"), models.workspaces)

    async def projects(self, workspace: str) -> list[Project]:
        """The projects of a workspace, in Comet's order, as `Project` rows.

        `lastUpdated` is in ms since 1970, None for an empty project.

            >>> [(row["projectName"], row["numberOfExperiments"]) for row in await api.projects("vision-lab")]
            [('digits', 5)]

        Raises NotFound for an unknown workspace, and the errors of every call (`API`).
        Endpoint: GET projects
        SDK: projects
        """
        return await self._calls.ask(Question("projects", {"workspaceName": workspace}), models.projects)

    async def project_notes(self, project_id: str) -> str | None:
        """The notes of a project, in Markdown; None if it has none. `project_id` is the `projectId` of its `Project`.

            >>> (await api.project_notes(project_id)).splitlines()[0]
            '# Digits'

        Raises NotFound for an unknown project, and the errors of every call (`API`).
        Endpoint: GET project/notes
        SDK: projectNotes
        """
        return await self._text("project/notes", "notes", projectId=project_id)

    async def project_metadata(self, project_id: str) -> Project:
        """One project, as a `Project`.

        `project_id` is its `projectId` in `projects`; `lastUpdated` is in ms since 1970.

            >>> row = await api.project_metadata(project_id)
            >>> row["workspaceName"], row["projectName"], row["public"], row["lastUpdated"]
            ('vision-lab', 'digits', True, 1782117792000)

        Raises NotFound for an unknown project, and the errors of every call (`API`).
        Endpoint: GET project
        SDK: projectMetadata
        """
        return await self._calls.ask(Question("project", {"projectId": project_id}), models.PROJECT.read)

    @overload
    async def get(self) -> list[str]: ...
    @overload
    async def get(self, workspace: str, project: str | None = None, experiment: str | None = None) -> Any: ...

    async def get(self, workspace: str | None = None, project: str | None = None, experiment: str | None = None) -> Any:
        """What is at a place, by names: ``get("ws", "proj", "exp")`` or ``get("ws/proj/exp")``.

        `workspace`, `project` and `experiment` say the place, each as a text of its own or all in the first:

        - ``get()``: names of workspaces
        - ``get("ws")``: its projects, as `Project` rows
        - ``get("ws/proj")``: keys of its experiments that are not archived
        - ``get("ws/proj/exp")``: the `Experiment` with that key, else the first with that name

        One string is split at its first two slashes: the name of an experiment may contain more.

            >>> await api.get()
            ['tabular', 'vision-lab']
            >>> [row["projectName"] for row in await api.get("vision-lab")]
            ['digits']
            >>> (await api.get("vision-lab/digits"))[0]
            '50d3a93fdfbc7f162d0165d3174ee601'
            >>> (await api.get("vision-lab", "digits", "mlp-baseline"))["durationMillis"]
            690000

        Raises NotFound for an unknown workspace, project or experiment, and the errors of every call (`API`).
        Endpoint: GET workspaces, GET projects, GET experiments or GET experiment/metadata, by the number of names
        SDK: get
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
        """The experiments of a project, as `Experiment` rows in no particular order.

        One call, however many there are; where that fails or takes more than 10 s, one for every 1,000. `archived`:
        only the archived experiments instead of only the others; Comet cannot list both at once. `running`,
        `hasCrashed` and `userName` are None if the server's listing leaves them out; `experiment_metadata` has them.
        Times are in ms since 1970.

            >>> rows = await api.experiments_by_project_name("vision-lab", "digits")
            >>> rows[0]["experimentName"], rows[0]["durationMillis"], rows[0]["running"]
            ('mlp-baseline', 690000, False)

        Raises NotFound for an unknown workspace or project, and the errors of every call (`API`).
        Endpoint: GET experiments
        SDK: experimentsByProjectName
        """
        return await self._experiments({"workspaceName": workspace, "projectName": project}, archived)

    async def experiments_by_project_id(self, project_id: str, *, archived: bool = False) -> list[Experiment]:
        """The experiments of a project, as `Experiment` rows in no particular order.

        One call, however many there are; where that fails or takes more than 10 s, one for every 1,000. `project_id` is
        the `projectId` of a `Project`. `archived`: only the archived experiments instead of only the others; Comet
        cannot list both at once. `running`, `hasCrashed` and `userName` are None if the server's listing leaves them
        out; `experiment_metadata` has them. Times are in ms since 1970.

            >>> rows = await api.experiments_by_project_id(project_id)
            >>> rows[0]["experimentName"], rows[0]["durationMillis"], rows[0]["running"]
            ('mlp-baseline', 690000, False)

        Raises NotFound for an unknown project, and the errors of every call (`API`).
        Endpoint: GET experiments
        SDK: experimentsByProjectId
        """
        return await self._experiments({"projectId": project_id}, archived)

    async def _experiments(self, project: Mapping[str, str], archived: bool) -> list[Experiment]:
        return await self._pages.all({**project, "archived": "true" if archived else "false"})

    async def experiment_url(self, experiment_key: str) -> str:
        """The address of the experiment's web page.

        `page` makes it without a call if workspace and project are known.

            >>> await api.experiment_url(key)
            'http://127.0.0.1:8080/vision-lab/digits/50d3a93fdfbc7f162d0165d3174ee601'

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: GET experiment/metadata
        SDK: experimentURL
        """
        row = await self.experiment_metadata(experiment_key)
        return self.page(
            self.root, row["workspaceName"] or "", row["projectName"] or "", experiment_key, bool(row["archived"])
        )


def _warned(network: Network) -> Network:
    """`network`, with a warning where certificates are not checked."""
    if not network.checks:
        log.warning("%s", UNCHECKED_WARNING)
    return network
