"""cometfs, with listings that hold for a second instead of a minute: what they tell is seen without a long wait."""

from __future__ import annotations

from cometfs import lease

lease.LISTING = lease.Lease(1.0)
lease.SETTLING = lease.Lease(2.0)

from cometfs.mountstate import revalidate  # noqa: E402

revalidate.PAUSE = 0.5  # as in earnest, what was asked in vain still holds when it is asked for again

from cometfs.cli import main  # noqa: E402  # those that take the lease by name take this one

if __name__ == "__main__":
    main(prog_name="cometfs")
