"""Questions about logged metrics: summaries, points, charts. A base of `API`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, overload

from cometfs.comet.answers import models, series
from cometfs.comet.answers.models import Chart, Point, Value
from cometfs.comet.answers.series import LoggedPoint
from cometfs.comet.calls import Calls
from cometfs.comet.http.retries import RETRIES
from cometfs.comet.question import Question, about
from cometfs.errors import NO_OTHER_WAY, CometFSError, Unsupported

T = TypeVar("T")


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
        """Least, greatest and last value of each metric, as `Value` rows, or of the metric `metric_name`.

        For a name the one `Value` is returned, None if there is no such metric. Values are text, as Java writes
        numbers: ``8.63E-4``, ``NaN``, ``-Infinity``. Timestamps are in ms since 1970.

            >>> row = await api.experiment_metrics_summary(key, "train_loss")
            >>> row["valueMin"], row["stepMin"], row["valueCurrent"], row["timestampCurrent"]
            ('0.19264268493638578', 270, '0.2654271101359199', 1772443511796)
            >>> [row["name"] for row in await api.experiment_metrics_summary(key)][:2]
            ['process duration', 'train_accuracy']

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: GET experiment/metrics/summary
        SDK: experimentMetricsSummary
        """
        rows = await self._calls.ask(about(experiment_key, "metrics/summary"), models.values)
        return rows if metric_name is None else models.named(rows, metric_name)

    async def experiment_metric_points(self, experiment_key: str, metric_name: str) -> list[Point]:
        """Every point of one metric that Comet keeps (at most 15,000), as `Point` rows in no particular order.

        ``[]`` if the experiment has no metric `metric_name`. Values are text; timestamps are in ms since 1970.

            >>> (await api.experiment_metric_points(key, "validate_loss"))[0]
            {'metricName': 'validate_loss', 'metricValue': '2.159567165808322', 'timestamp': 1772442901176,
             'step': 10, 'epoch': 1, 'runContext': 'validate', 'offset': 46}

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: GET experiment/metrics/get-metric
        SDK: none (`experiment_metric` returns pairs)
        """
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
        """Logged values: the points of all metrics, one metric as a series, or several as series.

        `metric_name` is None, a name or a list of names:

        - ``(key)``: `Point` rows of all metrics, in no particular order
        - ``(key, "loss")``: pairs ``(place, value)``, sorted by step, then time, then order of logging
        - ``(key, ["loss", "acc"])``: a dict from each name to its pairs; ``[]`` for a name without points

        `interval` says what the place is: ``"step"``, ``"epoch"`` or ``"timestamp"`` (ms since 1970); None where it was
        not logged. Values are text, as Comet sends them. Comet keeps at most 15,000 points of a metric.

            >>> (await api.experiment_metric(key, "validate_loss"))[:2]
            [(10, '2.159567165808322'), (20, '1.976032878965975')]
            >>> await api.experiment_metric(key, ["validate_loss", "nothing"], "epoch")
            {'validate_loss': [(1, '2.159567165808322'), ..., (30, '0.2038190137911042')], 'nothing': []}
            >>> len(await api.experiment_metric(key))
            421

        Raises NotFound for an unknown experiment, and the errors of every call (`API`).
        Endpoint: GET experiment/metrics/get-metric for one metric, GET experiment/metrics/get-all for more; where
            that fails, as on servers before 3.20.60: GET experiment/metrics/summary, and one call for each metric
        SDK: experimentMetric
        """
        if isinstance(metric_name, str):
            return series.pairs(await self.experiment_metric_points(experiment_key, metric_name), interval)
        if metric_name is None:
            return await self._all_points(experiment_key)
        points = await self._all_points(experiment_key, metric_name) if metric_name else []
        return series.by_name(points, metric_name, interval)

    async def experiment_every_point(self, experiment_key: str) -> list[Point]:
        """The points of all metrics, as `Point` rows in no particular order, in one call.

        Values are text; timestamps are in ms since 1970. Comet keeps at most 15,000 points of a metric.

            >>> points = await api.experiment_every_point(key)
            >>> len(points), sorted({point["metricName"] for point in points})[1]
            (421, 'train_accuracy')

        Raises NotFound for an unknown experiment, Unsupported for servers before 3.20.60 (after the first time without
            a call; `experiment_metric` works with them), and the errors of every call (`API`).
        Endpoint: GET experiment/metrics/get-all
        SDK: none (`experiment_metric` without a name)
        """
        return await self._get_all(experiment_key, models.points)

    async def experiment_logged_points(self, experiment_key: str) -> dict[str, list[LoggedPoint]]:
        """Every point of all metrics that Comet keeps, by the name of the metric: `LoggedPoint` tuples, in no order.

        The same call as `experiment_every_point`, in a sixth of the memory: an answer may have a million points.
        Timestamps are in ms since 1970; values are text.

            >>> (await api.experiment_logged_points(key))["validate_loss"][0]
            LoggedPoint(step=10, epoch=1, timestamp=1772442901176, value='2.159567165808322', offset=46)

        Raises NotFound for an unknown experiment, Unsupported for servers before 3.20.60 (after the first time without
            a call), and the errors of every call (`API`).
        Endpoint: GET experiment/metrics/get-all
        SDK: none (`experiment_metric` without a name)
        """
        return await self._get_all(experiment_key, series.logged)

    async def _get_all(self, experiment_key: str, read: Callable[[bytes], T]) -> T:
        if self._lacks_every_point:
            raise Unsupported("this server does not offer all metrics in one answer")
        question = about(experiment_key, "metrics/get-all", lacking="all metrics in one answer")
        try:
            return await self._calls.ask(question, read)
        except Unsupported:
            self._lacks_every_point = True
            raise

    async def _all_points(self, experiment_key: str, names: Sequence[str] | None = None) -> list[Point]:
        """Points of all metrics, in one call; of those named, in one each, where that fails."""
        if names is None or len(names) > 1:
            try:
                return await self.experiment_every_point(experiment_key)
            except NO_OTHER_WAY:
                raise
            except CometFSError:  # too old a server, an answer too large, a gateway in between: each metric is asked
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
        """Metrics and parameters of many experiments in one call: a dict from experiment key to `Chart`.

        - `experiment_keys`, `metrics`, `parameters`: lists of keys and names. An experiment that has nothing of what is
          asked may be absent
        - `independent`: each metric keeps its own steps; otherwise only steps that all have
        - `full`: at most 15,000 points a metric; otherwise a sample of about 500

        Values of metrics are numbers, those of parameters text. Timestamps are in ms since 1970, durations in ms.

            >>> chart = (await api.experiment_metrics_for_chart([key], ["validate_loss"], ["alpha"]))[key]
            >>> chart["experimentName"], chart["params"], chart["metrics"][0]["values"][:2]
            ('mlp-baseline', {'alpha': '0.0001'}, [2.159567165808322, 1.976032878965975])

        Raises the errors of every call (`API`).
        Endpoint: POST experiments/multi-metric-chart
        SDK: experimentMetricsForChart
        """
        question = _chart(experiment_keys, metrics or (), parameters or (), independent, full)
        return await self._calls.ask(question, models.charts)

    async def experiment_metrics_for_chart_as(
        self,
        experiment_keys: Sequence[str],
        metrics: Sequence[str],
        make: Callable[[Chart], T],
        parameters: Sequence[str] = (),
    ) -> dict[str, T]:
        """Metrics of many experiments in one call: a dict from experiment key to what `make` makes of its `Chart`.

        - `experiment_keys`, `metrics`, `parameters`: lists of keys and names, as for `experiment_metrics_for_chart`
        - `make`: is called with one `Chart` after the other, maybe in a thread; no more than one is in memory at a time

            >>> def last(chart):
            ...     return chart["metrics"][0]["values"][-1]
            >>> await api.experiment_metrics_for_chart_as([key], ["validate_loss"], last) == {key: 0.2038190137911042}
            True

        Raises the errors of every call (`API`).
        Endpoint: POST experiments/multi-metric-chart
        SDK: none (`experiment_metrics_for_chart` returns the charts themselves)
        """
        question = _chart(experiment_keys, metrics, parameters, True, True)
        return await self._calls.ask(question, lambda body: models.charts_as(body, make))


def _chart(
    experiment_keys: Sequence[str], metrics: Sequence[str], parameters: Sequence[str], independent: bool, full: bool
) -> Question:
    body = {
        "targetedExperiments": list(experiment_keys),
        "metrics": list(metrics),
        "params": list(parameters),
        "independentMetrics": independent,
        "fetchFull": full,
    }
    # What fails for many may be answered for fewer: better than to try the same again and again.
    return Question("experiments/multi-metric-chart", body=body, retries=1 if len(experiment_keys) > 1 else RETRIES)
