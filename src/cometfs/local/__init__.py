"""An embedded Comet: a directory of comet_ml offline archives, served as Comet's own REST API on this machine.

Experiments that are logged to it become folders in that directory, in the archives' own form.

What ``serve``, ``demo`` and the tests run. From the inside out:

    messages   what one line of an archive says; `decoding`, `legacy` and `lenient` read it
    archive    bytes of an archive's members, read when asked for
    record     what an experiment logged, as an index of its lines; `scan` and `feeding` make it
    content    the parts of a record that are read from disk
    project    projects and experiments, alive by their `pulse`; `beside` is what is said of them, `artifacts` and
               `registry` what they made
    index      a directory: workspaces, projects, experiments
    journal    what is logged while the server runs, as `lines` in a `folder` per run, each message once (`repeats`),
               under `headings`; `locking` sees to it that there is one server for a directory
    replies    the shapes in which Comet answers
    endpoints  one function per question; `querying` and `comparing` find experiments
    delivery   what those endpoints get that are told something
    logging_endpoints
               one function per call of a client that logs; `bodies` reads what it sends, `logged_bodies` says it in
               messages
    uploads    lines that tell of files; `multipart` receives those, `desk` has them kept for `upload_endpoints`
    managing   what becomes of experiments, `burying` when they are deleted; `registering` puts models into the registry
    artifact_store
               makes artifacts, for `artifact_writing`, in files that are replaced as a whole (`writing`)
    taking     the routes of everything that is told, not asked
    app        all of it as an ASGI application; `opening` makes one of a directory, `server` puts it on a socket

Not here: anything about files that are mounted. The two halves of cometfs meet on the wire only, and this one knows
nothing of the other's client.
"""

from __future__ import annotations

from pathlib import Path


def sample_directory() -> Path:
    """The directory of the archives that come with the package: what is served when no directory is given."""
    return Path(__file__).parent / "sample"
