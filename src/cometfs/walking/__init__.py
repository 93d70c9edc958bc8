"""Another face of the tree, without a kernel: goes through it, or through a mount, and through all that is in it.

For commands that read whole trees: `export/` writes them, `warming/` has them cached.
"""
