"""Points that become pictures: SVG of one metric, of one experiment or of a whole project.

Not here: how points become lines that can be drawn (`curves`), which metrics have a picture, and what a picture is
called. matplotlib is an optional extra and slow to start, so it is imported when the first picture is drawn; ask
`available()` whether there can be one.

Why matplotlib: it writes SVG in this process, from Python alone, and is the best kept of all of them. To write a
file, plotly needs kaleido and a whole Chromium, bokeh needs selenium and a browser; altair needs vl-convert, a
JavaScript engine with Vega in it; pygal is light, but seldom released, and its pictures call for a script from the
network. It is used through its objects (`Figure`, `FigureCanvasSVG`): pyplot keeps every figure in the process and
looks for a display.

What users wrote never meets matplotlib, which would take `$` for mathematics, warn of letters that its font lacks and
write control characters that no XML may hold: it lays out placeholders, and the words are put into the finished SVG.
"""

from __future__ import annotations

import io
import logging
import re
import threading
from collections.abc import Sequence
from html import escape
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from cometfs.render.curves import DrawnCurve, Line, curves, is_logarithmic, printable, shortened
from cometfs.render.paper import INK, blank, rule

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DRAWING = 2
"""To be raised whenever the same points would give another picture: pictures and their sizes are kept on disk."""

WIDTH, HEIGHT = 1000, 460
"""Pixels of a picture without its legend; at this width its letters have the size of a page's."""

NAMED = 30
"""Most lines with a name in the legend: ten colours in three dashes, so that no two of them look the same."""

_COLOURS = (
    "#1f77b4",
    "#d95f02",
    "#2a9d3f",
    "#c2272d",
    "#8355b5",
    "#8c564b",
    "#d14fa8",
    "#5f6b7a",
    "#a6920f",
    "#0f9fb0",
)
_DASHES: tuple[Any, ...] = ("solid", (0, (5, 2)), (0, (1.2, 1.6)))
_REST = "#b5bcc6"
_PIXEL = 1 / 96
"""Inches. A point of SVG is 1/72 of an inch, a pixel of CSS 1/96."""
_LEGEND_ROW = 20
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 24, 44, 56
_PLACEHOLDER = re.compile(r"@cometfs-(\d+)@")
_GROUP = re.compile(r'<g id="cometfs-line-(\d+)">')
_BARE = {"Date": None, "Creator": None, "Format": None, "Type": None}
"""No metadata: the same points give the same bytes tomorrow."""
_SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "cometfs", "path.simplify": True}
_LOCK = threading.Lock()
"""matplotlib's settings belong to the process; the holder of this has changed them and puts them back."""


def available() -> bool:
    """Whether pictures can be drawn here: the extra `plots` is installed."""
    return find_spec("matplotlib") is not None


def drawn_by() -> str:
    """What decides how pictures come out, the same points given: they are kept on disk under these words."""
    return f"matplotlib {version('matplotlib')}, drawing {DRAWING}" if available() else ""


def chart_svg(title: str, lines: Sequence[Line]) -> bytes:
    """One metric as a picture 1,000 px wide: a line for each (label, points), points being (step, Comet's text).

    A point without a step is at its index. What is no finite number is a gap. The y axis is logarithmic where the
    values span more than three decades and none is negative; a zero then is on the lower edge. The first 30 lines
    that have a number are named and coloured in the order given, the others are grey and counted; each tells its whole
    label when pointed at. Long lines are thinned without losing an extreme.
    """
    drawn = curves(lines)
    with _LOCK:
        svg, words = _drawn(title, drawn)
    tips = [f"<title>{escape(printable(curve.label))}</title>" for curve in drawn]
    svg = _GROUP.sub(lambda match: match.group() + tips[int(match[1])], svg)
    return _PLACEHOLDER.sub(lambda match: escape(words[int(match[1])]), svg).encode("utf-8", "replace")


class _Words:
    """The words of a picture, and their placeholders."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, words: str) -> str:
        self.texts.append(words)
        return f"@cometfs-{len(self.texts) - 1}@"


def _drawn(title: str, drawn: Sequence[DrawnCurve]) -> tuple[str, list[str]]:
    # Its first picture under a home looks through all fonts of the machine, and warns where that takes long.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    rows, columns = _legend_shape(drawn)
    height = HEIGHT + (rows * _LEGEND_ROW + 10 if rows else 0)
    size = (WIDTH * _PIXEL, height * _PIXEL)
    words = _Words()
    with (
        matplotlib.rc_context(_other_settings()),
        blank(size, _box(height), logarithmic=is_logarithmic(drawn)) as axes,
    ):
        figure: Any = axes.figure
        _text(figure, _LEFT, height - 24, words(shortened(title, 100)), size=15, weight="bold")
        _draw(axes, drawn)
        _dress(axes, drawn, words, title)
        _legend(figure, drawn, words, rows, columns)
        svg = io.StringIO()
        FigureCanvasSVG(figure).print_svg(svg, metadata=_BARE)  # type: ignore[no-untyped-call]
    return svg.getvalue(), words.texts


def _other_settings() -> dict[Any, Any]:
    """What must be set so that every picture is drawn alike: matplotlib's defaults and ours, where others are set."""
    import matplotlib

    wanted: dict[Any, Any] = {**matplotlib.rcParamsDefault, **_SETTINGS}
    now = matplotlib.rcParams
    return {name: value for name, value in wanted.items() if "backend" not in name and now[name] != value}


def _box(height: float) -> tuple[float, float, float, float]:
    """Where the axes are, as fractions of a picture `height` pixels high."""
    bottom = height - HEIGHT + _BOTTOM
    return _LEFT / WIDTH, bottom / height, (WIDTH - _LEFT - _RIGHT) / WIDTH, (height - bottom - _TOP) / height


def _look(index: int, count: int) -> dict[str, Any]:
    if index >= NAMED:
        return {"color": _REST, "linewidth": 0.6, "alpha": 0.6}
    width, alpha = (1.6, 1.0) if count <= 8 else (1.0, 0.85)
    dashes = _DASHES[index // len(_COLOURS)]
    return {"color": _COLOURS[index % len(_COLOURS)], "linestyle": dashes, "linewidth": width, "alpha": alpha}


def _draw(axes: Axes, drawn: Sequence[DrawnCurve]) -> None:
    from matplotlib.lines import Line2D

    for index, curve in enumerate(drawn):
        line = Line2D(curve.x, curve.y, **_look(index, len(drawn)))
        line.set(gid=f"cometfs-line-{index}", zorder=2 if index >= NAMED else 3 + (NAMED - index) / NAMED)
        if curve.lonely:
            line.set(marker="o", markersize=3.5, markeredgewidth=0, markevery=curve.lonely)
        axes.add_line(line)


def _dress(axes: Axes, drawn: Sequence[DrawnCurve], words: _Words, title: str) -> None:
    rule(axes, "step" if any(curve.stepped for curve in drawn) else "point")
    figure = axes.figure
    middle = axes.get_position()
    figure.text(
        20 / WIDTH, (middle.y0 + middle.y1) / 2, words(shortened(title, 50)), size=_points(12), color=INK,
        rotation=90, rotation_mode="anchor", ha="center", va="baseline",
    )  # fmt: skip
    if not drawn:
        axes.text(0.5, 0.5, "no numbers", transform=axes.transAxes, size=_points(14), color=INK, ha="center")


def _legend_shape(drawn: Sequence[DrawnCurve]) -> tuple[int, int]:
    """Rows and columns; few names stand in few columns, where long ones fit."""
    entries = min(len(drawn), NAMED) + (len(drawn) > NAMED)
    if len(drawn) == 1 and not drawn[0].label:
        return 0, 1
    columns = 1 if entries <= 2 else 2 if entries <= 8 else 3
    return -(-entries // columns), columns


def _legend(figure: Figure, drawn: Sequence[DrawnCurve], words: _Words, rows: int, columns: int) -> None:
    """Below the axes, column by column."""
    from matplotlib.lines import Line2D

    if not rows:
        return
    height = figure.get_figheight() / _PIXEL
    cells = {1: 125, 2: 58, 3: 37}[columns]
    names = [shortened(curve.label, cells) for curve in drawn[:NAMED]]
    if len(drawn) > NAMED:
        names.append(f"and {len(drawn) - NAMED:,} more")
    for index, name in enumerate(names):
        x = _LEFT + (index // rows) * (WIDTH - _LEFT - _RIGHT) / columns
        y = (rows - index % rows) * _LEGEND_ROW - 4
        handle = ([x / WIDTH, (x + 26) / WIDTH], [y / height] * 2)
        figure.add_artist(Line2D(*handle, **{**_look(index, len(drawn)), "linewidth": 1.6, "alpha": 1}))
        _text(figure, x + 34, y, words(name), size=12)


def _text(figure: Figure, x: float, y: float, words: str, *, size: float, weight: str = "normal") -> None:
    """`words` left of nothing, centred on `y`; pixels from the lower left corner."""
    height = figure.get_figheight() / _PIXEL
    figure.text(x / WIDTH, y / height, words, size=_points(size), weight=weight, color=INK, va="center")


def _points(pixels: float) -> float:
    return pixels * 72 / 96
