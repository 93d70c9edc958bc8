"""Files that appear as a whole or not at all: written beside, then renamed.

Not here: files that are appended to (`journal`).
"""

from __future__ import annotations

from pathlib import Path


def replace(path: Path, content: bytes) -> None:
    """Write a file anew. It survives a kill, not a power cut; a leftover of a killed server is overwritten."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)
