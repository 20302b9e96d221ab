"""Tensors of a module's own as values: in rows and in lanes, met once or often, or some elements."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb import nn
from fastkb.nn.observations import Observations
from fastkb.nn.ops.layers import lower
from fastkb.nn.ops.operation import Layer, Node
from fastkb.nn.ops.tensors.joins import Combination, Product
from fastkb.nn.ops.tensors.own import Held, Own
from fastkb.nn.program.engine import Engine
from fastkb.nn.program.store import Store
from fastkb.runtime.threads import use_threads
from tests.nn.ops.tensors.graphs import BATCHES, SIZES, in_lanes


@dataclass(frozen=True)
class Wired(Layer):
    """Tensors of its own, in what a function makes of them and of the input."""

    held: Any
    build: Any

    @property
    def parts(self):
        return self.held

    def shape_of(self, shape):
        return self.record(Node(None, (), shape), "").shape

    def record(self, value, name):
        def own(kind, beside, sizes=None, strides=None, first=0):
            held = self.held[kind]
            layer = Own.whole(held.numbers.shape, held.trained)
            if sizes is not None:
                layer = Own(held.numbers.shape, sizes, strides, first, held.trained)
            return layer.record(beside, f"{name}{kind}")

        return self.build(own, value)


def times(*values):
    return Product().record_all(values)


def plus(*values):
    return Combination().record_all(values)


def engine_of(held, build, X, threads=1):
    engine = Engine(Wired(held, build), X.dtype, X.shape[1:])
    engine.threads = lambda batch: threads
    state = engine.empty_state(1, False, False).parameters[0]
    engine.initialize(np.arange(4, dtype=np.uint32), 0, state)
    return engine, state


def gradients(held, build, X, targets, threads=1):
    """Outputs, and the gradients by name; after a larger batch, of which nothing may be left."""
    with use_threads(threads):
        engine, state = engine_of(held, build, X, threads)
        larger = engine._sizes(2 * len(X))
        engine._sizes = lambda _: larger
        for count in (2, 1):
            data = Observations(
                np.concatenate([X] * count),
                np.concatenate([targets.astype(X.dtype)] * count),
                np.zeros(0, np.int64),
                np.zeros(0, X.dtype),
            )
            _, found = engine.loss_and_gradients(state, data, "squared_error", 0.0)
        return engine.forward(state, X), engine.take(found)


def check(held, build, X, function):
    """Against a function of arrays: values, gradients by differences, and any number of threads."""
    numbers = {name: each.numbers for name, each in held.items()}
    outputs = function(X, **numbers).reshape(len(X), -1)
    targets = outputs + np.random.default_rng(1).standard_normal(outputs.shape)
    given, found = gradients(held, build, X, targets)
    np.testing.assert_allclose(given, outputs, rtol=1e-12, atol=1e-12)
    assert set(found) == {name for name, each in held.items() if each.trained}
    for name, gradient in found.items():
        expected = np.empty(gradient.shape)
        for place in range(gradient.size):
            ends = []
            for step in (1e-6, -1e-6):
                moved = numbers[name].astype(float)
                moved.flat[place] += step
                off = function(X, **{**numbers, name: moved}).reshape(outputs.shape) - targets
                ends.append(np.mean(off**2))
            expected.flat[place] = (ends[0] - ends[1]) / 2e-6
        np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8)
    single = X.astype(np.float32)
    one, two = (gradients(held, build, single, targets, threads) for threads in (1, 2))
    np.testing.assert_array_equal(one[0], two[0])
    for name in found:
        np.testing.assert_array_equal(one[1][name], two[1][name])
        scale = np.abs(found[name]).max() + 1
        np.testing.assert_allclose(one[1][name], found[name], rtol=1e-3, atol=1e-4 * scale)
        np.testing.assert_array_equal(found[name], gradients(held, build, X, targets, 2)[1][name])


def draw(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape)


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(BATCHES), st.sampled_from(SIZES))
def test_of_each_column(n, columns):
    held = {"scale": Held(draw(columns), True), "shift": Held(draw(columns) + 1, True)}
    check(
        held,
        lambda own, x: plus(times(x, own("scale", x)), own("shift", x)),
        draw(n, columns),
        lambda x, scale, shift: x * scale + shift,
    )


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(BATCHES), st.sampled_from(SIZES), st.booleans())
def test_of_each_channel_of_images(n, channels, lanes):
    shape = channels, 3, 2
    held = {"scale": Held(draw(channels, 1, 1), True), "shift": Held(draw(3, 1), True)}

    def build(own, x):
        x = in_lanes(x) if lanes else x
        given = times(own("scale", x, shape, (1, 0, 0)), x)
        return nn.Flatten().record(plus(given, own("shift", given, shape, (0, 1, 0))), "")

    check(held, build, draw(n, *shape), lambda x, scale, shift: x * scale + shift)
    rows = lower(Wired(held, build), shape)
    assert all(row.lanes is lanes for row in rows if row.operation.name == "own")


@pytest.mark.parametrize("lanes", [False, True])
def test_numbers_met_again_add_up_and_those_that_are_left_out_have_none(lanes):
    """All of them, some behind one another, backwards, and one alone; in rows and in lanes."""
    held = {"w": Held(draw(2, 3, 4), True)}

    def build(own, x):
        x = in_lanes(x) if lanes else x
        whole = times(x, own("w", x))
        some = own("w", whole, (2, 3, 4), (0, 4, -1), 15)
        return nn.Flatten().record(
            plus(times(whole, some), own("w", x, (2, 3, 4), (0, 0, 0), 5)), ""
        )

    def function(x, w):
        return x * w * w[1, :, ::-1] + w[0, 1, 1]

    check(held, build, draw(17, 2, 3, 4), function)


def test_a_buffer_has_no_gradient_and_what_is_beside_it_has():
    held = {"mean": Held(draw(5), False), "w": Held(draw(5), True), "c": Held(np.array(2.0), False)}

    def build(own, x):
        h = times(x, own("w", x))
        return times(plus(h, own("mean", h)), own("c", h, (5,), (0,)))

    check(held, build, draw(9, 5), lambda x, mean, w, c: (x * w + mean) * c)
    X = draw(9, 5)
    engine, _ = engine_of(held, build, X)
    rows = [
        row for row, each in zip(engine.program.layers, engine.program.made_of, strict=True)
        if each.buffers
    ]  # fmt: skip
    assert len(rows) == 2
    assert not any(row["differentiated"] for row in rows)


def test_a_value_that_is_read_for_its_observations_alone_gets_deltas_of_zero():
    """Its own parameters have gradients of zero, and no numbers that stood there by chance."""
    held = {"w": Held(draw(4), True), "v": Held(draw(4), True)}

    def build(own, x):
        return nn.Tanh().record(own("v", times(x, own("w", x))), "")

    check(held, build, draw(5, 4), lambda x, w, v: np.tanh(v) + 0 * x)


def test_a_large_tensor_is_cut_into_blocks_that_threads_share():
    held = {"w": Held(draw(3, 20_000), True)}
    X = draw(3, 3, 20_000).astype(np.float32)

    def build(own, x):
        return nn.Flatten().record(times(x, own("w", x)), "")

    engine, _ = engine_of(held, build, X)
    ends = [(int(block["input"]), int(block["input_stop"])) for block in engine.program.blocks]
    assert len(ends) > 4
    assert [stop for _, stop in ends[:-1]] == [begin for begin, _ in ends[1:]]
    assert (ends[0][0], ends[-1][1]) == (0, 60_000)
    one, two = (
        gradients(held, build, X, np.zeros((3, 60_000)), threads)[1]["w"] for threads in (1, 2)
    )
    np.testing.assert_array_equal(one, two)
    expected = 2 * (X.astype(float) ** 2).sum(axis=0) * held["w"].numbers / (3 * 60_000)
    np.testing.assert_allclose(one, expected, rtol=1e-4, atol=1e-10)


def test_a_store_has_them_by_their_layers_names():
    held = {"scale": Held(draw(2, 2), True), "mean": Held(draw(3), False)}
    store = Store(Wired({"body": Wired(held, None), "b": nn.Linear(2, 2)}, None), np.float64)
    state = store.empty_state(1, False, False).parameters[0]
    store.initialize(np.arange(4, dtype=np.uint32), 0, state)
    found = store.take(state)
    assert list(found) == ["body.scale", "body.mean", "b.weight", "b.bias"]
    for name, each in held.items():
        np.testing.assert_array_equal(found[f"body.{name}"], each.numbers)
    begin, end = store.ends("body.scale")
    assert end - begin >= 4
    assert list(store.shapes()) == ["body.scale", "b.weight", "b.bias"]
    store.put("body.mean", np.arange(3.0), state)
    np.testing.assert_array_equal(store.take_one("body.mean", state), np.arange(3.0))


def test_what_layers_say_of_themselves():
    assert repr(Held(np.ones((2, 1)), True)) == "parameter of shape (2, 1)"
    assert repr(Held(np.ones(()), False)) == "buffer of shape ()"
    assert Held(np.ones(()), False).shape_of((7,)) == (1,)
    assert Held(np.ones(3), False).buffers() == {"": (3,)}
