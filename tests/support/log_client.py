"""The hand that logs, over HTTP, in the bodies that comet_ml sends.

The account is told first what may be true from now on, then the server, and then the account that it is so. Not here:
what is logged (logging_steps.py, random_lifecycle.py), and what follows for files and names (account_history.py).
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter, deque
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.support.account_history import Account, Experiment
from tests.support.history import Bytes
from tests.support.processes import PATIENCE

CLIENTLIB, REST = "/clientlib/", "/api/rest/v2/"

WORDS = ("loss", "σ", "réseau", "🚂", "épuisé", "epoch", "学習", "lr=0.1", "\t", "ok")


class Refused(AssertionError):
    """The server did not take what was logged."""


class Scribe:
    """Logs to the server at `url` by `chance`, and remembers its last steps."""

    def __init__(self, url: str, account: Account, chance: random.Random) -> None:
        self._address = urlsplit(url)
        self._connection = HTTPConnection(self._address.hostname or "", self._address.port, timeout=PATIENCE)
        self.account, self.chance = account, chance
        self.steps: deque[str] = deque(maxlen=30)
        self.moves: deque[str] = deque(maxlen=60)
        """Those of them that changed a listing."""
        self.count = 0
        self._clock = int(time.time() * 1000)
        self.pieces = 0
        """Of output, of all experiments."""
        self.kinds: Counter[str] = Counter()

    def close(self) -> None:
        self._connection.close()

    def begin(self, one: Experiment, file: str, version: Bytes) -> None:
        self.account.begin(one.files[file], version)

    def do(self, what: str, ask: Callable[[], Any]) -> None:
        """Begins what follows for names and places, asks, and settles all."""
        moves = self.account.relist()
        self.count += 1
        self.kinds[what.partition(" ")[0]] += 1
        began = time.monotonic()
        ask()
        self.account.settle()
        (self.moves if moves else self.steps).append(f"{began:.3f}-{time.monotonic():.3f} {what}")

    def log(self, one: Experiment, endpoint: str, **body: Any) -> None:
        self.post(f"{REST}write/experiment/{endpoint}", experimentKey=one.key, **body)

    def batch(self, one: Experiment, kind: str, values: list[Any]) -> None:
        self.post(f"{CLIENTLIB}batch/logger/experiment/{kind}", experimentKey=one.key, values=values)

    def status(self, one: Experiment, alive: bool) -> None:
        self.post(f"{CLIENTLIB}status-report/update", experimentKey=one.key, is_alive=alive, local_timestamp=self.now())

    def post(self, path: str, **body: Any) -> None:
        self._ask("POST", path, json.dumps(body).encode())

    def get(self, path: str, **query: str) -> None:
        self._ask("GET", f"{REST}{path}?{urlencode(query)}")

    def _ask(self, method: str, path: str, body: bytes | None = None) -> None:
        self._connection.request(method, path, body, {"Authorization": "any", "Content-Type": "application/json"})
        reply = self._connection.getresponse()
        said = reply.read()
        if reply.status != 200:
            raise Refused(f"{method} {path}: {reply.status} {said[:300]!r}")

    def now(self) -> int:
        """Milliseconds that are never the same twice."""
        self._clock = max(self._clock + 1, int(time.time() * 1000))
        return self._clock

    def words(self, many: int) -> str:
        return " ".join(self.chance.choices(WORDS, k=many))
