"""The words in which the tree is declared, and how names are made.

Not here: the tree itself (`layout`).
"""
