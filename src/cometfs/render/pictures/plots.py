"""Points that become pictures: SVG of one metric, of one experiment or of a whole project.

Written without a library: what draws SVG takes ten to fifty times as long, and every copy of an experiment has its
pictures. Not here: how points become lines that can be drawn (`curves`), axes and words (`paper`), which metrics have
a picture, and what a picture is called.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from cometfs.render.pictures.curves import DrawnCurve, Line, curves, has_gap, is_logarithmic, positive, shortened
from cometfs.render.pictures.paper import (
    COLOURS,
    FINE,
    LETTER,
    REST,
    Box,
    Scale,
    page,
    rule,
    text,
    ticks_across,
    ticks_up,
    view,
    words,
)

DRAWN_BY = "drawing 3"
"""To be raised whenever the same points would give another picture: their sizes are kept on disk."""

WIDTH, HEIGHT = 1000, 460
"""Pixels of a picture without its legend; at this width its letters have the size of a page's."""

NAMED = 30
"""Most lines with a name in the legend: ten colours in three dashes, so that no two of them look the same."""

_DASHES = ("", "5 2", "1.2 1.6")
"""In widths of the line."""

_LEGEND_ROW = 20
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 24, 44, 56
_HEADING = 'font-size="15" font-weight="bold"'
_MIDDLE = 'text-anchor="middle"'


def chart_svg(title: str, lines: Sequence[Line]) -> bytes:
    """One metric as a picture 1,000 px wide, with a line for each of `lines`.

    A point without a step is at its index. What is no finite number is a gap. The y axis is logarithmic where the
    values span more than three decades and none is negative; a zero then is on the lower edge. The first 30 lines
    that have a number are named and coloured in the order given, the others are grey and counted; each tells its whole
    label when pointed at. Long lines are thinned without losing an extreme.
    """
    drawn = curves(lines)
    rows, columns = _legend_shape(drawn)
    parts = [
        text(_LEFT, 28, shortened(title, 100), _HEADING),
        *_axes(title, drawn),
        *(_legend(drawn, rows, columns) if rows else ()),
    ]
    return page(WIDTH, HEIGHT + (rows * _LEGEND_ROW + 10 if rows else 0), title, parts)


def _axes(title: str, drawn: Sequence[DrawnCurve]) -> Iterator[str]:
    logarithmic = is_logarithmic(drawn)
    bottom, top = _heights(drawn, logarithmic=logarithmic)
    up, small = ticks_up(bottom, top, logarithmic=logarithmic)
    left = max(_LEFT, 48 + LETTER * max((len(tick.label) for tick in up), default=0))
    box = Box(left, WIDTH - _RIGHT, _TOP, HEIGHT - _BOTTOM)
    begin, end, whole = _widths(drawn)
    across = ticks_across(begin, end, box.right - box.left, whole=whole)
    x, y = Scale(begin, end, box.left, box.right), Scale(bottom, top, box.bottom, box.top, logarithmic)
    yield from rule(box, x, across, y, up, small)
    middle = (box.top + box.bottom) / 2
    center = (box.left + box.right) / 2
    yield text(center, box.bottom + 38, "step" if any(curve.stepped for curve in drawn) else "point", _MIDDLE)
    yield text(20, middle, shortened(title, 50), f'{_MIDDLE} transform="rotate(-90 20 {middle:g})"')
    if not drawn:
        yield text(center, middle, "no numbers", f'font-size="14" {_MIDDLE}')
    yield f'<g transform="scale({1 / FINE:g})" stroke-linejoin="round">'
    yield from _drawn(drawn, x, y)
    yield "</g>"


def _heights(drawn: Sequence[DrawnCurve], *, logarithmic: bool) -> tuple[float, float]:
    """What the y axis shows, of a logarithmic one the logarithms."""
    extent = positive(drawn)
    if logarithmic and extent:
        return view(math.log10(extent[0]), math.log10(extent[1]), 0.05)
    if not drawn:
        return 0, 1
    return view(min(curve.low for curve in drawn), max(curve.high for curve in drawn), 0.05)


def _widths(drawn: Sequence[DrawnCurve]) -> tuple[float, float, bool]:
    """What the x axis shows, and whether its ticks must be at whole numbers: where it shows few, and nothing else."""
    if not drawn:
        return 0, 1, False
    low, high = min(curve.x[0] for curve in drawn), max(curve.x[-1] for curve in drawn)
    whole = high - low < 20 and all(float(x).is_integer() for curve in drawn for x in curve.x)
    if whole and low == high and abs(low) < 1e9:
        return low - 1, high + 1, whole
    return *view(low, high, 0.01), whole


def _drawn(drawn: Sequence[DrawnCurve], x: Scale, y: Scale) -> Iterator[str]:
    """The first lines on top, those without a name below all."""
    pen = _Pen(x, y)
    order = [*range(NAMED, len(drawn)), *reversed(range(min(NAMED, len(drawn))))]
    for index in order:
        curve = drawn[index]
        line, dots = pen.path(curve)
        look, width = _look(index, len(drawn))
        marks = (
            f'<path class="dot" d="{dots}" stroke-width="46" stroke-linecap="round" stroke-dasharray="none"/>'
            if dots
            else ""
        )
        path = f'<path d="{line}"/>' if line else ""
        yield f'<g {look} stroke-width="{width * FINE:g}"><title>{words(curve.label)}</title>{path}{marks}</g>'


class _Pen:
    """Writes lines as paths: by a template with the places on the x axis, for many lines have the same."""

    def __init__(self, x: Scale, y: Scale) -> None:
        self._x, self._y = x, y
        self._last: tuple[Sequence[float], str] = ((), "")

    def path(self, curve: DrawnCurve) -> tuple[str, str]:
        """What is drawn of a line, and its numbers between gaps, which are dots."""
        if len(curve.y) > 1 and not has_gap(curve.y):
            return self._points(curve.x, curve.y), ""
        lines: list[str] = []
        dots: list[str] = []
        for begin, end in _stretches(curve.y):
            points = self._points(curve.x[begin:end], curve.y[begin:end])
            (lines if end - begin > 1 else dots).append(points)
        return "".join(lines), "".join(dot + "h0" for dot in dots)

    def _points(self, x: Sequence[float], y: Sequence[float]) -> str:
        return self._template(x) % tuple(self._y.fine(y))

    def _template(self, x: Sequence[float]) -> str:
        if x != self._last[0]:
            self._last = x, "M" + ("%d %%d " * len(x) % tuple(self._x.fine(x)))[:-1]
        return self._last[1]


def _stretches(ys: Sequence[float]) -> Iterator[tuple[int, int]]:
    """Where numbers are without a gap between them."""
    for gap, group in groupby(range(len(ys)), lambda index: math.isnan(ys[index])):
        if not gap:
            first, *others = group
            yield first, first + 1 + len(others)


def _look(index: int, count: int, *, legend: bool = False) -> tuple[str, float]:
    """The attributes of a line, and its width."""
    if index >= NAMED:
        opacity = "" if legend else ' stroke-opacity="0.6"'
        return f'class="rest" stroke="{REST[0]}"{opacity}', 0.8
    width, opacity = (2.1, "") if count <= 8 or legend else (1.3, ' stroke-opacity="0.85"')
    unit = 1 if legend else FINE
    dashes = " ".join(f"{float(part) * width * unit:g}" for part in _DASHES[index // len(COLOURS)].split())
    colour = index % len(COLOURS)
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'class="c{colour}" stroke="{COLOURS[colour][0]}"{opacity}{dashed}', width


def _legend_shape(drawn: Sequence[DrawnCurve]) -> tuple[int, int]:
    """Rows and columns; few names stand in few columns, where long ones fit."""
    entries = min(len(drawn), NAMED) + (len(drawn) > NAMED)
    if len(drawn) == 1 and not drawn[0].label:
        return 0, 1
    columns = 1 if entries <= 2 else 2 if entries <= 8 else 3
    return -(-entries // columns), columns


def _legend(drawn: Sequence[DrawnCurve], rows: int, columns: int) -> Iterator[str]:
    """Below the axes, column by column."""
    cells = {1: 125, 2: 58, 3: 37}[columns]
    names = [shortened(curve.label, cells) for curve in drawn[:NAMED]]
    if len(drawn) > NAMED:
        names.append(f"and {len(drawn) - NAMED:,} more")
    for index, name in enumerate(names):
        left = _LEFT + (index // rows) * (WIDTH - _LEFT - _RIGHT) / columns
        top = HEIGHT + (index % rows) * _LEGEND_ROW + 8
        look, _ = _look(index, len(drawn), legend=True)
        yield f'<path {look} stroke-width="2.1" d="M{left:g} {top:g}h26"/>' + text(left + 34, top + 4, name)
