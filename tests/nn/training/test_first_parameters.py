"""First parameters: NumPy's streams and the engine's numbers, for many members at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb import nn
from fastkb.nn.program.engine import Engine
from fastkb.nn.training.first_parameters import FirstParameters, children
from fastkb.random.streams import key_from_rng

words = st.integers(0, 2**32 - 1)


@given(
    key=st.lists(words, min_size=4, max_size=4),
    kind=words,
    first=st.one_of(st.integers(0, 100), st.integers(2**32 - 9, 2**32 - 4)),
    count=st.integers(0, 4),
)
def test_children_are_those_of_numpy(key, kind, first, count):
    generators = list(children(np.array(key, np.uint32), kind, first, count))
    assert len(generators) == count
    for child, generator in enumerate(generators, first):
        sequence = np.random.SeedSequence(key, spawn_key=(kind, child))
        expected = np.random.default_rng(sequence)
        np.testing.assert_array_equal(generator.random(5), expected.random(5))
        np.testing.assert_array_equal(generator.integers(9, size=5), expected.integers(9, size=5))


NETWORKS = {
    "torch": [nn.Linear(3, 17), nn.ReLU(), nn.Linear(17, 2)],
    "a single number": [nn.Linear(1, 1, bias=False)],
    "no intercepts": [nn.Linear(4, 9, bias=False), nn.Tanh(), nn.Linear(9, 9), nn.Linear(9, 1)],
    "mixed": [
        nn.Linear(5, 8, initialization="he"),
        nn.ReLU(),
        nn.Linear(8, 8, initialization="glorot"),
        nn.Sigmoid(),
        nn.Linear(8, 3),
    ],
    "the same range in two layers": [nn.Linear(6, 6), nn.Linear(6, 7), nn.Identity()],
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_they_are_the_engines(name, dtype):
    layers, key = NETWORKS[name], key_from_rng(5)
    engine = Engine(layers, np.dtype(dtype))
    together = engine.empty_state(7, False, False).parameters
    FirstParameters(engine, layers).draw(key, 3, together)
    for member, found in enumerate(together, 3):
        alone = engine.empty_state(1, False, False).parameters[0]
        engine.initialize(key, member, alone)
        np.testing.assert_array_equal(found, alone)
        assert found.any()
