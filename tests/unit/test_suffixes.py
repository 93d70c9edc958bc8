"""The suffix of an image whose name has none, by how its bytes begin."""

from __future__ import annotations

import pytest

from cometfs.vfs.sources.experiment import suffix_of

BITMAP = b"BM" + (122).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little") + (40).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("beginning", "suffix"),
    [
        (b"\x89PNG\r\n\x1a\n", ".png"),
        (b"\xff\xd8\xff\xe0", ".jpg"),
        (b"GIF87a", ".gif"),
        (b"GIF89a", ".gif"),
        (BITMAP, ".bmp"),
        (b"RIFF\x0a\0\0\0WEBPVP8 ", ".webp"),
        (b'<svg xmlns="http://www.w3.org/2000/svg">', ".svg"),
    ],
)
def test_a_kind_of_image_is_known_by_its_whole_signature(beginning: bytes, suffix: str) -> None:
    """Not by a part of it that others share."""
    assert suffix_of(beginning) == suffix
    assert suffix_of(b"x" + beginning) == ("" if suffix != ".svg" else ".svg")


@pytest.mark.parametrize(
    "beginning", [b"", b"RIFF", b"RIFF\x24\0\0\0WAVEfmt ", b"RIFF\x24\0\0\0AVI LIST", b"BMI,age\n21.5,33\n", b"GIF8"]
)
def test_what_only_begins_like_an_image_is_none(beginning: bytes) -> None:
    """A sound, a film, a text, and what was cut off."""
    assert suffix_of(beginning) == ""
