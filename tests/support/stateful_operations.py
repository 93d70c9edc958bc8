"""The runs that hypothesis draws: operations in any order. Not here: what they do (stateful_model.py)."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.support.stateful_model import Op
from tests.support.stateful_world import ENDPOINTS, FAULTS

_SEEDS = st.integers(0, 999)

_WAITS = st.sampled_from((0.5, 3.0, 7.0, 40.0, 70.0, 400.0, 4000.0, 90_000.0))
"""Seconds: what is written to disk, what is stale, what is running, listings, an hour, a day."""

_NETWORKS = st.sampled_from(("away", "back", "mend"))
_DROPS = st.sampled_from(("clear", "refresh"))
_STARTS = st.sampled_from(("remount", "kill"))
_FAULTS = st.builds("{} {}".format, st.sampled_from(sorted(ENDPOINTS.values())), st.sampled_from(sorted(FAULTS)))

_LOG, _READ = st.builds(Op, st.just("log"), _SEEDS), st.builds(Op, st.just("read"), _SEEDS)

_OPERATIONS = st.one_of(
    _LOG,
    _READ,
    _LOG,
    _READ,
    st.builds(Op, st.just("wait"), seconds=_WAITS),
    st.builds(Op, _NETWORKS),
    st.builds(Op, st.just("fault"), what=_FAULTS),
    st.builds(Op, _DROPS),
    st.builds(Op, _STARTS, _SEEDS, st.sampled_from(("", "", "offline"))),
)


def runs(most: int) -> st.SearchStrategy[list[Op]]:
    """Of so many operations at most, and not much fewer: left alone, hypothesis draws lists of six."""
    return st.lists(_OPERATIONS, min_size=most // 2, max_size=most)
