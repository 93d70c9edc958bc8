"""What hostile, equal and overlong names become, as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometfs.vfs.schema import names
from cometfs.vfs.schema.probe_names import is_junk

TEXTS = st.text(st.one_of(st.characters(), st.sampled_from("/%.~-\x00\n2F")), max_size=40)


@given(TEXTS)
def test_a_folder_path_can_be_undone(text: str) -> None:
    """Unescaping the parts joined by "/" gives the asset's own name again."""
    path = names.folders(text)
    if not any("~" in part and len(part.encode()) == 255 for part in path):
        assert "/".join(names.unescape(part) for part in path) == text


@given(TEXTS)
def test_a_whole_name_can_be_undone(text: str) -> None:
    """Unescaping a directory's name gives the experiment's own name again."""
    assert names.unescape(names.whole(text)) == text


@given(st.text(max_size=600).filter(bool))
def test_every_part_is_one_that_a_directory_can_hold(text: str) -> None:
    """No part is empty, dots only, overlong, or has a slash, NUL or newline."""
    for part in (*names.folders(text), names.whole(text)):
        assert part not in ("", ".", "..")
        assert 0 < len(part.encode()) <= names.PART_BYTES
        assert not set(part) & set("/\x00\n")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a/b.txt", ("a", "b.txt")),
        ("/abs/../x.txt", ("%2Fabs", "%2E%2E", "x.txt")),
        ("a//b", ("a%2F%2Fb",)),
        ("folder/", ("folder%2F",)),
        (".", ("%2E",)),
        ("100%", ("100%",)),
        ("%2F", ("%252F",)),
        ("line\nbreak", ("line%0Abreak",)),
        ("é 漢/x", ("é 漢", "x")),
    ],
)
def test_hostile_asset_names_become_harmless_ones(text: str, path: names.Path) -> None:
    """The cases that Comet's clients are known to send verbatim."""
    assert names.folders(text) == path


def test_an_overlong_name_keeps_its_suffix_and_stays_apart() -> None:
    """Two names that differ only past the cut get two entries, both still .png."""
    first, second = names.whole("é" * 200 + "1.png"), names.whole("é" * 200 + "2.png")
    assert first != second
    assert first.endswith(".png")
    assert len(first.encode()) <= names.PART_BYTES


def test_a_unique_experiment_bears_its_name_and_equal_ones_their_keys() -> None:
    """Every one of the equals is marked, none keeps the bare name."""
    rows = [("base", "aaaaaaaa1"), ("solo", "bbbbbbbb1"), ("base", "cccccccc1"), ("", "dddddddd1")]
    assert names.of_keyed(rows) == [("base-aaaaaaaa",), ("solo",), ("base-cccccccc",), ("dddddddd1",)]


def test_more_of_the_key_is_shown_while_still_ambiguous() -> None:
    """Keys that agree in 8 digits are told apart by 12."""
    rows = [("base", "aaaaaaaa1111x"), ("base", "aaaaaaaa2222x"), ("base-aaaaaaaa1111", "cccccccccccc1")]
    found = names.of_keyed(rows)
    assert len(set(found)) == 3
    assert found[1] == ("base-aaaaaaaa2222",)


def test_equal_assets_bear_their_step_and_then_their_id() -> None:
    """The step goes before the suffix; only what is still equal bears the id."""
    rows = [
        ("i/a.png", 1, "id1"),
        ("i/a.png", 2, "id2"),
        ("i/a.png", 2, "id3"),
        ("i/a.png", None, "id4"),
        ("b", 1, "id5"),
    ]
    assert [path[-1] for path in names.of_assets(rows)] == ["a-1.png", "a-2-id2.png", "a-2-id3.png", "a.png", "b"]


@pytest.mark.parametrize(
    ("logged", "shown"),
    [
        ("a.png", "a-1.png"),
        ("A.PNG", "A-1.PNG"),
        ("data.tar.gz", "data-1.tar.gz"),
        ("points.csv.gz", "points-1.csv.gz"),
        ("dump.gz", "dump-1.gz"),
        ("far.png.url", "far-1.png.url"),
        ("conv1.weight", "conv1.weight-1"),
        ("img.2024.05.01", "img.2024.05.01-1"),
        ("conv1.weight.gz", "conv1.weight-1.gz"),
        ("v1.2/model", "model-1"),
        (".png", ".png-1"),
        ("a.", "a.-1"),
    ],
)
def test_only_what_is_known_is_a_suffix(logged: str, shown: str) -> None:
    """What is put before the suffix is put behind a layer's name or a date."""
    (first, _) = names.of_assets([(logged, 1, "id1"), (logged, 2, "id2")])
    assert first[-1] == shown


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("loss", ("loss.csv",)),
        ("train/loss", ("train", "loss.csv")),
        ("loss/", ("loss%2F.csv",)),
        ("a/b//", ("a", "b%2F%2F.csv")),
        ("/", ("%2F.csv",)),
        (".", ("..csv",)),
        ("a/..", ("a", "...csv")),
        ("", ("%.csv",)),
    ],
)
def test_a_metric_is_a_file_with_a_name_and_a_suffix(name: str, path: names.Path) -> None:
    """No name of a metric makes a file that is all suffix, which no listing shows."""
    assert names.of_metrics([name], ".csv") == [path]


@given(st.lists(TEXTS, unique=True, max_size=12))
def test_metrics_never_share_a_path(metrics: list[str]) -> None:
    """As many files as metrics, none hidden, and none where a folder is needed."""
    paths = names.of_metrics(metrics, ".csv")
    assert len(set(paths)) == len(metrics)
    assert not {path[:depth] for path in paths for depth in range(1, len(path))} & set(paths)
    assert all(path[-1] != ".csv" and path[-1].endswith(".csv") for path in paths)


def test_an_asset_named_like_a_folder_gives_way() -> None:
    """ "a" beside "a/b" cannot be a file too."""
    assert names.of_assets([("a", None, "1"), ("a/b", None, "2")]) == [("%61",), ("a", "b")]


def test_dots_that_give_way_to_folders_of_dots_can_still_be_undone() -> None:
    """An asset "." beside "./a": what gives way is spelt otherwise, and unescapes to the same."""
    (dot,), (folder, _) = names.of_assets([(".", None, "1"), ("./a", None, "2")])
    assert dot != folder
    assert names.unescape(dot) == names.unescape(folder) == "."


def test_a_name_that_collides_with_a_fixed_one_is_escaped() -> None:
    """An experiment called "notes.md" does not hide the project's notes."""
    assert names.apart_from({"notes.md"}.__contains__, [("notes.md",), ("x",)]) == [("%6Eotes.md",), ("x",)]


@given(
    st.lists(st.tuples(st.sampled_from(["a", "a/b", "a-1", "", "x.csv"]), st.sampled_from([None, 1, 2])), max_size=12)
)
def test_assets_never_share_a_path(rows: list[tuple[str, int | None]]) -> None:
    """Whatever repeats: as many paths as assets, and no file stands where a folder is needed."""
    paths = names.of_assets([(name, step, f"{index:032x}"[::-1]) for index, (name, step) in enumerate(rows)])
    assert len(set(paths)) == len(rows)
    assert not {path[:depth] for path in paths for depth in range(1, len(path))} & set(paths)


JUNK = [".git", ".DS_Store", ".hidden", ".Trash-1000", "._x", "node_modules", "pyvenv.cfg", ".runs.swp"]


def test_what_programs_look_for_everywhere_is_nobodys_name() -> None:
    """A run that bears such a name is shown under another, from which its own can be told."""
    for part in [path[0] for path in names.of_words(JUNK)] + [
        path[0] for path in names.of_keyed([(name, f"{at:032x}") for at, name in enumerate(JUNK)])
    ]:
        assert not is_junk(part)
        assert names.unescape(part) in JUNK


@pytest.mark.parametrize(
    "name", ["", "baseline", "git", ".gitx", "node_modules-2", "model.swp", "Trash", ".hidden-runs"]
)
def test_other_names_are_as_they_are(name: str) -> None:
    """A beginning or an end in common is not enough."""
    assert not is_junk(name)
    if name:
        assert names.of_words([name]) == [(name,)]


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        ("a b c", "a b c"),
        ("a a a", "a a-2 a-3"),
        ("a a a-2", "a a-3 a-2"),
        ("d/a.png d/a.png a.png", "d/a.png d/a-2.png a.png"),
        ("a-2 a a a-2", "a-2 a a-3 a-2-2"),
    ],
)
def test_no_row_hides_another(paths: str, found: str) -> None:
    """Whatever made their names equal; those that are not keep theirs."""
    split = [tuple(path.split("/")) for path in paths.split()]
    assert names.each_once(split) == [tuple(path.split("/")) for path in found.split()]
