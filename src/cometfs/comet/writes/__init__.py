"""Calls that change what Comet has. Bases of `API`.

Not here: how the store is changed as a whole (`kv_store`), and whether a change has arrived (`vfs/changes`).
"""
