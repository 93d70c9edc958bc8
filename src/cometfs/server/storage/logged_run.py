"""A run that can be written to: its experiment, the folder that is its last part, and what was sent lately.

Not here: which runs there are, whether they live (`journal`), files (`run_dir`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from cometfs.server.catalog.project import ServedExperiment
from cometfs.server.runs.apply import Missing, apply
from cometfs.server.runs.record import Part, RunRecord
from cometfs.server.runs.schema import Payload
from cometfs.server.runs.zip_reader import MESSAGES, Archive, Member
from cometfs.server.storage.dedup import RepeatFilter, remembered
from cometfs.server.storage.experiment_json import next_heading, now
from cometfs.server.storage.log_lines import LogLine
from cometfs.server.storage.run_dir import RunDir, make_folder, open_folder

LOG = logging.getLogger("cometfs.server")


@dataclass(slots=True)
class LoggedRun:
    """Its experiment's last part is `part`, which is `folder`; ``part.starts`` are the starts of the lines in it."""

    experiment: ServedExperiment
    folder: RunDir
    part: Part
    repeats: RepeatFilter

    def write(self, lines: list[LogLine]) -> bool:
        """Keep lines, all or none, and serve what they say; whether a model was registered. Raises StorageError."""
        texts = [line.numbered(number) for number, line in enumerate(lines, self.experiment.record.line_count + 1)]
        at = self.folder.append(b"".join(texts))
        grown = self.experiment.record.grown()
        for line, text in zip(lines, texts, strict=True):
            self.part.starts.append(at)
            at += len(text)
            self._apply(grown, line.payload)
        is_registered = len(grown.registrations) != len(self.experiment.record.registrations)
        self.experiment.record = grown
        self.set_state()
        return is_registered

    def _apply(self, record: RunRecord, payload: Payload) -> None:
        try:
            apply(record, self.part, record.line_count, payload)
        except Missing as exc:
            LOG.warning("%s: %s", self.folder.path, exc)

    def set_state(self) -> None:
        """What the next server makes of its folder. While a run goes on, its end is its last sign of life."""
        record, heading = self.experiment.record, self.folder.heading
        stop = heading.get("stop_time")
        latest = max(record.latest or 0, record.start or 0, heading["last_seen"] or 0)
        record.end = latest if stop is None else stop
        record.crashed = stop is None or bool(heading.get("has_crashed"))


def stop_of(run: LoggedRun | None, experiment: ServedExperiment) -> int | None:
    """When an experiment ended (epoch ms), found without a folder being made for it."""
    folder = run.folder if run else open_folder(experiment.record.parts[-1].archive.path)
    return folder.heading.get("stop_time") if folder else experiment.record.end or now()


def taken_up(directory: Path, experiment: ServedExperiment) -> LoggedRun:
    """An experiment that this server did not begin: its folder where it has one, else a new one beside."""
    record = experiment.record.detached()
    part = record.parts[-1]
    folder = open_folder(part.archive.path)
    if folder is None:
        folder = make_folder(directory, experiment.key, next_heading(experiment))
        part = Part(Archive(folder.path, {MESSAGES: Member(MESSAGES, 0)}), record.line_count)
        record.parts.append(part)
    experiment.record = record
    return LoggedRun(experiment, folder, part, remembered(folder.path / MESSAGES))
