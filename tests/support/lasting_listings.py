"""Listings that hold for an hour instead of a minute, in this process: for tests that count calls while a busy machine
takes its time. A process of its own: cometfs_patient.py."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from cometfs import fsspec, lease

HOUR = lease.Lease(3600.0)


def prolong() -> list[tuple[ModuleType, str, object]]:
    """Lets them; returns what was there before. For a process that ends soon."""
    assert fsspec  # with it all modules are there that take a lease by name
    modules = [module for name, module in sys.modules.items() if name.startswith("cometfs.") or name == "cometfs"]
    found = [(module, name) for module in modules for name in ("LISTING", "MISSING") if name in vars(module)]
    before: list[tuple[ModuleType, str, object]] = [(module, name, vars(module)[name]) for module, name in found]
    for module, name in found:
        setattr(module, name, HOUR)
    return before


@contextmanager
def prolonged() -> Iterator[None]:
    """The same while the block runs."""
    before = prolong()
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
