"""Many free coefficients moved together by conjugate gradients, with pairs in between.

With a large C most support vectors are free: their coefficients solve a system of linear equations, and
pairs need some ten thousand steps where conjugate gradients need a hundred. A step multiplies the kernel
matrix by a vector, and reads half of it, for it is symmetric. The directions in which the kernel is
largest are solved by a Nyström approximation of it, which is the preconditioner.

What the free coefficients are is not known before. So they are moved a part of the way only, those that
cross a bound are put there, and pairs bring in or take out what has changed sides.
"""

from __future__ import annotations

import numpy as np
from numba.core import types
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from fastkb.runtime import inline, jit, prange, vector
from fastkb.runtime.threads import limit_blas
from fastkb.svm.smo.newton import free_of, room_of
from fastkb.svm.smo.pairs import Rule, Work, solve_pairs

# Sums of a product are kept apart in so many strips of rows, whatever the number of threads, and added
# in their order: the same bits for any.
_STRIPS = 16

# Columns of a block: four rows of it stay in the first-level cache while they are read twice.
_BLOCK = 1024

# Columns of the matrix that the preconditioner is made of, at most.
_RANK = 200

# What is added to the diagonal of those columns' own matrix, relative to it.
_RIDGE = 1e-6

# Directions are solved until the spread of the gradient is this share of what it was. The spread rises
# before it falls, so that this is more than it seems; the pairs that follow are cheap.
_GAIN = 0.8

# Steps at most: 200 suffice for conditions that float32 can tell.
_STEPS = 200

# Pairs in between, for each coefficient.
_PAIRS = 0.5

# Times that a direction is halved until the objective falls.
_HALVINGS = 10

# Shifts that are tried until a group's sum is kept.
_SHIFTS = 100

# Pairs and directions in turn, at most.
_TURNS = 40


@inline(any_order=True)
def _dots(a, b, c, d, x):
    """Four rows times x."""
    zero = a.dtype.type(0)
    of_a, of_b, of_c, of_d = zero, zero, zero, zero
    for k in range(len(x)):
        of_a += a[k] * x[k]
        of_b += b[k] * x[k]
        of_c += c[k] * x[k]
        of_d += d[k] * x[k]
    return of_a, of_b, of_c, of_d


@inline
def _add(a, b, c, d, by, out):
    """out += four rows, each times its number."""
    by_a, by_b, by_c, by_d = by
    for k in range(len(out)):
        out[k] += (by_a * a[k] + by_b * b[k]) + (by_c * c[k] + by_d * d[k])


@inline
def _both_halves(K, i, begin, end, x, out):
    """What four rows right of the diagonal, and their mirror images below it, add to a product."""
    a, b, c, d = K[i, begin:end], K[i + 1, begin:end], K[i + 2, begin:end], K[i + 3, begin:end]
    of_a, of_b, of_c, of_d = _dots(a, b, c, d, x[begin:end])
    out[i] += of_a
    out[i + 1] += of_b
    out[i + 2] += of_c
    out[i + 3] += of_d
    _add(a, b, c, d, (x[i], x[i + 1], x[i + 2], x[i + 3]), out[begin:end])


@jit(
    parallel=True,
    signature=lambda T: (
        types.Array(T, 2, "C", readonly=True),
        vector(T),
        types.Array(T, 2, "C"),
        vector(T),
    ),
)
def multiply_symmetric(K, x, strips, out):
    """out = K x of a symmetric matrix, of which the upper half is read; `strips` is scratch.

    # shapes: (q, q), (q,), (strips, q), (q,)
    """
    q = len(x)
    fours = q // 4
    for strip in prange(len(strips)):
        mine = strips[strip]
        mine[:] = 0
        for four in range(strip, fours, len(strips)):
            i = 4 * four
            for r in range(i, i + 4):
                for s in range(i, i + 4):
                    mine[r] += K[r, s] * x[s]
            for begin in range(i + 4, q, _BLOCK):
                _both_halves(K, i, begin, min(begin + _BLOCK, q), x, mine)
    for k in range(q):
        total = strips[0, k]
        for strip in range(1, len(strips)):
            total += strips[strip, k]
        out[k] = total
    for r in range(4 * fours, q):
        for s in range(4 * fours, q):
            out[r] += K[r, s] * x[s]


class Together:
    """The coefficients of one kernel matrix, symmetric and of either precision."""

    def __init__(self, K: np.ndarray, split: int, kink: float) -> None:
        """`split` is the first coefficient of group 1.  # shape of K: (q, q)"""
        self._K, self._split, self._kink = K, split, kink
        self._x, self._product = np.empty((2, len(K)), K.dtype)
        self._strips = np.empty((_STRIPS, len(K)), K.dtype)
        self._columns: np.ndarray | None = None

    def solve(self, work: Work, tol: float, most: int) -> int:
        """Move coefficients until the violation is at most `tol`; the number of pairs, at most `most`."""
        count, at_once = 0, max(1, int(_PAIRS * len(self._K)))
        for _ in range(_TURNS):
            rule = Rule(self._kink, self._split, tol, min(at_once, most - count))
            pairs, violation = solve_pairs(self._K, work, rule)
            count += pairs
            if not violation > tol or pairs < at_once or not self.move(work, tol):
                break
        return count

    def move(self, work: Work, tol: float) -> bool:
        """Move the free coefficients, and the gradient with them, if that makes the objective less."""
        free = free_of(work)
        if len(free) < 2:
            return False
        beta = work.beta[free]
        gradient = work.gradient[free] + self._kink * np.sign(beta)
        groups = [group for group in (free < self._split, free >= self._split) if group.any()]
        target = max(0.5 * tol, _GAIN * _spread(gradient, groups))
        try:
            with limit_blas():
                direction = self._direction(free, gradient, groups, target)
        except LinAlgError:  # not positive definite
            return False
        if direction is None:
            return False
        lower, upper = room_of(work, free)
        for _ in range(_HALVINGS):
            moved = _within(beta, direction, lower, upper, groups)
            change = moved - beta
            of_gradient = self._times(free, change)
            if gradient @ change + 0.5 * (change @ of_gradient[free]) < 0.0:
                work.beta[free] = moved
                work.gradient[:] += of_gradient
                return True
            direction = 0.5 * direction
        return False

    def _times(self, free: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The free columns of the matrix times values.  # shape: (q,)"""
        self._x[:] = 0.0
        self._x[free] = values
        multiply_symmetric(self._K, self._x, self._strips, self._product)
        return self._product.astype(np.float64)

    def _direction(
        self, free: np.ndarray, gradient: np.ndarray, groups: list[np.ndarray], target: float
    ) -> np.ndarray | None:
        """About -K⁻¹ of the gradient less its groups' offsets, so that each group's sum is kept."""
        inner = self._prepared(free)

        def precondition(values: np.ndarray) -> np.ndarray:
            self._x[:] = 0.0
            self._x[free] = values
            part = inner @ (self._columns @ self._x)
            return values - (part.astype(self._K.dtype) @ self._columns)[free]

        ones = np.column_stack(groups).astype(np.float64)
        of_ones = np.column_stack([precondition(one) for one in ones.T])
        small = ones.T @ of_ones

        def kept(values: np.ndarray) -> np.ndarray:
            found = precondition(values)
            found -= of_ones @ np.linalg.solve(small, ones.T @ found)
            return found

        total, left = np.zeros(len(free)), -gradient
        search = step = kept(left)
        size = left @ step
        for _ in range(_STEPS):
            of_search = self._times(free, search)[free]
            curvature = search @ of_search
            if not (curvature > 0.0 and size > 0.0):
                break
            total += size / curvature * search
            left = left - size / curvature * of_search
            if _spread(left, groups) <= target:
                break
            step = kept(left)
            before, size = size, left @ step
            search = step + size / before * search
        return total if np.isfinite(total).all() and total.any() else None

    def _prepared(self, free: np.ndarray) -> np.ndarray:
        """The small matrix of the preconditioner's inverse, for these rows and columns of the matrix.

        With L the columns, K is about LᵀL + s·1, and its inverse (1 - Lᵀ (LLᵀ + s·1)⁻¹ L) / s, of which
        the factor 1 / s does not matter.
        """
        if self._columns is None:
            self._prepare()
        assert self._columns is not None
        bound = np.ones(len(self._K), bool)
        bound[free] = False
        others = self._columns[:, bound]
        normal = self._normal - (others @ others.T).astype(np.float64)
        normal[np.diag_indices_from(normal)] += self._rest[free].mean()
        return np.linalg.inv(normal)

    def _prepare(self) -> None:
        """Columns of the matrix, evenly spaced, as a factor of Nyström's approximation."""
        K = self._K
        chosen = np.linspace(0, len(K) - 1, min(_RANK, len(K) // 4 + 1)).astype(np.intp)
        columns = K[chosen]
        own = columns[:, chosen].astype(np.float64)
        size = float(np.abs(K.diagonal()).max())
        own[np.diag_indices_from(own)] += _RIDGE * size
        factor = cholesky(own, lower=True, check_finite=False).astype(K.dtype)
        columns = solve_triangular(factor, columns, lower=True, check_finite=False)
        self._columns = np.ascontiguousarray(columns)
        self._normal = (self._columns @ self._columns.T).astype(np.float64)
        rest = K.diagonal() - np.square(self._columns).sum(axis=0, dtype=np.float64)
        self._rest = np.maximum(rest, 1e-3 * size)


def _spread(gradient: np.ndarray, groups: list[np.ndarray]) -> float:
    """The largest less the least, of the group where that is most."""
    return max(float(np.ptp(gradient[group])) for group in groups)


def _within(
    beta: np.ndarray,
    direction: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    groups: list[np.ndarray],
) -> np.ndarray:
    """beta + direction, put between the bounds; each group shifted so that its sum is kept."""
    moved = beta.copy()
    for group in groups:
        low, high, total = lower[group], upper[group], beta[group].sum()
        goal = beta[group] + direction[group]
        found = np.clip(goal, low, high)
        # The sum rises with the shift, from all at their lower bounds to all at their upper ones.
        least, most, shift = (low - goal).min(), (high - goal).max(), 0.0
        for _ in range(_SHIFTS):
            missing = total - found.sum()
            if abs(missing) <= 1e-15 * np.abs(found).sum():
                break
            least, most = (shift, most) if missing > 0.0 else (least, shift)
            inside = np.count_nonzero((found > low) & (found < high))
            shift += missing / inside if inside else np.inf
            if not least < shift < most:
                shift = 0.5 * (least + most)
            found = np.clip(goal + shift, low, high)
        if abs(total - found.sum()) <= 1e-13 * np.abs(found).sum():
            moved[group] = found
    return moved
