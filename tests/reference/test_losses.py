"""The oracles of losses: by hand, against finite differences and PyTorch."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.reference import losses

EPS = np.finfo(float).eps
STEP = EPS ** (1 / 3)  # balances the h² of a central difference with its rounding eps/h
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def check_gradient(function, point, gradient):
    """Central differences of a scalar function, one element of the point after the other.

    Their error falls as h², so a step twice as long says how much of it is left: a third of the
    difference of the two, besides rounding.
    """
    assert gradient.shape == point.shape
    for index in np.ndindex(point.shape):
        values = {}
        for h in (STEP, -STEP, 2 * STEP, -2 * STEP):
            moved = np.array(point)  # an array also of a single number
            moved[index] += h
            values[h] = function(moved)
        slopes = [(values[h] - values[-h]) / (2 * h) for h in (STEP, 2 * STEP)]
        error = abs(slopes[0] - slopes[1]) + 64 * EPS * max(1, *map(abs, values.values())) / STEP
        assert abs(gradient[index] - slopes[0]) <= error, index


def check_against_torch(got, theirs, tensor, k, scale):
    """A loss and its derivatives that are sums of k terms, or differences of them, up to `scale`."""
    theirs.backward()
    value, derivatives = got
    assert value == pytest.approx(theirs.item(), rel=0, abs=2 * k * EPS * scale)
    np.testing.assert_allclose(derivatives, tensor.grad.numpy(), rtol=0, atol=16 * EPS * scale)


# --- regression ---------------------------------------------------------------------------------

REGRESSION = {
    "mse_loss": {},
    "l1_loss": {},
    "smooth_l1_loss": {},
    "smooth_l1_loss of a small beta": {"beta": 0.25},
    "smooth_l1_loss of a large beta": {"beta": 3.0},
    "smooth_l1_loss of no beta": {"beta": 0.0},
    "huber_loss": {},
    "huber_loss of a small delta": {"delta": 0.25},
    "huber_loss of a large delta": {"delta": 3.0},
}
each_regression = pytest.mark.parametrize("name", REGRESSION)
shapes = st.lists(st.integers(1, 4), max_size=3).map(tuple)


def regression_case(name, shape, seed):
    """z and y whose differences are no multiples of 1/4, where the losses have their kinks."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=shape)
    difference = rng.integers(-16, 16, shape) / 4 + rng.uniform(0.01, 0.24, shape)
    return getattr(losses, name.split()[0]), y + difference, y


@each_regression
@settings(max_examples=20)
@given(shape=shapes, seed=seeds)
def test_regression_losses_against_finite_differences(name, shape, seed):
    loss, z, y = regression_case(name, shape, seed)
    check_gradient(
        lambda v: loss(v, y, **REGRESSION[name])[0], z, loss(z, y, **REGRESSION[name])[1]
    )


@each_regression
def test_regression_losses_against_torch(torch, name):
    @settings(max_examples=30)
    @given(shape=shapes, seed=seeds, kinks=st.booleans())
    def check(shape, seed, kinks):
        loss, z, y = regression_case(name, shape, seed)
        if kinks:
            z, y = np.round(4 * z) / 4, np.round(4 * y) / 4
        tensor = torch.tensor(z, requires_grad=True)
        theirs = getattr(torch.nn.functional, name.split()[0])
        expected = theirs(tensor, torch.tensor(y), **REGRESSION[name])
        scale = np.max((z - y) ** 2, initial=1)
        check_against_torch(loss(z, y, **REGRESSION[name]), expected, tensor, z.size, scale)

    check()


def test_regression_losses_by_hand():
    z, y = np.array([1.0, 2.0, 3.0, -4.0]), np.array([1.0, 1.0, 3.5, 0.0])
    value, derivatives = losses.mse_loss(z, y)
    assert value == (0 + 1 + 0.25 + 16) / 4
    np.testing.assert_array_equal(derivatives, [0, 0.5, -0.25, -2])
    value, derivatives = losses.l1_loss(z, y)
    assert value == (0 + 1 + 0.5 + 4) / 4
    np.testing.assert_array_equal(derivatives, [0, 0.25, -0.25, -0.25])
    value, derivatives = losses.smooth_l1_loss(z, y, beta=2.0)
    assert value == (0 + 0.25 + 0.0625 + 3) / 4
    np.testing.assert_array_equal(derivatives, [0, 0.125, -0.0625, -0.25])
    value, derivatives = losses.smooth_l1_loss(z, y)
    assert value == (0 + 0.5 + 0.125 + 3.5) / 4
    value, derivatives = losses.huber_loss(z, y, delta=2.0)
    assert value == (0 + 0.5 + 0.125 + 6) / 4
    np.testing.assert_array_equal(derivatives, [0, 0.25, -0.125, -0.5])


def test_beta_is_not_negative():
    with pytest.raises(ValueError, match="beta"):
        losses.smooth_l1_loss(np.ones(2), np.ones(2), beta=-1.0)
    with pytest.raises(ValueError, match="delta"):
        losses.huber_loss(np.ones(2), np.ones(2), delta=0.0)


# --- two classes --------------------------------------------------------------------------------

# Of the shape of z, of its last axis, or one number for all.
WEIGHTS = {"none": None, "all": (4, 3), "last": (3,), "one": ()}


@pytest.mark.parametrize("shape", WEIGHTS.values(), ids=WEIGHTS)
@settings(max_examples=20)
@given(seed=seeds)
def test_losses_of_probabilities_against_finite_differences(shape, seed):
    rng = np.random.default_rng(seed)
    p, y = rng.uniform(0.05, 0.95, (4, 3)), rng.uniform(size=(4, 3))
    weight = None if shape is None else rng.uniform(size=shape)
    gradient = losses.binary_cross_entropy(p, y, weight)[1]
    check_gradient(lambda v: losses.binary_cross_entropy(v, y, weight)[0], p, gradient)


@pytest.mark.parametrize("shape", WEIGHTS.values(), ids=WEIGHTS)
def test_losses_of_probabilities_against_torch(torch, shape):
    """At the ends, too, where logarithms and denominators have bounds."""
    rng = np.random.default_rng(0)
    p = rng.uniform(size=(4, 3))
    p[0], p[1, 0], p[1, 1] = (0.0, 1.0, 1e-40), 1e-13, 1 - 1e-13
    for y in (np.zeros((4, 3)), np.ones((4, 3)), rng.uniform(size=(4, 3))):
        weight = None if shape is None else rng.uniform(size=shape)
        tensor = torch.tensor(p, requires_grad=True)
        of_torch = None if weight is None else torch.tensor(weight)
        theirs = torch.nn.functional.binary_cross_entropy(tensor, torch.tensor(y), of_torch)
        value, derivatives = losses.binary_cross_entropy(p, y, weight)
        theirs.backward()
        assert value == pytest.approx(theirs.item(), rel=1e-14)
        # torch's bound of the denominator is 1e-12 in float32, 4e-9 of it away.
        np.testing.assert_allclose(derivatives, tensor.grad.numpy(), rtol=1e-8)


def binary_case(weight, pos_weight, seed):
    rng = np.random.default_rng(seed)
    given_ = {
        name: None if WEIGHTS[kind] is None else rng.uniform(0, 3, WEIGHTS[kind])
        for name, kind in (("weight", weight), ("pos_weight", pos_weight))
    }
    y = rng.choice([0.0, 1.0, rng.random()], (4, 3))
    return rng.normal(0, 3, (4, 3)), y, given_


binary_cases = given(
    weight=st.sampled_from(list(WEIGHTS)), pos_weight=st.sampled_from(list(WEIGHTS)), seed=seeds
)


@settings(max_examples=40)
@binary_cases
def test_binary_cross_entropy_against_finite_differences(weight, pos_weight, seed):
    z, y, weights = binary_case(weight, pos_weight, seed)
    _, derivatives = losses.binary_cross_entropy_with_logits(z, y, **weights)
    check_gradient(
        lambda v: losses.binary_cross_entropy_with_logits(v, y, **weights)[0], z, derivatives
    )


def test_binary_cross_entropy_against_torch(torch):
    @settings(max_examples=60)
    @binary_cases
    def check(weight, pos_weight, seed):
        z, y, weights = binary_case(weight, pos_weight, seed)
        tensor = torch.tensor(z, requires_grad=True)
        expected = torch.nn.functional.binary_cross_entropy_with_logits(
            tensor,
            torch.tensor(y),
            **{name: None if w is None else torch.tensor(w) for name, w in weights.items()},
        )
        got = losses.binary_cross_entropy_with_logits(z, y, **weights)
        # Weights are up to 3 each.
        check_against_torch(got, expected, tensor, z.size, 9 * (1 + np.abs(z).max()))

    check()


def test_binary_cross_entropy_by_hand():
    z = np.log([3.0, 1.0])  # of probabilities 3/4 and 1/2
    value, derivatives = losses.binary_cross_entropy_with_logits(z, [0.0, 1.0])
    assert value == pytest.approx(math.log(4 * 2) / 2, rel=8 * EPS)
    np.testing.assert_allclose(derivatives, [3 / 8, -1 / 4], rtol=8 * EPS)
    value, derivatives = losses.binary_cross_entropy_with_logits(z, [0.0, 1.0], [2.0, 3.0], 5.0)
    assert value == pytest.approx((2 * math.log(4) + 15 * math.log(2)) / 2, rel=8 * EPS)
    np.testing.assert_allclose(derivatives, [2 * 3 / 8, -15 / 4], rtol=8 * EPS)


def test_binary_cross_entropy_of_large_logits():
    loss = losses.binary_cross_entropy_with_logits
    assert loss([800.0, -800.0], [1.0, 0.0])[0] == 0
    assert loss([800.0, -800.0], [0.0, 1.0])[0] == 800
    assert loss([40.0], [1.0])[0] == pytest.approx(math.exp(-40), rel=8 * EPS)
    assert loss([-40.0], [0.0])[0] == pytest.approx(math.exp(-40), rel=8 * EPS)


# --- several classes ----------------------------------------------------------------------------

# Shapes without an axis of rows, with rows alone, and with pixels.
class_cases = {
    "classes": st.integers(1, 5),
    "shape": st.one_of(st.just(()), st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)),
    "weighted": st.booleans(),
    "ignore_index": st.sampled_from([-100, 0, 2]),
    "seed": seeds,
}


def class_case(classes, shape, weighted, ignore_index, seed):
    """z, labels, a fifth of them ignored but never all, and the arguments."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 2, (*shape[:1], classes, *shape[1:]))
    labels = np.where(rng.random(shape) < 0.2, ignore_index, rng.integers(0, classes, shape))
    if np.all(labels == ignore_index):
        ignore_index, labels = -100, np.asarray(rng.integers(0, classes, shape))
    weight = rng.uniform(0.1, 2, classes) if weighted else None
    return z, labels, {"weight": weight, "ignore_index": ignore_index}


def torch_options(torch, options):
    weight = options["weight"]
    return {**options, "weight": None if weight is None else torch.tensor(weight)}


@settings(max_examples=40)
@given(**class_cases)
def test_likelihoods_against_finite_differences(**case):
    z, labels, options = class_case(**case)
    _, derivatives = losses.nll_loss(z, labels, **options)
    check_gradient(lambda v: losses.nll_loss(v, labels, **options)[0], z, derivatives)


@settings(max_examples=60)
@given(**class_cases, label_smoothing=st.sampled_from([0.0, 0.1, 0.7, 1.0]))
def test_cross_entropy_against_finite_differences(label_smoothing, **case):
    z, labels, options = class_case(**case)
    options["label_smoothing"] = label_smoothing
    _, derivatives = losses.cross_entropy(z, labels, **options)
    check_gradient(lambda v: losses.cross_entropy(v, labels, **options)[0], z, derivatives)


def test_likelihoods_against_torch(torch):
    @settings(max_examples=60)
    @given(**class_cases)
    def check(**case):
        z, labels, options = class_case(**case)
        tensor = torch.tensor(z, requires_grad=True)
        expected = torch.nn.functional.nll_loss(
            tensor, torch.tensor(labels), **torch_options(torch, options)
        )
        got = losses.nll_loss(z, labels, **options)
        check_against_torch(got, expected, tensor, z.size, 1 + np.abs(z).max())

    check()


def test_cross_entropy_against_torch(torch):
    @settings(max_examples=100)
    @given(**class_cases, label_smoothing=st.sampled_from([0.0, 0.1, 0.7, 1.0]))
    def check(label_smoothing, **case):
        z, labels, options = class_case(**case)
        options["label_smoothing"] = label_smoothing
        tensor = torch.tensor(z, requires_grad=True)
        expected = torch.nn.functional.cross_entropy(
            tensor, torch.tensor(labels), **torch_options(torch, options)
        )
        got = losses.cross_entropy(z, labels, **options)
        # Weights of other classes are up to 20 times the labels', and up to 5 of them are summed.
        scale = 20 * 5 * (1 + 2 * np.abs(z).max())
        check_against_torch(got, expected, tensor, z.size, scale)

    check()


def test_losses_of_classes_by_hand():
    z = np.log([[1.0, 2.0, 5.0], [3.0, 3.0, 2.0], [1.0, 1.0, 1.0]])
    labels = [1, 2, -100]
    value, derivatives = losses.cross_entropy(z, labels)
    assert value == pytest.approx(math.log(4), rel=8 * EPS)
    exact = np.array([[1, -6, 5], [3, 3, -6], [0, 0, 0]]) / 16
    np.testing.assert_allclose(derivatives, exact, rtol=16 * EPS)
    value, _ = losses.cross_entropy(z, [1, 2, 0], weight=[0.0, 1.0, 3.0])
    assert value == pytest.approx(math.log(4), rel=8 * EPS)
    # Targets of 1/10, 1/10 and 8/10, weighted.
    value, derivatives = losses.cross_entropy(z[:1], [2], [2.0, 0.0, 4.0], label_smoothing=0.3)
    assert value == pytest.approx((0.2 * math.log(8) + 3.2 * math.log(8 / 5)) / 4, rel=8 * EPS)
    exact = (3.4 * np.array([1, 2, 5]) / 8 - np.array([0.2, 0, 3.2])) / 4
    np.testing.assert_allclose(derivatives[0], exact, rtol=64 * EPS)
    value, derivatives = losses.nll_loss([[-1.0, -2.0], [-4.0, -8.0]], [1, 0], [1.0, 3.0])
    assert value == (3 * 2 + 4) / 4
    np.testing.assert_array_equal(derivatives, [[0, -0.75], [-0.25, 0]])


def test_an_impossible_class_costs_nothing_if_it_is_not_the_label():
    z = np.array([[0.0, 0.0, -np.inf]])
    value, derivatives = losses.cross_entropy(z, [0])
    assert value == pytest.approx(math.log(2), rel=4 * EPS)
    np.testing.assert_array_equal(derivatives, [[-0.5, 0.5, 0]])
    assert losses.cross_entropy(z, [2])[0] == math.inf


@pytest.mark.parametrize("loss", [losses.nll_loss, losses.cross_entropy])
def test_where_nothing_counts(loss):
    z = np.zeros((2, 3))
    value, derivatives = loss(z, [-100, -100])
    assert math.isnan(value)
    np.testing.assert_array_equal(derivatives, z)
    value, derivatives = loss(z, [1, -100], weight=np.zeros(3))
    assert math.isnan(value)
    assert np.isnan(derivatives[0, 1])
    np.testing.assert_array_equal(derivatives[1], [0, 0, 0])
    if loss is losses.nll_loss:
        np.testing.assert_array_equal(derivatives[0], [0, math.nan, 0])


@pytest.mark.parametrize("ignore_index", [-100, 1])
def test_ignored_rows_might_as_well_be_missing(ignore_index):
    z = np.random.default_rng(0).normal(size=(4, 3))
    labels = np.array([2, ignore_index, 0, ignore_index])
    counted = labels != ignore_index
    for loss, options in (
        (losses.nll_loss, {}),
        (losses.cross_entropy, {}),
        (losses.cross_entropy, {"label_smoothing": 0.3}),
    ):
        options["weight"] = np.array([0.5, 1.0, 2.0])
        value, derivatives = loss(z, labels, ignore_index=ignore_index, **options)
        expected, back = loss(z[counted], labels[counted], **options)
        assert value == pytest.approx(expected, rel=16 * EPS)
        np.testing.assert_array_equal(derivatives[~counted], np.zeros((2, 3)))
        np.testing.assert_allclose(derivatives[counted], back, rtol=16 * EPS)


@pytest.mark.parametrize("loss", [losses.nll_loss, losses.cross_entropy])
def test_labels_that_do_not_fit_are_refused(loss):
    for label in (-1, 3):
        with pytest.raises(IndexError, match="label"):
            loss(np.zeros((2, 3)), [0, label])
    with pytest.raises(ValueError, match="shape"):
        loss(np.zeros((2, 3)), [0, 1, 2])
    with pytest.raises(ValueError, match="shape"):
        loss(np.zeros((2, 3)), [[0], [1]])


@pytest.mark.parametrize("smoothing", [-0.1, 1.1])
def test_smoothing_is_a_share(smoothing):
    with pytest.raises(ValueError, match="label_smoothing"):
        losses.cross_entropy(np.zeros((2, 3)), [0, 1], label_smoothing=smoothing)


# --- types --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_losses_keep_the_type(dtype):
    z, y, labels = np.ones((2, 3), dtype), np.zeros((2, 3)), [0, 2]
    results = [
        losses.mse_loss(z, y),
        losses.l1_loss(z, y),
        losses.smooth_l1_loss(z, y),
        losses.binary_cross_entropy_with_logits(z, y, np.ones(3), 2.0),
        losses.nll_loss(z, labels, np.ones(3)),
        losses.cross_entropy(z, labels, np.ones(3), label_smoothing=0.1),
    ]
    for value, derivatives in results:
        assert type(value) is float
        assert derivatives.dtype == dtype
    assert losses.mse_loss([1, 2], [0, 1])[1].dtype == float


@pytest.mark.parametrize(
    "loss",
    [
        losses.mse_loss,
        losses.l1_loss,
        losses.smooth_l1_loss,
        losses.binary_cross_entropy_with_logits,
    ],
)
def test_targets_of_another_shape_are_refused(loss):
    with pytest.raises(ValueError, match="shape"):
        loss(np.ones((3, 1)), np.ones(3))
