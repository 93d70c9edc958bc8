"""Assets of an experiment: their list, and their bytes. A base of `API`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, Literal

import trio

from cometfs.comet.answers import models
from cometfs.comet.answers.models import Asset, Curve, Image
from cometfs.comet.calls import Calls
from cometfs.comet.downloads.downloads import Downloads
from cometfs.comet.downloads.spans import Link, Span
from cometfs.comet.downloads.stream import AssetPart, AssetStream
from cometfs.comet.question import LISTED, Question, about
from cometfs.errors import NotFound, Unsupported

ReturnType = Literal["raw", "json", "text"]


class AssetAPI:
    """Questions about assets of one experiment."""

    _calls: Calls
    _downloads: Downloads

    async def experiment_assets(self, experiment_key: str, asset_type: str | None = None) -> list[Asset]:
        """The files of an experiment, as `Asset` rows; with `asset_type` only those of that type.

        Types are ``"image"``, ``"curve"``, ``"source_code"``, ``"dataframe"`` and whatever a program logs. `fileSize`
        is in bytes, 0 for a remote asset, of which Comet has only the `link`; `createdAt` is in ms since 1970. File
        names are as logged: they may repeat, be absolute, contain slashes. `curlDownload` is left out, because it
        contains the API key.

            >>> row = (await api.experiment_assets(key, "curve"))[0]
            >>> row["fileName"], row["fileSize"], row["step"], row["assetId"]
            ('roc-digit-3', ..., 300, '...')

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: GET experiment/asset/list
        SDK: experimentAssets
        """
        question = about(experiment_key, "asset/list", type=asset_type or "all")  # else Comet may choose a type
        return await self._calls.ask(replace(question, most=LISTED), models.assets)

    async def experiment_images(self, experiment_key: str) -> list[Image]:
        """The images of an experiment, as `Image` rows.

        Their form is the one of the SDK's page, which is that of version 1 of Comet's API. They are made from the list
        of assets: `apiKey`, `runId`, `projectId` and `figCounter` are None, `assetId`, which `experiment_asset` takes,
        and `remote` are added.

            >>> row = (await api.experiment_images(key))[0]
            >>> row["figName"], row["step"], row["assetId"]
            ('first-layer.png', 10, '6b5fb51d153d3fd443dabf536ba89e00')

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: GET experiment/asset/list
        SDK: experimentImages
        """
        return [models.image(experiment_key, asset) for asset in await self.experiment_assets(experiment_key, "image")]

    async def experiment_curves(self, experiment_key: str) -> list[Curve]:
        """The curves of an experiment, as `Curve` rows in the order of their list.

        That is a call for the list and one for each curve.

            >>> curve = (await api.experiment_curves(key))[0]
            >>> curve["name"], curve["x"][:2], curve["y"][:2], curve["step"]
            ('roc-digit-3', [0.0, 0.0], [0.0, 0.021739130434782608], 300)

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: GET experiment/asset/list, GET experiment/asset/get-asset
        SDK: experimentCurves
        """
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
        """The content of the first asset called `file_name`, whole.

        `return_type`: ``"raw"`` for bytes, ``"json"`` for what the file's JSON says, ``"text"`` for UTF-8 text.

            >>> (await api.experiment_asset_by_name(key, "confusion-matrix.json", "json"))["rowLabel"]
            'Actual Category'

        Raises NotFound for an unknown experiment or name, Unintelligible for bytes that are not what `return_type`
            says, and the errors of every call (`API`).
        Endpoint: GET experiment/asset/get-by-name (servers before 4.3.385 lack it: GET experiment/asset/list), then GET
            experiment/asset/get-asset
        SDK: experimentAssetByName
        """
        question = about(experiment_key, "asset/get-by-name", assetName=file_name, lacking="finding an asset by name")
        try:
            assets = await self._calls.ask(question, models.assets)
        except (Unsupported, NotFound):  # some servers have the same 404 for an endpoint that they lack
            assets = [row for row in await self.experiment_assets(experiment_key) if row["fileName"] == file_name]
        if not assets:
            raise NotFound(f"Comet has no asset {file_name!r} of experiment {experiment_key!r}")
        return await self.experiment_asset(experiment_key, assets[0]["assetId"], return_type)

    async def experiment_asset(self, experiment_key: str, asset_id: str, return_type: ReturnType = "raw") -> Any:
        """The content of an asset, whole. `asset_id` is the `assetId` of its `Asset`.

        `return_type`: ``"raw"`` for bytes, ``"json"`` for what the file's JSON says, ``"text"`` for UTF-8 text. What is
        too big for memory comes in parts from `stream_asset`.

            >>> (await api.experiment_asset(key, "6b5fb51d153d3fd443dabf536ba89e00"))[:8]
            b'\\x89PNG\\r\\n\\x1a\\n'

        Raises NotFound for an unknown experiment or asset, Unintelligible for bytes that are not what `return_type`
            says, and the errors of every call (`API`).
        Endpoint: GET experiment/asset/get-asset
        SDK: experimentAsset
        """
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

        `size` of the stream is the number of bytes, None if the server does not say; `async for` gives the bytes. A
        body that ends early raises Unreachable. Where `close_delimited` is True a cut body cannot be distinguished from
        a whole one: compare with the `fileSize` of the `Asset`. A Content-Encoding is decoded, as Comet's own client
        does. Redirects to a storage are followed without the API key.

        `asset_id` is the `assetId` of an `Asset` or an `ArtifactFile`. A file of an artifact needs
        `artifact_version_id`, too, and as `experiment_key` that of the experiment that logged it, ``""`` if none did.

            >>> async with api.stream_asset(key, "6b5fb51d153d3fd443dabf536ba89e00") as stream:
            ...     stream.size, sum([len(chunk) async for chunk in stream])
            (3314, 3314)

        Raises NotFound for an unknown experiment or asset, and the errors of every call (`API`). Errors come at the
            beginning or in between.
        Endpoint: GET experiment/asset/get-asset
        SDK: none (`experiment_asset` returns it whole)
        """
        return self._downloads.stream(_asset(experiment_key, asset_id, artifact_version_id))

    def asset_parts(
        self, experiment_key: str, asset_id: str, artifact_version_id: str | None = None
    ) -> Callable[[int, int, str], AbstractAsyncContextManager[AssetPart]]:
        """Asks for parts of an asset: a function of the first byte, the one behind the last, and the version (ETag)
        that is wanted, "" for any. It gives an async context manager with an `AssetPart`.

        `asset_id` and `artifact_version_id` are those of `stream_asset`. Comet redirects the first request to a
        storage, which is asked for all others until its link has expired. A Comet that sends the bytes itself is asked
        for all that follows, since each request is a call.

            >>> ask = api.asset_parts(key, "6b5fb51d153d3fd443dabf536ba89e00")
            >>> async with ask(3310, 3314, "") as part:
            ...     part.total
            3314

        Raises Stale where there is another version now, NotFound for an unknown experiment or asset, and the errors of
            every call (`API`).
        Endpoint: GET experiment/asset/get-asset
        SDK: none (`experiment_asset` returns it whole)
        """
        question, link = _asset(experiment_key, asset_id, artifact_version_id), Link()
        return lambda start, stop, etag: self._downloads.part(question, link, Span(start, stop, etag))


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
