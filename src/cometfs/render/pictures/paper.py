"""The paper of a picture in SVG: the page and its style, an axis and its scale, grid, ticks, words.

Every part is a piece of markup; all words are escaped here, and nothing else comes from users. Colours are attributes,
which every viewer of SVG knows; where a reader prefers dark pages, the style replaces them. There is no script and
no address, so a picture is the same wherever it is shown. Not here: what is drawn (`plots`), where ticks are (`ticks`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from cometfs.render.pictures.curves import printable
from cometfs.render.pictures.ticks import Tick, between, linear, powers

FINE = 10
"""Units in a pixel of the lines' coordinates, which are whole numbers: they are written several times as fast."""

COLOURS = (
    ("#1f77b4", "#58a6ff"),
    ("#d95f02", "#ff9e4a"),
    ("#2a9d3f", "#56d364"),
    ("#c2272d", "#ff7b72"),
    ("#8355b5", "#bc8cff"),
    ("#8c564b", "#d2a08f"),
    ("#d14fa8", "#f778ba"),
    ("#5f6b7a", "#a8b3c1"),
    ("#a6920f", "#e3c53d"),
    ("#0f9fb0", "#39c5cf"),
)
"""Of lines, on a light page and on a dark one."""

_INK, _FRAME, _GRID, _PAGE = (
    ("#30363d", "#c9d1d9"),
    ("#8b949e", "#6e7681"),
    ("#e3e6ea", "#21262d"),
    ("#ffffff", "#0d1117"),
)
REST = ("#b5bcc6", "#484f58")
"""Of the lines without a name."""

_FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
LETTER = 6.6
"""Pixels that a letter of a tick's label is wide, at most, on average."""


def _style() -> str:
    lines = "".join(f".c{index}{{stroke:{dark}}}" for index, (_, dark) in enumerate(COLOURS))
    return (
        "g path:not(.dot):hover{stroke-width:36px;stroke-opacity:1}"
        f"@media(prefers-color-scheme:dark){{text{{fill:{_INK[1]}}}.page{{fill:{_PAGE[1]}}}.frame{{stroke:{_FRAME[1]}}}"
        f".grid{{stroke:{_GRID[1]}}}.rest{{stroke:{REST[1]}}}{lines}}}"
    )


_STYLE = _style()


def page(width: int, height: int, title: str, parts: Iterable[str]) -> bytes:
    """The whole file."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="{_FONT}" font-size="12" fill="none">'
        f"<title>{words(title)}</title><style>{_STYLE}</style>"
        f'<rect class="page" width="{width}" height="{height}" fill="{_PAGE[0]}"/>'
    )
    return "\n".join((head, *parts, "</svg>\n")).encode("utf-8", "replace")


def words(written: str) -> str:
    """Any text as the content of an element or of an attribute."""
    return escape(printable(written))


def text(x: float, y: float, written: str, look: str = "") -> str:
    """Words whose base line begins at a place, or as their `look` (attributes) says."""
    return f'<text x="{x:g}" y="{y:g}" fill="{_INK[0]}"{" " * bool(look)}{look}>{words(written)}</text>'


@dataclass(frozen=True)
class Scale:
    """From numbers, or their logarithms, between `low` and `high` to pixels between `start` and `end`."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, place: float) -> float:
        """The pixel of a number, of a logarithmic scale of a logarithm."""
        return round(self.start + (place - self.low) / (self.high - self.low) * (self.end - self.start), 2)

    def fine(self, values: Sequence[float]) -> list[int]:
        """The places of some numbers, none of them NaN, in fine units. A zero has no logarithm, and is at the edge."""
        if self.logarithmic:
            values = self._logarithms(values)
        factor = (self.end - self.start) / (self.high - self.low) * FINE
        offset = self.start * FINE + 0.5 - self.low * factor
        return list(map(math.trunc, [value * factor + offset for value in values]))

    def _logarithms(self, values: Sequence[float]) -> list[float]:
        try:
            return list(map(math.log10, values))
        except ValueError:
            return [math.log10(value) if value > 0 else self.low for value in values]


def view(low: float, high: float, margin: float) -> tuple[float, float]:
    """What an axis shows of numbers between these two; where they are as good as one, some way around it."""
    width = high - low
    most = max(abs(low), abs(high))
    if width <= most * 1e-12 or width < 1e-280:
        around = most / 20 if most > 1e-280 else 0.5
        return low - around, high + around
    return low - width * margin, high + width * margin


@dataclass(frozen=True)
class Box:
    """The pixels between which lines are drawn."""

    left: float
    right: float
    top: float
    bottom: float


def ticks_across(low: float, high: float, pixels: float, *, whole: bool) -> list[Tick]:
    """Those of an axis to the right: as many as have room for their labels."""
    for most in (10, 7, 5, 3):
        found = linear(low, high, most, whole=whole)
        if sum(len(tick.label) * LETTER + 24 for tick in found) <= pixels:
            break
    return found


def ticks_up(low: float, high: float, *, logarithmic: bool) -> tuple[list[Tick], list[float]]:
    """Those of an axis upwards, and the smaller ones without a label."""
    if not logarithmic:
        return linear(low, high, 7), []
    major = powers(low, high, 8)
    return major, between(low, high, major)


def rule(box: Box, x: Scale, across: Sequence[Tick], y: Scale, up: Sequence[Tick], small: Sequence[float]) -> list[str]:
    """Grid, frame, ticks and their labels."""
    columns, rows = [x.at(tick.place) for tick in across], [y.at(tick.place) for tick in up]
    grid = "".join(f"M{column:g} {box.top:g}V{box.bottom:g}" for column in columns)
    grid += "".join(f"M{box.left:g} {row:g}H{box.right:g}" for row in rows)
    ticks = "".join(f"M{column:g} {box.bottom:g}v5" for column in columns)
    ticks += "".join(f"M{box.left:g} {row:g}h-5" for row in rows)
    ticks += "".join(f"M{box.left:g} {y.at(place):g}h-3" for place in small)
    frame = f"M{box.left:g} {box.top:g}V{box.bottom:g}H{box.right:g}"
    return [
        f'<path class="grid" stroke="{_GRID[0]}" d="{grid}"/>',
        f'<path class="frame" stroke="{_FRAME[0]}" d="{frame}{ticks}"/>',
        *(_below(box, column, tick.label) for column, tick in zip(columns, across, strict=True)),
        *(text(box.left - 9, row + 4, tick.label, 'text-anchor="end"') for row, tick in zip(rows, up, strict=True)),
    ]


def _below(box: Box, x: float, label: str) -> str:
    """The label of a tick, moved where it would leave the page."""
    room = box.right + 20 - len(label) * LETTER / 2
    return text(min(x, room), box.bottom + 19, label, 'text-anchor="middle"')
