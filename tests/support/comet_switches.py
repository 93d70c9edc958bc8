"""Comets that differ from the embedded one as a real one may: each difference is a switch with a name.

A switch is a function of the faults that `faulty_comet` declares. By hand, before a Comet that runs already:

    python -m tests.support.comet_switches http://127.0.0.1:5000 get-all-fails

Not here: what the mount makes of a difference (tests of the mount), faults that no Comet is expected to have.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.support.faulty_comet import Answer, Edit, Faults, Pass, Request, faulty_comet
from tests.support.processes import Comet

Switch = Callable[[Faults], None]

GET_ALL = "experiment/metrics/get-all"
CHART = "experiments/multi-metric-chart"
QUERY = "project/query"
SEARCH = "experiments/search"

FOREIGN = Answer(400, b"<html>Bad Request</html>", "text/html")
"""From what stands before a Comet, not from Comet."""

REFUSED = Answer(400, b'{"msg": "invalid query", "code": 400, "sdk_error_code": 0}')

FORBIDDEN = Answer(403, b'{"msg": "not allowed", "code": 403}')


def _answering(part: str, answer: Answer) -> Switch:
    """Every request whose target has `part` gets that answer."""

    def switch(faults: Faults) -> None:
        faults.answers[part] = answer

    return switch


def _stalling(part: str) -> Switch:
    """No request whose target has `part` is answered."""
    return lambda faults: faults.stall(part)


def charts_failing_above(most: int) -> Switch:
    """Charts of more experiments than that fail."""

    def layer(request: Request, behind: Pass) -> Answer:
        too_many = request.endpoint == CHART and len(request.posted["targetedExperiments"]) > most
        return Answer(504) if too_many else behind(request)

    return lambda faults: faults.layers.append(layer)


def _asked_otherwise(endpoint: str, **posted: Any) -> Switch:
    """That endpoint takes those fields of what is posted for something else."""

    def layer(request: Request, behind: Pass) -> Answer:
        if request.endpoint == endpoint:
            request = replace(request, body=json.dumps(request.posted | posted).encode())
        return behind(request)

    return lambda faults: faults.layers.append(layer)


def _null_parameters(faults: Faults) -> None:
    """A chart has every parameter that was asked for, null where an experiment lacks it."""

    def layer(request: Request, behind: Pass) -> Answer:
        answer = behind(request)
        if request.endpoint != CHART or answer.status != 200:
            return answer
        told, wanted = json.loads(answer.body), request.posted.get("params") or ()
        for chart in told["experiments"].values():
            chart["params"] = dict.fromkeys(wanted) | (chart["params"] or {}) if wanted else chart["params"]
        return replace(answer, body=json.dumps(told).encode())

    faults.layers.append(layer)


def _unpaged_stall(faults: Faults) -> None:
    """To list experiments takes too long where no page is asked for."""

    def layer(request: Request, behind: Pass) -> Answer:
        slow = request.endpoint == "experiments" and "page" not in request.query
        return faults.never() if slow else behind(request)

    faults.layers.append(layer)


def _unpaged_fail(faults: Faults) -> None:
    """The same, where a gateway says so."""

    def layer(request: Request, behind: Pass) -> Answer:
        slow = request.endpoint == "experiments" and "page" not in request.query
        return Answer(504) if slow else behind(request)

    faults.layers.append(layer)


def _without_pages(faults: Faults) -> None:
    """Whichever page of experiments is asked for, all of them come."""

    def layer(request: Request, behind: Pass) -> Answer:
        if request.endpoint == "experiments":
            kept = {name: text for name, text in request.query.items() if name not in ("page", "size")}
            request = replace(request, target=f"{urlsplit(request.target).path}?{urlencode(kept)}")
        return behind(request)

    faults.layers.append(layer)


def _edited(edits: dict[str, Callable[[Any], Any]]) -> Switch:
    """Answers of those endpoints are what these functions make of them; refusals stay as they are."""

    def switch(faults: Faults) -> None:
        faults.edits |= {endpoint: _unless_refused(edit) for endpoint, edit in edits.items()}

    return switch


def _unless_refused(edit: Callable[[Any], Any]) -> Edit:
    return lambda found, _query: None if found is None else edit(found)


ROWS = {
    "workspaces": ("workspaceNames", ""),
    "projects": ("projects", "projectId"),
    "experiments": ("experiments", "experimentKey"),
    "experiment/asset/list": ("assets", "assetId"),
    "experiment/tags": ("tags", ""),
    "experiment/parameters": ("values", "name"),
    "experiment/log-other": ("values", "name"),
    "experiment/metrics/summary": ("values", "name"),
    "experiment/metrics/get": ("metrics", "metricName"),
    "experiment/metrics/get-all": ("metrics", "metricName"),
    "project/column-names": ("columns", "name"),
    "project/query": ("experimentKeys", ""),
    "artifacts/get-all": ("artifacts", "artifactId"),
    "artifacts/get": ("versions", "artifactVersionId"),
    "artifacts/version/files": ("files", "assetId"),
    "registry-model": ("registryModels", "modelName"),
    "registry-model/details": ("versions", "version"),
}
"""Lists: the field with the rows, and the one that a row is known by; "" where the rows are texts."""


def _odd_rows(field: str, identity: str) -> Callable[[Any], Any]:
    """Rows that are none before the others."""

    def edit(found: Any) -> Any:
        rows = found[field]
        odd = [{**rows[0], identity: [7]}, {}] if identity and rows else []
        return {**found, field: [*odd, None, [5], *rows] if rows else rows}

    return edit


def _odd_fields(field: str, **odd: Any) -> Callable[[Any], Any]:
    """Values of a wrong type in the first row."""

    def edit(found: Any) -> Any:
        first, *others = found[field] or [{}]
        return {**found, field: [first | odd, *others] if first else []}

    return edit


def _as_numbers(answer: Any) -> Any:
    """Values of parameters that read as numbers are numbers, not text."""
    for row in answer["values"]:
        row["valueCurrent"] = _number(row["valueCurrent"])
    return answer


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _without(field: str, name: str) -> Callable[[Any], Any]:
    """Rows that lack a field."""
    return lambda found: found | {field: [{key: row[key] for key in row if key != name} for row in found[field]]}


def _without_latest(found: Any) -> Any:
    versions = [row | {"alias": [one for one in row["alias"] if one.lower() != "latest"]} for row in found["versions"]]
    return found | {"versions": versions}


def _other_model_names(found: Any) -> Any:
    """The name of a version's model in the other field, and its files only in a list of their own."""
    versions = [row | {"assets": [], "experimentModel": _renamed(row["experimentModel"])} for row in found["versions"]]
    return found | {"versions": versions}


def _renamed(row: Any) -> Any:
    return {("experimentModelName" if name == "modelName" else name): value for name, value in row.items()}


KEPT = 2000
"""Characters of an output that are kept."""

SIGNED = "https://storage.example/o?X-Amz-Credential=secret&X-Amz-Signature=secret"


def _presigned(row: Any) -> Any:
    return row if row["remote"] else row | {"link": SIGNED, "s3Link": SIGNED, "thumbnailUrl": SIGNED}


def _choosing_a_type(faults: Faults) -> None:
    """Who names no type of assets gets those of the type `asset`."""

    def edit(found: Any, query: dict[str, str]) -> Any:
        if found is None or "type" in query:
            return found
        return found | {"assets": [row for row in found["assets"] if row["type"] == "asset"]}

    faults.edits["experiment/asset/list"] = edit


STORED = "/storage/object"
CLOSED = "http://127.0.0.1:9"


def _redirecting(storage: str, answer: Answer | None) -> Switch:
    """Downloads are redirected that may be, to a storage that answers so, or, for None, never answers."""

    def switch(faults: Faults) -> None:
        link = f"{storage}{STORED}?Expires=1&Signature=secret"
        faults.answers["allow301=true"] = Answer(302, b"", headers=(("Location", link),))
        if answer is None:
            faults.stall(STORED)
        else:
            faults.answers[STORED] = answer

    return switch


SWITCHES: dict[str, Switch] = {
    "charts-fail": _answering(CHART, Answer(500)),
    "charts-fail-above-4": charts_failing_above(4),
    "charts-ignore-fetch-full": _asked_otherwise(CHART, fetchFull=False),
    "charts-missing": _answering(CHART, Answer(404, b"")),
    "charts-null-parameters": _null_parameters,
    "charts-stall": _stalling(CHART),
    "experiments-fail-unpaged": _unpaged_fail,
    "experiments-ignore-paging": _without_pages,
    "experiments-time-out-unpaged": _unpaged_stall,
    "get-all-fails": _answering(GET_ALL, Answer(504)),
    "get-all-forbidden": _answering(GET_ALL, FORBIDDEN),
    "get-all-odd": _answering(GET_ALL, FOREIGN),
    "get-all-stalls": _stalling(GET_ALL),
    "query-fails": _answering(QUERY, Answer(500)),
    "query-missing": _answering(QUERY, Answer(404, b'{"msg": "HTTP 404 Not Found", "code": 404}')),
    "query-refused": _answering(QUERY, REFUSED),
    "artifacts-without-latest": _edited({"artifacts/get": _without_latest}),
    "artifact-files-without-remote": _edited({"artifacts/version/files": _without("files", "remote")}),
    "asset-list-chooses-a-type": _choosing_a_type,
    "links-are-presigned": _edited(
        {"experiment/asset/list": lambda found: found | {"assets": [_presigned(row) for row in found["assets"]]}}
    ),
    "models-by-another-name": _edited(
        {
            "registry-model/details": _other_model_names,
            "experiment/model": lambda found: found | {"models": [_renamed(row) for row in found["models"]]},
        }
    ),
    "output-loses-its-beginning": _edited(
        {"experiment/output": lambda found: found | {"output": (found.get("output") or "")[-KEPT:]}}
    ),
    "rows-of-nothing": _edited({endpoint: _odd_rows(*names) for endpoint, names in ROWS.items()}),
    "rows-of-wrong-types": _edited(
        {
            "projects": _odd_fields("projects", numberOfExperiments="5", lastUpdated=[], projectDescription=7),
            "experiments": _odd_fields(
                "experiments", running="true", throttleMessage="\ud800", endTimeMillis="never", projectName=[5]
            ),
            "experiment/asset/list": _odd_fields("assets", fileSize="unknown", step="1", createdAt=1e300),
            "experiment/system-details": lambda found: found | {"totalRam": "\ud800", "installedPackages": [None, 5]},
        }
    ),
    "search-fails": _answering(SEARCH, Answer(500)),
    "search-missing": _answering(SEARCH, Answer(404, b"")),
    "artifacts-refused": _answering("artifacts/get-all", Answer(403, b'{"msg": "not for you", "code": 403}')),
    "get-all-missing": _answering(GET_ALL, Answer(404, b"<html>not found</html>", "text/html")),
    "key-rejected": _answering("api/rest", Answer(401, b'{"msg": "no such key", "code": 401}')),
    "store-missing": _answering("panel/store", Answer(404, b"")),
    "values-are-numbers": _edited({"experiment/parameters": _as_numbers}),
    "storage-forbids": _redirecting("", Answer(403, b"<Error><Code>AccessDenied</Code></Error>", "application/xml")),
    "storage-is-silent": _redirecting("", None),
    "storage-is-unreachable": _redirecting(CLOSED, Answer(500)),
}


@contextmanager
def switched_comet(comet: Comet, *names: str) -> Iterator[tuple[Comet, Faults]]:
    """The same Comet at another address, different in the ways that are named, until the block ends.

    What the last one changes the ones before it see."""
    with faulty_comet(comet) as (before, faults):
        for name in names:
            SWITCHES[name](faults)
        yield before, faults


def _main(url: str, *names: str) -> None:
    nothing = subprocess.Popen(["true"], text=True)
    with nothing, switched_comet(Comet(url, nothing, Path(), Path()), *names) as (before, _):
        print(before.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    _main(*sys.argv[1:])
