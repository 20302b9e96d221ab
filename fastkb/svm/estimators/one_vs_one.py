"""A classifier of k classes as k(k-1)/2 problems of two, laid out as scikit-learn lays them out.

Support vectors stand class after class. Of the problem of classes i < j, in which i is positive, row j-1
of the coefficients holds those of class i, and row i those of class j.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np


def class_pairs(n_classes: int) -> list[tuple[int, int]]:
    """All pairs of classes, in the order of problems and intercepts."""
    return list(combinations(range(n_classes), 2))


class Layout:
    """Which rows support which class, and their coefficients in all problems."""

    def __init__(self, rows_of: list[np.ndarray]) -> None:
        """`rows_of` are the rows of each class that take part, ascending."""
        self._rows_of = rows_of
        k = len(rows_of)
        self._found = [np.zeros((k - 1, len(rows))) for rows in rows_of]

    def set(self, pair: tuple[int, int], coefficients: np.ndarray) -> None:
        """The coefficients of a pair's rows: those of the first class, then those of the second."""
        i, j = pair
        split = len(self._rows_of[i])
        self._found[i][j - 1] = coefficients[:split]
        self._found[j][i] = coefficients[split:]

    def support(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows that support any problem, how many there are of each class, and their coefficients.

        # shapes: (s,), (k,), (k - 1, s)
        """
        masks = [found.any(axis=0) for found in self._found]
        rows = [rows[mask] for rows, mask in zip(self._rows_of, masks, strict=True)]
        parts = [found[:, mask] for found, mask in zip(self._found, masks, strict=True)]
        counts = np.array([len(part) for part in rows], np.int32)
        return np.concatenate(rows), counts, np.concatenate(parts, axis=1)


def segments(counts: np.ndarray) -> list[slice]:
    """Where each class's support vectors stand."""
    ends = np.cumsum(counts)
    return [slice(int(end - count), int(end)) for end, count in zip(ends, counts, strict=True)]


def terms(counts: np.ndarray) -> Iterator[tuple[tuple[slice, int], tuple[slice, int]]]:
    """For each problem: the support vectors of both its classes, and their row of coefficients."""
    places = segments(counts)
    for i, j in class_pairs(len(counts)):
        yield (places[i], j - 1), (places[j], i)


def votes(values: np.ndarray, n_classes: int) -> np.ndarray:
    """How many problems each point's value decides for each class.  # shape: (n, k)"""
    count = np.zeros((len(values), n_classes))
    for column, (i, j) in enumerate(class_pairs(n_classes)):
        first = values[:, column] > 0.0
        count[:, i] += first
        count[:, j] += ~first
    return count


def one_vs_rest(values: np.ndarray, n_classes: int) -> np.ndarray:
    """Votes, with the sums of values for and against a class as a fraction.  # shape: (n, k)

    A fraction is less than a third, so it only decides between classes of as many votes.
    """
    sums = np.zeros((len(values), n_classes))
    for column, (i, j) in enumerate(class_pairs(n_classes)):
        sums[:, i] += values[:, column]
        sums[:, j] -= values[:, column]
    # A value of exactly zero is a vote for the first class here, as it is with scikit-learn.
    count = votes(np.where(values == 0.0, 1.0, values), n_classes)
    return count + sums / (3.0 * (np.abs(sums) + 1.0))
