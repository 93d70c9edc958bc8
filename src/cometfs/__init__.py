"""cometfs: a Comet account (comet.com) as a directory, and Comet's JavaScript SDK in Python.

- `API`: the SDK's methods, async, under trio; `help(cometfs.API)` describes them
- `__version__`: the version of cometfs, a text

Errors are in `cometfs.errors`, forms of answers in `cometfs.comet.answers.models`, conditions of queries in
`cometfs.comet.answers.predicates`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cometfs._version import __version__

if TYPE_CHECKING:
    from cometfs.comet.api import API

__all__ = ["API", "__version__"]


def __getattr__(name: str) -> Any:
    # Late, because commands that never speak to Comet (umount, --help) need not wait for an HTTP client to load.
    if name == "API":
        from cometfs.comet.api import API

        return API
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
