"""Weights of convolutions in their panels: stored and taken, and cut into blocks."""

import numpy as np
import pytest

from fastkb import nn
from fastkb.nn.ops.images import taps
from fastkb.nn.program.engine import Engine

LAYERS = [
    nn.Conv2d(1, 6, 3), nn.Conv2d(3, 17, (2, 5)), nn.Conv2d(6, 9, 3, groups=3), nn.Conv2d(5, 1, 1),
    nn.Conv2d(40, 33, (7, 3), bias=False), nn.Conv1d(6, 18, 5, groups=2), nn.Conv1d(1, 3, 1, bias=False),
]  # fmt: skip


def engine_of(layer, dtype):
    return Engine([layer], np.dtype(dtype), layer.smallest)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tensors_are_taken_as_they_were_put(layer, dtype):
    engine = engine_of(layer, dtype)
    rng = np.random.default_rng(0)
    buffer = engine.empty_state(1, False, False).parameters[0]
    put = {
        f"0.{name}": rng.standard_normal(shape).astype(dtype)
        for name, shape in layer.shapes().items()
    }
    for name, value in put.items():
        engine.put(name, value, buffer)
    assert np.count_nonzero(buffer) == sum(value.size for value in put.values())
    found = engine.take(buffer)
    assert found.keys() == put.keys()
    for name, value in put.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("room", [1, 2**18])
def test_blocks_are_all_weights_and_intercepts_once(layer, room, monkeypatch):
    monkeypatch.setattr(taps, "_ROOM", room)
    engine = engine_of(layer, "float32")
    row, met = engine.program.layers[-2], np.zeros(engine.parameters, int)
    for block in engine.program.blocks:
        met[block["begin"] : block["end"]] += 1
        met[block["bias_begin"] : block["bias_end"]] += 1
        sums = (block["end"] - block["begin"]) * engine.program.blocking.width
        assert sums < engine.program.room
    outputs, biases = layer.out_channels, int(row["biases"])
    count = np.count_nonzero(met[: int(row["biases"])])
    assert met.max() == 1
    assert count >= np.prod(layer.shapes()["weight"])
    assert met[biases : biases + outputs].sum() == (outputs if layer.bias else 0)
    if room == 1:
        assert {int(b["input_stop"] - b["input"]) for b in engine.program.blocks} == {1}
