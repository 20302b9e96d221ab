"""Random indices on a device: NumPy's PCG64 and Philox, and this package's own streams, to the bit.

A generator is seen as a sequence of 32-bit *numbers* that stand at *places* 0, 1, 2, …, a few of them
(its *unit*) made at a time::

    EVERY    1   no numbers: place k is the index k
    GIVEN    8   no numbers: indices that were drawn on the CPU, eight of them in a row of a table
    PCG64    2   the halves of one 64-bit word, the low one first
    PHILOX   8   those of the four words of one counter (Philox4x64-10)
    OWN      4   the words of one counter (Philox4x32-10), of one replicate

Any unit is reached without those before it. A thread *seeks* its first unit, and from there *hops* a
power of two of units at a time, so that the threads of a block draw from one stretch side by side: of
PCG64, a hop is one multiplication by a number that a table holds.

A number u becomes the index (u·n) >> 32, unless the low half of that product is below 2³² mod n (Lemire's
method): then it is *rejected*, and the next one counts. Where the rows of NumPy's one sequence then begin
is found in `cuda_rows.py`.

What the words of :mod:`fastkb.random.numpy_words` do with 128-bit integers of the processor is done
here with the high and the low half of a 64-bit product. The simulator computes with Python's integers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from fastkb.random import numpy_words, streams
from fastkb.random.numpy_indices import Origin
from fastkb.random.numpy_words import PCG_MULTIPLIER
from fastkb.runtime import cuda as runtime
from fastkb.scalar.source import rebind

cuda = runtime.module()

_SIMULATED = runtime.simulated()
# A 64-bit word in arithmetic: in the simulator NumPy's would warn where they wrap around.
word: Any = int if _SIMULATED else np.uint64
index = np.uint64  # see fastkb.tile.cuda

_MASK_64 = 2**64 - 1
_MASK_128 = 2**128 - 1
_LEVELS = 62  # of hops: places are below 2**62


class Source(IntEnum):
    """What the numbers come from."""

    EVERY = 0
    PCG64 = 1
    PHILOX = 2
    OWN = 3
    GIVEN = 4


UNIT = {Source.EVERY: 1, Source.GIVEN: 8, Source.PCG64: 2, Source.PHILOX: 8, Source.OWN: 4}


# Their numbers are indices already.
_INDICES = (Source.EVERY, Source.GIVEN)


class Stream(NamedTuple):
    """A generator's sequence, from its first place on."""

    source: Source
    table: np.ndarray  # its state, and what hops multiply with.   shape: (rows, 4), uint64
    begin: int  # the place of the first number that is to be drawn
    kept_place: int  # of a number that NumPy had kept; -1: none
    kept: int  # that number


class Numbers(NamedTuple):
    """How numbers become indices below `bound` (all whole numbers)."""

    bound: int
    threshold: int  # 2**32 mod bound
    kept_place: int
    kept: int


def numpy_stream(origin: Origin) -> Stream:
    """The sequence of one of NumPy's generators, from where it is (:meth:`IndexStream.origin`)."""
    table = np.array(origin.words, np.uint64).reshape(-1, 4)
    source = Source.PHILOX
    if origin.name == "PCG64":
        source = Source.PCG64
        hops = np.array(_hops(origin.words[2], origin.words[3]), np.uint64)
        table = np.concatenate([table, hops])
    return Stream(source, table, origin.begin, origin.begin if origin.has_kept else -1, origin.kept)


def own_stream(key: np.ndarray) -> Stream:
    """The streams that a key names; every replicate begins at place 0."""
    return Stream(Source.OWN, np.ascontiguousarray(key, np.uint64)[None], 0, -1, 0)


def every() -> Stream:
    """No random numbers: each index once, in ascending order."""
    return Stream(Source.EVERY, np.zeros((1, 4), np.uint64), 0, -1, 0)


def given(indices: np.ndarray) -> Stream:
    """Indices that are there already, of uint32, one after another."""
    table = np.zeros((-(-indices.size // 8), 4), np.uint64)
    table.view(np.uint32).ravel()[: indices.size] = indices.ravel()
    return Stream(Source.GIVEN, table, 0, -1, 0)


def numbers_of(stream: Stream, bound: int) -> Numbers:
    """How the stream's numbers become indices below `bound`, which is from 2 to 2**31 - 1."""
    threshold = 0 if stream.source in _INDICES else 2**32 % bound
    return Numbers(bound, threshold, stream.kept_place, stream.kept)


@functools.lru_cache(maxsize=16)
def _hops(high: int, low: int) -> list[tuple[int, int, int, int]]:
    """Multiplier and addend of PCG64's state for hops of 1, 2, 4, … words."""
    a, c = PCG_MULTIPLIER, high << 64 | low
    rows = []
    for _ in range(_LEVELS):
        rows.append((a >> 64, a & _MASK_64, c >> 64, c & _MASK_64))
        a, c = a * a & _MASK_128, (c * a + c) & _MASK_128
    return rows


# --- words ----------------------------------------------------------------------------------------


class Words(NamedTuple):
    """Arithmetic with 64-bit words that wraps around."""

    product: Callable  # the high and the low word of a·b
    times: Callable  # the low word of a·b
    plus: Callable  # a + b
    left: Callable  # a shifted by b places


@functools.cache
def words() -> Words:
    """On the device by its own instructions, in the simulator by Python's integers."""
    if _SIMULATED:
        return Words(
            lambda a, b: (a * b >> 64, a * b & _MASK_64),
            lambda a, b: a * b & _MASK_64,
            lambda a, b: (a + b) & _MASK_64,
            lambda a, b: a << b & _MASK_64,
        )
    high_word = cuda.libdevice.umul64hi  # typed as signed: the bits are those of unsigned words

    def product(a, b):
        return np.uint64(high_word(np.int64(a), np.int64(b))), a * b

    return Words(
        runtime.device(product),
        runtime.device(lambda a, b: a * b),
        runtime.device(lambda a, b: a + b),
        runtime.device(lambda a, b: a << b),
    )


class Draws(NamedTuple):
    """Device functions of one source; a *cursor* is a pair of words."""

    seek: Callable  # (table, replicate, unit) -> the cursor of a unit
    stride: Callable  # (table, level) -> what a hop of 2**level units takes, four words
    draw: Callable  # (table, replicate, cursor, stride, numbers) -> the next cursor; numbers are written
    accept: Callable  # (number, place, how) -> the index, and whether it is accepted


@functools.cache
def draws(source: Source) -> Draws:
    """Compiled when they are first used."""
    made = {
        Source.EVERY: _every,
        Source.PCG64: _pcg64,
        Source.PHILOX: _philox,
        Source.OWN: _own,
        Source.GIVEN: _given,
    }[source]()
    return Draws(*(runtime.device(f) for f in (*made, _make_accept(source))))


def _make_accept(source: Source) -> Callable:
    LOW, HALF = word(2**32 - 1), word(32)

    def every_one(number, place, how):
        return word(place), True

    def accept(number, place, how):
        u = word(how.kept) if place == how.kept_place else word(number)
        product = u * word(how.bound)
        return product >> HALF, (product & LOW) >= word(how.threshold)

    def accept_all(number, place, how):
        return word(number), True

    return {Source.EVERY: every_one, Source.GIVEN: accept_all}.get(source, accept)


def _counted() -> tuple[Callable, Callable]:
    """The cursor of a source whose units are numbered: its number."""
    NONE, ONE = word(0), word(1)

    def seek(table, replicate, unit):
        return word(unit), NONE

    def stride(table, level):
        return ONE << word(level), NONE, NONE, NONE

    return seek, stride


def _every() -> tuple[Callable, ...]:
    seek, stride = _counted()

    def draw(table, replicate, cursor, hop, numbers):
        return cursor

    return seek, stride, draw


def _given() -> tuple[Callable, ...]:
    LOW, HALF = word(2**32 - 1), word(32)
    seek, stride = _counted()

    def draw(table, replicate, cursor, hop, numbers):
        for k in range(4):
            both = word(table[index(cursor[0]), index(k)])
            numbers[index(2 * k)] = np.uint32(both & LOW)
            numbers[index(2 * k + 1)] = np.uint32(both >> HALF)
        return cursor[0] + hop[0], cursor[1]

    return seek, stride, draw


def _pcg64() -> tuple[Callable, ...]:
    """The cursor is the state that a unit's word is read off. Row 0 of the table is a state and the
    increment, row 1 + k a hop of 2ᵏ words.
    """
    product, times, plus, left = words()
    LOW, HALF = word(2**32 - 1), word(32)
    TOP, ROTATION, WORD, NONE, ONE = word(58), word(63), word(64), word(0), word(1)

    def multiply_add(high, low, a_high, a_low, c_high, c_low):
        upper, lower = product(low, a_low)
        upper = plus(upper, plus(times(high, a_low), times(low, a_high)))
        total = plus(lower, c_low)
        carry = ONE if total < lower else NONE
        return plus(plus(upper, c_high), carry), total

    multiply_add = runtime.device(multiply_add)

    def seek(table, replicate, unit):
        high, low = word(table[index(0), index(0)]), word(table[index(0), index(1)])
        steps = unit + 1
        row = 1
        while steps > 0:
            if steps & 1:
                high, low = multiply_add(
                    high,
                    low,
                    word(table[index(row), index(0)]),
                    word(table[index(row), index(1)]),
                    word(table[index(row), index(2)]),
                    word(table[index(row), index(3)]),
                )
            steps >>= 1
            row += 1
        return high, low

    def stride(table, level):
        row = index(1 + level)
        return (
            word(table[row, index(0)]),
            word(table[row, index(1)]),
            word(table[row, index(2)]),
            word(table[row, index(3)]),
        )

    def draw(table, replicate, cursor, hop, numbers):
        high, low = cursor
        value, places = high ^ low, high >> TOP
        value = (value >> places) | left(value, (WORD - places) & ROTATION)
        numbers[index(0)] = np.uint32(value & LOW)
        numbers[index(1)] = np.uint32(value >> HALF)
        return multiply_add(high, low, hop[0], hop[1], hop[2], hop[3])

    return seek, stride, draw


def _philox() -> tuple[Callable, ...]:
    """Rows 0 and 1 of the table are a counter and a key; NumPy's counter has 256 bits."""
    product, _, plus, _ = words()
    A, B = word(int(numpy_words._PHILOX_0)), word(int(numpy_words._PHILOX_1))
    STEP_A, STEP_B = word(int(numpy_words._WEYL_0)), word(int(numpy_words._WEYL_1))
    LOW, HALF, NONE, ONE = word(2**32 - 1), word(32), word(0), word(1)
    seek, stride = _counted()

    def draw(table, replicate, cursor, hop, numbers):
        c0 = plus(word(table[index(0), index(0)]), cursor[0])
        carry = ONE if c0 < cursor[0] else NONE
        c1 = plus(word(table[index(0), index(1)]), carry)
        carry = ONE if c1 < carry else NONE
        c2 = plus(word(table[index(0), index(2)]), carry)
        carry = ONE if c2 < carry else NONE
        c3 = plus(word(table[index(0), index(3)]), carry)
        k0, k1 = word(table[index(1), index(0)]), word(table[index(1), index(1)])
        for _ in range(10):
            high_0, low_0 = product(A, c0)
            high_1, low_1 = product(B, c2)
            c0, c1, c2, c3 = high_1 ^ c1 ^ k0, low_1, high_0 ^ c3 ^ k1, low_0
            k0 = plus(k0, STEP_A)
            k1 = plus(k1, STEP_B)
        numbers[index(0)] = np.uint32(c0 & LOW)
        numbers[index(1)] = np.uint32(c0 >> HALF)
        numbers[index(2)] = np.uint32(c1 & LOW)
        numbers[index(3)] = np.uint32(c1 >> HALF)
        numbers[index(4)] = np.uint32(c2 & LOW)
        numbers[index(5)] = np.uint32(c2 >> HALF)
        numbers[index(6)] = np.uint32(c3 & LOW)
        numbers[index(7)] = np.uint32(c3 >> HALF)
        return plus(cursor[0], hop[0]), cursor[1]

    return seek, stride, draw


def _own() -> tuple[Callable, ...]:
    """The row of the table is a key; the text of the rounds is the CPU's."""
    names = ("_MULTIPLIER_0", "_MULTIPLIER_1", "_MASK", "_SHIFT", "_WEYL_0", "_WEYL_1")
    constants = {name: word(int(getattr(streams, name))) for name in names}
    one_round = runtime.device(rebind(streams.philox_round.py_func, **constants))
    block = runtime.device(
        rebind(streams.philox_block.py_func, philox_round=one_round, **constants)
    )
    LOW = word(2**32 - 1)
    seek, stride = _counted()

    def draw(table, replicate, cursor, hop, numbers):
        k0, k1 = word(table[index(0), index(0)]), word(table[index(0), index(1)])
        k2, k3 = word(table[index(0), index(2)]), word(table[index(0), index(3)])
        w0, w1, w2, w3 = block(cursor[0] & LOW, word(replicate), k2, k3, k0, k1)
        numbers[index(0)] = np.uint32(w0)
        numbers[index(1)] = np.uint32(w1)
        numbers[index(2)] = np.uint32(w2)
        numbers[index(3)] = np.uint32(w3)
        return cursor[0] + hop[0], cursor[1]

    return seek, stride, draw
