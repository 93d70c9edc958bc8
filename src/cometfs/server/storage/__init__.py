"""What is logged while the server runs, on disk in comet_ml's archive format, so that a kill loses nothing.

Not here: reading it (`runs`, `catalog`), HTTP (`read_api`, `write_api`).
"""
