"""The embedded Comet, whose downloads are redirected to a web server over the folder of its runs, as to a real store.

`STORE=http://HOST:PORT python stored_comet.py serve --assets redirect FOLDER ...` takes the arguments of `cometfs
serve`. Starlette sends some 200 MB/s, which would be all that a figure shows. Not here: that web server (store.py).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import cast

from starlette.types import ASGIApp

from cometfs.cli import main
from cometfs.server.http.object_store import ObjectStore
from cometfs.server.read_api.downloads import Download


def link(_store: ObjectStore, answer: ASGIApp, _base_url: str) -> str:
    """Where the web server has the same bytes."""
    folder, _, member = cast(Download, answer)._place.partition(": ")
    return f"{os.environ['STORE']}/{Path(folder).name}/{member}?X-Amz-Signature=none"


if __name__ == "__main__":
    ObjectStore.presign = link  # type: ignore[assignment,method-assign]
    sys.exit(main(sys.argv[1:]))
