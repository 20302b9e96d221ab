"""The quadratic problem of a machine, solved to an exact violation of its optimality conditions.

Each round chooses a *working set* of a few hundred coefficients: those that violate the conditions most,
and half of the set before, so that coefficients meet again. Pairs of it are moved on a copy of its small
kernel matrix (:mod:`fastkb.svm.smo.pairs`), then the gradient of all rows is brought up to date in one
pass over the kernel rows of what has changed (:mod:`fastkb.svm.smo.gradient`).

*Shrinking* leaves rows out whose coefficients are at a bound and will stay there: their columns of the
kernel are dropped, and their gradient is found again at the end.

*Two precisions.* Kernel rows are float32 where the source has them, so their errors are relative to what
is added to the gradient. Where the violation seems small enough, the gradient is computed anew in
float64; if the violation is too large then, rounds go on, and what they add is smaller each time. Rows of
float64 take over if that does not help.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastkb.svm.kernel import Source
from fastkb.svm.problem import Problem
from fastkb.svm.smo.gradient import add_rows, pick
from fastkb.svm.smo.newton import move_free
from fastkb.svm.smo.pairs import FAR, Rule, Work, find_offsets, solve_pairs
from fastkb.svm.smo.rows import KernelRows

# Coefficients of a working set, and from how many rows on it is the larger one. So many coefficients as
# the larger one has are moved all together.
SETS = 512, 1024
LARGE_FROM = 4000

# Rows that are kept at least, whatever is granted: a set must hold pairs that violate, of each group,
# beside what it keeps of the set before; that takes 8.
LEAST_ROWS = 16

# Of the set before, this share stays.
KEPT = 0.5

# A set's violation is brought down to this share of what it was in the whole.
SHARE = 0.2

# Up to so many rows the kernel matrix is float64 from the beginning.
DOUBLE_UP_TO = 1000

# Pairs that are moved between two looks for Ctrl-C and for rows to leave out, of 0.2-2 µs each.
PAIRS_AT_ONCE = 50_000
PAIRS_OF_ALL = 1_000

# Newton's method is tried after so many pairs for each free coefficient.
PAIRS_EACH = 40

# Rounds between two looks for rows to leave out; these must be this share of all.
SHRINK_EVERY = 8
SHRINK_SHARE = 0.3

# A violation that falls by less than this factor from one exact gradient to the next asks for float64.
LEAST_GAIN = 0.5

# In float64 so many gradients may be found without that gain, and the solver says what is left.
MOST_STALLS = 8

# So many rounds of float32 without that gain ask for an exact gradient.
ROUNDS_OF_SINGLE = 50

MEGABYTE = 2**20


class Options(NamedTuple):
    """How a problem is solved."""

    tol: float = 1e-3
    cache_bytes: int = 200 * MEGABYTE
    shrinking: bool = True
    most: int = -1  # pairs; -1: no limit
    # Called after every round with the pairs so far, the violation and the number of rows in play.
    tell: Callable[[int, float, int], Any] | None = None


class Violation(NamedTuple):
    """The largest gradient below minus the least above, and both, for each group."""

    largest: float
    least: tuple[float, ...]
    greatest: tuple[float, ...]


class Solver:
    """One problem, and how far it is solved; it may be interrupted between any two rounds."""

    def __init__(
        self, problem: Problem, source: Source, options: Options, start: np.ndarray
    ) -> None:
        self.problem, self.options = problem, options
        self._source = source
        self._diagonal = source.diagonal()
        self.beta = start.copy()
        self.pairs = 0
        self.violation = np.inf
        self.converged = False
        single = source.has_single and problem.n > DOUBLE_UP_TO
        self._dtype: type = np.float32 if single else np.float64
        self._rows: KernelRows | None = None
        self._matrix: np.ndarray | None = None  # of all coefficients in play, where they are few
        self._active: np.ndarray | None = None  # rows in play; None: all
        # Kβ of the rows in play, to the rounding errors of the kernel rows.
        self._kernel_part = self._exact() if start.any() else np.zeros(problem.n)
        self._set = np.empty(0, np.intp)  # the working set before, best first

    def _exact(self) -> np.ndarray:
        """Kβ of all rows, in float64."""
        of_row = self.problem.row_sums(self.beta)
        used = np.flatnonzero(of_row)
        if not len(used):
            return np.zeros(self.problem.n)
        return self._source.product(None, used, of_row[used])

    @property
    def gradient(self) -> np.ndarray:
        """The objective's without the kink, of all coefficients; after :meth:`run`.  # shape: (m,)"""
        return self._of_rows(self._kernel_part) + self.problem.linear

    @property
    def objective(self) -> float:
        """What is minimised; after :meth:`run`."""
        kernel_part = self._of_rows(self._kernel_part)
        kink = self.problem.kink * float(np.abs(self.beta).sum())
        return float((0.5 * kernel_part + self.problem.linear) @ self.beta) + kink

    def _of_rows(self, values: np.ndarray) -> np.ndarray:
        """A value of each row for each coefficient."""
        copies = len(self.beta) // self.problem.n
        return values if copies == 1 else np.tile(values, copies)

    def run(self) -> None:
        """Solve, until the violation is at most the tolerance or the pairs are used up."""
        last, stalls = np.inf, 0
        while True:
            moved = self._rounds()
            self._restore()
            self.violation = self._look(self._keys()).largest
            self.converged = self.violation <= self.options.tol
            if self.converged or self._used_up or self.violation <= self._noise:
                return
            if moved and self.violation <= LEAST_GAIN * last:
                last, stalls = self.violation, 0
            elif self._dtype == np.float32:
                self._dtype, self._rows, self._matrix = np.float64, None, None
                last = np.inf
            else:
                stalls += 1
                if not moved or stalls == MOST_STALLS:
                    return  # below the precision of the kernel itself

    @property
    def _noise(self) -> float:
        """What the gradient's rounding errors are about: a smaller violation says nothing."""
        largest = float(np.abs(self._diagonal).max(initial=0.0))
        return float(np.finfo(np.float64).eps) * largest * float(np.abs(self.beta).sum())

    @property
    def _used_up(self) -> bool:
        return 0 <= self.options.most <= self.pairs

    def _restore(self) -> None:
        """All rows in play again, with the gradient of float64."""
        if self._active is not None:
            if self._rows is not None and not self._rows.has_all:
                self._rows = None
            self._active, self._matrix = None, None
        if self._rows is not None and self._rows.is_exact:
            of_row = self.problem.row_sums(self.beta)
            used = np.flatnonzero(of_row)
            self._kernel_part = np.zeros(self.problem.n)
            add_rows(self._rows.values, used, of_row[used], self._kernel_part)
        else:
            self._kernel_part = self._exact()

    def _places(self) -> np.ndarray:
        """The coefficients in play.  # shape: (k,)"""
        n, copies = self.problem.n, len(self.beta) // self.problem.n
        if self._active is None:
            return np.arange(n * copies)
        return np.concatenate([self._active + n * copy for copy in range(copies)])

    def _keys(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The coefficients in play; their gradients above, ∞ without room, and below, -∞ without."""
        places = self._places()
        beta, kink = self.beta[places], self.problem.kink
        gradient = self._of_rows(self._kernel_part) + self.problem.linear[places]
        above, below = gradient.copy(), gradient
        if kink:
            above += np.where(beta >= 0.0, kink, -kink)
            below = gradient + np.where(beta > 0.0, kink, -kink)
        above[beta >= self.problem.upper[places]] = np.inf
        below[beta <= self.problem.lower[places]] = -np.inf
        return places, above, below

    def _groups(self, places: np.ndarray) -> list[slice]:
        split = int(np.searchsorted(places, self.problem.split))
        both = [slice(0, split), slice(split, len(places))]
        return both if self.problem.two_groups else both[:1]

    def _look(self, keys: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Violation:
        places, above, below = keys
        groups = self._groups(places)
        least = tuple(float(above[group].min(initial=np.inf)) for group in groups)
        greatest = tuple(float(below[group].max(initial=-np.inf)) for group in groups)
        largest = max(high - low for low, high in zip(least, greatest, strict=True))
        return Violation(largest, least, greatest)

    def _kernel_rows(self) -> KernelRows:
        if self._rows is None:
            width = self.problem.n if self._active is None else len(self._active)
            least = LEAST_ROWS * width * np.dtype(self._dtype).itemsize
            budget = max(self.options.cache_bytes, least)
            self._rows = KernelRows(self._source, self._dtype, budget, self._active)
        return self._rows

    def _rounds(self) -> bool:
        """Rounds until the violation of the rows in play seems small enough; whether a pair moved."""
        moved, number = False, 0
        best, since = np.inf, 0
        while True:
            keys = self._keys()
            found = self._look(keys)
            self.violation = found.largest
            if self.options.tell is not None:
                self.options.tell(self.pairs, found.largest, len(self._kernel_part))
            if found.largest <= max(self.options.tol, self._noise) or self._used_up:
                return moved
            number += 1
            since += 1
            if found.largest <= LEAST_GAIN * best:
                best, since = found.largest, 0
            if self._dtype == np.float32 and since > ROUNDS_OF_SINGLE:
                return moved
            together = len(keys[0]) <= SETS[1]
            looks = (
                self.options.shrinking and number > 1 and (together or not number % SHRINK_EVERY)
            )
            if looks and self._shrink(keys, found):
                keys = self._keys()
                together = len(keys[0]) <= SETS[1]
            pairs = self._round_of_all(keys) if together else self._round(keys, found.largest)
            if not pairs:
                return moved
            moved = True

    def _choose(self, keys: tuple[np.ndarray, np.ndarray, np.ndarray], size: int) -> np.ndarray:
        """Where the working set stands among the coefficients in play; ascending."""
        places, above, below = keys
        if len(places) <= size:
            return np.arange(len(places))
        before = self._set[: int(KEPT * size)]
        at = np.searchsorted(places, before)
        at = at[places[np.minimum(at, len(places) - 1)] == before]
        above, negative = above.copy(), -below
        above[at] = negative[at] = np.inf
        groups, chosen = self._groups(places), [at]
        share = (size - len(at)) // len(groups)
        for group in groups:
            first = group.start + _least(above[group], share // 2)
            negative[first] = np.inf
            second = group.start + _least(negative[group], share - len(first))
            chosen += [first, second]
        return np.sort(np.concatenate(chosen))

    def _round(self, keys: tuple[np.ndarray, np.ndarray, np.ndarray], violation: float) -> int:
        """Move pairs of one working set, and the gradient with them; the number of pairs."""
        problem, places = self.problem, keys[0]
        rows = self._kernel_rows()
        size = min(SETS[problem.n > LARGE_FROM], rows.capacity)
        chosen = self._choose(keys, max(2, size))
        t = places[chosen]
        slots = rows.slots(t % problem.n)
        column = chosen % len(self._kernel_part)
        K = np.empty((len(t), len(t)), rows.dtype)
        if self._source.is_quick and not rows.has_all:
            self._source.square(t % problem.n, K)
        else:
            pick(rows.values, slots, column, K)
        work = self._work(t, column, rows.dtype)
        tol = max(self.options.tol, SHARE * violation)
        count = self._solve(K, work, t, tol, PAIRS_AT_ONCE)
        change = work.beta - self.beta[t]
        changed = np.flatnonzero(change)
        self.beta[t] = work.beta
        add_rows(rows.values, slots[changed], change[changed], self._kernel_part)
        free = (work.beta > work.lower) & (work.beta < work.upper) & (work.beta != 0.0)
        order = np.argsort(-(2 * free + (change != 0.0)), kind="stable")
        self._set = t[order]
        return count

    def _round_of_all(self, keys: tuple[np.ndarray, np.ndarray, np.ndarray]) -> int:
        """Move pairs of all coefficients in play; the number of pairs."""
        t = keys[0]
        rows = self._kernel_rows()
        if self._matrix is None:
            row = t % self.problem.n
            if rows.has_all and self._active is None and len(t) == self.problem.n:
                self._matrix = rows.values
            else:
                self._matrix = np.empty((len(t), len(t)), rows.dtype)
                if rows.has_all:
                    pick(rows.values, row, row, self._matrix)
                else:
                    self._source.square(row, self._matrix)
        work = self._work(t, np.arange(len(t)) % len(self._kernel_part), rows.dtype)
        count = self._solve(self._matrix, work, t, self.options.tol, PAIRS_OF_ALL)
        free = np.count_nonzero((work.above < FAR) & (work.below > -FAR))
        slow = count == PAIRS_OF_ALL and self.pairs >= PAIRS_EACH * free
        if slow and self._matrix.dtype == np.float64:
            split = int(np.searchsorted(t, self.problem.split))
            move_free(self._matrix, work, split, self.problem.kink)
        self.beta[t] = work.beta
        # The gradient of the first copy of the rows holds the kernel's part of all.
        in_play = len(self._kernel_part)
        self._kernel_part = work.gradient[:in_play] - self.problem.linear[t[:in_play]]
        return count

    def _work(self, t: np.ndarray, column: np.ndarray, dtype: np.dtype) -> Work:
        problem, size = self.problem, len(t)
        return Work(
            self.beta[t],
            self._kernel_part[column] + problem.linear[t],
            problem.lower[t],
            problem.upper[t],
            self._diagonal[t % problem.n].astype(dtype),
            np.empty(size),
            np.empty(size),
        )

    def _solve(self, K: np.ndarray, work: Work, t: np.ndarray, tol: float, most: int) -> int:
        if self.options.most >= 0:
            most = min(most, self.options.most - self.pairs)
        split = int(np.searchsorted(t, self.problem.split))
        count, _ = solve_pairs(K, work, Rule(self.problem.kink, split, tol, most))
        self.pairs += count
        return count

    def _shrink(self, keys: tuple[np.ndarray, np.ndarray, np.ndarray], found: Violation) -> bool:
        """Leave rows out whose coefficients can be in no pair that violates; whether any were.

        They must be beyond by half of the violation: it moves yet.
        """
        places, above, below = keys
        out = np.zeros(len(places), bool)
        for group, least, greatest in zip(
            self._groups(places), found.least, found.greatest, strict=True
        ):
            margin = 0.5 * max(greatest - least, 0.0)
            out[group] = (above[group] > greatest + margin) & (below[group] < least - margin)
        leaves = out.reshape(-1, len(self._kernel_part)).all(axis=0)
        rows = self._kernel_rows()
        if leaves.mean() < SHRINK_SHARE:
            return False
        stay = np.flatnonzero(~leaves)
        if not rows.has_all:
            rows.narrowed(stay)
        elif len(stay) * len(places) // len(self._kernel_part) > SETS[1]:
            return False  # a set's matrix is picked from rows of all columns
        self._matrix = None
        self._active = stay if self._active is None else self._active[stay]
        self._kernel_part = self._kernel_part[stay]
        return True

    def offsets(self) -> tuple[float, ...]:
        """The gradient of free coefficients, of each group; after :meth:`run`."""
        places = np.arange(len(self.beta))
        work = self._work(places, places % self.problem.n, np.dtype(np.float64))
        found = find_offsets(work, self.problem.kink, self.problem.split)
        return found if self.problem.two_groups else found[:1]


def _least(values: np.ndarray, count: int) -> np.ndarray:
    """Places of the least values, at most `count`, and none that is infinite."""
    count = min(count, len(values))
    if not count:
        return np.empty(0, np.intp)
    found = np.argpartition(values, count - 1)[:count]
    return found[np.isfinite(values[found])]
