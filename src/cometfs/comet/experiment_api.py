"""Questions about one experiment: what it is, what it printed, its values. A base of `API`.

Not here: its metrics (`metric_api`), its assets (`asset_api`).
"""

from __future__ import annotations

import io
import zipfile
from typing import Any, overload

from cometfs.comet.answers import models
from cometfs.comet.answers.models import Experiment, GitMetadata, SystemDetails, Value
from cometfs.comet.answers.shapes import value_if_any
from cometfs.comet.calls import Calls
from cometfs.comet.http.sniffing import LOOK, is_page
from cometfs.comet.question import Question, about
from cometfs.errors import Unintelligible, Unreachable


class ExperimentAPI:
    """Questions about one experiment, by its key."""

    _calls: Calls

    async def experiment_metadata(self, experiment_key: str) -> Experiment:
        """Name, times (ms since 1970), state, project, user.

        `endTimeMillis` is the time of the last message, while the experiment is `running` too.
        """
        return await self._calls.ask(about(experiment_key, "metadata"), models.EXPERIMENT.read)

    async def experiment_tags(self, experiment_key: str) -> list[str]:
        """Its tags."""
        return await self._calls.ask(about(experiment_key, "tags"), models.tags)

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
        return await self._calls.ask(about(experiment_key, "system-details"), models.SYSTEM.read)

    @overload
    async def experiment_parameters(self, experiment_key: str) -> list[Value]: ...
    @overload
    async def experiment_parameters(self, experiment_key: str, name: str | None) -> list[Value]: ...

    async def experiment_parameters(self, experiment_key: str, name: str | None = None) -> list[Value]:
        """Its parameters, or those called `name` (a list too, as the SDK's page shows). The value is `valueCurrent`.

        Comet answers values as text, whatever was logged; nested ones are flattened, ``a|b``.
        """
        rows = await self._calls.ask(about(experiment_key, "parameters"), models.values)
        return rows if name is None else [row for row in rows if row["name"] == name]

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
        rows = await self._calls.ask(about(experiment_key, "log-other"), models.values)
        if other is None:
            return rows
        row = models.named(rows, other)
        return row if field is None or row is None else row.get(field)

    async def experiment_name(self, experiment_key: str, max_length: int | None = None) -> str:
        """Its name, or its key where it has none; at most `max_length` characters of it."""
        name = (await self.experiment_metadata(experiment_key))["experimentName"]
        if not name:  # older servers keep a name that was given only among the others
            name = await self.experiment_other(experiment_key, "Name", "valueCurrent")
        return (name or experiment_key)[:max_length]

    async def experiment_git_metadata(self, experiment_key: str) -> GitMetadata:
        """Branch, commit and origin of the working copy it ran in; all None where there was none."""
        return await self._calls.ask(about(experiment_key, "git/metadata"), models.GIT.read)

    async def experiment_git_patch(self, experiment_key: str) -> bytes | None:
        """Uncommitted changes, None where there were none: a zip with ``git_diff.patch`` (very old servers: text)."""
        question = about(experiment_key, "git/patch")
        async with self._calls.stream(question) as stream:
            body = b"".join([chunk async for chunk in stream])
        if stream.close_delimited and not zipfile.is_zipfile(io.BytesIO(body)):
            raise Unreachable(f"The connection ended before all of {question} had come, or without a sign of that")
        if is_page(body[:LOOK]):
            raise Unintelligible(f"An HTML page came instead of {question}: a login page, or a proxy's?")
        return await self._calls.understood(question, body, models.patch)

    async def _text(self, endpoint: str, name: str, **query: str) -> str | None:
        return await self._calls.ask(Question(endpoint, query), lambda body: value_if_any(body, name, str))
