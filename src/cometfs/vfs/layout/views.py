"""`views/` of a project: nothing but links to its experiments, each view at the cost of its one question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cometfs.vfs.layout.rendering import always
from cometfs.vfs.schema import names
from cometfs.vfs.schema.declaration import Context, Dir, ForEach, Link, Row, Source
from cometfs.vfs.sources import experiment, parameters, project_tables
from cometfs.vfs.sources.experiment import Named, listing_lease

# -- Views: links to experiments of the project ------------------------------------------------------------------------


def _directory(at: Context) -> str:
    return str(at.item)


def _at_named(at: Context, one: Named) -> Context:
    place = experiment.at_experiment(at, one.row)
    return Context(place.web, place.modified_ms, place.key, at.workspace, at.project, one.row, one.directory)


def _links(
    source: Source,
    label: str,
    path_of: Callable[[Sequence[Named]], list[names.Path]],
    about: str,
    rows: Any = list,
    up: int = 2,
) -> ForEach:
    """Links to experiments, from rows of `Named`; `up`: how deep their directory lies below the project's."""
    link = Link("", lambda _at: up, _directory, about)
    return ForEach(source, path_of, _at_named, always(link), label, (link,), rows)


def _by_directory(rows: Sequence[Named]) -> list[names.Path]:
    return [(one.directory,) for one in rows]


def _latest(rows: Sequence[Named]) -> list[Named]:
    started = [one for one in rows if one.row["startTimeMillis"] is not None]
    return sorted(started, key=lambda one: (one.row["startTimeMillis"], one.row["experimentKey"]))[-1:]


def _in_state(state: str) -> Dir:
    rows: Callable[[Sequence[Named]], list[Named]] = lambda found: [one for one in found if one.state == state]  # noqa: E731
    return Dir(
        state,
        (_links(experiment.STATES, "<experiment>", _by_directory, f"each {state} experiment", rows),),
        listing_lease,
    )


def metric_words(columns: Sequence[Row]) -> list[str]:
    return parameters.words_of("metrics", columns)


TAG = Dir(
    "",
    (_links(project_tables.TAGGED, "<experiment>", _by_directory, "each experiment with the tag", up=3),),
    listing_lease,
)

NONE = "README.md"
"""Where the link leads of a metric of which no experiment has a number: to a file that every project has. A look into
it is refused; a link to nothing, or one that cannot be read, would make `diff -r`, `cp -rL` or `tar` fail."""


def _best_link(which: str, about: str) -> Link:
    return Link(
        which,
        lambda _at: 2,
        lambda best: best.get(which, NONE),
        f"the experiment with the {about} value; to follow it costs the metric's chart, which shares the answer",
        project_tables.BEST,
    )


BEST_LINKS = {"max": _best_link("max", "greatest"), "min": _best_link("min", "least")}


class Best(NamedTuple):
    """A link to the best experiment by a metric."""

    metric: str
    which: str


def _bests(columns: Sequence[Row]) -> list[Best]:
    return [Best(word, which) for word in metric_words(columns) for which in BEST_LINKS]


def best_names(rows: Sequence[Best]) -> list[names.Path]:
    """`<metric>/max` and `<metric>/min`. A metric called "loss/max" beside "loss" gives way to the link of that."""
    metrics = {row.metric: names.folders(row.metric) or names.of_metrics([""], "")[0] for row in rows}
    shown = set(metrics.values())

    def part(path: names.Path, depth: int) -> str:
        in_the_way = path[depth] in BEST_LINKS and path[:depth] in shown
        return names.escape_first(path[depth]) if in_the_way else path[depth]

    return [
        (*(part(path, depth) for depth in range(len(path))), row.which)
        for row, path in ((row, metrics[row.metric]) for row in rows)
    ]


VIEWS = Dir(
    "views",
    (
        Dir(
            "by-key",
            (
                _links(
                    experiment.NAMED,
                    "<key>",
                    lambda rows: names.of_words([one.row["experimentKey"] for one in rows]),
                    "each experiment by its key, which never changes",
                ),
            ),
            listing_lease,
        ),
        Dir(
            "by-tag",
            (
                ForEach(
                    parameters.COLUMNS,
                    names.of_words,
                    project_tables.at_word,
                    always(TAG),
                    "<tag>",
                    (TAG,),
                    lambda columns: parameters.words_of("tag", columns),
                ),
            ),
            listing_lease,
        ),
        Dir(
            "best",
            (
                ForEach(
                    parameters.COLUMNS,
                    best_names,
                    lambda at, row: project_tables.at_word(at, row.metric),
                    lambda row: BEST_LINKS[row.which],
                    "<metric>/",
                    tuple(BEST_LINKS.values()),
                    _bests,
                ),
            ),
            listing_lease,
        ),
        _in_state("running"),
        _in_state("finished"),
        _in_state("crashed"),
        _links(
            experiment.NAMED, "latest", lambda rows: [("latest",)] * len(rows), "the one started last", _latest, up=1
        ),
    ),
    listing_lease,
)
