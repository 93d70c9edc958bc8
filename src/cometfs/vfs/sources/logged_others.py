"""What programs logged beside parameters and metrics ("others"), of all experiments of a project.

Comet has no call that returns the others of several experiments. What can be known without asking each:

- ``Name`` is the experiment's name, which the listing has
- of an other that is true or false wherever it was logged (its column's type), two queries say which it is

An experiment with any other is asked by itself, which `others.json` shares. What queries return is verified against two
individually fetched experiments; where it differs, all are fetched. Not here: the table (project_tables.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cometfs.comet.answers.predicates import Condition
from cometfs.vfs.keys import Place
from cometfs.vfs.schema.declaration import Context, Resolver, Row
from cometfs.vfs.sources import experiment

FEW = 8
"""Experiments that are simply asked each."""

SAMPLE = 2
"""Experiments that are asked although queries returned all of theirs."""

Others = dict[str, Any]


async def others_of(
    asker: Resolver, project: Context, places: Sequence[Context], columns: Sequence[Row]
) -> Mapping[Place, Others]:
    """Name -> text of each experiment, by the keys of `places`; those that are gone are left out."""
    kinds = {column["name"]: column["type"] for column in columns if column["source"] == "log_other"}
    queried: dict[str, Others] | None = None
    if len(places) > FEW and all(at.version for at in places):
        queried = await _queried(asker, project, places, kinds)
        sample = await _asked(asker, [at for at in places if str(at.key[0]) in queried][:SAMPLE])
        if any(queried[str(key[0])] != others for key, others in sample.items()):
            queried = None
    found: dict[Place, Others] = {}
    if queried is not None:
        found = {at.key: queried[str(at.key[0])] for at in places if str(at.key[0]) in queried}
    return found | await _asked(asker, [at for at in places if at.key not in found])


async def _asked(asker: Resolver, places: Sequence[Context]) -> dict[Place, Others]:
    rows = await asker.answers(experiment.OTHERS, places)
    return {key: {row["name"]: row["valueCurrent"] for row in values} for key, values in rows.items()}


async def _queried(
    asker: Resolver, project: Context, places: Sequence[Context], kinds: Mapping[str, str | None]
) -> dict[str, Others]:
    """The others of those experiments, by key, of which queries return all."""
    found: dict[str, Others] = {str(at.key[0]): {} for at in places}
    names = {str(at.key[0]): (at.experiment or {})["experimentName"] for at in places}
    # True and false last, for they cost two queries: none is asked when no experiment is left that queries suffice for.
    for name, kind in sorted(kinds.items(), key=lambda pair: (pair[1] == "boolean", pair[0])):
        holders = await _query(asker, project, Condition("log_other", name, "is_not_null", type=kind or "string"))
        if name == "Name":
            found = {key: {**others, name: names[key]} if key in holders else others for key, others in found.items()}
        elif kind == "boolean":
            true = await _query(asker, project, Condition("log_other", name, "equal", True, "boolean"))
            texts = {key: "true" if key in true else "false" for key in holders}
            found = {key: {**others, name: texts[key]} if key in texts else others for key, others in found.items()}
        else:
            found = {key: others for key, others in found.items() if key not in holders}
        if not found:
            break
    return found


async def _query(asker: Resolver, project: Context, condition: Condition) -> frozenset[str]:
    name = str(project.project["projectName"]) if project.project else ""
    return frozenset(await asker.api.query_experiments(project.workspace, name, condition))
