"""The interpreter: the oracle's steps, the same bits however they are run, and no harm from a bad one."""

import math
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb import nn
from fastkb.nn.observations import Observations
from fastkb.nn.ops.losses import Loss
from fastkb.nn.optim.optimizers import LAMB, SGD, Adagrad, Adam, AdamW, RMSprop
from fastkb.nn.optim.updates import Hyper
from fastkb.nn.program import engine as engine_module
from fastkb.nn.program.engine import Engine, each_of, loss_code
from fastkb.nn.program.interpreter import evaluate, run_steps
from fastkb.nn.program.layout import put_tensor, take_tensor
from fastkb.nn.program.passes import Sizes
from fastkb.nn.program.schedule import (
    BEGIN,
    CONTROL,
    KIND,
    OBSERVATIONS,
    TASKS,
    _claim,
    _open,
    new_control,
    no_control,
)
from fastkb.nn.program.step import (
    BY_NOTHING,
    BY_WEIGHTS,
    GRADIENTS_ONLY,
    Data,
    Each,
    Run,
    State,
    Steps,
    new_scratch,
)
from fastkb.reference import networks
from fastkb.runtime import jit
from fastkb.runtime.workers import call_together
from fastkb.scalar.activations import ACTIVATIONS
from tests.nn.program.chains import Link, chain

FLOATS = ("float32", "float64")
each_dtype = pytest.mark.parametrize("dtype", FLOATS)
CODES = {activation.name: code for code, activation in enumerate(ACTIVATIONS)}

# Widths, the activation between, the loss.
ARCHITECTURES = {
    "one node": ((3, 1), "tanh", "binary_cross_entropy"),
    "small": ((5, 7, 2), "softplus", "squared_error"),
    "classifier": ((17, 33, 9, 4), "elu", "cross_entropy"),
    "wide": ((70, 129, 65, 3), "relu", "half_squared_error"),
    "gelu": ((4, 16, 16, 1), "gelu", "squared_error"),
}
OPTIMIZERS = {
    "SGD": SGD(0.1),
    "momentum": SGD(0.05, momentum=0.9),
    "Nesterov": SGD(0.05, momentum=0.9, nesterov=True),
    "Adagrad": Adagrad(0.05),
    "RMSprop": RMSprop(0.01),
    "Adam": Adam(0.01),
    "AdamW": AdamW(0.01, weight_decay=0.1),
    "LAMB": LAMB(0.01, weight_decay=0.1),
    "clipped by norm": Adam(0.01, clip_norm=0.05),
    "clipped by value": SGD(0.1, clip_value=0.01),
    "clipped by both": SGD(0.1, momentum=0.5, clip_value=0.01, clip_norm=0.02),
}
each_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES)
each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)


class Network(NamedTuple):
    """An architecture with data for it."""

    program: Any
    loss: str
    activation: str
    inputs: np.ndarray
    targets: np.ndarray  # or labels
    weights: np.ndarray  # (n,), or (0,)

    @property
    def dtype(self):
        return self.inputs.dtype

    @property
    def data(self):
        labelled = self.loss == "cross_entropy"
        return Data(
            self.inputs,
            np.zeros((0, self.program.outputs), self.dtype) if labelled else self.targets,
            self.targets if labelled else np.zeros(0, np.int64),
            self.weights[None, :],
        )


def make_network(architecture, dtype, n=53, weighted=False, seed=0):
    widths, activation, loss = ARCHITECTURES[architecture]
    last = len(widths) - 2
    names = [activation if k < last else "identity" for k in range(last + 1)]
    program = chain(
        [
            Link(
                widths[k], widths[k + 1], True, k != 1, CODES[name], 1.0,
                ACTIVATIONS[CODES[name]].from_output,
            )
            for k, name in enumerate(names)
        ],
        dtype,
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(n, widths[0])).astype(dtype)
    targets = rng.normal(size=(n, widths[-1])).astype(dtype)
    if loss == "cross_entropy":
        targets = rng.integers(0, widths[-1], n)
    elif loss == "binary_cross_entropy":
        targets = (targets > 0).astype(dtype)
    weights = rng.poisson(1.0, n if weighted else 0).astype(dtype)
    return Network(program, loss, activation, inputs, targets, weights)


def draw_parameters(network, member=0):
    rng = np.random.default_rng(1000 + member)
    buffer = np.zeros(network.program.parameters, network.dtype)
    for k, row in enumerate(network.program.layers):
        shape = row["outputs"], row["inputs"]
        weights = rng.normal(0, 1 / math.sqrt(shape[1]), shape)
        put_tensor(network.program, k, "weight", buffer, weights)
        if row["has_biases"]:
            put_tensor(network.program, k, "bias", buffer, rng.normal(size=shape[0]))
    return buffer


def new_state(network, optimizer, members=(0,)):
    size = network.program.parameters
    return State(
        np.stack([draw_parameters(network, member) for member in members]),
        np.zeros((len(members), size * optimizer.uses_first), network.dtype),
        np.zeros((len(members), size * optimizer.uses_second), network.dtype),
    )


def scratch_for(program, batch, threads=1):
    """Scratch, and the sizes that belong to it."""
    blocking, unit = program.blocking, program.unit
    capacity = -(-batch // unit) * unit
    sizes = Sizes(blocking.mr, blocking.nr, blocking.width, capacity, 0, unit)
    return new_scratch(program, capacity, threads=threads), sizes


def train(
    network, state, order, optimizer, batch=8, done=0, l2=0.0, l2_shared=0, parts=0,
    weights=None, scratch=None, hyper=None, threads=1,
):  # fmt: skip
    """Run the steps of an order; the losses. With `parts` on so many threads."""
    order = np.ascontiguousarray(np.atleast_2d(order))
    members, count = order.shape
    room, sizes = scratch_for(network.program, batch, threads)
    data = network.data
    if weights is None:
        weights = np.repeat(data.weights, members, axis=0)
    steps = Steps(
        loss=int(Loss[network.loss.upper()]),
        l2=l2,
        penalty=l2_shared,
        clip_norm=optimizer.clip_norm or 0.0,
        clip_value=optimizer.clip_value or 0.0,
        batch=batch,
    )
    losses = np.full((members, -(-count // batch)), -1.0)
    arguments = (
        state, network.program.rows, room if scratch is None else scratch,
        data._replace(weights=np.ascontiguousarray(weights)), order, steps,
        hyper or optimizer.hyper(optimizer.lr, done + 1), each_of(members, optimizer.lr, done), sizes,
    )  # fmt: skip
    if parts:
        call_together(run_steps, (Run(*arguments, losses), parts, new_control()), threads)
    else:
        run_steps(Run(*arguments, losses), 0, new_control())
    return losses


def assert_same_bits(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


# --- the oracle ----------------------------------------------------------------------------------


def oracle_rules(optimizer):
    """The oracle's optimiser of weights, and of biases, which do not decay."""
    name = type(optimizer).__name__
    if name == "SGD":
        make = lambda: networks.SGD(optimizer.momentum, optimizer.nesterov)  # noqa: E731
        return make(), make()
    if name == "Adagrad":
        return networks.Adagrad(optimizer.eps), networks.Adagrad(optimizer.eps)
    if name == "RMSprop":
        return tuple(networks.RMSprop(optimizer.alpha, optimizer.eps) for _ in range(2))
    if name == "Adam":
        return tuple(networks.Adam(optimizer.betas, optimizer.eps) for _ in range(2))
    rule = getattr(networks, name)
    return (
        rule(optimizer.betas, optimizer.eps, optimizer.weight_decay),
        rule(optimizer.betas, optimizer.eps, 0.0),
    )


def oracle_train(network, order, optimizer, batch, l2, l2_shared):
    """The losses, and [(weights, biases or None), …] after a plain loop."""
    buffer, rows = draw_parameters(network), network.program.layers
    parameters = [
        (
            take_tensor(network.program, k, "weight", buffer).astype(float),
            take_tensor(network.program, k, "bias", buffer).astype(float)
            if row["has_biases"]
            else None,
        )
        for k, row in enumerate(rows)
    ]
    rules = [oracle_rules(optimizer) for _ in parameters]
    losses, clipped = [], 0
    for begin in range(0, len(order), batch):
        chosen = order[begin : begin + batch]
        layers = []
        for weights, biases in parameters:
            layers += [("linear", weights, biases), ("activation", network.activation, 1.0)]
        loss, gradients = networks.loss_and_gradients(
            layers[:-1],
            network.inputs[chosen],
            network.targets[chosen],
            network.loss,
            network.weights[chosen] if len(network.weights) else None,
            l2 / len(chosen) if l2_shared else l2,
        )
        losses.append(loss)
        flat = [g for pair in gradients if pair is not None for g in pair if g is not None]
        whole = np.concatenate([g.ravel() for g in flat])
        if optimizer.clip_value:
            flat = networks.clip_by_value(flat, optimizer.clip_value)
        if optimizer.clip_norm:
            flat = networks.clip_by_norm(flat, optimizer.clip_norm)
        clipped += (np.concatenate([g.ravel() for g in flat]) != whole).any()
        for k, (weights, biases) in enumerate(parameters):
            weights = rules[k][0].step(weights, flat.pop(0), optimizer.lr)
            if biases is not None:
                biases = rules[k][1].step(biases, flat.pop(0), optimizer.lr)
            parameters[k] = weights, biases
    return losses, parameters, clipped


@each_architecture
@each_optimizer
@pytest.mark.parametrize(
    ("weighted", "l2", "l2_shared"), [(False, 0.0, 0), (True, 0.1, 0), (False, 2.0, 1)]
)
def test_ten_steps_of_the_oracle(architecture, optimizer, weighted, l2, l2_shared):
    """With a ragged tenth batch."""
    network = make_network(architecture, "float64", n=77, weighted=weighted)
    optimizer = OPTIMIZERS[optimizer]
    order = np.random.default_rng(1).permutation(77)
    state = new_state(network, optimizer)
    losses = train(network, state, order, optimizer, 8, l2=l2, l2_shared=l2_shared)
    expected, parameters, clipped = oracle_train(network, order, optimizer, 8, l2, l2_shared)
    assert len(expected) == 10
    np.testing.assert_allclose(losses[0], expected, rtol=1e-9)
    for k, (weights, biases) in enumerate(parameters):
        got = take_tensor(network.program, k, "weight", state.parameters[0])
        np.testing.assert_allclose(got, weights, rtol=1e-9, atol=1e-10)
        if biases is not None:
            got = take_tensor(network.program, k, "bias", state.parameters[0])
            np.testing.assert_allclose(got, biases, rtol=1e-9, atol=1e-10)
    if optimizer.clip_norm or optimizer.clip_value:
        assert clipped > 5  # the limits are felt


@each_architecture
@pytest.mark.parametrize("optimizer", ["SGD", "momentum", "Nesterov", "clipped by both"])
def test_float32_follows_float64(architecture, optimizer):
    """Five steps; each adds the error of a gradient, some hundred roundings, times a rate of 0.1.

    (The first steps of the others are signs of gradients, be those rounding alone.)
    """
    optimizer = OPTIMIZERS[optimizer]
    results = []
    for dtype in FLOATS:
        network = make_network(architecture, dtype, n=40)
        state = new_state(network, optimizer)
        losses = train(network, state, np.arange(40), optimizer)
        layers = range(len(network.program.layers))
        found = [
            take_tensor(network.program, k, "weight", state.parameters[0]).ravel() for k in layers
        ]
        results.append((losses[0], np.concatenate(found)))
    for single, double in zip(*results, strict=True):
        np.testing.assert_allclose(single, double, rtol=1e-4, atol=1e-4)


# --- the same bits -------------------------------------------------------------------------------


@each_dtype
@each_architecture
@each_optimizer
def test_members_and_threads_compute_the_same(dtype, architecture, optimizer):
    network = make_network(architecture, dtype, weighted=True)
    optimizer = OPTIMIZERS[optimizer]
    order = np.random.default_rng(2).permutation(53)
    results = []
    for threads, parts in ((1, 0), (1, 1), (1, 7), (2, 4), (3, 2), (5, 10)):
        state = new_state(network, optimizer)
        losses = train(network, state, order, optimizer, 8, l2=0.01, parts=parts, threads=threads)
        results.append([losses, *state])
    assert np.isfinite(results[0][0]).all()
    assert (results[0][1] != draw_parameters(network)).any()
    for other in results[1:]:
        assert_same_bits(other, results[0])


@each_dtype
@pytest.mark.parametrize("parts", [0, 3])
@settings(max_examples=40)
@given(
    n=st.integers(2, 60),
    batch=st.integers(1, 20),
    architecture=st.sampled_from(list(ARCHITECTURES)),
    optimizer=st.sampled_from(list(OPTIMIZERS)),
    data=st.data(),
)
def test_an_epoch_in_several_calls(dtype, parts, n, batch, architecture, optimizer, data):
    network = make_network(architecture, dtype, n)
    optimizer = OPTIMIZERS[optimizer]
    order = np.random.default_rng(n).permutation(n)
    steps = -(-n // batch)
    whole = new_state(network, optimizer)
    losses = train(network, whole, order, optimizer, batch, done=5, parts=parts)
    cuts = {0, steps, *data.draw(st.lists(st.integers(0, steps), max_size=3))}
    cuts = sorted(cuts)
    state, found = new_state(network, optimizer), []
    for begin, end in pairwise(cuts):
        some = order[begin * batch : end * batch]
        found.append(train(network, state, some, optimizer, batch, done=5 + begin, parts=parts))
    assert_same_bits([np.concatenate(found, axis=1), *state], [losses, *whole])


@each_dtype
def test_done_steps_count(dtype):
    """Adam's corrections are those of step done + 1, ...: later ones move further here."""
    network = make_network("small", dtype)
    results = []
    for done in (0, 1000):
        state = new_state(network, Adam(0.01))
        train(network, state, np.arange(8), Adam(0.01), done=done)
        results.append(np.abs(state.parameters[0] - draw_parameters(network)).max())
    np.testing.assert_allclose(results[0], 0.01, rtol=1e-2)
    # 0.1·g / √(0.001·g²), over √(1 - 0.999¹⁰⁰¹)
    corrected = 0.01 * 0.1 / math.sqrt(0.001 / (1 - 0.999**1001))
    np.testing.assert_allclose(results[1], corrected, rtol=1e-2)


@each_dtype
@each_architecture
@each_optimizer
def test_a_member_does_not_depend_on_the_others(dtype, architecture, optimizer):
    network = make_network(architecture, dtype)
    optimizer = OPTIMIZERS[optimizer]
    rng = np.random.default_rng(3)
    members = range(5)
    order = np.stack([rng.permutation(53) for _ in members])
    weights = rng.poisson(1.0, (5, 53)).astype(dtype)
    arguments = {"batch": 10, "l2": 0.01}
    state = new_state(network, optimizer, members)
    losses = train(network, state, order, optimizer, weights=weights, **arguments)
    assert len(np.unique(losses[:, -1])) == 5
    for some in (slice(0, 1), slice(3, 4), slice(2, 5)):
        alone = new_state(network, optimizer, members[some])
        found = train(network, alone, order[some], optimizer, weights=weights[some], **arguments)
        assert_same_bits([found, *alone], [array[some] for array in (losses, *state)])


@each_dtype
@pytest.mark.parametrize("parts", [0, 3])
def test_gradients_alone_change_nothing(dtype, parts):
    """Not where the loss is not finite either, whose gradients are wanted all the same."""
    network = make_network("classifier", dtype)
    network.inputs[0] = np.inf
    hyper = Hyper(GRADIENTS_ONLY, 0.0)
    state = new_state(network, Adam(0.01))
    scratch, _ = scratch_for(network.program, 8)
    losses = train(
        network, state, np.arange(16), Adam(0.01), parts=parts, hyper=hyper, scratch=scratch
    )
    assert np.isfinite(losses[0]).tolist() == [False, True]
    assert_same_bits(state, new_state(network, Adam(0.01)))
    fresh, _ = scratch_for(network.program, 8)
    train(network, state, np.arange(8, 16), Adam(0.01), hyper=hyper, scratch=fresh)
    np.testing.assert_array_equal(scratch.gradients, fresh.gradients)


@each_dtype
def test_scratch_keeps_nothing_of_an_earlier_call(dtype):
    network = make_network("classifier", dtype)
    fresh, used = new_state(network, Adam(0.01)), new_state(network, Adam(0.01))
    order = np.arange(53)
    losses = train(network, fresh, order, Adam(0.01))
    scratch, _ = scratch_for(network.program, 8)
    train(network, new_state(network, LAMB(0.1), [7]), order[::-1], LAMB(0.1), scratch=scratch)
    again = train(network, used, order, Adam(0.01), scratch=scratch)
    assert_same_bits([again, *used], [losses, *fresh])


# --- losses that are not finite ------------------------------------------------------------------


@each_dtype
@pytest.mark.parametrize("parts", [0, 4])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, "overflow"])
def test_steps_end_before_a_loss_that_is_not_finite(dtype, parts, wrong):
    network = make_network("small", dtype, n=40)
    value = np.finfo(dtype).max / 4 if wrong == "overflow" else wrong
    network.inputs[20] = value  # of the third step
    state = new_state(network, Adam(0.01))
    losses = train(network, state, np.arange(40), Adam(0.01), parts=parts)
    assert np.isfinite(losses[0, :2]).all()
    assert not np.isfinite(losses[0, 2])
    assert (losses[0, 3:] == -1.0).all()
    before = new_state(network, Adam(0.01))
    first = train(network, before, np.arange(16), Adam(0.01), parts=parts)
    assert_same_bits([losses[:, :2], *state], [first, *before])


@each_dtype
@each_optimizer
@pytest.mark.parametrize("architecture", ["small", "classifier", "gelu"])
def test_a_member_that_ends_does_no_harm_to_the_next(dtype, optimizer, architecture):
    """Both in the same scratch, on one thread; the first has weights that are not finite."""
    network = make_network(architecture, dtype)
    optimizer = OPTIMIZERS[optimizer]
    order = np.tile(np.random.default_rng(4).permutation(53), (2, 1))
    state = new_state(network, optimizer, [0, 1])
    state.parameters[0, network.program.layers[0]["weights"]] = np.nan
    losses = train(network, state, order, optimizer, l2=0.01)
    assert np.isnan(losses[0, 0])
    alone = new_state(network, optimizer, [1])
    expected = train(network, alone, order[1:], optimizer, l2=0.01)
    assert_same_bits([losses[1:], *(array[1:] for array in state)], [expected, *alone])


@each_dtype
@pytest.mark.parametrize("optimizer", ["SGD", "clipped by norm", "LAMB"])
@pytest.mark.parametrize("activation", ["gelu", "tanh"])
def test_infinite_values_behind_a_finite_loss_do_no_harm_to_the_next(dtype, optimizer, activation):
    """The first member's hidden layer overflows, and the last activation hides it from its loss."""
    optimizer = OPTIMIZERS[optimizer]
    codes = [CODES["relu"], CODES[activation]]
    program = chain(
        [
            Link(3, 4, True, True, codes[0]),
            Link(4, 3, True, True, codes[1], 0.0, ACTIVATIONS[codes[1]].from_output),
        ],
        dtype,
    )
    rng = np.random.default_rng(5)
    inputs = np.abs(rng.normal(size=(24, 3))).astype(dtype) + 1
    targets = rng.normal(size=(24, 3)).astype(dtype)
    network = Network(program, "squared_error", "relu", inputs, targets, np.zeros(0, dtype))
    state = new_state(network, optimizer, [0, 1])
    large = np.finfo(dtype).max / 2
    put_tensor(program, 0, "weight", state.parameters[0], np.full((4, 3), large))
    put_tensor(program, 1, "weight", state.parameters[0], -np.ones((3, 4)))
    order = np.tile(np.arange(24), (2, 1))
    losses = train(network, state, order, optimizer)
    assert np.isnan(losses[0, 0])  # as its gradient is
    alone = new_state(network, optimizer, [1])
    expected = train(network, alone, order[1:], optimizer)
    assert_same_bits([losses[1:], *(array[1:] for array in state)], [expected, *alone])


@each_dtype
@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "clipped by value", "LAMB"])
@pytest.mark.parametrize("parts", [0, 2])
def test_a_gradient_that_overflows_changes_nothing(dtype, optimizer, parts):
    """Outputs of some ten, from inputs near the largest number: so is each part of the gradient."""
    optimizer = OPTIMIZERS[optimizer]
    large = np.finfo(dtype).max / 4
    program = chain([Link(4, 5, True, True)], dtype)
    inputs = np.full((30, 4), large, dtype)
    network = Network(
        program, "squared_error", "", inputs, np.zeros((30, 5), dtype), np.zeros(0, dtype)
    )
    state = new_state(network, optimizer)
    put_tensor(program, 0, "weight", state.parameters[0], np.full((5, 4), 10 / large))
    before = [array.copy() for array in state]
    losses = train(network, state, np.arange(30), optimizer, batch=30, parts=parts)
    assert np.isnan(losses).all()
    assert_same_bits(state, before)
    # With much smaller inputs nothing overflows.
    network = network._replace(inputs=inputs / 64)
    losses = train(network, state, np.arange(30), optimizer, batch=30, parts=parts)
    assert np.isfinite(losses).all()
    assert np.isfinite(state.parameters).all()
    assert (state.parameters != before[0]).any()


# --- evaluation ----------------------------------------------------------------------------------


@each_dtype
@each_architecture
@settings(max_examples=25)
@given(n=st.integers(1, 90), capacity=st.integers(1, 40))
def test_evaluation(dtype, architecture, n, capacity):
    network = make_network(architecture, dtype, 90)
    parameters = draw_parameters(network)
    some = network.inputs[:n]

    def outputs_of(inputs, capacity):
        scratch, sizes = scratch_for(network.program, capacity)
        out = np.full((len(inputs), network.program.outputs), np.nan, dtype)
        sizes = sizes._replace(observations=sizes.capacity)
        evaluate(parameters, network.program.layers, scratch, inputs, sizes, out, no_control())
        return out

    out = outputs_of(some, capacity)
    layers = []
    for k, row in enumerate(network.program.layers):
        biases = take_tensor(network.program, k, "bias", parameters) if row["has_biases"] else None
        weights = take_tensor(network.program, k, "weight", parameters).astype(float)
        layers += [("linear", weights, biases), ("activation", network.activation, 1.0)]
    expected = networks.forward(layers[:-1], some.astype(float))[-1]
    # Up to four sums of at most 129 terms behind each other, none of which is above some ten.
    atol = 4 * 129 * 10 * np.finfo(dtype).eps
    np.testing.assert_allclose(out, expected, rtol=0, atol=atol)
    # An observation's outputs do not depend on its company.
    np.testing.assert_array_equal(outputs_of(some[-1:], 1)[0], out[-1])


@each_dtype
def test_evaluation_agrees_with_the_losses(dtype):
    network = make_network("classifier", dtype)
    parameters = draw_parameters(network)
    scratch, sizes = scratch_for(network.program, 53)
    out = np.empty((53, 4), dtype)
    sizes = sizes._replace(observations=sizes.capacity)
    evaluate(parameters, network.program.layers, scratch, network.inputs, sizes, out, no_control())
    state = new_state(network, SGD(0.1))
    loss = train(network, state, np.arange(53), SGD(0.1), batch=53)[0, 0]
    expected, _ = networks.cross_entropy(out.astype(float), network.targets)
    assert abs(loss - expected) <= 53 * np.finfo(dtype).eps * expected


# --- compilation ---------------------------------------------------------------------------------


@each_dtype
def test_another_architecture_compiles_nothing(dtype):
    network = make_network("one node", dtype, weighted=True)
    for parts in (0, 2):
        train(network, new_state(network, SGD(0.1)), np.arange(53), SGD(0.1), parts=parts)
    before = len(run_steps.signatures)
    for architecture in ARCHITECTURES:
        network = make_network(architecture, dtype)
        for optimizer in OPTIMIZERS.values():
            for parts in (0, 5):
                state = new_state(network, optimizer)
                train(network, state, np.arange(20), optimizer, parts=parts, l2=1.0)
    assert len(run_steps.signatures) == before <= len(FLOATS)


# --- claims --------------------------------------------------------------------------------------


@jit(cache=False, references=False)
def _open_and_claim(control, tasks, ends, claimed):
    _open(control, OBSERVATIONS, tasks, False)
    for k in range(len(ends)):
        claimed[k] = _claim(control, ends[k] == 1)


@pytest.mark.parametrize("tasks", [1, 2, 7, 1000])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_each_task_is_claimed_once_from_either_end(tasks, share):
    ends = (np.random.default_rng(tasks).uniform(size=tasks) < share).astype(np.int64)
    control, claimed = np.zeros(CONTROL, np.int64), np.empty(tasks, np.int64)
    _open_and_claim(control, tasks, ends, claimed)
    assert sorted(claimed.tolist()) == list(range(tasks))
    assert claimed[ends == 0].tolist() == list(range(int((ends == 0).sum())))
    assert claimed[ends == 1].tolist() == list(range(tasks))[::-1][: int(ends.sum())]
    assert control[KIND] == OBSERVATIONS


def test_without_tasks_all_is_over():
    claimed = np.zeros(3, np.int64)
    _open_and_claim(np.zeros(CONTROL, np.int64), 0, np.array([0, 1, 0]), claimed)
    assert claimed.tolist() == [-1, -1, -1]


def test_the_first_phase_is_one_task():
    control = new_control()
    assert (control[KIND], control[TASKS]) == (BEGIN, 1)


def test_more_tasks_than_can_be_counted_are_one_threads(monkeypatch):
    monkeypatch.setattr(engine_module, "_A_THREAD", 1)
    monkeypatch.setattr(engine_module, "n_threads", lambda: 4)
    engine = Engine([nn.Linear(40, 90), nn.Tanh(), nn.Linear(90, 5)], np.dtype(np.float32))
    assert engine.threads(100) == 4
    monkeypatch.setattr(engine_module, "MOST_TASKS", len(engine.program.blocks) - 1)
    assert engine.threads(100) == 1


# --- weights -------------------------------------------------------------------------------------

RULES = {
    "sgd": nn.SGD(0.05),
    "momentum": nn.SGD(0.05, momentum=0.9, nesterov=True),
    "adam": nn.Adam(0.01),
}
MEMBERS, N, BATCH = 5, 23, 6


def problem(dtype=np.float64, optimizer=RULES["adam"]):
    rng = np.random.default_rng(0)
    engine = Engine([nn.Linear(4, 7), nn.Tanh(), nn.Linear(7, 2)], np.dtype(dtype))
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
    steps = Steps(loss_code("squared_error"), 0.7, BY_WEIGHTS, 0.0, 0.0, BATCH)
    each = each_of(MEMBERS)._replace(
        rates=np.linspace(0.01, 0.05, MEMBERS), updates=np.arange(MEMBERS)
    )
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
    losses = engine.train(state, data, order, steps, hyper, each)
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
            now = steps._replace(l2=0.7 / whole, penalty=BY_NOTHING)
            mine = data._replace(weights=data.weights[member])
            one = each_of(1, each.rates[member], done)
            found = engine.train(alone, mine, chosen[None, :], now, hyper, one)
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
    losses = engine.train(state, data, order, steps, hyper, each)
    data.inputs[3] = np.inf
    data.targets[3] = np.nan
    again = each._replace(updates=np.arange(MEMBERS))
    np.testing.assert_array_equal(engine.train(other, data, order, steps, hyper, again), losses)
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
            losses.append(engine.train(one, data, order, steps._replace(batch=40), hyper, only))
        assert (losses[1][:, 2:] == 0).all()  # without weight
        ends.append((np.array(losses), *one, *only))
    for serial, shared in zip(*ends, strict=True):
        np.testing.assert_array_equal(serial, shared)


@pytest.mark.parametrize("a_thread", [10**12, 1])
def test_a_member_that_diverges_ends_and_the_others_go_on(a_thread, monkeypatch):
    monkeypatch.setattr(engine_module, "_A_THREAD", a_thread)
    monkeypatch.setattr(engine_module, "n_threads", lambda: 2)
    for count in (MEMBERS, 1):
        engine, state, data, order, steps, hyper, each = problem()
        data.targets[order[0, 8]] = np.inf  # in the second batch of the first
        data.weights[:, order[0, 8]] = 0.0
        data.weights[0, order[0, 8]] = 1.0
        state = State(*(array[:count] for array in state))
        data = data._replace(weights=data.weights[:count])
        each = Each(*(array[:count] for array in each))
        losses = engine.train(state, data, order[:count], steps, hyper, each)
        assert np.isfinite(losses[0, 0])
        assert not np.isfinite(losses[0, 1])
        assert (losses[0, 2:] == 0).all()
        assert each.updates.tolist() == [1, 5, 6, 7, 8][:count]
        assert each.ended.tolist() == [1, 0, 0, 0, 0][:count]
        assert np.isfinite(state.parameters).all()
        before = state.parameters[0].copy()
        assert (engine.train(state, data, order[:count], steps, hyper, each)[0] == 0).all()
        np.testing.assert_array_equal(state.parameters[0], before)
