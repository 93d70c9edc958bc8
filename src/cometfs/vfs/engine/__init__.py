"""The engine that walks the declared tree: listings, files, sizes.

Not here: the tree (`layout`), and the kernel (`fuse`).
"""
