"""Which storage hosts cannot be used: remembered by host and port, for a while."""

from __future__ import annotations

import pytest
import trio.testing

from cometfs.comet.downloads.storages import StorageHosts
from cometfs.errors import Unreachable


@pytest.mark.logs("Comet sends files itself, as their storage cannot be used from here (no route)")
async def test_a_host_is_shunned_for_a_while(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says so once for each time; another port of it is another host."""
    hosts = StorageHosts()
    assert hosts.redirected("https://minio:9000/a?secret")
    for _ in range(3):
        hosts.shun("https://minio:9000/a?secret", Unreachable("no route"), 100.0)
    assert not hosts.redirected("https://minio:9000/b")
    assert len(caplog.records) == 1
    assert hosts.redirected("https://minio/a")
    assert hosts.usable
    await trio.sleep(100)
    assert hosts.usable
    assert hosts.redirected("https://minio:9000/b")
