"""cometfs with bugs: `notes.md` ends in a traceback from deep within a call to Comet, and so does the mount's end."""

from __future__ import annotations

from typing import Any

from cometfs import app
from cometfs.comet.http.transport import Transport

_send = Transport.send


async def _broken(self: Transport, method: str, url: str, *args: Any, **options: Any) -> Any:
    if "notes" in url:
        raise ZeroDivisionError("a bug")
    return await _send(self, method, url, *args, **options)


Transport.send = _broken  # type: ignore[method-assign]

_mount = app.mount


async def _failing(*args: Any, **options: Any) -> None:
    await _mount(*args, **options)
    raise ZeroDivisionError("a bug at the end")


app.mount = _failing

from cometfs.cli import main  # noqa: E402

main(prog_name="cometfs")
