"""cometfs, where answers hold for next to nothing: what changes at Comet is seen at once, and all the time.

Not here: what that shows (reference_model.py).
"""

from __future__ import annotations

import click

from cometfs import lease

lease.LISTING = lease.Lease(0.5)
lease.SETTLING = lease.Lease(1.0)

from cometfs.cli import main, mount  # noqa: E402  # those that take the lease by name take this one

for option in mount.params:
    if option.name == "live_interval":
        option.type = click.FLOAT  # shorter ones than any user may want

if __name__ == "__main__":
    main(prog_name="cometfs")
