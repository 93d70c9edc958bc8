"""A Redis that hangs, dies and comes back: what is asked of it meanwhile does not wait, and is asked again in time."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest
import trio

from cometfs.errors import SetupError
from cometfs.shared.place import Away, Place, open_place
from cometfs.shared.scripts import GO_ON
from tests.support.certificates import Authority
from tests.support.redis_server import Redis, free_port, running


async def try_it(place: Place) -> bool:
    """Whether it can be used."""
    try:
        await place.run(GO_ON, [], [])
    except Away:
        return False
    return True


async def until_back(place: Place) -> None:
    with trio.fail_after(30):
        while not await try_it(place):  # noqa: ASYNC110  # it has no event
            await trio.sleep(0.02)


@pytest.mark.logs("shared cache")
async def test_nothing_waits_for_it_twice(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again by the way."""
    monkeypatch.setattr("cometfs.shared.place.PAUSES", (0.1,))
    monkeypatch.setattr("cometfs.shared.place.PATIENCE", 0.5)
    async with open_place(redis.url, "account", "key") as place:
        assert await try_it(place)
        redis.send(signal.SIGSTOP)
        assert not await try_it(place)
        monkeypatch.setattr("cometfs.shared.place.PATIENCE", 600.0)  # what waits now, waits for ever
        await trio.sleep(0.3)
        with trio.fail_after(30):
            for _ in range(10):
                assert not await try_it(place)
                await trio.sleep(0.01)
        redis.send(signal.SIGCONT)
        await until_back(place)


async def test_a_process_that_is_busy_itself_does_not_take_it_for_away(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer was there, and the program had a big table to make before it read that."""
    monkeypatch.setattr("cometfs.shared.place.PATIENCE", 1.0)
    async with open_place(redis.url, "account", "key") as place, trio.open_nursery() as nursery:
        assert await try_it(place)
        for _ in range(2):
            nursery.start_soon(place.run, GO_ON, [], [])
            await trio.lowlevel.checkpoint()
            time.sleep(1.5)  # noqa: ASYNC251  # which is the point
    assert not place.away


async def test_a_server_that_forgets_the_scripts_is_given_them_again(each_redis: Redis) -> None:
    """As one does that was started again, at any moment, with many requests on their way."""
    async with open_place(each_redis.url, "account", "key") as place:
        for _ in range(20):
            each_redis.ask("SCRIPT", "FLUSH")
            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(place.run, GO_ON, [], [])
                each_redis.ask("SCRIPT", "FLUSH")
        assert not place.away


@pytest.mark.logs("shared cache")
async def test_many_failures_at_once_are_one(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that was on its way fails when a server dies: that is no reason to leave it alone for longer."""
    monkeypatch.setattr("cometfs.shared.place.PAUSES", (0.1, 600.0))
    async with open_place(redis.url, "account", "key") as place:
        assert await try_it(place)
        redis.send(signal.SIGSTOP)
        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(try_it, place)
            await trio.sleep(0.3)
            redis.kill()
        redis.start()
        await until_back(place)


async def test_over_a_socket_file(tmp_path: Path) -> None:
    with running(tmp_path, "--unixsocket", str(tmp_path / "redis.sock")):
        async with open_place(f"unix://{tmp_path}/redis.sock", "account", "key") as place:
            assert await try_it(place)


async def test_a_password_with_any_characters(tmp_path: Path) -> None:
    with running(tmp_path, "--requirepass", "p@ss/w:rd%") as server:
        address = server.url.replace("redis://", "redis://:p%40ss%2Fw%3Ard%25@")
        async with open_place(address, "account", "key") as place:
            assert await try_it(place)


@pytest.mark.logs("certificate verify failed")
async def test_with_tls_the_server_is_verified(tmp_path: Path) -> None:
    """Its authority and its name."""
    ours, port = Authority.made(tmp_path / "ours"), free_port()
    other = Authority.made(tmp_path / "other").certificate
    ours.server("127.0.0.1")
    files = {"cert": "server.pem", "key": "server.key", "ca-cert": "authority.pem"}
    options = [part for kind, name in files.items() for part in (f"--tls-{kind}-file", str(ours.folder / name))]
    with running(tmp_path, "--tls-port", str(port), "--tls-auth-clients", "no", *options):
        for address, why in (
            (f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={ours.certificate}", ""),
            (f"rediss://localhost:{port}/0?ssl_ca_certs={ours.certificate}", "mismatch"),
            (f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={other}", "self-signed|issuer"),
            (f"rediss://127.0.0.1:{port}/0", "self-signed|issuer"),
        ):
            async with open_place(address, "account", "key") as place:
                assert await try_it(place) == (not why)
                assert re.search(why, place.why), place.why


async def test_certificates_that_are_not_there() -> None:
    with pytest.RaisesGroup(SetupError, flatten_subgroups=True, allow_unwrapped=True):
        async with open_place("rediss://:secret@x/0?ssl_ca_certs=/nowhere", "account", "key"):
            pass
