"""What reading parts of the tree whole would cost, before it is read: calls, bytes, seconds.

Not here: how a walk asks (walk_prefetch.py), whose pace is reckoned with.
"""
