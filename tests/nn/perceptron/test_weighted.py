"""Steps with weights: a plain loop of the engine's own steps, and what differs between members."""

import numpy as np
import pytest

from fastkb import nn
from fastkb.nn.checks import Observations
from fastkb.nn.perceptron import weighted as module
from fastkb.nn.perceptron.weighted import Each, WeightedEngine
from fastkb.nn.program import engine as engine_module
from fastkb.nn.program.engine import loss_code
from fastkb.nn.program.epochs import train_members
from fastkb.nn.program.step import State, Steps

RULES = {
    "sgd": nn.SGD(0.05),
    "momentum": nn.SGD(0.05, momentum=0.9, nesterov=True),
    "adam": nn.Adam(0.01),
}
MEMBERS, N, BATCH = 5, 23, 6


def problem(dtype=np.float64, optimizer=RULES["adam"]):
    rng = np.random.default_rng(0)
    engine = WeightedEngine([nn.Linear(4, 7), nn.Tanh(), nn.Linear(7, 2)], np.dtype(dtype))
    state = engine.empty_state(MEMBERS, optimizer.uses_first, optimizer.uses_second)
    for member in range(MEMBERS):
        engine.initialize(np.arange(4), member, state.parameters[member])
    weights = rng.poisson(1, (MEMBERS, N)).astype(dtype)
    data = Observations(
        rng.normal(size=(N, 4)).astype(dtype),
        rng.normal(size=(N, 2)).astype(dtype),
        np.zeros(0, np.int64),
        weights,
    )
    order = np.array([rng.permutation(N) for _ in range(MEMBERS)])
    steps = Steps(loss_code("squared_error"), 0.7, 0, 0.0, 0.0, BATCH, 0)
    each = Each(np.linspace(0.01, 0.05, MEMBERS), np.arange(MEMBERS), np.zeros(MEMBERS, np.int64))
    return engine, state, data, order, steps, optimizer.hyper(0.0, 1), each


def copied(state):
    return State(*(array.copy() for array in state))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", RULES)
def test_each_step_is_one_of_the_engines(rule, dtype):
    engine, state, data, order, steps, hyper, each = problem(dtype, RULES[rule])
    # The last batch of a member, and a batch in between, have no weight.
    data.weights[1, order[1, 18:]] = 0.0
    data.weights[2, order[2, 6:12]] = 0.0
    start = copied(state)
    updates = each.updates.copy()
    losses = engine.train_weighted(state, data, order, steps, hyper, each)
    for member in range(MEMBERS):
        alone = State(*(array[member : member + 1] for array in start))
        done = int(updates[member])
        for step in range(4):
            chosen = order[member, step * BATCH : (step + 1) * BATCH]
            chosen = chosen[data.weights[member, chosen] > 0]
            if not len(chosen):
                assert losses[member, step] == 0.0
                continue
            whole = float(data.weights[member, chosen].sum())
            now = steps._replace(l2=0.7 / whole, done=done)
            mine = data._replace(weights=data.weights[member])
            found = engine.train(
                alone, mine, chosen[None, :], now, hyper._replace(lr=each.rates[member])
            )
            assert losses[member, step] == found[0, 0]
            done += 1
        for mine, theirs in zip(state, alone, strict=True):
            np.testing.assert_array_equal(mine[member], theirs[0])
        assert each.updates[member] == done
    assert not each.ended.any()


def test_observations_without_weight_are_not_there():
    """Even if their loss is not finite."""
    engine, state, data, order, steps, hyper, each = problem()
    data.weights[:, 3] = 0.0
    other = copied(state)
    losses = engine.train_weighted(state, data, order, steps, hyper, each)
    data.inputs[3] = np.inf
    data.targets[3] = np.nan
    again = Each(each.rates, np.arange(MEMBERS), each.ended)
    np.testing.assert_array_equal(
        engine.train_weighted(other, data, order, steps, hyper, again), losses
    )
    np.testing.assert_array_equal(other.parameters, state.parameters)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_may_share_the_steps_of_one(dtype, monkeypatch):
    """Batches of few and of many observations in turn: what one leaves behind is not the next one's."""
    rng = np.random.default_rng(0)
    inputs, weights = rng.normal(size=(160, 4)).astype(dtype), np.zeros((1, 160), dtype)
    weights[0, :70] = rng.poisson(1, 70)
    ends = []
    for a_thread in (10**12, 1):
        monkeypatch.setattr(engine_module, "_A_THREAD", a_thread)
        monkeypatch.setattr(engine_module, "n_threads", lambda: 2)
        engine, state, data, _, steps, hyper, each = problem(dtype)
        data = data._replace(inputs=inputs, targets=inputs[:, :2] ** 2, weights=weights)
        one = State(*(array[:1].copy() for array in state))
        only = Each(*(array[:1].copy() for array in each))
        losses = []
        for epoch in range(6):
            order = np.random.default_rng(epoch).permutation(160)[None, :]
            order = np.sort(order) if epoch % 2 else order
            losses.append(
                engine.train_weighted(one, data, order, steps._replace(batch=40), hyper, only)
            )
        assert (losses[1][:, 2:] == 0).all()  # without weight
        ends.append((np.array(losses), *one, *only))
    for serial, shared in zip(*ends, strict=True):
        np.testing.assert_array_equal(serial, shared)


@pytest.mark.parametrize("a_thread", [10**12, 1])
def test_a_member_that_diverges_ends_and_the_others_go_on(a_thread, monkeypatch):
    monkeypatch.setattr(engine_module, "_A_THREAD", a_thread)
    monkeypatch.setattr(engine_module, "n_threads", lambda: 2)
    monkeypatch.setattr(module, "n_threads", lambda: 2)
    for count in (MEMBERS, 1):
        engine, state, data, order, steps, hyper, each = problem()
        data.targets[order[0, 8]] = np.inf  # in the second batch of the first
        data.weights[:, order[0, 8]] = 0.0
        data.weights[0, order[0, 8]] = 1.0
        state = State(*(array[:count] for array in state))
        data = data._replace(weights=data.weights[:count])
        each = Each(*(array[:count] for array in each))
        losses = engine.train_weighted(state, data, order[:count], steps, hyper, each)
        assert np.isfinite(losses[0, 0])
        assert not np.isfinite(losses[0, 1])
        assert (losses[0, 2:] == 0).all()
        assert each.updates.tolist() == [1, 5, 6, 7, 8][:count]
        assert each.ended.tolist() == [1, 0, 0, 0, 0][:count]
        assert np.isfinite(state.parameters).all()
        before = state.parameters[0].copy()
        assert (engine.train_weighted(state, data, order[:count], steps, hyper, each)[0] == 0).all()
        np.testing.assert_array_equal(state.parameters[0], before)


def test_the_interpreter_is_not_compiled_again():
    """What calls it from compiled code does so with the types that it was declared with."""
    for dtype in (np.float32, np.float64):
        engine, state, data, order, steps, hyper, each = problem(dtype)
        engine.train_weighted(state, data, order, steps, hyper, each)
    assert len(train_members.signatures) <= 2
    assert len(module.train_weighted.signatures) <= 2
