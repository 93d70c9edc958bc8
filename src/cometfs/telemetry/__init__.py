"""Counts, metrics and lines of the log, and what is on the wire. Not here: what is counted."""
