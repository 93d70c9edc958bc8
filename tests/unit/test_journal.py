"""What is logged is in the folder, in the record, and in the record of the next server, whatever happened between."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cometfs.errors import SetupError
from cometfs.server.catalog import catalog
from cometfs.server.catalog.catalog import Catalog, open_directory
from cometfs.server.catalog.project import ServedExperiment
from cometfs.server.http.app import ANSWERS, answer_to
from cometfs.server.runs import content
from cometfs.server.runs.decode import decode
from cometfs.server.runs.record import RunRecord, Series
from cometfs.server.storage.deletion import DELETED
from cometfs.server.storage.errors import InvalidKey, NotThere, StorageError, StorageFull, Unreadable
from cometfs.server.storage.journal import Journal
from cometfs.server.storage.lock import lock
from cometfs.server.storage.log_lines import TIMED, LogLine, Message
from cometfs.server.storage.run_dir import HIDDEN

KEY = "00c0ffee" * 4
OTHER = "0badcafe" * 4


class Served:
    """A directory as a server has it; `kill` leaves it as a process that is killed does."""

    def __init__(self, directory: Path, replicate: int = 1) -> None:
        self.directory, self.time = directory, 0.0
        self.locked = lock(directory)
        self.index = open_directory(directory, replicate)
        self.journal = Journal(self.index, self.locked, crashed_after=30, clock=lambda: self.time)

    def kill(self) -> None:
        os.close(self.locked._file)
        # Used again it finds no lock, rather than by luck the next one's under the same number.
        self.locked._file = -1

    def again(self) -> Served:
        self.kill()
        return Served(self.directory)

    def __getitem__(self, key: str) -> ServedExperiment:
        return self.index.experiments[key]


@pytest.fixture
def served(tmp_path: Path) -> Served:
    made = Served(tmp_path)
    made.journal.begin(KEY, "ws", "p", 1000)
    return made


def point(value: Any, step: int | None = 0, at: int = 2000, name: str = "loss") -> Message:
    metric = {"epoch": None, "metricName": name, "metricValue": value, "step": step}
    return "metric_msg", {"local_timestamp": at, "metric": metric}


def piece(text: str, offset: int, sent: int = 1) -> Message:
    return "standard_output", {"output": text, "stderr": False, "offset": offset, "sent": sent}


def values(experiment: ServedExperiment, name: str = "loss") -> list[str]:
    return [one["metricValue"] for one in content.points(experiment.record, name)]


def told(experiment: ServedExperiment) -> dict[str, Any]:
    """All that a record tells, read from its lines where they have it."""
    record = experiment.record
    return {
        "name": experiment.name,
        "place": (experiment.project.workspace, experiment.project.name),
        "times": (record.start, record.end, record.last_seen),
        "state": (experiment.running, experiment.crashed, record.archived),
        "tags": record.tags,
        "parameters": record.parameters,
        "others": record.others,
        "metrics": {name: summary(one) + content.points(record, name) for name, one in record.metrics.items()},
        "assets": {key: (one.name, one.size, one.member) for key, one in record.assets.items()},
        "output": content.output(record),
        "html": content.html(record),
        "system": content.system_details(record),
    }


def summary(series: Series) -> list[Any]:
    return [series.summary.current, series.summary.low, series.summary.high]


texts = st.text(st.characters(codec="utf-8"), max_size=20)
numbers = st.one_of(st.integers(-5, 5), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["NaN", "x"]))
times = st.integers(10**12, 10**12 + 50)
messages = st.one_of(
    st.builds(point, numbers, st.integers(0, 5), times, st.sampled_from(["loss", "val/acc", "é"])),
    st.builds(lambda key, value: ("log_other", {"key": key, "value": value}), texts, st.one_of(texts, numbers)),
    st.builds(lambda name: ("log_other", {"key": "Name", "value": name}), texts),
    st.builds(piece, texts, st.integers(0, 100), st.integers(0, 9)),
    st.builds(lambda text: ("html", {"html": text}), texts),
    st.builds(lambda text: ("htmlOverride", {"htmlOverride": text}), texts),
    st.builds(
        lambda name, value, at: (
            "parameter_msg",
            {
                "local_timestamp": at,
                "param": {"paramName": name, "paramValue": value, "source": "manual", "step": None},
            },
        ),
        texts,
        numbers,
        times,
    ),
)
ordinary = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)


@ordinary
@given(st.lists(st.tuples(st.sampled_from([KEY, OTHER]), st.lists(messages, max_size=6)), max_size=8))
def test_the_next_server_tells_the_same(tmp_path_factory: pytest.TempPathFactory, requests: list[Any]) -> None:
    """Whatever is logged in whatever order, what was fed piece by piece is what is read from the folders at once."""
    served = Served(tmp_path_factory.mktemp("runs"))
    for key in (KEY, OTHER):
        served.journal.begin(key, None, "p", 1000)
    for key, sent in requests:
        served.journal.log(key, sent)
    before = {key: told(served[key]) for key in (KEY, OTHER)}
    later = served.again()
    assert {key: told(later[key]) for key in (KEY, OTHER)} == before
    later.kill()


def test_a_request_is_read_whole_or_not_at_all(served: Served) -> None:
    """Who has a record keeps it as it is: nothing is added to the names that somebody walks through."""
    seen = served[KEY].record
    walking = iter(seen.metrics)
    served.journal.log(KEY, [point(1), point(2, name="other")])
    assert list(walking) == []
    assert set(served[KEY].record.metrics) == {"loss", "other"}


def shown(record: RunRecord) -> dict[str, Any]:
    """The dictionaries of a record, and what else of it a version has for itself."""
    held = (record.parameters, record.others, record.assets)
    return {"names": (list(record.metrics), list(record.lines)), "values": [list(one.items()) for one in held]}


@ordinary
@given(st.lists(st.lists(messages, min_size=1, max_size=6), max_size=8))
def test_a_record_that_was_taken_stays_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, requests: list[list[Message]]
) -> None:
    """Whatever is logged later, readers see in the version that they have what was in it when they took it."""
    served = Served(tmp_path_factory.mktemp("runs"))
    served.journal.begin(KEY, None, "p", 1000)
    taken = []
    for request in requests:
        taken.append((served[KEY].record, shown(served[KEY].record)))
        served.journal.log(KEY, request)
    assert all(shown(record) == before for record, before in taken)
    served.kill()


def test_a_request_copies_only_what_it_changes(served: Served) -> None:
    """Points of metrics that are known copy no dictionary, however much the run has logged before."""
    arrived = served.directory / f"{HIDDEN}x"
    arrived.write_bytes(b"onetwo")
    upload = {"file_path": served.journal.adopt(KEY, arrived, 6), "upload_type": "asset"}
    other = ("log_other", {"key": "k", "value": 1})
    served.journal.log(KEY, [point(1), other, piece("a", 1), ("file_upload", upload)])
    before = served[KEY].record
    served.journal.log(KEY, [point(2, at=2001), piece("b", 2)])
    after = served[KEY].record
    assert after is not before
    fields = ("parameters", "others", "metrics", "assets", "lines", "registrations", "tags", "parts")
    assert [name for name in fields if getattr(after, name) is not getattr(before, name)] == []
    served.journal.log(KEY, [("log_other", {"key": "k", "value": 2})])
    assert before.others["k"].text == "1"
    assert served[KEY].record.metrics is before.metrics


@ordinary
@given(messages)
def test_a_message_says_what_its_line_says(message: Message) -> None:
    """A message is not read back from its line: what is served of it is what the next server reads there."""
    line = LogLine(*message)
    assert decode(line.numbered(7)) == [line.payload]


@pytest.mark.parametrize("kind", sorted(TIMED))
def test_a_message_without_a_time_gets_the_servers(kind: str) -> None:
    """Where its type has the time, in the payload or beside it."""
    fields: dict[str, dict[str, Any]] = {
        "metric_msg": {"metric": {"metricName": "é", "metricValue": [1, {"a": "b"}]}},
        "file_upload": {"file_path": "x"},
        "remote_file": {"remote_uri": "s3://b/x"},
        "register_model": {"model_name": "m"},
        "standard_output": {"output": "x", "offset": 3, "sent": 5},
    }
    line = LogLine(kind, fields.get(kind, {}))
    text = line.numbered(7)
    assert line.payload.local_timestamp is not None
    assert decode(text) == [line.payload]
    assert json.loads(text)["payload"]["message_id"] == 7


@pytest.mark.parametrize("kept", range(0, 130, 7))
def test_a_log_that_was_cut(tmp_path: Path, kept: int) -> None:
    """Killed while it wrote, a server leaves the beginning of what it had not acknowledged: half a line goes, what was
    acknowledged stays, and the client's repetition is complete and not doubled.
    """
    served = Served(tmp_path)
    served.journal.begin(KEY, "ws", "p", 1000)
    served.journal.log(KEY, [point(1, at=1)])
    log = tmp_path / KEY / "messages.json"
    acknowledged = log.stat().st_size
    request = [point(2, at=2), point(3, at=3)]
    served.journal.log(KEY, request)
    assert log.stat().st_size - acknowledged > 130
    os.truncate(log, acknowledged + kept)
    later = served.again()
    assert log.read_bytes().endswith(b"\n")
    assert values(later[KEY])[0] == "1"
    later.journal.log(KEY, request)
    assert values(later[KEY]) == ["1", "2", "3"]
    assert values(later.again()[KEY]) == ["1", "2", "3"]


def test_a_last_line_without_its_end_is_kept(served: Served) -> None:
    """A line that is whole but for its newline says what it says, and the next one begins a line."""
    served.journal.log(KEY, [point(1)])
    log = served.directory / KEY / "messages.json"
    os.truncate(log, log.stat().st_size - 1)
    later = served.again()
    later.journal.log(KEY, [point(2)])
    assert values(later[KEY]) == values(later.again()[KEY]) == ["1", "2"]


def test_a_file_is_kept_and_named_by_a_message(served: Served) -> None:
    """A file that arrived is an asset as soon as a message speaks of it, here and with the next server."""
    arrived = served.directory / f"{HIDDEN}x"
    arrived.write_bytes(b"onetwo")
    name = served.journal.adopt(KEY, arrived, 6)
    placed = {"assetId": "a", "fileName": "x.bin"}
    served.journal.log(KEY, [("file_upload", {"file_path": name, "upload_type": "asset", "additional_params": placed})])
    for one in (served, served.again()):
        asset = one[KEY].record.assets["a"]
        assert (asset.name, asset.size) == ("x.bin", 6)
        assert b"".join(content.asset_chunks(asset)) == b"onetwo"


def test_what_had_not_arrived_goes(served: Served) -> None:
    """A server that is killed leaves nothing half that lasts."""
    (served.directory / KEY / f"{HIDDEN}tmp1").write_bytes(b"half")
    (served.directory / f"{HIDDEN}{OTHER}").mkdir()
    served.again()
    assert not list(served.directory.rglob(f"{HIDDEN}*"))


def test_repetitions(served: Served) -> None:
    """A request that comes twice is kept once, also when a server was killed between; equal points of one request, and
    those that carry no time, are all kept.
    """
    request = [point(1), point(1), piece("a", 1), piece("a", 2), ("html", {"html": "x", "sent": 5})]
    served.journal.log(KEY, request)
    served.journal.log(KEY, request)
    later = served.again()
    later.journal.log(KEY, request)
    later.journal.log(KEY, [request[0], point(1, at=2001), piece("a", 3)])
    assert values(later[KEY]) == ["1", "1", "1"]
    assert content.output(later[KEY].record) == "aaa"
    assert content.html(later[KEY].record) == "x"
    untimed = ("metric_msg", {"metric": {"metricName": "t", "metricValue": 1}})
    later.journal.log(KEY, [untimed])
    later.journal.log(KEY, [untimed])
    assert values(later[KEY], "t") == ["1", "1"]


@pytest.mark.parametrize("partly", [False, True])
def test_a_full_disk_loses_nothing_and_keeps_no_half(
    served: Served, monkeypatch: pytest.MonkeyPatch, partly: bool
) -> None:
    """What cannot be written is refused as a whole; what was there stays, and what comes later is kept."""
    served.journal.log(KEY, [point(1)])
    write = os.write

    def failing(file: int, content: bytes) -> int:
        if partly:
            return write(file, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "write", failing)
        with pytest.raises(StorageFull, match="cannot be written") as refused:
            served.journal.log(KEY, [point(2), point(3)])
    assert answer_to(refused.value).status == 507
    assert values(served[KEY]) == ["1"]
    served.journal.log(KEY, [point(2), point(3)])
    assert values(served[KEY]) == values(served.again()[KEY]) == ["1", "2", "3"]


def state(experiment: ServedExperiment) -> str:
    return "running" if experiment.running else "crashed" if experiment.crashed else "finished"


def test_states(served: Served) -> None:
    """Alive while it is heard of, crashed when it is not, alive when it is again, and finished when it says so."""
    assert state(served[KEY]) == "running"
    served.time = 29.0
    served.journal.log(KEY, [point(1)])
    served.time = 58.0
    assert state(served[KEY]) == "running"
    served.time = 60.0
    assert state(served[KEY]) == "crashed"
    served.journal.beat(KEY)
    assert state(served[KEY]) == "running"
    served.journal.end(KEY, 5000)
    assert (state(served[KEY]), served[KEY].record.end) == ("finished", 5000)
    served.journal.beat(KEY, 4999)
    served.journal.log(KEY, [point(2)])
    assert (state(served[KEY]), served[KEY].record.end) == ("finished", 5000), "what comes late changes nothing"
    served.journal.resume(KEY)
    assert state(served[KEY]) == "running"


def test_states_after_a_restart(served: Served) -> None:
    """Who was alive when the server was killed is given time to come again; who had crashed before has crashed."""
    served.journal.begin(OTHER, "ws", "p", 1000)
    served.journal.amend(OTHER, lambda heading: {"last_seen": heading["last_seen"] - 31_000})
    served.journal.beat(KEY)
    later = served.again()
    assert (state(later[KEY]), state(later[OTHER])) == ("running", "crashed")
    later.time = 31.0
    assert state(later[KEY]) == "crashed"
    later.journal.beat(OTHER)
    assert state(later[OTHER]) == "running"


def test_a_run_that_says_it_failed_has_crashed(served: Served) -> None:
    """Its word outlives its end and the server."""
    served.journal.amend(KEY, lambda _: {"has_crashed": True})
    served.journal.end(KEY, 5000)
    assert state(served[KEY]) == state(served.again()[KEY]) == "crashed"


def archive(directory: Path, key: str, start: int = 10) -> Path:
    """A finished run as OfflineExperiment leaves it."""
    path = directory / f"{key}.zip"
    heading = {"offline_id": key, "workspace": "ws", "project_name": "p", "start_time": start, "stop_time": start + 10}
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("experiment.json", json.dumps(heading))
        made.writestr("messages.json", json.dumps(dict(zip(("type", "payload"), point(1, at=15), strict=True))) + "\n")
    return path


def test_an_archive_is_gone_on_with_beside_it(tmp_path: Path) -> None:
    """What is logged to a run that came as an archive is its next part; archive and copies stay as they are."""
    before = archive(tmp_path, KEY).read_bytes()
    served = Served(tmp_path, replicate=2)
    (copy,) = (one for one in served.index.experiments.values() if one.is_replica)
    served.journal.log(KEY, [point(2)])
    assert (state(served[KEY]), values(served[KEY])) == ("finished", ["1", "2"])
    assert values(copy) == ["1"]
    served.journal.resume(KEY)
    assert state(served[KEY]) == "running"
    served.journal.log(KEY, [point(3)])
    served.journal.end(KEY)
    with pytest.raises(NotThere, match="does not exist"):
        served.journal.log(copy.key, [point(2)])
    later = served.again()
    assert (state(later[KEY]), values(later[KEY])) == ("finished", ["1", "2", "3"])
    assert (tmp_path / f"{KEY}.zip").read_bytes() == before


def test_a_folder_of_somebody_else_is_never_written_to(tmp_path: Path) -> None:
    """An archive that somebody unpacked stays as it is, even where a run's own folder would be."""
    with zipfile.ZipFile(archive(tmp_path, KEY)) as packed:
        packed.extractall(tmp_path / KEY)
    (tmp_path / f"{KEY}.zip").unlink()
    before = {path: path.read_bytes() for path in (tmp_path / KEY).iterdir()}
    served = Served(tmp_path)
    served.journal.log(KEY, [point(2)])
    assert values(served.again()[KEY]) == ["1", "2"]
    assert {path: path.read_bytes() for path in (tmp_path / KEY).iterdir()} == before


@pytest.mark.parametrize("key", ["", "x", "../" + "a" * 30, "/" * 32, "a" * 31 + "/", "." * 32, "é" * 32, "a" * 51])
def test_a_key_is_no_path(served: Served, key: str) -> None:
    """What is no key makes no folder anywhere."""
    with pytest.raises(InvalidKey, match="no experiment key"):
        served.journal.begin(key, "ws", "p", 1)
    assert {path.name for path in served.directory.iterdir()} == {KEY, ".cometfs-serve"}


def test_one_server_for_a_directory(served: Served) -> None:
    """A second one is told so, until the first has ended."""
    with pytest.raises(SetupError, match="another server"):
        lock(served.directory)
    served.locked.close()
    lock(served.directory).close()


def test_new_places(served: Served) -> None:
    """Workspaces and projects come into being by being logged to; where none is named there are defaults."""
    assert served.index.default_workspace() == "ws"
    served.journal.begin(OTHER, None, None, 1)
    assert served.index.workspaces() == ["default", "ws"]
    assert served.index.default_workspace() == "default"
    assert [project.name for project in served.index.projects_of("default")] == ["general"]
    assert isinstance(served.index, Catalog)


@pytest.mark.parametrize(
    "message", [("metric_msg", {"metric": {"metricValue": 1}}), ("system_details", {"pid": "no number"}), ("what", {})]
)
def test_what_could_not_be_read_again_is_not_kept(served: Served, message: Message) -> None:
    """A message of another shape than its type has is refused, with all of its request."""
    with pytest.raises(Unreadable, match="not what this endpoint takes"):
        served.journal.log(KEY, [point(1), message])
    assert (served.directory / KEY / "messages.json").read_bytes() == b""


def test_many_runs_that_ended_can_be_written_to(tmp_path: Path) -> None:
    """Only some are kept at hand; what comes late for another is kept all the same."""
    served = Served(tmp_path)
    keys = [f"{number:032}" for number in range(150)]
    for key in keys:
        served.journal.begin(key, "ws", "p", 1)
        served.journal.end(key)
        served.journal.log(key, [point(1)])
    assert len(served.journal._runs) <= 64
    served.journal.log(keys[0], [point(2)])
    later = served.again()
    assert values(later[keys[0]]) == ["1", "2"]
    assert all(values(later[key]) == ["1"] for key in keys[1:])


@pytest.mark.logs("it is the same run as")
def test_a_backup_of_a_run_beside_it_doubles_nothing(served: Served) -> None:
    """A run that somebody zipped while it grew is the folder that has more, and goes on there."""
    served.journal.log(KEY, [point(1, at=1)])
    with zipfile.ZipFile(served.directory / f"{KEY}.zip", "w") as backup:
        for member in (served.directory / KEY).iterdir():
            backup.write(member, member.name)
    served.journal.log(KEY, [point(2, at=2)])
    later = served.again()
    later.journal.log(KEY, [point(3, at=3)])
    assert values(later[KEY]) == ["1", "2", "3"]
    assert {path.name for path in served.directory.iterdir()} == {KEY, f"{KEY}.zip", ".cometfs-serve"}


def test_what_is_told_of_an_archives_start_loses_nothing(tmp_path: Path) -> None:
    """A run that came as an archive began when the archive says: what was logged to it is there with the next server,
    and also where a server had given both parts the same start.
    """
    archive(tmp_path, KEY)
    served = Served(tmp_path)
    served.journal.log(KEY, [point(2)])
    served.journal.retime(KEY, 10, 30)
    later = served.again()
    assert values(later[KEY]) == ["1", "2"]
    assert (later[KEY].record.start, later[KEY].record.end) == (10, 30)
    later.journal.amend(KEY, lambda _: {"start_time": 10})
    assert values(later.again()[KEY]) == ["1", "2"]


def test_an_archive_of_a_clock_ahead(tmp_path: Path) -> None:
    """What is logged to it comes after what it says, with the next server too."""
    ahead = 4_000_000_000_000
    archive(tmp_path, KEY, ahead)
    served = Served(tmp_path)
    served.journal.log(KEY, [("log_other", {"key": "Name", "value": "new"}), point(2)])
    served.journal.amend(KEY, lambda _: {"archived": True})
    later = served.again()
    assert (values(later[KEY]), later[KEY].record.archived) == (["1", "2"], True)
    later.journal.log(KEY, [point(3)])
    assert {path.name for path in tmp_path.iterdir()} == {KEY, f"{KEY}.zip", ".cometfs-serve"}


@pytest.mark.logs("it is the same run as")
def test_a_delete_that_fails_has_deleted_nothing(tmp_path: Path) -> None:
    """All of it is served on, here and by the next server, and can be deleted later."""
    archive(tmp_path, KEY)
    served = Served(tmp_path)
    served.journal.log(KEY, [point(2)])
    (tmp_path / f"{OTHER}.zip").write_bytes((tmp_path / f"{KEY}.zip").read_bytes())
    served = served.again()
    (tmp_path / DELETED).write_text("in the way")
    with pytest.raises(StorageFull, match="cannot be written"):
        served.journal.delete(KEY)
    (tmp_path / DELETED).unlink()
    served.journal.log(KEY, [point(3)])
    later = served.again()
    assert values(later[KEY]) == ["1", "2", "3"]
    later.journal.delete(KEY)
    assert {path.name for path in (tmp_path / DELETED).iterdir()} == {f"{KEY}.zip", f"{OTHER}.zip"}
    assert {path.name for path in tmp_path.iterdir() if HIDDEN not in path.name} == {DELETED, ".cometfs-serve"}


@pytest.mark.logs("it is the same run as")
@pytest.mark.parametrize("name", ["my-backup", f"{KEY}-2", f"{KEY}-copy"])
@pytest.mark.parametrize("killed", [False, True])
def test_a_backup_outlives_a_delete(served: Served, name: str, killed: bool) -> None:
    """A copy that somebody made of what was logged here is not ours to destroy."""
    served.journal.log(KEY, [point(1)])
    shutil.copytree(served.directory / KEY, served.directory / name)
    before = {path.name: path.read_bytes() for path in (served.directory / name).iterdir()}
    later = served.again()
    if killed:
        later.journal.amend(KEY, lambda _: {"deleted_with": [], "deleted_copies": [name]})
        later = later.again()
    else:
        later.journal.delete(KEY)
    assert later.index.experiments == {}
    kept = served.directory / DELETED / name
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before
    assert not (served.directory / KEY).exists()


def test_a_backup_is_never_written_to(served: Served) -> None:
    """Where only the copy is left under its own name, the run goes on beside it."""
    served.journal.log(KEY, [point(1)])
    served.kill()
    backup = (served.directory / KEY).rename(served.directory / "my-backup")
    before = {path.name: path.read_bytes() for path in backup.iterdir()}
    later = Served(served.directory)
    later.journal.log(KEY, [point(2)])
    assert values(later.again()[KEY]) == ["1", "2"]
    assert {path.name: path.read_bytes() for path in backup.iterdir()} == before


def test_a_folder_takes_nothing_with_it_but_its_own(tmp_path: Path) -> None:
    """Whatever a folder says that came from somewhere: what goes with it is of its experiment, and in its directory."""
    (tmp_path / "runs").mkdir()
    served = Served(tmp_path / "runs")
    served.journal.begin(KEY, "ws", "p", 1)
    served.journal.begin(OTHER, "ws", "p", 1)
    (tmp_path / "runs" / "notes").mkdir()
    served.journal.amend(KEY, lambda _: {"deleted_with": ["..", ".", "", OTHER, "notes", KEY]})
    later = served.again()
    assert set(later.index.experiments) == {OTHER}
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {OTHER, "notes", ".cometfs-serve"}


@pytest.mark.logs("left as it is")
def test_one_thing_that_cannot_be_mended_closes_nothing(served: Served) -> None:
    """Stray files go, and a folder that is broken is no reason to take nothing for the others."""
    (served.directory / f"{HIDDEN}x").write_text("a file")
    (served.directory / f"{HIDDEN}y").symlink_to(served.directory / KEY)
    (served.directory / KEY / f"{HIDDEN}z").mkdir()
    served.journal.begin(OTHER, "ws", "p", 1000)
    (served.directory / OTHER / "messages.json").unlink()
    (served.directory / OTHER / "messages.json").mkdir()
    served.kill()
    locked = lock(served.directory)
    assert not list(served.directory.rglob(f"{HIDDEN}*"))
    assert (served.directory / KEY / "messages.json").exists()
    locked.close()


@pytest.mark.parametrize("depth", [190, 250, 500, 900, 955, 990, 20_000])
def test_what_is_too_deep_is_not_kept(served: Served, depth: int) -> None:
    """What is kept can be read by the next server; what could not be fed is not in the file."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    log = served.directory / KEY / "messages.json"
    request = [point(1), ("log_other", {"key": "deep", "value": value})]
    if depth < 200:
        served.journal.log(KEY, request)
    else:
        with pytest.raises(Unreadable, match="levels deep"):
            served.journal.log(KEY, request)
        assert log.read_bytes() == b""
        served.journal.log(KEY, request[:1])
    assert told(served[KEY])["others"] == told(served.again()[KEY])["others"]
    assert values(served[KEY]) == ["1"]


def test_what_is_told_of_the_end_is_the_end(served: Served) -> None:
    """Here as with the next server; a beat that is older changes nothing, nor does one of the ten seconds after it, in
    which a run that lives sends another. One that is younger does.
    """
    served.journal.retime(KEY, None, 5000)
    for one in (served, served.again()):
        assert (state(one[KEY]), one[KEY].record.end) == ("finished", 5000)
    for late in (4999, 5001, 15_000):
        one.journal.beat(KEY, late)
        assert (state(one[KEY]), one[KEY].record.end) == ("finished", 5000)
    one.journal.beat(KEY, 15_001)
    assert state(one[KEY]) == "running"


def test_a_failure_that_is_told_after_the_end(served: Served) -> None:
    """It counts at once, as with the next server."""
    served.journal.end(KEY, 5000)
    served.journal.amend(KEY, lambda _: {"has_crashed": True})
    assert state(served[KEY]) == state(served.again()[KEY]) == "crashed"


def test_who_looks_at_a_run_does_not_bring_it_to_life(served: Served) -> None:
    """To name a run that has crashed is not to go on with it; what the run itself sends is, with every server."""
    served.time = 31.0
    served.journal.log(KEY, [("log_other", {"key": "Name", "value": "x"})], alive=False)
    assert state(served[KEY]) == "crashed"
    served.journal.amend(KEY, lambda heading: {"last_seen": heading["last_seen"] - 31_000})
    later = served.again()
    assert state(later[KEY]) == "crashed"
    later.journal.log(KEY, [point(1)])
    assert state(later[KEY]) == "running"


def test_who_logs_without_beats_is_alive_with_the_next_server(served: Served) -> None:
    """What is logged is a sign of life as good as a beat."""
    served.journal.amend(KEY, lambda heading: {"last_seen": heading["last_seen"] - 31_000})
    served.journal.log(KEY, [point(1)])
    assert state(served.again()[KEY]) == "running"


def test_a_client_whose_clock_is_ahead(tmp_path: Path) -> None:
    """No run ends before it began."""
    served = Served(tmp_path)
    ahead = 4_000_000_000_000
    served.journal.begin(KEY, "ws", "p", ahead)
    assert served[KEY].record.end == served.again()[KEY].record.end == ahead


def test_a_beat_that_means_nothing_makes_nothing(tmp_path: Path) -> None:
    """Of a run that came as an archive and ended."""
    archive(tmp_path, KEY)
    served = Served(tmp_path)
    served.journal.beat(KEY)
    served.journal.beat(KEY, 15)
    assert {path.name for path in tmp_path.iterdir()} == {f"{KEY}.zip", ".cometfs-serve"}
    served.journal.beat(KEY, 4_000_000_000_000)
    assert state(served[KEY]) == "running"


def test_what_comes_late_finds_its_run_nowait(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that has just ended is not read again for its last words."""
    served.journal.log(KEY, [point(1)])
    served.journal.end(KEY)
    monkeypatch.setattr("cometfs.server.storage.journal.remembered", None)
    served.journal.log(KEY, [point(1), point(2)])
    assert values(served[KEY]) == ["1", "2"]


REGISTER: Message = ("register_model", {"model_name": "m", "version": "1.0.0", "local_timestamp": 5})


def test_a_registered_model_moves_with_its_run(served: Served) -> None:
    """At once, as with the next server; and it goes when the run is deleted."""
    served.journal.log(KEY, [REGISTER])
    served.journal.amend(KEY, lambda _: {"workspace": "other", "project_name": "p"})
    served.index.move(served[KEY], "other", "p")
    for one in (served, served.again()):
        assert one.index.registry.workspaces() == {"other"}
    one.journal.delete(KEY)
    assert one.index.registry.workspaces() == set()


def test_a_delete_leaves_alone_what_the_others_registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor are the others looked at: a delete among many is as fast as among few. Replicas go with their original."""
    archive(tmp_path, KEY)
    served = Served(tmp_path, replicate=3)
    served.journal.begin(OTHER, "ws", "p", 1)
    served.journal.log(OTHER, [REGISTER])
    monkeypatch.setattr(catalog, "Registry", None)
    served.journal.log(KEY, [point(2)])
    served.journal.delete(KEY)
    assert set(served.index.experiments) == {OTHER}
    assert [one.key for project in served.index.projects_of("ws") for one in project.experiments] == [OTHER]
    assert served.index.registry.workspaces() == {"ws"}


def test_a_heading_without_a_start_is_written_on(served: Served) -> None:
    """Somebody edited it; a run that goes on has an end all the same, as comet_ml's uploader wants it."""
    heading = served.directory / KEY / "experiment.json"
    told = json.loads(heading.read_bytes())
    heading.write_text(json.dumps({name: value for name, value in told.items() if name != "start_time"}))
    served.again().journal.beat(KEY)
    now = json.loads(heading.read_bytes())
    assert now["stop_time"] == now["last_seen"] >= told["last_seen"]


def test_what_others_write_beside_a_payload_is_nothing_to_us(served: Served) -> None:
    """Only of messages whose time stands there, because comet_ml's schemas have no place for it in the payload."""
    served.journal.log(KEY, [point(1, step=1, at=2000)])
    log = served.directory / KEY / "messages.json"
    line = json.loads(log.read_bytes())
    log.write_text("".join(json.dumps(line | {"local_timestamp": at}) + "\n" for at in ("late", 9_000_000)))
    found = served.again()[KEY].record
    assert (found.line_count, found.last_seen) == (2, 2000)


def test_every_error_of_the_storage_has_an_answer() -> None:
    """A new one cannot be forgotten at the border."""
    assert set(ANSWERS) == set(StorageError.__subclasses__())
    assert all(one.__subclasses__() == [] for one in ANSWERS)
