"""Pages for people: of a project, whole in one file (`overview`, which mounts show, too), and those that the embedded
Comet shows beside it. Each is a pure function of values: markup (Jinja), a style and scripts that lie here as files.

Not here: which addresses pages have, and headers of HTTP (`server.pages`).
"""
