"""Many small problems at once, each on some rows of one kernel matrix: a thread solves a problem.

Pairs of classes are such problems, and resamples. A problem's own small matrix gets a row when it is
first used, so rows that never move cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numba.core import types

from fastkb.runtime import inline, jit, prange
from fastkb.runtime.atomics import atomic_add
from fastkb.runtime.memory import empty
from fastkb.runtime.threads import n_threads
from fastkb.svm.problem import Problem
from fastkb.svm.smo.pairs import Origin, Rule, Work, move_fetched, offset_of, rule_type

# Coefficients of all problems that are solved between two looks for Ctrl-C: 45 pairs of digits are so
# many. A problem has 2,000 or 50,000 pairs, of 0.2-1 µs, and then goes on after the look.
_COEFFICIENTS = 2**14

# Pairs of each problem between two such looks, if they are not limited.
_PAIRS = 50_000

# Coefficients of a problem at most: two threads' small matrices of so many fill 70 MB.
LARGEST = 1024


class Batch(NamedTuple):
    """Problems one after the other; numbers of all their coefficients in one array."""

    begin: np.ndarray  # where each begins, and the end of the last.  # shape: (problems + 1,)
    split: np.ndarray  # the first coefficient of group 1, counted from the problem's begin
    rows: np.ndarray  # of the kernel matrix
    lower: np.ndarray
    upper: np.ndarray
    gradient: np.ndarray  # before: what is linear; after: the gradient
    beta: np.ndarray
    pairs: np.ndarray  # that were moved.  # shape: (problems,)
    violation: np.ndarray  # that is left.  # shape: (problems,)
    offsets: np.ndarray  # of both groups.  # shape: (problems, 2)


class Several(NamedTuple):
    """Problems that were solved."""

    beta: list[np.ndarray]
    offsets: list[tuple[float, ...]]
    pairs: np.ndarray
    violation: np.ndarray


@inline(references=False)
def _prepare(K, batch, begin, end):
    """Add Kβ to the gradient of what is not zero at the start."""
    rows = batch.rows
    for t in range(begin, end):
        if batch.beta[t] != 0.0:
            row, beta = K[rows[t]], batch.beta[t]
            for s in range(begin, end):
                batch.gradient[s] += beta * row[rows[s]]


def _batch_type() -> types.NamedTuple:
    whole, real = types.Array(types.intp, 1, "C"), types.Array(types.float64, 1, "C")
    pairs = types.Array(types.float64, 2, "C")
    return types.NamedTuple(
        (whole, whole, whole, real, real, real, real, whole, real, pairs), Batch
    )


def _signature(T: types.Float) -> tuple[Any, ...]:
    return (
        types.Array(T, 2, "C", readonly=True),
        _batch_type(),
        rule_type(),
        types.Array(types.int64, 1, "C"),
        types.intp,
        types.Array(T, 2, "C"),
        types.Array(types.float64, 3, "C"),
    )


@jit(parallel=True, signature=_signature, chunk=1)
def solve_batch(K, batch, rule, following, stop, small, scratch):
    """Problems from ``following[0]`` up to `stop`, each by the thread that is free first.

    A row of `small` has room for the small matrix of one problem, and one of `scratch` for two numbers
    of each coefficient, and the flags of rows that are there.
    """
    # Arrays of their own: what a loop writes to members of a tuple is lost.
    pairs, violation, offsets = batch.pairs, batch.violation, batch.offsets
    for k in prange(len(small)):
        problem = atomic_add(following, 0, 1)
        while problem < stop:
            begin, end = batch.begin[problem], batch.begin[problem + 1]
            q = end - begin
            part = small[k][: q * q].reshape(q, q)
            rows = batch.rows[begin:end]
            diagonal = small[k][q * q : q * q + q]
            ready = scratch[k, 2, :q]
            for t in range(q):
                diagonal[t] = K[rows[t], rows[t]]
                ready[t] = 0.0
            if pairs[problem] == 0:
                _prepare(K, batch, begin, end)
            work = Work(
                batch.beta[begin:end],
                batch.gradient[begin:end],
                batch.lower[begin:end],
                batch.upper[begin:end],
                diagonal,
                scratch[k, 0, :q],
                scratch[k, 1, :q],
            )
            own = Rule(rule.kink, batch.split[problem], rule.tol, rule.most)
            count, left = move_fetched(part, Origin(K, rows, ready), work, own)
            pairs[problem] += count
            violation[problem] = left
            offsets[problem, 0] = offset_of(work, 0, own.split)
            offsets[problem, 1] = offset_of(work, own.split, q)
            problem = atomic_add(following, 0, 1)


def solve_several(
    K: np.ndarray,
    problems: list[Problem],
    rows: list[np.ndarray],
    starts: list[np.ndarray],
    tol: float,
    most: int = -1,
    tell: Callable[[int], Any] | None = None,
    reached: list[np.ndarray] | None = None,
) -> Several:
    """Solve problems of one variable a row, each on its rows of a kernel matrix.

    Parameters
    ----------
    K : ndarray
        C-ordered.  # shape: (n, n)
    problems : list of Problem
        Of one kink.
    rows : list of ndarray
        Of the matrix, for each variable of each problem.
    starts : list of ndarray
        Coefficients to begin with.
    tol : float
    most : int, default -1
        Pairs that may be moved in each; -1: no limit.
    tell : callable, optional
        Called with the number of problems that are solved, after every few of them.
    reached : list, optional
        Gets the coefficients of every problem, also if Ctrl-C breaks off.
    """
    sizes = np.array([len(one) for one in rows])
    begin = np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp)
    batch = Batch(
        begin,
        np.array([problem.split for problem in problems], np.intp),
        np.concatenate(rows).astype(np.intp),
        np.concatenate([problem.lower for problem in problems]),
        np.concatenate([problem.upper for problem in problems]),
        np.concatenate([problem.linear for problem in problems]),
        np.concatenate(starts),
        np.zeros(len(problems), np.intp),
        np.full(len(problems), np.inf),
        np.empty((len(problems), 2)),
    )
    parts = [slice(int(a), int(b)) for a, b in pairwise(begin)]
    beta = [batch.beta[part] for part in parts]
    if reached is not None:
        reached.extend(beta)  # views: what is reached stands in them
    at_once, largest = min(len(problems), n_threads()), int(sizes.max())
    small = empty((at_once, largest * (largest + 1)), K.dtype, "kernel matrices of problems")
    scratch = np.empty((at_once, 3, largest))
    rule = Rule(problems[0].kink, 0, tol, _PAIRS if most < 0 else most)
    first = 0
    while first < len(problems):
        full = int(np.searchsorted(begin, begin[first] + _COEFFICIENTS, side="right")) - 1
        stop = min(len(problems), max(full, first + at_once))
        now = slice(first, stop)
        more = True
        while more:
            before = batch.pairs[now].copy()
            solve_batch(K, batch, rule, np.array([first]), stop, small, scratch)
            is_full = batch.pairs[now] - before >= _PAIRS
            more = most < 0 and bool((is_full & (batch.violation[now] > tol)).any())
        if tell is not None:
            tell(stop)
        first = stop
    offsets = [
        tuple(found[: 1 + problem.two_groups])
        for problem, found in zip(problems, batch.offsets.tolist(), strict=True)
    ]
    return Several(beta, offsets, batch.pairs, batch.violation)
