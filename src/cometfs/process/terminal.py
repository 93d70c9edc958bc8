"""Which terminals are given colours, and which bars and pages that are drawn in place. The only place that makes
consoles of rich's.

Not here: what is printed (console.py), and which characters are (printable.py).
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # takes 50 ms to import
    from rich.console import Console

DUMB = ("", "dumb", "unknown")
"""Values of TERM of terminals that know no escapes."""


def draws(*, stderr: bool = False) -> bool:
    """Whether something can be drawn in place there: elsewhere lines come one after the other."""
    stream = sys.stderr if stderr else sys.stdout
    return stream.isatty() and os.environ.get("TERM", "") not in DUMB


def is_styled(*, stderr: bool = False) -> bool:
    """Whether there are colours and bold letters (https://no-color.org)."""
    return draws(stderr=stderr) and not os.environ.get("NO_COLOR")


def terminal(*, stderr: bool = False, markup: bool = False, highlight: bool = False) -> Console:
    """A console of rich's, which writes no escape where there are no styles."""
    from rich.console import Console

    return Console(
        stderr=stderr,
        color_system="auto" if is_styled(stderr=stderr) else None,
        highlight=highlight,
        markup=markup,
        emoji=False,
    )
