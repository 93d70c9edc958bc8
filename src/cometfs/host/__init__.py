"""This machine: its files, the home directory, the shared SQLite file, memory for blocks, how an extra is installed."""
