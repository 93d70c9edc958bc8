"""Files that are written: those of the key-value store, stored when they are closed, and temporary ones of editors.

Not here: what the store is (`sources/kv_store`), and what becomes of edited files (`changes/`).
"""
