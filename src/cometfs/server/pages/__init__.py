"""Pages for people: at `/` the workspaces, below them projects and experiments, at the addresses that comet_ml prints.

`site` is an ASGI application that answers a request by a page; `login` knows which browsers may have them; `views`
make pages of what the catalog has, `files` what is drawn in them or downloaded.

Not here: markup (`cometfs.render.pages`), endpoints for programs (`read_api`, `write_api`).
"""
