"""Requests to the embedded Comet that are made to write elsewhere, or to be read by a page of another site."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from cometfs.server.catalog.catalog import open_directory
from cometfs.server.http.app import make_app
from cometfs.server.storage.journal import Journal
from cometfs.server.storage.lock import lock
from tests.inprocess.test_hosts import KEY, START

HOSTILE = (
    "../up",
    "/tmp/cometfs-up",
    "a/../../../up",
    "..",
    "x\0/../../up",
    "%2e%2e/up",
    "projects.json",
    f"{KEY}/messages.json",
)

FIELDS = (
    *("experimentKey", "experimentId", "teamName", "workspaceName", "projectName", "projectId", "fileName", "name"),
    *("assetId", "type", "userFileName", "assetType", "key", "value", "modelName", "registryModelName", "version"),
    *("artifactName", "artifactVersionId", "artifactId", "alias", "versionTags", "artifactType", "link", "file_path"),
    *("targetWorkspaceName", "targetProjectName", "experimentName", "store", "notes", "workspace", "offset", "id"),
    *("graph", "html", "output", "code", "groupingName", "extension", "context", "step", "stage", "description"),
)


def tree(folder: Path, below: Path) -> Iterator[tuple[str, int, int]]:
    """Everything in a folder but what is in the one that is served, and whether it was changed."""
    for place, folders, files in os.walk(folder):
        if Path(place) == below:
            folders.clear()
            continue
        for name in files:
            status = (Path(place) / name).lstat()
            yield f"{place}/{name}", status.st_size, status.st_mtime_ns


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
async def test_no_name_leads_out_of_the_directory(name: str, tmp_path: Path) -> None:
    """In no field of a body or query, in no part of a path, as no name of a file: for every route that writes."""
    directory = tmp_path / "a/b/runs"
    directory.mkdir(parents=True)
    (tmp_path / "a/up").write_text("mine")
    locked = lock(directory)
    index = open_directory(directory)
    app = make_app(index, journal=Journal(index, locked))
    before = sorted(tree(tmp_path, directory))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    statuses = []
    async with httpx.AsyncClient(
        transport=transport, base_url="http://comet", headers={"Authorization": "k"}
    ) as client:
        await client.post("/clientlib/logger/add/run", json=START)
        for route in app.routes:
            assert isinstance(route, Route)
            for method in sorted((route.methods or set()) - {"GET"}):
                how = "file" if "upload" in route.path or "asset" in route.path or "patch" in route.path else "json"
                statuses.append(await ask(client, method, route.path, name, KEY, how))
    locked.close()
    assert sorted(tree(tmp_path, directory)) == before
    assert not Path("/tmp/cometfs-up").exists()
    assert [path for path in directory.rglob("*") if path.is_symlink()] == []
    assert len(statuses) > 100
    assert 200 in statuses
    assert [status for status in statuses if status >= 500] == []
    assert open_directory(directory).workspaces()  # another server reads what is there


async def ask(client: httpx.AsyncClient, method: str, route: str, name: str, key: str, how: str) -> int:
    path = re.sub(r"\{[^}]*\}", lambda _: httpx.QueryParams({"x": name})["x"].replace("\0", "%00"), route)
    query = dict.fromkeys(FIELDS, name) | {"experimentKey": key, "experimentId": key}
    body: dict[str, Any] = (
        {"files": {"file": (query["fileName"], b"content")}, "data": {"metadata": "{}"}}
        if how == "file"
        else {"json": query | {"values": [query], "artifacts": [query], "items": [query], "experimentKeys": [key]}}
    )
    try:
        url = httpx.URL("http://comet").copy_with(raw_path=_quoted(path))
        return (await client.request(method, url, params=query, **body)).status_code
    except httpx.InvalidURL:
        return 0


def _quoted(path: str) -> bytes:
    return b"".join(
        bytes([byte]) if 0x20 < byte < 0x7F and byte not in b"?#%" else b"%%%02X" % byte
        for byte in path.encode("utf-8", "replace")
    )


async def test_no_answer_lets_a_page_of_another_site_read_it(tmp_path: Path) -> None:
    """By no route or method is a header of CORS sent: not to this server's own pages, nor to a browser that asks."""
    locked = lock(tmp_path)
    index = open_directory(tmp_path)
    app = make_app(index, journal=Journal(index, locked))
    asked = 0
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://comet") as client:
        for origin in ("http://comet", "http://evil.example", "null"):
            preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
            for path in sorted({route.path for route in app.routes if isinstance(route, Route)}):
                for method in ("OPTIONS", "GET"):
                    headers = {"Authorization": "k", "Origin": origin} | (preflight if method == "OPTIONS" else {})
                    reply = await client.request(method, path, headers=headers)
                    assert [name for name in reply.headers if name.startswith("access-control")] == []
                    assert origin == "http://comet" or reply.status_code == 403
                    asked += 1
    locked.close()
    assert asked > 300
