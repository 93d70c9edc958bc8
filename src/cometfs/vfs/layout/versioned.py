"""What a workspace keeps in versions: artifacts and registered models."""

from __future__ import annotations

from functools import partial

from cometfs.vfs.layout.rendering import always, asset_names, is_remote, link_text
from cometfs.vfs.schema import names
from cometfs.vfs.schema.declaration import Dir, File, ForEach, Link, Source
from cometfs.vfs.sources import versioned
from cometfs.vfs.sources.experiment import listing_lease

VERSION_FILE = File("", versioned.FILE, about="a file of a version")
VERSION_LINK = File(".url", None, lambda at: link_text(at.item.row), "the link of a file that lies elsewhere")


def versions_of(name: str, whole: Source, one: Source, files: Source, marks: str, about: str) -> Dir:
    """A directory of versioned things: `<name>/<version>/<file>`, with `marks` (aliases, stages) as links."""
    held = ForEach(
        files,
        lambda rows: asset_names([{**row, "step": None} for row in rows]),
        versioned.at_file,
        lambda row: VERSION_LINK if is_remote(row) else VERSION_FILE,
        "<file>",
        (VERSION_FILE, VERSION_LINK),
    )
    version = Dir("", (held,), listing_lease, "a version")
    link = Link("", lambda _at: 0, lambda at: names.whole(at.item.row["version"]), f"the version with the {marks}")
    thing = Dir(
        "",
        (
            ForEach(
                one,
                lambda rows: names.of_words([row["version"] for row in rows]),
                versioned.at_version,
                always(version),
                "<version>",
                (version,),
                lambda answer: answer["versions"],
            ),
            ForEach(
                one,
                lambda rows: names.of_words([mark for mark, _ in rows]),
                lambda at, row: versioned.at_version(at, row[1]),
                always(link),
                f"<{marks}>",
                (link,),
                partial(versioned.marked, field=marks),
            ),
        ),
        listing_lease,
        about,
    )
    each = ForEach(
        whole, lambda rows: names.of_words(versioned.titles(rows)), versioned.at_name, always(thing), "<name>", (thing,)
    )
    return Dir(name, (each,), listing_lease, means_it=True)
