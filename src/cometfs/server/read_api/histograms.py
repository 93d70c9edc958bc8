"""Histograms: one asset for all that were logged under a name, as Comet makes of the pieces that clients upload.

It has the pieces of all steps, each as it was uploaded, and is made when it is asked for; its size follows from theirs.
The pieces themselves are listed only when their type is asked for. Not here: other assets (`endpoints`, `downloads`).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import BinaryIO, cast

from cometfs.server.catalog.project import ServedExperiment
from cometfs.server.runs.apply import derived_id
from cometfs.server.runs.record import LoggedAsset

TYPE, PIECE = "histogram_combined_3d", "histogram3d"

MOST = 64 << 20
"""Bytes of a piece: it is held whole. comet_ml's have a few thousand."""

IN_MEMORY = 1 << 20

_BEGIN, _END, _COMMA = b'{"histograms":[', b"]}", b","


def all_assets(experiment: ServedExperiment, wanted: str = "all") -> list[LoggedAsset]:
    """The assets of a type as they are listed; a histogram stands where its first piece was logged."""
    logged = experiment.record.assets.values()
    if wanted == PIECE:
        return [asset for asset in logged if asset.type == PIECE]
    whole = _combined(experiment)
    shown = (whole.pop((asset.name, asset.context), None) if _is_piece(asset) else asset for asset in logged)
    return [asset for asset in shown if asset is not None and wanted in ("all", asset.type)]


def pieces_of(experiment: ServedExperiment, asset_id: str) -> list[LoggedAsset] | None:
    """The pieces, in the order of their steps, of the histogram that has this id, if there is one."""
    return next((found for found in _by_name(experiment).values() if _id(experiment, found[0]) == asset_id), None)


def size_of(pieces: Sequence[LoggedAsset]) -> int:
    """The bytes of `joined`."""
    entries = sum(len(_head(piece)) + piece.size + 1 for piece in pieces)
    return len(_BEGIN) + entries + len(_COMMA) * (len(pieces) - 1) + len(_END)


def joined(pieces: Sequence[LoggedAsset]) -> BinaryIO:
    """A temporary file, gone when it is closed: the JSON of all pieces. Of one that is no object, blanks at the end.

    Blocks.
    """
    made = cast(BinaryIO, tempfile.SpooledTemporaryFile(IN_MEMORY))  # noqa: SIM115  the response closes it
    try:
        written = made.write(_BEGIN)
        for index, entry in enumerate(_entries(pieces)):
            written += made.write(_COMMA + entry if index else entry)
        written += made.write(_END)
        made.write(b" " * (size_of(pieces) - written))
        made.seek(0)
    except BaseException:
        made.close()
        raise
    return made


def _entries(pieces: Iterable[LoggedAsset]) -> Iterator[bytes]:
    for piece in pieces:
        assert piece.member is not None
        with closing(piece.part.archive.open(piece.member)) as file:
            body = file.read(piece.size)
        if _is_object(body):
            yield _head(piece) + body + b"}"


def _head(piece: LoggedAsset) -> bytes:
    return b'{"step":%b,"histogram":' % json.dumps(piece.step).encode()


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body.decode()), dict)
    except (ValueError, RecursionError):
        return False


def _combined(experiment: ServedExperiment) -> dict[tuple[str, str | None], LoggedAsset]:
    return {place: _whole(experiment, pieces) for place, pieces in _by_name(experiment).items()}


def _whole(experiment: ServedExperiment, pieces: Sequence[LoggedAsset]) -> LoggedAsset:
    latest = max(pieces, key=lambda piece: piece.created_at)
    whole_id = _id(experiment, latest)
    return replace(latest, id=whole_id, type=TYPE, member=None, size=size_of(pieces), step=None)


def _by_name(experiment: ServedExperiment) -> dict[tuple[str, str | None], list[LoggedAsset]]:
    found: dict[tuple[str, str | None], list[LoggedAsset]] = {}
    for asset in experiment.record.assets.values():
        if _is_piece(asset):
            found.setdefault((asset.name, asset.context), []).append(asset)
    for pieces in found.values():
        pieces.sort(key=lambda piece: (piece.step is None, piece.step or 0))
    return found


def _is_piece(asset: LoggedAsset) -> bool:
    return asset.type == PIECE and asset.member is not None and asset.size <= MOST


def _id(experiment: ServedExperiment, piece: LoggedAsset) -> str:
    return derived_id("histogram", experiment.key, piece.name, piece.context or "")
