"""Parameters stand where all programs of a network look for them, whatever the size of its images."""

import numpy as np
import pytest

from fastkb import nn
from fastkb.nn.program.engine import Engine
from fastkb.nn.program.store import Store

LAYERS = [
    nn.Conv2d(2, 5, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(5, 4, 3, padding=1, groups=1),
    nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 20), nn.Tanh(), nn.Linear(20, 3),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_programs_agree_with_the_store(dtype):
    store = Store(LAYERS, np.dtype(dtype))
    for shape in ((2, 8, 8), (2, 31, 12)):
        engine = Engine(LAYERS, np.dtype(dtype), shape)
        assert engine.program.parameters == engine.parameters == store.parameters
        rows = [row for row in engine.program.layers if row["has_weights"]]
        own = [program.layers[row] for program, row in store._tensors.values()]
        for name in ("weights", "biases", "biases_end", "thin", "inputs_padded"):
            assert [row[name] for row in rows] == [row[name] for row in own]


def test_names_and_shapes():
    store = Store(LAYERS, np.dtype("float64"))
    buffer = store.empty_state(1, False, False).parameters[0]
    store.initialize(np.arange(4), 0, buffer)
    found = store.take(buffer)
    assert {name: value.shape for name, value in found.items()} == {
        "0.weight": (5, 2, 3, 3), "0.bias": (5,), "3.weight": (4, 5, 3, 3), "3.bias": (4,),
        "6.weight": (20, 16), "6.bias": (20,), "8.weight": (3, 20), "8.bias": (3,),
    }  # fmt: skip
    again = store.empty_state(1, False, False).parameters[0]
    for name, value in found.items():
        store.put(name, value, again)
    np.testing.assert_array_equal(again, buffer)


def test_state_is_as_large_as_the_optimiser_wants():
    store = Store(LAYERS, np.dtype("float32"))
    state = store.empty_state(3, True, False)
    sizes = [array.shape for array in state]
    assert sizes == [(3, store.parameters), (3, store.parameters), (3, 0)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layers", [LAYERS, LAYERS[-3:]])
def test_spans_of_parameters(layers, dtype):
    for store in (
        (Store(layers, np.dtype(dtype)), Engine(layers, np.dtype(dtype), (2, 8, 8)))
        if (layers is LAYERS)
        else (Store(layers, np.dtype(dtype)),)
    ):
        names = list(store.shapes())
        assert store.shapes() == {
            name: array.shape for name, array in store.take(np.zeros(store.parameters)).items()
        }
        assert store.spans(names[:0]).shape == (0, 2)
        whole = store.spans(names)
        assert whole.tolist() == [[0, store.ends(names[-1])[1]]]
        apart = store.spans(names, apart=True)
        assert apart.tolist() == [list(store.ends(name)) for name in names]
        some = {names[0], names[2], names[3]}
        assert store.spans(some).tolist() == [
            list(store.ends(names[0])), [store.ends(names[2])[0], store.ends(names[3])[1]],
        ]  # fmt: skip
        # What lies between is nobody's.
        buffer = np.ones(store.parameters, dtype)
        for name, shape in store.shapes().items():
            store.put(name, np.zeros(shape), buffer)
        for begin, end in apart:
            buffer[begin:end] = 0.0
        found = np.zeros(store.parameters, dtype)
        for begin, end in whole:
            found[begin:end] = buffer[begin:end]
        assert all((array == 0).all() for array in store.take(found).values())
