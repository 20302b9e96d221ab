"""Weights on the simplex: the stream's, uniform, and each row's by itself."""

import numba
import numpy as np
import pytest
from scipy import stats

from fastkb.random.dirichlet import dirichlet_rows, log
from fastkb.random.streams import key_from_rng
from fastkb.reference import streams as reference
from fastkb.runtime import jit

KEY = key_from_rng(0)
EPS = np.finfo(float).eps


@jit(cache=False)
def _log(x, out):
    for i in range(len(x)):
        out[i] = log(x[i])


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="needs an extended longdouble")
@pytest.mark.parametrize("part", ["uniform", "small", "below one", "around the square root"])
def test_log_is_within_one_ulp(part):
    rng = np.random.default_rng(0)
    x = {
        "uniform": rng.random(200_000) + 2.0**-53,
        "small": 2.0 ** -rng.uniform(0, 53, 200_000),
        "below one": 1 - np.arange(1, 100_001) * 2.0**-53,
        "around the square root": np.sqrt(0.5) + np.arange(-50_000, 50_000) * 2.0**-53,
    }[part]
    got = np.empty_like(x)
    _log(x, got)
    error = np.abs(got - np.log(x.astype(np.longdouble)))
    assert (error / np.spacing(np.abs(got))).max() <= 1


def test_the_outermost_uniforms_give_positive_finite_exponentials():
    x = np.array([2.0**-53, 1 - 2.0**-53])
    got = np.empty(2)
    _log(x, got)
    np.testing.assert_allclose(got, [-53 * np.log(2), -(2.0**-53)], rtol=EPS)


@pytest.mark.parametrize("lengths", [[1], [2], [63], [64], [65], [7, 300], [128, 1, 200]])
def test_the_oracle(lengths):
    """An exponential has 1 ulp from either logarithm, its sum n roundings at most."""
    rows = dirichlet_rows(KEY, 9, 3, lengths)
    assert [r.shape for r in rows] == [(3, n) for n in lengths]
    for b in range(3):
        for got, expected in zip(rows, reference.dirichlet(KEY, 9 + b, lengths), strict=True):
            np.testing.assert_allclose(got[b], expected, rtol=(len(expected) + 6) * EPS)
            assert abs(got[b].sum() - 1) <= (len(expected) + 6) * EPS
            assert (got[b] > 0).all()


def test_threads_and_company_do_not_matter():
    lengths = [90, 41]
    many = np.hstack(dirichlet_rows(KEY, 0, 20, lengths))
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        np.testing.assert_array_equal(np.hstack(dirichlet_rows(KEY, 0, 20, lengths)), many)
    finally:
        numba.set_num_threads(before)
    parts = [np.hstack(dirichlet_rows(KEY, a, b - a, lengths)) for a, b in ((0, 7), (7, 20))]
    np.testing.assert_array_equal(np.vstack(parts), many)


def test_nothing_to_draw():
    assert [r.shape for r in dirichlet_rows(KEY, 0, 0, [3, 2])] == [(0, 3), (0, 2)]


def _uniformity(weights):
    """p-values: marginals against Beta(1, n - 1), and two correlations that are known.

    Of a weight with the same one of the next replicate it is 0, with its neighbour -1 / (n - 1): the
    mean of B products is about normal, and its deviation is theirs over √B.
    """
    count, n = weights.shape
    marginals = [stats.kstest(column, stats.beta(1, n - 1).cdf).pvalue for column in weights.T]
    centred = (weights - 1 / n) / np.sqrt((n - 1) / (n * n * (n + 1)))
    replicates = centred[1:] * centred[:-1]
    neighbours = centred[:, 1:] * centred[:, :-1] + 1 / (n - 1)
    z = [np.sqrt(count) * p.mean(axis=0) / p.std(axis=0) for p in (replicates, neighbours)]
    z = np.concatenate(z)
    return np.concatenate([marginals, 2 * stats.norm.sf(np.abs(z))])


def test_uniform_on_the_simplex():
    """Marginals and correlations, with a false-alarm rate of 1e-4 for all together."""
    for n in (2, 3, 10):
        (weights,) = dirichlet_rows(KEY, 0, 20_000, [n])
        p = _uniformity(weights)
        assert p.min() > 1e-4 / 3 / len(p)


def test_samples_are_independent():
    """Correlations of all pairs of weights of two samples; a false-alarm rate of 1e-4 in all."""
    x, y = dirichlet_rows(KEY, 0, 20_000, [4, 5])
    r = np.corrcoef(x.T, y.T)[:4, 4:]
    assert np.abs(r).max() * np.sqrt(20_000) < stats.norm.isf(1e-4 / 2 / r.size)


@pytest.mark.parametrize("wrong", ["counts", "gamma", "repeated", "shared"])
def test_the_test_has_power(wrong):
    """It sees multinomial counts, another Dirichlet law, and replicates or halves drawn twice."""
    rng = np.random.default_rng(1)
    weights = {
        "counts": lambda: rng.multinomial(10, np.full(10, 0.1), 20_000) / 10,
        "gamma": lambda: rng.dirichlet(np.full(10, 1.1), 20_000),
        "repeated": lambda: np.repeat(rng.dirichlet(np.ones(10), 10_000), 2, axis=0),
        "shared": lambda: np.hstack([rng.dirichlet(np.ones(5), 20_000) / 2] * 2),
    }[wrong]()
    p = _uniformity(weights)
    assert p.min() < 1e-4 / 3 / len(p)
