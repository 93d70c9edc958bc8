"""An embedded Comet: a directory of comet_ml offline archives, served as Comet's own REST API on this machine.

Experiments that are logged to it become folders in that directory, in the archives' own form. `serve`, `demo` and the
tests run it. From the inside out: `runs` (one run), `catalog` (all runs, artifacts, models), `storage` (what is
logged), `read_api` and `write_api` (endpoints), `pages` (for browsers), `http` (the application and its sockets).
`errors` are answers that are errors, `routing` makes routes, `addresses` those of pages, `bodies` reads requests.

Not here: anything about files that are mounted. The two halves of cometfs meet on the wire only, and this one knows
nothing of the other's client.
"""

from __future__ import annotations

from pathlib import Path


def sample_directory() -> Path:
    """The directory of the archives that come with the package: what is served when no directory is given."""
    return Path(__file__).parent / "sample"
