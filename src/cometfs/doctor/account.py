"""What `cometfs doctor --account` runs: a survey, its table, its report, and what a mount learns from it.

Not here: options, and the question whether to go on (cli/doctor.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from cometfs.comet.address import parse_address
from cometfs.comet.calls import Calls
from cometfs.comet.http.transport import Transport
from cometfs.comet.missing import write_missing
from cometfs.comet.network import Network
from cometfs.composition.assembly import open_budget
from cometfs.doctor.asking import DEADLINE, Asker
from cometfs.doctor.findings import Finding, unusable
from cometfs.doctor.report_file import report
from cometfs.doctor.survey import Survey, survey
from cometfs.doctor.table import lines
from cometfs.errors import CometFSError, KeyRejected, ServerFailed, SetupError, Unreachable, Untrusted
from cometfs.folders import account_in_use, cache_directory
from cometfs.options.table import RATE
from cometfs.process.lifetime import until_signal


@dataclass(frozen=True)
class DoctorSettings:
    """Everything that `cometfs doctor --account` needs to know."""

    api_key: str
    url: str
    report: Path
    cache_dir: Path | None = None
    network: Network = field(default_factory=Network)

    def __repr__(self) -> str:
        return f"DoctorSettings({self.url})"  # never the key


async def examine(settings: DoctorSettings, show: Callable[[list[str]], None]) -> None:
    """Asks, shows the table, writes the report, and keeps what is missing. Raises SetupError where nothing answers."""
    caches = cache_directory(settings.cache_dir)
    with account_in_use(caches, settings.url, settings.api_key) as (folder, keep):
        async with until_signal():
            found = await _surveyed(settings, folder)
            keep()
            show([*lines(found, parse_address(settings.url).root), *_learnt(folder, found)])
            show([_written(settings, found)])


async def _surveyed(settings: DoctorSettings, folder: Path) -> Survey:
    transport = Transport(network=settings.network)
    async with open_budget(folder, RATE) as budget:
        calls = Calls(
            parse_address(settings.url),
            settings.api_key,
            transport,
            deadline=DEADLINE,
            gate=budget,
            allowing=settings.network.headers,
        )
        try:
            found = await survey(Asker(calls, transport, settings.api_key))
        finally:
            await calls.aclose()
    if found.findings and all(one.answer.error is not None for one in found.findings):
        raise _nothing(settings, found.findings[0])
    return found


def _nothing(settings: DoctorSettings, first: Finding) -> SetupError:
    root = parse_address(settings.url).root
    error: CometFSError | None = first.answer.error
    if isinstance(error, KeyRejected):
        return SetupError(f"{root} does not accept the API key: check COMET_API_KEY or --api-key-file")
    if isinstance(error, ServerFailed):
        return SetupError(f"{root} is in trouble: try again in a while ({error})")
    if isinstance(error, Untrusted):
        return SetupError(f"Comet is not asked at {root}: {error}")
    if isinstance(error, Unreachable):
        return SetupError(f"cannot reach Comet at {root}: check the network and --url ({error})")
    return SetupError(f"{root} does not answer as Comet does: check --url ({error})")


def _learnt(folder: Path, found: Survey) -> list[str]:
    """What mounts do not ask for from now on."""
    missing = unusable(found.findings)
    try:
        write_missing(folder, missing)
    except OSError as error:
        return [f"What is missing could not be kept: {error.strerror}."] if missing else []
    return [f"Mounts of this account do not ask for a day: {', '.join(sorted(missing))}."] if missing else []


def _written(settings: DoctorSettings, found: Survey) -> str:
    body = msgspec.json.format(msgspec.json.encode(report(found, parse_address(settings.url).root)), indent=2)
    try:
        settings.report.write_bytes(body + b"\n")
    except OSError as error:
        raise SetupError(
            f"cannot write the report {settings.report}: {error.strerror}; name another --report"
        ) from error
    return f"{settings.report} has what came, without names, keys, links and values: attach it to a bug report."
