"""The demo: a training run that goes on, and a tour of commands. Not here: its sample (server/sample/)."""
