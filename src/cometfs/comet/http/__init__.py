"""HTTP for one call: connections, proxies, encodings, what may be tried again. Alone imports httpx.

Not here: which calls there are (`api`), and their budget (`quota`).
"""
