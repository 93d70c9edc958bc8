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
from cometfs.comet.calls import MOST, Calls
from cometfs.comet.downloads.downloads import Downloads
from cometfs.comet.http.sniffing import LOOK, is_page
from cometfs.comet.question import Question, about
from cometfs.errors import Unintelligible, Unreachable


class ExperimentAPI:
    """Questions about one experiment, by its key."""

    _calls: Calls
    _downloads: Downloads

    async def experiment_metadata(self, experiment_key: str) -> Experiment:
        """Name, times, state, project and user of an experiment, as an `Experiment`.

        Times are in ms since 1970. `endTimeMillis` is the time of the last message, so it is set while the experiment
        is `running`, too.

            >>> row = await api.experiment_metadata(key)
            >>> row["experimentName"], row["startTimeMillis"], row["durationMillis"], row["running"]
            ('mlp-baseline', 1772442845000, 690000, False)

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: GET experiment/metadata
        SDK: experimentMetadata
        """
        return await self._calls.ask(about(experiment_key, "metadata"), models.EXPERIMENT.read)

    async def experiment_tags(self, experiment_key: str) -> list[str]:
        """The tags of an experiment; ``[]`` if it has none.

            >>> await api.experiment_tags(key)
            ['baseline', 'mlp']

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: GET experiment/tags
        SDK: experimentTags
        """
        return await self._calls.ask(about(experiment_key, "tags"), models.tags)

    async def experiment_html(self, experiment_key: str) -> str | None:
        """The HTML that an experiment logged, all of it as one text; None if it logged none.

            >>> (await api.experiment_html(key)).splitlines()[0]
            '<h1>Digits</h1>'

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: GET experiment/html
        SDK: experimentHtml
        """
        return await self._text("experiment/html", "html", experimentKey=experiment_key)

    async def experiment_code(self, experiment_key: str) -> str | None:
        """The source of the script that created an experiment; None if it was not logged.

        Other source files are assets of type ``source_code`` (`experiment_assets`).

            >>> (await api.experiment_code(key)).splitlines()[0]
            'import json'

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: GET experiment/code
        SDK: experimentCode
        """
        return await self._text("experiment/code", "code", experimentKey=experiment_key)

    async def experiment_output(self, experiment_key: str) -> str | None:
        """What an experiment printed, stdout and stderr as one text; ``""`` or None if nothing was logged.

            >>> (await api.experiment_output(key)).splitlines()[0]
            'epoch  1/30  train 2.2079  validate 2.1596'

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: GET experiment/output
        SDK: experimentOutput
        """
        return await self._text("experiment/output", "output", experimentKey=experiment_key)

    async def experiment_graph(self, experiment_key: str) -> str | None:
        """The graph of an experiment's model, as text; ``""`` or None if none was logged.

            >>> (await api.experiment_graph(key)).splitlines()[0]
            'MLPClassifier(hidden_layer_sizes=(32,), learning_rate_init=0.002,'

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: GET experiment/graph
        SDK: experimentGraph
        """
        return await self._text("experiment/graph", "graph", experimentKey=experiment_key)

    async def experiment_installed_packages(self, experiment_key: str) -> list[str]:
        """The Python packages of an experiment, ``name==version``; ``[]`` if they were not logged.

        They are a part of `experiment_system_details`.

            >>> (await api.experiment_installed_packages(key))[:2]
            ['comet_ml==3.58.8', 'joblib==1.6.0']

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: GET experiment/system-details
        SDK: experimentInstalledPackages
        """
        return (await self.experiment_system_details(experiment_key))["installedPackages"] or []

    async def experiment_system_details(self, experiment_key: str) -> SystemDetails:
        """Machine, Python and command of an experiment, as `SystemDetails`; a field that was not logged is None.

        `totalRam` and the memory of GPUs are in bytes.

            >>> details = await api.experiment_system_details(key)
            >>> details["command"], details["hostname"], details["pythonVersion"], details["totalRam"]
            (['train.py'], 'trainer-01', '3.11.9', None)

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: GET experiment/system-details
        SDK: experimentSystemDetails
        """
        return await self._calls.ask(about(experiment_key, "system-details"), models.SYSTEM.read)

    @overload
    async def experiment_parameters(self, experiment_key: str) -> list[Value]: ...
    @overload
    async def experiment_parameters(self, experiment_key: str, name: str | None) -> list[Value]: ...

    async def experiment_parameters(self, experiment_key: str, name: str | None = None) -> list[Value]:
        """The parameters of an experiment, as `Value` rows, or only those called `name` (a list, as in the SDK).

        `valueCurrent` is the value. It is text, whatever was logged; nested parameters are flattened, ``a|b``.
        Timestamps are in ms since 1970.

            >>> [(row["name"], row["valueCurrent"]) for row in (await api.experiment_parameters(key))[:2]]
            [('alpha', '0.0001'), ('augment', 'false')]
            >>> (await api.experiment_parameters(key, "alpha"))[0]["timestampCurrent"]
            1772442858433

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: GET experiment/parameters
        SDK: experimentParameters
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
        """Values logged by ``log_other``: all, one, or one field of one.

        `other` is a name, `field` a field of `Value`:

        - ``(key)``: a list of `Value` rows
        - ``(key, other)``: the `Value` of that name; None if there is none
        - ``(key, other, field)``: that field of it, ``"valueCurrent"`` for the value; None if there is none

        Values are text, whatever was logged. Timestamps are in ms since 1970.

            >>> [row["name"] for row in await api.experiment_other(key)][:2]
            ['Created from', 'Name']
            >>> await api.experiment_other(key, "Created from", "valueCurrent")
            'scikit-learn'

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: GET experiment/log-other
        SDK: experimentOther
        """
        rows = await self._calls.ask(about(experiment_key, "log-other"), models.values)
        if other is None:
            return rows
        row = models.named(rows, other)
        return row if field is None or row is None else row.get(field)

    async def experiment_name(self, experiment_key: str, max_length: int | None = None) -> str:
        """The name of an experiment, or its key if it has none; `max_length` cuts it to that many characters.

            >>> await api.experiment_name(key), await api.experiment_name(key, 3)
            ('mlp-baseline', 'mlp')
            >>> await api.experiment_name("9d30e277dbae01769d15dc46fab66a7c")
            '9d30e277dbae01769d15dc46fab66a7c'

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: GET experiment/metadata, and GET experiment/log-other where that has no name
        SDK: experimentName
        """
        name = (await self.experiment_metadata(experiment_key))["experimentName"]
        if not name:  # older servers keep a name that was given only among the others
            name = await self.experiment_other(experiment_key, "Name", "valueCurrent")
        return (name or experiment_key)[:max_length]

    async def experiment_git_metadata(self, experiment_key: str) -> GitMetadata:
        """Branch, commit and origin of an experiment's working copy, as `GitMetadata`; all None if it had none.

            >>> git = await api.experiment_git_metadata(key)
            >>> git["branch"], git["parent"][:7], git["origin"]
            ('refs/heads/main', '3faf2db', 'https://git.example.org/vision-lab/digits.git')

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: GET experiment/git/metadata
        SDK: none
        """
        return await self._calls.ask(about(experiment_key, "git/metadata"), models.GIT.read)

    async def experiment_git_patch(self, experiment_key: str) -> bytes | None:
        """The uncommitted changes of an experiment's working copy; None if there were none.

        They are the bytes of a zip with one member, ``git_diff.patch``. Very old servers send the text of the patch
        instead of a zip.

            >>> zipfile.ZipFile(io.BytesIO(await api.experiment_git_patch(key))).namelist()
            ['git_diff.patch']

        Raises NotFound for an unknown experiment, Unreachable for a body that may be cut, and the errors of every call
            (`API`).
        Endpoint: GET experiment/git/patch
        SDK: none
        """
        question = about(experiment_key, "git/patch")
        body, stream = await self._downloads.whole(question, MOST)
        if stream.close_delimited and not zipfile.is_zipfile(io.BytesIO(body)):
            raise Unreachable(f"The connection ended before all of {question} had come, or without a sign of that")
        if is_page(body[:LOOK]):
            raise Unintelligible(f"An HTML page came instead of {question}: a login page, or a proxy's?")
        return await self._calls.understood(question, body, models.patch)

    async def _text(self, endpoint: str, name: str, **query: str) -> str | None:
        return await self._calls.ask(Question(endpoint, query), lambda body: value_if_any(body, name, str))
