"""Statistics of inputs that stay and responses that are new, one at a time and many at once."""

import numba
import numpy as np
import pytest

import fastkb
from fastkb import schemes
from fastkb.bootstrap.evaluate.response_statistic import OfResponses

RNG = np.random.default_rng(0)
N = 20
X = RNG.normal(size=N)
Y = 3 * X + RNG.normal(size=N)
NEW = RNG.normal(size=(11, N))


def slope(x, y, axis=-1):
    d = x - x.mean(axis=axis, keepdims=True)
    return (d * y).sum(axis=axis) / (d * d).sum(axis=axis)


def by_one(x, y):
    assert x.shape == y.shape == (N,)
    return slope(x, y)


@numba.njit
def jitted(x, y):
    d = x - x.mean()
    return (d * y).sum() / (d * d).sum()


KINDS = [(slope, True), (by_one, False), (jitted, False)]
IDS = ["vectorised", "one by one", "Numba"]


@pytest.mark.parametrize(("function", "vectorized"), KINDS, ids=IDS)
@pytest.mark.parametrize("batch", [None, 1, 4, 100])
def test_inputs_stay_and_responses_are_new(function, vectorized, batch):
    evaluator = OfResponses(function, [X, Y], vectorized, batch)
    np.testing.assert_allclose(evaluator.observed, slope(X, Y), rtol=1e-13)
    expected = [np.polyfit(X, y, 1)[0] for y in NEW]
    np.testing.assert_allclose(evaluator.replicates([NEW]), expected, rtol=1e-11)


@pytest.mark.parametrize(("function", "vectorized"), KINDS, ids=IDS)
def test_leading_axes(function, vectorized):
    x, y = np.stack([X, X**3]), np.stack([Y, -Y])
    evaluator = OfResponses(function, [x, y], vectorized, 3)
    assert evaluator.observed.shape == (2,)
    values = evaluator.replicates([np.stack([NEW, 2 * NEW])])
    assert values.shape == (2, 11)
    np.testing.assert_allclose(values[0], [slope(X, one) for one in NEW], rtol=1e-11)
    np.testing.assert_allclose(values[1], [slope(X**3, 2 * one) for one in NEW], rtol=1e-11)


def test_no_more_than_a_batch_at_a_time():
    seen = []

    def spy(y, axis=-1):
        seen.append(y.shape)
        return y.mean(axis=axis)

    evaluator = OfResponses(spy, [Y], True, 4)
    seen.clear()
    np.testing.assert_array_equal(evaluator.replicates([NEW]), NEW.mean(axis=-1))
    assert seen == [(4, N), (4, N), (3, N)]


def test_functions_may_change_what_they_are_given():
    def careless(x, y):
        x -= x.mean()
        y *= x
        return y.sum() / (x @ x)

    before = X.copy(), NEW.copy()
    values = OfResponses(careless, [X, Y], False, None).replicates([NEW])
    np.testing.assert_allclose(values, slope(np.broadcast_to(X, NEW.shape), NEW), rtol=1e-12)
    np.testing.assert_array_equal(before[0], X)
    np.testing.assert_array_equal(before[1], NEW)


def test_functions_that_return_arrays():
    def line(x, y):
        return np.polyfit(x, y, 1)

    evaluator = OfResponses(line, [X, Y], False, 4)
    assert evaluator.observed.shape == (2,)
    values = evaluator.replicates([NEW])
    np.testing.assert_allclose(values, np.polyfit(X, NEW.T, 1), rtol=1e-10)


@pytest.mark.parametrize(
    "scheme",
    [schemes.Residual(3 * X), schemes.Wild(3 * X)],
    ids=lambda scheme: type(scheme).__name__,
)
def test_all_kinds_agree_within_the_bootstrap(scheme):
    options = {"paired": True, "scheme": scheme, "method": "basic", "n_resamples": 99, "rng": 0}
    first, *others = (fastkb.bootstrap((X, Y), kind, **options) for kind, _ in KINDS)
    for other in others:
        np.testing.assert_allclose(
            other.bootstrap_distribution, first.bootstrap_distribution, rtol=1e-11
        )
        np.testing.assert_allclose(other.confidence_interval, first.confidence_interval, rtol=1e-11)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("pearson", lambda x, y: np.corrcoef(x, y)[0, 1]),
        ("spearman", lambda x, y: np.corrcoef(x.argsort().argsort(), y.argsort().argsort())[0, 1]),
    ],
)
def test_names(name, plain):
    options = {"paired": True, "method": "basic", "n_resamples": 49, "rng": 0}
    options["scheme"] = schemes.Wild(3 * X)
    ours = fastkb.bootstrap((X, Y), name, **options).bootstrap_distribution
    own = fastkb.bootstrap((X, Y), plain, **options).bootstrap_distribution
    np.testing.assert_allclose(ours, own, atol=1e-12)


def test_a_response_alone():
    options = {"scheme": schemes.Wild(np.zeros(N)), "method": "basic", "n_resamples": 9, "rng": 0}
    result = fastkb.bootstrap((Y,), np.mean, **options)
    assert result.observed == Y.mean()
    assert (abs(result.bootstrap_distribution) <= abs(Y).mean()).all()


def test_errors():
    with pytest.raises(ValueError, match="statistic failed on the data: ZeroDivisionError"):
        OfResponses(lambda x, y: 1 / 0, [X, Y], False, None)
    with pytest.raises(ValueError, match=r"returned shape \(\) for 2 resamples"):
        OfResponses(lambda y, axis: np.mean(y), [Y], True, None)
    with pytest.raises(TypeError, match="no jackknife"):
        OfResponses(slope, [X, Y], True, None).jackknife()
