"""What all pages share: the template engine, which escapes whatever it is given, the policy, words, links.

A page runs the scripts and has the style that lie beside this module, nothing else, wherever it is opened: its policy
(`Content-Security-Policy`) names their digests.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from cometfs.render.pictures.curves import printable
from cometfs.render.text import text

if TYPE_CHECKING:
    from jinja2 import Environment

STYLES = ("overview.css", "served.css")
SCRIPTS = ("overview.js", "live.js")
"""Of the pages that a server shows."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a page has that a server shows. `trail`: words and addresses of the pages above it. `refresh`: seconds after
    which a browser asks for it again; 0 for never. `logout`: whether there is a login to end. `more`: pages beside it.
    """

    trail: Sequence[tuple[str, str]] = ()
    refresh: int = 0
    logout: bool = False
    more: Sequence[tuple[str, str]] = ()


def served_page(template: str, served: Served, **values: Any) -> bytes:
    """A page of a server, which sends `served_policy()` along. Everything in `values` is escaped."""
    return rendered(template, STYLES, SCRIPTS, policy="", served=served, **values)


@cache
def served_policy() -> str:
    """Nothing from anywhere but this server, and of that no script and no style but the pages' own."""
    digests = " ".join(f"'{_digest(packaged(name))}'" for name in SCRIPTS)
    style = _digest("".join(map(packaged, STYLES)))
    return (
        f"default-src 'none'; script-src {digests}; style-src '{style}'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def file_policy(style: str, script: str) -> str:
    """Nothing from anywhere but this style, this script, and pictures beside the page.

    `file:` is what "self" means for a page of a file system, to browsers that give each of its files its own origin.
    """
    return (
        f"default-src 'none'; script-src '{_digest(packaged(script))}'; style-src '{_digest(packaged(style))}'; "
        "img-src 'self' file: data:; base-uri 'none'; form-action 'none'"
    )


def rendered(template: str, styles: Sequence[str], scripts: Sequence[str], **values: Any) -> bytes:
    """A page with these of our files in it. Everything in `values` is escaped."""
    from markupsafe import Markup

    style, sources = Markup("".join(map(packaged, styles))), [Markup(packaged(name)) for name in scripts]
    return text(_environment().get_template(template).render(style=style, scripts=sources, **values))


@cache
def packaged(name: str) -> str:
    return files("cometfs.render.pages").joinpath(name).read_text("utf-8")


def _digest(source: str) -> str:
    return "sha256-" + base64.b64encode(sha256(source.encode()).digest()).decode()


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined  # a mount answers before it has read these

    environment = Environment(
        loader=FunctionLoader(packaged),
        autoescape=True,
        # Of every value, before it is escaped, so that none can be forgotten.
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"counted": counted, "lined": _lined}
    return environment


def _shown(value: object) -> object:
    """Any value as text that HTML may hold; markup has been through this already, or is ours."""
    if hasattr(value, "__html__"):
        return value
    words = str(value)
    # Nearly all texts are printable as they are, and asking that is ten times faster.
    return words if words.isprintable() else printable(words)


def _lined(value: str) -> object:
    """A text of several lines, for an element that keeps them."""
    from markupsafe import Markup

    return Markup("\n").join(str(_shown(line)) for line in value.split("\n"))


def counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
