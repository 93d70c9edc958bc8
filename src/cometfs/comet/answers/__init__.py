"""What Comet answers, in one normal form: from JSON to plain values, and the conditions of queries.

Not here: asking (`calls`), HTTP (`http`).
"""
