"""What the server knows: workspaces, projects, experiments, artifacts, registered models and the store, in memory.

Not here: what one run logged (`runs`), changing what lies on disk (`storage`).
"""
