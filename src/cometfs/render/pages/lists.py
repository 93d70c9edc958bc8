"""Pages that lead to others: the workspaces, the projects of one, the form of a login, what is not there.

Not here: addresses, and when which page is due (`server.pages`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cometfs.render.cells import moment
from cometfs.render.pages.template import Served, served_page


class ShownPlace(NamedTuple):
    """A workspace or a project: its name and address, what is in it, when that last changed (milliseconds)."""

    name: str
    link: str
    about: str
    experiments: int
    running: int
    updated_ms: float | None = None


def places_html(title: str, kind: str, places: Sequence[ShownPlace], served: Served, note: str = "") -> bytes:
    """Workspaces or projects, which `kind` calls them, in a table."""
    rows = [(place, moment(place.updated_ms)) for place in places]
    about = "projects" if kind == "workspace" else "about"
    return served_page("places.html.jinja", served, title=title, kind=kind, about=about, rows=rows, note=note)


def notice_html(title: str, words: str, served: Served, link: tuple[str, str] | None = None) -> bytes:
    """A page of one sentence, with a link to go on."""
    return served_page("notice.html.jinja", served, title=title, words=words, link=link)


def login_html(wrong: str = "") -> bytes:
    """The form. `wrong`: why it is there again."""
    return served_page("login.html.jinja", Served(), title="Log in to this Comet", wrong=wrong)
