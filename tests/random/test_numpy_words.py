"""Words and indices of PCG64 and Philox, segment by segment, against NumPy's words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.random.numpy_words import (
    SEGMENT,
    close_gaps,
    pcg_advance,
    pcg_indices,
    pcg_jumps,
    philox_indices,
    split_words,
)

NUMBERS = 2 * SEGMENT  # 32-bit numbers of a segment
BOUNDS = [2, 1000, 2**31 + 1, 3 * 10**9, 2**32 - 1]
wide = st.integers(0, 2**128 - 1)
increments = wide.map(lambda value: value | 1)
# Around one segment, around the four that are drawn in turn, and several of those.
lengths = st.sampled_from([1, 2, 3, *(k * NUMBERS + d for k in (1, 4, 9) for d in (-1, 0, 1))])


def _pcg(state, increment):
    generator = np.random.PCG64()
    inner = {"state": state, "inc": increment}
    generator.state = {**generator.state, "state": inner, "has_uint32": 0, "uinteger": 0}
    return generator


def _segments(words, length, bound):
    """The accepted indices of each segment, from 64-bit words."""
    numbers = np.stack([words & np.uint64(2**32 - 1), words >> np.uint64(32)], axis=1).ravel()
    for start in range(0, length, NUMBERS):
        products = [int(u) * bound for u in numbers[start : min(start + NUMBERS, length)]]
        yield [p >> 32 for p in products if p % 2**32 >= 2**32 % bound]


def _check_segments(out, counts, words, bound):
    expected = list(_segments(words, len(out), bound))
    np.testing.assert_array_equal(counts, [len(segment) for segment in expected])
    for s, segment in enumerate(expected):
        np.testing.assert_array_equal(out[s * NUMBERS :][: len(segment)], segment)


def _targets(length):
    return np.empty(length, np.uint32), np.empty(-(-length // NUMBERS), np.int64)


@given(wide, increments, st.integers(0, 300) | wide)
def test_pcg_advance_is_numpys(state, increment, steps):
    expected = _pcg(state, increment).advance(steps).state["state"]["state"]
    assert pcg_advance(state, increment, steps) == expected


@given(wide, increments, st.integers(1, 200))
def test_pcg_jumps_pass_over_powers_of_two_segments(state, increment, segments):
    jumps = pcg_jumps(increment, segments)
    assert jumps.dtype == np.uint64
    assert 2 ** len(jumps) >= segments  # all bits of the last segment's number
    for level, (a_high, a_low, c_high, c_low) in enumerate(jumps.tolist()):
        moved = ((a_high << 64) + a_low) * state + (c_high << 64) + c_low
        assert moved % 2**128 == pcg_advance(state, increment, SEGMENT * 2**level)


@given(wide)
def test_split_words(value):
    high, low = split_words(value).tolist()
    assert (high << 64) + low == value


@given(wide, increments, lengths, st.sampled_from(BOUNDS))
def test_pcg_indices(state, increment, length, bound):
    out, counts = _targets(length)
    jumps, threshold = pcg_jumps(increment, len(counts)), np.uint64(2**32 % bound)
    words = _pcg(state, increment).random_raw((length + 1) // 2)
    state, increment = split_words(state), split_words(increment)
    pcg_indices(state, increment, jumps, np.uint64(bound), threshold, out, counts)
    _check_segments(out, counts, words, bound)


# Counters whose carry reaches the second, third, fourth word and beyond within a few blocks.
counters = st.sampled_from([2**64, 2**128, 2**192, 2**256]).map(lambda c: c - 3)


@given(counters | st.integers(1, 2**256 - 1), wide, st.integers(0, 3), lengths)
def test_philox_indices(counter, key, skip, length):
    bound = BOUNDS[length % len(BOUNDS)]
    out, counts = _targets(length)
    generator = np.random.Philox(key=key, counter=counter - 1)  # it counts, then draws
    words = generator.random_raw(skip + (length + 1) // 2)[skip:]
    split = np.array([counter >> 64 * k & 2**64 - 1 for k in range(4)], np.uint64)
    arguments = split, generator.state["state"]["key"], skip
    philox_indices(*arguments, np.uint64(bound), np.uint64(2**32 % bound), out, counts)
    _check_segments(out, counts, words, bound)


@pytest.mark.parametrize("segments", [1, 2, 3, 50])
@pytest.mark.parametrize("workers", [1, 2, 7])
@pytest.mark.parametrize("missing", ["one", "few", "whole segments", "nearly all"])
def test_close_gaps(segments, workers, missing):
    rng = np.random.default_rng(segments)
    indices = rng.integers(0, 2**31, segments * NUMBERS, dtype=np.uint32)
    counts = np.full(segments, NUMBERS)
    if missing == "one":
        counts[segments // 3] -= 1
    elif missing == "few":
        counts -= rng.integers(0, 20, segments)
    else:
        counts[rng.uniform(size=segments) < (0.3 if missing == "whole segments" else 0.95)] = 0
        counts[-1] = 100
    kept = np.concatenate([indices[s * NUMBERS :][:c] for s, c in enumerate(counts)])
    gaps = len(indices) - len(kept)
    saved = np.empty((workers, gaps // NUMBERS + 1, NUMBERS), np.uint32)
    close_gaps(indices, counts, np.cumsum(counts) - counts, saved)
    np.testing.assert_array_equal(indices[: len(kept)], kept)
