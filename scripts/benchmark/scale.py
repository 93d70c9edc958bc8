"""Processes as on a cluster read a big project by `comet://`, with and without a shared Redis: time, calls, memory.

Every process has a cache of its own and reads the same, which is the worst case. The server is the embedded Comet, so
times are those of this machine; calls are those of any Comet. Not here: one mount beside its peers (command.py).
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

from benchmark.processes import COMETFS, BenchError, Command, Server, serving

RATE = 15_000
"""Calls an hour that a key has."""

METRICS, POINTS = 50, 10

READER = """
import json, resource, sys, time
import fsspec
url, cache, shared = sys.argv[1:]
fs = fsspec.filesystem("comet", server=url, cache_dir=cache, shared=shared or None, deadline=600)
took, bytes = {}, 0
def step(name, work):
    began = time.monotonic()
    work()
    took[name] = time.monotonic() - began
step("ls", lambda: fs.ls("scale/project", detail=False))
step("params", lambda: fs.cat(fs.glob("scale/project/*/params.json")))
step("table", lambda: fs.cat("scale/project/summary/experiments.csv"))
step("chart", lambda: fs.cat("scale/project/charts/metric-00.csv"))
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"took": took, "cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss * 1024}))
"""

STEPS = ("ls", "params", "table", "chart")


class Figure(NamedTuple):
    """What so many processes took: seconds of the slowest by step, calls of all; of one, the most seconds of CPU and
    bytes of memory."""

    experiments: int
    processes: int
    shared: bool
    took: dict[str, float]
    calls: int
    cpu: float
    peak: int

    def row(self) -> str:
        """A line of the table."""
        key = f"{60 * self.calls / RATE:.1f} min"
        steps = [f"{self.took[step]:.1f}" for step in STEPS]
        counts = f"{self.experiments:,}", self.processes, "yes" if self.shared else "no", f"{self.calls:,}"
        return _line(*counts, key, *steps, f"{self.cpu:.0f}", f"{self.peak / 1e6:.0f} MB")


def _line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


COLUMNS = ("experiments", "processes", "shared", "calls", "of a key", *(f"{step} (s)" for step in STEPS))

HEAD = "\n".join((_line(*COLUMNS, "CPU of one (s)", "memory of one"), _line(*["---"] * (len(COLUMNS) + 2))))


def write_archive(folder: Path) -> None:
    """One run with many metrics, which the server replicates."""
    run = folder / f"{1:032x}"
    run.mkdir(parents=True)
    began = 1_700_000_000_000
    heading = {"offline_id": run.name, "workspace": "scale", "project_name": "project", "start_time": began}
    (run / "experiment.json").write_text(json.dumps({**heading, "stop_time": began + 900_000}))
    lines = [
        {"type": "log_other", "payload": {"key": "Name", "value": "run", "local_timestamp": began}},
        *(_parameter(f"param-{number}", number / 10, began) for number in range(5)),
        *(_point(f"metric-{number:02}", step, began) for number in range(METRICS) for step in range(POINTS)),
    ]
    (run / "messages.json").write_text("".join(json.dumps(line) + "\n" for line in lines))


def _parameter(name: str, value: float, when: int) -> dict[str, object]:
    found = {"paramName": name, "paramValue": value, "step": None, "source": "manual"}
    return {"type": "parameter_msg", "payload": {"param": found, "local_timestamp": when}}


def _point(name: str, step: int, when: int) -> dict[str, object]:
    found = {"metricName": name, "metricValue": 1 / (1 + step), "step": step, "epoch": None}
    return {"type": "metric_msg", "payload": {"metric": found, "local_timestamp": when + step}}


def measured(server: Server, folder: Path, experiments: int, processes: int, shared: str) -> Figure:
    """What so many processes take that begin together."""
    mark = server.mark()
    environ = {"COMET_API_KEY": "any", "HOME": str(folder), "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", READER, server.url, str(folder / f"cache-{number}"), shared],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environ,
        )
        for number in range(processes)
    ]
    ended = [process.communicate() for process in started]
    for process, (_, complaint) in zip(started, ended, strict=True):
        if process.returncode:
            raise BenchError(f"a process ended with {process.returncode}: {complaint.decode()[-2000:]}")
        sys.stderr.write(complaint.decode())  # such as that it went on without the Redis
    found = [json.loads(out) for out, _ in ended]
    took = {step: max(one["took"][step] for one in found) for step in STEPS}
    calls = server.since(mark).calls
    cpu, peak = (max(one[what] for one in found) for what in ("cpu", "peak"))
    return Figure(experiments, processes, bool(shared), took, calls, cpu, peak)


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """The address of a new redis-server, until the block ends."""
    program = shutil.which("redis-server")
    if program is None:
        raise BenchError("there is no redis-server: apt install redis-server")
    place = folder / "redis.sock"
    command = [program, "--port", "0", "--unixsocket", str(place), "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            while not _answers(place):
                time.sleep(0.02)
            yield f"unix://{place}"
        finally:
            process.terminate()


def _answers(place: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as asking:
        return asking.connect_ex(str(place)) == 0


def main(words: Sequence[str]) -> int:
    """Prints a table, a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", type=int, default=25_000)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--shared", choices=("no", "yes"), nargs="+", default=["no", "yes"], help="default: both")
    parser.add_argument("--work", type=Path, help="a directory for what is served and cached; default: a temporary one")
    options = parser.parse_args(words)
    if options.work is not None:
        options.work.mkdir(parents=True, exist_ok=True)
    print(HEAD, flush=True)
    with tempfile.TemporaryDirectory(dir=options.work) as name:
        folder = Path(name)
        write_archive(folder / "archives")
        serve: Command = [*COMETFS, "serve", folder / "archives", "--replicate", str(options.experiments)]
        with serving(serve, folder / "server") as server:
            for processes in options.processes:
                for shares in options.shared if processes > 1 else ("no",):
                    figure = _figure(server, folder, options.experiments, processes, shares=shares == "yes")
                    print(figure.row(), flush=True)
    return 0


def _figure(server: Server, folder: Path, experiments: int, processes: int, *, shares: bool) -> Figure:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        with redis(place) if shares else nullcontext("") as address:
            return measured(server, place, experiments, processes, address)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
