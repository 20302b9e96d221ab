"""Random orders: permutations, addressable, all equally likely."""

import itertools

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fastkb.random.bounded import bounded_rows
from fastkb.random.orders import partial_shuffles, permutations
from fastkb.random.streams import key_from_rng
from fastkb.reference import streams as reference

KEY = key_from_rng(0)


@pytest.mark.parametrize("n", [1, 2, 3, 31, 32, 33, 127, 128, 129, 1000])
def test_every_row_is_an_order(n):
    orders = permutations(KEY, 0, 7, n)
    assert orders.shape == (7, n)
    assert orders.dtype == np.int64
    assert orders.flags.c_contiguous
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.tile(np.arange(n), (7, 1)))


@settings(max_examples=50)
@given(
    n=st.integers(1, 300),
    first=st.integers(0, 2**31),
    count=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_a_row_depends_on_its_replicate_alone(n, first, count, seed):
    key = key_from_rng(seed)
    orders = permutations(key, first, count, n)
    for r in {0, count // 2, count - 1}:
        np.testing.assert_array_equal(permutations(key, first + r, 1, n)[0], orders[r])


def test_several_keys():
    keys = np.array([key_from_rng(seed) for seed in range(5)])
    orders = permutations(keys, 4, 3, 30)
    assert orders.shape == (5, 3, 30)
    for key, mine in zip(keys, orders, strict=True):
        np.testing.assert_array_equal(mine, permutations(key, 4, 3, 30))


@pytest.mark.parametrize("n", [1, 2, 5, 40, 128, 200])
def test_the_textbook_shuffle_of_the_streams_words(n):
    """Element k is exchanged with one of itself and those behind it (Lemire's rejection)."""
    words = iter(reference.words(KEY, 11, 4 * n + 100).astype(object))
    expected = list(range(n))
    for k in range(n):
        left = n - k
        product = next(words) * left
        while product % 2**32 < 2**32 % left:
            product = next(words) * left
        other = k + (product >> 32)
        expected[k], expected[other] = expected[other], expected[k]
    assert permutations(KEY, 11, 1, n)[0].tolist() == expected


def test_threads_do_not_matter():
    many = permutations(KEY, 5, 40, 333)
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        np.testing.assert_array_equal(permutations(KEY, 5, 40, 333), many)
    finally:
        numba.set_num_threads(before)


def test_all_orders_of_four_are_equally_likely():
    """A chi-square test over the 24 orders, with a false-alarm rate of 1e-4."""
    orders = permutations(KEY, 0, 48_000, 4)
    place = {order: k for k, order in enumerate(itertools.permutations(range(4)))}
    counts = np.bincount([place[tuple(order)] for order in orders.tolist()], minlength=24)
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-4


def test_every_thing_stands_everywhere_equally_often():
    """Chi-square over things and places of 50, (50 - 1)² degrees of freedom; false alarms: 1e-4."""
    n, count = 50, 20_000
    orders = permutations(KEY, 0, count, n)
    counts = np.zeros((n, n))
    for place in range(n):
        counts[place] = np.bincount(orders[:, place], minlength=n)
    statistic = ((counts - count / n) ** 2).sum() / (count / n)
    # Rows and columns have fixed sums, and a permutation matrix's covariance is n/(n - 1) times that
    # of independent draws: scaled by (n - 1)/n the statistic is chi-square.
    assert stats.chi2.sf(statistic * (n - 1) / n, (n - 1) ** 2) > 1e-4


def test_other_seeds_and_replicates_give_other_orders():
    orders = [permutations(key_from_rng(seed), 0, 50, 30) for seed in (0, 1)]
    rows = {tuple(order) for order in np.concatenate(orders).tolist()}
    assert len(rows) == 100  # two alike: once in 10²⁸ test runs


def test_nothing_to_order():
    assert permutations(KEY, 0, 0, 5).shape == (0, 5)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (5, 5), (5, 2), (1000, 40), (70_000, 300)])
def test_the_first_places_of_a_shuffle(n, m):
    drawn = bounded_rows(KEY, 0, 9, n - np.arange(m))
    expected = []
    for row in drawn.tolist():
        order = list(range(n))
        for k, step in enumerate(row):
            order[k], order[k + step] = order[k + step], order[k]
        expected.append(order[:m])
    np.testing.assert_array_equal(partial_shuffles(drawn, n), expected)
