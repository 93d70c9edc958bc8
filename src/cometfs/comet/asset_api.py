"""Assets of an experiment: their list, and their bytes. A base of `API`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal

import trio

from cometfs.comet.answers import models
from cometfs.comet.answers.models import Asset, Curve, Image
from cometfs.comet.calls import AssetStream, Calls
from cometfs.comet.question import Question, about
from cometfs.errors import NotFound, Unsupported

ReturnType = Literal["raw", "json", "text"]


class AssetAPI:
    """Questions about assets of one experiment."""

    _calls: Calls

    async def experiment_assets(self, experiment_key: str, asset_type: str | None = None) -> list[Asset]:
        """What was uploaded with it, or just that of one type (``"image"``, ``"curve"`` ...), each an `Asset`.

        `fileSize` in bytes is 0 for a remote one, of which Comet has only the `link`. Names are what the logging
        program made of them: absolute, repeated, with slashes. `curlDownload` is left out: it holds the API key.
        """
        query = {"type": asset_type} if asset_type else {}
        return await self._calls.ask(about(experiment_key, "asset/list", **query), models.assets)

    async def experiment_images(self, experiment_key: str) -> list[Image]:
        """Its images, in the form of the SDK's page, which is that of version 1 of Comet's API.

        Made from the list of assets: `apiKey`, `runId`, `projectId` and `figCounter` are None; `assetId` is added.
        """
        return [models.image(experiment_key, asset) for asset in await self.experiment_assets(experiment_key, "image")]

    async def experiment_curves(self, experiment_key: str) -> list[Curve]:
        """Its curves, ``{"name", "x", "y", "step", "assetId"}``, in the order of their list; a call for each."""
        assets = await self.experiment_assets(experiment_key, "curve")
        curves: dict[str, Curve] = {}

        async def load(asset: Asset) -> None:
            question = _asset(experiment_key, asset["assetId"])
            body = await self.experiment_asset(experiment_key, asset["assetId"])
            curves[asset["assetId"]] = await self._calls.understood(
                question, body, lambda body: models.curve(asset, body)
            )

        await _all(load, assets)
        return [curves[asset["assetId"]] for asset in assets]

    async def experiment_asset_by_name(
        self, experiment_key: str, file_name: str, return_type: ReturnType = "raw"
    ) -> Any:
        """The content of the first asset called `file_name`; `return_type` as in `experiment_asset`."""
        question = about(experiment_key, "asset/get-by-name", assetName=file_name, lacking="finding an asset by name")
        try:
            assets = await self._calls.ask(question, models.assets)
        except (Unsupported, NotFound):  # some servers have the same 404 for an endpoint that they lack
            assets = [row for row in await self.experiment_assets(experiment_key) if row["fileName"] == file_name]
        if not assets:
            raise NotFound(f"Comet has no asset {file_name!r} of experiment {experiment_key!r}")
        return await self.experiment_asset(experiment_key, assets[0]["assetId"], return_type)

    async def experiment_asset(self, experiment_key: str, asset_id: str, return_type: ReturnType = "raw") -> Any:
        """The content of an asset: bytes (``"raw"``), what its JSON says (``"json"``), or UTF-8 (``"text"``)."""
        async with self.stream_asset(experiment_key, asset_id) as stream:
            body = b"".join([chunk async for chunk in stream])
        if return_type == "raw":
            return body
        read = models.logged_json if return_type == "json" else bytes.decode
        return await self._calls.understood(_asset(experiment_key, asset_id), body, read)

    def stream_asset(
        self, experiment_key: str, asset_id: str, artifact_version_id: str | None = None
    ) -> AbstractAsyncContextManager[AssetStream]:
        """The content of an asset as it arrives: an async context manager that gives an `AssetStream`.

        `size` is the number of bytes, None where the server does not tell; `async for` gives the bytes. A body that
        ends early is `Unreachable`, never just the end; where `close_delimited` is True nobody can tell, so compare
        with the listing's `fileSize`. What is sent with a Content-Encoding is decoded, as Comet's own client does.
        Where Comet redirects to a storage, the key does not go there.
        A file of an artifact needs `artifact_version_id`, and the key of the experiment that logged it; ``""`` where
        none did.
        """
        return self._calls.stream(_asset(experiment_key, asset_id, artifact_version_id))


def _asset(experiment_key: str, asset_id: str, artifact_version_id: str | None = None) -> Question:
    query = {"experimentKey": experiment_key, "assetId": asset_id, "allow301": "true"}
    if artifact_version_id is not None:
        query["artifactVersionId"] = artifact_version_id
    return Question("experiment/asset/get-asset", {name: found for name, found in query.items() if found})


async def _all(load: Any, items: Sequence[Any]) -> None:
    """`load` for every item at once; the first error is raised, alone, and ends the others."""
    try:
        async with trio.open_nursery() as loads:
            for item in items:
                loads.start_soon(load, item)
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from group
