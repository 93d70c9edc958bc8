"""How old what is shown may be, on a clock that jumps. Each test holds a promise of the manual's *How fresh it is*."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
import trio.testing

from cometfs.comet.api import API
from cometfs.comet.http.transport import Transport
from cometfs.composition.assembly import open_vfs
from cometfs.errors import Unreachable
from cometfs.lease import ACCOUNT, FINISHED, LISTING, RUNNING, SEALED, Lease
from cometfs.vfs.engine.vfs import Vfs
from tests.inprocess.conftest import BASELINE, Wire, at, names, read

INTERVAL = Lease(3.0)

OUTPUT = f"{BASELINE}/output.txt"

METRIC, EVERY_METRIC = "experiment/metrics/get-metric", "experiment/metrics/get-all"


@pytest.fixture
async def live(wire: Wire) -> AsyncIterator[Vfs]:
    """A mount that looks at what is running every `INTERVAL` seconds; all experiments of its Comet are."""
    wire.edits["experiments"] = _running
    wire.edits["experiment/metadata"] = lambda row: row.update(running=True)
    async with API("key", "http://comet", transport=Transport(wire)) as api, open_vfs(api, live=INTERVAL) as opened:
        yield opened


def _running(answer: Any) -> None:
    for row in answer["experiments"]:
        row["running"] = True


def _tagged(*tags: str) -> Any:
    return lambda answer: answer.update(tags=list(tags))


@pytest.mark.promise("Listings")
@pytest.mark.parametrize(
    ("directory", "endpoint", "lease", "added", "shown"),
    [
        ("", "workspaces", ACCOUNT, lambda answer: answer["workspaceNames"].append("new"), "new"),
        (
            "vision-lab",
            "projects",
            LISTING,
            lambda answer: answer["projects"].append({**answer["projects"][0], "projectName": "new", "projectId": "p"}),
            "new",
        ),
        (
            "vision-lab/digits",
            "experiments",
            LISTING,
            lambda answer: answer["experiments"].append(
                {**answer["experiments"][0], "experimentName": "new", "experimentKey": "k" * 32}
            ),
            "new",
        ),
    ],
)
async def test_what_is_new_is_listed_when_the_listing_has_run_out(
    vfs: Vfs,
    wire: Wire,
    autojump_clock: trio.testing.MockClock,
    directory: str,
    endpoint: str,
    lease: float,
    added: Any,
    shown: str,
) -> None:
    """Not a second later, and not asked for a second earlier."""

    async def listed() -> list[str]:
        return await names(vfs, directory) if directory else list((await vfs.listings.children(vfs.root))[0].nodes)

    assert shown not in await listed()
    wire.edits[endpoint] = added
    await trio.sleep(lease * 0.7)  # before the last quarter, in which what is in use is renewed
    assert shown not in await listed()
    assert wire.asked.count(endpoint) == 1
    await trio.sleep(lease * 0.3 + 0.1)
    assert shown in await listed()


@pytest.mark.promise("What has ended")
async def test_what_people_edit_of_an_ended_experiment_is_an_hour_old_at_most(
    vfs: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """Tags; and what only the run wrote a day."""
    wire.edits["experiment/code"] = lambda answer: answer.update(code="old")
    await read(vfs, f"{BASELINE}/tags.txt")
    await read(vfs, f"{BASELINE}/code.py")
    wire.edits |= {
        "experiment/tags": _tagged("new"),
        "experiment/code": lambda answer: answer.update(code="new"),
    }
    await trio.sleep(FINISHED + 0.1)
    assert await read(vfs, f"{BASELINE}/tags.txt") == b"new\n"
    assert await read(vfs, f"{BASELINE}/code.py") == b"old"
    await trio.sleep(SEALED - FINISHED)
    assert await read(vfs, f"{BASELINE}/code.py") == b"new"


@pytest.mark.promise("What has ended")
async def test_nothing_that_was_answered_before_an_ended_experiment_changed_is_shown_after(
    vfs: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """Its row tells of the change, and that is a minute old at most."""
    await read(vfs, f"{BASELINE}/tags.txt")

    def resumed(answer: Any) -> None:
        for row in answer["experiments"]:
            row["endTimeMillis"] += 1000

    wire.edits |= {"experiment/tags": _tagged("late"), "experiments": resumed}
    await trio.sleep(LISTING + 0.1)
    assert await read(vfs, f"{BASELINE}/tags.txt") == b"late\n"


@pytest.mark.promise("What is running")
async def test_what_is_running_is_asked_again_after_the_interval_and_not_before(
    live: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """The interval is the mount's own."""
    wire.edits["experiment/output"] = lambda answer: answer.update(output="one\n")
    assert await read(live, OUTPUT) == b"one\n"
    wire.edits["experiment/output"] = lambda answer: answer.update(output="one\ntwo\n")
    await trio.sleep(INTERVAL - 0.1)
    assert await read(live, OUTPUT) == b"one\n"
    await trio.sleep(0.2)
    assert await read(live, OUTPUT) == b"one\ntwo\n"
    assert wire.asked.count("experiment/output") == 2


@pytest.mark.promise("What is running")
async def test_a_metric_that_is_new_is_listed_after_the_interval(
    live: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """In metrics/ and by its name, though the name was asked for before."""
    before = await names(live, f"{BASELINE}/metrics")
    assert "new.csv" not in before

    def logged(answer: Any) -> None:
        answer["values"].append({**answer["values"][0], "name": "new"})

    wire.edits["experiment/metrics/summary"] = logged
    await trio.sleep(INTERVAL + 0.1)
    assert sorted([*before, "new.csv"]) == sorted(await names(live, f"{BASELINE}/metrics"))


async def test_who_follows_one_metric_is_not_sent_all_of_them(
    live: Vfs, wire: Wire, mock_clock: trio.testing.MockClock
) -> None:
    """Several that are read come together, in one call; a minute later that is over for who reads one only."""
    one, *others = (f"{BASELINE}/metrics/{name}" for name in await names(live, f"{BASELINE}/metrics"))
    for _ in range(3):
        for path in (one, *others):
            await read(live, path)
        mock_clock.jump(INTERVAL + 0.1)
    assert [path for path in wire.asked if "/get-" in path] == [METRIC, EVERY_METRIC, EVERY_METRIC, EVERY_METRIC]
    wire.asked.clear()
    for _ in range(40):
        await read(live, one)
        mock_clock.jump(INTERVAL + 0.1)
    asked = [path for path in wire.asked if "/get-" in path]
    assert len(asked) == 40
    assert asked[-15:] == [METRIC] * 15


@pytest.mark.promise("It only grows")
async def test_an_answer_that_lacks_the_end_of_the_last_one_takes_nothing_away(
    live: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """It came from a server that is behind; but one that says something else is the truth of now."""

    async def shown(output: str) -> bytes:
        wire.edits["experiment/output"] = lambda answer: answer.update(output=output)
        await trio.sleep(INTERVAL + 0.1)
        return await read(live, OUTPUT)

    assert await shown("one\ntwo\n") == b"one\ntwo\n"
    assert await shown("one\n") == b"one\ntwo\n"
    assert await shown("one\ntwo\nthree\n") == b"one\ntwo\nthree\n"
    assert await shown("other\n") == b"other\n"


@pytest.mark.promise("Without the server")
@pytest.mark.logs("Comet cannot be reached")
async def test_what_was_read_is_shown_without_the_server_and_what_was_not_is_an_error(
    vfs: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """What holds no more is marked as that; nothing is an empty file."""
    tags = await read(vfs, f"{BASELINE}/tags.txt")
    wire.failing = True
    await trio.sleep(LISTING * 0.7)
    assert await read(vfs, f"{BASELINE}/tags.txt") == tags
    with pytest.raises(Unreachable):
        await read(vfs, f"{BASELINE}/code.py")
    assert "stale" not in vfs.provenance(await at(vfs, f"{BASELINE}/code.py"))
    await trio.sleep(LISTING)
    assert await read(vfs, f"{BASELINE}/tags.txt") == tags
    assert vfs.provenance(await at(vfs, BASELINE.rpartition("/")[0]))["stale"] == "true"


@pytest.mark.promise("Nobody looks")
async def test_a_mount_that_nobody_reads_asks_nothing(
    live: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """After a look at everything, for a day, with runs that go on."""
    for path in ("metadata.json", "output.txt", "metrics.json"):
        await read(live, f"{BASELINE}/{path}")
    await names(live, f"{BASELINE}/metrics")
    await trio.testing.wait_all_tasks_blocked()
    asked = list(wire.asked)
    await trio.sleep(SEALED)
    assert wire.asked == asked


@pytest.mark.promise("Following")
async def test_what_comet_takes_in_after_the_end_is_seen_like_what_came_before(
    vfs: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """For two minutes a run that has ended counts as running; a file that grows is one until then."""

    def just_ended(answer: Any) -> None:
        for row in answer["experiments"]:
            row["endTimeMillis"] = time.time() * 1000

    wire.edits["experiments"] = just_ended
    wire.edits["experiment/output"] = lambda answer: answer.update(output="one\n")
    opened = await vfs.files.open(await at(vfs, OUTPUT))
    assert opened.grows
    wire.edits["experiment/output"] = lambda answer: answer.update(output="one\nlate\n")
    await trio.sleep(RUNNING + 0.1)
    assert opened.take(await vfs.files.open(await at(vfs, OUTPUT)))
    assert bytes(await opened.read(0, 99)) == b"one\nlate\n"


def _valued(value: float) -> Any:
    """All points of all metrics of a chart have that value."""

    def edit(answer: dict[str, Any]) -> None:
        for row in answer["experiments"].values():
            for metric in row["metrics"]:
                metric["values"] = [value] * len(metric["values"])

    return edit


@pytest.mark.promise("Listings")
async def test_what_a_project_tells_of_its_experiments_together_is_a_minute_old_at_most(
    live: Vfs, wire: Wire, autojump_clock: trio.testing.MockClock
) -> None:
    """Charts and tables, of experiments that run too."""
    chart, table = "vision-lab/digits/charts/loss.csv", "vision-lab/digits/summary/experiments.csv"
    before = await read(live, table)
    wire.edits["experiments/multi-metric-chart"] = _valued(7.0)
    assert b",7.0" in await read(live, chart)
    wire.edits["experiments/multi-metric-chart"] = _valued(8.0)
    wire.edits["experiments"] = lambda answer: answer["experiments"][0].update(experimentName="new name")
    await trio.sleep(LISTING)
    assert b",8.0" in await read(live, chart)
    del wire.edits["experiments/multi-metric-chart"]
    assert b"new name" in await read(live, table)
    assert b"new name" not in before
