"""Experiments that grow, end, go on, are renamed, archived, moved and deleted at random, while programs read them."""

from __future__ import annotations

from pathlib import Path

from tests.support import reference_model


def test_all_that_is_ever_read_was_true(tmp_path: Path) -> None:
    """Every byte, size, name, link and absence; at the end all is read as it is last; a slow machine does less."""
    reference_model.play(tmp_path, seed=20260714, seconds=10.0, most=1500)
