"""Logs with comet_ml what the sample lacks: ``log_kinds.py WORKSPACE PROJECT``. Not a test by itself."""

import json
import sys
from pathlib import Path
from typing import Any

import comet_ml.experiment
import numpy

untyped: Any = comet_ml
# Else it asks a cloud's address for metadata.
untyped.experiment.get_env_cloud_details = lambda *_args, **_kwargs: None

workspace, project = sys.argv[1:]
quiet = {f"log_env_{name}": False for name in ("cpu", "gpu", "disk", "network")}
experiment = untyped.Experiment(workspace=workspace, project_name=project, **quiet)
experiment.set_name("kinds")
experiment.add_tag("é")
picture = numpy.full((4, 4, 3), 1, dtype="uint8")


def example(index: int) -> dict[str, str]:
    logged = experiment.log_image(picture, name=f"example-{index}")
    return {"sample": f"{index}", "assetId": logged["imageId"]}


for step, value in enumerate((float("nan"), float("inf"), 1e-300, 12345678901234567890, True)):
    experiment.log_metric("odd", value, step=step)
experiment.log_metric("half", 1, step=2.5)
with experiment.validate():
    experiment.log_metric("acc/top 1", 0.5, step=1, epoch=2)
    experiment.log_metric("validate_loss", 1.0, step=1)
experiment.log_parameters({"nested": {"deep": [1, None]}, "none": None, "text": "é\u2028 x"})
experiment.log_other("object", {"a": 1})
experiment.log_html("<p>é")
print("printed é")
Path("clip.mp4").write_bytes(b"\0video")
Path("book.ipynb").write_text(json.dumps({"cells": []}))
experiment.log_video("clip.mp4", name="clips/clip.mp4", step=3)
experiment.log_notebook("book.ipynb")
experiment.log_table("table.csv", tabular_data=[[1, 2]], headers=["a", "b"])
experiment.log_confusion_matrix([0, 1, 1], [0, 1, 0], index_to_example_function=example, file_name="cm.json", step=7)
experiment.log_audio(numpy.arange(100, dtype="int16"), sample_rate=8000, file_name="tone.wav", step=2)
experiment.log_embedding([[1, 2], [3, 4]], labels=["a", "b"])
experiment.log_remote_asset("s3://bucket/key?version=1", remote_file_name="key.bin", metadata={"r": 1}, step=4)
experiment.log_remote_model("far", "s3://bucket/far/", sync_mode=False)
experiment.end()
