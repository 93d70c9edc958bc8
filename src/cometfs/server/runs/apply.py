"""What each kind of message does to a record: the semantics that Comet's server adds to what was logged.

Last value wins for parameters and others; a context stands in front of the names of metrics and parameters; a file
logged with ``overwrite`` replaces those of its name; texts are remembered as line numbers.

Not here: reading archives in order (`load`), which calls `apply` once per message; new messages (`storage.journal`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from cometfs.server.runs import schema as m
from cometfs.server.runs.record import LoggedAsset, Part, Registration, RunRecord
from cometfs.server.runs.values import Logged, shown_name, text_of

INVENTED = "auto-generated-in-the-backend"
"""What an SDK writes where it wants the server to make up an asset's name."""


class Missing(Exception):
    """A message that names a member which its archive does not have."""


def apply(record: RunRecord, part: Part, number: int, payload: m.Payload) -> None:
    """Take in one message of line `number`. Raises Missing when the file it speaks of is not in the archive."""
    if payload.local_timestamp is not None:
        record.last_seen = at = int(payload.local_timestamp)
        if record.latest is None or at > record.latest:
            record.latest = at
    handler = _HANDLERS.get(type(payload))
    if handler is not None:
        handler(record, part, number, payload)


def derived_id(*words: str) -> str:
    """32 hex digits that depend on `words` and nothing else: an id for what has none, the same after every start."""
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _metric(record: RunRecord, _: Part, number: int, payload: m.Metric) -> None:
    point, context = payload.metric, payload.context or None
    value = Logged(text_of(point.metric_value), record.last_seen, point.step, context)
    record.add_value(shown_name(context, point.metric_name), number, value)


def _parameter(record: RunRecord, _: Part, __: int, payload: m.Parameter) -> None:
    context = payload.context or None
    for setting in (payload.param, payload.params):
        if setting is not None:
            value = Logged(text_of(setting.param_value), record.last_seen, setting.step, context)
            record.set_parameter(shown_name(context, setting.param_name), value)


def _other(record: RunRecord, _: Part, __: int, payload: m.Other) -> None:
    record.set_other(text_of(payload.key), Logged(text_of(payload.value), record.last_seen, None, None))


def _file_name(record: RunRecord, _: Part, __: int, payload: m.FileName) -> None:
    record.file_path = payload.file_name or record.file_path


def _system(record: RunRecord, _: Part, number: int, payload: m.Payload) -> None:
    record.add_line("system", number)
    if isinstance(payload, m.SystemMessage):
        record.user = payload.user or record.user


def _lines_of(kind: str) -> Callable[[RunRecord, Part, int, Any], None]:
    def remember(record: RunRecord, _: Part, number: int, __: m.Payload) -> None:
        record.add_line(kind, number)

    return remember


def _file_upload(record: RunRecord, part: Part, number: int, payload: m.FileUpload) -> None:
    placed = payload.additional_params or m.Placement()
    kind = placed.type or payload.upload_type or "asset"
    asset = _asset(record, part, number, "image" if kind == "visualization" else kind, placed)
    asset.member, asset.size = payload.file_path, _size(part, payload.file_path)
    asset.metadata = text_of(payload.metadata) if payload.metadata else None
    if kind == "git-patch":
        record.patch = asset
        return
    record.put_asset(asset, overwrite=bool(placed.overwrite))
    if payload.metadata and payload.metadata.get("source_code_type") == "experiment_creation":
        record.code = asset


def _remote_file(record: RunRecord, part: Part, number: int, payload: m.RemoteFile) -> None:
    placed = payload.additional_params or m.Placement()
    asset = _asset(record, part, number, placed.type or payload.upload_type or "asset", placed)
    asset.link, asset.metadata = payload.remote_uri, text_of(payload.metadata) if payload.metadata else None
    record.put_asset(asset, overwrite=bool(placed.overwrite))


def _remote_model(record: RunRecord, part: Part, number: int, payload: m.RemoteModel) -> None:
    for remote in payload.remote_assets:
        placed = m.Placement(
            asset_id=remote.asset_id or derived_id(str(number), remote.file_name),
            file_name=remote.file_name,
            grouping_name=payload.model_name,
        )
        asset = _asset(record, part, number, "model-element", placed)
        asset.link, asset.metadata = remote.remote_url, text_of(remote.metadata) if remote.metadata else None
        record.put_asset(asset)


def _register_model(record: RunRecord, _: Part, __: int, payload: m.RegisterModel) -> None:
    record.registrations += (Registration(payload, record.last_seen),)


def _scene(record: RunRecord, part: Part, number: int, payload: m.Scene) -> None:
    """A 3-D image: its picture is the asset itself, its points and boxes are assets of type ``asset-item``.

    Clients log them one by one, so a line about one that is known adds to it.
    """
    scene_id = payload.asset_id or derived_id(str(number), payload.name)
    before = record.assets.get(scene_id)
    ids = list(before.items) if before else []
    for item in payload.items:
        placed = m.Placement(asset_id=derived_id(scene_id, item.file_name), file_name=item.file_name, step=payload.step)
        asset = _asset(record, part, number, "asset-item", placed)
        asset.member, asset.size = item.file_path, _size(part, item.file_path)
        record.put_asset(asset)
        ids.append(asset.id)
    placed = m.Placement(asset_id=scene_id, file_name=payload.name, step=payload.step)
    scene = replace(before) if before else _asset(record, part, number, "3d-image", placed)
    scene.items = tuple(dict.fromkeys(ids))
    scene.metadata = text_of(payload.metadata) if payload.metadata else scene.metadata
    if payload.thumbnail_path:
        scene.part = part
        scene.member, scene.size = payload.thumbnail_path, _size(part, payload.thumbnail_path)
    record.put_asset(scene)


def _asset(record: RunRecord, part: Part, number: int, kind: str, placed: m.Placement) -> LoggedAsset:
    """An asset with everything that its placement has; missing ids and names are made up, always the same."""
    asset_id = placed.asset_id or placed.image_id or derived_id(str(number), kind)
    name = placed.fig_name or placed.file_name or kind
    return LoggedAsset(
        id=asset_id,
        name=f"{kind}-{asset_id[:8]}.txt" if name == INVENTED else name,
        type=kind,
        part=part,
        member=None,
        size=0,
        created_at=record.last_seen or record.start or 0,
        step=placed.step,
        context=placed.context or None,
        model=placed.grouping_name,
    )


def _size(part: Part, member: str) -> int:
    found = part.archive.members.get(member)
    if found is None:
        raise Missing(f"no member {member!r}")
    return found.size


_Handler = Callable[[RunRecord, Part, int, Any], None]

_HANDLERS: dict[type[m.Payload], _Handler] = {
    m.Metric: cast(_Handler, _metric),
    m.Parameter: cast(_Handler, _parameter),
    m.Other: _other,
    m.FileName: _file_name,
    m.FileUpload: _file_upload,
    m.RemoteFile: _remote_file,
    m.RemoteModel: _remote_model,
    m.RegisterModel: _register_model,
    m.Scene: _scene,
    m.Output: _lines_of("output"),
    m.Html: _lines_of("html"),
    m.HtmlOverride: _lines_of("html"),
    m.Graph: _lines_of("graph"),
    m.Code: _lines_of("code"),
    m.GitMessage: _lines_of("git"),
    m.SystemMessage: _system,
    m.InstalledPackages: _system,
    m.OsPackages: _system,
    m.GpuStatic: _system,
    m.SystemInfo: _system,
}
"""What to do for each kind of message; a kind that is not here leaves nothing behind."""
