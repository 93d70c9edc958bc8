"""Changing experiments at Comet as files are changed: edited files, names, places, the archive.

Not here: what can be changed (edits.py, marked in layout/), the key-value store (writeback/), and the
kernel's requests (fuse/).
"""
