"""coredis 6 logs each connection that fails with its stack, and leaves streams unclosed over which it passed requests.

The streams hold nothing outside of this process; Python would warn of each where warnings are shown. What fails is
logged once, where it was asked for (shared/place.py). The filter can go when coredis closes its streams.
"""

from __future__ import annotations

import logging
import warnings


def quiet() -> None:
    """Lets neither be shown."""
    warnings.filterwarnings("ignore", "Unclosed <MemoryObject", ResourceWarning)
    logging.getLogger("coredis").setLevel(logging.CRITICAL)
