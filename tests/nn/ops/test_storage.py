"""Tensors in C order, in one block: what an operation has that stores them in no other way."""

import numpy as np

from fastkb import nn
from fastkb.nn.ops.storage import BIAS, WEIGHT, Piece, Size, Storage
from fastkb.nn.program.engine import Engine
from fastkb.tile.blocking import network_blocking


def test_weights_then_biases_each_up_to_whole_panels():
    sizes = network_blocking("float64")
    fields = [(name, "i8") for name in ("weights", "biases", "biases_end")]
    storage, row = Storage(), np.zeros(1, fields)[0]
    size = storage.place(row, {WEIGHT: (3, 2), BIAS: (3,)}, sizes)
    assert size == Size(-(-6 // sizes.nr) * sizes.nr, sizes.nr, 0)
    row["biases"], row["biases_end"] = size.weights, size.weights + 3
    assert list(storage.pieces(row, sizes)) == [
        Piece(0, 0, 0, 0, size.weights, size.weights, size.weights + 3)
    ]
    buffer = np.zeros(size.weights + size.biases)
    weight, bias = np.arange(1.0, 7.0).reshape(3, 2), np.arange(7.0, 10.0)
    storage.put(row, WEIGHT, buffer, weight, sizes)
    storage.put(row, BIAS, buffer, bias, sizes)
    np.testing.assert_array_equal(storage.take(row, WEIGHT, buffer, (3, 2), sizes), weight)
    np.testing.assert_array_equal(storage.take(row, BIAS, buffer, (3,), sizes), bias)
    assert np.count_nonzero(buffer) == 9
    assert storage.room(row, sizes) == 0


def test_a_layer_of_one_block():
    engine = Engine([nn.BatchNorm1d(5)], np.dtype("float32"), (5,))
    (block,) = engine.program.blocks
    assert block["bias_end"] - block["bias_begin"] == 5
