"""What `cometfs doctor` looks at on this machine, and with one call to the server: a table of findings, each with what
to do, and a redacted archive for a bug report.

Not here: the account (doctor/account.py).
"""
