"""Words of the declaration for what can be changed at Comet: an edited file, an experiment that is renamed or moved.

Not here: sending changes (vfs/changes/), and what they are (edits.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cometfs.comet.api import API
from cometfs.errors import CometFSError


class Change(Protocol):
    """One thing that is to be another at Comet. To make it twice is to make it once."""

    @property
    def what(self) -> str:
        """What is changed, for a sentence."""

    async def send(self, api: API) -> None:
        """Asks Comet for it. Raises what its answer raises."""

    async def came(self, api: API) -> bool:
        """Whether Comet has it now, as it tells itself. Raises what its answer raises."""

    def back(self) -> Change | None:
        """The change that takes this one back; None where Comet has none."""


@dataclass(frozen=True, eq=False)
class Edit:
    """What becomes of a file that was edited. Such a file is a text of one answer about one experiment."""

    changes: Callable[[str, bytes, bytes], Sequence[Change]]
    """From the experiment's key, the bytes that were edited and those they have become. Raises BadText and BadEdit for
    what means nothing, Refused for what Comet cannot do."""
    hopeless: Callable[[str, bytes, bytes], CometFSError | None]
    """What `changes` will raise whatever is still written behind the bytes that are there; None where that is not
    sure."""
    renames: bool = False
    """Whether a change of it may show in the listing of experiments."""


@dataclass(frozen=True)
class Movable:
    """Of the experiments of a directory: they can be renamed, and moved to such a directory of any project."""

    archived: bool
    """Whether they are those in the archive."""
