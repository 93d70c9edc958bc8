"""Writing the files of the key-value store: buffers that are stored when they are closed.

Not here: what the store is (`sources/kv_store`).
"""
