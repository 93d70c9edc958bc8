"""What C code and the programs that it starts write to stderr, as lines.

Not here: what is made of them (session.py).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from cometfs.printable import printable

STDERR = 2


@contextmanager
def stderr_of_fuse() -> Iterator[list[str]]:
    """Collects what libfuse and fusermount3 write to stderr while the body runs; the list is filled at the end.

    What others write meanwhile, a logging thread perhaps, appears then, late but whole.
    """
    lines: list[str] = []
    kept = os.dup(STDERR)
    with os.fdopen(os.memfd_create("stderr"), "r+b") as file:
        os.dup2(file.fileno(), STDERR)
        try:
            yield lines
        finally:
            os.dup2(kept, STDERR)
            os.close(kept)
            file.seek(0)
            for line in file.read().decode(errors="replace").splitlines(keepends=True):
                if _OURS.match(line):
                    lines.append(printable(line.strip()))
                else:
                    os.write(STDERR, line.encode())


_OURS = re.compile(r"(lib)?fuse(rmount)?3?: ")
