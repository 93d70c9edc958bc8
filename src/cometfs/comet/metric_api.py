"""Questions about logged metrics: summaries, points, charts. A base of `API`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from cometfs.comet.answers import models, series
from cometfs.comet.answers.models import Chart, Point, Value
from cometfs.comet.calls import Calls
from cometfs.comet.question import Question, about
from cometfs.errors import NotFound, Unsupported


class MetricAPI:
    """Questions about metrics of one experiment or many."""

    _calls: Calls
    _lacks_every_point = False

    @overload
    async def experiment_metrics_summary(self, experiment_key: str) -> list[Value]: ...
    @overload
    async def experiment_metrics_summary(self, experiment_key: str, metric_name: str) -> Value | None: ...

    async def experiment_metrics_summary(
        self, experiment_key: str, metric_name: str | None = None
    ) -> list[Value] | Value | None:
        """Least, greatest and last value of its metrics; of one metric where it is named, None if there is no such.

        Values are text as Java writes numbers: ``8.63E-4``, ``NaN``, ``-Infinity``.
        """
        rows = await self._calls.ask(about(experiment_key, "metrics/summary"), models.values)
        return rows if metric_name is None else models.named(rows, metric_name)

    async def experiment_metric_points(self, experiment_key: str, metric_name: str) -> list[Point]:
        """Every point of one metric that Comet keeps (15,000 at most), in no promised order. None known: ``[]``."""
        question = about(experiment_key, "metrics/get-metric", metricName=metric_name)
        return await self._calls.ask(question, models.points)

    @overload
    async def experiment_metric(self, experiment_key: str) -> list[Point]: ...
    @overload
    async def experiment_metric(
        self, experiment_key: str, metric_name: str, interval: series.Interval = "step"
    ) -> list[series.Pair]: ...
    @overload
    async def experiment_metric(
        self, experiment_key: str, metric_name: list[str] | tuple[str, ...], interval: series.Interval = "step"
    ) -> dict[str, list[series.Pair]]: ...

    async def experiment_metric(
        self,
        experiment_key: str,
        metric_name: str | list[str] | tuple[str, ...] | None = None,
        interval: series.Interval = "step",
    ) -> Any:
        """Logged values of metrics.

        - no name: the points of all metrics, each a `Point`, as Comet sends them: in no order
        - a name: pairs ``(interval, value)``, sorted by step, then time, then order of logging
        - several names: name to such pairs

        `interval` is ``"step"``, ``"epoch"`` or ``"timestamp"`` (ms since 1970). Values are text, as Comet sends them.
        """
        if isinstance(metric_name, str):
            return series.pairs(await self.experiment_metric_points(experiment_key, metric_name), interval)
        if metric_name is None:
            return await self._all_points(experiment_key)
        points = await self._all_points(experiment_key, metric_name) if metric_name else []
        return series.by_name(points, metric_name, interval)

    async def experiment_every_point(self, experiment_key: str) -> list[Point]:
        """The points of all metrics, in no order, in one call. Servers before 3.20.60 have none for that: Unsupported
        (once one has said so, without asking it again)."""
        if self._lacks_every_point:
            raise Unsupported("this server does not offer all metrics in one answer")
        question = about(experiment_key, "metrics/get-all", lacking="all metrics in one answer")
        try:
            return await self._calls.ask(question, models.points)
        except Unsupported:
            self._lacks_every_point = True
            raise

    async def _all_points(self, experiment_key: str, names: Sequence[str] | None = None) -> list[Point]:
        """Points of all metrics, in one call; of those named, in one each, where the server is too old for that."""
        if names is None or len(names) > 1:
            try:
                return await self.experiment_every_point(experiment_key)
            except (Unsupported, NotFound):  # some servers have the same 404 for an endpoint that they lack
                pass
        if names is None:
            names = [row["name"] for row in await self.experiment_metrics_summary(experiment_key)]
        return [point for name in names for point in await self.experiment_metric_points(experiment_key, name)]

    async def experiment_metrics_for_chart(
        self,
        experiment_keys: Sequence[str],
        metrics: Sequence[str] | None = None,
        parameters: Sequence[str] | None = None,
        independent: bool = True,
        full: bool = True,
    ) -> dict[str, Chart]:
        """Metrics and parameters of many experiments in one call: experiment key to `Chart`.

        `independent`: every metric keeps its own steps; otherwise only steps that all have. `full`: up to 15,000 points
        a metric, otherwise a sample of about 500. Values of metrics are numbers here. An experiment that has nothing of
        what is asked may be absent.
        """
        body = {
            "targetedExperiments": list(experiment_keys),
            "metrics": list(metrics or ()),
            "params": list(parameters or ()),
            "independentMetrics": independent,
            "fetchFull": full,
        }
        return await self._calls.ask(Question("experiments/multi-metric-chart", body=body), models.charts)
