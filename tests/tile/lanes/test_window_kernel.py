"""The micro-kernels of windows beside plain sums, for every size of micro-tile."""

import itertools

import numpy as np
import pytest

from fastkb.runtime import jit
from fastkb.tile.blocking import blocking
from fastkb.tile.lanes.window_kernel import (
    ACROSS,
    FROM_BASE,
    FROM_THERE,
    FROM_ZERO,
    heights,
    numbers_by_vectors,
    vectors_by_vectors,
)

RUNS, DEPTH = 2, 5


@jit(cache=False, references=False)
def _numbers(a, b, base, c, first, used, height, across, width, runs):
    numbers_by_vectors(
        a, 1, 1, 7 * height, height, b, 2 * width, 40 * width, 9 * width, width, runs, 5, first, base, 3,
        c, width, 2 * width, 20 * width, used, height, across,
    )  # fmt: skip


@jit(cache=False, references=False)
def _vectors(a, b, base, c, first, used, height, across, width, runs):
    vectors_by_vectors(
        a, width, width, 70 * width, 11 * width, b, 2 * width, 40 * width, 9 * width, width, runs, 5,
        first, base, 3, c, width, 2 * width, 20 * width, used, height, across,
    )  # fmt: skip


CASES = [
    (share, across, first)
    for share, across, first in itertools.product(
        range(3), range(1, ACROSS + 1), (FROM_ZERO, FROM_THERE, FROM_BASE)
    )
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("by_lanes", [False, True])
@pytest.mark.parametrize(("share", "across", "first"), CASES)
def test_sums_of_runs(dtype, by_lanes, share, across, first):
    if by_lanes and first == FROM_BASE:
        pytest.skip("sums by lanes start from zero, or from what is there")
    sizes = blocking(dtype)
    width, height = sizes.width, heights(sizes.mr)[share]
    rng = np.random.default_rng(0)
    a, b, base, c = (rng.standard_normal(k * width).astype(dtype) for k in (400, 200, 4, 100))
    before = c.copy()
    for runs, used in ((RUNS, height), (RUNS, 1), (0, height)):
        c[:] = before
        if by_lanes:
            _vectors(a, b, base, c, first, used, height, across, width, runs)
        else:
            _numbers(a, b, base, c, first, used, height, across, width, runs)
        expected = before.astype(float)
        for i, j in itertools.product(range(used), range(across)):
            at = width + 2 * i * width + 20 * j * width
            start = {FROM_ZERO: 0.0, FROM_THERE: expected[at : at + width], FROM_BASE: base[3 + i]}
            total = np.zeros(width) + start[first]
            for r, k in itertools.product(range(runs), range(DEPTH)):
                column = (2 + 40 * j + 9 * r + k) * width
                if by_lanes:
                    row = (1 + i + 70 * r + 11 * k) * width
                    left = a[row : row + width].astype(float)
                else:
                    left = float(a[1 + i + 7 * height * r + height * k])
                total += left * b[column : column + width]
            expected[at : at + width] = total
        np.testing.assert_allclose(c, expected, rtol=0, atol=200 * np.finfo(dtype).eps)
