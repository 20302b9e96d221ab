"""Arrays on the stack: their elements, where they stand, and whose they are."""

import numpy as np
import pytest

from fastkb.runtime import jit, prange
from fastkb.runtime.stack import stack_array

LENGTH = 40
TYPES = ["float32", "float64", "int32", "uint64"]
each_type = pytest.mark.parametrize("dtype", TYPES)


@jit(cache=False)
def _sum(like):
    values = stack_array(LENGTH, like)
    for i in range(LENGTH):
        values[i] = i
    total = values[0]
    for i in range(LENGTH):
        total += values[i]
    return total, len(values), values.itemsize, values.strides[0]


@each_type
def test_elements_and_size(dtype):
    total, length, itemsize, stride = _sum(np.zeros(1, dtype=dtype))
    assert total == sum(range(LENGTH))
    assert length == LENGTH
    assert itemsize == stride == np.dtype(dtype).itemsize


@jit(cache=False)
def _round_trip(source, out):
    values = stack_array(LENGTH, source)
    for i in range(LENGTH):
        values[LENGTH - 1 - i] = source[i]
    part = values[1:]  # views work as those of any array
    out[0] = values[0]
    for i in range(LENGTH - 1):
        out[i + 1] = part[i]


@each_type
def test_elements_keep_all_their_bits(dtype):
    source = np.random.default_rng(0).integers(0, 2**63, LENGTH).astype(dtype)
    if dtype == "uint64":
        source[0] = 2**64 - 1
    out = np.empty_like(source)
    _round_trip(source, out)
    np.testing.assert_array_equal(out, source[::-1])


@jit(cache=False)
def _addresses(like, out):
    for i in range(len(out)):
        one = stack_array(LENGTH, like)
        other = stack_array(3, like)
        one[:] = i
        other[:] = -1
        for k in range(LENGTH):
            if one[k] != i:
                return False
        out[i, 0] = one.ctypes.data
        out[i, 1] = other.ctypes.data
    return True


@each_type
def test_a_loop_takes_no_more_of_the_stack(dtype):
    like = np.zeros(1, dtype=dtype)
    addresses = np.empty((5, 2), np.int64)
    assert _addresses(like, addresses)  # neither array writes into the other
    assert (addresses == addresses[0]).all()
    assert (addresses % 64 == 0).all()
    one, other = addresses[0]
    assert other + 3 * like.itemsize <= one or one + LENGTH * like.itemsize <= other


@jit(cache=False, parallel=True)
def _tasks(like, rounds, wrong):
    for task in prange(len(wrong)):
        values = stack_array(LENGTH, like)
        for _ in range(rounds):
            for i in range(LENGTH):
                values[i] = task + i
            for i in range(LENGTH):
                wrong[task] += values[i] != task + i


def test_threads_do_not_share_one():
    wrong = np.zeros(16, np.int64)
    _tasks(np.zeros(1), 10_000, wrong)
    assert not wrong.any()
