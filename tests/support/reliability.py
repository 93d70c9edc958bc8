"""What `scripts/reliability` runs."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.support.fault_matrix import run_rows, staged
from tests.support.fault_report import is_held, markdown, write_section
from tests.support.fault_rows import rows
from tests.support.fault_scenarios import run_scenarios, scenarios
from tests.support.processes import is_mounted

ROOT = Path(__file__).parents[2]

TESTS = {
    "mount/test_fault_matrix": "the faults of the table below, and what is held after them",
    "mount/test_faults": "stalls, signals, a dead server, nonsense",
    "mount/test_outage": "followed files while the server is away",
    "mount/test_wrong_bodies": "bodies that are not the asset",
    "mount/test_odd_rows": "rows and fields of wrong types",
    "mount/test_odd_tables": "logged tables that are none",
    "mount/test_foreign_text": "hostile texts on terminals and in logs",
    "mount/test_hostile_content": "hostile names and texts in the tree, in copies and in pages",
    "mount/test_many_rows": "100,000 assets and 50,000 metrics of one experiment",
    "mount/test_exposed_keys": "keys that others could read",
    "mount/test_secrets": "an API key, looked for in processes, mounts, logs, caches, reports, tracebacks, pages",
    "mount/test_torture": "readers, kills and full disks",
    "mount/test_model": "random changes against a reference model",
    "inprocess/test_stateful_model": "random changes, faults, kills and cache drops against a model; `scripts/soak`",
    "mount/test_load": "programs at a time, of which `scripts/soak --load` runs 64",
    "mount/test_killed": "a daemon that is killed under 32 readers, or has little memory",
    "mount/test_big_assets": "assets of gigabytes, in parts: cut, silent, changed, killed",
    "mount/test_storages": "object stores that fail",
    "inprocess/test_server_bounds": "slow, silent, vanished and greedy clients of the embedded Comet",
    "inprocess/test_full_disk": "the embedded Comet on a full disk, killed and started again",
    "inprocess/test_hostile_requests": "names that lead out of its directory, and pages of other sites",
    "inprocess/test_hosts": "names that are not its own, and pages of other sites",
    "unit/test_odd_directories": "FIFOs, devices, bombs and broken zips in its directory",
    "unit/test_supply_chain": "locks, their list for others, and code that was read",
    "inprocess/test_transport": "connections, framing, encodings",
    "inprocess/test_mutated_answers": "values that no Comet sends, in the answers of every endpoint",
    "inprocess/test_deep_answers": "fields that are nested hundreds of levels deep",
    "inprocess/test_refusals": "refusals with status 200",
    "inprocess/test_incomplete_tables": "tables of a project of which one experiment fails",
    "unit/test_persistent_cache": "the cache on disk under kills, damage and full disks",
}
"""Files of tests about this, and what they are about."""


def main(parts: Sequence[str]) -> int:
    began = time.monotonic()
    chosen = [case for case in rows() if not parts or any(part in case.name for part in parts)]
    others = [case for case in scenarios() if not parts or any(part in case.name for part in parts)]
    with tempfile.TemporaryDirectory(prefix="cometfs-reliability-") as folder:
        with staged(Path(folder), [*chosen, *others]) as stage:
            found = run_rows(stage, chosen) | run_scenarios(stage, others)
            mountpoints = [mounted.path for mounted in stage.mounts]
        assert not any(map(is_mounted, mountpoints))
    table = markdown(found, surroundings(time.monotonic() - began))
    if parts:
        print(table)
    else:
        write_section("faults", table)
        write_section("tests", tests_table())
    for outcome in found.values():
        if not is_held(outcome):
            print(f"{outcome.case.name} ({outcome.case.place}): {outcome.amiss} {outcome.says}", file=sys.stderr)
    return 0 if all(map(is_held, found.values())) else 1


def surroundings(seconds: float) -> str:
    cores = Path("/proc/cpuinfo").read_text().count("processor\t")
    day = time.strftime("%Y-%m-%d")
    return f"{cores} cores, Linux {platform.release()}, Python {platform.python_version()}; {day}, {seconds:.0f} s."


def tests_table() -> str:
    """How many tests the files have."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n0", str(ROOT / "tests")]
    collected = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    counts = Counter(re.findall(r"^tests/(\S+?)\.py::", collected, re.MULTILINE))
    lines = [f"| `tests/{file}.py` | {counts[file]} | {about} |" for file, about in TESTS.items() if counts[file]]
    return "\n".join(["| tests | how many | of what |", "|---|---|---|", *lines])
