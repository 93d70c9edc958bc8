"""Comet over HTTP: its JavaScript SDK in Python. Knows nothing of files; imports no httpx outside `transport`."""
