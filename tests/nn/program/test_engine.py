"""The engine: parameters in and out of its buffers, and calls that nothing but the data decides."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb import nn
from fastkb.nn.checks import LOSSES
from fastkb.nn.observations import Observations
from fastkb.nn.program import engine as module
from fastkb.nn.program.engine import Engine, each_of, loss_code
from fastkb.nn.program.step import State, Steps
from fastkb.random.streams import key_from_rng
from fastkb.reference import networks as reference

KEY = key_from_rng(0)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])

ACTIVATIONS = [
    nn.ReLU(), nn.LeakyReLU(0.2), nn.ELU(0.7), nn.Sigmoid(), nn.Tanh(), nn.Softplus(), nn.GELU(),
    nn.Identity(),
]  # fmt: skip
widths = st.integers(1, 40)


def plain_layers(layers, parameters):
    """The layers as the reference takes them, in float64."""
    found = []
    for place, layer in enumerate(layers):
        if isinstance(layer, nn.Linear):
            W, b = parameters[f"{place}.weight"], parameters.get(f"{place}.bias")
            found.append(("linear", W.astype(float), None if b is None else b.astype(float)))
        else:
            found.append(("activation", layer.name, layer.parameter))
    return found


def forward_and_bound(layers, X, eps):
    """The reference's outputs, and how far rounding of size `eps` may carry others from them.

    A product of k terms adds up to (k + 2) eps of the sum of its absolute terms. An activation with a
    slope below 1.2 adds 16 eps of one at most, for what its own evaluation is off.
    """
    values, bound = X.astype(float), np.zeros(X.shape)
    for layer in layers:
        if layer[0] == "linear":
            _, W, b = layer
            size = np.abs(values) @ np.abs(W).T + (0 if b is None else np.abs(b))
            bound = bound @ np.abs(W).T + (W.shape[1] + 2) * eps * size
        else:
            bound = 1.2 * bound + 16 * eps * (1 + np.abs(values))
        values = reference.forward([layer], values)[-1]
    return values, bound


def drawn(layers, dtype, member=0):
    engine = Engine(layers, np.dtype(dtype))
    buffer = engine.empty_state(1, False, False).parameters[0]
    engine.initialize(KEY, member, buffer)
    return engine, buffer


def on_threads(count, function):
    before = numba.get_num_threads()
    numba.set_num_threads(count)
    try:
        return function()
    finally:
        numba.set_num_threads(before)


# --- parameters ---------------------------------------------------------------------------------


@given(
    n=widths,
    h=widths,
    m=widths,
    biases=st.tuples(st.booleans(), st.booleans()),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 1000),
)
def test_what_is_put_is_taken(n, h, m, biases, dtype, seed):
    rng = np.random.default_rng(seed)
    layers = [nn.Linear(n, h, biases[0]), nn.Tanh(), nn.Linear(h, m, biases[1])]
    engine = Engine(layers, np.dtype(dtype))
    given = {"0.weight": rng.normal(size=(h, n)), "0.bias": rng.normal(size=h),
             "2.weight": rng.normal(size=(m, h)), "2.bias": rng.normal(size=m)}  # fmt: skip
    given = {
        name: value.astype(dtype)
        for name, value in given.items()
        if name.endswith("weight") or biases[int(name[0]) // 2]
    }
    buffer = engine.empty_state(1, False, False).parameters[0]
    for name, value in given.items():
        engine.put(name, value, buffer)
    taken = engine.take(buffer)
    assert list(taken) == list(given)
    for name, value in given.items():
        assert taken[name].dtype == dtype
        np.testing.assert_array_equal(taken[name], value)
    # The rest is padding, and zero.
    assert np.count_nonzero(buffer) == sum(np.count_nonzero(value) for value in given.values())
    for value in taken.values():  # copies
        value[...] = 0
    np.testing.assert_array_equal(engine.take(buffer)["0.weight"], given["0.weight"])


def test_put_leaves_no_trace_of_what_was_there():
    engine, buffer = drawn([nn.Linear(5, 9), nn.ReLU(), nn.Linear(9, 3)], np.float64)
    fresh, again = drawn([nn.Linear(5, 9), nn.ReLU(), nn.Linear(9, 3)], np.float64, member=1)
    for name, value in fresh.take(again).items():
        engine.put(name, value, buffer)
    np.testing.assert_array_equal(buffer, again)


def test_first_parameters_are_the_members_own():
    layers = [nn.Linear(3, 4), nn.Linear(4, 2, initialization="he")]
    engine, first = drawn(layers, np.float64, member=7)
    _, again = drawn(layers, np.float64, member=7)
    _, other = drawn(layers, np.float64, member=8)
    np.testing.assert_array_equal(first, again)
    assert (engine.take(first)["0.weight"] != engine.take(other)["0.weight"]).all()
    _, single = drawn(layers, np.float32, member=7)
    smaller = Engine(layers, np.dtype(np.float32)).take(single)
    for name, value in engine.take(first).items():
        np.testing.assert_array_equal(smaller[name], value.astype(np.float32))


# --- forward ------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    n=st.integers(1, 300),
    shape=st.tuples(widths, widths, st.integers(1, 20)),
    activations=st.lists(st.sampled_from(ACTIVATIONS), min_size=2, max_size=2),
    first=st.booleans(),
    bias=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_the_reference_has_the_same_outputs(n, shape, activations, first, bias, dtype):
    d, h, m = shape
    layers = [nn.Linear(d, h, bias), *activations, nn.Linear(h, m)]
    if first:  # an activation in front, two in a row behind the first layer
        layers = [activations[0], *layers]
    engine, buffer = drawn(layers, dtype)
    X = np.random.default_rng(n).normal(size=(n, d)).astype(dtype)
    out = engine.forward(buffer, X)
    expected, bound = forward_and_bound(
        plain_layers(layers, engine.take(buffer)), X, np.finfo(dtype).eps
    )
    assert out.dtype == dtype
    assert (np.abs(out - expected) <= bound).all()


@each_dtype
@pytest.mark.parametrize("n", [1, 5, 127, 128, 129, 256, 300])
def test_blocks_are_parts_of_the_whole(n, dtype, monkeypatch):
    layers = [nn.Linear(7, 33), nn.GELU(), nn.Linear(33, 18), nn.Tanh(), nn.Linear(18, 3)]
    engine, buffer = drawn(layers, dtype)
    X = np.random.default_rng(0).normal(size=(n, 7)).astype(dtype)
    whole = engine.forward(buffer, X)
    for some in (slice(0, 1), slice(n // 3, n // 3 + 1), slice(n // 2, n), slice(0, n, 2)):
        part = engine.forward(buffer, np.ascontiguousarray(X[some]))
        np.testing.assert_array_equal(part, whole[some])
    for block in (1, 10, 1000):
        monkeypatch.setattr(engine, "_evaluated", block)
        np.testing.assert_array_equal(engine.forward(buffer, X), whole)


@each_dtype
def test_threads_do_not_matter_to_outputs(dtype, monkeypatch):
    monkeypatch.setattr(module, "_APART", 1)
    engine, buffer = drawn([nn.Linear(7, 33), nn.GELU(), nn.Linear(33, 3)], dtype)
    X = np.random.default_rng(0).normal(size=(1000, 7)).astype(dtype)
    one = on_threads(1, lambda: engine.forward(buffer, X))
    np.testing.assert_array_equal(engine.forward(buffer, X), one)


@each_dtype
@pytest.mark.parametrize("threads", [2, 3, 5])
def test_threads_share_what_they_evaluate_in(threads, dtype, monkeypatch):
    """Each in its own part of it; some of them may find nothing left, or have none to do."""
    engine, buffer = drawn([nn.Linear(7, 33), nn.GELU(), nn.Linear(33, 3)], dtype)
    X = np.random.default_rng(0).normal(size=(1000, 7)).astype(dtype)
    one = on_threads(1, lambda: engine.forward(buffer, X))
    monkeypatch.setattr(module, "_APART", 1)
    monkeypatch.setattr(module, "n_threads", lambda: threads)
    for n in (1, 7, 8, 9, 17, 100, 129, 257, 999, 1000):
        for _ in range(5):
            np.testing.assert_array_equal(engine.forward(buffer, X[:n]), one[:n])


def test_a_call_leaves_nothing_for_the_next():
    engine, buffer = drawn([nn.Linear(4, 9), nn.Softplus(), nn.Linear(9, 2)], np.float64)
    rng = np.random.default_rng(0)
    many, few = rng.normal(size=(90, 4)) * 1e3, rng.normal(size=(7, 4))
    before = engine.forward(buffer, few)
    engine.forward(buffer, many)
    np.testing.assert_array_equal(engine.forward(buffer, few), before)
    observations = Observations(many, rng.normal(size=(90, 2)), np.zeros(0, np.int64), np.zeros(0))
    engine.loss_and_gradients(buffer, observations, "squared_error", 0.0)
    np.testing.assert_array_equal(engine.forward(buffer, few), before)


# --- training -----------------------------------------------------------------------------------


def observations_of(n, d, m, loss, dtype, members=0):
    rng = np.random.default_rng(3)
    targets, labels = np.zeros((0, m), dtype), np.zeros(0, np.int64)
    if loss == "cross_entropy":
        labels = rng.integers(0, m, n)
    else:
        targets = rng.uniform(size=(n, m)).astype(dtype)
    weights = rng.integers(0, 3, (members, n)).astype(dtype) if members else np.zeros(0, dtype)
    return Observations(rng.normal(size=(n, d)).astype(dtype), targets, labels, weights)


def steps_of(loss, batch, **others):
    numbers = {"l2": 0.0, "clip_norm": 0.0, "clip_value": 0.0, **others}
    return Steps(**{**dict.fromkeys(Steps._fields, 0), "loss": loss_code(loss), "batch": batch}
                 | numbers)  # fmt: skip


def trained(layers, dtype, loss, members, order, batch, optimizer, weighted=False):
    engine = Engine(layers, np.dtype(dtype))
    state = engine.empty_state(members, optimizer.uses_first, optimizer.uses_second)
    for member in range(members):
        engine.initialize(KEY, member, state.parameters[member])
    rows = order.max() + 1
    observations = observations_of(
        rows, layers[0].in_features, layers[-1].out_features, loss, dtype, members * weighted
    )
    steps = steps_of(loss, batch, l2=0.01, clip_norm=1.0)
    hyper, each = optimizer.hyper(optimizer.lr, 1), each_of(members, optimizer.lr)
    losses = engine.train(state, observations, order, steps, hyper, each)
    return state, losses


@each_dtype
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("optimizer", [nn.SGD(0.1, 0.9), nn.AdamW(0.01), nn.LAMB(0.01)], ids=repr)
def test_shared_steps_give_the_same_bits(loss, optimizer, dtype, monkeypatch):
    """Each pass of a step shared by the threads, or all of it on one; fewer observations at last."""
    layers = [nn.Linear(65, 130), nn.Tanh(), nn.GELU(), nn.Linear(130, 3)]
    order = np.random.default_rng(0).permutation(200)[None]
    arguments = layers, dtype, loss, 1, order, 90, optimizer
    monkeypatch.setattr(module, "_A_THREAD", 2**62)
    state, losses = trained(*arguments)
    assert losses.shape == (1, 3)
    assert np.isfinite(losses).all()
    monkeypatch.setattr(module, "_A_THREAD", 1)
    for parts in (1, 2, 7):
        monkeypatch.setattr(module, "_PARTS", parts)
        shared, shared_losses = trained(*arguments)
        np.testing.assert_array_equal(shared_losses, losses)
        for values, others in zip(shared, state, strict=True):
            np.testing.assert_array_equal(values, others)


@each_dtype
def test_members_do_not_see_each_other(dtype):
    layers = [nn.Linear(5, 17), nn.ReLU(), nn.Linear(17, 2)]
    order = np.array([np.random.default_rng(seed).permutation(50) for seed in range(7)])
    arguments = layers, dtype, "squared_error", 7, order, 16, nn.Adam(0.01)
    together, losses = trained(*arguments, weighted=True)
    assert losses.shape == (7, 4)
    one, one_losses = on_threads(1, lambda: trained(*arguments, weighted=True))
    np.testing.assert_array_equal(losses, one_losses)
    for values, others in zip(together, one, strict=True):
        np.testing.assert_array_equal(values, others)
    engine = Engine(layers, np.dtype(dtype))
    whole = observations_of(50, 5, 2, "squared_error", dtype, 7)
    for member in range(7):
        alone = engine.empty_state(1, True, True)
        engine.initialize(KEY, member, alone.parameters[0])
        mine = whole._replace(weights=whole.weights[member])
        steps = steps_of("squared_error", 16, l2=0.01, clip_norm=1.0)
        hyper = nn.Adam(0.01).hyper(0.01, 1)
        engine.train(alone, mine, order[member : member + 1], steps, hyper, each_of(1, 0.01))
        np.testing.assert_array_equal(alone.parameters[0], together.parameters[member])


def test_a_member_that_diverges_stops_and_the_others_go_on():
    layers = [nn.Linear(1, 1, bias=False)]
    engine = Engine(layers, np.dtype(np.float64))
    # Its error is multiplied by 1 - 2 lr x², and by -1e51 for x = 1.
    lr, count = 5e50, 9
    ones, weights = np.ones((count, 1)), np.array([[1.0] * count, [0.0] * count])
    observations = Observations(ones, ones, np.zeros(0, np.int64), weights)
    state = engine.empty_state(2, False, False)
    order = np.tile(np.arange(count), (2, 1))
    steps = steps_of("squared_error", 1)
    losses = engine.train(
        state, observations, order, steps, nn.SGD(lr).hyper(lr, 1), each_of(2, lr)
    )
    expected = [1.0, 1e102, 1e204, 1e306, np.inf, 0.0, 0.0, 0.0, 0.0]
    np.testing.assert_allclose(losses[0], expected, rtol=1e-12)
    assert engine.take(state.parameters[0])["0.weight"] == pytest.approx(-1e204, rel=1e-12)
    assert not losses[1].any()  # no weight, no loss, no step
    assert not state.parameters[1].any()


def test_padding_stays_zero():
    layers = [nn.Linear(3, 5), nn.Sigmoid(), nn.Softplus(), nn.Linear(5, 2)]
    order = np.arange(40)[None]
    state, _ = trained(layers, np.float64, "squared_error", 1, order, 8, nn.Adam(0.1))
    engine = Engine(layers, np.dtype(np.float64))
    for buffer in state:
        emptied = buffer[0].copy()
        for name, value in engine.take(emptied).items():
            engine.put(name, np.zeros_like(value), emptied)
        assert not emptied.any()


# --- the penalty --------------------------------------------------------------------------------


@each_dtype
def test_the_penalty_is_of_the_weights_alone(dtype):
    layers = [nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, 3)]
    engine, buffer = drawn(layers, dtype)
    observations = observations_of(30, 5, 3, "squared_error", dtype)
    taken = engine.take(buffer)
    squares = sum(
        float(np.sum(value.astype(float) ** 2))
        for name, value in taken.items()
        if name.endswith("weight")
    )
    bare, gradients = engine.loss_and_gradients(buffer, observations, "squared_error", 0.0)
    bare_gradients = engine.take(gradients)
    value, gradients = engine.loss_and_gradients(buffer, observations, "squared_error", 0.5)
    # 72 squares of one sign, added up in float64.
    assert value - bare == pytest.approx(0.25 * squares, rel=100 * 2**-52)
    for name, gradient in engine.take(gradients).items():
        penalty = 0.5 * taken[name] if name.endswith("weight") else 0.0
        error = 4 * np.finfo(dtype).eps * (np.abs(bare_gradients[name]) + np.abs(taken[name]))
        assert (np.abs(gradient - (bare_gradients[name] + penalty)) <= error).all()


@each_dtype
@pytest.mark.parametrize("a_thread", [1, 2**62])
def test_the_penalty_of_training_is_that_of_the_loss(dtype, a_thread, monkeypatch):
    monkeypatch.setattr(module, "_A_THREAD", a_thread)
    layers = [nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, 3)]
    engine, buffer = drawn(layers, dtype)
    observations = observations_of(30, 5, 3, "squared_error", dtype)
    value, gradients = engine.loss_and_gradients(buffer, observations, "squared_error", 0.5)
    state = State(buffer[None].copy(), *engine.empty_state(1, False, False)[1:])
    steps = steps_of("squared_error", 30, l2=0.5)
    losses = engine.train(
        state, observations, np.arange(30)[None], steps, nn.SGD(1).hyper(1, 1), each_of(1, 1.0)
    )
    assert losses.tolist() == [[value]]
    np.testing.assert_array_equal(state.parameters[0], buffer - gradients)


def test_empty_states_hold_what_is_used():
    engine = Engine([nn.Linear(2, 3)], np.dtype(np.float32))
    state = engine.empty_state(4, False, True)
    assert isinstance(state, State)
    assert state.first.shape == (4, 0)
    assert state.second.shape == state.parameters.shape == (4, engine.program.parameters)
    assert all(values.dtype == np.float32 for values in state)
