"""`comet://` for fsspec: another face of the tree, without a kernel, for pandas, PyArrow, DuckDB, Dask.

`filesystem` is what fsspec calls, `files` what it opens; `portal` runs trio in a thread of its own, in which `tree`
finds what a path means. Not here: what the tree is (vfs/), and how an account is opened (account.py).
"""

from __future__ import annotations

from cometfs.fsspec.filesystem import CometFileSystem

__all__ = ["CometFileSystem"]
