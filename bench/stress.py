"""Many processes at once on a cold cache: does each compute the right result, and does none crash?"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

_CODE = """
import numpy as np, fastkb
X = np.random.default_rng(0).standard_normal((50, 3))
got = fastkb.rbf_kernel(X, gamma=0.5)
exact = np.exp(-0.5 * ((X[:, None] - X[None]) ** 2).sum(axis=2))
assert np.abs(got - exact).max() < 1e-14
"""


def stress(processes: int, rounds: int) -> int:
    """Start `processes` at once on an empty cache, `rounds` times; the number of failures."""
    failures = 0
    start = time.perf_counter()
    for turn in range(rounds):
        with tempfile.TemporaryDirectory() as cold:
            environment = {**os.environ, "NUMBA_CACHE_DIR": cold}
            running = [
                subprocess.Popen([sys.executable, "-c", _CODE], env=environment)
                for _ in range(processes)
            ]
            failures += sum(process.wait() != 0 for process in running)
        seconds = time.perf_counter() - start
        print(f"round {turn + 1} of {rounds}: {failures} failures, {seconds:.0f} s", flush=True)
    return failures
