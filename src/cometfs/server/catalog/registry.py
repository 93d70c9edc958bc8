"""The model registry of a workspace: what the runs registered, as models with versions.

A run that names no version gets the next free one, as Comet gives it; a version that is taken already is not taken
again, but the run that has it may say again what it is. The files of a version are the model's files of the run that
registered it.

Not here: answers (`read_api.registry`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from cometfs.server.catalog.project import ServedExperiment
from cometfs.server.runs.apply import derived_id
from cometfs.server.runs.record import LoggedAsset, RunRecord
from cometfs.server.runs.schema import RegisterModel
from cometfs.text.numbers import whole_of

LOG = logging.getLogger("cometfs.server")

FIRST = "1.0.0"

_FORBIDDEN = re.compile(r"[^a-z0-9]+")


@dataclass(slots=True, eq=False)
class RegistryVersion:
    """A version: which experiment registered it, with which words, and when (epoch milliseconds)."""

    id: str
    number: str
    experiment: ServedExperiment
    asked: RegisterModel
    created_at: int

    def assets(self) -> list[LoggedAsset]:
        return model_assets(self.experiment.record, self.asked.model_name)


@dataclass(frozen=True, slots=True)
class RegistryModel:
    """A model, its versions from the newest number to the oldest."""

    id: str
    workspace: str
    name: str
    versions: list[RegistryVersion] = field(default_factory=list)

    def version(self, number: str) -> RegistryVersion | None:
        return next((one for one in self.versions if one.number == number), None)

    def at_stage(self, stage: str) -> RegistryVersion | None:
        """The newest version that is at this stage."""
        return next((one for one in self.versions if stage in (one.asked.stages or ())), None)

    def next(self) -> str:
        """The number that a version gets which names none: the minor one after the greatest."""
        if not self.versions:
            return FIRST
        major, minor, *_ = [*max(_parts(one.number) for one in self.versions), (False, 0), (False, 0)]
        return f"{major[1]}.{minor[1] + 1}.0"


class Registry:
    """All registered models, by id, by names, and their versions by id."""

    def __init__(self, experiments: Iterable[ServedExperiment] = ()) -> None:
        self.models: dict[str, RegistryModel] = {}
        self.items: dict[str, RegistryVersion] = {}
        for experiment in _originals(experiments):
            for registration in experiment.record.registrations:
                self._register(experiment, registration.asked, registration.timestamp or experiment.record.start or 0)
        for model in self.models.values():
            model.versions.sort(key=lambda one: _parts(one.number), reverse=True)

    def workspaces(self) -> set[str]:
        return {model.workspace for model in self.models.values()}

    def of(self, workspace: str) -> list[RegistryModel]:
        """The models of a workspace by name."""
        found = [model for model in self.models.values() if model.workspace == workspace]
        return sorted(found, key=lambda model: model.name)

    def named(self, workspace: str, name: str) -> RegistryModel | None:
        return self.models.get(derived_id("registered-model", workspace, name))

    def _register(self, experiment: ServedExperiment, asked: RegisterModel, created_at: int) -> None:
        workspace = asked.workspace or experiment.project.workspace
        name = registry_name(asked)
        identity = derived_id("registered-model", workspace, name)
        model = self.models.setdefault(identity, RegistryModel(identity, workspace, name))
        number = asked.version or model.next()
        taken = model.version(number)
        if taken and taken.experiment is experiment:
            taken.asked = asked
            return
        if taken:
            LOG.warning("experiment %s: version %s of the model %s is registered already", experiment.key, number, name)
            return
        made = RegistryVersion(derived_id("model-version", identity, number), number, experiment, asked, created_at)
        model.versions.append(made)
        self.items[made.id] = made


def model_assets(record: RunRecord, name: str) -> list[LoggedAsset]:
    """The files of a model that a run logged."""
    return [asset for asset in record.assets.values() if asset.model == name]


def file_name(asset: LoggedAsset) -> str:
    """A name for an archive of files: whatever the run called it, it stays within."""
    return "/".join(part for part in PurePosixPath(asset.name).parts if part not in ("/", "..")) or asset.id


def registry_name(asked: RegisterModel) -> str:
    """The name in the registry; the model's own, spelt as the registry spells names, where none was given."""
    return asked.registry_name or _FORBIDDEN.sub("-", asked.model_name.lower()).strip("-") or asked.model_name


def _originals(experiments: Iterable[ServedExperiment]) -> Iterable[ServedExperiment]:
    """Replicas have registered nothing."""
    return (experiment for experiment in experiments if not experiment.is_replica)


def _parts(number: str) -> list[tuple[bool, int]]:
    """A version to be ordered by: ``1.10.0`` is after ``1.9.0``, and ``2.0.0-rc`` before ``2.0.0``."""
    numbers, _, suffix = number.partition("-")
    digits = [whole_of(part) or 0 for part in numbers.split(".")]
    return [*((False, one) for one in digits), (not suffix, 0)]
