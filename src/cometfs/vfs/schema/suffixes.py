"""Which ends of names are suffixes, that tell of which kind a file is: what is put before a suffix is put before these.

A table, so that names are the same everywhere: `mimetypes` knows other suffixes with each system and each Python. Pure
functions. Not here: what is put there (names.py).
"""

from __future__ import annotations

import posixpath

_IMAGES = "apng avif bmp gif heic heif ico jfif jp2 jpeg jpg pbm pgm png ppm svg tga tif tiff webp xbm xpm"
_OTHERS = """
    7z aac aiff arrow avi avro bin bz2 c cc cfg ckpt conf cpp cpuprofile css csv cu cuda dat db dcm dill docx dot
    eps exr f64 feather flac flv fit fits gguf ggml glb gltf go gpickle graphml gz h h5 hdf hdf5 hdr hpp htm html ini
    ipynb jar java jl joblib js json json5 jsonl keras lock log lz lz4 lzma m4a m4v mat md mid midi mkv mlmodel mov
    mp3 mp4 mpeg mpg msgpack ndjson nc nii npy npz obj ogg ogv onnx opus orc parquet patch pb pbtxt pcd pdf pickle
    pkl ply pmml pps pptx prof properties proto ps pt pt2 pth py pyi pyx rar rb rds rs rst rtf safetensors scala sh so
    sql sqlite sqlite3 srt stl tar tbz2 tex tfevents tflite tfrecord tgz toml tsv ts txt txz url usdz vtk wasm wav weba
    webm whl xls xlsx xml xz yaml yml zarr zip zst
"""

IMAGES = frozenset(f".{word}" for word in _IMAGES.split())
"""Those of images."""
_KNOWN = IMAGES | {f".{word}" for word in _OTHERS.split()}

_AROUND = frozenset([".bz2", ".gz", ".lz4", ".lzma", ".url", ".xz", ".zst"])
"""Those that follow another one: of what is compressed, and of the link of what lies elsewhere."""


def split(name: str, known: frozenset[str] = _KNOWN) -> tuple[str, str]:
    """`name` before its suffix, and that; "" where its end is none of those `known`.

    "a.tar.gz" has ".tar.gz"; "conv1.weight" and "2024.05.01" have none, nor has ".png", which is all name.
    """
    # As if a "/" were a letter: "loss/.csv" is an asset "loss/" with the suffix that was added to it.
    stem, suffix = posixpath.splitext(name.replace("/", "-"))
    stem = name[: len(stem)]
    if suffix.lower() not in known:
        return name, ""
    inner, before = split(stem, known) if suffix.lower() in _AROUND else (stem, "")
    return inner, before + suffix


def insert(name: str, text: str) -> str:
    """`name` with `text` put before its suffix, if it has a known one."""
    stem, suffix = split(name)
    return stem + text + suffix


def is_image(name: str) -> bool:
    """Whether the name of a logged image says of which kind it is."""
    return posixpath.splitext(name)[1].lower() in IMAGES
