"""What one run logged, read from comet_ml's archive format: its members, its lines, and an index of them in memory.

Not here: where runs lie together (`catalog`), how they are written (`storage`).
"""
