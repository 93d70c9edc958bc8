"""Answers and bodies on disk, shared by all mounts of an account: a SQLite index, and a file for each body.

Not here: values in memory (`memory`), bodies that are still being downloaded (`downloads`).
"""
