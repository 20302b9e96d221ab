"""The rule of an element-wise layer that stands by itself; its functions: tests/scalar."""

from typing import NamedTuple

import numpy as np
import pytest

from fastkb.nn.ops.layers import DENSE_OPERATIONS, DENSE_RULES
from fastkb.nn.program.passes import Sizes, Span
from fastkb.runtime import jit

forward, backward = DENSE_RULES[:2]
CODE = [operation.name for operation in DENSE_OPERATIONS].index("elementwise")


class Row(NamedTuple):
    code: int
    accumulate: int
    source: int
    target: int
    target_stride: int
    # What other operations' rules read, which are compiled beside this one.
    thin: int = 0
    has_weights: int = 0
    inputs: int = 0
    outputs: int = 0
    weights: int = 0
    biases: int = 0
    inputs_padded: int = 0
    panels: int = 0
    source_stride: int = 0
    kept: int = 0
    transposed: int = 0


@jit(cache=False, references=False)
def _run(row, values, deltas, span, sizes):
    forward(row.code, row, values, values, span, sizes)
    backward(row.code, row, values, values, values, deltas, span, sizes)


@pytest.mark.parametrize("accumulate", [0, 1])
def test_values_and_deltas_are_handed_on(accumulate):
    """From source to target and back, of some observations."""
    sizes, stride = Sizes(2, 4, 2, 6, 5, 2), 4
    values, deltas = np.arange(48.0), np.arange(48.0) + 100
    row = Row(CODE, accumulate, 0, stride, stride)
    before, derivatives = values.copy(), deltas.copy()
    _run(row, values, deltas, Span(2, 4), sizes)
    inner, outer = np.s_[2 * stride : 4 * stride], np.s_[24 + 2 * stride : 24 + 4 * stride]
    np.testing.assert_array_equal(values[outer], before[inner])
    expected = derivatives[outer] + accumulate * derivatives[inner]
    np.testing.assert_array_equal(deltas[inner], expected)
    untouched = np.ones(48, bool)
    untouched[inner] = untouched[outer] = False
    np.testing.assert_array_equal(values[untouched], before[untouched])
    np.testing.assert_array_equal(deltas[untouched], derivatives[untouched])
