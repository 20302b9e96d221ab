"""Indices below n from the words of NumPy's PCG64 and Philox generators, drawn by all threads.

Both generators can begin anywhere in their sequence of 64-bit words: PCG64 is a linear congruential
generator, whose state k steps on is Aₖ·state + Cₖ; Philox encrypts a counter. So the sequence is cut
into segments. NumPy takes the low half of a word, then the high half, and turns a 32-bit number u into
the index (u·n) >> 32 unless the low half of that product is below 2³² mod n (Lemire's method). Whether u
is rejected thus depends on u alone: every segment is drawn by itself, first its words and then, by vector
instructions, its indices. Few segments have a rejected one (about n of 2³² are); there the accepted ones
are moved together, and the gaps between segments are closed afterwards.

References
----------
O'Neill (2014), PCG: a family of simple fast space-efficient statistically good algorithms for random
number generation. Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as 1, 2, 3, SC'11.
Lemire (2019), Fast random integer generation in an interval, ACM TOMACS 29(1).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from fastkb.random.wide import multiply_add_wide, multiply_words
from fastkb.runtime import inline, jit, prange
from fastkb.runtime.stack import stack_array

# 64-bit words of a segment. The state's multiplication takes 6 cycles and the next one waits for it:
# four segments at a time keep the multiplier busy, and their words (16 KB) in the first-level cache.
SEGMENT = 512
_TOGETHER = 4
_FOUR_SEGMENTS = _TOGETHER * SEGMENT
_STEP = 2 * SEGMENT  # indices of a segment
_PHILOX_SEGMENT = SEGMENT + 4  # a segment may begin within a block of four words

_MASK_32 = 0xFFFFFFFF
_MASK_64 = 0xFFFFFFFFFFFFFFFF
_MASK_128 = (1 << 128) - 1

# PCG64: multiplier of the 128-bit state
PCG_MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645
_PCG_HIGH = np.uint64(PCG_MULTIPLIER >> 64)
_PCG_LOW = np.uint64(PCG_MULTIPLIER & _MASK_64)

# Philox4x64-10
_PHILOX_0, _PHILOX_1 = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_WEYL_0, _WEYL_1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)

_LOW = np.uint64(_MASK_32)
_HALF = np.uint64(32)
_TOP = np.uint64(58)
_ROTATION = np.uint64(63)
_WORD = np.uint64(64)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)


def pcg_advance(state: int, increment: int, steps: int) -> int:
    """The state `steps` words later."""
    multiplier, addend = _pcg_power(increment, steps)
    return (multiplier * state + addend) & _MASK_128


@lru_cache(maxsize=64)
def _pcg_power(increment: int, steps: int) -> tuple[int, int]:
    """A and C with state after `steps` words = A·state + C (modulo 2**128)."""
    total_a, total_c = 1, 0
    a, c = PCG_MULTIPLIER, increment
    while steps:
        if steps & 1:
            total_a, total_c = total_a * a & _MASK_128, (total_c * a + c) & _MASK_128
        a, c = a * a & _MASK_128, (c * a + c) & _MASK_128
        steps >>= 1
    return total_a, total_c


@lru_cache(maxsize=16)
def pcg_jumps(increment: int, segments: int) -> np.ndarray:
    """A and C, two words each, for jumps of 1, 2, 4, … segments; kept, as every block needs them.

    # shape: (levels, 4)
    """
    rows = []
    a, c = _pcg_power(increment, SEGMENT)
    for _ in range(max(1, segments.bit_length())):
        rows.append([a >> 64, a & _MASK_64, c >> 64, c & _MASK_64])
        a, c = a * a & _MASK_128, (c * a + c) & _MASK_128
    return np.array(rows, np.uint64)


def split_words(value: int) -> np.ndarray:
    """The high and the low word of a 128-bit number.  # shape: (2,)"""
    return np.array([value >> 64, value & _MASK_64], np.uint64)


@inline
def _pcg_next(high, low, increment):
    """The state one word later."""
    return multiply_add_wide(high, low, _PCG_HIGH, _PCG_LOW, increment[0], increment[1])


@inline
def _pcg_word(high, low):
    """The word of a state: its halves' exclusive or, rotated by its top six bits."""
    value = high ^ low
    places = high >> _TOP
    return (value >> places) | (value << ((_WORD - places) & _ROTATION))


@inline
def _pcg_at(state, jumps, segment):
    """The state before the first word of a segment."""
    high, low = state[0], state[1]
    level = 0
    while segment >> level:
        if (segment >> level) & 1:
            j = jumps[level]
            high, low = multiply_add_wide(high, low, j[0], j[1], j[2], j[3])
        level += 1
    return high, low


@inline
def _indices(words, bound, threshold, out):
    """Write the accepted indices of len(out) 32-bit numbers to `out`; how many they are."""
    numbers = len(out)
    rejected = 0
    for k in range(numbers // 2):
        low = (words[k] & _LOW) * bound
        high = (words[k] >> _HALF) * bound
        out[2 * k] = np.uint32(low >> _HALF)
        out[2 * k + 1] = np.uint32(high >> _HALF)
        rejected += ((low & _LOW) < threshold) + ((high & _LOW) < threshold)
    if numbers % 2:
        low = (words[numbers // 2] & _LOW) * bound
        out[numbers - 1] = np.uint32(low >> _HALF)
        rejected += (low & _LOW) < threshold
    if rejected == 0:
        return numbers
    place = 0
    for k in range(numbers):
        word = words[k // 2]
        product = (word >> _HALF if k % 2 else word & _LOW) * bound
        out[place] = np.uint32(product >> _HALF)
        place += (product & _LOW) >= threshold
    return place


@inline
def _pcg_segment(state, increment, jumps, segment, count, words):
    """The first `count` words of one segment."""
    high, low = _pcg_at(state, jumps, segment)
    for k in range(count):
        high, low = _pcg_next(high, low, increment)
        words[k] = _pcg_word(high, low)


@inline
def _pcg_four_segments(state, increment, jumps, segment, words):
    """All words of four segments, drawn in turn."""
    h0, l0 = _pcg_at(state, jumps, segment)
    h1, l1 = _pcg_at(state, jumps, segment + 1)
    h2, l2 = _pcg_at(state, jumps, segment + 2)
    h3, l3 = _pcg_at(state, jumps, segment + 3)
    for k in range(SEGMENT):
        h0, l0 = _pcg_next(h0, l0, increment)
        h1, l1 = _pcg_next(h1, l1, increment)
        h2, l2 = _pcg_next(h2, l2, increment)
        h3, l3 = _pcg_next(h3, l3, increment)
        words[k] = _pcg_word(h0, l0)
        words[SEGMENT + k] = _pcg_word(h1, l1)
        words[2 * SEGMENT + k] = _pcg_word(h2, l2)
        words[3 * SEGMENT + k] = _pcg_word(h3, l3)


@jit(parallel=True)
def pcg_indices(state, increment, jumps, bound, threshold, out, counts):
    """Turn the next len(out) 32-bit numbers into indices, segment by segment.

    Parameters
    ----------
    state, increment : array of uint64
        Of the generator.  # shape: (2,)
    jumps : array of uint64
        From :func:`pcg_jumps`.  # shape: (levels, 4)
    bound, threshold : uint64
        n, and 2³² mod n.
    out : array of uint32
        The accepted indices of segment s stand from out[2·SEGMENT·s] on.
    counts : array of int64
        How many they are.  # shape: (segments,)
    """
    segments = len(counts)
    for group in prange((segments + _TOGETHER - 1) // _TOGETHER):
        words = stack_array(_FOUR_SEGMENTS, state)
        first = group * _TOGETHER
        last = min(first + _TOGETHER, segments)
        whole = last * _STEP <= len(out) and last == first + _TOGETHER
        if whole:
            _pcg_four_segments(state, increment, jumps, first, words)
        for segment in range(first, last):
            mine = words[(segment - first) * SEGMENT : (segment - first + 1) * SEGMENT]
            target = out[segment * _STEP : min((segment + 1) * _STEP, len(out))]
            if not whole:
                count = (len(target) + 1) // 2
                _pcg_segment(state, increment, jumps, segment, count, mine)
            counts[segment] = _indices(mine, bound, threshold, target)


@inline
def _philox_block(c0, c1, c2, c3, key):
    """The four words of one counter."""
    k0, k1 = key[0], key[1]
    for _ in range(10):
        high_0, low_0 = multiply_words(_PHILOX_0, c0)
        high_1, low_1 = multiply_words(_PHILOX_1, c2)
        c0, c1, c2, c3 = high_1 ^ c1 ^ k0, low_1, high_0 ^ c3 ^ k1, low_0
        k0 = k0 + _WEYL_0
        k1 = k1 + _WEYL_1
    return c0, c1, c2, c3


@inline
def _philox_at(counter, key, block):
    """The four words of the counter `block` steps on, with carry."""
    c0 = counter[0] + np.uint64(block)
    carry = _ONE if c0 < counter[0] else _ZERO
    c1 = counter[1] + carry
    carry = _ONE if c1 < carry else _ZERO
    c2 = counter[2] + carry
    carry = _ONE if c2 < carry else _ZERO
    return _philox_block(c0, c1, c2, counter[3] + carry, key)


@jit(parallel=True)
def philox_indices(counter, key, skip, bound, threshold, out, counts):
    """:func:`pcg_indices` for Philox4x64-10.

    Parameters
    ----------
    counter, key : array of uint64
        # shapes: (4,), (2,)
    skip : int
        Words of the first counter that are used up already, from 0 to 4.
    bound, threshold, out, counts
        As there.
    """
    for segment in prange(len(counts)):
        words = stack_array(_PHILOX_SEGMENT, counter)
        target = out[segment * _STEP : min((segment + 1) * _STEP, len(out))]
        begin = skip + segment * SEGMENT
        lead = begin % 4  # words of the first block that belong to the segment before
        for block in range((lead + (len(target) + 1) // 2 + 3) // 4):
            w0, w1, w2, w3 = _philox_at(counter, key, begin // 4 + block)
            words[4 * block] = w0
            words[4 * block + 1] = w1
            words[4 * block + 2] = w2
            words[4 * block + 3] = w3
        counts[segment] = _indices(words[lead:], bound, threshold, target)


@inline
def _copy(source, target, count):
    for k in range(count):
        target[k] = source[k]


@jit(parallel=True)
def close_gaps(indices, counts, starts, saved):
    """Move each segment's accepted indices to indices[starts[segment]:], where they leave no gap.

    Every thread moves one part, in ascending order. The end of a part may be overwritten by the thread
    that has the next one: it is saved before.

    Parameters
    ----------
    indices : array of uint32
        Those of segment s stand from indices[2·SEGMENT·s] on.
    counts, starts : array of int64
        How many they are, and the sum of the counts before.  # shape: (segments,)
    saved : array of uint32
        Uninitialised; `ends` segments hold more indices than are missing in all.
        # shape: (workers, ends, 2·SEGMENT)
    """
    segments, (workers, ends, step) = len(counts), saved.shape
    for worker in prange(workers):
        first, last = segments * worker // workers, segments * (worker + 1) // workers
        for segment in range(max(first, last - ends), last):
            _copy(indices[segment * step :], saved[worker, last - 1 - segment], counts[segment])
    for worker in prange(workers):
        room = stack_array(_STEP, indices)
        first, last = segments * worker // workers, segments * (worker + 1) // workers
        for segment in range(first, last):
            count, target = counts[segment], indices[starts[segment] :]
            if segment >= last - ends:
                _copy(saved[worker, last - 1 - segment], target, count)
            elif starts[segment] < segment * step:
                # Copied twice, since vector instructions do not move places that overlap.
                _copy(indices[segment * step :], room, count)
                _copy(room, target, count)
