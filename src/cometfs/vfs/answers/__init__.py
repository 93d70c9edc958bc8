"""Answers to the sources: kept, asked for once, asked for many experiments together, prefetched.

Not here: what is shown of them (`engine`).
"""
