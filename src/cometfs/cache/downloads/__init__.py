"""Bodies too big for memory: downloaded once into a file, and read while they arrive.

Not here: the files that stay (`persistent`).
"""
