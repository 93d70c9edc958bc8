"""A process that reads the chart of a project of long runs, and says what it took: `python -m ... RUNS POINTS FOLDER`.

Its Comet is generated as it is asked, so that the process holds nothing but what a mount would. Not here: what is
expected of it (tests/inprocess/test_chart_memory.py).
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from functools import cache
from pathlib import Path
from time import process_time
from typing import Any, TypeVar

import httpx
import trio

from cometfs.comet.answers.models import Chart
from cometfs.comet.api import API
from cometfs.comet.http.transport import Transport
from cometfs.composition.assembly import Cache, open_vfs
from cometfs.errors import AnswerTooLarge, TooBig
from cometfs.vfs.engine.vfs import Vfs
from tests.inprocess.conftest import at, read

ANSWER = 64 << 20
"""Bytes of an answer at most."""

T = TypeVar("T")

PROJECT = "w/p"


class _Charts(httpx.AsyncByteStream):
    """An answer that is nowhere as a whole before it has come."""

    def __init__(self, keys: Sequence[str], metric: bytes) -> None:
        self._keys = keys
        self._metric = metric

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"experiments":{'
        for index, key in enumerate(self._keys):
            yield b'%s"%s":{"experimentName":"r","metrics":[' % (b"," if index else b"", key.encode())
            yield self._metric
            yield b"]}"
        yield b"}}"


class LongRuns(httpx.AsyncBaseTransport):
    """A Comet with one project of many runs, each with a metric of many points."""

    def __init__(self, runs: int, points: int) -> None:
        self.runs = [f"{number:032x}" for number in range(runs)]
        self.calls = 0
        self.points = points

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await trio.lowlevel.checkpoint()
        endpoint = request.url.path.removeprefix("/api/rest/v2/")
        if request.method == "HEAD":  # on a busy machine it is asked whether it is there
            return httpx.Response(200)
        if endpoint == "experiments/multi-metric-chart":
            self.calls += 1
            wanted = json.loads(await request.aread())["targetedExperiments"]
            return httpx.Response(200, stream=_Charts(wanted, self._metric().encode()))
        if endpoint == "experiment/metrics/get-metric":
            return httpx.Response(200, content=self._points())
        return httpx.Response(200, json=self._answers()[endpoint])

    def _answers(self) -> dict[str, Any]:
        ended = {"running": False, "startTimeMillis": 1_700_000_000_000, "endTimeMillis": 1_700_000_100_000}
        rows = [
            {"experimentKey": key, "experimentName": f"run {key[-4:]}", "archived": False} | ended for key in self.runs
        ]
        project = {"projectId": "p1", "projectName": "p", "workspaceName": "w", "numberOfExperiments": len(rows)}
        return {
            "workspaces": {"workspaceNames": ["w"]},
            "projects": {"projects": [project]},
            "experiments": {"experiments": rows},
            "project/column-names": {"columns": [{"name": "loss", "source": "metrics"}]},
        }

    def _points(self) -> str:
        columns = json.loads(self._metric())
        pairs = zip(columns["steps"], columns["values"], strict=True)
        rows = [{"metricName": "loss", "metricValue": repr(value), "step": step} for step, value in pairs]
        return json.dumps({"metrics": rows})

    @cache  # noqa: B019 - one for the process
    def _metric(self) -> str:
        steps = list(range(self.points))
        values = [1 / (1 + step) for step in steps]
        times = [1_700_000_000_000 + step for step in steps]
        epochs = [step // 100 for step in steps]
        columns = {"steps": steps, "epochs": epochs, "timestamps": times, "values": values}
        return json.dumps({"metricName": "loss"} | columns, separators=(",", ":"))


class Bounded(API):
    """Refuses answers that are longer than they may be, as they come."""

    size = 0

    async def experiment_metrics_for_chart_as(
        self,
        experiment_keys: Sequence[str],
        metrics: Sequence[str],
        make: Callable[[Chart], T],
        parameters: Sequence[str] = (),
    ) -> dict[str, T]:
        if self.size * len(experiment_keys) > ANSWER:
            raise AnswerTooLarge("longer than an answer may be")
        return await super().experiment_metrics_for_chart_as(experiment_keys, metrics, make, parameters)


async def _slowest(vfs: Vfs, found: dict[str, Any]) -> None:
    """How long another reader waits meanwhile, at most."""
    found["slowest_s"] = 0.0
    while True:
        began = trio.current_time()
        await read(vfs, f"{PROJECT}/project.json")
        await trio.sleep(0.05)
        found["slowest_s"] = max(found["slowest_s"], trio.current_time() - began - 0.05)
        found["reads"] = found.get("reads", 0) + 1


async def main(runs: int, points: int, folder: Path) -> dict[str, Any]:
    """What reading `charts/loss.csv` and `views/best/loss/max` took."""
    comet = LongRuns(runs, points)
    found: dict[str, Any] = {"before": _resident()}
    async with (
        Bounded("key", "http://comet", transport=Transport(comet)) as api,
        open_vfs(api, cache=Cache(folder, 1 << 30)) as vfs,
        trio.open_nursery() as nursery,
    ):
        Bounded.size = len(comet._metric())
        nursery.start_soon(_slowest, vfs, found)
        began = trio.current_time()
        try:
            found["bytes"] = len(await read(vfs, f"{PROJECT}/charts/loss.csv"))
        except (AnswerTooLarge, TooBig) as error:
            found["refused"] = str(error)
        found |= {"calls": comet.calls, "after": _resident(), "s": trio.current_time() - began}
        found["best"] = await vfs.readlink(await at(vfs, f"{PROJECT}/views/best/loss/max"))
        found |= {"calls_best": comet.calls, "after_best": _resident(), "s_best": trio.current_time() - began}
        nursery.cancel_scope.cancel()
    return found | {"cpu": process_time()}


def _resident() -> int:
    """MiB of memory that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


if __name__ == "__main__":
    print(json.dumps(trio.run(main, int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))))
