"""The options that commands share, declared once: as flags, variables of the environment and keys of files.

Not here: what becomes of their values (config.py), and options of one command alone (cli/).
"""
