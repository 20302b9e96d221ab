"""Sequential minimal optimisation: one pair of coefficients at a time, on a kernel matrix at hand.

A step raises βᵢ and lowers βⱼ by as much, so that their group's sum is kept. i is the coefficient whose
gradient is least among those with room above; j the one with room below with which the objective falls
most, to second order. Only the violation counts at the end: the largest gradient below minus the least
above.

Room and kink stand in two vectors that are added to the gradient: +∞ (a large number) where β is at its
upper bound, ±kink elsewhere. So one loop without a branch moves the gradients and finds both ends, a
block at a time; only the best block is searched for the place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba.core import types

from fastkb.runtime import inline, jit, vector
from fastkb.scalar.bits import greater, lesser

# Beyond every gradient, and finite: infinity would make NaN of a difference.
FAR = 1e300

# Coefficients of a block.
BLOCK = 64

# Least curvature along a pair, relative to the pair's diagonal, in units of the kernel's rounding: below
# it nothing is known of the curvature, also of its sign. The peers' 1e-12 is added for rows of zeros.
CURVATURE_UNITS = 8.0
LEAST_CURVATURE = 1e-12

# Of a step: a bound that is this much farther is reached.
NEAR = 1e-15


class Work(NamedTuple):
    """The coefficients that are moved, and what is known of them; all of shape (q,)."""

    beta: np.ndarray
    gradient: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    diagonal: np.ndarray  # of the kernel matrix, in its type
    above: np.ndarray  # scratch: kink, or FAR without room above
    below: np.ndarray  # scratch: kink, or -FAR without room below


class Rule(NamedTuple):
    """How the coefficients are moved."""

    kink: float
    split: int  # the first coefficient of group 1; q: one group
    tol: float  # a violation that may be left
    most: int  # pairs


@inline(references=False)
def _room(work, t, kink):
    """Set what is added to the gradient of coefficient t."""
    beta = work.beta[t]
    work.above[t] = FAR if beta >= work.upper[t] else (kink if beta >= 0.0 else -kink)
    work.below[t] = -FAR if beta <= work.lower[t] else (kink if beta > 0.0 else -kink)


@inline(references=False)
def _move(gradient, first, second, by_first, by_second, above, below):
    """gradient += by_first · first + by_second · second; the least above, and the greatest below."""
    least, greatest = 2.0 * FAR, -2.0 * FAR
    for t in range(len(gradient)):
        value = gradient[t] + (by_first * first[t] + by_second * second[t])
        gradient[t] = value
        least = lesser(least, value + above[t])
        greatest = greater(greatest, value + below[t])
    return least, greatest


@inline(references=False)
def _sweep(K, work, pair, by, begin, end):
    """:func:`_move` of a group: the least above, the block that it is in, and the greatest below."""
    first, second = K[pair[0]], K[pair[1]]
    least, greatest, place = 3.0 * FAR, -3.0 * FAR, begin
    for start in range(begin, end, BLOCK):
        stop = min(start + BLOCK, end)
        low, high = _move(
            work.gradient[start:stop], first[start:stop], second[start:stop], by[0], by[1],
            work.above[start:stop], work.below[start:stop],
        )  # fmt: skip
        if low < least:
            least, place = low, start
        greatest = max(greatest, high)
    return least, place, greatest


@inline(references=False)
def _gain(work, t, least, row, own, floor):
    """difference² / curvature of coefficient t with the one of `least`; 0 without a violation.

    In the kernel matrix's type: it is a choice, not a result.
    """
    real = row.dtype.type
    difference = greater(real(work.gradient[t] + work.below[t] - least), real(0))
    both = own + work.diagonal[t]
    least_known = floor * greater(both, -both) + real(LEAST_CURVATURE)
    curvature = greater(both - real(2) * row[t], least_known)
    return difference * difference / curvature


@inline(references=False)
def _largest_gain(work, start, stop, least, row, own, floor):
    best = row.dtype.type(0)
    for t in range(start, stop):
        best = greater(best, _gain(work, t, least, row, own, floor))
    return best


@inline(references=False)
def _partner(K, work, i, least, floor, begin, end):
    """The coefficient that coefficient i is best moved with, and the gain; -1: there is none."""
    row, own = K[i], work.diagonal[i]
    best, place = K.dtype.type(0), -1
    for start in range(begin, end, BLOCK):
        gain = _largest_gain(work, start, min(start + BLOCK, end), least, row, own, floor)
        if gain > best:
            best, place = gain, start
    if place < 0:
        return -1, best
    while _gain(work, place, least, row, own, floor) != best:
        place += 1
    return place, best


@inline(references=False)
def _at(work, least, place):
    """The coefficient of a block that has the least gradient above."""
    i = place
    while work.gradient[i] + work.above[i] != least:
        i += 1
    return i


@inline(references=False)
def _step(K, work, i, j):
    """Move a pair to the minimum along it, as far as there is room, and return both changes."""
    both = np.float64(work.diagonal[i]) + np.float64(work.diagonal[j])
    floor = np.float64(_floor(K)) * abs(both) + LEAST_CURVATURE
    curvature = max(both - 2.0 * np.float64(K[i, j]), floor)
    above = work.gradient[i] + work.above[i]
    below = work.gradient[j] + work.below[j]
    # A coefficient stops at zero, where the kink is, and at its bounds.
    highest = 0.0 if work.beta[i] < 0.0 else work.upper[i]
    lowest = 0.0 if work.beta[j] > 0.0 else work.lower[j]
    step = (below - above) / curvature
    room_i, room_j = highest - work.beta[i], work.beta[j] - lowest
    step = min(step, room_i, room_j)
    # An end that is a rounding error away is the end: a trace of a coefficient would count as free.
    near = step + NEAR * step
    new_i = highest if room_i <= near else work.beta[i] + step
    new_j = lowest if room_j <= near else work.beta[j] - step
    by = new_i - work.beta[i], new_j - work.beta[j]
    work.beta[i], work.beta[j] = new_i, new_j
    return by


@inline(references=False)
def _floor(K):
    return K.dtype.type(CURVATURE_UNITS) * np.finfo(K.dtype).eps


def _make_move(fetch: Callable) -> Callable:
    """A function ``move(K, origin, work, rule)``; ``fetch(K, origin, i)`` puts row i into K."""

    @inline(references=False)
    def move(K, origin, work, rule):
        q, floor = len(work.beta), _floor(K)
        for t in range(q):
            _room(work, t, rule.kink)
        pair, by, count = (0, 0), (0.0, 0.0), 0
        fetch(K, origin, 0)
        while True:
            least, place, greatest = _sweep(K, work, pair, by, 0, rule.split)
            violation = greatest - least
            other_least, other_place, other_greatest = 0.0, 0, 0.0
            if rule.split < q:
                other_least, other_place, other_greatest = _sweep(K, work, pair, by, rule.split, q)
                violation = max(violation, other_greatest - other_least)
            if not violation > rule.tol or count >= rule.most:
                return count, violation
            i = j = -1
            gain = K.dtype.type(0)
            if greatest - least > rule.tol:
                i = _at(work, least, place)
                fetch(K, origin, i)
                j, gain = _partner(K, work, i, least, floor, 0, rule.split)
            if rule.split < q and other_greatest - other_least > rule.tol:
                other = _at(work, other_least, other_place)
                fetch(K, origin, other)
                partner, other_gain = _partner(K, work, other, other_least, floor, rule.split, q)
                if other_gain > gain:
                    i, j = other, partner
            if j < 0:  # what is left is below the kernel's precision
                return count, violation
            fetch(K, origin, j)
            by = _step(K, work, i, j)
            pair = i, j
            _room(work, i, rule.kink)
            _room(work, j, rule.kink)
            count += 1

    return move


class Origin(NamedTuple):
    """Where the rows of a matrix are taken from when they are first used."""

    K: np.ndarray  # shape: (n, n)
    rows: np.ndarray  # of the large matrix, for each of the small one.  # shape: (q,)
    ready: np.ndarray  # 1: the row is there.  # shape: (q,)


@inline(references=False)
def _is_there(K, origin, i):
    return


@inline(references=False)
def fetch_row(K, origin, i):
    """Copy row i, at the columns of the small matrix, unless it is there."""
    if origin.ready[i] == 0:
        origin.ready[i] = 1
        line, row = K[i], origin.K[origin.rows[i]]
        for t in range(len(line)):
            line[t] = row[origin.rows[t]]


_move_pairs = _make_move(_is_there)

#: ``move_fetched(K, origin, work, rule)``: the same on rows that are fetched from a larger matrix.
move_fetched = _make_move(fetch_row)


@inline(references=False)
def offset_of(work, begin, end):
    """The mean gradient of a group's free coefficients; without any, the middle of what it may be.

    After a move, which leaves in `above` and `below` what is added to gradients.
    """
    total, count, least, greatest = 0.0, 0, FAR, -FAR
    for t in range(begin, end):
        above, below = work.gradient[t] + work.above[t], work.gradient[t] + work.below[t]
        if work.above[t] < FAR and work.below[t] > -FAR and work.beta[t] != 0.0:
            total += above
            count += 1
        if work.above[t] < FAR:
            least = min(least, above)
        if work.below[t] > -FAR:
            greatest = max(greatest, below)
    if count:
        return total / count
    if least < FAR and greatest > -FAR:
        return (least + greatest) / 2.0
    if least < FAR:
        return least
    return greatest if greatest > -FAR else 0.0


def work_type(T: types.Float) -> types.NamedTuple:
    """The type of :class:`Work` for a kernel matrix of type T."""
    one = vector(types.float64)
    return types.NamedTuple((one, one, one, one, vector(T), one, one), Work)


def rule_type() -> types.NamedTuple:
    """The type of :class:`Rule`."""
    return types.NamedTuple((types.float64, types.intp, types.float64, types.intp), Rule)


def _signature(T: types.Float) -> tuple[Any, ...]:
    return types.Array(T, 2, "C", readonly=True), work_type(T), rule_type()


@jit(signature=_signature, references=False)
def solve_pairs(K, work, rule):
    """Move pairs until the violation is at most ``rule.tol``, or ``rule.most`` pairs are moved.

    Returns the number of pairs, and the violation that is left. With K and the gradient's start in the
    same order as the coefficients, the gradient is that of the moved coefficients at the end.
    """
    return _move_pairs(K, 0, work, rule)


@jit(signature=lambda T: (work_type(T), types.float64, types.intp), references=False)
def find_offsets(work, kink, split):
    """:func:`offset_of` both groups, for Python; of work that was not moved."""
    for t in range(len(work.beta)):
        _room(work, t, kink)
    return offset_of(work, 0, split), offset_of(work, split, len(work.beta))
