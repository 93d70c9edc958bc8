"""How answers become bytes and how rows become paths: what the parts of the layout share. Pure functions.

Not here: what stands where.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from typing import Any

from cometfs.render import objects, points, text
from cometfs.render.pages.overview import OverviewRow, overview_html
from cometfs.render.pictures import plots
from cometfs.render.pictures.curves import Line
from cometfs.render.redact import redact
from cometfs.vfs.schema import names, suffixes
from cometfs.vfs.schema.declaration import Context, File, Row, Source
from cometfs.vfs.sources import project_tables
from cometfs.vfs.sources.logged_tables import OWN_BYTES
from cometfs.vfs.sources.metrics import Plotted
from cometfs.vfs.sources.provenance import page_of

# -- How an answer becomes bytes ---------------------------------------------------------------------------------------


def system(answer: Row | None) -> Row:
    """Details of the machine; {} where there are none."""
    return objects.without(answer, "experimentKey", "installedPackages") or {}


def packages(answer: Row | None) -> list[str]:
    return (answer or {}).get("installedPackages") or []


def url_text(at: Context) -> bytes:
    return text.lines([page_of(at)])


def whole_answer(answer: Any) -> bytes:
    """A whole answer of the SDK, secrets removed."""
    return objects.pretty(redact(answer))


def is_blank(answer: Row) -> bool:
    return not any(answer.values())


def git_json(answer: Row) -> bytes:
    """{} of an experiment outside a repository, of which Comet tells each field as null."""
    return whole_answer({} if is_blank(answer) else answer)


def api_file(method: str, source: Source | None, render: Callable[[Any], bytes] = whole_answer) -> File:
    """A whole answer of the SDK, under the method's name."""
    return File(f"{method}.json", source, render, f"`{method}`, whole", nothing=lambda _answer: False, sdk=(method,))


def chart_svg(chart: project_tables.ProjectChart) -> bytes:
    lines = [Line(name, *((series.steps, series.values) if series else ((), ()))) for name, series in chart.series()]
    lacking = f" (not to be had: {', '.join(chart.errors)})" if chart.errors else ""
    return plots.chart_svg(chart.metric + lacking, lines)


def plot_svg(plotted: Plotted) -> bytes:
    return plots.chart_svg(plotted.name, [Line("", *points.columns(plotted.sheet))])


def overview_page(overview: project_tables.Overview) -> bytes:
    pictures = zip(overview.metrics, names.of_metrics(overview.metrics, ".svg"), strict=True)
    rows = [overview_row(record) for record in overview.records]
    charts = [(metric, "/".join(("..", "charts", *path))) for metric, path in pictures]
    return overview_html(overview.project, rows, charts)


def overview_row(record: project_tables.ExperimentRecord) -> OverviewRow:
    """Its links are those of a page in `summary/`; overview.js mends them in the project's own directory."""
    row = record.named.row
    return OverviewRow(
        row["experimentName"] or row["experimentKey"],
        f"../{record.named.directory}",
        row["experimentKey"],
        record.named.state or "",
        row["startTimeMillis"],
        row["durationMillis"],
        record.tags,
        {name: str(value) for name, value in record.params.items() if value is not None},
        {name: last or "" for name, (last, _low, _high) in record.metrics.items()},
        error=record.error,
    )


# -- What stands for a row ---------------------------------------------------------------------------------------------

LINK_SUFFIX = ".url"
"""How the name of a file ends that holds the link of what lies elsewhere."""


def always(entry: Any) -> Callable[[Any], Any]:
    return lambda _row: entry


def of_type(*types: str) -> Callable[[Sequence[Row]], list[Row]]:
    return lambda rows: [row for row in rows if row["type"] in types]


def asset_names(rows: Sequence[Row], inside: Callable[[Row], str] = lambda _row: "") -> list[names.Path]:
    """Paths from asset rows; `inside` gives the folder that each lies in. What lies elsewhere gets `LINK_SUFFIX`."""
    named = [inside(row) + (_name(row) + LINK_SUFFIX if is_remote(row) else row["fileName"] or "") for row in rows]
    apart = names.in_contexts([(name, row.get("runContext")) for name, row in zip(named, rows, strict=True)])
    return names.of_assets([(name, row["step"], row["assetId"]) for name, row in zip(apart, rows, strict=True)])


def table_names(rows: Sequence[Row]) -> list[names.Path]:
    """Paths of tables that are made of assets: `.csv` is added to each name, in place of `.json` where it has that; of
    those that are shown as they are, their own."""
    plain = [row if row.get(OWN_BYTES) or is_remote(row) else {**row, "fileName": _csv_name(row)} for row in rows]
    return asset_names(plain)


def _csv_name(row: Row) -> str:
    name = _name(row)
    stem, suffix = posixpath.splitext(name)  # of a file called ".json" that is no suffix
    return (stem if suffix.lower() == ".json" else name) + ".csv"


def _name(row: Row) -> str:
    """The name of an asset to which a suffix is added: never nothing, which would make a hidden file."""
    return str(row["fileName"] or row["assetId"])


def is_remote(row: Row) -> bool:
    return bool(row.get("remote"))


def link_text(row: Row) -> bytes:
    """Where an asset lies that Comet has only a link of, as it was logged."""
    return text.lines([row["link"] or ""])


def model_folder(row: Row) -> str:
    """The folder of a model's file, where its name does not begin with it: Comet says "models/<name>" of its place."""
    folder = (row["dir"] or "").removeprefix("models/").strip("/") + "/"
    return "" if (row["fileName"] or "").startswith(folder) else folder


def relative_names(rows: Sequence[Row]) -> list[names.Path]:
    return asset_names([{**row, "fileName": (row["fileName"] or "").lstrip("/")} for row in rows])


def image_names(rows: Sequence[Row]) -> list[names.Path]:
    """`<name>-<step>.<ext>`, whether or not another image has the name: from the rows alone.

    One without a suffix of images gets that of PNG, in which the SDK logs arrays, figures and PIL's images.
    """
    apart = names.in_contexts([(_image_name(row), row["runContext"]) for row in rows])
    steps = ["" if row["step"] is None else f"-{row['step']}" for row in rows]
    return names.of_assets(
        [
            (suffixes.insert(name, step), None, row["assetId"])
            for name, step, row in zip(apart, steps, rows, strict=True)
        ]
    )


def _image_name(row: Row) -> str:
    name = _name(row)
    if is_remote(row):
        return name + LINK_SUFFIX
    return name if suffixes.is_image(name) else f"{name}.png"
