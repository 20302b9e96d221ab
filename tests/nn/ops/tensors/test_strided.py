"""Walks by strides: how axes become fewer, and sums in an order of their own."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.nn.ops.operation import Node
from fastkb.nn.ops.tensors.functions import Function
from fastkb.nn.ops.tensors.reduction import Reduce
from fastkb.nn.ops.tensors.reshape import Permute
from fastkb.nn.ops.tensors.shapes import strides_of
from fastkb.nn.ops.tensors.strided import AXES, taking, total, walk
from fastkb.runtime import jit
from tests.nn.ops.tensors.graphs import check


def places(window):
    """Where a walk is, step by step."""
    sizes, strides = window[:AXES], window[AXES : 2 * AXES]
    return [
        window[2 * AXES] + sum(k * step for k, step in zip(place, strides, strict=True))
        for place in itertools.product(*map(range, sizes))
    ]


@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=5), st.randoms(), st.booleans(), st.integers(0, 9)
)  # fmt: skip
def test_fewer_axes_are_the_same_walk(shape, random, some_stay, first):
    order = list(range(len(shape)))
    random.shuffle(order)
    strides = np.array(strides_of(tuple(shape)))[order]
    if some_stay:
        strides[random.randrange(len(shape))] = 0
    turned = np.array(shape)[order]
    expected = [
        first + int(np.dot(place, strides)) for place in itertools.product(*map(range, turned))
    ]
    window = walk(tuple(turned.tolist()), tuple(strides.tolist()), first)
    assert places(window) == expected
    assert len(window) == 2 * AXES + 1


def test_neighbours_that_are_one_walk_are_one_axis():
    assert walk((2, 3, 4), (12, 4, 1)) == (1, 1, 1, 1, 24, 0, 0, 0, 0, 1, 0)
    assert walk((2, 3, 4), (0, 0, 1)) == (1, 1, 1, 6, 4, 0, 0, 0, 0, 1, 0)
    assert walk((1, 1), (1, 1)) == (1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0)
    assert walk((4, 3), (1, 4)) == (1, 1, 1, 4, 3, 0, 0, 0, 1, 4, 0)


def test_axes_that_no_row_can_hold():
    six = Node(None, (), (2, 3, 2, 3, 2, 3))
    layer = Permute((5, 4, 3, 2, 1, 0))
    with pytest.raises(ValueError, match="takes values of 5 axes at most, and gets one of 6"):
        layer.rows(0, six.shape, 1)
    assert Permute((3, 4, 5, 0, 1, 2)).rows(0, six.shape, 1)[0].outputs == 216


def test_six_axes_that_are_fewer():
    check(
        lambda x: Function("square").record(Reduce((2, 3), False).record(x, ""), ""),
        np.random.default_rng(0).standard_normal((3, 2, 1, 3, 2, 1, 2)),
        lambda x: x.sum((3, 4)) ** 2,
    )


def test_taking_all_is_no_work():
    assert taking(0, 6, 6, walk((2, 3), (3, 1))).operation.name == "to rows"
    assert taking(0, 6, 6, walk((3, 2), (1, 3))).operation.name == "take"
    assert taking(0, 6, 5, walk((5,), (1,))).operation.name == "take"


@jit(cache=False, references=False)
def _total(values, out):
    out[0] = total(values)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_total(dtype):
    for size in (1, 2, 15, 64, 1000):
        values = np.random.default_rng(size).uniform(1.0, 2.0, size).astype(dtype)
        out = np.zeros(1, dtype)
        _total(values, out)
        exact = values.astype(np.longdouble).sum()
        assert abs(out[0] - exact) <= size * np.finfo(dtype).eps * exact
