"""What a process pays before its first result: imports, and a first call, warm and cold cache."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping

from bench.timing import median

ROUNDS, COLD_ROUNDS = 7, 3

_FIRST_CALL = "fastkb.rbf_kernel(numpy.random.default_rng(0).standard_normal((100, 10)))"

# name -> what runs before the clock starts, and what is timed
IMPORTS = {
    "import numba": ("", "import numba"),
    "import fastkb": ("", "import fastkb"),
    "from fastkb import rbf_kernel": ("", "from fastkb import rbf_kernel"),
}
# `import fastkb` loads nothing heavy, so that the first call pays for Numba too.
WARM = "first rbf_kernel call, warm cache"
COLD = "first rbf_kernel call, cold cache"
CALL = ("import numpy, fastkb", _FIRST_CALL)


def measure() -> dict[str, list[float]]:
    """Seconds of each, in fresh processes, interleaved."""
    figures: dict[str, list[float]] = {name: [] for name in (*IMPORTS, WARM, COLD)}
    with tempfile.TemporaryDirectory() as warm:
        _in_a_process(*CALL, {"NUMBA_CACHE_DIR": warm})
        for turn in range(ROUNDS):
            for name, code in IMPORTS.items():
                figures[name].append(_in_a_process(*code, {}))
            figures[WARM].append(_in_a_process(*CALL, {"NUMBA_CACHE_DIR": warm}))
            if turn < COLD_ROUNDS:
                with tempfile.TemporaryDirectory() as cold:
                    figures[COLD].append(_in_a_process(*CALL, {"NUMBA_CACHE_DIR": cold}))
    return figures


def in_words(figures: Mapping[str, list[float]]) -> list[str]:
    """A line for each figure, imports with their ratio to Numba's."""
    numba = median(figures["import numba"])
    lines = []
    for name, seconds in figures.items():
        middle = median(seconds)
        ratio = f" ({middle / numba:.2f} x import numba)" if name in IMPORTS else ""
        lines.append(f"{name}: {middle:.3f} s{ratio}")
    return lines


def _in_a_process(before: str, timed: str, environment: Mapping[str, str]) -> float:
    code = (
        f"import time\n{before}\nstart = time.perf_counter()\n{timed}\n"
        "print(time.perf_counter() - start)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)
