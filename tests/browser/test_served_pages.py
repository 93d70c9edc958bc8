"""The pages of the embedded Comet in a real browser: followed from one to the other, live, hostile, behind a login."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement

from cometfs.server.addresses import address
from tests.browser.conftest import NOWHERE, browser
from tests.browser.test_overview_page import CSS, ENTER, NASTY, logged, requested
from tests.browser.test_pictures import DARK
from tests.support.processes import PATIENCE, Comet, running_comet
from tests.support.subprocesses import await_that

KEY = "00c0ffee" * 4
SECRET = "the key"
WRITE = "/api/rest/v2/write/experiment/"
PLACE = (NASTY, f"../{NASTY}")
PAGE = address(*PLACE, KEY)
EVIL_PAGE = b"<script>document.title = 'ran'</script><p>a page"
EVIL_PICTURE = (
    b"""<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>document.title = 'ran'</script></svg>"""
)


class Run:
    """Logs to one experiment, in the bodies of comet_ml's clients."""

    def __init__(self, url: str, key: str = KEY, api_key: str = SECRET) -> None:
        self._url, self._key, self._headers = url, key, {"Authorization": api_key}
        begun = {"teamName": PLACE[0], "projectName": PLACE[1], "local_timestamp": 1000}
        self._post("/clientlib/logger/add/run", begun)

    def _post(self, path: str, body: dict[str, Any]) -> None:
        body |= {"experimentKey": self._key}
        httpx.post(self._url + path, json=body, headers=self._headers, timeout=PATIENCE).raise_for_status()

    def metric(self, name: str, *values: float) -> None:
        rows = [{"metricName": name, "metricValue": value, "step": step} for step, value in enumerate(values)]
        self._post("/clientlib/batch/logger/experiment/metric", {"values": rows})

    def write(self, endpoint: str, **body: Any) -> None:
        self._post(WRITE + endpoint, body)

    def output(self, text: str) -> None:
        self.write("output", outputLines=[{"output": text, "stderr": False}])

    def file(self, name: str, body: bytes, kind: str) -> None:
        query = {"experimentKey": self._key, "type": kind, "fileName": name}
        address = f"{self._url}{WRITE}upload-asset"
        sent = httpx.post(address, params=query, files={"file": ("x", body)}, headers=self._headers, timeout=PATIENCE)
        sent.raise_for_status()

    def end(self) -> None:
        self._post("/clientlib/status-report/update", {"is_alive": False, "local_timestamp": 9000})


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    """A browser that reaches this machine, and nothing else."""
    with browser(tmp_path_factory.mktemp("profile"), f"{NOWHERE}, EXCLUDE 127.0.0.1") as driver:
        yield driver


@pytest.fixture
def comet(tmp_path: Path) -> Iterator[Comet]:
    """Without a key. A run that is silent is alive for as long as the test may last."""
    with running_comet(tmp_path, "--crashed-after", "3600", archives=tmp_path / "runs") as running:
        yield running


@contextmanager
def clean(visitor: WebDriver, url: str) -> Iterator[None]:
    """Around a block after which the console is empty, no script of a user ran, and no other server was asked."""
    logged(visitor, "browser"), logged(visitor, "performance")
    yield
    assert logged(visitor, "browser") == []
    assert {urlsplit(asked).netloc for asked in requested(visitor) if not asked.startswith("data:")} <= {
        urlsplit(url).netloc
    }
    assert visitor.title != "ran"


def every(visitor: WebDriver, selector: str) -> list[WebElement]:
    return visitor.find_elements(CSS, selector)


def texts(visitor: WebDriver, selector: str) -> list[str]:
    """At one moment: elements may be replaced meanwhile."""
    script = "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)"
    found: list[str] = visitor.execute_script(script, selector)
    return found


def hostile(url: str, api_key: str = SECRET) -> Run:
    """A run of which every name and text is a script."""
    run = Run(url, api_key=api_key)
    run.write("log-other", key="Name", value=NASTY)
    run.write("log-other", key=NASTY, value=NASTY)
    run.write("parameter", parameterName=NASTY, parameterValue=NASTY)
    run.write("tags", addedTags=[NASTY])
    run.metric(NASTY, 1, 2, 3)
    run.output(f"\x1b[1mbold\x1b[0m 10%\rdone {NASTY}\n</pre>{NASTY}\n")
    run.file(NASTY, EVIL_PAGE, "asset")
    run.file("evil.svg", EVIL_PICTURE, "image")
    picture = io.BytesIO()
    Image.new("RGB", (30, 20), "red").save(picture, "png")
    run.file("digit.png", picture.getvalue(), "image")
    return run


def test_a_person_walks_from_the_workspaces_to_an_experiment(visitor: WebDriver, comet: Comet) -> None:
    """By links alone, whatever things are called; names are text, pictures are seen, nothing runs."""
    hostile(comet.url).end()
    with clean(visitor, comet.url):
        visitor.get(comet.url)
        for title in (PLACE[0], "/".join(PLACE), NASTY):
            every(visitor, "tbody th a")[0].click()
            await_that(lambda title=title: texts(visitor, "h1") == [title], title)  # type: ignore[misc]
        assert urlsplit(visitor.current_url).path == PAGE
        assert texts(visitor, "#metrics tbody th") == [NASTY]
        assert texts(visitor, ".values td") == [NASTY, NASTY]
        assert texts(visitor, "pre") == [f"done {NASTY}\n</pre>{NASTY}"]
        assert texts(visitor, "nav a") == ["Workspaces", *PLACE]
        decoded = "return Promise.all([...document.images].map(i => (i.loading = 'eager', i.decode(), i.naturalWidth)))"
        visitor.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
        await_that(lambda: 0 not in visitor.execute_script(decoded), "pictures")
        assert sorted(visitor.execute_script(decoded)) == [9, 30, 1000]
        assert len(every(visitor, "script")) == 2


def test_what_a_run_logged_does_not_run_when_it_is_opened(visitor: WebDriver, comet: Comet) -> None:
    """A page that it logged is a download, of which the browser shows nothing; a picture alone runs no script."""
    hostile(comet.url)
    visitor.get(comet.url + PAGE)
    addresses = [link.get_attribute("href") or "" for link in every(visitor, "#files th a")]
    assert len(addresses) == 3
    for link in addresses:
        visitor.get(comet.url + "/nope")
        visitor.get(link)
        assert visitor.title != "ran"
        assert "a page" not in visitor.page_source
    visitor.get(comet.url + "/nope")
    logged(visitor, "browser")


def test_the_policy_is_in_force(visitor: WebDriver, comet: Comet) -> None:
    """Of the header: a script that gets into a page after all does not run."""
    visitor.get(comet.url)
    logged(visitor, "browser")
    added = "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s);"
    assert visitor.execute_script(added + "return window.ran") is None
    (said,) = logged(visitor, "browser")
    assert "Content Security Policy" in said["message"]


@pytest.fixture
def patient(visitor: WebDriver) -> Iterator[WebDriver]:
    """A browser whose pages ask again when `look` is called, and only then; until the test ends."""
    source = "window.due = []; window.setTimeout = (call, delay) => window.due.push([call, delay]);"
    made = visitor.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
    yield visitor
    visitor.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", made)
    visitor.get("about:blank")


def look(visitor: WebDriver) -> list[int]:
    """Lets what the page waits for happen; for how many milliseconds it meant to wait."""
    delays: list[int] = visitor.execute_script("return window.due.splice(0).map(([call, delay]) => (call(), delay))")
    return delays


def waits(visitor: WebDriver) -> bool:
    """Whether the page has looked, and is to look again."""
    found: bool = visitor.execute_script("return window.due.length > 0")
    return found


def test_the_page_of_a_running_experiment_shows_what_is_new(patient: WebDriver, comet: Comet) -> None:
    """Values, charts, output and state, not loaded anew; what was unfolded stays so. After its end it asks no more."""
    run = Run(comet.url)
    run.metric("loss", 3)
    run.metric("sys.cpu", 1)
    sources = "return [...document.querySelectorAll('#charts img')].map(i => i.src)"
    with clean(patient, comet.url):
        patient.get(comet.url + PAGE)
        patient.execute_script("window.same = true; document.querySelector('details').open = true")
        before = patient.execute_script(sources)
        run.metric("loss", 2, 1)
        run.output("half way\n")
        assert look(patient) == [10_000]
        await_that(lambda: waits(patient), "the page has looked")
        assert texts(patient, "#metrics td")[:3] == ["1", "1", "3"]
        assert texts(patient, "pre") == ["half way"]
        assert before != patient.execute_script(sources)
        run.end()
        look(patient)
        await_that(lambda: texts(patient, "#top .finished") == ["finished"], "its state")
        assert patient.execute_script("return window.same && document.querySelector('details').open")
        assert not waits(patient)


def test_a_selection_is_not_taken_away(patient: WebDriver, comet: Comet) -> None:
    """A person copies a line of the output while the run prints."""
    run = Run(comet.url)
    run.output("copied\n")
    patient.get(comet.url + PAGE)
    patient.execute_script("getSelection().selectAllChildren(document.querySelector('pre'))")
    run.output("more\n")
    run.metric("loss", 1)
    look(patient)
    await_that(lambda: texts(patient, "#metrics tbody th") == ["loss"], "the metric")
    assert texts(patient, "pre") == ["copied"]
    assert patient.execute_script("return String(getSelection())") == "copied"
    patient.execute_script("getSelection().removeAllRanges()")
    await_that(lambda: waits(patient), "the page has looked")
    look(patient)
    await_that(lambda: texts(patient, "pre") == ["copied\nmore"], "the output")


def test_a_live_table_is_loaded_anew_unless_it_is_in_use(patient: WebDriver, comet: Comet) -> None:
    """A filter that a person typed stays."""
    Run(comet.url).metric("loss", 1)
    patient.get(comet.url + address(*PLACE))
    Run(comet.url, "1" * 32).metric("loss", 2)
    assert look(patient) == [30_000]
    await_that(lambda: texts(patient, "#count") == ["2 of 2"], "the other experiment")
    every(patient, "#filter")[0].send_keys("nothing-has-this")
    patient.execute_script("window.same = true")
    with comet.asked() as asked:
        assert look(patient) == [30_000]
        await_that(lambda: waits(patient), "the page has looked")
        assert patient.execute_script("return window.same")
    assert asked == []
    assert texts(patient, "#count") == ["0 of 2"]


def test_a_server_that_is_away_is_asked_again(patient: WebDriver, comet: Comet) -> None:
    """What was shown stays; where a login is wanted meanwhile, its form comes."""
    run = Run(comet.url)
    run.metric("loss", 1)
    patient.get(comet.url + PAGE)
    patient.execute_script("window.fetch = () => Promise.reject(new TypeError('away'))")
    look(patient)
    await_that(lambda: waits(patient), "the page has looked")
    assert texts(patient, "#metrics tbody th") == ["loss"]


def test_without_scripts_a_live_page_is_loaded_anew(comet: Comet) -> None:
    """By the browser itself; one of a run that has ended is not."""
    run = Run(comet.url)
    anew = '<noscript><meta http-equiv="refresh" content="10">'
    assert anew in httpx.get(comet.url + PAGE).text
    run.end()
    assert "refresh" not in httpx.get(comet.url + PAGE).text.partition("<script>")[0].partition("</style>")[2]


def test_a_person_logs_in_and_out(visitor: WebDriver, tmp_path: Path) -> None:
    """At the link that was printed. The key is in no cookie and no address, the cookie is hidden from scripts."""
    with running_comet(tmp_path, "--api-key", SECRET, archives=tmp_path / "runs") as comet:
        Run(comet.url).metric("loss", 1)
        visitor.get(comet.url + PAGE)
        logged(visitor, "browser")  # which has the 401
        assert every(visitor, "#key")[0] == visitor.switch_to.active_element
        every(visitor, "#key")[0].send_keys("wrong", ENTER)
        await_that(lambda: "not the server's" in "".join(texts(visitor, "[role=alert]")), "the form says why")
        logged(visitor, "browser")
        every(visitor, "#key")[0].send_keys(SECRET, ENTER)
        await_that(lambda: texts(visitor, "#metrics tbody th") == ["loss"], "the page")
        with clean(visitor, comet.url):
            assert urlsplit(visitor.current_url).path == PAGE
            assert visitor.execute_script("return document.cookie") == ""
            (cookie,) = [one for one in visitor.get_cookies() if one["name"].startswith("cometfs-")]
            assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
            assert SECRET not in cookie["value"]
            visitor.get(f"{comet.url}/")
            assert every(visitor, "tbody th a")
        every(visitor, "nav button")[0].click()
        await_that(lambda: bool(every(visitor, "#key")), "the form")
        assert [one for one in visitor.get_cookies() if one["name"].startswith("cometfs-")] == []


@pytest.mark.parametrize("width", [360, 1366])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_pages_fit_the_window_in_light_and_dark(visitor: WebDriver, comet: Comet, width: int, *, dark: bool) -> None:
    """Nothing is broader than it, whatever was logged; words can be read."""
    run = hostile(comet.url)
    run.write("parameter", parameterName="x" * 300, parameterValue="y" * 900)
    run.write("tags", addedTags=["t" * 200])
    run.output("z" * 5000 + "\n")
    visitor.execute_cdp_cmd("Emulation.setEmulatedMedia", DARK if dark else {"features": []})
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    visitor.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        for path in ("/", address(PLACE[0]), address(*PLACE), PAGE, f"{PAGE}/assets", "/nope"):
            visitor.get(comet.url + path)
            assert visitor.execute_script("return document.documentElement.scrollWidth") <= width, path
            pixels = Image.open(io.BytesIO(visitor.get_screenshot_as_png())).convert("L").tobytes()
            assert max(pixels) - min(pixels) > 150
            assert (pixels[0] < 100) == dark
    finally:
        visitor.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        visitor.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_thousand_experiments_are_a_page(visitor: WebDriver, tmp_path: Path) -> None:
    """That sorts and filters, as overview.html does; its charts show the latest hundred."""
    with running_comet(tmp_path, "--replicate", "240") as comet:
        visitor.get(f"{comet.url}/vision-lab/digits")
        assert texts(visitor, "#count") == ["1,200 of 1,200"]
        assert len(texts(visitor, "#experiments tbody tr")) == 200
        typed = "const field = document.getElementById('filter'); field.value = arguments[0];"
        visitor.execute_script(f"{typed} field.dispatchEvent(new Event('input'))", "mlp-baseline-r0007")  # at once
        assert texts(visitor, "#experiments tbody th") == ["mlp-baseline-r0007"]
        every(visitor, "#experiments tbody th a")[0].click()
        await_that(lambda: texts(visitor, "h1") == ["mlp-baseline-r0007"], "its page")
