"""Shapes of layers of expressions, and the runs of elements that their rules go through."""

from typing import NamedTuple

import numpy as np
import pytest

from fastkb.nn.ops.tensors.functions import Function
from fastkb.nn.ops.tensors.reshape import Reshape
from fastkb.nn.ops.tensors.shapes import check_axes, runs, strides_of, together
from fastkb.nn.program.passes import Sizes, Span
from fastkb.runtime import jit


def test_strides():
    for shape in ((4,), (2, 3, 4), (1, 5, 1)):
        array = np.zeros(shape)
        strides = strides_of(shape)
        for size, step, given in zip(shape, strides, array.strides, strict=True):
            assert size == 1 or step * 8 == given


def test_axes():
    check_axes("axes", (2, 0), (3, 4, 5))
    check_axes("axes", (), (3,))
    for axes in ((3,), (-1,), (0, 0)):
        with pytest.raises(ValueError, match="axes must"):
            check_axes("axes", axes, (3, 4, 5))


def test_unknown_shapes_give_unknown_ones():
    assert Function("exp").shape_of(None) is None
    assert Reshape((6,)).shape_of((None, 3)) is None
    assert Reshape((6,)).shape_of((2, 3)) == (6,)


class Row(NamedTuple):
    lanes: int
    outputs: int
    target_stride: int


@jit(cache=False)
def _runs(row, span, sizes):
    return runs(row, span, sizes), together(row, sizes)


@pytest.mark.parametrize(
    ("row", "span", "expected"),
    [
        (Row(0, 3, 8), Span(0, 8), ((8, 3), 1)),
        (Row(0, 3, 8), Span(8, 16), ((3, 3), 1)),
        (Row(0, 3, 8), Span(16, 24), ((0, 3), 1)),
        (Row(0, 8, 8), Span(8, 16), ((1, 24), 1)),
        (Row(0, 8, 8), Span(16, 24), ((1, 0), 1)),
        (Row(1, 3, 3), Span(8, 16), ((1, 24), 4)),
    ],
)
def test_runs_of_elements(row, span, expected):
    """Of eleven observations."""
    sizes = Sizes(8, 8, 4, 24, 11, 8)
    assert _runs(row, span, sizes) == expected
