"""An experiment as a page: what it logged in tables, its metrics as pictures, the end of its output, its files.

Not here: addresses, which come with the values, and where the values come from (`server.pages`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cometfs.render.cells import brief, is_everybodys, is_number, moment, sized, spoken
from cometfs.render.pages.template import Served, served_page

LONG = 2_000
"""Letters of a value that are shown."""

ASSETS, PICTURES = 200, 24
"""Of an experiment's assets, and of its images, so many are on its page; a page of their own has all assets."""


class ShownMetric(NamedTuple):
    """A metric: values as text, the step of the last one, and the address of its picture."""

    name: str
    last: str
    low: str
    high: str
    step: str
    picture: str


class ShownAsset(NamedTuple):
    """A file. `link` may be empty: what lies elsewhere, at an address that no browser should follow. `image`: whether
    browsers show it.
    """

    name: str
    link: str
    type: str
    size: int
    step: str = ""
    where: str = ""
    """Its address as it was logged, where it lies elsewhere."""
    image: bool = False


@dataclass(frozen=True, slots=True)
class ShownExperiment:
    """An experiment. Times are milliseconds since 1970, durations milliseconds; values are text.

    `facts`: what it is besides (its file, its machine). `files`: names and addresses of what may be downloaded beside
    the assets. `output` is the end of what it printed, `is_cut` whether there is more before.
    """

    name: str
    key: str
    state: str
    address: str
    started_ms: float | None = None
    duration_ms: float | None = None
    archived: bool = False
    tags: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    metrics: Sequence[ShownMetric] = ()
    params: Sequence[tuple[str, str]] = ()
    others: Sequence[tuple[str, str]] = ()
    output: str = ""
    is_cut: bool = False
    code: str = ""
    files: Sequence[tuple[str, str]] = ()
    assets: Sequence[ShownAsset] = ()


def experiment_html(shown: ShownExperiment, served: Served) -> bytes:
    """The page."""
    own = [metric for metric in shown.metrics if not is_everybodys(metric.name)]
    folded = [metric for metric in shown.metrics if is_everybodys(metric.name)]
    images = [asset for asset in shown.assets if asset.image and asset.link]
    return served_page(
        "experiment.html.jinja",
        served,
        title=shown.name or shown.key,
        shown=shown,
        line=_line(shown),
        metrics=[_row(metric) for metric in [*own, *folded]],
        own=[(metric.name, metric.picture) for metric in own],
        folded=[(metric.name, metric.picture) for metric in folded],
        params=list(map(_value, shown.params)),
        others=list(map(_value, shown.others)),
        output=as_terminal(shown.output).strip("\n"),
        images=images[:PICTURES],
        assets=_assets(shown.assets[:ASSETS]),
    )


def assets_html(shown: ShownExperiment, served: Served) -> bytes:
    """All its assets."""
    name = shown.name or shown.key
    return served_page("assets.html.jinja", served, title=f"Assets of {name}", assets=_assets(shown.assets))


def _line(shown: ShownExperiment) -> list[str]:
    """What stands behind its state."""
    started = moment(shown.started_ms)
    parts = [
        f"started {started} UTC" if started else "",
        spoken(shown.duration_ms / 1000) if shown.duration_ms is not None else "",
        "archived" if shown.archived else "",
    ]
    return [*filter(None, parts)]


def _row(metric: ShownMetric) -> tuple[str, list[tuple[str, str, str]], str]:
    """Name, cells, step. Of a value that is no number there is no least and no greatest."""
    return metric.name, [_cell(value) for value in (metric.last, metric.low, metric.high)], metric.step


def _value(row: tuple[str, str]) -> tuple[str, tuple[str, str, str]]:
    """Numbers in tables of one run are shown whole: there is room."""
    name, value = row
    return name, ("n" * is_number(value), "", value[:LONG] + "…" * (len(value) > LONG))


def _cell(value: str) -> tuple[str, str, str]:
    """Class, tip, text."""
    shown = brief(value[:LONG])
    return "n" * is_number(value), value[:LONG] if shown != value else "", shown


def _assets(assets: Sequence[ShownAsset]) -> list[dict[str, Any]]:
    return [asset._asdict() | {"size": "" if asset.where else sized(asset.size)} for asset in assets]


_COMMANDS = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])")
"""What moves a terminal's cursor or sets its colours (ECMA-48), and its titles."""


def as_terminal(output: str) -> str:
    """What a terminal shows at last: without its commands, and of a line that was written over the last writing."""
    plain = _COMMANDS.sub("", output).replace("\r\n", "\n").expandtabs()
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in plain.split("\n"))
