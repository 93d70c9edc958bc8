"""Prints as JSON what comet_ml's API reads of the others of an experiment.

python read_optimized.py KEY
"""

from __future__ import annotations

import json
import sys
from typing import Any

import comet_ml.api

untyped: Any = comet_ml
others = untyped.api.API().get_experiment_by_key(sys.argv[1]).get_others_summary()
print(json.dumps({one["name"]: one["valueCurrent"] for one in others}))
