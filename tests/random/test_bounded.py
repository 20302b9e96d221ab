"""Numbers below bounds of their own: the stream's, uniform, and each row's by itself."""

import numba
import numpy as np
import pytest
from scipy import stats

from fastkb.random.bounded import bounded_rows
from fastkb.random.streams import key_from_rng
from fastkb.reference import streams as reference

KEY = key_from_rng(0)


def test_equal_bounds_give_the_packages_resamples():
    rows = bounded_rows(KEY, 3, 5, np.full(1000, 1000))
    expected = [reference.bootstrap_indices(KEY, 3 + r, 1000) for r in range(5)]
    np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 7, 31, 63, 64, 65, 66, 127, 128, 129, 150, 256, 400])
@pytest.mark.parametrize("kind", ["large", "small", "one large", "one small", "first large"])
def test_the_oracle(k, kind):
    """Of large bounds many words are rejected, of small ones hardly any."""
    highest = 2**32 if kind == "large" else 1000
    bounds = np.random.default_rng(k).integers(1, highest, k)
    if kind.startswith("one"):
        bounds[:] = 3 * 2**30 if kind == "one large" else 77
    if kind == "first large":  # a fill after a rejection begins with another number's bound
        bounds[:] = 77
        bounds[0] = 3 * 2**30
    for replicate in range(9, 9 + 35):
        words = iter(reference.words(KEY, replicate, 8 * k + 100).astype(object))
        expected = []
        for bound in bounds.tolist():
            product = next(words) * bound
            while product % 2**32 < 2**32 % bound:
                product = next(words) * bound
            expected.append(product >> 32)
        alone = bounded_rows(KEY, replicate, 1, bounds)[0]
        np.testing.assert_array_equal(alone, expected)
        np.testing.assert_array_equal(bounded_rows(KEY, 9, 35, bounds)[replicate - 9], expected)


def test_uniform():
    """A chi-square test for each of three bounds, together with a false-alarm rate of 1e-4."""
    bounds = np.array([2, 10, 101])
    rows = bounded_rows(KEY, 0, 20_000, bounds)
    for column, bound in zip(rows.T, bounds, strict=True):
        counts = np.bincount(column, minlength=bound)
        assert len(counts) == bound
        assert stats.chisquare(counts).pvalue > 1e-4 / 3


def test_threads_do_not_matter():
    bounds = np.arange(1, 300)
    many = bounded_rows(KEY, 0, 20, bounds)
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        np.testing.assert_array_equal(bounded_rows(KEY, 0, 20, bounds), many)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(bounded_rows(KEY, 7, 1, bounds)[0], many[7])


def test_several_keys():
    keys = np.array([key_from_rng(seed) for seed in range(5)])
    bounds = np.arange(1, 300)
    rows = bounded_rows(keys, 4, 3, bounds)
    assert rows.shape == (5, 3, 299)
    for key, mine in zip(keys, rows, strict=True):
        np.testing.assert_array_equal(mine, bounded_rows(key, 4, 3, bounds))
    np.testing.assert_array_equal(bounded_rows(keys[::2], 4, 3, bounds), rows[::2])


def test_nothing_to_draw():
    assert bounded_rows(KEY, 0, 0, np.array([3])).shape == (0, 1)
    assert bounded_rows(np.array([KEY, KEY]), 0, 0, np.array([3])).shape == (2, 0, 1)
    assert bounded_rows(np.zeros((0, 4), np.uint32), 0, 7, np.array([3])).shape == (0, 7, 1)
    assert bounded_rows(KEY, 0, 2, np.array([], int)).shape == (2, 0)


@pytest.mark.parametrize("count", [1, 40])
def test_numbers_that_are_places(count):
    key, bounds = key_from_rng(0), np.array([2, 2, 3, 3, 3])
    order = np.array([5, 3, 9, 1, 0], np.uint32)
    offsets = np.array([0, 0, 2, 2, 2], np.uint32)
    drawn = bounded_rows(key, 7, count, bounds)
    rows = bounded_rows(key, 7, count, bounds, places=(order, offsets))
    np.testing.assert_array_equal(rows, order[offsets + drawn])
    moved = bounded_rows(key, 7, count, bounds, places=(order[:0], offsets))
    np.testing.assert_array_equal(moved, offsets + drawn)
    alike = bounded_rows(key, 7, count, np.full(5, 3), places=(order, offsets))
    np.testing.assert_array_equal(
        alike, order[offsets + bounded_rows(key, 7, count, np.full(5, 3))]
    )
