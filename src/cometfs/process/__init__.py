"""A process: in the background, until a signal ends it, and its output. Not here: what it runs (app.py, serving.py)."""
