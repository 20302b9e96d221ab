"""Resamples of many series, each with draws of its own, in blocks that hold several series."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NamedTuple

import numpy as np

from fastkb.random.bounded import bounded_rows
from fastkb.resample.index_blocks import row_blocks
from fastkb.resample.row_schemes import IndexScheme, RunScheme, SingleRows
from fastkb.resample.scheme import Scheme


class MemberBlock(NamedTuple):
    """Some replicates' resamples of some series."""

    members: slice  # which series
    places: slice  # which replicates of each
    # Which of these resamples, counted series by series, the rows are: all of them in turn, or others
    # where resamples differ in length.
    some: slice | np.ndarray
    rows: Any  # as those of a Block

    def of(self) -> np.ndarray:
        """The series of each row.  # shape: (rows,)"""
        count = self.places.stop - self.places.start
        members = np.arange(self.members.start, self.members.stop)
        return np.repeat(members, count)[self.some]

    def store(self, values: np.ndarray, out: np.ndarray) -> None:
        """Put the rows' values in their places.

        # shapes: (…, rows), (…, series, replicates)
        """
        count = self.places.stop - self.places.start
        if isinstance(self.some, slice):
            shape = (*values.shape[:-1], self.members.stop - self.members.start, count)
            out[..., self.members, self.places] = values.reshape(shape)
        else:
            members = self.members.start + self.some // count
            out[..., members, self.places.start + self.some % count] = values


_ALL = slice(None)


def member_blocks(
    scheme: Scheme, keys: np.ndarray, n_resamples: int, largest: int, as_runs: bool
) -> Generator[MemberBlock, None, None]:
    """All replicates of every series, a series' from its own key.

    Parameters
    ----------
    scheme : Scheme
        Prepared, for all series alike: one that draws rows.
    keys : ndarray of uint32
        # shape: (series, 4)
    n_resamples : int
        Of each series.
    largest : int
        Numbers that are drawn at a time, roughly.
    as_runs : bool
        Whether a :class:`RunScheme`'s runs are wanted as they are.
    """
    each, draw = _draw_of(scheme, as_runs)
    together = max(1, largest // max(1, each))  # resamples of a block
    places = min(together, n_resamples)
    members = max(1, together // n_resamples)
    buffer = np.empty(members * places * each, np.uint32)
    for start in range(0, len(keys), members):
        some = slice(start, min(start + members, len(keys)))
        for first in range(0, n_resamples, places):
            part = slice(first, min(first + places, n_resamples))
            rows = draw(keys[some], first, part.stop - first, buffer)
            if isinstance(scheme, RunScheme) and not as_runs:
                rows = scheme.indices(rows)
            if as_runs or isinstance(scheme, SingleRows):
                yield MemberBlock(some, part, _ALL, rows)
            elif isinstance(rows, np.ndarray):
                yield MemberBlock(some, part, _ALL, [np.ascontiguousarray(rows, np.uint32)])
            else:
                for block in row_blocks(rows, largest):
                    yield MemberBlock(some, part, np.asarray(block.places), block.rows)


_Draw = Callable[[np.ndarray, int, int, np.ndarray], Any]


def _draw_of(scheme: Scheme, as_runs: bool) -> tuple[int, _Draw]:
    """How many numbers a resample takes, and what draws them: of keys, first, count, buffer."""
    if isinstance(scheme, SingleRows):
        return sum(scheme.lengths), scheme.rows
    if isinstance(scheme, RunScheme):
        runs = scheme.runs
        each = scheme.most if as_runs else scheme.n
        return each, lambda keys, first, count, _: runs(keys, first, count)
    if not isinstance(scheme, IndexScheme):
        raise TypeError(f"{type(scheme).__name__} draws no rows")
    bounds, rows, where = scheme.bounds(), scheme.rows, scheme.places

    def draw(keys: np.ndarray, first: int, count: int, buffer: np.ndarray) -> Any:
        drawn = bounded_rows(keys, first, count, bounds, buffer, where)
        return rows(drawn.reshape(-1, len(bounds)))

    return len(bounds), draw
