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

from collections.abc import Mapping
from contextlib import nullcontext
from types import TracebackType
from typing import Any, Self, overload

from cometfs.comet.address import page, parse_address
from cometfs.comet.answers import models
from cometfs.comet.answers.models import Experiment, Project
from cometfs.comet.asset_api import AssetAPI
from cometfs.comet.calls import AssetStream, Calls, Gate
from cometfs.comet.experiment_api import ExperimentAPI
from cometfs.comet.http.transport import Transport
from cometfs.comet.kv_store import Alone, Store
from cometfs.comet.metric_api import MetricAPI
from cometfs.comet.question import Question
from cometfs.comet.settings import find_settings
from cometfs.comet.store_api import StoreAPI
from cometfs.comet.workspace_api import WorkspaceAPI
from cometfs.errors import NotFound

__all__ = ["API", "AssetStream"]

VERSION = "v2"

DEADLINE = 60.0
"""Seconds that a call may take, its retries included."""


class API(WorkspaceAPI, ExperimentAPI, MetricAPI, AssetAPI, StoreAPI):
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

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection; what `async with` does at its end."""
        await self._calls.aclose()

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

    async def experiment_url(self, experiment_key: str) -> str:
        """The address of the experiment's web page, made from its metadata."""
        row = await self.experiment_metadata(experiment_key)
        return self.page(
            self.root, row["workspaceName"] or "", row["projectName"] or "", experiment_key, bool(row["archived"])
        )
