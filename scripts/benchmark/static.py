"""A plain web server over a folder, for `rclone`: made of the same parts as the embedded Comet, so as fast and as slow.

`python static.py FOLDER [--latency MS] --access-log FILE`: hypercorn on trio, starlette, the same latency, the same
access log, bodies in chunks of the same size. Folders are lists of links, as rclone's http backend wants them.

Not here: Comet.
"""

from __future__ import annotations

import argparse
import html
from pathlib import Path
from urllib.parse import quote

import trio
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from cometfs.server.http import listener
from cometfs.server.http.middleware import AccessLog, Latency
from cometfs.server.runs.content import CHUNK


class Body(FileResponse):
    chunk_size = CHUNK


def make_app(folder: Path, latency: float, access_log: Path) -> Starlette:
    async def handle(request: Request) -> Response:
        path = folder / request.path_params["path"]
        if path.is_dir():
            return HTMLResponse(_listing(path))
        return Body(path) if path.is_file() else Response(status_code=404)

    layers = [Middleware(AccessLog, path=access_log), Middleware(Latency, seconds=latency)]
    return Starlette(routes=[Route("/{path:path}", handle, methods=["GET", "HEAD"])], middleware=layers)


def _listing(folder: Path) -> str:
    names = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in folder.iterdir())
    return "".join(f'<a href="{quote(name)}">{html.escape(name)}</a>\n' for name in names)


async def run(app: Starlette) -> None:
    async with trio.open_nursery() as nursery:
        url = await nursery.start(listener.serve, app, "127.0.0.1:0")
        print(f"serving at {url}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--access-log", type=Path, required=True)
    given = parser.parse_args()
    trio.run(run, make_app(given.folder.resolve(), given.latency / 1000, given.access_log))


if __name__ == "__main__":
    main()
