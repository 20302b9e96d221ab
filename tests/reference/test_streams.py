"""The oracle of the streams, against published answers and NumPy's own Philox."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.reference import streams

# Known answers of philox4x32-10 (Random123's kat_vectors): counter, key, output.
KNOWN = [
    (
        (0, 0, 0, 0),
        (0, 0),
        (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
    ),
    (
        (0xFFFFFFFF,) * 4,
        (0xFFFFFFFF,) * 2,
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def philox_of_any_width(counter, key, bits):
    """The same generator in Python's integers, for words of 32 or 64 bits."""
    multipliers, steps = {
        32: ((0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85)),
        64: (
            (0xD2E7470EE14C6C93, 0xCA5A826395121157),
            (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B),
        ),
    }[bits]
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = multipliers[0] * c[0], multipliers[1] * c[2]
        c = [(p1 >> bits) ^ c[1] ^ k[0], p1 % 2**bits, (p0 >> bits) ^ c[3] ^ k[1], p0 % 2**bits]
        k = [(k[i] + steps[i]) % 2**bits for i in range(2)]
    return c


@pytest.mark.parametrize(("counter", "key", "output"), KNOWN)
def test_known_answers(counter, key, output):
    assert tuple(int(w) for w in streams.philox(np.array(counter), key)) == output


@given(st.tuples(*[st.integers(0, 2**32 - 1)] * 4), st.tuples(*[st.integers(0, 2**32 - 1)] * 2))
def test_same_structure_as_the_integer_form(counter, key):
    assert [int(w) for w in streams.philox(np.array(counter), key)] == philox_of_any_width(
        counter, key, 32
    )


@given(st.tuples(*[st.integers(0, 2**64 - 1)] * 4), st.tuples(*[st.integers(0, 2**64 - 1)] * 2))
def test_integer_form_is_numpys_philox_at_64_bits(counter, key):
    # NumPy's generator steps its counter (the first word is the lowest) before it computes.
    whole = sum(word << (64 * i) for i, word in enumerate(counter))
    before = (whole - 1) % 2**256
    generator = np.random.Philox(counter=before, key=key[0] | key[1] << 64)
    drawn = [int(w) for w in generator.random_raw(4)]
    assert drawn == philox_of_any_width(counter, key, 64)


def test_bounded_rejects_what_would_be_uneven():
    # n = 3: 2³² mod 3 = 1, so the one product with low half 0 goes.
    np.testing.assert_array_equal(streams.bounded(np.array([0, 1, 2**31, 2**32 - 1]), 3), [0, 1, 2])


@given(st.integers(2**20, 2**31 - 1), st.data())
def test_bounded_is_exactly_uniform(n, data):
    # Each value must come from the same number of the 2³² words: count those of one value.
    k = data.draw(st.integers(0, n - 1))
    around = np.arange(max(0, k * 2**32 // n - 2), min(2**32, (k + 1) * 2**32 // n + 3))
    assert np.count_nonzero(streams.bounded(around, n) == k) == 2**32 // n


def test_words_are_addressable():
    key = np.array([1, 2, 3, 4], np.uint32)
    np.testing.assert_array_equal(streams.words(key, 5, 7), streams.words(key, 5, 12)[:7])
    assert (streams.words(key, 5, 8) != streams.words(key, 6, 8)).all()


def test_indices_and_counts_agree():
    key = np.array([1, 2, 3, 4], np.uint32)
    indices = streams.bootstrap_indices(key, 0, 20)
    np.testing.assert_array_equal(
        np.bincount(indices, minlength=20), streams.bootstrap_counts(key, 0, 20)
    )
