"""What an endpoint gets that is told something, and what most of them answer.

Not here: the endpoints (`experiments`, `manage` and others); HTTP (`routes`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cometfs.server.errors import NO_EXPERIMENT_KEY, ApiError
from cometfs.server.storage.artifact_store import ArtifactStore
from cometfs.server.storage.journal import Journal
from cometfs.server.write_api.body import value_of

DONE = {"msg": "ok", "code": 200}


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """A request that tells something: its query with what is named in its path, its unpacked body, and the address of
    the server with a trailing slash.
    """

    journal: Journal
    artifacts: ArtifactStore
    query: Mapping[str, str]
    body: bytes
    base_url: str

    def json(self, shape: type[Any]) -> Any:
        """The body, as a value of `shape`. Raises Refusal."""
        return value_of(self.body, shape)

    def key(self) -> str:
        """Whose it is, where the query says it. Raises Refusal."""
        key = self.query.get("experimentKey")
        if not key:
            raise ApiError(400, "experimentKey is missing", NO_EXPERIMENT_KEY)
        return key

    def text(self, name: str) -> str:
        """Another word of the query that must be there. Raises Refusal."""
        found = self.query.get(name)
        if not found:
            raise ApiError(400, f"{name} is missing")
        return found


Endpoint = Callable[[WriteRequest], Any]
