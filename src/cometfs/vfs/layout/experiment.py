"""The directory of an experiment: the part of the layout that every experiment has, archived or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from cometfs.render import objects, text
from cometfs.render.pictures.plots import DRAWN_BY
from cometfs.vfs import edits
from cometfs.vfs.layout.rendering import (
    always,
    api_file,
    asset_names,
    git_json,
    image_names,
    is_blank,
    is_remote,
    link_text,
    model_folder,
    of_type,
    packages,
    plot_svg,
    relative_names,
    system,
    table_names,
    url_text,
    whole_answer,
)
from cometfs.vfs.schema import names
from cometfs.vfs.schema.declaration import Context, Dir, File, ForEach, Row
from cometfs.vfs.sources import experiment, logged_tables, metrics, parameters, versioned
from cometfs.vfs.sources.experiment import experiment_lease
from cometfs.vfs.sources.provenance import page_of

METRIC_CSV = File(
    "",
    metrics.METRIC,
    bytes,
    "every point: step,epoch,timestamp_ms,value; a `/` makes folders",
    grows=True,
    sdk=("experiment_metric",),
)
ASSET_BYTES = File(
    "",
    experiment.ASSET,
    about="an asset, byte for byte; a `/` makes folders",
    sdk=("experiment_asset", "experiment_asset_by_name"),
)
ASSET_LINK = File(".url", None, lambda at: link_text(at.item), "the link of an asset that lies elsewhere")
IMAGE_BYTES = File("", experiment.ASSET, about="an image; `.png` where its name has no suffix of images")
SOURCE_BYTES = File("", experiment.ASSET, about="a logged source file, absolute paths made relative")
MODEL_BYTES = File("", experiment.ASSET, about="a file of a logged model")
CURVE_CSV = File(".csv", logged_tables.CURVE, about="a logged curve: x,y", sdk=("experiment_curves",))
MATRIX_CSV = File(".csv", logged_tables.MATRIX, about="a confusion matrix: actual by predicted")
HISTOGRAM_CSV = File(
    ".csv", logged_tables.HISTOGRAM, about="all steps of a histogram: step,low,high,count of bins that are not empty"
)
PLOT_SVG = File("", metrics.PLOTTED, plot_svg, "the metric as a picture", made_by=DRAWN_BY)


def _typed(
    name: str, child: File, path_of: Callable[[Sequence[Row]], list[names.Path]], label: str, *types: str
) -> Dir:
    """A directory of the assets of some types. Of what lies elsewhere it has the link."""
    rows = of_type(*types)
    each = ForEach(experiment.ASSETS, path_of, experiment.at_asset, _or_link(child), label, (child, ASSET_LINK), rows)
    return Dir(name, (each,), experiment_lease, hides=True, searched=True)


def _or_link(child: File) -> Callable[[Row], File]:
    return lambda row: ASSET_LINK if is_remote(row) else child


def _tables(
    name: str,
    table: File,
    rows: Callable[..., Sequence[Row]],
    bind: Callable[[Context, Row], Context] = experiment.at_asset,
) -> Dir:
    """A directory of logged tables, with what turned out to be none as it is."""
    as_it_is = File("", experiment.ASSET, about="what is no such table, byte for byte, once that is known")
    each = ForEach(
        experiment.ASSETS,
        table_names,
        bind,
        lambda row: _or_link(as_it_is if row.get(logged_tables.OWN_BYTES) else table)(row),
        "<name>",
        (table, as_it_is, ASSET_LINK),
        rows,
        beside=logged_tables.NO_TABLES,
    )
    return Dir(name, (each,), experiment_lease, hides=True, searched=True)


def name_of(row: Row) -> str:
    """The name of an experiment, or its key where it has none."""
    return str(row["experimentName"] or row["experimentKey"])


EXPERIMENT = Dir(
    "",
    (
        File(
            "metadata.json",
            experiment.METADATA,
            whole_answer,
            "name, times, state, project, user",
            sdk=("experiment_metadata", "experiment_name"),
        ),
        File("url.txt", None, url_text, "its page at Comet", sdk=("experiment_url",)),
        File(
            "tags.txt",
            parameters.TAGS,
            text.sorted_lines,
            "one tag a line; with `--rw` a file to edit",
            sdk=("experiment_tags",),
            edit=edits.TAGS,
        ),
        File("code.py", experiment.CODE, text.text, "the script that created it", sdk=("experiment_code",)),
        File("output.txt", experiment.OUTPUT, text.text, "stdout and stderr", grows=True, sdk=("experiment_output",)),
        File("report.html", experiment.HTML, text.text, "the logged HTML", sdk=("experiment_html",)),
        File("graph.txt", experiment.GRAPH, text.text, "the model's graph", sdk=("experiment_graph",)),
        File(
            "requirements.txt",
            experiment.SYSTEM,
            lambda answer: text.sorted_lines(packages(answer)),
            "installed Python packages",
            nothing=lambda answer: not packages(answer),
            sdk=("experiment_installed_packages",),
        ),
        File(
            "system.json",
            experiment.SYSTEM,
            lambda answer: whole_answer(system(answer)),
            "machine, Python, command",
            nothing=lambda answer: not system(answer),
            sdk=("experiment_system_details",),
        ),
        File(
            "params.json",
            parameters.PARAMS,
            objects.values_by_name,
            "parameter -> value, sorted",
            sdk=("experiment_parameters",),
        ),
        File(
            "others.json",
            experiment.OTHERS,
            objects.named_values,
            "other -> value, sorted; with `--rw` a file to edit",
            sdk=("experiment_other",),
            edit=edits.OTHERS,
        ),
        File(
            "metrics.json",
            metrics.SPREADS,
            objects.metric_spreads,
            "metric -> last, min, max and their steps",
            nothing=lambda spreads: not spreads,
            sdk=("experiment_metrics_summary",),
        ),
        Dir(
            "metrics",
            (
                ForEach(
                    metrics.METRIC_NAMES,
                    lambda words: names.of_metrics(words, ".csv"),
                    experiment.at_metric,
                    always(METRIC_CSV),
                    "<metric>.csv",
                    (METRIC_CSV,),
                ),
            ),
            experiment_lease,
            hides=True,
            searched=True,
        ),
        Dir(
            "plots",
            (
                ForEach(
                    metrics.METRIC_NAMES,
                    lambda words: names.of_metrics(words, ".svg"),
                    experiment.at_metric,
                    always(PLOT_SVG),
                    "<metric>.svg",
                    (PLOT_SVG,),
                ),
            ),
            experiment_lease,
            hides=True,
            searched=True,
        ),
        Dir(
            "assets",
            (
                ForEach(
                    experiment.ASSETS,
                    asset_names,
                    experiment.at_asset,
                    _or_link(ASSET_BYTES),
                    "<asset>",
                    (ASSET_BYTES, ASSET_LINK),
                ),
            ),
            experiment_lease,
            hides=True,
            searched=True,
        ),
        _typed("images", IMAGE_BYTES, image_names, "<name>-<step>.<ext>", "image"),
        _tables("curves", CURVE_CSV, logged_tables.of_kind("curve")),
        _tables("confusion-matrix", MATRIX_CSV, logged_tables.of_kind("confusion-matrix")),
        _tables("histograms", HISTOGRAM_CSV, logged_tables.histogram_rows, logged_tables.at_histogram),
        _typed("models", MODEL_BYTES, partial(asset_names, inside=model_folder), "<model>/<file>", "model-element"),
        _typed("source", SOURCE_BYTES, relative_names, "<path>", "source_code"),
        File("artifacts.json", versioned.LINEAGE, whole_answer, "the artifacts that it logged and used"),
        Dir(
            "git",
            (
                File("metadata.json", experiment.GIT, git_json, "branch, commit, origin", nothing=is_blank),
                File("diff.patch", experiment.PATCH, text.patch, "uncommitted changes"),
            ),
            experiment_lease,
        ),
        Dir(
            ".api",
            (
                api_file("experiment_metadata", experiment.METADATA),
                api_file("experiment_url", None, lambda at: whole_answer(page_of(at))),
                api_file("experiment_name", experiment.METADATA, lambda row: whole_answer(name_of(row))),
                api_file("experiment_tags", parameters.TAGS),
                api_file("experiment_code", experiment.CODE),
                api_file("experiment_output", experiment.OUTPUT),
                api_file("experiment_html", experiment.HTML),
                api_file("experiment_graph", experiment.GRAPH),
                api_file("experiment_system_details", experiment.SYSTEM),
                api_file(
                    "experiment_installed_packages", experiment.SYSTEM, lambda answer: whole_answer(packages(answer))
                ),
                api_file("experiment_parameters", experiment.PARAMETERS),
                api_file("experiment_other", experiment.OTHERS),
                api_file("experiment_metrics_summary", experiment.SUMMARY),
                api_file("experiment_metric", metrics.POINTS),
                api_file("experiment_metrics_for_chart", experiment.OWN_CHART),
                api_file("experiment_assets", experiment.ASSETS),
                api_file("experiment_images", experiment.IMAGE_ROWS),
                api_file("experiment_curves", logged_tables.CURVES),
            ),
            experiment_lease,
            listed=False,
        ),
    ),
    experiment_lease,
    "an experiment, by its name (with a piece of its key where several share it)",
)
