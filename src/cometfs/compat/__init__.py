"""Each module leans on a library's insides: it says why, names the upstream issue, and says when it can go.

Not here: what uses them.
"""
