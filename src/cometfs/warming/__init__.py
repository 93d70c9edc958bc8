"""`cometfs cost` and `cometfs warm`: what reading a part of the tree whole would cost, and having it cached.

Not here: going through the tree (walking/), and what single questions cost (vfs/engine/).
"""
