"""Changes of experiments: their names, tags and others, and where they are. A base of `API`.

A change that was made already is made again without harm, so each is tried again like a question. Not here: whether
Comet has it then (`vfs/changes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from cometfs.comet.calls import Calls
from cometfs.comet.question import Question


class ChangeAPI:
    """What can be changed of an experiment, by its key."""

    _calls: Calls

    async def set_experiment_name(self, experiment_key: str, name: str) -> None:
        """Give an experiment another `name`, as the Python SDK does: by its other ``Name``.

            >>> await api.set_experiment_name(key, "mlp-best")

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: POST write/experiment/log-other
        SDK: none
        """
        await self.log_experiment_other(experiment_key, "Name", name)

    async def log_experiment_other(self, experiment_key: str, name: str, value: str) -> None:
        """Set the other `name` of an experiment to the text `value`, whether or not it has one.

            >>> await api.log_experiment_other(key, "reviewed", "yes")

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: POST write/experiment/log-other
        SDK: none
        """
        await self._change("log-other", {"experimentKey": experiment_key, "key": name, "value": value})

    async def add_experiment_tags(self, experiment_key: str, tags: Sequence[str]) -> None:
        """Add `tags` to those of an experiment.

            >>> await api.add_experiment_tags(key, ["best", "reviewed"])

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: POST write/experiment/tags
        SDK: none
        """
        await self._change("tags", {"experimentKey": experiment_key, "addedTags": list(tags)})

    async def delete_experiment_tags(self, experiment_key: str, tags: Sequence[str]) -> None:
        """Take `tags` from an experiment; those that it does not have are no error.

            >>> await api.delete_experiment_tags(key, ["best"])

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: POST write/experiment/tags/delete
        SDK: none
        """
        await self._change("tags/delete", {"experimentKey": experiment_key, "tags": list(tags)})

    async def archive_experiment(self, experiment_key: str) -> None:
        """Move an experiment to the archive of its project, from where `restore_experiment` brings it back.

            >>> await api.archive_experiment(key)

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: GET write/experiment/archive
        SDK: none
        """
        await self._calls.ask(Question("write/experiment/archive", {"experimentKey": experiment_key}), _object)

    async def restore_experiment(self, experiment_key: str) -> None:
        """Bring an experiment back from the archive of its project.

            >>> await api.restore_experiment(key)

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: GET write/experiment/restore
        SDK: none
        """
        await self._calls.ask(Question("write/experiment/restore", {"experimentKey": experiment_key}), _object)

    async def move_experiment(self, experiment_key: str, workspace: str, project: str) -> None:
        """Move an experiment to another project.

            >>> await api.move_experiment(key, "vision-lab", "shelved")

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: POST write/experiment/move
        SDK: none
        """
        target = {"targetWorkspaceName": workspace, "targetProjectName": project}
        await self._change("move", {**target, "experimentKeys": [experiment_key], "symlink": False})

    async def _change(self, what: str, body: dict[str, Any]) -> None:
        await self._calls.ask(Question(f"write/experiment/{what}", body=body, lacking="this change"), _object)


def _object(body: bytes) -> dict[str, Any]:
    return msgspec.json.decode(body, type=dict[str, Any])
