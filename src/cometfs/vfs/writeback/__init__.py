"""Files that are written: buffers that are stored when they are closed, those of the key-value store, and temporary files
of editors.

Not here: what the store is (`sources/kv_store`), and what becomes of edited files (`changes/`).
"""
