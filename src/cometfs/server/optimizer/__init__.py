"""Searches for parameters, as comet_ml's Optimizer asks for them: spaces, algorithms, and the state of a sweep.

Pure: no files, no clock. Not here: what is kept (`storage.optimizer_store`), the endpoints (`write_api.optimizer`).
"""
