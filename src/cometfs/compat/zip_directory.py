"""How long a zip's table of members is, before `zipfile` takes all of it into memory.

`zipfile._EndRecData` is private; it knows where the table stands, in zip64, too. No upstream issue is known. Can go
when `zipfile` reads the table piece by piece or has a bound for it."""

from __future__ import annotations

import zipfile
from typing import Any, BinaryIO, cast

_ENDING = cast(Any, zipfile)


def size_of_directory(file: BinaryIO) -> int:
    """In bytes; 0 where the file has no such table."""
    ending = _ENDING._EndRecData(file)
    return 0 if ending is None else int(ending[_ENDING._ECD_SIZE])
