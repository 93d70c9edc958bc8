"""The endpoints that change something: logging, uploads, managing experiments, artifacts, registered models.

Not here: endpoints that only answer (`read_api`), what lies on disk then (`storage`).
"""
