"""What an archive says that is known already. When its server is away at the end of a run, comet_ml writes an archive
of all that the run logged, also of what the server had taken; each message is to be there once.

Points and parameters have the writer's time, files have ids: equal ones are the same. What adds up and has neither,
like output, is the same when it is equal and of the same process: one whose points are known, too. Of the rest the last
one counts, and twice is as good as once.

Not here: which archives are such (`load`), requests that are repeated (`storage.dedup`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from contextlib import closing, suppress

import msgspec

from cometfs.server.runs import schema as m
from cometfs.server.runs.decode import BrokenLine, decode
from cometfs.server.runs.lines import lines_of
from cometfs.server.runs.zip_reader import MESSAGES, Archive

TIMED = (m.Metric, m.Parameter)
NAMED = (m.FileUpload, m.RemoteFile, m.Scene)
ADDED = (m.Output, m.Html, m.HtmlOverride, m.SystemInfo, m.RegisterModel)


class Overlap:
    """Messages that are known, each as often as it is known.

    `is_shared` where a point or a parameter of the archive is known: the same process logged both. None until one came:
    comet_ml's uploader sends reports before them, and output behind them.
    """

    def __init__(self, known: Iterable[m.Payload], since: float) -> None:
        """`since` is when the process began that wrote the archive. What was logged before is another's, unless no
        point and no parameter is older: then clocks differ.
        """
        before: Counter[Hashable] = Counter()
        self._known: Counter[Hashable] = Counter()
        self.is_shared: bool | None = None
        at, is_first = since, True
        for payload in known:
            at = payload.local_timestamp or at
            is_first = is_first and not (isinstance(payload, TIMED) and at < since)
            others = at < since and isinstance(payload, ADDED)
            (before if others else self._known).update(_identities(payload))
        if is_first:
            self._known.update(before)

    def look_for(self, archived: Iterable[m.Payload]) -> None:
        """Find out whether they are shared, before all of them are asked for."""
        points = (payload for payload in archived if isinstance(payload, TIMED))
        self.is_shared = any(self._known[one] > 0 for payload in points for one in _identities(payload))

    def has(self, payload: m.Payload) -> bool:
        """Whether this message is known. What is known once is so for the first that is asked for."""
        identities = _identities(payload)
        if not identities or self._is_of_another(payload) or not all(self._known[one] > 0 for one in identities):
            return False
        self._known.subtract(identities)
        if isinstance(payload, TIMED):
            self.is_shared = True
        return True

    def _is_of_another(self, payload: m.Payload) -> bool:
        unsure = isinstance(payload, m.Output) and self.is_shared is None
        return isinstance(payload, ADDED) and (unsure or self.is_shared is False)


def messages_in(archives: Iterable[Archive]) -> Iterator[m.Payload]:
    """All messages that can be read."""
    for archive in archives:
        with suppress(OSError), closing(archive.open(MESSAGES)) as file:
            for _, line in lines_of(file):
                with suppress(BrokenLine):
                    yield from decode(line)


def _identities(payload: m.Payload) -> list[Hashable]:
    """One or none. Of a scene those of its items, which come singly."""
    if isinstance(payload, m.Scene):
        return [(m.Scene, payload.name, payload.step, item.file_name) for item in payload.items]
    if isinstance(payload, m.FileUpload | m.RemoteFile):
        placed = payload.additional_params or m.Placement()
        named = placed.asset_id or placed.image_id
        return [(type(payload), named)] if named else []
    if not isinstance(payload, TIMED + ADDED):
        return []
    timeless = payload if isinstance(payload, TIMED) else msgspec.structs.replace(payload, local_timestamp=None)
    return [hash((type(payload), msgspec.json.encode(timeless)))]
