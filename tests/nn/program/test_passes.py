"""Forward and backward rules of random networks, each within a derived bound of the oracle's."""

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.nn.ops.losses import Loss
from fastkb.nn.optim.optimizers import LAMB, SGD, Adam, AdamW
from fastkb.nn.optim.updates import Hyper
from fastkb.nn.program.engine import each_of
from fastkb.nn.program.interpreter import run_steps
from fastkb.nn.program.layout import put_tensor, take_tensor
from fastkb.nn.program.passes import Sizes, Span, clear_beyond
from fastkb.nn.program.schedule import new_control
from fastkb.nn.program.step import GRADIENTS_ONLY, Data, Run, Scratch, State, Steps, new_scratch
from fastkb.reference import networks
from fastkb.runtime import jit
from fastkb.runtime.workers import call_together
from fastkb.scalar.activations import ACTIVATIONS
from tests.nn.program.chains import Link, chain

FLOATS = ("float32", "float64")
# What both drivers leave in the scratch.
SHARED = ("gradients", "values", "deltas", "ones", "losses", "squares")
CODES = {activation.name: code for code, activation in enumerate(ACTIVATIONS)}
NAMES = [name for name in CODES if name != "sign"]
# Around a vector, and a panel of two, of every size that there is.
EDGES = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65]


class Row(NamedTuple):
    """activation(W x + b), or an activation alone, whose weights are None."""

    weights: np.ndarray | None
    biases: np.ndarray | None
    activation: str
    parameter: float
    inputs: int
    outputs: int


class Case(NamedTuple):
    """A network with data, all of one element type."""

    rows: list[Row]
    X: np.ndarray
    targets: np.ndarray  # or labels
    weights: np.ndarray | None
    loss: str
    l2: float = 0.0
    l2_shared: bool = False

    @property
    def l2_of_step(self):
        """The penalty's factor in a batch of all observations."""
        return self.l2 / len(self.X) if self.l2_shared else self.l2

    @property
    def dtype(self):
        return self.X.dtype

    @property
    def layers(self):
        """As the oracle has them."""
        layers = []
        for row in self.rows:
            if row.weights is not None:
                biases = None if row.biases is None else row.biases.astype(float)
                layers.append(("linear", row.weights.astype(float), biases))
            layers.append(("activation", row.activation, row.parameter))
        return layers

    @property
    def observations(self):
        """In float64: X, targets or labels, weights."""
        labels = self.loss == "cross_entropy"
        targets = self.targets if labels else self.targets.astype(float)
        weights = None if self.weights is None else self.weights.astype(float)
        return self.X.astype(float), targets, weights


@st.composite
def architectures(draw):
    """Widths and activations: (inputs, [(linear or not, outputs, biases, activation)])."""
    widths = st.integers(1, 70) | st.sampled_from(EDGES)
    names = st.sampled_from(NAMES)
    inputs = width = draw(widths)
    rows = [(False, width, False, draw(names)) for _ in range(draw(st.integers(0, 2)))]
    for _ in range(draw(st.integers(1, 4))):
        width = draw(widths)
        rows.append((True, width, draw(st.booleans()), draw(names)))
        if draw(st.integers(0, 3)) == 0:
            rows.append((False, width, False, draw(names)))
    return inputs, rows


@st.composite
def cases(draw):
    width, rows = draw(architectures())
    dtype = draw(st.sampled_from(FLOATS))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(1, 40))
    X = rng.normal(size=(n, width)).astype(dtype)
    made = []
    for linear, outputs, has_biases, name in rows:
        weights = rng.normal(0, 1 / math.sqrt(width), (outputs, width)) if linear else None
        biases = rng.normal(size=outputs) if has_biases else None
        parameter = {"leaky_relu": 0.3, "elu": 1.5}.get(name, 0.0)
        cast = [None if array is None else array.astype(dtype) for array in (weights, biases)]
        made.append(Row(*cast, name, parameter, width, outputs))
        width = outputs
    loss = draw(st.sampled_from(list(networks.LOSSES)))
    targets = rng.normal(size=(n, width)).astype(dtype)
    if loss == "binary_cross_entropy":
        targets = rng.uniform(size=(n, width)).round(rng.integers(0, 3)).astype(dtype)
    elif loss == "cross_entropy":
        targets = rng.integers(0, width, n)
    weights = None
    if draw(st.booleans()):
        weights = rng.poisson(1.0, n).astype(dtype)
        weights[rng.integers(n)] = 1.5
    l2, shared = draw(st.sampled_from([(0.0, False), (0.1, False), (3.0, True)]))
    return Case(made, X, targets, weights, loss, l2, shared)


# --- our side ------------------------------------------------------------------------------------


class Ours(NamedTuple):
    """Everything that a step works in."""

    case: Case
    program: Any
    parameters: np.ndarray
    scratch: Scratch
    data: Data
    sizes: Sizes

    def rows(self, buffer, place, index):
        """What a row of the program left in the values or deltas.  # shape: (n, stride)"""
        row = self.program.layers[index]
        start, stride = row[place] * self.sizes.capacity, row["target_stride"]
        whole = buffer[start : start + self.sizes.capacity * stride]
        return whole.reshape(self.sizes.capacity, stride)[: len(self.case.X)]


def prepare(case):
    program = chain(
        [
            Link(
                row.inputs,
                row.outputs,
                row.weights is not None,
                row.biases is not None,
                CODES[row.activation],
                row.parameter,
                ACTIVATIONS[CODES[row.activation]].from_output,
            )
            for row in case.rows
        ],
        case.dtype.name,
    )
    blocking = program.blocking
    capacity = -(-len(case.X) // program.unit) * program.unit
    parameters = np.zeros(program.parameters, case.dtype)
    for index, row in enumerate(case.rows):
        if row.weights is not None:
            put_tensor(program, index, "weight", parameters, row.weights)
        if row.biases is not None:
            put_tensor(program, index, "bias", parameters, row.biases)

    scratch = new_scratch(program, capacity)
    labelled = case.loss == "cross_entropy"
    data = Data(
        case.X,
        np.zeros((0, program.outputs), case.dtype) if labelled else case.targets,
        case.targets if labelled else np.zeros(0, np.int64),
        np.zeros((1, 0), case.dtype) if case.weights is None else case.weights[None, :],
    )
    sizes = Sizes(blocking.mr, blocking.nr, blocking.width, capacity, 0, program.unit)
    return Ours(case, program, parameters, scratch, data, sizes)


def steps_of(case, clip_norm=0.0):
    return Steps(
        loss=int(Loss[case.loss.upper()]),
        l2=case.l2,
        penalty=int(case.l2_shared),
        clip_norm=clip_norm,
        clip_value=0.0,
        batch=len(case.X),
    )


def on_threads(parts, threads=2):
    """A driver: so many threads that share each step, and cut batches into so many parts."""

    def drive(run):
        call_together(run_steps, (run, parts, new_control()), threads)

    return drive


def alone(run):
    """A driver: this thread."""
    run_steps(run, 0, new_control())


def run(ours, driver=alone):
    """The loss; everything else is left in the scratch."""
    unused = np.zeros((1, 0), ours.case.dtype)
    state = State(ours.parameters[None, :], unused, unused)
    losses = np.zeros((1, 1))
    order = np.arange(len(ours.case.X))[None, :]
    arguments = (
        state, ours.program.rows, ours.scratch, ours.data, order, steps_of(ours.case),
        Hyper(GRADIENTS_ONLY, 0.0), each_of(1), ours.sizes,
    )  # fmt: skip
    before = ours.parameters.copy()
    driver(Run(*arguments, losses))
    np.testing.assert_array_equal(ours.parameters, before)
    return losses[0, 0]


# --- the oracle's side, with bounds --------------------------------------------------------------
#
# A sum of n products in floating-point numbers is wrong by n·eps times the sum of their absolute
# values at most, and a function by its slope times the error of its argument and some eps of its own
# (a few units in the last place). All errors are carried along to first order, and doubled.


class Bounded(NamedTuple):
    """A matrix, and how far a computed one may be from it."""

    exact: np.ndarray
    error: np.ndarray


OWN = 8  # eps of a result: more than the 3 units in the last place that the functions promise


def times(a, b, eps, start=0.0):
    """start + a b, with the terms in any order."""
    size = np.abs(a.exact) @ np.abs(b.exact) + np.abs(start)
    error = a.error @ np.abs(b.exact) + np.abs(a.exact) @ b.error
    return Bounded(a.exact @ b.exact + start, error + (a.exact.shape[1] + 2) * eps * size)


def activated(row, z, eps):
    """g(z) and g'(z)."""
    function, derivative = networks.ACTIVATIONS[row.activation]
    exact, slope = function(z.exact, row.parameter), derivative(z.exact, row.parameter)
    steepest = max(1.2, row.parameter)  # GELU's is 1.13
    error = steepest * z.error + OWN * eps * np.abs(exact)
    slope_error = np.zeros_like(exact)
    if row.activation == "relu":
        error[z.exact < -z.error] = 0.0
    elif row.activation not in ("identity", "leaky_relu"):
        # Computed from the output, or GELU's from the input; neither changes faster than by 2.
        slope_error = 2 * np.maximum(error, z.error) + OWN * eps * steepest
    else:
        slope_error += eps
    # Rounding may decide on which side of the kink an input stands.
    jump = {"relu": 1.0, "leaky_relu": 1 - row.parameter, "elu": abs(1 - row.parameter)}
    near = (np.abs(z.exact) <= z.error) & (z.error > 0)
    slope_error = slope_error + near * jump.get(row.activation, 0.0)
    return Bounded(exact, error), Bounded(slope, slope_error)


class Expected(NamedTuple):
    """Of a case: the loss, and for each row values, deltas and gradients."""

    loss_error: float
    values: list[Bounded]
    deltas: list[Bounded]
    gradients: list[Any]  # (of weights, of biases), or None


def differentiate_loss(case, z, eps):
    _, targets, weights = case.observations
    _, delta = networks.LOSSES[case.loss](z.exact, targets, weights)
    n, k = z.exact.shape
    weights = np.ones(n) if weights is None else weights
    share = (weights / weights.sum())[:, None]
    y = 0.0 if case.loss == "cross_entropy" else np.abs(targets)
    size = 1 + np.abs(z.exact).max(axis=1, keepdims=True) + y
    own = (k + OWN) * eps * size
    worst = z.error.max(axis=1, keepdims=True)
    part = share / (1 if case.loss == "cross_entropy" else k)
    delta_error = part * (2 * worst + own) + 3 * eps * np.abs(delta)
    # The losses' slopes: 2 |z - y| at most, or 2.
    steepest = 2 * size
    loss_error = (share * ((worst + 2 * own) * steepest).max(axis=1, keepdims=True)).sum()
    return float(loss_error), Bounded(delta, delta_error + np.zeros_like(delta))


def expect(case):
    eps = float(np.finfo(case.dtype).eps)
    X = case.observations[0]
    a = Bounded(X, np.zeros_like(X))
    values, slopes, sources = [], [], []
    for row in case.rows:
        sources.append(a)
        if row.weights is not None:
            W = row.weights.astype(float).T
            biases = 0.0 if row.biases is None else row.biases.astype(float)
            a = times(a, Bounded(W, np.zeros_like(W)), eps, biases)
        a, slope = activated(row, a, eps)
        values.append(a)
        slopes.append(slope)
    loss_error, delta = differentiate_loss(case, a, eps)
    deltas, gradients = [None] * len(case.rows), [None] * len(case.rows)
    for k in reversed(range(len(case.rows))):
        row, slope = case.rows[k], slopes[k]
        error = delta.error * (np.abs(slope.exact) + slope.error)
        error = error + np.abs(delta.exact) * (slope.error + 2 * eps * np.abs(slope.exact))
        delta = deltas[k] = Bounded(delta.exact * slope.exact, error)
        if row.weights is not None:
            W = row.weights.astype(float)
            turned = Bounded(delta.exact.T, delta.error.T)
            gradient = times(turned, sources[k], eps, case.l2_of_step * W)
            ones = Bounded(np.ones((1, len(X))), np.zeros((1, len(X))))
            gradients[k] = gradient, times(ones, delta, eps)
            delta = times(delta, Bounded(W, np.zeros_like(W)), eps)
    return Expected(loss_error, values, deltas, gradients)


def check(got, expected, exact=None):
    exact = expected.exact if exact is None else exact
    assert got.shape == exact.shape
    tiny = 1e-37 if got.dtype == np.float32 else 1e-300  # what underflows is gone
    assert (np.abs(got - exact) <= 2 * expected.error + tiny).all()


# --- tests ---------------------------------------------------------------------------------------


def has_deltas(program, index):
    """Whether a row's deltas are needed: the last one's, and where something before is trained."""
    rows = program.layers
    return index == len(rows) - 1 or bool(rows[index + 1]["wanted"])


@settings(max_examples=300)
@given(case=cases())
def test_values_deltas_and_gradients(case):
    ours, expected = prepare(case), expect(case)
    loss = run(ours)
    X, targets, weights = case.observations
    oracle, gradients = networks.loss_and_gradients(
        case.layers, X, targets, case.loss, weights, case.l2_of_step
    )
    # (What is computed in float64 throughout, the penalty too, is no worse than this.)
    assert abs(loss - oracle) <= 2 * expected.loss_error + 1e-12 * oracle
    gradients = [g for layer, g in zip(case.layers, gradients, strict=True) if layer[0] == "linear"]
    for index, row in enumerate(case.rows):
        values = ours.rows(ours.scratch.values, "target", index)
        check(values[:, : row.outputs], expected.values[index])
        if has_deltas(ours.program, index):
            deltas = ours.rows(ours.scratch.deltas, "target", index)
            check(deltas[:, : row.outputs], expected.deltas[index])
        if row.weights is not None:
            dW, db = gradients.pop(0)
            got = take_tensor(ours.program, index, "weight", ours.scratch.gradients)
            check(got, expected.gradients[index][0], dW)
            if row.biases is None:
                place = ours.program.layers[index]["biases"]
                assert not ours.scratch.gradients[place : place + row.outputs].any()
            else:
                got = take_tensor(ours.program, index, "bias", ours.scratch.gradients)
                check(got[None, :], expected.gradients[index][1], db[None, :])


@given(case=cases(), parts=st.sampled_from([1, 2, 4, 7]))
def test_gradients_alone_on_threads(case, parts):
    one, other = prepare(case), prepare(case)
    assert run(one) == run(other, on_threads(parts))
    for name in SHARED:
        np.testing.assert_array_equal(getattr(one.scratch, name), getattr(other.scratch, name))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_bounds_can_be_missed(name, dtype):
    """The bounds above are narrow: a two-hundredth (float64: 10⁻¹¹) more is too much."""
    rng = np.random.default_rng(0)
    rows = [
        Row(rng.normal(size=(20, 30)).astype(dtype) / 5, None, name, 0.3, 30, 20),
        Row(rng.normal(size=(3, 20)).astype(dtype) / 5, None, "identity", 0.0, 20, 3),
    ]
    X, y = rng.normal(size=(12, 30)).astype(dtype), rng.normal(size=(12, 3)).astype(dtype)
    expected = expect(Case(rows, X, y, None, "squared_error"))
    more = 5e-3 if dtype == "float32" else 1e-11
    for gradient, _ in expected.gradients:
        wrong = np.abs(more * gradient.exact) > 2 * gradient.error
        assert wrong.mean() > 0.5


def step(ours, optimizer, driver=alone, clip_norm=0.0):
    """Train one step in place; the losses."""
    size = ours.program.parameters
    state = State(
        ours.parameters[None, :],
        np.zeros((1, size * optimizer.uses_first), ours.case.dtype),
        np.zeros((1, size * optimizer.uses_second), ours.case.dtype),
    )
    order = np.random.default_rng(0).permutation(len(ours.case.X))[None, :]
    losses = np.zeros((1, 1))
    arguments = (
        state, ours.program.rows, ours.scratch, ours.data, order, steps_of(ours.case, clip_norm),
        optimizer.hyper(0.1, 1), each_of(1, 0.1), ours.sizes,
    )  # fmt: skip
    driver(Run(*arguments, losses))
    # (What the drivers keep for themselves: the transposes are of the weights before the step, or already
    # of those after it.)
    return [losses, *state, *(getattr(ours.scratch, name) for name in SHARED)]


OPTIMIZERS = [SGD(0.1), SGD(0.1, momentum=0.9, nesterov=True), Adam(0.1), AdamW(0.1), LAMB(0.1)]


@settings(max_examples=150)
@given(
    case=cases(),
    parts=st.sampled_from([1, 2, 4, 7, 32]),
    threads=st.sampled_from([1, 2, 3]),
    optimizer=st.sampled_from(OPTIMIZERS),
    clip_norm=st.sampled_from([0.0, 0.01]),
)
def test_parts_do_not_matter(case, parts, threads, optimizer, clip_norm):
    """Every bit of parameters, state, gradients, values and deltas, however each pass is cut."""
    whole = step(prepare(case), optimizer, clip_norm=clip_norm)
    cut = step(prepare(case), optimizer, on_threads(parts, threads), clip_norm)
    for a, b in zip(cut, whole, strict=True):
        np.testing.assert_array_equal(a, b)


@settings(max_examples=150)
@given(case=cases(), optimizer=st.sampled_from(OPTIMIZERS), clip_norm=st.sampled_from([0.0, 0.01]))
def test_padding_stays_zero(case, optimizer, clip_norm):
    ours = prepare(case)
    used = np.zeros(ours.program.parameters, case.dtype)
    for index, row in enumerate(case.rows):
        if row.weights is not None:
            put_tensor(ours.program, index, "weight", used, np.ones_like(row.weights))
        if row.biases is not None:
            put_tensor(ours.program, index, "bias", used, np.ones_like(row.biases))
    for _ in range(2):
        _, *state, gradients, values, deltas, ones, _, _ = step(
            ours, optimizer, clip_norm=clip_norm
        )
        for buffer in (*state, gradients):
            assert buffer.size == 0 or not buffer.ravel()[used == 0].any()
        for index, row in enumerate(case.rows):
            for place in ("target", "kept"):
                if place == "target" or row.activation != "gelu":
                    assert not ours.rows(values, place, index)[:, row.outputs :].any()
            assert not ours.rows(deltas, "target", index)[:, row.outputs :].any()
        assert (ones == 1).all()


class Place(NamedTuple):
    lanes: int


@jit(cache=False, references=False)
def _clear_beyond(row, buffer, span, sizes):
    clear_beyond(row, buffer, 1, 3, span, sizes)


@pytest.mark.parametrize("span", [Span(0, 8), Span(8, 16), Span(16, 24), Span(0, 24)])
@pytest.mark.parametrize("observations", [1, 7, 8, 11, 12, 24])
@pytest.mark.parametrize("lanes", [0, 1])
def test_observations_that_there_are_not_are_cleared(lanes, observations, span):
    """Of a span alone, where a value of three elements stands behind another one of one."""
    capacity, width = 24, 4
    buffer = np.arange(1.0, capacity * 4 + 1)
    expected = buffer.copy()
    part = expected[capacity:].reshape(capacity, 3)
    if lanes:
        part = expected[capacity:].reshape(capacity // width, 3, width).transpose(0, 2, 1)
    for r in range(max(span.begin, observations), span.stop):
        if lanes:
            part[r // width, r % width] = 0.0
        else:
            part[r] = 0.0
    sizes = Sizes(8, 8, width, capacity, observations, 8)
    _clear_beyond(Place(lanes), buffer, span, sizes)
    np.testing.assert_array_equal(buffer, expected)


def test_more_terms_than_are_added_up_at_a_time():
    """Inputs, outputs and observations beyond kc, and beside a multiple of it."""
    rng = np.random.default_rng(0)
    for dtype in FLOATS:
        rows = [
            Row(rng.normal(size=(300, 513)) / 20, rng.normal(size=300), "tanh", 0.0, 513, 300),
            Row(rng.normal(size=(3, 300)) / 20, None, "identity", 0.0, 300, 3),
        ]
        rows = [
            row._replace(
                weights=row.weights.astype(dtype),
                biases=None if row.biases is None else row.biases.astype(dtype),
            )
            for row in rows
        ]
        X, y = rng.normal(size=(257, 513)).astype(dtype), rng.normal(size=(257, 3)).astype(dtype)
        case = Case(rows, X, y, None, "squared_error")
        ours, expected = prepare(case), expect(case)
        oracle, _ = networks.loss_and_gradients(case.layers, *case.observations[:2], case.loss)
        assert abs(run(ours) - oracle) <= 2 * expected.loss_error
        for index, (dW, _) in enumerate(expected.gradients):
            check(take_tensor(ours.program, index, "weight", ours.scratch.gradients), dW)
        db = take_tensor(ours.program, 0, "bias", ours.scratch.gradients)
        check(db[None, :], expected.gradients[0][1])
        whole = step(prepare(case), Adam(0.1))
        cut = step(prepare(case), Adam(0.1), on_threads(4))
        for a, b in zip(cut, whole, strict=True):
            np.testing.assert_array_equal(a, b)
