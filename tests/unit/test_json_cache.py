"""Parts of answers that are kept as JSON: the same bytes, and no more of them than the budget."""

from __future__ import annotations

import msgspec

from cometfs.server.catalog.json_cache import JsonCache


def test_a_part_is_made_once_until_others_push_it_out() -> None:
    """What was not used for longest goes; what is heavier than all is given and not kept."""
    made: list[str] = []
    encoded = JsonCache(10)

    def told(word: str) -> bytes:
        def make() -> str:
            made.append(word)
            return word

        return msgspec.json.encode([encoded.part(word, make)])

    assert [told(word) for word in ("aa", "bb", "aa")] == [b'["aa"]', b'["bb"]', b'["aa"]']
    assert made == ["aa", "bb"]
    assert told("cc") == b'["cc"]'
    assert told("far too long") == b'["far too long"]'
    assert [told(word) for word in ("aa", "bb")] == [b'["aa"]', b'["bb"]']
    assert made == ["aa", "bb", "cc", "far too long", "bb"]
