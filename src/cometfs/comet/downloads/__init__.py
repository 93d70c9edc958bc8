"""Bodies of answers: from Comet, or from the storage to which it redirects.

Not here: HTTP (`comet/http`), where bodies are kept (`cache`), whether they are what a listing says (`vfs/answers`).
"""
