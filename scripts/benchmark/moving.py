"""Workloads that move bytes: whole experiments beside cometx, one big asset beside rclone and curl.

Every copy is compared with what the archives hold. Not here: small files (reading.py, places.py).
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

from benchmark import archives, peers, truth
from benchmark.figures import Peer, Row, at_most, calls, execute, no_more, shell, timed
from benchmark.processes import Mount, Server
from benchmark.stage import LATENCY, PROJECT, Stage, States


def copy(stage: Stage) -> list[Row]:
    """`cp -r` of 10 whole experiments, beside `cometx download` of the same."""
    server, name = stage.comet(archives.RUNS, "whole"), f"`cp -r` of {archives.RUNS} whole experiments"
    found, peer = _copied(stage, server)
    cold, quarter = found["cold"], at_most(found["cold"], peer, 1 / 4)
    met = quarter and calls(cold) < calls(peer.runs)
    return [
        Row(name, "cold", cold, "fewer calls, 1/4 of the time", met, [peer]),
        Row(name, "warm", found["warm"], "", None),
        Row(name, "remounted", found["remounted"], "", None),
    ]


def copy_old_server(stage: Stage) -> list[Row]:
    """The same where the server has neither `get-all` nor `search` nor project queries."""
    server, name = stage.comet(archives.RUNS, "whole", old=True), "the same, of a Comet without `get-all` and queries"
    found, peer = _copied(stage, server)
    third = at_most(found["cold"], peer, 1 / 3)
    met = third and calls(found["cold"]) <= calls(peer.runs)
    return [Row(name, "cold", found["cold"], "no more calls, 1/3 of the time", met, [peer])]


def _copied(stage: Stage, server: Server) -> tuple[States, Peer]:
    peer = Peer("`cometx download`")
    with stage.scratch() as folder:
        target = folder / "copied"

        def action(mount: Mount) -> None:
            target.mkdir()
            shell(f"cp -r {PROJECT}/run-* {target}", mount.path, stage.out)

        def check(_: Mount) -> None:
            truth.same_assets(stage, target)
            shutil.rmtree(target)

        return stage.states(server, action, check=check, beside=lambda: beside_cometx(stage, server, peer)), peer


def beside_cometx(stage: Stage, server: Server, peer: Peer) -> None:
    """The same project by `cometx download`, into a row's peer."""
    if not peers.has_cometx(stage.work):
        peer.missing = peers.NOT_INSTALLED
        return
    with stage.scratch() as folder:
        server.settle()
        peer.runs.append(timed(lambda: peers.cometx_download(stage.work, server, PROJECT, folder), server))
        truth.same_assets(stage, folder / PROJECT)


BIG = f"{archives.WORKSPACE}/big/big/assets/{archives.BIG_NAME}"


def big(stage: Stage) -> list[Row]:
    """One asset of 100 MB, read in order, its directory listed; beside it `rclone mount` and curl."""
    server = stage.comet(1, "big")
    rclone = {mode: Peer(f"`rclone mount --vfs-cache-mode {mode}`") for mode in ("off", "full")}
    curl = Peer("`curl`")
    folder = stage.work / "web"
    folder.mkdir(exist_ok=True)
    (folder / archives.BIG_NAME).write_bytes(truth.big_asset(stage))
    with ExitStack() as stack:
        web = stage.static(folder, LATENCY, stage.work / "big-web", stack)

        def beside() -> None:
            for mode, peer in rclone.items():
                _rclone(stage, web, mode, peer)
            _curl(stage, server, curl)

        found = stage.states(
            server,
            lambda mount: execute(["cat", BIG], mount.path, Path("/dev/null")),
            prepare=lambda mount: execute(["ls", Path(BIG).parent], mount.path, stage.out),
            last=lambda mount: truth.same_file(mount.path / BIG, folder / archives.BIG_NAME),
            beside=beside,
        )
    name, reach = "an asset of 100 MB, in order", "no slower than rclone"
    met = [at_most(found["cold"], peer, 1) for peer in rclone.values()]
    return [
        Row(name, "cold", found["cold"], reach, None if None in met else all(met), [*rclone.values(), curl]),
        Row(name, "warm", found["warm"], "", None),
        Row(name, "remounted", found["remounted"], "0 calls", no_more(found["remounted"], 0)),
    ]


def _rclone(stage: Stage, web: Server, mode: str, peer: Peer) -> None:
    """A mount that has seen nothing but the name of the file."""
    if not peers.has("rclone"):
        peer.missing = peers.NOT_INSTALLED
        return
    with stage.scratch() as folder, peers.rclone_mounted(web, folder, mode) as mount:
        execute(["ls", mount.path], mount.path, stage.out)
        web.settle()
        command = ["cat", archives.BIG_NAME]
        peer.runs.append(timed(lambda: execute(command, mount.path, Path("/dev/null")), web, mount.daemon))


def _curl(stage: Stage, server: Server, peer: Peer) -> None:
    """The same bytes from the very server that cometfs asks."""
    if not peers.has("curl"):
        peer.missing = peers.NOT_INSTALLED
        return
    key, asset = truth.big_ids(stage)
    url = f"{server.url}/api/rest/v2/experiment/asset/get-asset?experimentKey={key}&assetId={asset}"
    peer.runs.append(timed(lambda: peers.curl(url, Path("/dev/null"), key=True), server))
