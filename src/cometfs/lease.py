"""How long an answer may be reused: a value, and the policy that gives each kind of answer its own.

Not here: clocks and caches. A lease is a number of seconds; it counts from when the answer arrived.
"""

from __future__ import annotations

import math
from typing import NewType

Lease = NewType("Lease", float)
"""Seconds for which an answer holds, from the moment it arrived."""

ACCOUNT = Lease(300.0)
"""Workspaces of an account and notes of a project: changed by hand, rarely."""

LISTING = Lease(60.0)
"""Projects of a workspace, experiments of a project: new ones appear while people work."""

FINISHED = Lease(3600.0)
"""What people still edit of an experiment that has ended: tags, others, reports, assets that are added late."""

SEALED = Lease(24 * 3600.0)
"""What only the run itself wrote, of an experiment that has ended: looked at again once a day, in case."""

RUNNING = Lease(5.0)
"""An experiment that may still be logging, or one of which the server does not say, where a mount names no other
interval."""

SETTLING = Lease(120.0)
"""After the end of an experiment, while Comet may still be taking in what it logged last: it counts as running."""

MOMENT = Lease(1.0)
"""What changes all the time, and costs nothing."""

PARTIAL = Lease(5.0)
"""A table that lacks what could not be had: its size and its bytes are of one answer, and the next look asks again."""

MISSING = Lease(30.0)
"""Comet's answer that there is no such thing."""


def of_experiment(
    running: bool | None, live: Lease = RUNNING, ended: Lease = FINISHED, ended_ago: float = math.inf
) -> Lease:
    """The lease of an experiment's answers; `running` is None when the listing does not tell (older servers).

    `live`: what it is while the experiment may be running; `ended`: once it has ended, as long as its row in the
    listing stays the same. `ended_ago`: seconds since then; less than 0 by a clock that differs from Comet's.
    """
    return live if running is not False or is_settling(ended_ago) else ended


def is_settling(ended_ago: float) -> bool:
    """Whether something may still come of an experiment that ended so many seconds ago."""
    return abs(ended_ago) < SETTLING
