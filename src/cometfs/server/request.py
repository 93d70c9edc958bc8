"""A request as endpoints see it: named values instead of a query string, things of the catalog instead of their names.

What is missing or unknown is refused here, in Comet's numbers, so that endpoints only answer.

Not here: HTTP (`http.app`, `write_api.routes`); receiving bodies (`write_api.multipart`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from starlette.requests import Request as HttpRequest

from cometfs.server.catalog.catalog import Catalog
from cometfs.server.catalog.project import ServedExperiment, ServedProject
from cometfs.server.errors import NO_EXPERIMENT_KEY, NO_PROJECT_NAME, NO_SUCH_EXPERIMENT, NO_SUCH_WORKSPACE, ApiError
from cometfs.server.routing import key_of
from cometfs.server.runs.leniency import fitted
from cometfs.server.runs.python_json import decoded
from cometfs.server.runs.record import RunRecord
from cometfs.server.storage.artifact_store import ArtifactStore
from cometfs.server.storage.journal import Journal
from cometfs.server.storage.kv_store import KvStore
from cometfs.server.storage.optimizer_store import OptimizerStore
from cometfs.text.numbers import whole_of

Item = TypeVar("Item")
Taken = TypeVar("Taken")

DONE = {"msg": "ok", "code": 200}
"""What most endpoints answer that change something."""

MOST_NAMED = 100
"""Items of a batch that an answer names."""

CLOSED = "this server keeps nothing: start it as `cometfs serve DIR` to log into DIR"


@dataclass(frozen=True, slots=True)
class Backend:
    """What requests are answered from, and written to; without a `journal` they are not, and `closed` says why."""

    index: Catalog
    panels: KvStore
    journal: Journal | None = None
    artifacts: ArtifactStore | None = None
    optimizers: OptimizerStore | None = None
    closed: str = CLOSED


@dataclass(frozen=True, slots=True)
class Request:
    """One request: its query with what is named in its path, its unpacked body, the API key that it came with, and the
    address of the server with a trailing slash. `left_out`: items of its batches that were not taken, with the reasons.
    """

    backend: Backend
    query: Mapping[str, str]
    body: bytes
    api_key: str
    base_url: str
    left_out: list[str] = field(default_factory=list)

    @property
    def index(self) -> Catalog:
        return self.backend.index

    @property
    def panels(self) -> KvStore:
        return self.backend.panels

    @property
    def journal(self) -> Journal:
        if self.backend.journal is None:
            raise ApiError(403, self.backend.closed)
        return self.backend.journal

    @property
    def artifacts(self) -> ArtifactStore:
        if self.backend.artifacts is None:
            raise ApiError(403, self.backend.closed)
        return self.backend.artifacts

    @property
    def optimizers(self) -> OptimizerStore:
        if self.backend.optimizers is None:
            raise ApiError(403, self.backend.closed)
        return self.backend.optimizers

    def text(self, name: str) -> str:
        """A value that must be given."""
        value = self.query.get(name)
        if not value:
            raise ApiError(400, f"{name} is missing")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """A boolean in any client's spelling: ``true``, ``True``, ``1``."""
        value = self.query.get(name)
        return default if value is None else value.lower() in ("true", "1")

    def number(self, name: str, default: int | None) -> int | None:
        """A whole number from 1 on."""
        value = self.query.get(name)
        if value is None:
            return default
        number = whole_of(value)
        if not number:
            raise ApiError(400, f"{name} must be a whole number from 1 on, not {value[:60]!r}")
        return number

    def experiment_key(self) -> str:
        """The key in ``experimentKey``."""
        key = self.query.get("experimentKey")
        if not key:
            raise ApiError(400, "experimentKey is missing", NO_EXPERIMENT_KEY)
        return key

    def experiment(
        self,
        key: str | None = None,
        *,
        writable: bool = False,
        status: int = 404,
        sdk_error_code: int = NO_SUCH_EXPERIMENT,
    ) -> ServedExperiment:
        """The experiment of `key`, or of ``experimentKey``; `writable` for one that is no replica.

        `status` and `sdk_error_code` are of the answer where there is none: Comet has different ones for the same.
        """
        key = self.experiment_key() if key is None else key
        found = self.index.experiment(key, writable=writable)
        if found is None:
            raise ApiError(status, f"experiment {key[:60]} does not exist", sdk_error_code)
        return found

    def record(self) -> RunRecord:
        """What the experiment of ``experimentKey`` logged."""
        return self.experiment().record

    def workspace(self, parameter: str = "workspaceName") -> str:
        """The name in ``workspaceName``, or in another parameter; it must be a workspace."""
        name = self.text(parameter)
        if name not in self.index.workspaces():
            raise ApiError(404, f"workspace {name} does not exist", NO_SUCH_WORKSPACE)
        return name

    def project(self) -> ServedProject:
        """The project of ``projectId``, or of ``workspaceName`` and ``projectName``."""
        identity = self.query.get("projectId")
        if identity:
            found = self.index.projects.get(identity)
        else:
            workspace = self.workspace()
            identity = self.query.get("projectName")
            if not identity:
                raise ApiError(400, "projectName is missing", NO_PROJECT_NAME)
            found = self.index.project(workspace, identity)
        if found is None:
            raise ApiError(404, f"project {identity} does not exist")
        return found

    def about(self, query: Mapping[str, str]) -> Request:
        """The same request with another query: for endpoints that take in the body what others take in the query."""
        return replace(self, query=query)

    def json(self, shape: type[Any]) -> Any:
        """The body, as a value of `shape`: a question, or what is good as a whole or not at all."""
        return value_of(self.body, shape)

    def logged(self, shape: type[Any]) -> Any:
        """The body, as a value of `shape`, as far as it is one (`runs.leniency`)."""
        return self.part(self.body, shape)

    def part(self, text: bytes, shape: type[Any]) -> Any:
        """`logged` of a part of the body."""
        try:
            value, left_out = fitted(text, shape)
        except ValueError as exc:
            raise _misshapen(exc) from exc
        self.left_out.extend(left_out)
        return value

    def each(self, items: Iterable[Item], take: Callable[[Item], Taken], name: Callable[[Item], str]) -> list[Taken]:
        """What `take` makes of each item of a batch. One that it refuses is left out, unless it refuses all."""
        taken, refusals = [], []
        for item in items:
            try:
                taken.append(take(item))
            except ApiError as exc:
                refusals.append((name(item), exc))
        if refusals and not taken:
            raise refusals[0][1]
        self.left_out.extend(f"{what}: {exc.message}" for what, exc in refusals)
        return taken


def request_of(backend: Backend, http: HttpRequest, body: bytes) -> Request:
    """Of a parameter that is given several times the first value counts, as in Comet's answers."""
    query = {**dict(reversed(http.query_params.multi_items())), **http.path_params}
    return Request(backend, query, body, key_of(http.scope) or "", str(http.base_url))


def answered(request: Request, answer: Any) -> Any:
    """The answer, with what was left out of a batch."""
    if not request.left_out:
        return answer
    message = f"ok, but {len(request.left_out)} left out: {request.left_out[0]}"
    return answer | {"msg": message, "leftOut": request.left_out[:MOST_NAMED]}


Endpoint = Callable[[Request], Any]
"""What answers: the value becomes the answer's JSON. One that changes something may be awaited for it."""


def value_of(body: bytes, shape: type[Any]) -> Any:
    """JSON as a value of `shape`."""
    try:
        return decoded(body, shape)
    except ValueError as exc:
        raise _misshapen(exc) from exc


def _misshapen(exc: ValueError) -> ApiError:
    return ApiError(400, f"the body is not what this endpoint takes: {exc}")
