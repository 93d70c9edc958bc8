"""``experiment.json`` of folders that are logged into: comet_ml's fields, and the time of the run's last sign of life.

Not here: files (`run_dir`), what other archives have there (`runs.load`).
"""

from __future__ import annotations

import time
from typing import Any

from cometfs.server.catalog.project import ServedExperiment
from cometfs.server.runs.load import read_heading
from cometfs.server.runs.record import RunRecord
from cometfs.server.runs.schema import Number
from cometfs.server.runs.zip_reader import BrokenArchive
from cometfs.server.storage.run_dir import open_folder

LAST = 253_402_300_799_999
"""The end of the year 9999."""


def now() -> int:
    """Epoch milliseconds."""
    return time.time_ns() // 1_000_000


def moment(reported: Number) -> int:
    """A client's time in epoch milliseconds. comet_ml sends some of them a thousand times too great."""
    at = max(0, int(reported))
    while at > LAST:
        at //= 1000
    return at


def new_heading(key: str, workspace: str, project: str, start: int, strategy: str) -> dict[str, Any]:
    """``experiment.json`` as comet_ml writes it, and `last_seen`."""
    return {
        "offline_id": key,
        "project_name": project,
        "start_time": start,
        "stop_time": None,
        "tags": [],
        "workspace": workspace,
        "resume_strategy": strategy,
        "customer_error_reported": False,
        "customer_error_message": None,
        "user_provided_experiment_key": False,
        "comet_start_sourced": False,
        "last_seen": now(),
    }


def next_heading(experiment: ServedExperiment) -> dict[str, Any]:
    """Of a part that changes nothing yet about an experiment. Its start puts it behind the others, whatever clock
    those had.
    """
    project, record = experiment.project, experiment.record
    start = max(now(), _start_of(record) + 1)
    heading = new_heading(experiment.key, project.workspace, project.name, start, "get")
    heading |= {"stop_time": record.end or now(), "has_crashed": record.crashed, "archived": record.archived}
    return heading | {"tags": sorted(record.tags)}


def _start_of(record: RunRecord) -> int:
    """When the last part began."""
    try:
        start = read_heading(record.parts[-1].archive).start_time
    except (BrokenArchive, OSError):
        start = record.start
    return int(start or 0)


def was_alive(experiment: ServedExperiment, since: float) -> bool:
    """Whether a run still gave signs of life, at `since` or later (epoch ms), when the last server of its folder ended.

    While no server runs no sign can arrive, so its silence counts from now on.
    """
    if experiment.is_replica or not experiment.record.crashed:
        return False
    folder = open_folder(experiment.record.parts[-1].archive.path)
    if folder is None or folder.heading.get("stop_time") is not None:
        return False
    return int(folder.heading["last_seen"] or 0) >= since
