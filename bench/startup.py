"""What is paid beside the work itself: imports, first calls, networks of new architectures, short fits,
and the way to other processes.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench.table import duration
from bench.timing import garbage_collection_off, median

ROOT = Path(__file__).resolve().parents[1]
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
# Whole commands on a cold cache, in a process of their own: imports, compilation, the job.
COMMANDS = {
    "first fastkb band, cold cache": "import os; folder = os.environ['NUMBA_CACHE_DIR']; "
    "main(['band', '--quiet', '--out', folder + '/band.png', '--csv', folder + '/band.csv'])",
    "fastkb warmup, cold cache": "main(['warmup', '--quiet'])",
}

# Networks that the process has not seen: widths, activation, optimiser, loss. Each is trained in both
# element types, from drawing its weights to one step on OBSERVATIONS.
NEW = "first fit of a new network, one step, warm process"
ARCHITECTURES = (
    ((2, 1), "ReLU", "sgd", "binary_cross_entropy"),
    ((5, 7, 1), "Tanh", "adam", "squared_error"),
    ((8, 32, 1), "ReLU", "adam", "half_squared_error"),
    ((20, 33, 17, 2), "GELU", "adamw", "cross_entropy"),
    ((10, 64, 64, 1), "ELU", "rmsprop", "binary_cross_entropy"),
    ((3, 20, 20, 20, 20, 4), "Softplus", "adagrad", "cross_entropy"),
    ((64, 100, 10), "ReLU", "adam", "cross_entropy"),
    ((784, 128, 10), "Sigmoid", "lamb", "cross_entropy"),
)
# What has run before: every compiled function is there, those that share a large step among threads too.
SEEN = (
    ((3, 4, 2), "ReLU", "sgd", "cross_entropy"),
    ((900, 900, 2), "ReLU", "sgd", "cross_entropy"),
)
OBSERVATIONS = 16

# Steps of one network by calls of few and of many.
SHORT, LONG = "a step of a fit of 200 steps", "a step of a fit of 20,000 steps"
STEPS, BATCH = 200, 32
WIDTHS = (8, 32, 1)

# Resamples of a Python function in this process, and spread over processes that are warm.
ALONE, SPREAD = "resamples of a Python function", "the same on 2 processes, executor="
PROCESSES, SECONDS_ALONE = 2, 20.0


def measure() -> dict[str, list[float]]:
    """Seconds of each, in fresh processes, interleaved."""
    figures: dict[str, list[float]] = {name: [] for name in (*IMPORTS, WARM, COLD, *COMMANDS)}
    with tempfile.TemporaryDirectory() as warm:
        _in_a_process(*CALL, {"NUMBA_CACHE_DIR": warm})
        for turn in range(ROUNDS):
            for name, code in IMPORTS.items():
                figures[name].append(_in_a_process(*code, {}))
            figures[WARM].append(_in_a_process(*CALL, {"NUMBA_CACHE_DIR": warm}))
            if turn < COLD_ROUNDS:
                with tempfile.TemporaryDirectory() as cold:
                    figures[COLD].append(_in_a_process(*CALL, {"NUMBA_CACHE_DIR": cold}))
    for name, command in COMMANDS.items():
        with tempfile.TemporaryDirectory() as cold:
            timed = f"from fastkb.cli import main; {command}"
            figures[name].append(_in_a_process("", timed, {"NUMBA_CACHE_DIR": cold}))
    return figures | {NEW: new_networks()} | fits(ROUNDS) | spread(SECONDS_ALONE)


def in_words(figures: Mapping[str, list[float]]) -> list[str]:
    """A line for each figure: imports with their ratio to Numba's, new networks with their range."""
    numba = median(figures["import numba"])
    lines = []
    for name, seconds in figures.items():
        middle = median(seconds)
        beside = f" ({middle / numba:.2f} x import numba)" if name in IMPORTS else ""
        if name == NEW:
            least, most = duration(min(seconds)), duration(max(seconds))
            beside = f" ({least} to {most}, {len(seconds)} networks, nothing compiled)"
        if name == SHORT:
            beside = f" ({middle / median(figures[LONG]):.2f} x one of 20,000 steps)"
        if name == SPREAD:
            beside = f" ({middle / median(figures[ALONE]) * PROCESSES:.2f} x its share)"
        lines.append(f"{name}: {duration(middle)}{beside}")
    return lines


def fits(rounds: int) -> dict[str, list[float]]:
    """Seconds a step of calls of `fit` that take few steps, and of those that take many."""
    from fastkb import nn

    rng = np.random.default_rng(0)
    X = rng.standard_normal((STEPS * BATCH, WIDTHS[0]))
    y = np.sin(X[:, :1])
    net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1), rng=0)
    found: dict[str, list[float]] = {SHORT: [], LONG: []}
    with garbage_collection_off():
        for turn in range(rounds + 1):
            for name, epochs, calls in ((SHORT, 1, 20), (LONG, 100, 1)):
                start = time.perf_counter()
                for _ in range(calls):
                    net.fit(X, y, optimizer=nn.SGD(lr=1e-3), epochs=epochs, batch_size=BATCH)
                if turn:
                    taken = time.perf_counter() - start
                    found[name].append(taken / (STEPS * epochs * calls))
    return found


def half_mean(x: np.ndarray) -> float:
    """A statistic that Python computes: the mean of the smaller half."""
    return float(np.sort(x)[: len(x) // 2].mean())


def spread(seconds: float) -> dict[str, list[float]]:
    """Seconds of resamples of :func:`half_mean`, of which one process needs about `seconds`."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    import fastkb

    data = (np.random.default_rng(0).standard_normal(5000),)

    def run(n_resamples: int, executor: Any) -> float:
        start = time.perf_counter()
        fastkb.bootstrap(
            data, half_mean, n_resamples=n_resamples, method="percentile", rng=0, executor=executor
        )
        return time.perf_counter() - start

    run(100, None)  # loads what the first call needs
    n_resamples = round(500 * seconds / run(500, None))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        run(640, pool)
        return {ALONE: [run(n_resamples, None)], SPREAD: [run(n_resamples, pool)]}


def new_networks() -> list[float]:
    """Seconds of the first fit of each of ARCHITECTURES, in a fresh process that has fitted others.

    Raises
    ------
    RuntimeError
        If one of them had anything compiled.
    """
    found = json.loads(_output("from bench import startup; startup.print_first_fits()", {}))
    if found["compiled"]:
        raise RuntimeError(f"a new network had {', '.join(found['compiled'])} compiled")
    return found["seconds"]


def print_first_fits() -> None:
    """What :func:`new_networks` has its process do."""
    for architecture, dtype in itertools.product(SEEN, ("float32", "float64")):
        first_fit(architecture, dtype)
    with garbage_collection_off(), compilations() as compiled:
        seconds = [
            first_fit(architecture, dtype)
            for architecture, dtype in itertools.product(ARCHITECTURES, ("float32", "float64"))
        ]
    print(json.dumps({"seconds": seconds, "compiled": compiled}))


@contextmanager
def compilations() -> Iterator[list[str]]:
    """The names of what Numba compiles in the body of a ``with``, once that has ended."""
    from numba.core import event

    names: list[str] = []
    with event.install_recorder("numba:compile") as recorder:
        yield names
    started = (each for _, each in recorder.buffer if each.is_start)
    names += [each.data["dispatcher"].py_func.__qualname__ for each in started]


def first_fit(architecture: tuple[tuple[int, ...], str, str, str], dtype: str) -> float:
    """Seconds from the layers to a network after one step."""
    from fastkb import nn

    widths, activation, optimizer, loss = architecture
    rng = np.random.default_rng(0)
    X = rng.standard_normal((OBSERVATIONS, widths[0])).astype(dtype)
    y = rng.integers(0, 2, OBSERVATIONS)
    start = time.perf_counter()
    layers: list[Any] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), getattr(nn, activation)()]
    nn.Sequential(*layers[:-1], rng=0, dtype=dtype).fit(
        X, y, loss=loss, optimizer=optimizer, epochs=1, batch_size=OBSERVATIONS
    )
    return time.perf_counter() - start


def _in_a_process(before: str, timed: str, environment: Mapping[str, str]) -> float:
    code = (
        f"import time\n{before}\nstart = time.perf_counter()\n{timed}\n"
        "print(time.perf_counter() - start)"
    )
    return float(_output(code, environment))


def _output(code: str, environment: Mapping[str, str]) -> str:
    """What Python prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
