"""The quadratic problem of a machine, solved to an exact violation of its optimality conditions.

Each round chooses a *working set* of a few hundred coefficients: those that violate the conditions most,
and half of the set before, so that coefficients meet again. Pairs of it are moved on a copy of its small
kernel matrix (:mod:`fastkb.svm.smo.pairs`), then the gradient of all rows is brought up to date in one
pass over the kernel rows of what has changed (:mod:`fastkb.svm.smo.gradient`).

Where most coefficients are free, all support vectors are moved together instead
(:mod:`fastkb.svm.smo.conjugate`).

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

from fastkb.runtime.memory import empty
from fastkb.svm.kernel import Source
from fastkb.svm.problem import Problem
from fastkb.svm.smo.candidates import Candidates, Progress, Violation, candidates
from fastkb.svm.smo.conjugate import Together
from fastkb.svm.smo.gradient import add_rows, pick
from fastkb.svm.smo.newton import move_free
from fastkb.svm.smo.pairs import FAR, Rule, Work, find_offsets, solve_pairs
from fastkb.svm.smo.rows import KernelRows

# Coefficients of a working set, and from how many rows on it is the larger one.
SETS = 512, 1024
LARGE_FROM = 4000

# So many coefficients in play are moved without working sets; fewer, where their matrix would take more
# than is granted, but as many as a working set has.
ALL_UP_TO = 3000

# Rows that are kept at least, whatever is granted: a set must hold pairs that violate, of each group,
# beside what it keeps of the set before; that takes 8.
LEAST_ROWS = 16

# Of the set before, this share stays; more, where kernel rows are computed again and again, because fewer
# than so many sets' rows are kept.
KEPT = 0.5, 0.75
SETS_OF_ROWS = 2

# A set's violation is brought down to this share of what it was in the whole.
SHARE = 0.2

# Up to so many rows the kernel matrix is float64 from the beginning.
DOUBLE_UP_TO = 1000

# Pairs between two looks for Ctrl-C and for rows to leave out, of 0.2-4 µs each.
PAIRS_AT_ONCE = 50_000
PAIRS_OF_ALL = 1_000
PAIRS_TOGETHER = 100_000

# Newton's method is tried after so many pairs for each free coefficient.
PAIRS_EACH = 40

# All support vectors are moved together where more coefficients are free than a working set has, and
# rounds are slow (see :class:`fastkb.svm.smo.candidates.Progress`).
# Their matrix may take this share of what is granted for kernel rows, beside them.
SHARE_OF_MEMORY = 0.5

# Coefficients at zero that join them, for each; and what their violation is brought down to.
JOIN = 0.1
SHARE_TOGETHER = 0.1

# Float32 brings the violation to this share of the tolerance: rounding errors are found at the end.
AIM = 0.9

# Rounds between two looks for rows to leave out; these must be this share of all.
SHRINK_EVERY = 8
SHRINK_SHARE = 0.3

# A violation that falls by less than this factor from one exact gradient to the next asks for float64.
LEAST_GAIN = 0.5

# In float64 so many gradients may be found without that gain, and the solver says what is left.
MOST_STALLS = 8

# So many rounds of float32 without that gain, beside those in which each row can be chosen, ask for an
# exact gradient.
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
        self._progress = Progress()
        self._buffer = np.empty(0, self._dtype)  # for the matrices of working sets

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
        copies = len(self.beta) // self.problem.n
        return np.tile(self._kernel_part, copies) + self.problem.linear

    def run(self) -> None:
        """Solve, until the violation is at most the tolerance or the pairs are used up."""
        if self._is_solved():
            return
        last, stalls = np.inf, 0
        while True:
            moved = self._rounds()
            self._restore()
            if self._is_solved() or self._used_up or self.violation <= self._noise:
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

    def _is_solved(self) -> bool:
        """Whether the violation of all rows, by an exact gradient, is at most the tolerance."""
        self.violation = self._candidates().violation().largest
        self.converged = self.violation <= self.options.tol
        return self.converged

    @property
    def _noise(self) -> float:
        """What the gradient's rounding errors are about: a smaller violation says nothing."""
        largest = float(np.abs(self._diagonal).max(initial=0.0))
        return float(np.finfo(np.float64).eps) * largest * float(np.abs(self.beta).sum())

    @property
    def _used_up(self) -> bool:
        return 0 <= self.options.most <= self.pairs

    @property
    def _tol(self) -> float:
        """The violation that rounds are to reach."""
        return self.options.tol * (AIM if self._dtype == np.float32 else 1.0)

    def _aim(self, share: float) -> float:
        """The violation that a set is to reach: this, or the last if that is near."""
        return share if share > 2.0 * self._tol else self._tol

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

    def _candidates(self) -> Candidates:
        return candidates(self.problem, self.beta, self._kernel_part, self._active)

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
            now = self._candidates()
            found = now.violation()
            self.violation = found.largest
            if self.options.tell is not None:
                self.options.tell(self.pairs, found.largest, len(self._kernel_part))
            if found.largest <= max(self._tol, self._noise) or self._used_up:
                return moved
            number += 1
            since += 1
            if found.largest <= LEAST_GAIN * best:
                best, since = found.largest, 0
            if self._dtype == np.float32 and since > ROUNDS_OF_SINGLE + self.problem.n // SETS[0]:
                return moved
            looks = len(now.places) <= self._all_up_to or not number % SHRINK_EVERY
            if looks and self.options.shrinking and number > 1 and self._shrink(now, found):
                now = self._candidates()
            pairs = self._round_of_used(now, found)
            if not pairs and len(now.places) <= self._all_up_to:
                pairs = self._round_of_all(now)
            elif not pairs:
                pairs = self._round(now, found.largest)
            if not pairs:
                return moved
            moved = True

    def _round(self, now: Candidates, violation: float) -> int:
        """Move pairs of one working set, and the gradient with them; the number of pairs."""
        rows = self._kernel_rows()
        size = max(2, min(SETS[self.problem.n > LARGE_FROM], rows.capacity))
        kept = KEPT[rows.capacity < min(self.problem.n, SETS_OF_ROWS * size)]
        chosen = now.working_set(self._set[: int(kept * size)], size)
        t, column = now.places[chosen], chosen % len(self._kernel_part)
        slots = rows.slots(t % self.problem.n)
        K, work = self._square(t, column, slots), self._work(t, column, rows.dtype)
        count = self._solve(K, work, t, self._aim(SHARE * violation), PAIRS_AT_ONCE)
        change = self._take(t, work)
        free = (work.beta > work.lower) & (work.beta < work.upper) & (work.beta != 0.0)
        order = np.argsort(-(2 * free + (change != 0.0)), kind="stable")
        self._set = t[order]
        return count

    def _square(
        self, t: np.ndarray, column: np.ndarray, slots: np.ndarray | None = None
    ) -> np.ndarray:
        """The kernel matrix of some coefficients, in memory that the next one uses again."""
        rows, size = self._kernel_rows(), len(t)
        if self._buffer.dtype != rows.dtype or self._buffer.size < size * size:
            self._buffer = empty((size * size,), rows.dtype, "the kernel matrix of a working set")
        K = self._buffer[: size * size].reshape(size, size)
        if rows.has_all:
            pick(rows.values, t % self.problem.n, column, K)
        elif slots is None or self._source.is_quick:
            self._source.square(t % self.problem.n, K)
        else:
            pick(rows.values, slots, column, K)
        return K

    def _take(self, t: np.ndarray, work: Work) -> np.ndarray:
        """Take over coefficients that were moved, and the gradient of all; the change of each."""
        rows = self._kernel_rows()
        change = work.beta - self.beta[t]
        self.beta[t] = work.beta
        changed = np.flatnonzero(change)
        for first in range(0, len(changed), rows.capacity):
            some = changed[first : first + rows.capacity]
            slots = rows.slots(t[some] % self.problem.n)
            add_rows(rows.values, slots, change[some], self._kernel_part)
        return change

    def _round_of_used(self, now: Candidates, found: Violation) -> int:
        """Move the coefficients of all support vectors, and the gradient; the number of pairs.

        0: it is not time for that, or they are too many.
        """
        self._progress.add(now, found.largest)
        if now.n_free <= SETS[1] or not self._progress.is_slow(self.options.tol):
            return 0
        most = self._side(SHARE_OF_MEMORY)
        if (used := int(np.count_nonzero(now.used))) > most:
            return 0
        chosen = now.used_and_violating(found, min(most - used, int(JOIN * used)))
        t, column = now.places[chosen], chosen % len(self._kernel_part)
        work = self._work(t, column, np.dtype(self._dtype))
        split = int(np.searchsorted(t, self.problem.split))
        together = Together(self._square(t, column), split, self.problem.kink)
        tol = self._aim(SHARE_TOGETHER * found.largest)
        count = together.solve(work, tol, self._allowed(PAIRS_TOGETHER))
        self.pairs += count
        self._take(t, work)
        return count

    def _allowed(self, pairs: int) -> int:
        return min(pairs, self.options.most - self.pairs) if self.options.most >= 0 else pairs

    def _side(self, share: float) -> int:
        """Rows of the square matrix that this share of what is granted holds."""
        return int((share * self.options.cache_bytes / np.dtype(self._dtype).itemsize) ** 0.5)

    @property
    def _all_up_to(self) -> int:
        return max(SETS[1], min(ALL_UP_TO, self._side(1.0)))

    def _round_of_all(self, now: Candidates) -> int:
        """Move pairs of all coefficients in play; the number of pairs."""
        t = now.places
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
        count = self._solve(self._matrix, work, t, self._tol, PAIRS_OF_ALL)
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
        split = int(np.searchsorted(t, self.problem.split))
        rule = Rule(self.problem.kink, split, tol, self._allowed(most))
        count, _ = solve_pairs(K, work, rule)
        self.pairs += count
        return count

    def _shrink(self, now: Candidates, found: Violation) -> bool:
        """Leave rows out whose coefficients can be in no pair that violates; whether any were."""
        leaves = now.beyond(found).reshape(-1, len(self._kernel_part)).all(axis=0)
        rows = self._kernel_rows()
        if leaves.mean() < SHRINK_SHARE:
            return False
        stay = np.flatnonzero(~leaves)
        if not rows.has_all:
            rows.narrowed(stay)
        elif len(stay) * len(now.places) // len(self._kernel_part) > self._all_up_to:
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
