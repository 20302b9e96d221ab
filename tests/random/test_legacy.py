"""Orders of RandomState: NumPy's, to the last one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.random.legacy import Orders


def expected(random, order, count):
    found = []
    for _ in range(count):
        order = order[random.permutation(len(order))]
        found.append(order)
    return np.array(found)


# Around powers of two, where fewer bits are drawn; and around the 624 words of a state.
SIZES = [1, 2, 3, 4, 5, 8, 9, 64, 65, 66, 500, 623, 624, 625, 1024, 1025, 1797, 70_000]


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("own", [False, True])
def test_they_are_numpys(n, own):
    start = np.arange(n)[::-1] * 3
    for seed in (0, 1, 2**32 - 1):
        random, other = np.random.RandomState(seed), np.random.RandomState(seed)
        for each in (random, other):  # somewhere within the state's words, with a number in store
            each.uniform(size=seed % 1000)
            each.normal()
        orders = Orders(random, start, own=own)
        found = np.concatenate([orders.next(1), orders.next(3), orders.next(2)])
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, expected(other, start, 6))


@settings(max_examples=60)
@given(n=st.integers(1, 3000), seed=st.integers(0, 2**32 - 1), counts=st.lists(st.integers(1, 4)))
def test_it_does_not_matter_how_many_at_a_time(n, seed, counts):
    whole = expected(np.random.RandomState(seed), np.arange(n), sum(counts))
    orders = Orders(np.random.RandomState(seed), np.arange(n), own=True)
    begin = 0
    for count in counts:
        np.testing.assert_array_equal(orders.next(count), whole[begin : begin + count])
        begin += count


def test_whose_generator_it_is():
    mine, anothers = np.random.RandomState(5), np.random.RandomState(5)
    Orders(mine, np.arange(10), own=True).next(3)
    Orders(anothers, np.arange(10), own=False).next(3)
    np.testing.assert_array_equal(mine.uniform(size=3), np.random.RandomState(5).uniform(size=3))
    fresh = np.random.RandomState(5)
    expected(fresh, np.arange(10), 3)
    np.testing.assert_array_equal(anothers.uniform(size=3), fresh.uniform(size=3))


def test_another_generator_under_a_random_state():
    generators = [np.random.RandomState(np.random.PCG64(3)) for _ in range(2)]
    found = Orders(generators[0], np.arange(40), own=True).next(4)
    np.testing.assert_array_equal(found, expected(generators[1], np.arange(40), 4))


def test_what_was_given_out_stays():
    start = np.arange(20)
    start.flags.writeable = False
    orders = Orders(np.random.RandomState(0), start, own=True)
    first = orders.next(2)
    before = first.copy()
    orders.next(3)
    np.testing.assert_array_equal(first, before)
    first[:] = 0
    again = Orders(np.random.RandomState(0), start, own=True)
    again.next(5)
    np.testing.assert_array_equal(orders.next(1), again.next(1))
