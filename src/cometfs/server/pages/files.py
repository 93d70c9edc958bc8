"""What pages show and lead to beside markup: pictures of metrics, assets, texts. Bytes that a run logged are never
taken for a page of this server: they are downloaded, or pictures, and run no script even when they are opened alone.

Everything may read archives and blocks. Not here: pages (`views`).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from urllib.parse import quote

from starlette.responses import Response

from cometfs.render.pictures.curves import Line
from cometfs.render.pictures.plots import chart_svg
from cometfs.render.text import text
from cometfs.server.addresses import CHARTS, address
from cometfs.server.catalog.project import ServedExperiment, ServedProject
from cometfs.server.errors import ApiError
from cometfs.server.read_api import downloads
from cometfs.server.request import Backend, Request
from cometfs.server.runs import content
from cometfs.server.runs.record import LoggedAsset, RunRecord

CHARTED = 100
"""The latest experiments of a project that its charts show."""

OUTPUT = "output.txt"

PICTURE = ".svg"

SEALED = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""The policy of what a run logged: nothing in it runs, wherever it is opened."""

KEPT = "private, max-age=86400"
"""Of a picture, whose address has another query as soon as it has other points."""


# -- Pictures of metrics -----------------------------------------------------------------------------------------------


def charts_of(project: ServedProject) -> list[tuple[str, str]]:
    """The metrics that a project has charts of, each with its chart's address."""
    latest = _latest(project)
    metrics = sorted({name for one in latest for name in one.record.metrics})
    return [(metric, _chart_address(project, metric, latest)) for metric in metrics]


def _latest(project: ServedProject) -> list[ServedExperiment]:
    return [one for one in list(project.experiments) if not one.record.archived][-CHARTED:]


def _chart_address(project: ServedProject, metric: str, latest: Iterable[ServedExperiment]) -> str:
    return f"{address(project.workspace, project.name, CHARTS, metric + PICTURE)}?{_version(latest, metric)}"


def plot_address(one: ServedExperiment, metric: str) -> str:
    place = one.project
    return f"{address(place.workspace, place.name, one.key, 'plots', metric + PICTURE)}?{_version([one], metric)}"


def _version(experiments: Iterable[ServedExperiment], metric: str) -> str:
    """Another one whenever the metric has more points, for a record only grows: of one that runs, a thousandth more."""
    found = [
        (one.key, one.name, one.record.serial, _rounded(len(series.lines)) if one.running else len(series.lines))
        for one in experiments
        if (series := one.record.metrics.get(metric))
    ]
    return f"{zlib.crc32(repr(found).encode()):08x}"


def _rounded(count: int) -> int:
    """To three digits: else every look at a long run would draw all of it anew."""
    unit = int("1" + "0" * (len(str(count)) - 3))
    return count // unit * unit


def chart(project: ServedProject, file: str) -> Response:
    """A metric of the latest experiments."""
    metric = file.removesuffix(PICTURE)
    lines = [_line(one.record, metric, one.name or one.key) for one in _latest(project) if metric in one.record.metrics]
    return _picture(metric, lines)


def plot(one: ServedExperiment, file: str) -> Response:
    """A metric of one experiment."""
    metric = file.removesuffix(PICTURE)
    return _picture(metric, [_line(one.record, metric, "")] if metric in one.record.metrics else [])


def _line(record: RunRecord, metric: str, label: str) -> Line:
    points = content.points(record, metric)
    return Line(label, [point["step"] for point in points], [point["metricValue"] for point in points])


def _picture(metric: str, lines: list[Line]) -> Response:
    if not lines:
        raise ApiError(404, "There is no such metric.")
    headers = _sealed(f"inline; {_file_name(metric.rpartition('/')[2] + PICTURE)}") | {"Cache-Control": KEPT}
    return Response(chart_svg(metric, lines), headers=headers, media_type="image/svg+xml")


# -- What was logged ---------------------------------------------------------------------------------------------------

_TEXTS = {
    OUTPUT: ("output", content.output),
    "code.py": ("code", content.code),
    "report.html": ("html", content.html),
    "graph.txt": ("graph", content.graph),
}


def texts_of(record: RunRecord) -> list[str]:
    """The names of the texts that an experiment has."""
    kinds = {kind for kind in ("output", "code", "html", "graph") if record.lines.get(kind)}
    kinds |= {"code"} if record.code is not None else set()
    return [name for name, (kind, _) in _TEXTS.items() if kind in kinds]


def text_file(one: ServedExperiment, name: str) -> Response:
    if name not in texts_of(one.record):
        raise ApiError(404, "This experiment has no such file.")
    headers = _sealed(f"attachment; {_file_name(name)}")
    return Response(text(_TEXTS[name][1](one.record)), headers=headers, media_type="text/plain; charset=utf-8")


def asset(backend: Backend, one: ServedExperiment, identity: str) -> Response:
    """A file of an experiment: a picture to be shown, anything else to be kept."""
    answer = downloads.asset(Request(backend, {"experimentKey": one.key, "assetId": identity}, b"", "", ""))
    found = one.record.assets.get(identity)
    is_shown = found is not None and is_picture(found)
    name = (found.name.rpartition("/")[2] if found else "") or identity
    answer.headers.update(_sealed(f"{'inline' if is_shown else 'attachment'}; {_file_name(name)}"))
    if found is not None and is_shown:
        answer.headers["Content-Type"] = _picture_type(found)
    return answer


def is_picture(asset: LoggedAsset) -> bool:
    """Whether it is shown as an image: browsers find out which kind it is, and take it for nothing else."""
    return asset.type == "image" and asset.member is not None


def _picture_type(asset: LoggedAsset) -> str:
    """SVG they know by its type alone."""
    return "image/svg+xml" if asset.name.lower().endswith(".svg") else "image/png"


def _sealed(disposition: str) -> dict[str, str]:
    return {
        "Content-Disposition": disposition,
        "Content-Security-Policy": SEALED,
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "private, no-cache",
    }


def _file_name(name: str) -> str:
    """As browsers read names that are not ASCII (RFC 6266)."""
    return f"filename*=UTF-8''{quote(name, safe='', errors='replace')}"
