"""Whether files that go one after the other are all that there is: by their order alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cometfs.vfs.changes.removals import PAUSE, SORTED, Removals
from cometfs.vfs.layout.experiment import EXPERIMENT
from cometfs.vfs.nodes import Node
from cometfs.vfs.schema.declaration import Context

AT = Context("", 0.0, ("key",), experiment={"experimentKey": "key"})

TREE = {"run": ["a.json", "metrics", "z.txt"], "metrics": ["acc.csv", "loss.csv"]}

RUN, METRICS = Node("run", EXPERIMENT, AT), Node("metrics", EXPERIMENT, AT)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def names_of(node: Node) -> Sequence[str]:
    return TREE[node.name]


async def takes(removals: Removals, *paths: str, program: int = 7) -> list[bool]:
    """Whether each may go; a directory's ends with "/"."""
    found = []
    for path in paths:
        *folder, name = path.rstrip("/").split("/")
        above = [METRICS, RUN] if folder else [RUN]
        found.append(await removals.takes(program, above, name, whole=path.endswith("/")))
    return found


@pytest.mark.parametrize(
    "paths",
    [
        ("a.json", "metrics/acc.csv", "metrics/loss.csv", "metrics/", "z.txt"),
        ("z.txt", "metrics/loss.csv", "metrics/acc.csv", "metrics/", "a.json"),
    ],
)
async def test_all_in_order_goes(paths: Sequence[str]) -> None:
    """As `rm -r` has it, and from the end."""
    assert all(await takes(Removals(names_of, Clock()), *paths))


@pytest.mark.parametrize(
    "paths",
    [
        ("metrics/acc.csv",),
        ("a.json", "metrics/loss.csv", "z.txt"),
        ("a.json", "metrics/acc.csv", "metrics/"),
        ("a.json", "unlisted"),
    ],
)
async def test_what_leaves_something_out_does_not(paths: Sequence[str]) -> None:
    """And from then on nothing does, as long as the program goes on."""
    removals = Removals(names_of, Clock())
    assert not all(await takes(removals, *paths))
    assert await takes(removals, "a.json") == [False]


async def test_another_try_begins_anew() -> None:
    """After a pause, or by another program."""
    clock = Clock()
    removals = Removals(names_of, clock)
    assert await takes(removals, "a.json", "metrics/acc.csv", "z.txt") == [True, True, False]
    assert removals.reported(7, ("key",)) == 2
    assert await takes(removals, "a.json", program=8) == [True]
    clock.now += PAUSE + 1
    assert await takes(removals, "a.json") == [True]
    assert removals.reported(7, ("key",)) == 1


async def test_in_a_huge_directory_any_order_will_do() -> None:
    """There `rm` sorts by inode."""

    async def many(node: Node) -> Sequence[str]:
        return [str(number) for number in range(SORTED + 1)] if node is METRICS else TREE[node.name]

    assert await takes(Removals(many, Clock()), "a.json", "metrics/77", "metrics/5") == [True, True, True]
