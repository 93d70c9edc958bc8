"""What is beneath an exception of a library: the system's own error, in the system's own words.

Not here: which of our errors it becomes (`transport`).
"""

from __future__ import annotations

import os
import ssl


def reason(cause: BaseException) -> str:
    """What went wrong in the words of the system; not `str()`, which may hold addresses and line numbers."""
    if isinstance(cause, ssl.SSLError):
        return f"TLS: {(cause.reason or 'unknown fault').replace('_', ' ').lower()}"
    return os.strerror(cause.errno).lower() if isinstance(cause, OSError) and cause.errno else ""


def innermost(exc: BaseException) -> BaseException:
    """The first cause: the system's own error beneath those of the libraries."""
    while True:
        inner = exc.exceptions[0] if isinstance(exc, BaseExceptionGroup) else exc.__cause__ or exc.__context__
        if inner is None:
            return exc
        exc = inner
