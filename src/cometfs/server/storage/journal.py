"""What is logged while the server runs: kept in the directory of the archives, and at once part of what is served.

`begin` an experiment or take it up again, `log` messages, `adopt` files, let it `beat`, `end` it, `amend` its
``experiment.json``, `delete` it. A message is a pair of type and payload as ``messages.json`` has them; what
these calls have returned from is in the run's folder and survives a kill.

Invariants, all of which hold because everything here runs on the event loop, between two awaits:

- A reader of an experiment's record sees all of a request or nothing of it: the next version is made aside and put in
  place when the lines are in the file. Of a version that was put in place only single words change (`end`, `crashed`,
  `archived`), and what versions share grows; so threads read it unlocked.
- Whether and when a run ended is in memory what the next server makes of its ``experiment.json``
  (`LoggedRun.set_state`).
- The last part of the record of a run in `_runs` is its folder, and ``part.starts`` are the starts of the lines in it.
- The journal alone writes into folders that are called after their key and have ``last_seen`` in their
  ``experiment.json``, and into no other. A run that came as an archive goes on in a new folder, as its next part.

Not here: requests (`write_api`), what a single run needs (`logged_run`), messages that come twice (`dedup`), files
(`run_dir`, `deletion`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from threading import Thread

from cometfs.server.catalog.catalog import DEFAULT_PROJECT, DEFAULT_WORKSPACE, Catalog
from cometfs.server.catalog.project import ServedExperiment
from cometfs.server.catalog.registry import Registry
from cometfs.server.runs.liveness import CRASHED_AFTER, HEARTBEATS, Liveness
from cometfs.server.runs.record import Part, RunRecord
from cometfs.server.runs.zip_reader import MESSAGES, Archive, Member
from cometfs.server.storage.dedup import ArchiveFilter, RepeatFilter, remembered
from cometfs.server.storage.deletion import UNMARKED, delete, marked_deleted
from cometfs.server.storage.errors import InvalidKey, NotThere, StorageFull, full_disk
from cometfs.server.storage.experiment_json import new_heading, now, was_alive
from cometfs.server.storage.lock import Locked
from cometfs.server.storage.log_lines import LogLine, Message
from cometfs.server.storage.logged_run import LoggedRun, stop_of, taken_up
from cometfs.server.storage.run_dir import Heading, make_folder

KEY = re.compile(r"[A-Za-z0-9]{32,50}")
"""Keys of new experiments, as Comet has them: nothing that could be a path or another folder's name."""

AT_HAND = 64
"""How many runs are kept ready to be written to when they do not run; the others are taken up again when need be."""


class Journal:
    """Of one catalog, which was read from `directory` after that was locked. Runs are taken to have crashed after
    `crashed_after` seconds of silence by `clock`.
    """

    def __init__(
        self,
        index: Catalog,
        directory: Locked,
        *,
        crashed_after: float = CRASHED_AFTER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.index, self.crashed_after = index, crashed_after
        self.path = directory.path
        self._directory, self._clock = directory, clock
        self._runs: dict[str, LoggedRun] = {}
        for experiment in index.experiments.values():
            if was_alive(experiment, directory.last_alive - crashed_after * 1000):
                self._alive(experiment)

    def begin(self, key: str, workspace: str | None, project: str | None, start: int) -> ServedExperiment:
        """A new experiment, running since `start` (epoch ms). Raises InvalidKey and StorageFull."""
        if not KEY.fullmatch(key):
            raise InvalidKey(f"{key[:60]!r} is no experiment key: 32 to 50 letters and digits")
        workspace, project = workspace or DEFAULT_WORKSPACE, project or DEFAULT_PROJECT
        heading = new_heading(key, workspace, project, start, "create")
        folder = make_folder(self._directory.path, key, heading)
        part = Part(Archive(folder.path, {MESSAGES: Member(MESSAGES, 0)}))
        record = RunRecord([part], start=start, last_seen=start, crashed=True)
        experiment = self.index.add(key, workspace, project, record)
        return self._goes_on(self._keep(LoggedRun(experiment, folder, part, RepeatFilter())))

    def resume(self, key: str, failed: bool | None = False) -> ServedExperiment:
        """It is running again, and has `failed` so far; None leaves that as it is. Raises NotThere."""
        run = self._run(key)
        if isinstance(run.repeats, ArchiveFilter):
            run.repeats = remembered(run.folder.path / MESSAGES)
        changes = {} if failed is None else {"has_crashed": failed}
        run.folder.amend(stop_time=None, last_seen=now(), resumed=now(), **changes)
        return self._goes_on(run)

    def has_ended(self, key: str) -> bool:
        """Whether an end is known of a run, whatever it has logged since. Raises NotThere."""
        return stop_of(self._runs.get(key), _found(self.index, key)) is not None

    def is_incomplete(self, key: str) -> bool:
        """Whether a run was logged, has not ended, and does not run: its lines cannot be taken for its archive's."""
        run, experiment = self._runs.get(key), _found(self.index, key)
        is_completed = run is not None and isinstance(run.repeats, ArchiveFilter)
        return stop_of(run, experiment) is None and (is_completed or not experiment.running)

    def known_of(self, key: str) -> Callable[[], ArchiveFilter]:
        """Finds out what is known of an incomplete run. For a thread: it reads all that the run logged."""
        run = self._run(key)
        archives, since = list(run.experiment.record.archives), run.folder.heading.get("resumed") or 0
        return lambda: ArchiveFilter(archives, since)

    def complete(self, key: str, known: ArchiveFilter) -> ServedExperiment:
        """What comet_ml kept itself of an incomplete run is uploaded: what is `known` of it is left out."""
        run = self._run(key)
        run.repeats = known
        return self._goes_on(run)

    def _goes_on(self, run: LoggedRun) -> ServedExperiment:
        run.set_state()
        self._alive(run.experiment)
        return run.experiment

    def log(self, key: str, messages: Sequence[Message], *, alive: bool = True) -> None:
        """Keep messages of a run, without those that it sends again. Raises StorageError.

        `alive` for what only the run itself sends; the others may come from a program that looks at it.
        """
        run = self._run(key)
        fresh, identities = run.repeats.fresh(LogLine(kind, message) for kind, message in messages)
        if fresh:
            self._write(run, fresh)
        run.repeats.remember(identities)
        if alive:
            self._sign_of_life(run)

    def adopt(self, key: str, received: Path, size: int) -> str:
        """Keep a file that has arrived on this disk, by renaming it: the name under which a message can speak of it.

        Raises StorageError.
        """
        run = self._run(key)
        name = run.folder.adopt(received)
        run.part.archive.members[name] = Member(name, size)
        self._sign_of_life(run)
        return name

    def delete(self, key: str) -> None:
        """An experiment that is served is gone, and so are its copies. Raises StorageError."""
        experiment, copies = self.index.experiments[key], self.index.copies.get(key, [])
        if copies or len(experiment.record.parts) > 1:
            self.amend(key, lambda _: marked_deleted(_paths(experiment), copies))
        try:
            with full_disk():
                trash = delete(self.path, _paths(experiment), copies)
        except StorageFull:
            if key in self._runs:
                self.amend(key, lambda _: UNMARKED)
            raise
        self._runs.pop(key, None)
        self.index.remove(experiment)
        # It may hold a hundred thousand files, and no request waits for it.
        Thread(target=rmtree, args=(trash, True)).start()

    def beat(self, key: str, sent: int | None = None, *, prolongs: bool = False) -> None:
        """A sign of life. One that was `sent` (epoch ms) before the run ended comes late and means nothing, nor does
        one from the moments after: comet_ml's thread of heartbeats ends last, and a run that lives sends another.
        Unless it `prolongs` the run: then that ends with the last of them.
        """
        stop = stop_of(self._runs.get(key), _found(self.index, key))
        if stop is not None and not prolongs:
            if sent is None or sent <= stop + self.crashed_after * 1000 / HEARTBEATS:
                return
            self.resume(key)
        run = self._run(key)
        run.folder.amend(last_seen=now(), **({"stop_time": now()} if prolongs and stop is not None else {}))
        self._goes_on(run)

    def end(self, key: str, stop: int | None = None) -> None:
        """The run has ended, at `stop` (epoch ms)."""
        run = self._run(key)
        stop = max(stop or now(), run.experiment.record.start or 0)
        run.folder.amend(stop_time=stop, last_seen=now())
        run.experiment.liveness = None
        run.set_state()
        self._directory.touch()

    def retime(self, key: str, start: int | None, stop: int | None) -> None:
        """When the run began and ended (epoch ms), where that is given. One of several parts began when its first did,
        which is not ours to change; the start of the last keeps its place behind the others. What completes a run began
        later than that.
        """
        run = self._run(key)
        lone = len(run.experiment.record.parts) == 1 and not isinstance(run.repeats, ArchiveFilter)
        changes = {"start_time": start if lone else None, "stop_time": stop}
        run.folder.amend(**{name: at for name, at in changes.items() if at is not None})
        if lone and start is not None:
            run.experiment.record = run.experiment.record.begun(start)
        if stop is not None:
            run.experiment.liveness = None
        run.set_state()

    def amend(self, key: str, change: Callable[[Heading], Heading]) -> tuple[ServedExperiment, Heading]:
        """Change ``experiment.json`` of the run's last part: `change` gets all, and returns what is new.

        Whether and when the run ended follows from it at once, the rest of what is served with the next start; to
        change that too is up to the caller, which gets all of it.
        """
        run = self._run(key)
        run.folder.amend(**change(run.folder.heading))
        run.set_state()
        return run.experiment, run.folder.heading

    def _run(self, key: str) -> LoggedRun:
        return self._runs.get(key) or self._keep(taken_up(self.path, _found(self.index, key)))

    def _keep(self, run: LoggedRun) -> LoggedRun:
        if len(self._runs) >= AT_HAND:
            self._runs = {key: one for key, one in self._runs.items() if one.experiment.running}
        self._runs[run.experiment.key] = run
        return run

    def _write(self, run: LoggedRun, lines: list[LogLine]) -> None:
        if run.write(lines):
            self.index.registry = Registry(self.index.experiments.values())

    def _alive(self, experiment: ServedExperiment) -> None:
        if experiment.liveness is None:
            experiment.liveness = Liveness(self.crashed_after, self._clock)
        experiment.liveness.beat()
        self._directory.touch()

    def _sign_of_life(self, run: LoggedRun) -> None:
        """It sent what only a run itself sends: it is alive, unless it has ended. The next server is to know too."""
        heading = run.folder.heading
        if heading.get("stop_time") is not None:
            return
        if now() - (heading["last_seen"] or 0) >= self.crashed_after * 1000 / HEARTBEATS:
            with suppress(StorageFull):
                run.folder.amend(last_seen=now())
            run.set_state()
        self._alive(run.experiment)


def _found(index: Catalog, key: str) -> ServedExperiment:
    experiment = index.experiment(key, writable=True)
    if experiment is None:
        raise NotThere(f"experiment {key[:60]} does not exist")
    return experiment


def _paths(experiment: ServedExperiment) -> list[Path]:
    return [part.archive.path for part in experiment.record.parts]
