"""All checks of this machine, one after the other. What one finds wrong ends none of the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cometfs.comet.settings import Settings
from cometfs.doctor.local import machine, server
from cometfs.doctor.local.cache import cache
from cometfs.doctor.local.finding import Finding
from cometfs.errors import SetupError


async def look(credentials: Callable[[], Settings], cache_dir: Path | None) -> list[Finding]:
    """`credentials`: finds key and address, or raises SetupError."""
    found = [*machine.fuse(), *machine.dead_mounts(), *cache(cache_dir), *machine.system()]
    try:
        settings = credentials()
        found += server.settings(settings)
    except SetupError as error:
        return [server.without_key(error), *found]
    return [*found, *await server.asked(settings)]
