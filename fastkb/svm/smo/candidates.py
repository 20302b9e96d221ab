"""Which coefficients violate the conditions, and which are moved or left out for that.

A coefficient with room above may be raised if its gradient is below that of another which has room below:
the largest such difference is the violation. A coefficient without room has no gradient on that side: ∞
above, -∞ below.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastkb.svm.problem import Problem

# Rounds are slow where few coefficients have come in by the last of them, relative to those before,
# and the violation falls so slowly that so many more are yet to come.
LAST_ROUNDS = 6
GROWTH = 1.2
MANY_ROUNDS = 12


class Violation(NamedTuple):
    """The largest gradient below minus the least above, and both, for each group."""

    largest: float
    least: tuple[float, ...]
    greatest: tuple[float, ...]


class Candidates(NamedTuple):
    """The coefficients in play; all arrays of shape (k,)."""

    places: np.ndarray  # among all coefficients, ascending
    beta: np.ndarray
    above: np.ndarray  # gradients of those that may be raised
    below: np.ndarray  # gradients of those that may be lowered
    groups: list[slice]

    @property
    def used(self) -> np.ndarray:
        """Whether a coefficient is not zero.  # shape: (k,)"""
        return self.beta != 0.0

    @property
    def n_free(self) -> int:
        """The number of those that are not zero and may be raised and lowered."""
        return int(np.count_nonzero(self.used & (self.above < np.inf) & (self.below > -np.inf)))

    def violation(self) -> Violation:
        """How much the conditions are violated."""
        least = tuple(float(self.above[group].min(initial=np.inf)) for group in self.groups)
        greatest = tuple(float(self.below[group].max(initial=-np.inf)) for group in self.groups)
        largest = max(high - low for low, high in zip(least, greatest, strict=True))
        return Violation(largest, least, greatest)

    def working_set(self, before: np.ndarray, size: int) -> np.ndarray:
        """Which violate most, beside those of `before`; ascending, at most `size`.

        Parameters
        ----------
        before : ndarray
            Places that are in the set if they are in play.
        size : int
        """
        if len(self.places) <= size:
            return np.arange(len(self.places))
        at = np.searchsorted(self.places, before)
        at = at[self.places[np.minimum(at, len(self.places) - 1)] == before]
        above, negative = self.above.copy(), -self.below
        above[at] = negative[at] = np.inf
        share = (size - len(at)) // len(self.groups)
        chosen = [at]
        for group in self.groups:
            first = group.start + _least(above[group], share // 2)
            negative[first] = np.inf
            second = group.start + _least(negative[group], share - len(first))
            chosen += [first, second]
        return np.sort(np.concatenate(chosen))

    def used_and_violating(self, found: Violation, count: int) -> np.ndarray:
        """All that are not zero, and at most `count` zeros that violate; ascending."""
        used, share = self.used, count // (2 * len(self.groups))
        chosen = [np.flatnonzero(used)]
        for group, least, greatest in zip(self.groups, found.least, found.greatest, strict=True):
            above, negative = self.above[group].copy(), -self.below[group]
            above[used[group] | (above >= greatest)] = np.inf
            negative[used[group] | (negative >= -least)] = np.inf
            first = _least(above, share)
            negative[first] = np.inf
            second = _least(negative, share)
            chosen += [group.start + first, group.start + second]
        return np.sort(np.concatenate(chosen))

    def beyond(self, found: Violation) -> np.ndarray:
        """Whether a coefficient can be in no pair that violates.  # shape: (k,)

        By half of the violation, for it moves yet.
        """
        out = np.zeros(len(self.places), bool)
        for group, least, greatest in zip(self.groups, found.least, found.greatest, strict=True):
            margin = 0.5 * max(greatest - least, 0.0)
            above, below = self.above[group], self.below[group]
            out[group] = (above > greatest + margin) & (below < least - margin)
        return out


class Progress:
    """How the violation fell, and how many coefficients were used, round after round."""

    def __init__(self) -> None:
        self._found: list[tuple[float, int]] = []
        self._slow = False

    def add(self, now: Candidates, violation: float) -> None:
        """Remember what a round begins with."""
        self._found.append((violation, int(np.count_nonzero(now.used))))

    def is_slow(self, tol: float) -> bool:
        """Whether many rounds are yet to come, by the last few; once they were, they stay."""
        if not self._slow and len(self._found) > LAST_ROUNDS:
            (before, used_before), (violation, used) = (
                self._found[-1 - LAST_ROUNDS],
                self._found[-1],
            )
            fall = np.log(before / violation) / LAST_ROUNDS
            yet = np.log(violation / tol)
            self._slow = bool(used <= GROWTH * used_before and yet > MANY_ROUNDS * fall)
        return self._slow


def candidates(
    problem: Problem, beta: np.ndarray, kernel_part: np.ndarray, active: np.ndarray | None
) -> Candidates:
    """The coefficients of the active rows, or of all.

    Parameters
    ----------
    problem : Problem
    beta : ndarray
        # shape: (m,)
    kernel_part : ndarray
        Kβ of the active rows.  # shape: (rows,)
    active : ndarray or None
        Rows in play, ascending; None: all.
    """
    n, copies = problem.n, len(beta) // problem.n
    if active is None:
        places = np.arange(n * copies)
    else:
        places = np.concatenate([active + n * copy for copy in range(copies)])
    beta = beta[places]
    below = np.tile(kernel_part, copies) + problem.linear[places]
    above = below.copy()
    if problem.kink:
        above += np.where(beta >= 0.0, problem.kink, -problem.kink)
        below += np.where(beta > 0.0, problem.kink, -problem.kink)
    above[beta >= problem.upper[places]] = np.inf
    below[beta <= problem.lower[places]] = -np.inf
    split = int(np.searchsorted(places, problem.split))
    groups = [slice(0, split), slice(split, len(places))]
    return Candidates(places, beta, above, below, groups[: 1 + problem.two_groups])


def _least(values: np.ndarray, count: int) -> np.ndarray:
    """Places of the least values, at most `count`, and none that is infinite."""
    count = min(count, len(values))
    if not count:
        return np.empty(0, np.intp)
    found = np.argpartition(values, count - 1)[:count]
    return found[np.isfinite(values[found])]
