"""Logs one of every kind of file with comet_ml: ``log_files.py online|offline:DIRECTORY KEY``. Not a test by itself.

Online it also logs artifacts, reads them back, and prints what came as JSON.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import comet_ml.experiment
import numpy

untyped: Any = comet_ml
# Else it asks a cloud's address for metadata.
untyped.experiment.get_env_cloud_details = lambda *_args, **_kwargs: None

mode, key = sys.argv[1:]
offline = mode.removeprefix("offline:") if mode != "online" else None
settings: dict[str, Any] = {
    "experiment_key": key,
    "workspace": "ws é",
    "project_name": "pro ject",
    "log_env_cpu": False,
    "log_env_gpu": False,
    "log_env_disk": False,
    "log_env_network": False,
}
experiment = (
    untyped.OfflineExperiment(offline_directory=offline, **settings) if offline else untyped.Experiment(**settings)
)
experiment.set_name("files/1")
experiment.add_tags(["one", "two words"])
experiment.log_parameters({"lr": 0.1, "layers": [1, 2], "nested": {"deep": {"x": True}}, "nothing": None})
experiment.log_other("note", "a text é")
for step in range(5):
    with experiment.train():
        experiment.log_metric("loss", 1 / (step + 1), step=step, epoch=0)
experiment.log_metric("odd", float("inf"), step=9)
experiment.log_html("<b>old</b>")
experiment.log_html("<b>new</b>", clear=True)
experiment.log_html("<i>more</i>")
experiment.set_model_graph("Graph(1)")
print("printed é")

experiment.log_asset_data(b"\x00\xffbytes", name="d/blob.bin", step=3, metadata={"m": 1})
experiment.log_asset_data(b"first", name="same.txt", step=1)
experiment.log_asset_data(b"second", name="same.txt", step=2)
experiment.log_asset_data(b"", name="empty")
experiment.log_asset_data(b"hostile", name="../../é \u2028\x01/up", step=4)
experiment.log_text("a text sample", step=4)
experiment.log_curve("roc", [0, 1], [0.5, 1], step=5)
experiment.log_confusion_matrix([0, 1, 1], [0, 1, 0], title="cm", file_name="cm.json")
for step in (30, 4, 20):
    experiment.log_histogram_3d([1.0, 2.0, -3.5, 0.0, 1e-15, 1e19, -step], name="hist", step=step)
experiment.log_histogram_3d([5.0, 5.5, 4.75], name="deep/off center", step=1, offset=5)
for step in (1, 2):
    experiment.log_image(numpy.full((4, 4, 3), step, dtype="uint8"), name="my/image", step=step, metadata={"i": step})
experiment.log_audio(numpy.arange(100, dtype="int16"), sample_rate=8000, file_name="tone.wav")
Path("weights.bin").write_bytes(b"weights")
# Two of these run at once in one directory: neither may log what the other has half written.
half = Path(f"big-{os.getpid()}")
half.write_bytes(numpy.random.default_rng(1).bytes(9_000_001))
half.replace("big.bin")
experiment.log_model("net", "weights.bin", metadata={"w": 1})
experiment.log_remote_model("far", "s3://bucket/far/", sync_mode=False)
experiment.log_asset("big.bin", file_name="big.bin")
experiment.log_remote_asset("s3://bucket/key.bin", remote_file_name="key.bin", metadata={"r": 1})
experiment.log_points_3d("scene", points=[[0, 0, 0], [1, 1, 1]], boxes=None, step=6)
told: dict[str, Any] = {}


def artifact(name: str, *, version: str | None = None, **words: Any) -> Any:
    made = untyped.Artifact(name, "dataset", version=version, **words)
    made.add("big.bin", logical_path="deep/big.bin", metadata={"f": 1})
    made.add("weights.bin", logical_path="weights.bin")
    made.add("weights.bin", logical_path="odd\x01name" if version is None else "../out")
    made.add_remote("s3://bucket/key.bin", logical_path="key.bin", metadata={"r": 1}, sync_mode=False)
    return experiment.log_artifact(made)


if not offline:
    first = artifact("set 1 é", aliases=["stable"], version_tags=["raw"], metadata={"rows": 3})
    experiment.flush()
    second = artifact("set 1 é", aliases=["stable"])
    third = artifact("set 1 é", version="7.1.0")
    experiment.flush()
    third.update_aliases(["best"])
    third.update_version_tags(["clean"])
    for word in ("1.0.0", "stable", "best"):
        read = experiment.get_artifact("set 1 é", workspace="ws é", version_or_alias=word)
        told[word] = {
            "version": str(read.version),
            "aliases": sorted(read.aliases),
            "tags": sorted(read.version_tags),
            "metadata": dict(read.metadata),
            "source": read.source_experiment_key,
            "size": read.size,
            "assets": {asset.logical_path: [asset.size, asset.remote, asset.metadata] for asset in read.assets},
        }
    folder = Path("deep/down/here")
    experiment.get_artifact("set 1 é", workspace="ws é", version_or_alias="1.0.0").download(str(folder))
    told["downloaded"] = {
        str(path.relative_to("deep/down")): path.stat().st_size for path in folder.parent.rglob("*") if path.is_file()
    }
    told["same"] = (folder / "deep" / "big.bin").read_bytes() == Path("big.bin").read_bytes()
experiment.register_model(
    "net", version="1.2.0", registry_name="reg", public=False, tags=["a"], status="Staging", metadata={"k": 2}
)
experiment.end()
assert sys.__stdout__ is not None
sys.__stdout__.write("\n" + json.dumps(told))
