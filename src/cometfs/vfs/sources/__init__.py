"""The questions that the tree asks Comet: what each must know, how it is asked, how long its answer holds.

Not here: what is shown of the answers (`layout`), and how they are kept (`resolver`).
"""
