"""Workload without a mount: the picture of a metric, drawn of the answer that a mount keeps.

CPU time, for nothing is waited for. Beside it matplotlib draws the same lines, where it is installed.
"""

from __future__ import annotations

import gc
import io
import math
import random
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

from benchmark.figures import Figures, Peer, Row, Runs, median, no_more
from benchmark.peers import NOT_INSTALLED
from benchmark.processes import BenchError
from benchmark.stage import Stage
from cometfs.render import points
from cometfs.render.series import Series, pack
from cometfs.vfs.layout import CHART_SVG
from cometfs.vfs.layout.experiment import PLOT_SVG
from cometfs.vfs.sources.metrics import Plotted
from cometfs.vfs.sources.project_tables import ProjectChart

POINTS = 2_000
REACH = {1: 0.002, 30: 0.020, 200: 0.100}
"""Seconds that a picture of so many lines may take."""

TIMES, TIMES_OF_PEER = 50, 5


def svg(_: Stage) -> list[Row]:
    """An SVG of 1, of 30 and of 200 lines of 2,000 points each, and matplotlib's of the same."""
    return [_row(count) for count in REACH]


def _row(count: int) -> Row:
    chart = _chart(count)
    draw = _alone(chart) if count == 1 else partial(CHART_SVG.render, chart)
    if len(ElementTree.fromstring(draw()).findall(".//{*}g/{*}title")) != count:
        raise BenchError(f"a picture has not all of {count} lines")
    runs = _timed(draw, TIMES)
    peer = Peer("matplotlib")
    if find_spec("matplotlib"):
        peer.runs = _timed(lambda: _by_matplotlib(chart), TIMES_OF_PEER)
    else:
        peer.missing = NOT_INSTALLED
    shown = f"{median(runs) * 1000:.1f} ms" + (f", matplotlib {peer.wall * 1000:.0f} ms" if peer.wall else "")
    workload = f"an SVG of {count} x {POINTS:,} points, CPU time: {shown}"
    reach = f"{REACH[count] * 1000:.0f} ms"
    return Row(workload, "drawn", runs, reach, no_more(runs, 0, REACH[count]), [peer])


def _chart(count: int) -> ProjectChart:
    """An answer as it comes from Comet: numbers of its own for each line."""
    chance = random.Random(count)
    steps = list(range(0, 10 * POINTS, 10))

    def values(line: int) -> list[float]:
        return [math.exp(-step / (2_000 + 40 * line)) + 0.05 * (1 + chance.random()) for step in steps]

    lines = [(f"run-{line}", pack({"steps": steps, "values": values(line)})) for line in range(count)]
    return ProjectChart("loss", lines)


def _alone(chart: ProjectChart) -> Callable[[], bytes]:
    """The same of one experiment: its points are kept as a sheet."""
    rows = [(step, None, 1_700_000_000_000 + step, repr(value)) for step, value in Series(chart.lines[0][1])]
    plotted = Plotted("loss", points.sheet(points.of_rows(rows)))
    return partial(PLOT_SVG.render, plotted)


def _by_matplotlib(chart: ProjectChart) -> None:
    """As short as a program can say it; the line's names in a legend, as far as it has room."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.6))
    axes = figure.add_subplot(title=chart.metric, xlabel="step", ylabel=chart.metric)
    for name, packed in chart.lines:
        axes.plot(*zip(*Series(packed), strict=True), label=name)
    axes.legend(*(part[:30] for part in axes.get_legend_handles_labels()))
    FigureCanvasSVG(figure).print_svg(io.BytesIO())  # type: ignore[no-untyped-call]


def _timed(draw: Callable[[], object], times: int) -> Runs:
    """CPU time of each, after a first one; without the collection of what others left, as `timeit` does it."""
    draw()
    found = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(times):
            begin = time.process_time()
            draw()
            found.append(Figures(time.process_time() - begin))
    finally:
        gc.enable()
    return found
