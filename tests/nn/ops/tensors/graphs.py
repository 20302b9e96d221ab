"""Graphs of values: what they give, and the deltas of their inputs, by differences."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastkb import nn
from fastkb.nn.observations import Observations
from fastkb.nn.ops.operation import Layer
from fastkb.nn.program.engine import Engine
from fastkb.runtime.threads import use_threads

# Around a vector of either type, and observations around one or two of them.
SIZES = (1, 3, 7, 8, 16, 17)
BATCHES = (1, 15, 16, 17, 33)


@dataclass(frozen=True)
class Built(Layer):
    """What a function makes of the input's node, and behind it a dense layer: programs have weights."""

    build: Any
    last: Any

    @property
    def parts(self):
        return {"last": self.last}

    def shape_of(self, shape):
        return (self.last.out_features,)

    def record(self, value, name):
        value = nn.Flatten().record(self.build(value), "")
        return self.last.record(value, f"{name}last")


class Differentiated(Engine):
    """An engine that computes the deltas of the inputs, too."""

    def _lay_out(self, end, rows, shape, places=None, **options):
        super()._lay_out(end, rows, shape, places, inputs_trained=True)


def in_lanes(value):
    """The same images, in lanes: means of windows of one element."""
    return nn.AvgPool2d(1).record(value, "")


def differences(function, X, targets):
    """A function's outputs, and the derivatives of their mean squared error.

    Observations do not depend on each other: an element of all of them is moved at once.
    """
    outputs = function(X).reshape(len(X), -1)
    slope = 2 * (outputs - targets) / outputs.size
    deltas = np.empty((len(X), X[0].size))
    for place in range(X[0].size):
        ends = []
        for step in (1e-6, -1e-6):
            moved = X.reshape(len(X), -1).copy()
            moved[:, place] += step
            ends.append(function(moved.reshape(X.shape)).reshape(len(X), -1))
        deltas[:, place] = np.sum(slope * (ends[0] - ends[1]) / 2e-6, axis=1)
    return outputs, deltas.reshape(X.shape)


def run(build, X, targets, threads=1):
    """Outputs, the deltas of the inputs, and the engine, whose scratch is that of the pass."""
    n, outputs = len(X), targets.shape[1]
    with use_threads(threads):
        last = nn.Linear(outputs, outputs, bias=False)
        engine = Differentiated(Built(build, last), X.dtype, X.shape[1:])
        engine.threads = lambda batch: threads
        parameters = np.zeros(engine.size, X.dtype)
        engine.put("last.weight", np.eye(outputs), parameters)
        given = engine.forward(parameters, X)
        # A larger batch before: what it leaves must not matter.
        larger = engine._sizes(2 * n)
        engine._sizes = lambda _: larger
        for times in (2, 1):
            data = Observations(
                np.concatenate([X] * times),
                np.concatenate([targets.astype(X.dtype)] * times).reshape(-1, outputs),
                np.zeros(0, np.int64),
                np.zeros(0, X.dtype),
            )
            _, gradients = engine.loss_and_gradients(parameters, data, "squared_error", 0.0)
    assert np.isfinite(gradients).all()
    stride = int(engine.program.layers[0]["source_stride"])
    deltas = scratch_of(engine).deltas[: n * stride].reshape(n, stride)[:, : X[0].size]
    return given, deltas.reshape(X.shape).copy(), engine


def scratch_of(engine):
    """What the last pass has computed in."""
    (scratch,) = list(engine._kept.values())[-1]
    return scratch


def check(build, X, function, *, rtol=1e-12):
    """Values against a function of NumPy's arrays, deltas against its differences; on 1 and 2 threads."""
    X = np.asarray(X, float)
    outputs = function(X).reshape(len(X), -1)
    targets = outputs + np.random.default_rng(0).standard_normal(outputs.shape)
    outputs, deltas = differences(function, X, targets)
    largest, steepest = np.abs(outputs).max(), np.abs(deltas).max()
    found, by_inputs, engine = run(build, X, targets)
    np.testing.assert_allclose(found, outputs, rtol=rtol, atol=rtol * largest)
    np.testing.assert_allclose(by_inputs, deltas, rtol=1e-6, atol=1e-7 * (1 + steepest))
    check_padding(engine, len(X))
    single = X.astype(np.float32)
    one, other = (run(build, single, targets, threads) for threads in (1, 2))
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])
    np.testing.assert_allclose(one[0], outputs, rtol=1e-5, atol=1e-5 * (1 + largest))
    np.testing.assert_allclose(one[1], deltas, rtol=1e-3, atol=1e-4 * (1 + steepest))
    np.testing.assert_array_equal(by_inputs, run(build, X, targets, 2)[1])


def check_padding(engine, n):
    """Padding of rows is zero; and in lanes the deltas of observations that there are not."""
    scratch, width = scratch_of(engine), engine.program.blocking.width
    capacity = len(scratch.losses)
    for row in engine.program.layers:
        stride, outputs = int(row["target_stride"]), int(row["outputs"])
        place = int(row["target"]) * capacity
        for buffer in (scratch.values, scratch.deltas):
            part = buffer[place : place + capacity * stride]
            if not row["lanes"]:
                assert not part.reshape(capacity, stride)[:, outputs:].any()
                continue
            lanes = part.reshape(-1, outputs, width).transpose(0, 2, 1).reshape(capacity, outputs)
            assert np.isfinite(lanes).all()
            if buffer is scratch.deltas:
                assert not lanes[n : -(-n // width) * width].any()
