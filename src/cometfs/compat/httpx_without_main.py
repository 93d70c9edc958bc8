"""httpx without its command, which it imports where rich and pygments are installed: 50 ms of every start.

httpx does without `httpx._main` where that import fails, so it fails here. No upstream issue is known. Can go when
httpx imports its command only to run it."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import cast

_NO_MODULE = cast(ModuleType, None)
sys.modules.setdefault("httpx._main", _NO_MODULE)
import httpx as httpx  # noqa: E402

if sys.modules["httpx._main"] is _NO_MODULE:
    del sys.modules["httpx._main"]
