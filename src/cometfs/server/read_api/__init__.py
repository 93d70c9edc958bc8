"""The endpoints that answer questions: from a request to the value that becomes the answer's JSON.

Not here: endpoints that change something (`write_api`), sockets and middleware (`http`).
"""
