"""The page of a project, read as a browser's parser reads it: what it shows, links to and never lets through."""

from __future__ import annotations

import base64
import math
import re
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cometfs.render.cells import brief
from cometfs.render.pages.overview import AT_ONCE, FILES, MANY, SHORT, OverviewRow, overview_html

PROJECT = {"workspaceName": "ada", "projectName": "vision"}
TAGS = (
    {
        "html",
        "head",
        "meta",
        "link",
        "title",
        "style",
        "script",
        "body",
        "h1",
        "h2",
        "p",
        "br",
        "div",
        "input",
        "output",
    }
    | {"table", "thead", "tbody", "tr", "th", "td", "button", "span", "a", "i"}
    | {"details", "summary", "img", "template", "noscript"}
)
NASTY = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "\"' onclick='x",
    "a & b",
    "&lt;",
    "$title",
]


class Page(HTMLParser):
    """Elements and attributes of a page, the text of its cells, the source of its scripts and styles."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.sources: dict[str, list[str]] = {"script": [], "style": []}
        self.text = self._inside = ""
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, _: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in self.sources:
            self.sources[self._inside].append(data)
            return
        self.text += data
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.rstrip("\n")

    def every(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.elements if found == tag]

    def links(self) -> list[str]:
        """All addresses that the page mentions."""
        return [value or "" for _, found in self.elements for name, value in found.items() if name in ("href", "src")]


def experiment(name: str = "run", **said: Any) -> OverviewRow:
    return OverviewRow(**({"name": name, "path": name, "key": "k" + name} | said))


def page(*rows: OverviewRow, project: dict[str, Any] | None = None, charts: Any = ()) -> Page:
    return Page(overview_html(project or PROJECT, rows, charts))


def test_equal_values_give_equal_bytes() -> None:
    """No clock, no chance."""
    rows = [experiment("a", params={"lr": "1"}), experiment("b", params={"lr": "2"})]
    assert overview_html(PROJECT, rows) == overview_html(PROJECT, rows)


def test_the_policy_allows_the_pages_own_script_and_style_and_nothing_else() -> None:
    """By their digests; there is one of each, and no other comes from anywhere."""
    found = page(experiment("a"))
    (policy,) = [meta["content"] for meta in found.every("meta") if "http-equiv" in meta]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    for kind in ("script", "style"):
        digest = base64.b64encode(sha256("".join(found.sources[kind]).encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
        assert found.every(kind) == [{}]
    assert "unsafe" not in policy


def test_every_address_is_relative() -> None:
    """Nothing is fetched from elsewhere, whatever an experiment or a metric is called."""
    names = ["javascript:alert(1)", "//example.com/x", "https://example.com", "/etc/passwd", "data:text/html,x"]
    found = page(*map(experiment, names), charts=[(name, name) for name in names])
    links = [link for link in found.links() if link != "data:,"]
    assert len(links) == len(names) * (1 + len(FILES) + 2)
    assert [link for link in links if not link.startswith("./") or link.startswith(".//")] == []


@pytest.mark.parametrize("path", ["100%", "a#b?c=d", "ünï 日本", "a%2Fb", "archived/x", 'q"<>', "a\\b", "."])
def test_a_link_leads_to_the_path_it_was_given(path: str) -> None:
    """Percent-encoded: decoding it gives the path again, and no part of it is a query or a fragment."""
    found = page(experiment(path=path), charts=[("m", path)])
    links = [link for link in found.links() if link != "data:,"]
    assert [unquote(urlsplit(link).path).removeprefix("./") for link in links] == [
        f"{path}/", *(f"{path}/{name}" for name in FILES), path, path,
    ]  # fmt: skip


@pytest.mark.parametrize("nasty", NASTY)
def test_what_users_wrote_stays_text(nasty: str) -> None:
    """In names, tags, keys, states, names and values of parameters and metrics, titles, charts, the project."""
    said = experiment(nasty, key=nasty, state=nasty, tags=[nasty], params={nasty: nasty}, metrics={nasty: nasty})
    project = {"workspaceName": nasty, "projectName": nasty, "projectDescription": nasty}
    found = page(said, experiment("b"), project=project, charts=[(nasty, nasty)])
    assert found.rows[1][:8] == [nasty, nasty, "", "", nasty, nasty, nasty, nasty]
    assert {tag for tag, _ in found.elements} <= TAGS
    assert len(found.every("script")) == 1
    assert not [name for _, attributes in found.elements for name in attributes if name.startswith("on")]


@settings(max_examples=60)
@given(st.text(), st.text(), st.text(), st.floats(), st.floats())
def test_any_text_and_any_time_make_a_page(name: str, value: str, path: str, start: float, duration: float) -> None:
    """Of the known elements only, in UTF-8; times that no calendar has are left out."""
    said = experiment(name, path=path, started_ms=start, duration_ms=duration, params={name: value})
    found = page(said, experiment("b"), project={"projectName": name, "lastUpdated": start})
    assert {tag for tag, _ in found.elements} <= TAGS
    assert {len(row) for row in found.rows if len(row) != 2} == {len(found.rows[0])}


def test_parameters_that_differ_come_first_and_equal_ones_are_folded_away() -> None:
    """One that only some experiments have differs, too."""
    rows = [
        experiment("a", params={"lr": "1", "model": "vit", "seed": "3"}, metrics={"acc": "0.5"}),
        experiment("b", params={"lr": "2", "model": "vit"}, metrics={"acc": "0.6"}),
    ]
    found = page(*rows)
    assert found.rows[0][5:8] == ["lr", "seed", "acc"]
    assert found.rows[2][5:8] == ["2", "", "0.6"]
    assert found.rows[3] == ["model", "vit"]
    assert found.every("details") == [{}]
    assert [cell.get("class") for cell in found.every("th")[:9]] == [None] * 5 + ["d n", "d n", "n", None]


def test_a_value_that_most_do_not_have_stands_out() -> None:
    """Where more than half of the experiments share one; where none is usual, none is unusual."""
    rows = [experiment(n, params={"opt": "sgd" if n == "c" else "adam", "seed": n}) for n in "abc"]
    marks = [cell.get("class") for cell in page(*rows).every("td") if "class" in cell]
    assert marks == ["d", "d", "d", "d", "o", "d"]


EVERYBODYS = [
    "curr_epoch",
    "epoch",
    "process duration",
    "step",
    "sys.cpu.percent.avg",
    "sys.load",
    "train_epoch_duration",
]


def test_what_everybody_logs_comes_last() -> None:
    """People look for what they logged themselves, parameters and metrics."""
    metrics = dict.fromkeys([*EVERYBODYS[1:], "train/loss", "zeta", "sysadmins", "epochs"], "1")
    found = page(experiment("a", metrics=metrics, params={"curr_epoch": "3", "lr": "1"}), experiment("b"))
    assert found.rows[0][5:-2] == ["lr", "epochs", "sysadmins", "train/loss", "zeta", *EVERYBODYS]


def test_charts_of_what_everybody_logs_are_folded_below_the_others() -> None:
    """In their order; of nothing else, unfolded."""
    charts = [(name, f"charts/{name}.svg") for name in sorted([*EVERYBODYS, "train/loss", "acc"])]
    made = overview_html(PROJECT, [experiment("a")], charts).decode()
    own, folded = made.split("<details>")
    assert re.findall(r'alt="([^"]*)"', own) == ["acc", "train/loss"]
    assert re.findall(r'alt="([^"]*)"', folded) == EVERYBODYS
    assert f"<summary>{len(EVERYBODYS)} charts of what comet_ml logs by itself</summary>" in folded
    assert "<details open>" in overview_html(PROJECT, [experiment("a")], charts[1:3]).decode()
    assert "<details" not in overview_html(PROJECT, [experiment("a")], [("acc", "charts/acc.svg")]).decode()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0.97222222222222221", "0.9722"),
        ("-1.2345678901234567e-07", "-1.235e-07"),
        ("123456.78901", "123457"),
        ("1234.56", "1235"),
        ("0.5", "0.5"),
        ("1.0", "1.0"),
        ("0.0001", "0.0001"),
        ("100000.0", "100000"),
        ("1e-05", "1e-05"),
        ("1.23456e+300", "1.235e+300"),
        ("1234567890123", "1234567890123"),
        ("-17", "-17"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("3.14159 rad", "3.14159 rad"),
        ("1_000.55555", "1_000.55555"),
        ("", ""),
    ],
)
def test_a_number_is_shown_to_four_digits_and_told_whole_in_a_tip(value: str, shown: str) -> None:
    """Whole numbers are whole: seeds and counts. Of metrics and parameters alike; numbers stand to the right."""
    found = page(experiment("a", params={"p": value}, metrics={"m": value}), experiment("b", params={"p": "other"}))
    assert found.rows[1][5:7] == [shown, shown]
    cells = found.every("td")[4:6]
    number = value not in ("", "3.14159 rad", "1_000.55555")
    assert [("n" in (cell.get("class") or "").split()) for cell in cells] == [number, number]
    assert [cell.get("title") for cell in cells] == [value if shown != value else None] * 2


@given(st.floats(-1e308, 1e308).map(repr))
def test_what_is_shown_of_a_number_is_close_to_it(value: str) -> None:
    """To half a unit of the fourth digit, and never longer than it."""
    assert len(brief(value)) <= len(value)
    assert math.isclose(float(brief(value)), float(value), rel_tol=5.1e-4)


def test_times_are_utc_and_durations_are_said_as_people_do() -> None:
    """And a duration sorts by its milliseconds."""
    said = [(0.5e3, "0.5 s"), (90e3, "1 min 30 s"), (3_600e3, "1 h 0 min"), (90_000e3, "1 d 1 h")]
    rows = [experiment(str(n), started_ms=1.5e12, duration_ms=milliseconds) for n, (milliseconds, _) in enumerate(said)]
    found = page(*rows)
    assert [row[2:4] for row in found.rows[1:]] == [["2017-07-14 02:40:00", words] for _, words in said]
    assert [cell["data-v"] for cell in found.every("td") if "data-v" in cell] == [str(ms) for ms, _ in said]


def test_what_is_long_is_cut_and_told_whole_in_a_tip() -> None:
    """A parameter may hold a whole configuration."""
    found = page(experiment("a", params={"cfg": "x" * 500}), experiment("b"))
    assert found.rows[1][5] == "x" * SHORT + "…"
    assert [cell["title"] for cell in found.every("td") if "title" in cell] == ["x" * 500]


def test_an_experiment_without_a_name_is_called_by_its_key() -> None:
    """A link needs words."""
    assert page(experiment("", path="k1", key="k1")).rows[1][0] == "k1"


def test_the_page_tells_what_the_project_is() -> None:
    """Its name, its description, how many experiments and in which states."""
    rows = [experiment("a", state="running"), experiment("b", state="finished"), experiment("c", state="finished")]
    found = page(*rows, project=PROJECT | {"projectDescription": "Cats\nand dogs", "lastUpdated": 1.5e12})
    assert "ada/vision" in found.text
    assert "3 experiments · 2 finished · 1 running · updated 2017-07-14 02:40:00 UTC" in found.text
    assert "Cats" in found.text


def test_a_project_without_experiments_has_a_page() -> None:
    """It says so."""
    assert "No experiments yet." in page().text


def test_charts_are_pictures_that_load_when_scrolled_to() -> None:
    """Each is named for who cannot see it."""
    (picture,) = page(experiment("a"), charts=[("train/loss", "charts/train/loss.svg")]).every("img")
    assert (picture["src"], picture["alt"]) == ("./charts/train/loss.svg", "train/loss")
    assert picture["loading"] == "lazy"


def test_many_rows_are_all_in_the_page_and_few_in_the_table() -> None:
    """The rest waits in a template, without layout."""
    found = overview_html(PROJECT, [experiment(str(n)) for n in range(1_000)]).decode()
    before, after = found.split('<template id="rest">')
    assert (before.count("<tr>"), after.count("<tr>")) == (AT_ONCE + 1, 1_000 - AT_ONCE)
    assert re.search(r"first 200 of 1,000", after)


def test_columns_beyond_what_a_browser_bears_are_counted() -> None:
    """Parameters that differ are kept before metrics."""
    metrics = {f"m{n:03}": "1" for n in range(100)}
    rows = [experiment(str(n), metrics=metrics, params={"seed": str(n)}) for n in range(20_000)]
    found = overview_html(PROJECT, rows).decode()
    assert found.count("<button") == 6 + MANY
    assert "81 more columns in experiments.csv." in found
