"""What is kept on disk is read by later versions: a change of what files hold needs another number of the format."""

from __future__ import annotations

import hashlib

from cometfs.cache.persistent.schema import FORMAT
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.nodes import Node
from cometfs.vfs.schema.declaration import Dir, Link
from tests.inprocess.conftest import BASELINE, FOREST, at

RECORDED = {
    1: "4e092935c0824448c04c67f13deb53670a50d2d304a5267e9f897fa75855bd45",
    2: "4e092935c0824448c04c67f13deb53670a50d2d304a5267e9f897fa75855bd45",  # other checksums of bodies
    3: "cfdda763cf60cb74771816e289450476e8f8d3cc6fc96fec74f0a318663df86e",  # no JSON file is empty
    4: "5053fe7632035b9234027883bd640b5d18e265ea86523c5e89739946574f05b7",  # names of images, numbers
    5: "f4f484590447f4a3e9f5a4df2beaf0e014087d3891f3800ac79c9ff672721f86",  # remote files by their links, as logged
}
"""The digest of every file of two experiments of the sample, by format."""

DRAWN = ".svg"
"""Pictures are remembered under the number of their drawing."""


async def _digest(vfs: Vfs, node: Node, path: str, found: dict[str, str]) -> None:
    listing, _ = await vfs.listings.children(node)
    for name, child in (listing.nodes | listing.unlisted).items():
        if isinstance(child.entry, Dir):
            await _digest(vfs, child, f"{path}/{name}", found)
        elif not isinstance(child.entry, Link) and not name.endswith(DRAWN):
            opened = await vfs.files.open(child)
            found[f"{path}/{name}"] = hashlib.sha256(bytes(await opened.read(0, opened.size))).hexdigest()
            opened.close()


async def test_files_are_those_of_the_format(vfs: Vfs) -> None:
    """Where they are not: raise FORMAT in cache/tables.py, and record the digest here beside it."""
    found: dict[str, str] = {}
    for place in (BASELINE, FOREST):
        await _digest(vfs, await at(vfs, place), place, found)
    assert len(found) > 100
    digest = hashlib.sha256("\n".join(f"{path} {sum_}" for path, sum_ in sorted(found.items())).encode()).hexdigest()
    assert digest == RECORDED[FORMAT]
