"""The page of a project in a real browser: it sorts, filters, shows its charts, runs nothing of users, asks nobody."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

from cometfs.render.pages.overview import AT_ONCE, OverviewRow, overview_html
from cometfs.render.pictures.curves import Line
from cometfs.render.pictures.plots import chart_svg

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver
    from selenium.webdriver.remote.webelement import WebElement

CSS = "css selector"
CONTROL, BACKSPACE, ENTER = "\ue009", "\ue003", "\ue007"
"""Keys, as WebDriver writes them."""

NASTY = "<script>document.title='ran'</script><img src=x onerror=alert(1)>"
ACCURACY = {"a": "10", "b": "9.5", "c": "NaN", "d": "", "e": "1e3", "f": "-Infinity", "g": "high", NASTY: "-2"}
METRIC = "train/acc #1?"


class Page:
    """The page as a person sees it."""

    def __init__(self, browser: WebDriver) -> None:
        self.browser = browser

    def every(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements(CSS, selector)

    def names(self) -> list[str]:
        """The rows that are in the table, from above."""
        return [cell.text for cell in self.every("#experiments tbody th")]

    def header(self, name: str) -> WebElement:
        (found,) = (cell for cell in self.every("#experiments thead th") if cell.text == name)
        return found

    def sort(self, name: str) -> list[str]:
        self.header(name).find_element(CSS, "button").click()
        return self.names()

    def filter(self, words: str) -> tuple[list[str], str]:
        field = self.every("#filter")[0]
        field.send_keys(CONTROL, "a", CONTROL, BACKSPACE, words)
        return self.names(), self.every("#count")[0].text

    def run(self, script: str) -> Any:
        return self.browser.execute_script(script)


Opening = Callable[[list[OverviewRow]], Page]


@pytest.fixture
def opened(chromium: WebDriver, directory: Path) -> Iterator[Opening]:
    """Opens a page of rows. After the test: no message in the console, and no request to anything but files."""

    def opening(rows: list[OverviewRow]) -> Page:
        chart = f"charts/{METRIC.replace('/', '_')}.svg"
        directory.joinpath(chart).write_bytes(chart_svg(METRIC, [Line("a", [0, 1], ["1", "2"])]))
        place = directory / "overview.html"
        project = {"workspaceName": "ada", "projectName": NASTY, "projectDescription": NASTY}
        place.write_bytes(overview_html(project, rows, [(METRIC, chart)]))
        chromium.get(place.as_uri())
        return Page(chromium)

    logged(chromium, "browser"), logged(chromium, "performance")
    yield opening
    assert logged(chromium, "browser") == []
    assert {urlsplit(url).scheme for url in requested(chromium)} <= {"file", "data"}


def logged(browser: WebDriver, kind: str) -> list[dict[str, Any]]:
    """What the browser logged since it was asked last."""
    entries: list[dict[str, Any]] = browser.get_log(kind)  # type: ignore[no-untyped-call]
    return entries


def requested(browser: WebDriver) -> list[str]:
    """Every address that the browser asked for since the log was read last."""
    said = [json.loads(entry["message"])["message"] for entry in logged(browser, "performance")]
    return [event["params"]["request"]["url"] for event in said if event["method"] == "Network.requestWillBeSent"]


def experiments() -> list[OverviewRow]:
    """One of each kind of accuracy; two optimizers, one model."""
    return [
        OverviewRow(
            name, f"dir {name}".replace("/", "%2F"), f"key-{name}", "finished", 1.5e12 + index, 1e3 * (9 - index),
            ("baseline", "v2") if name in "ab" else (),
            {"optimizer": "SGD" if name in "ac" else "adam", "model": "vit"}, {"acc": value},
        )
        for index, (name, value) in enumerate(ACCURACY.items())
    ]  # fmt: skip


def test_a_column_sorts_by_number_and_back_with_nothing_last(opened: Opening) -> None:
    """Numbers before words; NaN, then empty cells, last in both directions."""
    page = opened(experiments())
    assert page.sort("acc") == ["f", NASTY, "b", "a", "e", "g", "c", "d"]
    assert page.header("acc").get_attribute("aria-sort") == "ascending"
    assert page.sort("acc") == ["g", "e", "a", "b", NASTY, "f", "c", "d"]
    assert page.header("acc").get_attribute("aria-sort") == "descending"


def test_durations_sort_by_how_long_they_are(opened: Opening) -> None:
    """And only one column is said to be sorted."""
    page = opened(experiments())
    page.sort("acc")
    assert page.sort("duration") == list(reversed(ACCURACY))
    assert len(page.every("[aria-sort]")) == 1


def test_a_column_sorts_by_keyboard(opened: Opening) -> None:
    """A header is a button."""
    page = opened(experiments())
    page.header("acc").find_element(CSS, "button").send_keys(ENTER)
    assert page.names()[0] == "f"


def test_a_filter_shows_rows_that_have_every_word_in_any_cell(opened: Opening) -> None:
    """Whatever the case; the count is told, and an empty filter shows all."""
    page = opened(experiments())
    assert page.filter("sgd") == (["a", "c"], "2 of 8")
    assert page.filter("BASELINE adam") == (["b"], "1 of 8")
    assert page.filter("nothing-has-this") == ([], "0 of 8")
    assert page.filter("") == (list(ACCURACY), "8 of 8")


def measured() -> list[OverviewRow]:
    """Three runs of one model; a parameter and a metric of one name, names with spaces, a run without a rate."""
    said = [
        ("a", "finished", ("base line", "v2"), {"lr": "0.03", "loss": "mse"}, {"val/acc": "0.97222222", "loss": "1"}),
        ("b", "crashed", ("v2",), {"lr": "3e-1", "loss": "mae"}, {"val/acc": "0.9", "loss": "NaN", "top 5": "7"}),
        ("σ=0.5", "running", (), {"loss": "mse"}, {"val/acc": "0.98", "loss": "-Infinity"}),
    ]
    return [
        OverviewRow(
            name,
            name,
            f"key-{name}",
            state,
            1.5e12 + 86.4e6 * day,
            6e4 * 10**day,
            tags,
            {"net": "vit"} | params,
            metrics,
        )
        for day, (name, state, tags, params, metrics) in enumerate(said)
    ]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("val/acc>0.97 lr=0.03", "a"),
        ("val/acc>0.97", "aσ"),
        ("val/acc >= 0.9 val/acc<0.98", "ab"),
        ("val/acc<=0.9", "b"),
        ("val/acc=0.9722", "a"),  # as it is shown
        ("val/acc=0.97222222", "a"),
        ("VAL/ACC>0.975", "σ"),
        ("lr=3e-2", "a"),
        ("lr==0.03", "a"),
        ("lr!=0.03", "bσ"),
        ('lr=""', "σ"),
        ("lr<1", "ab"),
        ("param.loss=mse", "aσ"),
        ("metric.loss<2", "aσ"),
        ("metric.loss=NaN", "b"),
        ("metric.loss=-Infinity", "σ"),
        ('"top 5">6', "b"),
        ("state=FINISHED", "a"),
        ("state!=crashed v2", "a"),
        ('tags="base line"', "a"),
        ("tags=v2", "ab"),
        ("tags!=v2", "σ"),
        ("duration>1min", "bσ"),
        ("duration=60", "a"),
        ("duration>=0.5h", "σ"),
        ("start>2017-07-15", "bσ"),
        ("start<2017-07-15", "a"),
        ("net=vit", "abσ"),  # the same everywhere, and so no column
        ("net=cnn", ""),
        ('"σ=0.5"', "σ"),
        ('"base line"', "a"),
        ("0.9722", "a"),
        ('"0.98', "σ"),
        ("!", ""),
    ],
)
def test_a_filter_takes_conditions(opened: Opening, words: str, found: str) -> None:
    """On parameters, metrics and all other columns; words stay words, what stands in quotes is one."""
    page = opened(measured())
    names, count = page.filter(words)
    assert "".join(name[0] for name in names) == found
    assert count == f"{len(found)} of 3"
    assert page.every("#fault")[0].text == ""
    assert page.every("#filter")[0].get_attribute("aria-invalid") == "false"


@pytest.mark.parametrize(
    ("words", "found", "said"),
    [
        ("acc>0.9", "abσ", 'No column here is called “acc”. To look for the text, quote it: "acc>0.9"'),
        ("σ=0.5 crashed", "b", 'No column here is called “σ”. To look for the text, quote it: "σ=0.5"'),
        ("loss=1", "abσ", "“loss” may be param.loss or metric.loss: write which."),
        ("lr> state=crashed", "abσ", "“state” is no number, and lr has nothing else."),
        ("state=crashed lr>", "b", "After “lr>” a value is missing."),
        (">0.9", "abσ", "Before “>0.9” the name of a column is missing."),
        ("val/acc>high", "abσ", "“high” is no number, and val/acc has nothing else."),
    ],
)
def test_what_is_wrong_with_a_filter_is_said_in_words(opened: Opening, words: str, found: str, said: str) -> None:
    """And left out; the rest of the filter holds."""
    page = opened(measured())
    names, _ = page.filter(words)
    if found:
        assert "".join(name[0] for name in names) == found
    assert said in page.every("#fault")[0].text
    assert page.every("#filter")[0].get_attribute("aria-invalid") == "true"
    page.filter("")
    assert page.every("#fault")[0].text == ""


def test_numbers_sort_by_all_their_digits_and_stand_to_the_right(opened: Opening) -> None:
    """Though four are shown."""
    values = {"a": "0.972251", "b": "0.972249", "c": "0.9"}
    page = opened([OverviewRow(name, name, name, metrics={"acc": value}) for name, value in values.items()])
    assert page.sort("acc") == ["c", "b", "a"]
    assert [cell.text for cell in page.every("td.n")] == ["0.9", "0.9722", "0.9723"]
    assert {cell.value_of_css_property("text-align") for cell in page.every("td.n")} == {"right"}
    assert page.header("acc").find_element(CSS, "button").value_of_css_property("text-align") == "right"


def test_a_filtered_table_sorts_and_stays_filtered(opened: Opening) -> None:
    """The two do not undo each other."""
    page = opened(experiments())
    page.filter("adam")
    assert page.sort("acc") == ["f", NASTY, "b", "e", "g", "d"]
    assert page.filter("") == (["f", NASTY, "b", "a", "e", "g", "c", "d"], "8 of 8")


def test_a_chart_is_visible(opened: Opening) -> None:
    """Though its name needs encoding, and lies in a directory whose name does."""
    (picture,) = opened(experiments()).every("img")
    drawn = "arguments[0].scrollIntoView(); return arguments[0].decode().then(() => arguments[0].naturalWidth)"
    width = picture.parent.execute_script(drawn, picture)
    assert width == 1000
    assert picture.is_displayed()


def test_a_name_that_is_a_script_stays_text(opened: Opening) -> None:
    """In the title, the description, a row: it neither runs nor becomes an element."""
    page = opened(experiments())
    assert NASTY in page.names()
    assert page.every("h1")[0].text == f"ada/{NASTY}"
    assert page.browser.title == f"ada/{NASTY}"
    assert (len(page.every("script")), len(page.every("img"))) == (1, 1)


def test_a_link_leads_to_the_experiments_directory(opened: Opening, directory: Path) -> None:
    """Beside the page, by its real name."""
    page = opened(experiments())
    links = [link.get_attribute("href") or "" for link in page.every("tbody th a")]
    assert [unquote(urlsplit(link).path) for link in links] == [f"{directory}/{row.path}/" for row in experiments()]


def test_the_policy_is_in_force(chromium: WebDriver, opened: Opening) -> None:
    """A script that gets into the page after all does not run, and the console says why."""
    page = opened(experiments())
    added = "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s);"
    assert page.run(added + "return window.ran") is None
    (said,) = logged(chromium, "browser")
    assert "Content Security Policy" in said["message"]


def test_of_many_rows_those_that_are_scrolled_to_are_in_the_table(opened: Opening) -> None:
    """All are sorted and found, few are laid out."""
    rows = [
        OverviewRow(f"run-{n}", f"run-{n}", f"{n:032x}", metrics={"acc": str(n * 7919 % 3000)}) for n in range(3000)
    ]
    page = opened(rows)
    count = "return document.querySelector('#experiments tbody').rows.length"
    assert page.run(count) == AT_ONCE
    page.run("const f = document.querySelector('.frame'); f.scrollTop = f.scrollHeight")
    page.run("return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.run(count) == 2 * AT_ONCE
    assert page.filter("run-2999") == (["run-2999"], "1 of 3,000")
    page.filter("")
    page.header("acc").find_element(CSS, "button").click()
    assert [cell.text for cell in page.every("#experiments tbody tr:first-child th")] == ["run-0"]
