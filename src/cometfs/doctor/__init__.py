"""`cometfs doctor`: reads an account once, and says what its Comet does otherwise than the mount expects.

`checks` is the table of what is asked, `survey` goes through it, `findings` judges each answer by its declared form
(`shapes/forms`), `shapes/redaction` leaves no names, keys, links or values in the report. Not here: what is known to be
missing, as the mount uses it (comet/missing.py).
"""
