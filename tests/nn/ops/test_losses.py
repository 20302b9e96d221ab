"""Losses and their derivatives against the oracle in float64, with extreme logits too."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.nn.ops.losses import (
    OF_CLASSES,
    OF_LABELS,
    OF_TWO,
    WITH_WEIGHTS,
    Answers,
    Loss,
    NamedLoss,
    Outputs,
    losses_and_deltas,
    named,
    share_of_one,
)
from fastkb.nn.program.passes import Span
from fastkb.reference import losses as references
from fastkb.reference import networks, normalization
from fastkb.runtime import jit
from tests.nn.program.chains import Link, chain

FLOATS = ("float32", "float64")
each_dtype = pytest.mark.parametrize("dtype", FLOATS)
EXTREMES = [0.0, 80.0, -80.0, 1e4, -1e4]
CAPACITY = 48


class Scratch(NamedTuple):
    values: np.ndarray
    deltas: np.ndarray
    losses: np.ndarray
    room: np.ndarray


@jit(cache=False)
def _loss_and_deltas(code, outputs, values, deltas, answers, spans, losses):
    share = share_of_one(code, outputs, answers)
    for begin, stop in spans:
        scratch = Scratch(values, deltas, losses, np.empty_like(losses))
        losses_and_deltas(code, outputs, answers, share, Span(begin, stop), scratch)


def ours(loss, z, y, weights=None, chosen=None, number=0.0):
    """Loss and deltas of the rows of z, which are those of the chosen observations of y and weights."""
    n, k = z.shape
    dtype = z.dtype
    program = chain([Link(3, k, True, True)], dtype.name)
    row = program.layers[0]
    stride, start = int(row["target_stride"]), int(row["target"]) * CAPACITY
    values = np.full(program.values * CAPACITY, np.nan, dtype)
    deltas = np.full(len(values), np.nan, dtype)
    places = start + np.arange(n)[:, None] * stride + np.arange(k)
    values[places] = z
    width = program.blocking.width
    padded = -(-k // width) * width
    padding = start + np.arange(n)[:, None] * stride + np.arange(k, padded)
    values[padding] = 0
    before = values.copy()
    labelled = loss in OF_LABELS
    answers = Answers(
        np.zeros((0, k), dtype) if labelled else y.astype(dtype),
        y if labelled else np.zeros(0, np.int64),
        np.zeros(0, dtype) if weights is None else weights.astype(dtype),
        np.arange(n) if chosen is None else chosen,
        number,
    )
    losses = np.full(CAPACITY, np.nan)
    spans = np.array([[0, n // 2], [n // 2, CAPACITY]])  # the second beyond the batch
    _loss_and_deltas(
        int(Loss[loss.upper()]),
        Outputs(start, stride, k, padded),
        values,
        deltas,
        answers,
        spans,
        losses,
    )
    np.testing.assert_array_equal(values, before)
    beside = np.ones(len(deltas), bool)
    beside[places] = False
    if loss == "cross_entropy":
        assert not deltas[padding].any()
        beside[padding] = False
    assert np.isnan(deltas[beside]).all()  # rows and columns beyond the batch are not touched
    assert np.isnan(losses[n:]).all()
    return sum(losses[:n].tolist()), deltas[places]


def oracle(loss, z, y, weights=None):
    y = y if loss == "cross_entropy" else y.astype(float)
    weights = None if weights is None else weights.astype(float)
    return networks.LOSSES[loss](z.astype(float), y, weights)


def targets_of(loss, rng, n, k, dtype):
    """Targets, or labels; those of the binary cross-entropy between 0 and 1, some at an end."""
    if loss == "cross_entropy":
        return rng.integers(0, k, n)
    y = rng.normal(size=(n, k)) * 10
    if loss == "binary_cross_entropy":
        y = np.clip(0.3 * y, 0, 1)
    return y.astype(dtype)


def check(loss, z, y, weights=None, chosen=None):
    """Within a few roundings of each row's part, whose terms are as large as logits and targets."""
    n, k = z.shape
    dtype = z.dtype
    rows = np.arange(n) if chosen is None else chosen
    here = None if weights is None else weights[rows]
    got, deltas = ours(loss, z, y, weights, chosen)
    expected, gradient = oracle(loss, z, y[rows], here)
    eps = float(np.finfo(dtype).eps)
    labelled = loss == "cross_entropy"
    share = np.ones(n) if here is None else here.astype(float)
    share = share / max(share.sum(), 1e-300)
    large = np.abs(z.astype(float)).max(axis=1)
    if not labelled:
        large = large + np.abs(y[rows].astype(float)).max(axis=1)
    squared = loss.endswith("squared_error")
    size = large**2 if squared else 1 + large
    # k terms, or a sum of k exponentials; a handful of operations in each.
    bound = (k + 16) * eps * (share * size).sum()
    assert abs(got - expected) <= bound
    each = share if labelled else share / k
    bound = (k + 16) * eps * each * (2 * large if squared else 1)
    assert (np.abs(deltas - gradient) <= bound[:, None] + np.finfo(dtype).tiny).all()
    return got, deltas


@settings(max_examples=300)
@given(
    loss=st.sampled_from(list(networks.LOSSES)),
    n=st.integers(1, 40),
    k=st.integers(1, 40),
    dtype=st.sampled_from(FLOATS),
    weighted=st.booleans(),
    scale=st.sampled_from([0.01, 1.0, 80.0, 1e4]),
    seed=st.integers(0, 2**32),
)
def test_the_oracle(loss, n, k, dtype, weighted, scale, seed):
    rng = np.random.default_rng(seed)
    z = (scale * rng.normal(size=(n, k))).astype(dtype)
    observations = n + 5
    y = targets_of(loss, rng, observations, k, dtype)
    weights = rng.poisson(1.0, observations).astype(dtype) if weighted else None
    check(loss, z, y, weights, rng.integers(0, observations, n))  # some chosen twice


@each_dtype
@pytest.mark.parametrize("loss", ["binary_cross_entropy", "cross_entropy"])
def test_extreme_logits(loss, dtype):
    """Every pair of extremes, with every label."""
    pairs = np.array([(a, b) for a in EXTREMES for b in EXTREMES], dtype)
    z = np.repeat(pairs, 2, axis=0)
    y = np.tile([0, 1], len(pairs))
    for some in np.array_split(np.arange(len(z)), 2):
        here = y[some]
        if loss == "binary_cross_entropy":
            here = np.stack([here, 1 - here], axis=1).astype(dtype)
        got, deltas = check(loss, z[some], here)
        assert np.isfinite(got)
        assert np.isfinite(deltas).all()


@each_dtype
@pytest.mark.parametrize("logit", EXTREMES)
@pytest.mark.parametrize("y", [0.0, 0.25, 1.0])
def test_one_logit(dtype, logit, y):
    z, targets = np.array([[logit]], dtype), np.array([[y]], dtype)
    loss, deltas = check("binary_cross_entropy", z, targets)
    assert loss >= 0
    if abs(logit) == 1e4:
        probability = float(logit > 0)
        assert loss == abs(probability - y) * 1e4
        assert deltas == probability - y


@each_dtype
@pytest.mark.parametrize("logit", [1.0, 10.0, 30.0, 40.0, 80.0])
def test_small_losses_of_right_predictions_keep_their_digits(dtype, logit):
    """log(1 + e⁻ᶻ), for y = 1 and z as for y = 0 and -z."""
    expected = np.log1p(np.exp(-logit))
    for z, y in ((logit, 1.0), (-logit, 0.0)):
        got, _ = ours("binary_cross_entropy", np.array([[z]], dtype), np.array([[y]], dtype))
        assert abs(got - expected) <= 8 * np.finfo(dtype).eps * expected


@each_dtype
def test_squared_error_of_large_numbers(dtype):
    z, y = np.array([[1e15, -1e15, 3.0]], dtype), np.array([[-1e15, 1e15, 3.0]], dtype)
    for loss in ("squared_error", "half_squared_error"):
        check(loss, z, y)


@each_dtype
@pytest.mark.parametrize("n", [1, 5])
def test_one_class_is_certain(dtype, n):
    z = np.linspace(-1e4, 1e4, n).astype(dtype)[:, None]
    loss, deltas = ours("cross_entropy", z, np.zeros(n, np.int64))
    assert loss == 0.0
    assert not deltas.any()


@each_dtype
@pytest.mark.parametrize("loss", list(networks.LOSSES))
def test_a_batch_without_weight(loss, dtype):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(9, 3)).astype(dtype)
    y = targets_of(loss, rng, 20, 3, dtype)
    weights = np.r_[np.zeros(9), np.ones(11)].astype(dtype)
    got, deltas = ours(loss, z, y, weights, np.arange(9))
    assert got == 0.0
    assert (deltas == 0).all()
    assert oracle(loss, z, y[:9], weights[:9])[0] == 0.0


@each_dtype
@pytest.mark.parametrize("loss", list(networks.LOSSES))
@pytest.mark.parametrize("smallest", [False, True])
def test_weights_matter_by_their_ratios(loss, dtype, smallest):
    rng = np.random.default_rng(1)
    z = rng.normal(size=(12, 4)).astype(dtype)
    y = targets_of(loss, rng, 12, 4, dtype)
    weights = rng.integers(0, 4, 12).astype(dtype)
    # A power of two, exact throughout.
    tiny = 2.0**-140 if dtype == "float32" else 2.0**-1000
    factor = tiny if smallest else 2.0**40
    one, deltas = ours(loss, z, y, weights)
    other, scaled = ours(loss, z, y, weights * np.dtype(dtype).type(factor))
    assert abs(one - other) <= 4 * np.finfo(dtype).eps * one
    np.testing.assert_allclose(scaled, deltas, rtol=4 * np.finfo(dtype).eps)


@each_dtype
@pytest.mark.parametrize("loss", list(networks.LOSSES))
def test_an_observation_twice_counts_twice(loss, dtype):
    rng = np.random.default_rng(2)
    z = rng.normal(size=(6, 3)).astype(dtype)
    y = targets_of(loss, rng, 6, 3, dtype)
    chosen = np.array([0, 1, 1, 3, 5, 5, 5])
    counts = np.bincount(chosen, minlength=6).astype(dtype)
    twice, _ = ours(loss, z[chosen], y, None, chosen)
    weighted, _ = ours(loss, z, y, counts)
    assert abs(twice - weighted) <= 8 * np.finfo(dtype).eps * twice


@each_dtype
@pytest.mark.parametrize("loss", list(networks.LOSSES))
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0), (3, 1), (4, 2)])
def test_a_logit_that_is_no_number_makes_the_loss_none(loss, dtype, wrong, place):
    """Infinity too: the cross-entropies' formulas end there, if the loss is not infinite anyway."""
    rng = np.random.default_rng(3)
    z = rng.normal(size=(5, 3)).astype(dtype)
    y = targets_of(loss, rng, 5, 3, dtype)
    if loss == "cross_entropy":
        y[place[0]] = place[1]
    elif loss == "binary_cross_entropy":
        y[place] = float(wrong < 0)  # the wrong prediction
    z[place] = wrong
    got, _ = ours(loss, z, y)
    assert not np.isfinite(got)


@each_dtype
@pytest.mark.parametrize("loss", list(networks.LOSSES))
def test_derivatives_are_slopes(loss, dtype):
    """Central differences of our own loss: error h² of the truth, and eps/h of rounding."""
    rng = np.random.default_rng(4)
    z = rng.normal(size=(4, 3))
    y = targets_of(loss, rng, 4, 3, "float64") / 10
    if loss == "cross_entropy":
        y = rng.integers(0, 3, 4)
    _, deltas = ours(loss, z.astype(dtype), y)
    h = 1e-5
    for place in np.ndindex(z.shape):
        up, down = z.copy(), z.copy()
        up[place] += h
        down[place] -= h
        slope = (ours(loss, up, y)[0] - ours(loss, down, y)[0]) / (2 * h)
        assert abs(deltas[place] - slope) <= 1e-9 + 32 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", FLOATS)
def test_half_of_the_squared_error(dtype):
    rng = np.random.default_rng(5)
    z, y = rng.normal(size=(2, 7, 3)).astype(dtype)
    whole, deltas = ours("squared_error", z, y)
    half, halves = ours("half_squared_error", z, y)
    assert half == whole / 2
    np.testing.assert_array_equal(halves, deltas / 2)


def test_no_second_compilation():
    rng = np.random.default_rng(6)
    z = rng.normal(size=(3, 2))
    ours("squared_error", z, z)
    before = len(_loss_and_deltas.signatures)
    for loss in networks.LOSSES:
        ours(loss, z, targets_of(loss, rng, 3, 2, "float64"), np.ones(3))
    assert len(_loss_and_deltas.signatures) == before


# --- losses that are rarer: against the references, row by row -----------------------------------


def soft_cross_entropy(z, y):
    logarithms = normalization.log_softmax(z, 1)
    return -float((y * logarithms).sum()), y.sum() * np.exp(logarithms) - y


def of_probabilities(z, y):
    half = z.shape[1]
    return references.binary_cross_entropy(z, y[:, :half], y[:, half:])


def of_logits(z, y):
    half = z.shape[1]
    return references.binary_cross_entropy_with_logits(z, y[:, :half], y[:, half:])


# By names, and numbers that go with them.
RARER = {
    ("smooth_l1", 0.7): lambda z, y: references.smooth_l1_loss(z, y, 0.7),
    ("smooth_l1", 0.0): references.l1_loss,
    ("huber", 0.6): lambda z, y: references.huber_loss(z, y, 0.6),
    ("soft_cross_entropy", 0.0): soft_cross_entropy,
    ("log_cross_entropy", 0.0): references.nll_loss,
    ("weighted_binary_cross_entropy", 0.0): of_logits,
    ("plain_binary_cross_entropy", 0.0): of_probabilities,
}
each_rarer = pytest.mark.parametrize("loss", RARER, ids=str)


def rarer_case(loss, rng, n, observations, k, dtype):
    """Outputs of n observations, and targets of all."""
    z = rng.normal(size=(n, k)).astype(dtype)
    if loss in OF_LABELS:
        return z, rng.integers(0, k, observations)
    y = rng.normal(size=(observations, k))
    if loss == "soft_cross_entropy":
        y = np.abs(y)
    elif loss in WITH_WEIGHTS:
        y = np.concatenate([rng.uniform(size=y.shape), np.abs(y)], axis=1)
    if loss == "plain_binary_cross_entropy":
        z = rng.uniform(0.01, 0.99, (n, k)).astype(dtype)
    return z, y.astype(dtype)


def by_rows(reference, z, y, weights):
    """The weighted mean of a loss of single rows, and its derivatives."""
    share = np.ones(len(z)) if weights is None else weights.astype(float)
    share = share / max(share.sum(), 1e-300)
    rows = [reference(z[i : i + 1].astype(float), y[i : i + 1]) for i in range(len(z))]
    return sum(s * row[0] for s, row in zip(share, rows, strict=True)), np.concatenate(
        [s * row[1] for s, row in zip(share, rows, strict=True)]
    )


@each_rarer
@settings(max_examples=60)
@given(
    n=st.sampled_from([1, 15, 16, 17, 33]),
    k=st.sampled_from([1, 3, 7, 8, 16, 17]),
    dtype=st.sampled_from(FLOATS),
    weighted=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_the_references(loss, n, k, dtype, weighted, seed):
    rng = np.random.default_rng(seed)
    name, number = loss
    z, y = rarer_case(name, rng, n, n + 5, k, dtype)
    weights = rng.poisson(1.0, n + 5).astype(dtype) if weighted else None
    chosen = rng.integers(0, n + 5, n)
    got, deltas = ours(name, z, y, weights, chosen, number)
    here = y[chosen] if name in OF_LABELS else y[chosen].astype(float)
    own = None if weights is None else weights[chosen]
    expected, gradient = by_rows(RARER[loss], z, here, own)
    bound = 32 * (k + 8) * np.finfo(dtype).eps
    assert abs(got - expected) <= bound * max(1.0, abs(expected))
    # A difference that is rounded may lie on the other side of a kink.
    if name not in ("smooth_l1", "huber"):
        steepest = 100.0 if name == "plain_binary_cross_entropy" else 1.0
        assert (np.abs(deltas - gradient) <= bound * steepest).all()


@each_dtype
@each_rarer
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_an_output_that_is_no_number_makes_rarer_losses_none(loss, dtype, wrong):
    name, number = loss
    z, y = rarer_case(name, np.random.default_rng(0), 5, 5, 3, dtype)
    if name in OF_LABELS:
        y[3] = 1
    elif name == "weighted_binary_cross_entropy":
        y[3, 1] = float(wrong < 0)
    z[3, 1] = wrong
    got, _ = ours(name, z, y, number=number)
    assert not np.isfinite(got)


@each_dtype
@pytest.mark.parametrize("number", [0.0, 0.5])
def test_absolute_errors_at_and_around_their_kinks(dtype, number):
    z = np.array([[0.0, -0.0, 1e-30, -1e-30, 0.5, -0.5, 0.25, 1e30]], dtype)
    zero = np.zeros_like(z)
    expected, gradient = references.smooth_l1_loss(z.astype(float), zero, number)
    got, deltas = ours("smooth_l1", z, zero, number=number)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(got, expected, rtol=4 * eps)
    np.testing.assert_allclose(deltas, gradient, rtol=4 * eps)
    assert deltas[0, 0] == deltas[0, 1] == 0.0


@each_dtype
def test_probabilities_at_their_ends(dtype):
    z = np.array([[0.0, 1.0, 1e-40, 0.5, 1e-13]], dtype)
    for answer in (0.0, 0.3, 1.0):
        y = np.array([[answer] * 5 + [1.0] * 5], dtype)
        expected, gradient = of_probabilities(z.astype(float), y.astype(float))
        got, deltas = ours("plain_binary_cross_entropy", z, y)
        np.testing.assert_allclose(got, expected, rtol=1e-5 if dtype == "float32" else 1e-14)
        np.testing.assert_allclose(deltas, gradient, rtol=1e-5 if dtype == "float32" else 1e-14)


@each_dtype
def test_targets_with_extreme_logits(dtype):
    pairs = np.array([(a, b) for a in EXTREMES for b in EXTREMES], dtype)[:CAPACITY]
    shares = np.tile(np.array([0.3, 0.7], dtype), (len(pairs), 1))
    got, deltas = ours("soft_cross_entropy", pairs, shares)
    expected, gradient = by_rows(soft_cross_entropy, pairs, shares.astype(float), None)
    np.testing.assert_allclose(got, expected, rtol=32 * np.finfo(dtype).eps)
    np.testing.assert_allclose(deltas, gradient, rtol=0, atol=4 * np.finfo(dtype).eps / len(pairs))


def test_names_and_numbers():
    assert named("huber") == NamedLoss("huber", 0.0)
    assert named(NamedLoss("huber", 0.5)).code == Loss.HUBER
    assert {*OF_CLASSES, *OF_TWO} == {
        each.name.lower() for each in Loss if each.name.endswith("CROSS_ENTROPY")
    }
