"""The embedded Comet as an older one: it answers 404 to what servers before 3.20.60, or on premises, may lack.

`python old_comet.py serve ...` takes the arguments of `cometfs serve`. Not here: Comet.
"""

from __future__ import annotations

import sys

from cometfs.cli import main
from cometfs.server.read_api.endpoints import FROM_DISK, POSTED

LACKING = ("experiment/metrics/get-all", "experiments/search", "project/query")


def forget() -> None:
    """Takes those endpoints out of the tables that routes are made of."""
    for path in LACKING:
        for table in (FROM_DISK, POSTED):
            table.pop(path, None)


if __name__ == "__main__":
    forget()
    sys.exit(main(sys.argv[1:]))
