"""The budget of calls that a key has in an hour, shared by all mounts of an account on this machine.

Not here: answers (`cache`), what is worth a call (`vfs/answers`).
"""
