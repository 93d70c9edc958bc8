"""``write/experiment/llm``: whole runs at once, which is how comet_llm logs prompts and chains.

Each run of a batch has an answer of its own, with its own status; one that is wrong costs the others nothing.

Not here: runs that are logged bit by bit (`experiments`), how files are kept (`uploads`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from cometfs.server.errors import SHOWN, ApiError
from cometfs.server.request import DONE, Endpoint, Request, answered
from cometfs.server.runs.leniency import check_depth
from cometfs.server.storage.errors import InvalidKey, NotThere, Unreadable
from cometfs.server.storage.experiment_json import now
from cometfs.server.storage.log_lines import Message
from cometfs.server.write_api import payloads as b
from cometfs.server.write_api.experiments import tagged
from cometfs.server.write_api.manage import New, link_of
from cometfs.server.write_api.upload_lines import file_upload, new_id, placement
from cometfs.server.write_api.uploads import keep_bytes


class _Other(msgspec.Struct):
    key: Any
    value: Any = None

    def __post_init__(self) -> None:
        check_depth(self.key)
        check_depth(self.value)


class _Document(msgspec.Struct, rename="camel"):
    """The prompt or the chain, as JSON."""

    file: Any
    file_name: str = "comet_llm_data.json"
    type: str = "llm_data"
    extension: str | None = None


class _Trace(b.LogBody):
    create_experiment_request: New = msgspec.field(default_factory=New)
    parameters: list[b.SettingBody] | None = None
    metrics: list[b.PointBody] | None = None
    others: list[_Other] | None = None
    tags: list[str] | None = None
    json_asset: _Document | None = None


def _log_all(request: Request) -> Any:
    answers = {}
    for number, item in enumerate(request.json(list[msgspec.Raw])):
        key = str(number)
        try:
            trace: _Trace = request.part(bytes(item), _Trace)
            key = trace.experiment_key
            answers[key] = {"status": 200, "content": answered(request, _log(request, trace))}
        except ApiError as exc:
            answers[key] = _refusal(exc.message)
        except (InvalidKey, NotThere, Unreadable) as exc:
            answers[key] = _refusal(str(exc))
        finally:
            request.left_out.clear()
    return answers


def _refusal(message: str) -> Any:
    """comet_llm looks for a number in every one of them."""
    return {"status": 400, "content": ApiError(400, message, SHOWN).body()}


def _log(request: Request, trace: _Trace) -> Any:
    """A run that has ended was sent again, because its answer was lost. One that has not is what a full disk or a kill
    left of it: what it lacks is added. All values are one write, and its end is the last.
    """
    key, journal, start = trace.experiment_key, request.journal, now()
    known = request.index.experiment(key)
    if known is None:
        place = trace.create_experiment_request
        known = journal.begin(key, place.workspace_name, place.project_name, start)
    if not journal.has_ended(key):
        if not known.record.line_count:
            journal.log(key, _messages(trace))
        if trace.tags:
            tagged(request, key, lambda tags: tags | dict.fromkeys(trace.tags or ()))
        if trace.json_asset is not None and not known.record.assets:
            _keep(request, key, trace.json_asset)
        journal.end(key, start)
    return DONE | {"experimentKey": key, "link": link_of(request, known)}


def _messages(trace: _Trace) -> list[Message]:
    values = [*(trace.parameters or ()), *(trace.metrics or ())]
    others: list[Message] = [("log_other", {"key": one.key, "value": one.value}) for one in trace.others or ()]
    return [*(value.message() for value in values), *others]


def _keep(request: Request, key: str, document: _Document) -> None:
    named = {"fileName": document.file_name, "type": document.type}
    placed = placement(named | ({"extension": document.extension} if document.extension else {}), new_id())
    content = msgspec.json.encode(document.file)
    keep_bytes(request, key, content, lambda member: file_upload(document.type, member, placed, {}, now()))


POSTED: dict[str, Endpoint] = {"write/experiment/llm": _log_all}
"""POSTs below ``/api/rest/v2/``."""
