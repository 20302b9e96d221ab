"""The dense layer's rules beside NumPy; its class is tested in test_layers.py."""

import numpy as np
import pytest

from fastkb import nn
from fastkb.nn.ops.layers import RULES
from fastkb.nn.program.engine import Engine
from fastkb.nn.program.passes import Sizes, Span
from fastkb.nn.program.step import new_scratch
from fastkb.runtime import jit

forward, backward, gradients_of, turn = RULES[:4]
N = 13


@jit(cache=False, references=False)
def _backward(layers, blocks, parameters, scratch, span, sizes):
    row = layers[1]
    for b in range(len(blocks)):
        if blocks[b].layer == 1:
            turn(row.code, row, blocks[b], parameters, scratch.transposed, sizes)
    backward(
        row.code, row, parameters, scratch.transposed, scratch.values, scratch.deltas, span, sizes
    )


@pytest.mark.parametrize("outputs", [1, 3, 4, 40])
@pytest.mark.parametrize("accumulate", [0, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_deltas_replace_or_are_added(outputs, accumulate, dtype):
    """Of a thin layer and of one in panels; padding of observations is never read."""
    inputs = 21
    engine = Engine([nn.Linear(2, inputs), nn.Linear(inputs, outputs)], np.dtype(dtype))
    state = engine.empty_state(1, False, False)
    engine.initialize(np.arange(4), 0, state.parameters[0])
    program = engine.program
    program.layers["accumulate"] = accumulate
    blocking = program.blocking
    capacity = -(-N // program.unit) * program.unit
    sizes = Sizes(blocking.mr, blocking.nr, blocking.width, capacity, N, program.unit)
    scratch = new_scratch(program, capacity)
    row, rng = program.layers[1], np.random.default_rng(0)

    def rows_of(place, stride):
        start = int(row[place]) * capacity
        return scratch.deltas[start : start + capacity * stride].reshape(capacity, stride)

    after = rows_of("target", int(row["target_stride"]))
    after[:N, :outputs] = rng.standard_normal((N, outputs))
    before = rows_of("source", int(row["source_stride"]))
    before[:N, :inputs] = start = rng.standard_normal((N, inputs)).astype(dtype)
    weights = engine.take(state.parameters[0])["1.weight"].astype(float)
    expected = after[:N, :outputs].astype(float) @ weights + accumulate * start
    _backward(
        program.layers, program.blocks, state.parameters[0], scratch, Span(0, capacity), sizes
    )
    bound = (
        (outputs + 2)
        * np.finfo(dtype).eps
        * (np.abs(after[:N, :outputs]) @ np.abs(weights) + np.abs(start))
    )
    assert (np.abs(before[:N, :inputs] - expected) <= bound).all()
