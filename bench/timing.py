"""Interleaved timing: fastkb, rival, fastkb, rival, …, so that noise hits all contenders alike."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

# Longer than an OpenBLAS thread spins for more work (2^26 cycles, 25 ms) before it sleeps: nobody
# is timed while another library's idle threads still hold the cores.
PAUSE = 0.05

# A sample is as many calls as last this long together: the clock and the loop then cost nothing.
SHORTEST_SAMPLE = 2e-3

# What is shorter than WOKEN_BELOW runs untimed for WAKE seconds before each sample. After a pause, or
# after the neighbour's work on one thread, the system may leave a second thread on the first one's core
# (some virtual machines do, for some 10 ms), and that is not the call's.
WOKEN_BELOW, WAKE = 0.5, 0.05

FEWEST, MOST = 5, 21


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds and result of one call."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def sample(call: Callable[[], Any], repeats: int) -> float:
    """Seconds per call. The last result is freed after the clock stops, as in one call alone."""
    start = time.perf_counter()
    for _ in range(repeats - 1):
        call()
    last = call()
    seconds = time.perf_counter() - start
    del last
    return seconds / repeats


def repeats_for(seconds: float) -> int:
    """How many calls of this length make a sample."""
    return max(1, math.ceil(SHORTEST_SAMPLE / max(seconds, 1e-7)))


def rounds_for(seconds: Iterable[float], budget: float) -> int:
    """How many rounds of one sample each fit into `budget` seconds, within fixed limits."""
    one = sum(max(s, SHORTEST_SAMPLE) + PAUSE + WAKE * (s < WOKEN_BELOW) for s in seconds)
    return min(MOST, max(FEWEST, int(budget / one)))


def interleave(
    calls: Mapping[str, Callable[[], Any]], estimates: Mapping[str, float], rounds: int
) -> dict[str, list[float]]:
    """Seconds per call, `rounds` samples for each name; one sample of each name in every round.

    The order turns by one place from round to round: nobody always follows the same neighbour.

    Parameters
    ----------
    calls : mapping of name to callable
        Warmed up.
    estimates : mapping of name to float
        Roughly how long each call takes, in seconds.
    rounds : int
    """
    names = list(calls)
    samples: dict[str, list[float]] = {name: [] for name in names}
    with garbage_collection_off():
        for turn in range(rounds):
            for k in range(len(names)):
                name = names[(turn + k) % len(names)]
                time.sleep(PAUSE)
                if estimates[name] < WOKEN_BELOW:
                    wake(calls[name])
                samples[name].append(sample(calls[name], repeats_for(estimates[name])))
    return samples


def wake(call: Callable[[], Any]) -> None:
    """Run untimed for WAKE seconds, and once at least."""
    until = time.perf_counter() + WAKE
    call()
    while time.perf_counter() < until:
        call()


@contextmanager
def garbage_collection_off():
    """Collect now, and not again before the body ends."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def median(samples: Sequence[float]) -> float:
    """The figure that is reported."""
    return statistics.median(samples)
