"""What pages of the embedded Comet make of words: outputs as a terminal shows them, sizes, names in addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometfs.render.cells import sized
from cometfs.render.pages.experiment import as_terminal
from cometfs.server.addresses import address, named, parts_of


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("a\nb\n", "a\nb\n"),
        ("a\r\nb\r\n", "a\nb\n"),
        ("10%\r50%\r100%\nnext", "100%\nnext"),
        ("10%\r50%\r", "50%"),
        ("\x1b[1;31mred\x1b[0m \x1b[Kx", "red x"),
        ("\x1b]0;a title\x07shown", "shown"),
        ("\x1b]8;;http://x\x1b\\a link\x1b]8;;\x1b\\", "a link"),
        ("a\tb", "a       b"),
        ("", ""),
        ("\x1b", "\x1b"),
    ],
)
def test_output_is_what_a_terminal_shows_at_last(printed: str, shown: str) -> None:
    """Without colours, titles and lines that were written over: progress bars are one line."""
    assert as_terminal(printed) == shown


@given(st.text(alphabet="\x1b[]\\;0Km\r\n\x07ab"))
def test_no_output_is_longer_for_it(printed: str) -> None:
    """Nor has it more lines."""
    shown = as_terminal(printed)
    assert len(shown) <= len(printed)
    assert shown.count("\n") <= printed.count("\n")


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (123_456, "123 kB"),
        (999_999, "1 MB"),
        (5e9, "5 GB"),
        (2e16, "20,000.0 TB"),
    ],
)
def test_sizes_have_three_digits(count: float, words: str) -> None:
    """In powers of 1000."""
    assert sized(count) == words


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=4))
def test_an_address_says_which_names_it_was_made_of(names: list[str]) -> None:
    """Whatever they are, and without a part that a browser takes for a step."""
    made = address(*names)
    parts = parts_of({"type": "http", "raw_path": made.encode()})
    assert len(parts) == len(names)
    assert [named(part, [name]) for part, name in zip(parts, names, strict=True)] == names
    assert not {"", ".", ".."} & set(made[1:].split("/"))


def test_a_name_with_the_mark_is_its_own() -> None:
    """Before it is one without."""
    assert named("~..", ["..", "~.."]) == "~.."
    assert named("~x", ["y"]) is None
