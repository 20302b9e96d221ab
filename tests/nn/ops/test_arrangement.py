"""Rows and lanes: the way there, the way back, and where a program needs either."""

import itertools

import numpy as np
import pytest

from fastkb import nn
from fastkb.nn.ops.activation import ELEMENTWISE
from fastkb.nn.ops.arrangement import TO_LANES, TO_ROWS, arranged, to_rows
from fastkb.nn.ops.images.convolution import CONVOLUTION
from fastkb.nn.ops.layers import OPERATIONS, RULES, lower
from fastkb.nn.ops.operation import Row
from fastkb.nn.program.layout import make_program
from fastkb.nn.program.passes import Sizes, Span
from fastkb.nn.program.step import new_scratch
from fastkb.runtime import jit
from fastkb.tile.blocking import network_blocking
from tests.tile.lanes.arrays import from_lanes, to_lanes


@jit(cache=False, references=False)
def _forward(layers, k, parameters, values, span, sizes):
    RULES.forward(layers[k].code, layers[k], parameters, values, span, sizes)


@jit(cache=False, references=False)
def _backward(layers, k, parameters, scratch, span, sizes):
    RULES.backward(
        layers[k].code, layers[k], parameters, scratch.transposed, scratch.values, scratch.deltas, span,
        sizes,
    )  # fmt: skip


SHAPES = [(1, 1, 1), (1, 32, 32), (3, 5, 7), (16, 6, 6), (2, 1, 17)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("accumulate", [0, 1])
def test_there_and_back(dtype, shape, accumulate):
    """Values forward and deltas backward, of a batch that does not fill the last vector."""
    size = int(np.prod(shape))
    rows = arranged([Row(CONVOLUTION, (0,), size, {}, shape=shape)], shape)
    assert [row.operation for row in rows] == [TO_LANES, CONVOLUTION, TO_ROWS]
    rows = [rows[0], rows[2]._replace(reads=(1,))]
    program = make_program(size, rows, dtype, OPERATIONS)
    program.layers["accumulate"] = accumulate
    blocking = network_blocking(dtype)
    n, width = blocking.width + 3, blocking.width
    capacity = 2 * program.unit
    sizes = Sizes(blocking.mr, blocking.nr, width, capacity, n, program.unit)
    scratch = new_scratch(program, capacity)
    scratch.values[:], scratch.deltas[:] = 5.0, 3.0
    there, back = program.layers

    def rows_of(buffer, place, stride):
        start = int(place) * capacity
        return buffer[start : start + capacity * int(stride)].reshape(capacity, -1)

    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, *shape)).astype(dtype)
    span, none = Span(0, capacity), np.zeros(0, dtype)
    rows_of(scratch.values, there["source"], there["source_stride"])[:n, :size] = X.reshape(n, -1)
    _forward(program.layers, 0, none, scratch.values, span, sizes)
    lanes = scratch.values[int(there["target"]) * capacity :]
    np.testing.assert_array_equal(lanes[: 2 * width * size], to_lanes(X, width)[: 2 * width * size])
    _forward(program.layers, 1, none, scratch.values, span, sizes)
    after = rows_of(scratch.values, back["target"], back["target_stride"])
    np.testing.assert_array_equal(after[:n, :size], X.reshape(n, -1))

    delta = rng.standard_normal((n, *shape)).astype(dtype)
    after = rows_of(scratch.deltas, back["target"], back["target_stride"])
    after[:n, :size] = delta.reshape(n, -1)
    _backward(program.layers, 1, none, scratch, span, sizes)
    lanes = from_lanes(
        scratch.deltas[int(there["target"]) * capacity :], (2 * width, *shape), width
    )
    np.testing.assert_array_equal(lanes[:n], delta + accumulate * 3.0)
    assert (lanes[n:] == accumulate * 3.0).all()  # of observations that there are not
    _backward(program.layers, 0, none, scratch, span, sizes)
    first = rows_of(scratch.deltas, there["source"], there["source_stride"])
    expected = delta.reshape(n, -1) + accumulate * 3.0 + accumulate * 3.0
    np.testing.assert_array_equal(first[:n, :size], expected.astype(dtype))


def test_values_are_turned_once_for_all_that_read_them():
    shape = (2, 3, 3)
    row = Row(CONVOLUTION, (0,), 18, {}, shape=shape)
    rows = arranged(
        [row, row, Row(ELEMENTWISE, (2,), 18, {}, shape=shape), to_rows(3, shape)], shape
    )
    assert [each.operation for each in rows] == [
        TO_LANES, CONVOLUTION, CONVOLUTION, ELEMENTWISE, TO_ROWS,
    ]  # fmt: skip
    assert [each.reads for each in rows] == [(0,), (1,), (1,), (3,), (4,)]
    assert [each.lanes for each in rows] == [True, True, True, True, False]


def test_rows_of_rows_are_no_work():
    rows = lower([nn.Flatten(), nn.Linear(18, 2), nn.Flatten(), nn.ReLU()], (2, 3, 3))
    assert [row.operation.name for row in rows] == ["dense", "elementwise"]


def test_flattening_is_torchs_order():
    X = np.random.default_rng(0).standard_normal((3, 2, 4, 5))
    network = nn.Sequential(nn.Flatten(), nn.Linear(40, 3), rng=0)
    state = network.state_dict()
    expected = X.reshape(3, 40) @ state["1.weight"].T + state["1.bias"]
    np.testing.assert_allclose(network.forward(X), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("shape", "given"), [((2, 3, 4), (24,)), ((7,), (7,)), (None, (None,)), ((2, None, 3), (None,))]
)
def test_shapes(shape, given):
    assert nn.Flatten().shape_of(shape) == given


def test_lanes_and_back_are_inverse():
    for dtype, n in itertools.product(("float32", "float64"), (1, 5, 20)):
        X = np.random.default_rng(0).standard_normal((n, 2, 3, 4)).astype(dtype)
        width = network_blocking(dtype).width
        np.testing.assert_array_equal(from_lanes(to_lanes(X, width), X.shape, width), X)
