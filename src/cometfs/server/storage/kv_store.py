"""The store of panels: one JSON text that a client replaces as a whole.

Comet's own endpoint for it is not public; this server's is ``panel/store`` to read and ``write/panel/store`` to write.
The text is kept in ``store.json`` beside the archives, and only in memory where that cannot be written.

Not here: what is in the text. It is the client's.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from threading import Lock

from cometfs.host.files import read_regular
from cometfs.server.storage.atomic import replace
from cometfs.server.storage.errors import full_disk

LOG = logging.getLogger("cometfs.server")

FILE = "store.json"

EMPTY = "{}"


class KvStore:
    """The text, ``{}`` at first.

    `directory` is where its file is; None keeps it in memory. What `save` has returned from is on the disk, whole:
    a server that is killed in between leaves the old text or the new one.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._reported = False
        self._saving = Lock()
        self._text = EMPTY if directory is None else _read(directory / FILE)

    def load(self) -> str:
        """The text that was saved last."""
        return self._text

    def save(self, text: str) -> None:
        """Replace the text. Raises StorageFull; the old text is kept then. Blocks."""
        with self._saving:
            if self._directory is not None and os.access(self._directory, os.W_OK):
                with full_disk("the store cannot be written"):
                    replace(self._directory / FILE, text.encode(), synced=True)
            elif not self._reported:
                LOG.info("the store is kept in memory, until this server ends: there is no directory to write it to")
                self._reported = True
            self._text = text


def _read(path: Path) -> str:
    try:
        return read_regular(path).decode("utf-8")
    except FileNotFoundError:
        return EMPTY
    except (OSError, UnicodeDecodeError) as exc:
        aside = path.with_name(FILE + ".broken")
        LOG.warning("%s: no text, so it was put aside as %s; %s", path, aside.name, exc)
        with suppress(OSError):  # the directory is not to be written to: the store stays in memory
            path.replace(aside)
        return EMPTY
