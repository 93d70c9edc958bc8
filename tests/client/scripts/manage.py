"""Makes and changes experiments with comet_ml's API: ``manage.py ARCHIVED`` prints keys as JSON. Not a test by itself.

ARCHIVED is the key of an experiment that is there as somebody's own archive.
"""

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import comet_ml

untyped: Any = comet_ml


def make(name: str) -> Any:
    made = untyped.APIExperiment(api=api, workspace="ws", project_name="p", experiment_name=name)
    made.log_metric("loss", 0.5, step=1)
    return made


with contextlib.redirect_stdout(sys.stderr):
    api = untyped.API(cache=False)
    ours = sys.argv[1]
    kept, renamed, archived, back, moved, deleted = (
        make(name) for name in ("kept", "old name", "archived", "back", "moved", "deleted")
    )
    renamed.set_name("new name")
    kept.add_tags(["a", "b c"])
    kept.add_tag("d")
    kept.delete_tags(["a"])
    kept.log_parameter("lr", 0.1)
    kept.log_other("note", "é")
    kept.log_output("said\n")
    kept.log_html("<b>")
    kept.set_code("import this")
    Path("a.txt").write_text("asset")
    Path("i.png").write_bytes(b"\x89PNG")
    kept.log_asset("a.txt", step=2, metadata={"m": 1})
    kept.log_image("i.png", image_name="pic")
    api.archive_experiments([archived.id, back.id, ours])
    api.restore_experiment(back.id)
    api.move_experiments([moved.id], "ws", "other")
    api.delete_experiment(deleted.id)
    stranger = api.get_experiment_by_key(ours)
    stranger.delete_tags(["theirs"])
    stranger.add_tag("ours")
    told = {one: globals()[one].id for one in ("kept", "renamed", "archived", "back", "moved", "deleted")}
json.dump(told, sys.stdout)
