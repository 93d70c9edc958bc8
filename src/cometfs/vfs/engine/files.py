"""The bytes of files: rendered from what is known at a place, made of an answer once for all readers, downloaded, or
being written.

Not here: how many bytes they have (sizes.py).
"""

from __future__ import annotations

from typing import cast
from zipfile import BadZipFile

import trio

from cometfs.cache.memory import CacheEntry
from cometfs.errors import IsADirectory, Unintelligible
from cometfs.lease import Lease, is_settling
from cometfs.vfs.answers.resolver import AnswerResolver
from cometfs.vfs.engine.sizes import Sizes
from cometfs.vfs.keys import Key
from cometfs.vfs.nodes import Content, Node, Opened
from cometfs.vfs.schema.declaration import Context, File, Source, Stream
from cometfs.vfs.sources.experiment import OWN, ended_ago
from cometfs.vfs.writeback.policy import WritePolicy

_HEAVY = 1 << 20
"""An answer of more bytes is rendered in a thread, so that other requests are not kept waiting."""


RENDERED = 2
"""Answers that are rendered in threads at once: a table of a whole project takes a hundred MiB meanwhile, and threads
of one interpreter make no two of them faster."""


class Files:
    """Opens them, and lets their sizes be remembered. What was made of an answer holds as long as that does."""

    def __init__(self, answers: AnswerResolver, sizes: Sizes, writing: WritePolicy) -> None:
        self._answers = answers
        self._store = answers.store
        self._sizes = sizes
        self._writing = writing
        self._renders = trio.Semaphore(RENDERED)

    async def open(self, node: Node) -> Opened:
        """The file, open, its size known. Raises IsADirectory for a directory, and what Comet's answer raises."""
        found = self.open_nowait(node) or self.body_nowait(node)
        if found is not None:
            return found
        if self._writing.owns(node):
            return await self._writing.open(node)
        entry = cast(File, node.entry)
        if isinstance(entry.source, Stream):
            body = await self._answers.wanted_body(entry.source, node.at)
            self._sizes.came(entry, entry.source, node.at, body.size)
            return body
        return Content(await self._render(entry, cast(Source, entry.source), node.at), _grows(node))

    def open_nowait(self, node: Node) -> Opened | None:
        """What `open` returns or raises, where no call is needed and nothing must be made."""
        entry = node.entry
        if not isinstance(entry, File):
            raise IsADirectory(f"{node.name or '/'} is a directory")
        if isinstance(entry.source, Stream) or self._writing.owns(node):
            return None
        if entry.source is None:
            return Content(entry.render(node.at))
        if entry.render is not bytes:
            held = self._store.peek(_key(entry, node.at))
            if held is None:
                return None
            self._answers.lookups["file", "memory"] += 1
            return Content(held.value, _grows(node))
        held = self._answers.wanted_nowait(entry.source, node.at)
        if held is None:
            return None
        if not held.read:
            self._sizes.dated(entry, node.at, held.value, held)
            held.read = True
        return Content(held.value, _grows(node))

    def body_nowait(self, node: Node) -> Opened | None:
        """The body that a file is, open, where it is in memory."""
        source = getattr(node.entry, "source", None)
        return self._answers.wanted_body_nowait(source, node.at) if isinstance(source, Stream) else None

    def note_cut(self, node: Node) -> None:
        """An open file has gone on as an answer that lacks its beginning."""
        if isinstance(node.entry, File) and isinstance(node.entry.source, Source):
            self._answers.note_cut(node.entry.source, node.at)

    async def _render(self, entry: File, source: Source, at: Context) -> bytes:
        """What is not at hand."""
        if entry.render is bytes:
            answer = await self._answers.wanted(source, at)
            return self._sizes.dated(entry, at, answer.value, answer)
        held = await self._store.once(_key(entry, at), lambda: self._make(entry, source, at))
        rendered: bytes = held.value
        return rendered

    async def _make(self, entry: File, source: Source, at: Context) -> CacheEntry:
        """The bytes made of an answer, once for all readers of the file."""
        if source not in OWN:  # to look at the numbers changes none
            self._answers.lookups["file", "asked"] += 1
        answer = await self._answers.wanted(source, at)
        data = await self._rendered(entry, source, answer)
        self._sizes.dated(entry, at, data, answer)
        return self._store.keep(_key(entry, at), data, Lease(self._store.remaining(answer)))

    async def _rendered(self, entry: File, source: Source, answer: CacheEntry) -> bytes:
        """An answer as bytes, rendered out of the way where that takes time."""
        render, value = entry.render, answer.value
        try:
            if answer.weight > _HEAVY or entry.slow:
                async with self._renders:
                    return await trio.to_thread.run_sync(render, value, abandon_on_cancel=True)
            return render(value)
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError, BadZipFile) as error:
            raise Unintelligible(f"{source.name} answered what cannot be shown as a file: {error!r}") from error


def may_change(node: Node) -> bool:
    """Whether it is a file made of an answer that may be another one in a moment: of what may be running, or of which
    Comet may still be taking in the end."""
    at = node.at
    if at.experiment is None or not isinstance(getattr(node.entry, "source", None), Source):
        return False
    return not at.version or is_settling(ended_ago(at.experiment))


def _grows(node: Node) -> bool:
    """Whether it is a file that is being added to."""
    return isinstance(node.entry, File) and node.entry.grows and may_change(node)


def _key(entry: File, at: Context) -> Key:
    """Where the bytes of a file are kept that is made of an answer."""
    return Key.rendered(entry, at.version, at.key)
