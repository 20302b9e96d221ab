"""128-bit arithmetic against Python's integers."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from fastkb.random.wide import multiply_add_wide, multiply_words
from fastkb.runtime import jit

TOP = 2**64 - 1
EXTREMES = [0, 1, 2, 2**32 - 1, 2**32, 2**32 + 1, 2**63 - 1, 2**63, 2**63 + 1, TOP - 1, TOP]
words = st.sampled_from(EXTREMES) | st.integers(0, TOP)


@jit(cache=False)
def _multiply_words(a, b):
    return multiply_words(a, b)


@jit(cache=False)
def _multiply_add_wide(a, b, c):
    return multiply_add_wide(a[0], a[1], b[0], b[1], c[0], c[1])


def _pair(value):
    return np.array([value >> 64, value & TOP], np.uint64)


@given(words, words)
def test_products_of_words(a, b):
    high, low = _multiply_words(np.uint64(a), np.uint64(b))
    assert (int(high) << 64) + int(low) == a * b


@given(*[st.builds(lambda high, low: (high << 64) + low, words, words)] * 3)
@example(0, 0, 2**128 - 1)
@example(1, 2**64 - 1, 1)  # the carry between the words
@example(2**128 - 1, 2**128 - 1, 2**128 - 1)
def test_products_and_sums_wrap_around(a, b, c):
    high, low = _multiply_add_wide(_pair(a), _pair(b), _pair(c))
    assert (int(high) << 64) + int(low) == (a * b + c) % 2**128
