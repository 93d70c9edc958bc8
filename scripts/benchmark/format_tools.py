"""Big files of known formats, full of holes, and the tools that read a little of them; run by an environment of its
own, which has these tools' libraries.

`python format_tools.py make FILE` makes one, by its name; `python format_tools.py read TOOL FILE` prints what a tool
finds in one. Not here: when, how often, how fast (formats.py).
"""

from __future__ import annotations

import io
import json
import mmap
import sqlite3
import struct
import subprocess
import sys
import tarfile
import zipfile
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

GIB = 1 << 30
SIZE = 8 * GIB
NUMBERS = SIZE // 4
"""Of four bytes each, in a file."""

GROUPS = 256
"""Groups of rows of a table."""


def make_npy(path: Path) -> None:
    numpy = _library("numpy")
    array = numpy.lib.format.open_memmap(path, mode="w+", dtype=numpy.float32, shape=(NUMBERS,))
    array[NUMBERS // 2] = 2.5
    array[-1] = 7.5


def make_pt(path: Path) -> None:
    """Space is left for the numbers, and those of the small layer are written into it: as torch's manual has it."""
    torch = _library("torch")
    with torch.serialization.skip_data():
        torch.save({"huge": torch.empty(NUMBERS), **torch.nn.Linear(64, 64).state_dict()}, path)
    with torch.serialization.set_default_mmap_options(mmap.MAP_SHARED):
        state = torch.load(path, mmap=True)
        state["weight"].copy_(torch.arange(64 * 64).reshape(64, 64))
        state["bias"].fill_(0.5)
        state["huge"][-1] = 7.5
    _dig(path)


def make_safetensors(path: Path) -> None:
    small = 4 * 1024
    about = {
        "huge": {"dtype": "F32", "shape": [NUMBERS], "data_offsets": [0, SIZE]},
        "small": {"dtype": "F32", "shape": [1024], "data_offsets": [SIZE, SIZE + small]},
    }
    heading = json.dumps(about).encode()
    heading += b" " * (-len(heading) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(heading)) + heading)
        file.seek(SIZE, io.SEEK_CUR)
        file.write(struct.pack("<1024f", *range(1024)))


def make_sqlite(path: Path) -> None:
    """Blobs of nothing, which take their pages all the same, and behind them a table with an index."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript("PRAGMA page_size = 65536; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; VACUUM")
        db.execute("CREATE TABLE blobs (id INTEGER PRIMARY KEY, content BLOB)")
        for _ in range(32):
            db.execute("INSERT INTO blobs (content) VALUES (zeroblob(?))", (SIZE // 32,))
        db.execute("CREATE TABLE points (step INTEGER PRIMARY KEY, value REAL, note TEXT UNIQUE)")
        db.executemany("INSERT INTO points VALUES (?, ?, ?)", ((n, n / 3, f"note {n:08}") for n in range(1_000_000)))
        db.commit()
    _dig(path)


def make_parquet(path: Path) -> None:
    pyarrow, parquet, numpy = _library("pyarrow"), _library("pyarrow.parquet"), _library("numpy")
    zeros = numpy.zeros(SIZE // GROUPS // 8, dtype=numpy.int64)
    schema = pyarrow.schema([("step", pyarrow.int64())])
    with parquet.ParquetWriter(path, schema, compression="none", use_dictionary=False, write_statistics=False) as to:
        for group in range(GROUPS):
            numbers = numpy.arange(len(zeros)) if group == GROUPS - 56 else zeros
            to.write_table(pyarrow.table({"step": numbers}), row_group_size=len(zeros))
    _dig(path)


def make_mp4(path: Path) -> None:
    """A short film, its index at the end, as ffmpeg writes it; then a hole before the index.

    ffmpeg leaves eight bytes before the data's heading for a size that needs more bits.
    """
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=duration=10:size=320x240:rate=25", "-y"]
    subprocess.run([*command, "-pix_fmt", "yuv420p", path], check=True)
    data = path.read_bytes()
    place, index = data.index(b"free\x00"), data.rindex(b"moov") - 4
    free, (size,) = place - 4, struct.unpack(">I", data[place + 4 : place + 8])
    if struct.unpack(">I", data[free:place]) != (8,) or free + 8 + size != index:
        raise ValueError("ffmpeg has written other boxes")
    with path.open("wb") as file:
        file.write(data[:free] + struct.pack(">I4sQ", 1, b"mdat", 8 + size + SIZE) + data[free + 16 : index])
        file.seek(SIZE, io.SEEK_CUR)
        file.write(data[index:])


def make_tar(path: Path) -> None:
    with path.open("wb") as file:
        for number in range(8):
            for name, size in ((f"small-{number}.txt", 100), (f"big-{number}.bin", GIB)):
                member = tarfile.TarInfo(name)
                member.size = size
                file.write(member.tobuf())
                file.seek(-(-size // 512) * 512, io.SEEK_CUR)
        file.write(bytes(tarfile.RECORDSIZE))


def make_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(1000):
            archive.writestr(f"small-{number:04}.txt", f"{number}\n" * 1000)
        huge = zipfile.ZipInfo("huge.bin")
        huge.file_size = huge.compress_size = SIZE
        huge.CRC = 0
        file: Any = archive.fp
        huge.header_offset = file.tell()
        file.write(huge.FileHeader(zip64=True))
        file.seek(SIZE, io.SEEK_CUR)
        archive.start_dir = file.tell()
        archive.filelist.append(huge)
        archive.writestr("last.txt", "the end\n")


def _dig(path: Path) -> None:
    """Makes holes of zeros."""
    subprocess.run(["fallocate", "--dig-holes", path], check=True)


def read_mmap(path: Path) -> object:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        return [mapped[place : place + 4].hex() for place in (0, len(mapped) // 2 + 64, len(mapped) - 4)]


def read_numpy(path: Path) -> object:
    array = _library("numpy").load(path, mmap_mode="r")
    return [float(array[place]) for place in (0, NUMBERS // 2, -1)]


def read_torch(path: Path) -> object:
    torch = _library("torch")
    state = torch.load(path, mmap=True, map_location="cpu")
    layer = torch.nn.Linear(64, 64)
    layer.load_state_dict({name: state[name] for name in ("weight", "bias")})
    return [layer(torch.ones(64)).sum().item(), state["huge"][-1].item()]


def read_safetensors(path: Path) -> object:
    with _library("safetensors").safe_open(path, framework="numpy") as file:
        return float(file.get_tensor("small").sum())


def read_sqlite3(path: Path) -> object:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return db.execute("SELECT * FROM points WHERE note = 'note 00333333'").fetchone()


def read_metadata(path: Path) -> object:
    found = _library("pyarrow.parquet").ParquetFile(path).metadata
    return [found.num_rows, found.num_row_groups]


def read_group(path: Path) -> object:
    return _library("pyarrow.parquet").ParquetFile(path).read_row_group(GROUPS - 56)["step"][-1].as_py()


def _library(name: str) -> Any:
    """One that the project's own environment lacks."""
    return import_module(name)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        globals()[f"make_{sys.argv[2].rpartition('.')[2]}"](Path(sys.argv[2]))
    else:
        print(globals()[f"read_{sys.argv[2]}"](Path(sys.argv[3])))
