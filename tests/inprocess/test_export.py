"""`cometfs export` over the embedded Comet, without a mount: what it asks, what it does again, what it cannot have."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import trio

from cometfs.errors import SetupError
from cometfs.export.copying import Copying, Result
from cometfs.export.target import OWN, Target
from cometfs.vfs.engine.vfs import Vfs
from cometfs.walking.comet_tree import CometTree, find
from cometfs.walking.globs import Selection
from tests.inprocess.conftest import BASELINE, Wire, mounted, names, read

BODY = "experiment/asset/get-asset"


async def export(
    vfs: Vfs, place: str, folder: Path, *, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()
) -> Result:
    tree = CometTree(vfs, await find(vfs, place))
    with Target(folder) as target:
        copying = Copying(tree, target, Selection(include, exclude))
        await copying.run()
    return copying.result


def files(folder: Path) -> set[str]:
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)) for path in found if OWN not in path.parts}


async def test_an_experiment_has_the_bytes_of_the_mount(vfs: Vfs, tmp_path: Path) -> None:
    """Each file, and each is counted; what is in no listing is left out."""
    result = await export(vfs, BASELINE, tmp_path)
    assert result.complete
    assert result.failed == {}
    assert result.files == result.found == len(files(tmp_path)) > 30
    assert ".api" not in {path.parts[0] for path in map(Path, files(tmp_path))}
    for path in files(tmp_path):
        assert (tmp_path / path).read_bytes() == await read(vfs, f"{BASELINE}/{path}"), path
    assert result.bytes == sum((tmp_path / path).stat().st_size for path in files(tmp_path))


async def test_a_project_has_its_experiments_and_links(vfs: Vfs, wire: Wire, tmp_path: Path) -> None:
    """A view is a link, and its target is there. After a few experiments what can be is asked for together."""
    result = await export(vfs, "vision-lab/digits", tmp_path)
    assert result.left_out == []
    assert Counter(wire.asked)["experiment/parameters"] < 5
    assert (tmp_path / "views/latest").is_symlink()
    assert (tmp_path / "views/latest/metadata.json").exists()
    assert set(await names(vfs, "vision-lab/digits")) <= {path.name for path in tmp_path.iterdir()}


async def test_links_out_of_what_is_exported_are_left_out(vfs: Vfs, tmp_path: Path) -> None:
    """And named."""
    result = await export(vfs, "vision-lab/digits/views", tmp_path)
    assert "latest" in result.left_out
    assert not (tmp_path / "latest").is_symlink()


async def test_again_only_what_may_have_changed_is_asked_for(wire: Wire, tmp_path: Path) -> None:
    """By another process, without the cache of the first; a file that was changed is made good."""
    async with mounted(wire, tmp_path / "one") as vfs:
        first = await export(vfs, BASELINE, tmp_path / "out")
    (tmp_path / "out/code.py").write_text("spoilt")
    wire.about.clear()
    async with mounted(wire, tmp_path / "two") as vfs:
        again = await export(vfs, BASELINE, tmp_path / "out", exclude=("*.svg",))
        assert (tmp_path / "out/code.py").read_bytes() == await read(vfs, f"{BASELINE}/code.py")
    assert again.failed == {}
    assert again.kept + again.files == first.files - len(list((tmp_path / "out/plots").rglob("*.svg")))
    assert again.files <= 3
    assert Counter(endpoint for endpoint, _ in wire.about)[BODY] == 0


async def test_what_cannot_be_had_does_not_end_the_rest(vfs: Vfs, wire: Wire, tmp_path: Path) -> None:
    """It is listed with its reason, and missing; the next time it is there."""
    wire.refused.add("experiment/code")
    result = await export(vfs, BASELINE, tmp_path)
    assert list(result.failed) == ["code.py"]
    assert not (tmp_path / "code.py").exists()
    assert result.complete
    assert (tmp_path / "params.json").exists()


async def test_what_is_left_out_is_not_asked_for(vfs: Vfs, wire: Wire, tmp_path: Path) -> None:
    """One file of each experiment costs that, and what tells in which directories such a file may be."""
    result = await export(vfs, "vision-lab/digits", tmp_path, include=("*/code.py",))
    assert result.files == 5
    asked = Counter(wire.asked)
    assert asked["experiment/code"] == 5
    assert set(asked) <= {"workspaces", "projects", "experiments", "project/column-names", "experiment/code"}


async def test_cancelled_it_leaves_whole_files_and_goes_on(vfs: Vfs, tmp_path: Path) -> None:
    """Wherever that was."""
    tree = CometTree(vfs, await find(vfs, BASELINE))
    with Target(tmp_path) as target, trio.CancelScope() as scope:
        copying = Copying(tree, target, Selection())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(copying.run)
            while copying.result.files < 5:  # noqa: ASYNC110
                await trio.sleep(0.001)
            scope.cancel()
    assert not copying.result.complete
    for path in files(tmp_path):
        assert (tmp_path / path).read_bytes() == await read(vfs, f"{BASELINE}/{path}"), path
    assert [path.name for path in (tmp_path / OWN).iterdir()] == ["journal.jsonl"]
    assert (await export(vfs, BASELINE, tmp_path)).complete


async def test_a_name_that_is_not_there_is_a_sentence(vfs: Vfs) -> None:
    """It says which."""
    with pytest.raises(SetupError, match="there is no 'nothing' in 'vision-lab/nothing/run'"):
        await find(vfs, "vision-lab/nothing/run")
