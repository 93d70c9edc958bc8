"""Looks at folders of runs as comet_ml's uploader does, which leaves out what its schemas refuse: ``check_folders.py
FOLDER...``. Prints the complaints as a JSON list. Not a test by itself.
"""

import json
import sys
from pathlib import Path
from typing import Any

import comet_ml.schemas

untyped: Any = comet_ml.schemas
OTHERWISE = {
    "htmlOverride": "html_override_msg",
    "file_upload": "upload_msg",
    "3d-image": "cloud_3d_msg",
    "metric_msg": "metric_msg",
    "parameter_msg": "parameter_msg",
}


def validator(kind: str) -> Any:
    return getattr(untyped, f"get_{OTHERWISE.get(kind, f'{kind}_msg')}_validator")()


def complaints(folder: Path) -> list[str]:
    heading = json.loads((folder / "experiment.json").read_bytes())
    found = [error.message for error in untyped.get_experiment_file_validator().iter_errors(heading)]
    for line in (folder / "messages.json").read_bytes().splitlines():
        message = json.loads(line)
        kind, payload = message["type"], message["payload"]
        if kind == "system_details":
            payload["ip"] = payload["ip"] or "none"  # what comet_ml itself says where there is no network
        found += [f"{kind}: {error.message}" for error in validator(kind).iter_errors(payload)]
    return found


json.dump([one for folder in sys.argv[1:] for one in complaints(Path(folder))], sys.stdout)
