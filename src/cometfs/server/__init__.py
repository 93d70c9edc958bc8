"""An embedded Comet: a directory of comet_ml offline archives, served as Comet's own REST API on this machine.

Experiments that are logged to it become folders in that directory, in the archives' own form.

What ``serve``, ``demo`` and the tests run. From the inside out:

    messages   what one line of an archive says; `decode`, `legacy` and `python_json` read it
    archive    bytes of an archive's members, read when asked for
    record     what an experiment logged, as an index of its lines; `load` and `apply` make it
    content    the parts of a record that are read from disk
    project    projects and experiments, alive by their `liveness`; `project_metadata` is what is said of them, `artifacts` and
               `registry` what they made
    index      a directory: workspaces, projects, experiments
    journal    what is logged while the server runs, as `log_lines` in a `run_dir` per run, each message once (`dedup`),
               under `experiment_json`; `lock` sees to it that there is one server for a directory
    replies    the shapes in which Comet answers
    endpoints  one function per question; `query` and `comparing` find experiments
    delivery   what those endpoints get that are told something
    logging_endpoints
               one function per call of a client that logs; `body` reads what it sends, `payloads` says it in
               messages
    uploads    lines that tell of files; `multipart` receives those, `receive` has them kept for `uploads`
    managing   what becomes of experiments, `deletion` when they are deleted; `registry` puts models into the registry
    artifact_store
               makes artifacts, for `artifacts`, in files that are replaced as a whole (`atomic`)
    taking     the routes of everything that is told, not asked
    app        all of it as an ASGI application; `lifespan` makes one of a directory, `listener` puts it on a socket

Not here: anything about files that are mounted. The two halves of cometfs meet on the wire only, and this one knows
nothing of the other's client.
"""

from __future__ import annotations

from pathlib import Path


def sample_directory() -> Path:
    """The directory of the archives that come with the package: what is served when no directory is given."""
    return Path(__file__).parent / "sample"
