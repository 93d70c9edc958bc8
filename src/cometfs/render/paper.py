"""The canvas of a picture: a figure of matplotlib with axes, their grid, ticks and labels.

Made once for each kind of scale and used for one picture after the other, for axes are dearer to make than a line is to
draw. So are ticks: each is six artists of matplotlib. Here all ticks of an axis are two artists, and each label is one;
their places and texts are matplotlib's choice. Not here: what is drawn (`plots`), and the settings of
matplotlib, which belong to the process: the caller has set them, and draws alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.transforms import Transform

INK = "#30363d"
_GRID, _FRAME = "#e3e6ea", "#8b949e"
_LABEL, _OFFSET = 9.0, 10.0
"""Points of letters at ticks, and of what must be added to all of them or multiplied with."""

_PAD = 7.0
"""Points between the frame and the labels."""

_KEPT: dict[bool, Axes] = {}
"""By whether y is logarithmic; those in use are not in it."""


def forget() -> None:
    """The next picture is drawn on new axes."""
    _KEPT.clear()


@contextmanager
def blank(size: tuple[float, float], box: tuple[float, float, float, float], *, logarithmic: bool) -> Iterator[Axes]:
    """Empty axes in an empty figure of `size` inches; `box`: where they are, as fractions of it."""
    axes = _KEPT.pop(logarithmic, None) or _made(logarithmic=logarithmic)
    axes.figure.set_size_inches(size)  # type: ignore[union-attr]
    axes.set_position(box)
    yield axes
    _wipe(axes)
    # Not after an error: what is left in them then is unknown.
    _KEPT[logarithmic] = axes


def _made(*, logarithmic: bool) -> Axes:
    from matplotlib.figure import Figure

    axes = Figure(facecolor="white").add_axes((0, 0, 1, 1))
    if logarithmic:
        axes.set_yscale("log", nonpositive="clip")
    axes.margins(x=0.01)
    axes.tick_params(labelsize=_LABEL)  # of this depends how many there are
    axes.set_axis_off()
    _wipe(axes)
    return axes


def _wipe(axes: Axes) -> None:
    figure: Any = axes.figure
    for artist in (*axes.lines, *axes.texts, *figure.artists, *figure.texts):
        artist.remove()
    axes.set_xlim(0, 1, auto=True)
    axes.set_ylim(*((1, 10) if axes.get_yscale() == "log" else (0, 1)), auto=True)
    axes.relim()


def rule(axes: Axes, label: str) -> None:
    """Draws grid, ticks, their labels, the frame, and the label of the x axis, for the lines that are in `axes`."""
    from matplotlib.lines import Line2D
    from matplotlib.markers import TICKDOWN, TICKLEFT

    if axes.lines:
        axes.autoscale_view()
    _rule(axes, _Side(axes.xaxis, axes.get_xaxis_transform(), TICKDOWN, 1), axes.get_xaxis_text1_transform(_PAD))
    _rule(axes, _Side(axes.yaxis, axes.get_yaxis_transform(), TICKLEFT, -1), axes.get_yaxis_text1_transform(_PAD))
    frame = Line2D([0, 0, 1], [1, 0, 0], color=_FRAME, linewidth=0.8, solid_capstyle="projecting", zorder=2.5)
    frame.set(transform=axes.transAxes, clip_on=False)
    axes.add_artist(frame)
    _beside(axes, label, (0.5, 0), -20, size=_LABEL, ha="center", va="top")
    _beside(axes, axes.xaxis.get_major_formatter().get_offset(), (1, 0), -19, size=_OFFSET, ha="right", va="top")
    _beside(axes, axes.yaxis.get_major_formatter().get_offset(), (0, 1), 3, size=_OFFSET, ha="left", va="baseline")


def _beside(axes: Axes, words: str, corner: tuple[float, float], up: float, **look: Any) -> None:
    """Words some points above a corner of the axes."""
    if words:
        axes.annotate(words, corner, (0, up), "axes fraction", textcoords="offset points", color=INK, **look)


@dataclass(frozen=True)
class _Side:
    """An axis; from its numbers, and fractions across it, to the picture; its ticks; 1 for x first, -1 for y first."""

    axis: Axis
    place: Transform
    marker: Any
    turn: int

    def placed(self, along: Sequence[float], across: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
        """x and y."""
        return (along, across) if self.turn == 1 else (across, along)


def _rule(axes: Axes, side: _Side, words_at: tuple[Transform, Any, Any]) -> None:
    locs = side.axis.get_majorticklocs().tolist()
    labels = dict(zip(locs, side.axis.get_major_formatter().format_ticks(locs), strict=True))
    major = _seen(side.axis, locs)
    _grid(axes, side, major)
    _ticks(axes, side, major, 3.5, 0.8)
    _ticks(axes, side, _seen(side.axis, side.axis.get_minorticklocs().tolist()), 2, 0.6)
    transform, va, ha = words_at
    for loc in major:
        x, y = side.placed([loc], [0])
        axes.text(x[0], y[0], labels[loc], transform=transform, va=va, ha=ha, size=_LABEL, color=INK)


def _seen(axis: Axis, locs: Sequence[float]) -> list[float]:
    """Locators go beyond the edges. What is at one is decided on the scale, where a hair is a hair."""
    low, high, *places = axis.get_transform().transform([*axis.get_view_interval(), *locs]).tolist()
    hair = (high - low) * 1e-9
    return [loc for loc, place in zip(locs, places, strict=True) if low - hair <= place <= high + hair]


def _grid(axes: Axes, side: _Side, locs: Sequence[float]) -> None:
    from matplotlib.lines import Line2D

    ends = [end for loc in locs for end in (loc, loc, math.nan)]
    x, y = side.placed(ends, [0, 1, math.nan] * len(locs))
    axes.add_artist(Line2D(x, y, color=_GRID, linewidth=0.8, transform=side.place, zorder=0.5))


def _ticks(axes: Axes, side: _Side, locs: Sequence[float], length: float, width: float) -> None:
    from matplotlib.lines import Line2D

    x, y = side.placed(locs, [0] * len(locs))
    ticks = Line2D(x, y, color=_FRAME, linestyle="none", marker=side.marker, markersize=length, markeredgewidth=width)
    ticks.set(transform=side.place, clip_on=False)
    axes.add_artist(ticks)
