"""Schemes of one's own, one of each kind, wherever a scheme is taken."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor

import fastkb
from fastkb import bootstrap, nn, schemes
from fastkb.random.bounded import bounded_rows
from fastkb.random.dirichlet import dirichlet_rows
from fastkb.random.streams import key_from_rng

N, B = 40, 25
RNG = np.random.default_rng(5)
X = np.linspace(0.0, 6.0, N)[:, None]
Y = np.sin(X[:, 0]) + RNG.normal(0, 0.2, N)
KEY = key_from_rng(7)


class Pairs(schemes.IndexScheme):
    """Neighbours stay together: pairs are drawn with replacement."""

    def prepare(self, samples, paired, axis=-1):
        prepared = Pairs()
        prepared.n = samples[0].shape[-1]
        if prepared.n % 2:
            raise ValueError(f"Pairs: expected an even number of observations, got {prepared.n}")
        return prepared

    def bounds(self):
        return np.full(self.n // 2, self.n // 2)

    def rows(self, drawn):
        return list((2 * drawn[:, :, None] + np.arange(2, dtype=np.uint32)).reshape(len(drawn), -1))

    def left_out(self):
        everything = np.arange(self.n)
        return [(np.delete(everything, [i, i + 1]) for i in range(0, self.n, 2))]


class Rough(schemes.WeightScheme):
    """The Bayesian bootstrap's weights squared, which are less even."""

    def weights(self, key, first, count):
        drawn = [rows**2 for rows in dirichlet_rows(key, first, count, self.lengths)]
        return [rows / rows.sum(axis=1, keepdims=True) for rows in drawn]


class Mirrored(schemes.ResponseScheme):
    """All residuals keep their signs, or none does."""

    def responses(self, key, first, count):
        signs = 2.0 * bounded_rows(key, first, count, np.array([2])) - 1.0
        return self.fitted_values[..., None, :] + self.residuals[..., None, :] * signs


def drawn_pairs(count=B):
    scheme = Pairs().prepare([Y], True)
    return scheme.rows(bounded_rows(KEY, 0, count, scheme.bounds()))


def mean(x, axis=-1):
    return np.mean(x, axis=axis)


@pytest.mark.parametrize("statistic", [np.mean, mean, lambda x: float(np.mean(x))])
def test_statistics_of_rows(statistic):
    result = bootstrap((Y,), statistic, scheme=Pairs(), n_resamples=B, rng=7, method="percentile")
    expected = [np.mean(Y[rows]) for rows in drawn_pairs()]
    np.testing.assert_allclose(result.bootstrap_distribution, expected, rtol=1e-13)


def test_the_jackknife_of_rows_leaves_pairs_out():
    from scipy.special import ndtr, ndtri

    result = bootstrap((Y**2,), np.mean, scheme=Pairs(), n_resamples=999, rng=7, method="BCa")
    left_out = np.array([np.mean(np.delete(Y**2, [i, i + 1])) for i in range(0, N, 2)])
    u = left_out.mean() - left_out
    acceleration = (u**3).sum() / (6 * (u**2).sum() ** 1.5)
    distribution = result.bootstrap_distribution
    below, ties = (distribution < np.mean(Y**2)).mean(), (distribution == np.mean(Y**2)).mean()
    bias = ndtri(below + ties / 2)
    levels = [
        ndtr(bias + (bias + z) / (1 - acceleration * (bias + z))) for z in ndtri([0.025, 0.975])
    ]
    expected = np.quantile(distribution, levels)
    np.testing.assert_allclose(result.confidence_interval, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("statistic", "by_hand"),
    [
        (np.mean, lambda x, w: w @ x),
        (lambda x, weights: np.average(x, weights=weights) ** 2, lambda x, w: (w @ x) ** 2),
    ],
)
def test_statistics_of_weights(statistic, by_hand):
    result = bootstrap((Y,), statistic, scheme=Rough(), n_resamples=B, rng=7, method="percentile")
    weights = Rough().prepare([Y], True).weights(KEY, 0, B)[0]
    expected = [by_hand(Y, row) for row in weights]
    np.testing.assert_allclose(result.bootstrap_distribution, expected, rtol=1e-12)


def test_statistics_of_responses():
    result = bootstrap(
        (X[:, 0], Y), np.dot, paired=True, scheme=Mirrored(np.sin(X[:, 0])), n_resamples=B, rng=7,
        method="percentile",
    )  # fmt: skip
    residuals = Y - np.sin(X[:, 0])
    both = {round(X[:, 0] @ (np.sin(X[:, 0]) + sign * residuals), 9) for sign in (-1, 1)}
    assert set(result.bootstrap_distribution.round(9)) == both


@pytest.mark.parametrize("solver", ["cholesky", "lowrank"])
@pytest.mark.parametrize("scheme", [Pairs(), Rough()], ids=["rows", "weights"])
def test_bands_of_kernel_ridge(scheme, solver, tmp_path):
    model = fastkb.KernelRidge(alpha=0.3, kernel="rbf", gamma=1.0)
    options = {
        "n_resamples": 6,
        "rng": 7,
        "scheme": scheme,
        "solver": solver,
        "kind": "percentile",
        "checkpoint": tmp_path / "band.npz",
    }
    band = fastkb.bootstrap_band(model, X, Y, X[::5], **options)
    weights = scheme.prepare([Y], True).counts(KEY, 0, 6)
    for curve, row in zip(band.distribution, weights, strict=True):
        used = row > 0
        refit = fastkb.KernelRidge(alpha=0.3, kernel="rbf", gamma=1.0)
        refit.fit(X[used], Y[used], sample_weight=row[used])
        np.testing.assert_allclose(curve, refit.predict(X[::5]), atol=1e-6)
    again = fastkb.bootstrap_band(model, X, Y, X[::5], **options)
    np.testing.assert_array_equal(again.distribution, band.distribution)
    with pytest.raises(ValueError, match="checkpoint"):
        fastkb.bootstrap_band(model, X, Y, X[::5], **{**options, "scheme": schemes.Bayesian()})


@pytest.mark.parametrize("scheme", [Mirrored(), Mirrored(np.sin(X[:, 0]))], ids=["its", "given"])
def test_bands_of_responses(scheme):
    model = fastkb.KernelRidge(alpha=0.3, kernel="rbf", gamma=1.0).fit(X, Y)
    band = fastkb.bootstrap_band(
        model, X, Y, X[::5], n_resamples=B, rng=7, scheme=scheme, kind="percentile"
    )
    fitted = model.predict(X) if scheme.fitted is None else scheme.fitted
    curves = [
        fastkb.KernelRidge(alpha=0.3, kernel="rbf", gamma=1.0)
        .fit(X, fitted + sign * (Y - fitted))
        .predict(X[::5])
        for sign in (-1, 1)
    ]
    found = [int(np.abs(curve - curves[1]).max() < 1e-9) for curve in band.distribution]
    assert set(found) == {0, 1}
    for curve, which in zip(band.distribution, found, strict=True):
        np.testing.assert_allclose(curve, curves[which], atol=1e-9)


def test_bands_of_refitted_models():
    band = fastkb.bootstrap_band(
        LinearRegression(), X, Y, X[::5], n_resamples=4, rng=7, scheme=Pairs(), out_of_bag=True
    )
    for curve, rows in zip(band.distribution, drawn_pairs(4), strict=True):
        expected = LinearRegression().fit(X[rows], Y[rows]).predict(X[::5])
        np.testing.assert_allclose(curve, expected, atol=1e-12)
    assert band.prediction_error is not None


@pytest.mark.parametrize("scheme", [Pairs(), Rough(), Mirrored()])
def test_bands_of_networks(scheme):
    net = nn.Sequential(nn.Linear(1, 6), nn.Tanh(), nn.Linear(6, 1))
    options = {"rng": 7, "scheme": scheme, "fit_params": {"epochs": 2, "optimizer": "adam"}}
    long, short = (
        fastkb.bootstrap_band(net, X, Y, X[::5], n_resamples=n, **options) for n in (7, 3)
    )
    np.testing.assert_array_equal(long.distribution[:3], short.distribution)
    assert len({curve.tobytes() for curve in long.distribution}) == 7


def test_what_weights_cannot_do():
    with pytest.raises(ValueError, match="scheme Rough needs an estimator whose fit takes"):
        fastkb.bootstrap_band(KNeighborsRegressor(), X, Y, X, n_resamples=3, scheme=Rough())
    with pytest.raises(ValueError, match=r"out_of_bag=True: scheme Rough\(\) leaves no row out"):
        fastkb.bootstrap_band(
            LinearRegression(), X, Y, X, n_resamples=3, scheme=Rough(), out_of_bag=True
        )
    with pytest.raises(ValueError, match="method='BCa' is not valid with Rough"):
        bootstrap((Y,), np.mean, scheme=Rough(), method="BCa")


def test_a_scheme_that_draws_fewer_rows_serves_statistics_alone():
    class Half(Pairs):
        draws_fewer = True

    with pytest.raises(ValueError, match=r"scheme Half\(\) draws fewer rows than there are"):
        fastkb.bootstrap_band(LinearRegression(), X, Y, X, n_resamples=3, scheme=Half())


def test_its_own_errors_are_passed_on():
    with pytest.raises(ValueError, match="Pairs: expected an even number of observations, got 39"):
        bootstrap((Y[:39],), np.mean, scheme=Pairs(), method="percentile")
