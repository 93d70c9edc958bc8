"""The embedded Comet as an ASGI application, its middleware, and its sockets.

Not here: what any endpoint answers (`read_api`, `write_api`).
"""
