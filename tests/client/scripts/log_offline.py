"""Logs one of everything with comet_ml's own OfflineExperiment: ``log_offline.py DIRECTORY KEY``. Not a test by itself.

Run in a process of its own: comet_ml takes over stdout and much else of the interpreter that it runs in.
"""

import sys
from pathlib import Path
from typing import Any

import comet_ml.experiment
import numpy

untyped: Any = comet_ml
# Else it asks a cloud's address for metadata.
untyped.experiment.get_env_cloud_details = lambda *_args, **_kwargs: None

experiment = untyped.OfflineExperiment(
    offline_directory=sys.argv[1],
    experiment_key=sys.argv[2],
    workspace="ws é",
    project_name="pro ject",
    log_env_cpu=False,
    log_env_gpu=False,
    log_env_disk=False,
    log_env_network=False,
)
experiment.set_name("réglage/1")
experiment.add_tags(["one", "two words"])
experiment.log_parameters({"lr": 0.1, "layers": [1, 2], "nested": {"deep": {"x": True}}, "nothing": None})
experiment.log_other("note", "a text")
experiment.set_filename("/neutral/train.py")
for step in range(5):
    with experiment.train():
        experiment.log_metric("loss", 1 / (step + 1), step=step, epoch=0)
    experiment.log_metric("val/acc", step / 4, step=step)
experiment.log_metric("odd", float("nan"), step=0)
experiment.log_metric("odd", float("inf"), step=1)
experiment.log_metric("odd", -2.5, step=2.5)
experiment.log_html("<b>old</b>")
experiment.log_html("<b>new</b>", clear=True)
experiment.log_html("<i>more</i>")
experiment.set_model_graph("Graph(1)")
experiment.log_system_info("cluster", "node-3")
experiment.log_asset_data(b"\x00\xffbytes", name="d/blob.bin", step=3, metadata={"m": 1})
experiment.log_asset_data(b"first", name="same.txt", step=1)
experiment.log_asset_data(b"second", name="same.txt", step=2)
experiment.log_asset_data(b"", name="empty")
experiment.log_text("a text sample", step=4)
experiment.log_curve("roc", [0, 1], [0.5, 1], step=5)
experiment.log_confusion_matrix([0, 1, 1], [0, 1, 0], title="cm", file_name="cm.json")
for step in (1, 2):
    experiment.log_image(numpy.full((4, 4, 3), step, dtype="uint8"), name="my/image", step=step)
Path("weights.bin").write_bytes(b"weights")
experiment.log_model("net", "weights.bin")
experiment.log_remote_asset("s3://bucket/key.bin", remote_file_name="key.bin")
print("printed")
print("complained", file=sys.stderr)
experiment.end()
