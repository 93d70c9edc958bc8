"""The store of panels: one JSON text that a client replaces as a whole.

Comet's own endpoint for it is not public; this server's is ``panel/store`` to read and ``write/panel/store`` to write.
For now the text lives as long as the server.

Not here: what the text says. It is the client's.
"""

from __future__ import annotations


class PanelStore:
    """The text, ``{}`` at first."""

    def __init__(self) -> None:
        self._text = "{}"

    def load(self) -> str:
        """The text that was saved last."""
        return self._text

    def save(self, text: str) -> None:
        """Replace the text."""
        self._text = text
