"""cometfs, with listings that hold for an hour instead of a minute: a slow machine has the time to look twice."""

from __future__ import annotations

from cometfs import lease

lease.LISTING = lease.Lease(3600.0)
lease.MISSING = lease.Lease(3600.0)

from cometfs.cli import main  # noqa: E402  # those that take the lease by name take this one

if __name__ == "__main__":
    main(prog_name="cometfs")
