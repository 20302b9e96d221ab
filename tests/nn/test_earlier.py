"""Tensors as version 0.1.0 stored them. A whole pickle of it is loaded by ``tests/earlier``."""

from types import SimpleNamespace

import numpy as np
import pytest

from fastkb import nn
from fastkb.nn.earlier import tensors_of
from fastkb.nn.program.engine import Engine


@pytest.mark.parametrize("outputs", [2, 9])
def test_tensors_by_name(outputs):
    engine = Engine([nn.Linear(5, outputs, bias=False), nn.Linear(outputs, 3)], np.dtype("float32"))
    members = engine.empty_state(2, False, False).parameters
    for member, buffer in enumerate(members):
        engine.initialize(np.arange(4, dtype=np.uint32), member, buffer)
    old = SimpleNamespace(program=engine.program, _places={0: 0, 1: 1})
    found = tensors_of(old, members)
    expected = [engine.take(buffer) for buffer in members]
    assert list(found) == list(expected[0]) == ["0.weight", "1.weight", "1.bias"]
    for name, tensors in found.items():
        for tensor, member in zip(tensors, expected, strict=True):
            np.testing.assert_array_equal(tensor, member[name])
