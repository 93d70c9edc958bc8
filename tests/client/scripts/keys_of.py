"""Prints the keys of a project as JSON, and tags its experiments: ``keys_of.py WORKSPACE PROJECT [TAG]``. Not a test by
itself.
"""

import json
import sys
from typing import Any

import comet_ml

untyped: Any = comet_ml
found = untyped.API(cache=False).get_experiments(*sys.argv[1:3])
for tag in sys.argv[3:]:
    for experiment in found:
        experiment.add_tag(tag)
json.dump([experiment.id for experiment in found], sys.stdout)
