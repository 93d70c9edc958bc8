"""Many programs at a time: none fails, and nothing is held afterwards. `scripts/soak --load` does it for minutes."""

from __future__ import annotations

from pathlib import Path

from tests.support.load import PROGRAMS, loaded


def test_programs_at_a_time_do_not_fail(tmp_path: Path) -> None:
    table, wrong = loaded(tmp_path, minutes=0.05, replicas=3, processes=6)
    assert wrong == []
    assert "0 failures" in table
    assert any(f"| `{name}` |" in table for name in PROGRAMS)
