"""Projects and workspaces that clients make, describe, annotate and delete: what is served, and kept in DIR."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cometfs.server.catalog.catalog import open_directory
from tests.inprocess.test_uploads import KEY, OTHER, Client

Row = dict[str, Any]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """Of an empty directory."""
    made = Client(tmp_path)
    yield made
    await made.http.aclose()


async def workspaces(client: Client) -> list[str]:
    found: list[str] = (await client.get("workspaces"))["workspaceNames"]
    return found


async def rows(client: Client, workspace: str = "ws") -> list[Row]:
    found: list[Row] = (await client.get("projects", workspaceName=workspace))["projects"]
    return found


async def create(client: Client, project: str | int = "p", status: int = 200, **more: Any) -> str:
    body = {"workspaceName": "ws", "projectName": project, "projectDescription": None, "isPublic": False} | more
    return str((await client.post("write/project/create", body, status)).get("projectId"))


def written(client: Client) -> Row:
    found: Row = json.loads((client.directory / "projects.json").read_text())
    return found


async def test_a_project_is_made_and_stays(client: Client) -> None:
    """Also without experiments, with its description, and after the server was killed."""
    made = await create(client, projectDescription="d é", isPublic=True)
    for one in (client, client.again()):
        (row,) = await rows(one)
        assert (row["projectId"], row["projectName"], row["numberOfExperiments"]) == (made, "p", 0)
        assert (row["projectDescription"], row["public"], row["lastUpdated"]) == ("d é", True, None)
        assert await one.get("project", projectId=made) == row
        assert (await one.get("experiments", projectId=made))["experiments"] == []


async def test_a_workspace_is_made_and_stays(client: Client) -> None:
    """Without any project; a second request for it is no error."""
    for name in ("new é", "new é", "other"):
        await client.post("write/workspace/new", {"name": name})
    for one in (client, client.again()):
        assert await workspaces(one) == ["new é", "other"]
        assert await rows(one, "other") == []


async def test_names_that_a_project_cannot_have(client: Client) -> None:
    """They are refused with a sentence, and nothing is written."""
    for name in ("", "a/b"):
        assert (await client.post("write/workspace/new", {"name": name}, 400))["msg"]
        await create(client, status=400, workspaceName=name)
    await create(client, "", status=400)
    assert await workspaces(client) == ["default"]
    assert not (client.directory / "projects.json").exists()


async def test_a_project_of_any_name(client: Client) -> None:
    """A slash, a dot, a line break: no path is made of it."""
    names = ["..", "a/b", "line\nbreak", "é" * 300]
    for name in names:
        await create(client, name)
    for one in (client, client.again()):
        assert sorted(row["projectName"] for row in await rows(one)) == sorted(names)


async def test_the_same_project_once_more(client: Client) -> None:
    """A client that got no answer asks again; another description is refused, and nothing changes."""
    assert await create(client, projectDescription="d") == await create(client, projectDescription="d")
    assert await create(client)
    await create(client, projectDescription="other", status=400)
    (row,) = await rows(client)
    assert row["projectDescription"] == "d"


async def test_a_project_that_runs_have_made(client: Client) -> None:
    """It can be described, and then it stays without them; another one goes with its last experiment."""
    for key, project in ((KEY, "p"), (OTHER, "q")):
        await client.begin(key, project)
    await create(client, projectDescription="d")
    for key in (KEY, OTHER):
        await client.get("write/experiment/delete", experimentKey=key)
    for one in (client, client.again()):
        assert [row["projectName"] for row in await rows(one)] == ["p"]


async def test_what_is_not_given_stays_as_it_is(client: Client) -> None:
    """Description, visibility and notes, by names and by id; each is there at once and after a kill."""
    project, place = await create(client, projectDescription="d"), {"workspaceName": "ws", "projectName": "p"}
    await client.post("write/project/update", place | {"isPublic": True})
    await client.post("write/project/notes", {"projectId": project, "notes": "# é\n"})
    await client.post("write/project/update", {"projectId": project, "newProjectDescription": "new"})
    for one in (client, client.again()):
        (row,) = await rows(one)
        assert (row["projectDescription"], row["public"]) == ("new", True)
        assert await one.get("project/notes", projectId=project) == {"notes": "# é\n"}


async def test_a_project_is_not_renamed(client: Client) -> None:
    """The answer says what to do instead. Its own name is no change."""
    project = await create(client)
    await client.post("write/project/update", {"projectId": project, "newProjectName": "p"})
    refused = await client.post("write/project/update", {"projectId": project, "newProjectName": "q"}, 400)
    assert "move its experiments" in refused["msg"]


@pytest.mark.parametrize("path", ["update", "notes", "delete"])
async def test_a_project_that_is_not_there(client: Client, path: str) -> None:
    await client.post(f"write/project/{path}", {"projectId": "0" * 32, "notes": "n"}, 404)
    await client.post(f"write/project/{path}", {"workspaceName": "nope", "projectName": "p", "notes": "n"}, 404)
    await client.post(f"write/project/{path}", {"notes": "n"}, 400)


async def test_a_project_is_deleted(client: Client) -> None:
    """One with experiments only with them, archived ones too; those of another project stay."""
    for key, project in ((KEY, "p"), (OTHER, "q")):
        await client.begin(key, project)
    await client.get("write/experiment/archive", experimentKey=KEY)
    project = await create(client, projectDescription="d")
    refused = await client.post("write/project/delete", {"projectId": project}, 400)
    assert "1 experiments" in refused["msg"]
    assert len(await rows(client)) == 2
    await client.post("write/project/delete", {"projectId": project, "deleteAllExperiments": True})
    for one in (client, client.again()):
        assert [row["projectName"] for row in await rows(one)] == ["q"]
    assert "ws/p" not in written(client)


@pytest.mark.logs("there is no project ws/p")
async def test_what_others_wrote_stays(client: Client) -> None:
    """Entries and fields of projects.json that this server does not know."""
    theirs: dict[str, Row] = {
        "ws/p": {"notes": "n", "public": True, "colour": "red"},
        "ws/q": {"description": "q", "created": 1},
        "far": {"created": 5},
    }
    (client.directory / "projects.json").write_text(json.dumps(theirs))
    again = client.again()
    assert await workspaces(again) == ["far", "ws"]
    await create(again, "r")
    project = await create(again)
    await again.post("write/project/update", {"projectId": project, "newProjectDescription": "d"})
    found = written(again)
    made = [found[place].pop("created") for place in ("ws/p", "ws/r")]
    assert found == {**theirs, "ws/p": {**theirs["ws/p"], "description": "d"}, "ws/r": {}}
    assert all(isinstance(at, int) for at in made)


async def test_a_broken_file_is_not_written_over(client: Client) -> None:
    """It may hold more than we can read."""
    (client.directory / "projects.json").write_text('{"ws/p": ')
    refused = await client.post("write/project/create", {"workspaceName": "ws", "projectName": "p"}, 409)
    assert "mend it" in refused["msg"]
    assert (client.directory / "projects.json").read_text() == '{"ws/p": '
    assert await workspaces(client) == ["default"]


async def test_numbers_as_names(client: Client) -> None:
    """Comet's server takes them as text, wherever text is declared."""
    project = await create(client, project=7, workspaceName=5, projectDescription=3)
    await client.post("write/project/notes", {"workspaceName": 5, "projectName": 7, "notes": 12})
    for one in (client, client.again()):
        (row,) = await rows(one, "5")
        assert (row["projectName"], row["projectDescription"]) == ("7", "3")
        assert await one.get("project/notes", projectId=project) == {"notes": "12"}


async def test_a_workspace_with_a_slash(client: Client) -> None:
    """Runs may be logged to one. Of its projects nothing is kept: that would be the entry of another project."""
    mine = await create(client, project="b/c", workspaceName="a", projectDescription="mine")
    run = {"experimentKey": KEY, "projectName": "c", "teamName": "a/b", "local_timestamp": 1000}
    await client.post("/clientlib/logger/add/run", run)
    place = {"workspaceName": "a/b", "projectName": "c"}
    await client.post("write/project/notes", place | {"notes": "n"}, 400)
    await client.post("write/project/update", place | {"isPublic": True}, 400)
    await client.post("write/project/delete", place | {"deleteAllExperiments": True})
    for one in (client, client.again()):
        assert await workspaces(one) == ["a"]
        assert (await one.get("project", projectId=mine))["projectDescription"] == "mine"


@pytest.mark.logs("ignored;")
def test_a_file_of_projects_that_is_too_deep(tmp_path: Path) -> None:
    """The server starts without it."""
    (tmp_path / "projects.json").write_text('{"ws/p": {"x": ' + "[" * 100_000 + "]" * 100_000 + "}}")
    assert open_directory(tmp_path).about == {}
