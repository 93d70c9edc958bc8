"""The network goes away, or a part of the server: how long programs wait for it, and what it costs when it is back."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cometfs.comet.http.retries import RETRIES
from tests.support import fault_kinds as kinds
from tests.support.fault_proxy import Answer, Exchange, FaultProxy, Request, fault_proxy
from tests.support.processes import PATIENCE, Comet, running_comet, running_mount
from tests.support.subprocesses import await_that

FOREST = "tabular/wine-cultivars/forest-200"

OTHER = "vision-lab/digits/mlp-baseline"

READERS = 30

DEADLINE = 6

TOGETHER = READERS * DEADLINE / 3
"""Seconds: a third of what they take one after the other, and several times what they should."""


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[tuple[Comet, FaultProxy]]:
    """A Comet behind it."""
    with running_comet(tmp_path) as comet, fault_proxy(comet.url) as proxy:
        yield Comet(proxy.url, comet.process, comet.access_log, comet.archives), proxy


def everything(_request: Request) -> bool:
    return True


def of(endpoint: str) -> Callable[[Request], bool]:
    return lambda request: request.endpoint == endpoint


async def silence(exchange: Exchange) -> None:
    await exchange.never()


async def pause_of_a_day(exchange: Exchange) -> bool:
    await exchange.send(Answer(429, b'{"msg": "slow down", "code": 429}', (("Retry-After", "86400"),)).wire())
    return True


def cat(path: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["cat", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def read_once_back(path: Path) -> bytes:
    """What a file has, as soon as it can be read."""
    found: list[bytes] = []

    def readable() -> bool:
        with suppress(OSError):
            found.append(path.read_bytes())
        return bool(found)

    await_that(readable, "what is back cannot be read")
    return found[0]


@pytest.mark.parametrize("fault", ["silent", "refused"])
def test_readers_of_an_outage_do_not_wait_one_after_the_other(
    fault: str, tmp_path: Path, proxy: tuple[Comet, FaultProxy]
) -> None:
    """The kernel looks up one name after the other: each would wait its own deadline. None of them costs a call."""
    comet, between = proxy
    with running_mount(tmp_path, comet, "--deadline", str(DEADLINE)) as mounted:
        assert mounted.path.joinpath("tabular").is_dir()
        if fault == "silent":
            between.declare("silence", everything, silence)
        else:
            between.refuse()
        asked, began = len(between.seen), time.monotonic()
        readers = [cat(mounted / FOREST / "params.json") for _ in range(READERS)]
        ends = [reader.communicate(timeout=PATIENCE) for reader in readers]
        took = time.monotonic() - began
        assert {reader.returncode for reader in readers} == {1}
        said = b"".join(complaint for _, complaint in ends)
        assert said.count(os.strerror(errno.ENETUNREACH).encode()) + said.count(b"timed out") == READERS
        assert took < TOGETHER
        assert len([request for request in between.seen[asked:] if request.method == "GET"]) < 5
        assert all("authorization" not in request.headers for request in between.seen if request.method == "HEAD")
        if fault == "silent":
            between.clear("silence")
        else:
            between.accept()
        assert read_once_back(mounted / FOREST / "params.json").startswith(b"{")


def test_thirty_readers_of_a_server_that_fails_cost_one_call(tmp_path: Path, proxy: tuple[Comet, FaultProxy]) -> None:
    """And its tries; the reader that comes when it is well again, and asked before, has its bytes at once."""
    comet, between = proxy
    with running_mount(tmp_path, comet) as mounted:
        assert (mounted / FOREST / "output.txt").read_bytes()
        between.declare("500", of("experiment/parameters"), kinds.instead(kinds.COMET, 500))
        readers = [cat(mounted / FOREST / "params.json") for _ in range(READERS)]
        with pytest.raises(OSError, match=os.strerror(errno.EREMOTEIO)):
            (mounted / FOREST / "params.json").read_bytes()
        failed = os.strerror(errno.EREMOTEIO).encode()
        assert all(failed in reader.communicate(timeout=PATIENCE)[1] for reader in readers)
        assert between.clear("500") == 1 + RETRIES
        assert read_once_back(mounted / FOREST / "params.json").startswith(b"{")


def test_a_call_that_waits_ends_when_the_outage_is_known(tmp_path: Path, proxy: tuple[Comet, FaultProxy]) -> None:
    """With the error of those that come then, long before its own deadline."""
    comet, between = proxy
    with running_mount(tmp_path, comet, "--deadline", str(DEADLINE * 10)) as mounted:
        assert (mounted / FOREST / "params.json").read_bytes()
        between.declare("silence", of("experiment/output"), silence)
        began, first = time.monotonic(), cat(mounted / FOREST / "output.txt")
        await_that(lambda: between.met("silence") > 0, "nothing is asked")
        between.declare("resets", lambda request: request.endpoint != "experiment/output", kinds.reset)
        second = cat(mounted / OTHER / "params.json")
        for reader in (first, second):
            assert os.strerror(errno.ENETUNREACH).encode() in reader.communicate(timeout=PATIENCE)[1]
        assert time.monotonic() - began < DEADLINE * 5
        (line,) = [line for line in (mounted / ".cometfs/errors.log").read_text().splitlines() if "output.txt" in line]
        assert "does not answer since" in line


def test_a_connection_that_went_dead_costs_no_read(tmp_path: Path, proxy: tuple[Comet, FaultProxy]) -> None:
    """As after a sleep of the machine: what is connected is silent, what is made anew works."""
    comet, between = proxy
    with running_mount(tmp_path, comet) as mounted:
        assert (mounted / FOREST / "params.json").read_bytes()
        between.silence()
        assert (mounted / FOREST / "code.py").read_bytes()
        assert (mounted / FOREST / "output.txt").read_bytes()
        assert mounted.log.read_text() == ""


def test_no_reader_joins_a_call_of_one_that_gave_up(tmp_path: Path, proxy: tuple[Comet, FaultProxy]) -> None:
    """A call ends with the deadline; the next reader has a call of its own, and the rest of the server works."""
    comet, between = proxy
    with running_mount(tmp_path, comet, "--deadline", str(DEADLINE)) as mounted:
        assert (mounted / FOREST / "output.txt").read_bytes()
        between.declare("silence", of("experiment/parameters"), silence)
        with pytest.raises(OSError, match=os.strerror(errno.ETIMEDOUT)):
            (mounted / FOREST / "params.json").read_bytes()
        assert (mounted / FOREST / "code.py").read_bytes()
        between.clear("silence")
        assert (mounted / FOREST / "params.json").read_bytes()


def test_an_asset_that_falls_silent_ends_near_the_deadline(tmp_path: Path, proxy: tuple[Comet, FaultProxy]) -> None:
    """The kernel reads it anew after each error: one deadline for all, not for each. It costs one call."""
    comet, between = proxy
    with running_mount(tmp_path, comet, "--deadline", str(DEADLINE)) as mounted:
        assets = [path for path in (mounted / OTHER / "assets").rglob("*") if path.is_file()]
        asset = max(assets, key=lambda path: path.stat().st_size)
        assert asset.stat().st_size > 10_000
        between.declare("silence", of("experiment/asset/get-asset"), kinds.after_headers(kinds.silent))
        began, calls = time.monotonic(), between.met("silence")
        with pytest.raises(OSError, match=os.strerror(errno.ETIMEDOUT)):
            asset.read_bytes()
        assert time.monotonic() - began < 2 * DEADLINE
        assert between.clear("silence") == calls + 1
        assert read_once_back(asset)


def test_a_long_429_pauses_what_it_was_about(tmp_path: Path, proxy: tuple[Comet, FaultProxy]) -> None:
    """A file can be read no more for a while, all others can, and after a remount, too; nothing says otherwise."""
    comet, between = proxy
    with running_mount(tmp_path, comet) as mounted:
        between.declare("429", of("experiment/parameters"), pause_of_a_day)
        for _ in range(3):
            with pytest.raises(OSError, match=os.strerror(errno.EAGAIN)):
                (mounted / FOREST / "params.json").read_bytes()
        assert between.clear("429") == 1
        assert (mounted / FOREST / "output.txt").read_bytes()
        assert "used up" not in mounted.log.read_text()
        assert "Comet asked for a pause" in mounted.log.read_text()
    with running_mount(tmp_path, comet) as mounted:
        assert (mounted / FOREST / "params.json").read_bytes()
        assert mounted.log.read_text() == ""


def test_a_mount_that_must_not_call_gives_the_reason(tmp_path: Path, proxy: tuple[Comet, FaultProxy]) -> None:
    """The server is a Comet, and its address is right."""
    comet, between = proxy
    between.declare("429", everything, pause_of_a_day)
    with (
        pytest.raises(AssertionError, match="wants no calls now: mount again in a minute"),
        running_mount(tmp_path, comet),
    ):
        pass


LONG = 40
"""Seconds of a deadline."""

EARLY = 10
"""Seconds: then silence becomes an outage, which ends every wait."""


def test_a_queued_reader_can_be_killed(tmp_path: Path, proxy: tuple[Comet, FaultProxy]) -> None:
    """Long before the deadline, while the one before it waits for a silent server.

    On a machine that is busy the reader before it may be faster: the kernel lets either of them look up next.
    """
    comet, between = proxy
    for number in range(3):
        (place := tmp_path / str(number)).mkdir()
        with running_mount(place, comet, "--deadline", str(LONG)) as mounted:
            assert mounted.path.joinpath("tabular").is_dir()
            if _killed(mounted / FOREST / "params.json", between) < EARLY:
                return
    pytest.fail("each waited for the reader before it")


def _killed(path: Path, between: FaultProxy) -> float:
    """How many seconds it took a queued reader to die. The one before it reads on."""
    between.declare("silence", everything, silence)
    first = cat(path)
    await_that(lambda: between.met("silence") > 0, "nothing is asked")
    second = cat(path)
    await_that(lambda: _state(second.pid) == "D", "the second reader does not wait")
    began = time.monotonic()
    second.send_signal(signal.SIGKILL)
    second.communicate(timeout=PATIENCE)
    took = time.monotonic() - began
    reads_on = first.poll() is None
    between.clear("silence")
    found = first.communicate(timeout=PATIENCE)[0]
    if took < EARLY:
        assert reads_on
        assert found.startswith(b"{")
    return took


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
