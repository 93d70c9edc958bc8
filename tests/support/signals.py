"""Signals as tests need them, however the suite was started: `nohup`, `&` in a script and some CI systems ignore some.

What a process ignores or blocks, the processes that it starts ignore or block too.
"""

from __future__ import annotations

import signal

ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


def pass_on_no_dispositions() -> None:
    """From now on children start with these signals at their defaults; this process goes on to ignore what it did."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in ENDING:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)  # a handler ends with `exec`, SIG_IGN does not
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it loses the status of every child
