"""Key, address, proxy, TLS and clock: what settings say, and what one call to the server shows."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import trio

from cometfs import exposure
from cometfs.comet.address import parse_address
from cometfs.comet.calls import Calls
from cometfs.comet.http.proxies import proxy_for
from cometfs.comet.http.transport import Transport
from cometfs.comet.question import Question
from cometfs.comet.settings import Settings
from cometfs.doctor import clock
from cometfs.doctor.asking import Answer, Asker
from cometfs.doctor.local.finding import Finding, ok
from cometfs.errors import CometFSError, KeyRejected, SetupError, Unreachable, Untrusted

ASKED = Question("account-details")
"""Answered to any key that is accepted."""

PATIENCE = 10.0
"""Seconds that the server may take here."""

DRIFT = 60.0
"""Seconds that a clock may be off: links of storages hold for a few minutes."""


def settings(found: Settings) -> Iterator[Finding]:
    """What can be judged without asking."""
    yield ok("key", f"there is one, for {parse_address(found.url).root}")
    for sentence in exposure.of_mount(found.url, found.key_files, found.network):
        what, _, remedy = sentence.rpartition(": ")
        yield Finding("note", "exposure", what, remedy)
    proxy = proxy_for(parse_address(found.url).root)
    if proxy:
        host = urlsplit(proxy).netloc.rpartition("@")[2]
        yield Finding("note", "proxy", f"calls go through {host}", "NO_PROXY=HOST goes past it")
    else:
        yield ok("proxy", "none is used")


async def asked(found: Settings) -> list[Finding]:
    """What one call shows."""
    root = parse_address(found.url).root
    with trio.move_on_after(PATIENCE):
        answer = await _ask(found)
        return [*_reached(root, answer), *_tls(root, answer, found), *_clock(answer)]
    return [Finding("wrong", "address", f"{root} did not answer within {PATIENCE:g} s", "check the network and --url")]


def _reached(root: str, answer: Answer) -> Iterator[Finding]:
    if isinstance(answer.error, KeyRejected):
        yield ok("address", f"a Comet answers at {root}")
        yield Finding("wrong", "key", f"{root} does not accept it", "check COMET_API_KEY or --api-key-file")
    elif answer.error is not None:
        yield _unreached(root, answer.error)
    elif not _is_comets(answer):
        sentence = f"{root} answers with something else ({answer.kind or 'of no type'}): a login page, or a proxy's?"
        yield Finding("wrong", "address", sentence, "open it in a browser, and check --url")
    else:
        yield ok("address", f"{root} answers and accepts the key")


def _is_comets(answer: Answer) -> bool:
    try:
        return isinstance(answer.decoded(), dict)
    except ValueError:
        return False


def _tls(root: str, answer: Answer, found: Settings) -> Iterator[Finding]:
    if root.startswith("https:") and answer.status:
        yield ok("tls", "the certificate is trusted" if found.network.checks else "it is used, unchecked")


async def _ask(found: Settings) -> Answer:
    transport = Transport(network=found.network)
    calls = Calls(parse_address(found.url), found.api_key, transport, deadline=PATIENCE, allowing=found.network.headers)
    try:
        return await Asker(calls, transport, found.api_key).ask(ASKED)
    finally:
        await calls.aclose()


def _unreached(root: str, error: CometFSError) -> Finding:
    sentence = str(error).replace(f" (asked {ASKED})", "")
    if isinstance(error, Untrusted):
        what, _, remedy = sentence.partition("): ")
        return Finding("wrong", "tls", f"{what.removesuffix(')')})", remedy or "ask the server's administrators")
    remedy = "check the network and --url" if isinstance(error, Unreachable) else "check --url: is that a Comet?"
    return Finding("wrong", "address", f"{root}: {sentence}", remedy)


def _clock(answer: Answer) -> Iterator[Finding]:
    ahead = clock.offset([answer])
    if ahead is None:
        return
    if abs(ahead) > DRIFT:
        way = "behind" if ahead > 0 else "ahead of"
        sentence = f"this machine is {abs(ahead):,.0f} s {way} the server"
        yield Finding("wrong", "clock", sentence, "set it (timedatectl set-ntp true): links of assets expire by it")
    else:
        yield ok("clock", "it agrees with the server's")


def without_key(error: SetupError) -> Finding:
    """Where no settings are found."""
    sentence, _, remedy = str(error).partition(": ")
    return Finding("wrong", "key", sentence, remedy)
