"""What Comet's JavaScript SDK has no method for: columns, queries, artifacts and registered models. A base of `API`.

Not here: the SDK's own methods (`api`), forms of answers (`workspace_models`).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from cometfs.comet.answers import models, workspace_models
from cometfs.comet.answers.models import Asset
from cometfs.comet.answers.predicates import Condition, predicates
from cometfs.comet.answers.shapes import whole
from cometfs.comet.answers.workspace_models import (
    Artifact,
    ArtifactFile,
    Column,
    ExperimentModel,
    FoundExperiment,
    RegisteredModel,
)
from cometfs.comet.calls import Calls
from cometfs.comet.question import Question
from cometfs.errors import NotFound, Unintelligible, Unsupported


class WorkspaceAPI:
    """Questions about whole projects and workspaces, one call each."""

    _calls: Calls
    _lacks_search = False

    # -- projects --------------------------------------------------------------------------------------------------

    async def project_column_names(self, project_id: str) -> list[Column]:
        """Every name that the experiments of a project use, as `Column` rows: one call, however many there are.

        Names of metrics, parameters, others, tags, and Comet's own metadata; a name comes once for each of its sources.
        `project_id` is the `projectId` of a `Project`.

            >>> columns = await api.project_column_names(project_id)
            >>> [(row["name"], row["type"]) for row in columns if row["source"] == "metrics"][0]
            ('...', 'double')

        Raises NotFound for an unknown project, Unsupported for a server without this endpoint, and the errors of every
            call (`API`).
        Endpoint: GET project/column-names
        SDK: none
        """
        question = Question("project/column-names", {"projectId": project_id}, lacking="the columns of a project")
        return await self._calls.ask(question, workspace_models.columns)

    async def query_experiments(
        self, workspace: str, project: str, *conditions: Condition, archived: bool = False
    ) -> list[str]:
        """Keys of the experiments that meet all `conditions`, in no particular order; without a condition, of all.

        `cometfs.comet.answers.predicates` makes conditions: `tagged`, `has_metric`, `metric`, `parameter`, `other`.
        `archived`: of the archived experiments instead of the others.

            >>> conditions = [tagged("wide"), metric("validate_loss", "less", 0.1)]
            >>> await api.query_experiments("vision-lab", "digits", *conditions)
            ['76e61c8b8b06b5b296d0006b7310e9d4']

        Raises Unsupported for a server without queries and for a project that it does not have, which both answer 404,
            and the errors of every call (`API`).
        Endpoint: POST project/query
        SDK: none
        """
        body = {
            "workspaceName": workspace,
            "projectName": project,
            "archived": archived,
            "predicates": predicates(conditions),
        }
        question = Question("project/query", body=body, lacking="queries")
        return await self._calls.ask(question, workspace_models.experiment_keys)

    async def search_experiments(
        self, project_id: str, *, limit: int = 1000, page: int = 1, archived: bool = False
    ) -> list[FoundExperiment]:
        """The experiments of a project with what the server's search shows of them: `FoundExperiment` rows, a page.

        `project_id` is the `projectId` of a `Project`. `limit`: rows of a page; `page` counts from 1, and one with
        fewer rows is the last. `archived`: the archived experiments instead of the others. Rows have the fields that
        the server chooses, and need not have more than `experimentKey`: compare before you rely on others.

            >>> rows = await api.search_experiments(project_id)
            >>> rows[0]["experimentKey"] == key, rows[0]["alpha--params"]
            (True, '0.0001')

        Raises Unsupported for servers without this endpoint (after the first refusal of any kind without a call), and
            the errors of every call (`API`).
        Endpoint: POST experiments/search
        SDK: none
        """
        if self._lacks_search:
            raise Unsupported("this server does not offer searches")
        # The body is that of Comet's own Python client, whose server may want each of these fields.
        body = {
            "projectId": project_id,
            "viewId": None,
            "rulesTree": {"condition": "AND", "rules": [], "valid": True},
            "limit": limit,
            "page": page,
            "deleted": archived,
            "ignorePinnedExperimentsFirst": True,
            "pinnedOnly": None,
            "multipleSort": None,
            "chainsQueryRules": None,
        }
        question = Question("experiments/search", body=body, lacking="searches")
        try:
            return await self._calls.ask(question, workspace_models.found_experiments)
        except (Unsupported, NotFound, Unintelligible):  # what stands for a missing endpoint: 404, 400, a page
            self._lacks_search = True
            raise

    # -- artifacts -------------------------------------------------------------------------------------------------

    async def artifacts(self, workspace: str) -> list[Artifact]:
        """The artifacts of a workspace, as `Artifact` rows. Their `versions` may be missing here; `artifact` has them.

        `sizeInBytes` is in bytes.

            >>> [(row["name"], row["type"], row["latestVersion"]) for row in await api.artifacts("vision-lab")]
            [('digits-split', 'dataset', '1.1.0')]

        Raises NotFound for an unknown workspace, Unsupported for a server without artifacts, and the errors of every
            call (`API`).
        Endpoint: GET artifacts/get-all
        SDK: none
        """
        question = Question("artifacts/get-all", {"workspace": workspace}, lacking="artifacts")
        return await self._calls.ask(question, workspace_models.artifacts)

    async def artifact(self, workspace: str, name: str) -> Artifact:
        """One artifact with all its versions, as an `Artifact`. `name` is its `name` there.

        `sizeInBytes` is in bytes, `added` in ms since 1970.

            >>> artifact = await api.artifact("vision-lab", "digits-split")
            >>> [(row["version"], row["alias"]) for row in artifact["versions"]]
            [('1.0.0', ['first try']), ('1.1.0', ['latest', 'production'])]

        Raises NotFound for an unknown workspace or artifact, Unsupported for a server without artifacts, and the errors
            of every call (`API`).
        Endpoint: GET artifacts/get
        SDK: none
        """
        question = Question("artifacts/get", _named(workspace, name), lacking="artifacts")
        return await self._calls.ask(question, workspace_models.artifact)

    async def artifact_files(self, workspace: str, name: str, version: str) -> list[ArtifactFile]:
        """The files of one version of an artifact, as `ArtifactFile` rows.

        `name` is that of the `Artifact`, `version` that of one of its versions: a number, not an alias. `fileName` may
        contain folders; `fileSize` is in bytes, 0 for a remote file. ``stream_asset(experiment_key, assetId,
        artifactVersionId)`` gives the bytes; `experiment_key` is the `experimentKey` of the version.

            >>> files = await api.artifact_files("vision-lab", "digits-split", "1.1.0")
            >>> [(row["fileName"], row["fileSize"]) for row in files]
            [('README.md', 34), ('held-out/classes.json', 41), ('held-out/labels.csv', 1158)]

        Raises NotFound for an unknown workspace, artifact or version, Unsupported for a server without artifacts, and
            the errors of every call (`API`).
        Endpoint: GET artifacts/version/files
        SDK: none
        """
        query = _named(workspace, name) | {"version": version}
        question = Question("artifacts/version/files", query, lacking="artifacts")
        return await self._calls.ask(question, workspace_models.artifact_files)

    async def artifact_version(self, workspace: str, name: str, version_or_alias: str) -> dict[str, Any]:
        """One version of an artifact: Comet's answer, unchanged.

        `name` is that of the `Artifact`, `version_or_alias` a number (``"1.1.0"``) or an alias of a version. The answer
        has ``artifactVersion``, ``artifactVersionId``, ``experimentKey`` of the experiment that logged it, ``alias``,
        ``tags``, ``metadata`` (JSON in a string), ``sizeInBytes``, and its ``artifact``.

            >>> version = await api.artifact_version("vision-lab", "digits-split", "production")
            >>> version["artifactVersion"], version["sizeInBytes"], version["metadata"]
            ('1.1.0', 1233, '{"stratified": true, "seed": 7}')

        Raises NotFound for an unknown workspace, artifact or version, Unsupported for a server without artifacts, and
            the errors of every call (`API`).
        Endpoint: GET artifacts/version
        SDK: none
        """
        query = _named(workspace, name) | {"versionOrAlias": version_or_alias}
        return await self._calls.ask(Question("artifacts/version", query, lacking="artifacts"), whole)

    async def experiment_artifacts(self, experiment_key: str) -> dict[str, Any]:
        """The artifacts that an experiment logged and used: Comet's answer, unchanged, as its form is not documented.

            >>> [row["artifactName"] for row in (await api.experiment_artifacts(key))["artifacts"]]
            ['digits-split']

        Raises NotFound for an unknown experiment, Unsupported for a server without artifacts, and the errors of every
            call (`API`).
        Endpoint: GET get/artifacts
        SDK: none
        """
        query = {"experimentKey": experiment_key, "filter": "all"}
        return await self._calls.ask(Question("get/artifacts", query, lacking="artifacts"), whole)

    # -- models ----------------------------------------------------------------------------------------------------

    async def experiment_models(self, experiment_key: str) -> list[ExperimentModel]:
        """The models that an experiment logged, as `ExperimentModel` rows.

            >>> [row["modelName"] for row in await api.experiment_models(key)]
            ['digits-mlp']

        Raises NotFound for an unknown experiment, Unsupported for a server without models, and the errors of every call
            (`API`).
        Endpoint: GET experiment/model
        SDK: none
        """
        question = Question("experiment/model", {"experimentKey": experiment_key}, lacking="models")
        return await self._calls.ask(question, workspace_models.experiment_models)

    async def experiment_model_assets(self, experiment_key: str, model_name: str) -> list[Asset]:
        """The files of one model of an experiment, as `Asset` rows.

        `model_name` is the `modelName` of an `ExperimentModel`. `experiment_asset` and `stream_asset` give the bytes.

            >>> [(row["fileName"], row["fileSize"]) for row in await api.experiment_model_assets(key, "digits-mlp")]
            [('digits-mlp/config.json', 335), ('digits-mlp/model.joblib', 81605)]

        Raises NotFound for an unknown experiment or model, Unsupported for a server without models, and the errors of
            every call (`API`).
        Endpoint: GET experiment/model/asset/list
        SDK: none
        """
        query = {"experimentKey": experiment_key, "modelName": model_name}
        question = Question("experiment/model/asset/list", query, lacking="models")
        return await self._calls.ask(question, models.assets)

    async def registry_models(self, workspace: str) -> list[RegisteredModel]:
        """The registered models of a workspace, as `RegisteredModel` rows.

        Their `versions` may be missing; `registry_model` has them. `createdAt` and `lastUpdated` are in ms since 1970.

            >>> [row["modelName"] for row in await api.registry_models("vision-lab")]
            ['digits-mlp']

        Raises NotFound for an unknown workspace, Unsupported for a server without a model registry, and the errors of
            every call (`API`).
        Endpoint: GET registry-model
        SDK: none
        """
        question = Question("registry-model", {"workspaceName": workspace}, lacking="a model registry")
        return await self._calls.ask(question, workspace_models.registered_models)

    async def registry_model(self, workspace: str, name: str) -> RegisteredModel:
        """One registered model with all its versions, as a `RegisteredModel`: stages, status, tags, assets.

        `name` is its `modelName`; `createdAt` and `lastUpdated` are in ms since 1970. `stream_asset` gives the bytes of
        an asset, with the ``experimentKey`` in the version's `experimentModel`.

            >>> model = await api.registry_model("vision-lab", "digits-mlp")
            >>> [(row["version"], row["stages"], row["tags"]) for row in model["versions"]]
            [('1.1.0', ['production'], ['reviewed']), ('1.0.0', ['staging'], ['reviewed'])]

        Raises NotFound for an unknown workspace or model, Unsupported for a server without a model registry, and the
            errors of every call (`API`).
        Endpoint: GET registry-model/details
        SDK: none
        """
        query = {"workspaceName": workspace, "modelName": name}
        question = Question("registry-model/details", query, lacking="a model registry")
        return await self._calls.ask(question, workspace_models.registered_model)


def _named(workspace: str, name: str) -> dict[str, str]:
    """Comet takes an artifact's name percent-encoded within the query, which is encoded once more."""
    return {"workspace": workspace, "artifactName": quote(name, safe="")}
