"""The pages of the embedded Comet, asked in process: what they show and lead to, and which headers go with them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from starlette.routing import Route

from cometfs.server.addresses import address
from cometfs.server.catalog.catalog import open_directory
from cometfs.server.catalog.project import ServedExperiment
from cometfs.server.http.app import OPEN, make_app
from cometfs.server.pages import files, views
from cometfs.server.runs.liveness import Liveness
from cometfs.server.runs.record import RunRecord
from tests.browser.test_overview import NASTY, TAGS, Page
from tests.inprocess.test_server_app import BLOB, KEY, LINES, line, metric, upload, write_run

OWN = TAGS | {"nav", "dl", "dt", "dd", "pre", "form", "main", "code", "label"}
EVIL = "<script>alert(1)</script>"
AT_ONCE = ("/", "/ws", "/ws/p", f"/ws/p/{KEY}", f"/ws/p/{KEY}/assets", "/nope")


def output(text: str) -> str:
    return line("standard_output", output=text, stderr=False)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    runs = tmp_path / "runs"
    runs.mkdir()
    return runs


@asynccontextmanager
async def browsing(directory: Path, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without a key; redirects are shown, not followed."""
    app = make_app(open_directory(directory), **options)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://comet") as client:
        yield client


def links(page: httpx.Response) -> list[str]:
    """Every address of the server that a page mentions."""
    return [link for link in Page(page.content).links() if link != "data:,"]


async def test_workspaces_lead_to_projects_to_experiments_and_to_all_that_they_logged(directory: Path) -> None:
    """Every link and picture of every page is there; assets and texts have the bytes that were logged."""
    write_run(directory, KEY, [*LINES, output("hello\n"), line("log_other", key="o", value="v")])
    seen, left = {}, ["/"]
    async with browsing(directory) as client:
        while left:
            link = left.pop()
            seen[link] = reply = await client.get(link)
            assert reply.status_code == 200, link
            if reply.headers["content-type"].startswith("text/html"):
                left += [one for one in set(links(reply)) - set(seen) - set(left) if one.startswith("/")]
    assert {"/ws", "/ws/p", f"/ws/p/{KEY}"} <= set(seen)
    bodies = {unquote(link): reply.content for link, reply in seen.items()}
    assert bodies[f"/ws/p/{KEY}/assets/a1/blob.bin"] == BLOB
    assert bodies[f"/ws/p/{KEY}/output.txt"] == b"hello\n"
    assert {link.partition("?")[0] for link in bodies if ".svg" in link} == {
        f"/ws/p/{place}/{name}.svg" for place in ("~charts", f"{KEY}/plots") for name in ("loss", "odd")
    }


async def test_the_page_of_an_experiment_says_what_it_logged(directory: Path) -> None:
    """Metrics with four digits, parameters, others, tags, output; of a remote asset the address."""
    shown = [metric("acc", 0.97222222, 3), metric("acc", 0.5, 4), output("first\n"), output("last\n")]
    write_run(directory, KEY, [*LINES, *shown, line("log_other", key="note", value="a & b")])
    async with browsing(directory) as client:
        page = Page((await client.get(f"/ws/p/{KEY}")).content)
    assert ["acc", "0.5", "0.5", "0.9722", "4"] in page.rows
    rest = {row[0]: row[1] for row in page.rows}  # of a table's last row it has what stands below, too
    assert rest["lr"].startswith("0.1")
    assert rest["note"].startswith("a & b")
    assert ["k", "asset", "", "s3://b/k"] in page.rows
    assert ["d/blob.bin", "asset", "1", "1.05 MB"] in page.rows
    assert "first\nlast" in page.text
    assert "s3://b/k" not in page.links()
    assert page.every("i") == [{}]


async def test_an_experiment_that_logged_nothing_has_a_page(directory: Path) -> None:
    """It says that there are no metrics, and shows no empty table."""
    write_run(directory, KEY, [])
    async with browsing(directory) as client:
        page = Page((await client.get(f"/ws/p/{KEY}")).content)
        project = Page((await client.get("/ws/p")).content)
    assert "No metrics." in page.text
    assert (page.rows, page.every("img"), page.every("pre")) == ([], [], [])
    assert len(project.rows) == 2


async def test_an_empty_server_says_what_to_do(directory: Path) -> None:
    """Its default workspace has a page."""
    async with browsing(directory) as client:
        assert "comet_ml" in Page((await client.get("/")).content).text
        assert (await client.get("/default")).status_code == 200


@pytest.mark.parametrize("nasty", [*NASTY, "..", ".", "a/b", "~x", "x?y#z", "%2F", "日本", "a\\b", "-", "api"])
async def test_names_may_be_anything(directory: Path, nasty: str) -> None:
    """Of workspaces, projects, experiments, metrics, parameters, others, tags, assets: text, and still found."""
    lines = [
        line("log_other", key="Name", value=nasty),
        line("log_other", key=nasty, value=nasty),
        line("parameter_msg", param={"paramName": nasty, "paramValue": nasty}),
        metric(nasty, 1, 0),
        upload("blob", "asset", "a" + nasty, nasty),
        upload("empty", "image", "i" + nasty, nasty),
        output(nasty),
    ]
    write_run(directory, KEY, lines, workspace=nasty, project_name=nasty, tags=[nasty])
    async with browsing(directory) as client:
        found, left = set(), {"/"}
        while left:
            link = left.pop()
            found.add(link)
            reply = await client.get(link)
            assert reply.status_code == 200, link
            if reply.headers["content-type"].startswith("text/html"):
                page = Page(reply.content)
                assert {tag for tag, _ in page.elements} <= OWN
                assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
                assert len(page.every("script")) == 2
                left |= set(links(reply)) - found
    assert len(found) == 4 + 1 + 2 + 2 + 1 - 1  # pages, output, pictures, assets; 200 assets are on the first page


async def test_nothing_is_a_link_that_a_browser_would_run(directory: Path) -> None:
    """An asset at an address of another scheme is text; at one of the web a link that does not tell where it was."""
    remote = [
        line("remote_file", remote_uri=uri, upload_type="asset", additional_params={"assetId": uri, "fileName": uri})
        for uri in ("javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "https://store.example/x")
    ]
    write_run(directory, KEY, remote)
    async with browsing(directory) as client:
        page = Page((await client.get(f"/ws/p/{KEY}")).content)
    outside = [link for link in page.every("a") if not (link["href"] or "").startswith("/")]
    assert outside == [{"href": "https://store.example/x", "rel": "noreferrer noopener"}]


@pytest.mark.parametrize("path", AT_ONCE)
async def test_pages_run_their_own_scripts_alone(directory: Path, path: str) -> None:
    """By a policy that also forbids frames, foreign forms and everything from elsewhere; nothing of a page is kept."""
    write_run(directory, KEY, LINES)
    async with browsing(directory) as client:
        headers = (await client.get(path)).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["form-action"] == policy["connect-src"] == "'self'"
    assert policy["img-src"] == "'self' data:"
    assert re.fullmatch(r"'sha256-\S+' 'sha256-\S+'", policy["script-src"])
    assert re.fullmatch(r"'sha256-\S+'", policy["style-src"])
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"  # without one, the form of the login would have no origin
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("kind", "name", "shown_as"),
    [
        ("asset", "evil.html", "application/octet-stream"),
        ("asset", "evil.svg", "application/octet-stream"),
        ("image", "evil.svg", "image/svg+xml"),
        ("image", "evil.html", "image/png"),
        ("image", "digit", "image/png"),
        ("image", "a/b é.PNG", "image/png"),
        ("asset", "x.png", "application/octet-stream"),
    ],
)
async def test_what_was_logged_is_no_page_of_the_server(directory: Path, kind: str, name: str, shown_as: str) -> None:
    """A file is downloaded; a picture is shown, in a sandbox in which nothing runs; neither is taken for more."""
    write_run(directory, KEY, [upload("blob", kind, "a", name)])
    async with browsing(directory) as client:
        reply = await client.get(f"/ws/p/{KEY}/assets/a")
    assert reply.content == BLOB
    assert reply.headers["content-type"] == shown_as
    how, _, given = reply.headers["content-disposition"].partition("; filename*=UTF-8''")
    assert how == ("inline" if shown_as.startswith("image") else "attachment")
    assert unquote(given) == name.rpartition("/")[2]
    assert reply.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    assert reply.headers["x-content-type-options"] == "nosniff"


async def test_a_report_is_downloaded_as_text(directory: Path) -> None:
    """HTML that a run logged does not run here."""
    write_run(directory, KEY, [line("htmlOverride", htmlOverride=EVIL)])
    async with browsing(directory) as client:
        reply = await client.get(f"/ws/p/{KEY}/report.html")
    assert reply.text == EVIL
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.headers["content-disposition"].startswith("attachment; ")


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/ws/nope",
        "/ws/p/nope",
        f"/ws/p/{KEY}/nope",
        f"/ws/p/{KEY}/assets/nope",
        f"/ws/p/{KEY}/assets/r",
        f"/ws/p/{KEY}/plots/nope.svg",
        f"/ws/p/{KEY}/code.py",
        f"/ws/p/{KEY}/a/b/c",
        "/ws/p/~charts/nope.svg",
        "/ws/p/~nope",
        "/ws/~..",
        "/%00/%ff",
    ],
)
async def test_what_is_not_there_is_a_page_that_says_so(directory: Path, path: str) -> None:
    """With the status that programs read, and a way back."""
    write_run(directory, KEY, LINES)
    async with browsing(directory) as client:
        reply = await client.get(path)
    assert reply.status_code in (400, 404)
    assert reply.headers["content-type"].startswith("text/html")
    assert "/" in links(reply)


@pytest.mark.parametrize(
    "path",
    [
        f"/wrong/names/{KEY}",
        f"/ws/p/archive/{KEY}",
        f"/ws/with/slash/{KEY}",
        f"/ws/q/{KEY}/",
        f"//evil.example/p/{KEY}",
    ],
)
async def test_a_key_leads_to_its_experiment(directory: Path, path: str) -> None:
    """By the address that was printed before it was moved, or that has a slash in a name; never to another host."""
    write_run(directory, KEY, LINES)
    async with browsing(directory) as client:
        reply = await client.get(httpx.URL("http://comet", raw_path=path.encode()))
    assert (reply.status_code, reply.headers["location"]) == (303, f"/ws/p/{KEY}")


async def test_comets_addresses_of_a_projects_views_lead_to_the_project(directory: Path) -> None:
    """As `Experiment.display_project` opens them."""
    write_run(directory, KEY, LINES)
    async with browsing(directory) as client:
        assert (await client.get("/ws/p/view/new/panels")).headers["location"] == "/ws/p"
        assert (await client.get("/ws/p/")).status_code == 200


async def test_archived_experiments_are_listed_apart(directory: Path) -> None:
    """One link leads to them, if there are any."""
    write_run(directory, KEY, LINES)
    async with browsing(directory) as client:
        assert "/ws/p/~archived" not in links(await client.get("/ws/p"))
    write_run(directory, "old", [metric("m", 1)], archived=True)
    async with browsing(directory) as client:
        assert "/ws/p/~archived" in links(await client.get("/ws/p"))
        assert "/ws/p/old" not in links(await client.get("/ws/p"))
        assert {"/ws/p/old", "/ws/p"} <= set(links(await client.get("/ws/p/~archived")))
        assert "archived" in Page((await client.get("/ws/p/old")).content).text


async def test_of_a_long_output_the_page_has_the_end(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And reads no more than that; the file has all of it."""
    lines = [output(f"line {number}\n") for number in range(30_000)]
    write_run(directory, KEY, lines)
    read = 0
    whole = RunRecord.payloads

    def counting(record: RunRecord, numbers: Any) -> Any:
        nonlocal read
        read += len(numbers)
        return whole(record, numbers)

    async with browsing(directory) as client:
        monkeypatch.setattr(RunRecord, "payloads", counting)
        reply = await client.get(f"/ws/p/{KEY}")
        monkeypatch.undo()
        assert (await client.get(f"/ws/p/{KEY}/output.txt")).text.count("\n") == 30_000
    assert read < 10_000
    assert len(reply.content) < 2 * views.TAIL
    assert "line 29999" in reply.text
    assert "line 1\n" not in reply.text
    assert "the whole is in output.txt" in reply.text


async def test_of_many_assets_the_page_has_the_first_and_another_page_all(directory: Path) -> None:
    """Of images fewer are shown."""
    write_run(directory, KEY, [upload("empty", "image", f"i{n}", f"{n}.png") for n in range(300)])
    async with browsing(directory) as client:
        page, whole = await client.get(f"/ws/p/{KEY}"), await client.get(f"/ws/p/{KEY}/assets")
    assert (len(Page(page.content).rows), len(Page(whole.content).rows)) == (1 + 200, 1 + 300)
    assert f"/ws/p/{KEY}/assets" in links(page)
    assert len(Page(page.content).every("img")) == 24


async def test_charts_show_the_latest_experiments(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of thousands no picture can tell more."""
    monkeypatch.setattr(files, "CHARTED", 2)
    for number in range(3):
        lines = [line("log_other", key="Name", value=f"run-{number}"), metric(f"m{number}", 1), metric("loss", number)]
        write_run(directory, f"k{number}", lines, start_time=number)
    async with browsing(directory) as client:
        project = await client.get("/ws/p")
        pictures = [link for link in links(project) if "~charts" in link]
        drawn = (await client.get(next(link for link in pictures if "loss" in link))).text
    assert [unescape(link).partition("?")[0].rpartition("/")[2] for link in pictures[::2]] == [
        "loss.svg", "m1.svg", "m2.svg",
    ]  # fmt: skip
    assert "run-0" not in drawn
    assert "run-1" in drawn
    assert "run-2" in drawn


async def test_programs_are_answered_as_before(directory: Path) -> None:
    """In JSON, whatever they accept: 401 without a key, 404 where no endpoint is."""
    write_run(directory, KEY, LINES)
    accept = {"Accept": "text/html"}
    async with browsing(directory) as client:
        for path in ("/api/rest/v2/workspaces", "/api/rest/v2/nope", "/clientlib/nope", "/api/rest/v1/x"):
            reply = await client.get(path, headers=accept)
            assert (reply.status_code, reply.json()["sdk_error_code"]) == (401, 90212)
            for method, key in (("GET", "k"), ("POST", "k")):
                reply = await client.request(method, path, headers=accept | {"Authorization": key})
                known = path.endswith("workspaces") and method == "GET"
                assert reply.status_code == (200 if known else 404)
                assert reply.headers["content-type"] == "application/json"
        for method in ("POST", "PUT", "DELETE", "HEAD"):
            assert (await client.request(method, "/ws/p")).status_code == 401
            assert (await client.request(method, "/ws/p", headers={"Authorization": "k"})).status_code == 404


@pytest.mark.parametrize("name", ["a b", "..", ".", "", "~", "a/b", "\ud800", "é%2F"])
def test_an_address_is_one_that_no_browser_changes(name: str) -> None:
    """No step up, no empty part, no second slash."""
    assert re.fullmatch(r"/w/[\w~%.-]+", address("w", name), re.ASCII)
    assert address("w", name) not in ("/w/.", "/w/..")


async def test_no_endpoint_is_reached_as_a_page(directory: Path) -> None:
    """Each of them, asked without a key as a browser would ask for a page or send its form, wants the key."""
    app = make_app(open_directory(directory))
    form = {"Accept": "text/html", "Content-Type": "application/x-www-form-urlencoded"}
    asked = 0
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://comet") as client:
        for route in app.routes[:-1]:
            assert isinstance(route, Route)
            for method in ("GET", "POST"):
                reply = await client.request(method, route.path, headers=form)
                assert reply.status_code == 401 or route.path in OPEN, route.path
                assert reply.headers["content-type"] == "application/json"
                asked += 1
    assert asked > 100


async def test_what_is_deleted_while_it_is_read_is_not_there(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it had been asked for a moment later."""
    write_run(directory, KEY, LINES)
    index = open_directory(directory)

    def deleted(one: ServedExperiment, logout: bool) -> bytes:
        index.remove(one)
        raise FileNotFoundError

    monkeypatch.setattr(views, "experiment", deleted)
    app = make_app(index)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://comet") as client:
        assert (await client.get(f"/ws/p/{KEY}")).status_code == 404


def test_a_long_running_metric_is_drawn_anew_when_a_thousandth_more_is_there(directory: Path) -> None:
    """Once it has ended its picture has every point; of a short one each point counts."""
    write_run(directory, KEY, [metric("long", step, step) for step in range(1999)] + [metric("short", 1, 1)])
    one = open_directory(directory).experiments[KEY]
    series = one.record.metrics

    def grown(name: str) -> bool:
        before = files.plot_address(one, name)
        series[name].lines.append(1)
        return files.plot_address(one, name) != before

    assert grown("long")
    one.liveness = Liveness()
    assert [grown("long"), grown("short")] == [False, True]
    one.liveness = None
    assert grown("long")
