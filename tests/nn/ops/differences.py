"""Gradients of programs beside differences of the loss, and bits on one thread and on two."""

import numpy as np
import pytest

from fastkb.nn.observations import Observations
from fastkb.nn.ops.graph import known_shape
from fastkb.nn.program.engine import Engine
from fastkb.runtime.threads import use_threads


def observations(network, X, seed=1):
    """X with targets of a network's width."""
    rng = np.random.default_rng(seed)
    y = rng.standard_normal((len(X), int(np.prod(known_shape(network, X.shape[1:])))))
    none = np.zeros(0, X.dtype)
    return Observations(X, y.astype(X.dtype), np.zeros(0, np.int64), none)


def drawn(engine, seed=1):
    """Parameters of an engine: its first ones, moved at random, so that no bias is zero."""
    key = np.arange(seed, seed + 4, dtype=np.uint32)
    parameters = engine.empty_state(1, False, False).parameters[0]
    engine.initialize(key, 0, parameters)
    rng = np.random.default_rng(seed)
    for name, tensor in engine.take(parameters).items():
        moved = tensor + 0.1 * rng.standard_normal(tensor.shape)
        engine.put(name, moved.astype(tensor.dtype), parameters)
    return parameters


def assert_gradients(network, X, places=4, tolerance=1e-7, **options):
    """The gradients of some elements of each tensor are those of differences, in float64."""
    data, engine = observations(network, X), Engine(network, X.dtype, X.shape[1:])
    parameters = drawn(engine)

    def loss():
        return engine.loss_and_gradients(parameters, data, "squared_error", 0.0, **options)[0]

    _, gradients = engine.loss_and_gradients(parameters, data, "squared_error", 0.0, **options)
    found, rng = engine.take(gradients), np.random.default_rng(2)
    for name, tensor in engine.take(parameters).items():
        if name not in found:  # a buffer
            continue
        for place in rng.choice(tensor.size, min(places, tensor.size), replace=False):
            ends = []
            for step in (1e-6, -1e-6):
                moved = tensor.copy()
                moved.flat[place] += step
                engine.put(name, moved, parameters)
                ends.append(loss())
            engine.put(name, tensor, parameters)
            expected = (ends[0] - ends[1]) / 2e-6
            assert found[name].flat[place] == pytest.approx(expected, abs=tolerance), name


def assert_same_bits(network, X, **options):
    """One thread and two find the same loss and the same gradients, to the last bit."""
    data, found = observations(network, X), []
    for threads in (1, 2):
        with use_threads(threads):
            engine = Engine(network, X.dtype, X.shape[1:])
            engine.threads = lambda batch, threads=threads: threads
            loss, gradients = engine.loss_and_gradients(
                drawn(engine), data, "squared_error", 0.1, **options
            )
            found.append((loss, gradients))
    assert found[0][0] == found[1][0]
    np.testing.assert_array_equal(found[0][1], found[1][1])
    assert np.abs(found[0][1]).max() > 0
