"""Rows, blocks of threads and windows."""

import numpy as np
import pytest

from fastkb import schemes
from fastkb.bootstrap.evaluate.cuda import plan


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        (None, (20, 20, 1, 0, 20)),
        (schemes.MOutOfN(7), (20, 7, 1, 0, 7)),
        (schemes.MovingBlocks(6), (15, 3, 6, 2, 20)),
        (schemes.CircularBlocks(5), (20, 4, 5, 0, 20)),
    ],
    ids=repr,
)
def test_what_rows_are_made_of(scheme, expected):
    prepared = scheme and scheme.prepare([np.zeros(20)], False)
    rows = plan.rows_of(prepared, 20)
    assert rows[:5] == expected
    assert rows.draws * rows.length + rows.last == rows.size
    assert rows.runs == (rows.length > 1)
    assert not rows.runs or rows.order.max() == 19


def test_blocks_are_whole_warps_and_fit_without_being_asked_for():
    for sizes in plan.all_sizes():
        assert sizes.threads % 32 == 0
        assert sizes.threads & (sizes.threads - 1) == 0
        assert 4 * (sizes.window + 2 * sizes.threads + 8) <= 48 * 1024
    assert plan.sizes_for(1) == plan.all_sizes()[0]
    assert plan.sizes_for(2**31) == plan.all_sizes()[-1]


@pytest.mark.parametrize("size", [1, 2, 64, 1024, 1025, 10**6, 2**31 - 1])
@pytest.mark.parametrize("level", [0.0, 0.001, 0.5, 1.0])
def test_windows_are_within_the_ranks_and_hold_the_likeliest_one(size, level):
    sizes = plan.sizes_for(size)
    for ranks in {size, 2 * size}:
        target = int(level * (size - 1))
        low, width = plan.window_of(target, size, ranks, sizes)
        assert low >= 0
        assert 1 <= width <= sizes.window
        assert low + width <= ranks
        likely = 0.5 if size == 1 else target / (size - 1)
        assert low <= round(likely * (ranks - 1)) < low + width


def test_windows_are_as_wide_as_order_statistics_vary():
    rng = np.random.default_rng(0)
    n = 4000
    for level in (0.05, 0.5):
        target = int(level * n)
        low, width = plan.window_of(target, n, n, plan.sizes_for(n))
        found = np.sort(rng.integers(0, n, (2000, n)), axis=1)[:, target]
        assert (low <= found).all()
        assert (found < low + width).all()
        assert width < 15 * found.std() + 17
