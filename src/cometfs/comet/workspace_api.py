"""What Comet's JavaScript SDK has no method for: columns, queries, artifacts and registered models. A base of `API`.

What any method may raise is told in `api`; a server without the endpoint is `Unsupported`.

Not here: the SDK's own methods (`api`), forms of answers (`workspace_models`).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from cometfs.comet.answers import models, workspace_models
from cometfs.comet.answers.models import Asset
from cometfs.comet.answers.predicates import Condition, predicates
from cometfs.comet.answers.shapes import whole
from cometfs.comet.answers.workspace_models import Artifact, ArtifactFile, Column, ExperimentModel, RegisteredModel
from cometfs.comet.calls import Calls
from cometfs.comet.question import Question


class WorkspaceAPI:
    """Questions about whole projects and workspaces, one call each."""

    _calls: Calls

    # -- projects --------------------------------------------------------------------------------------------------

    async def project_column_names(self, project_id: str) -> list[Column]:
        """Every name that the experiments of a project use: metrics, parameters, others, tags and Comet's own metadata.

        A name comes once for each of its sources, whatever the number of experiments.
        """
        question = Question("project/column-names", {"projectId": project_id}, lacking="the columns of a project")
        return await self._calls.ask(question, workspace_models.columns)

    async def query_experiments(
        self, workspace: str, project: str, *conditions: Condition, archived: bool = False
    ) -> list[str]:
        """Keys of the experiments that meet all `conditions`, in no promised order.

        Conditions are made by `predicates`: ``tagged("best")``, ``has_metric("loss")``, ``metric("loss", "less", 1)``.
        `archived`: of the archived experiments instead of the others. No condition is met by all.
        """
        body = {
            "workspaceName": workspace,
            "projectName": project,
            "archived": archived,
            "predicates": predicates(conditions),
        }
        question = Question("project/query", body=body, lacking="queries")
        return await self._calls.ask(question, workspace_models.experiment_keys)

    # -- artifacts -------------------------------------------------------------------------------------------------

    async def artifacts(self, workspace: str) -> list[Artifact]:
        """The artifacts of a workspace. Their `versions` may be left out; `artifact` has them."""
        question = Question("artifacts/get-all", {"workspace": workspace}, lacking="artifacts")
        return await self._calls.ask(question, workspace_models.artifacts)

    async def artifact(self, workspace: str, name: str) -> Artifact:
        """One artifact with all its versions, their aliases and tags; `sizeInBytes` and `added` (ms since 1970)."""
        question = Question("artifacts/get", _named(workspace, name), lacking="artifacts")
        return await self._calls.ask(question, workspace_models.artifact)

    async def artifact_files(self, workspace: str, name: str, version: str) -> list[ArtifactFile]:
        """The files of one version. `fileName` may have folders; `fileSize` in bytes is 0 for a remote one.

        The bytes of one come from ``stream_asset(experiment_key, assetId, artifactVersionId)``.
        """
        query = _named(workspace, name) | {"version": version}
        question = Question("artifacts/version/files", query, lacking="artifacts")
        return await self._calls.ask(question, workspace_models.artifact_files)

    async def artifact_version(self, workspace: str, name: str, version_or_alias: str) -> dict[str, Any]:
        """One version, told whole: ``artifactVersion``, ``artifactVersionId``, ``experimentKey`` of whoever logged it,
        ``alias``, ``tags``, ``metadata`` (JSON in a string), ``sizeInBytes``, and its ``artifact``.
        """
        query = _named(workspace, name) | {"versionOrAlias": version_or_alias}
        return await self._calls.ask(Question("artifacts/version", query, lacking="artifacts"), whole)

    async def experiment_artifacts(self, experiment_key: str) -> dict[str, Any]:
        """The artifacts that an experiment logged and used, as Comet tells it: of no documented form, so unchanged."""
        query = {"experimentKey": experiment_key, "filter": "all"}
        return await self._calls.ask(Question("get/artifacts", query, lacking="artifacts"), whole)

    # -- models ----------------------------------------------------------------------------------------------------

    async def experiment_models(self, experiment_key: str) -> list[ExperimentModel]:
        """The models that an experiment logged."""
        question = Question("experiment/model", {"experimentKey": experiment_key}, lacking="models")
        return await self._calls.ask(question, workspace_models.experiment_models)

    async def experiment_model_assets(self, experiment_key: str, model_name: str) -> list[Asset]:
        """The files of one of its models; their bytes come from `stream_asset` as any other's."""
        query = {"experimentKey": experiment_key, "modelName": model_name}
        question = Question("experiment/model/asset/list", query, lacking="models")
        return await self._calls.ask(question, models.assets)

    async def registry_models(self, workspace: str) -> list[RegisteredModel]:
        """The registered models of a workspace. Their `versions` may be left out; `registry_model` has them."""
        question = Question("registry-model", {"workspaceName": workspace}, lacking="a model registry")
        return await self._calls.ask(question, workspace_models.registered_models)

    async def registry_model(self, workspace: str, name: str) -> RegisteredModel:
        """One registered model with all its versions: stages, status, tags, and assets.

        The bytes of an asset come from `stream_asset` with the key in the version's `experimentModel`.
        """
        query = {"workspaceName": workspace, "modelName": name}
        question = Question("registry-model/details", query, lacking="a model registry")
        return await self._calls.ask(question, workspace_models.registered_model)


def _named(workspace: str, name: str) -> dict[str, str]:
    """Comet takes an artifact's name percent-encoded within the query, which is encoded once more."""
    return {"workspace": workspace, "artifactName": quote(name, safe="")}
