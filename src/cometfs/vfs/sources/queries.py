"""Queries (``project/query``): which experiments of a project meet a condition, where a server answers that.

Not here: what is asked instead elsewhere (the callers know), conditions (comet/answers/predicates.py).
"""

from __future__ import annotations

import logging

from cometfs.comet.answers.predicates import Condition
from cometfs.errors import NO_OTHER_WAY, CometFSError, Unreachable
from cometfs.lease import FINISHED, LISTING
from cometfs.vfs.schema.declaration import Context, Resolver
from cometfs.vfs.sources.experiment import patiently

log = logging.getLogger(__name__)

WORKING = "project/query works"


async def experiments_with(asker: Resolver, project: Context, condition: Condition) -> list[str] | None:
    """The keys of the experiments that meet a condition; None where queries fail, which is remembered."""
    if asker.agreement(WORKING, project) is False:
        return None
    name = (project.project or {})["projectName"]
    try:
        return await patiently(lambda: asker.api.query_experiments(project.workspace, name, condition))
    except NO_OTHER_WAY:
        raise
    except CometFSError as error:
        log.debug("not asked by a query: %s", error)
        # It may be an outage.
        lease = LISTING if isinstance(error, Unreachable) else FINISHED
        asker.record_agreement(WORKING, project, agrees=False, lease=lease)
        return None
