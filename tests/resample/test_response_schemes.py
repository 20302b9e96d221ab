"""New responses around a fit: what they look like, their variances in closed form, and what is refused.

The slope of a straight line is Σ (x - x̄) y / Sxx: its variance over resamples is known exactly.
"""

import collections
import copy

import numba
import numpy as np
import pytest

import fastkb
from fastkb import schemes
from fastkb.random.bounded import bounded_rows
from fastkb.random.streams import key_from_rng

KEY = key_from_rng(0)
RNG = np.random.default_rng(0)
N = 30
X = np.sort(RNG.uniform(0, 4, N))
Y = 1 + 2 * X + (0.2 + X) * RNG.standard_normal(N)
FITTED = np.polyval(np.polyfit(X, Y, 1), X)
E = Y - FITTED
D = X - X.mean()
SXX = D @ D
LEVERAGE = 1 / N + D**2 / SXX
LABELS = np.arange(N) // 3
B = 20_000
# Five Monte Carlo errors of a variance of near-normal replicates: a false alarm in 10⁶.
CLOSE = 5 * np.sqrt(2 / B)


def slope(x, y, axis=-1):
    d = x - x.mean(axis=axis, keepdims=True)
    return (d * y).sum(axis=axis) / (d * d).sum(axis=axis)


def resample(scheme, **options):
    options = {"method": "percentile", "n_resamples": 300, "rng": 0, **options}
    return fastkb.bootstrap((X, Y), slope, paired=True, scheme=scheme, **options)


def responses(scheme, count=200, y=Y):
    return scheme.prepare([y], False).responses(KEY, 0, count)


def residuals(leverage):
    return E if leverage is None else E / np.sqrt(1 - leverage)


@pytest.mark.parametrize("leverage", [None, LEVERAGE], ids=["raw", "leverage"])
def test_residuals_are_drawn_centred(leverage):
    e = residuals(leverage) - residuals(leverage).mean()
    rows = bounded_rows(KEY, 0, 200, np.full(N, N))
    assert set(rows.ravel()) == set(range(N))
    drawn = responses(schemes.Residual(FITTED, leverage=leverage))
    np.testing.assert_allclose(drawn, FITTED + e[rows], rtol=0, atol=1e-13)


def test_fitted_values_without_the_mean_are_centred():
    """A fit without an intercept leaves residuals whose mean is not 0."""
    drawn = responses(schemes.Residual(FITTED - 3), count=2000) - (FITTED - 3)
    assert abs(drawn.mean()) < 5 * E.std() / np.sqrt(drawn.size)  # a false alarm in 10⁶


@pytest.mark.parametrize("leverage", [None, LEVERAGE], ids=["raw", "leverage"])
def test_variance_of_a_slope_by_residuals(leverage):
    result = resample(schemes.Residual(FITTED, leverage=leverage), n_resamples=B)
    expected = residuals(leverage).var() / SXX
    assert result.bootstrap_distribution.var() == pytest.approx(expected, rel=CLOSE)
    assert abs(result.bootstrap_distribution.mean() - result.observed) < 5 * np.sqrt(expected / B)


@pytest.mark.parametrize("distribution", ["rademacher", "mammen"])
@pytest.mark.parametrize("leverage", [None, LEVERAGE], ids=["raw", "leverage"])
@pytest.mark.parametrize("labels", [None, LABELS], ids=["each", "clusters"])
def test_variance_of_a_slope_by_the_wild_bootstrap(distribution, leverage, labels):
    scheme = schemes.Wild(FITTED, leverage=leverage, distribution=distribution, labels=labels)
    result = resample(scheme, n_resamples=B)
    scores = np.bincount(np.arange(N) if labels is None else labels, D * residuals(leverage))
    expected = (scores**2).sum() / SXX**2
    # Both have a fourth moment below 3: the sum's is below the normal's.
    assert result.bootstrap_distribution.var() == pytest.approx(expected, rel=CLOSE)
    assert abs(result.bootstrap_distribution.mean() - result.observed) < 5 * np.sqrt(expected / B)


def factors(count=50_000, **options):
    """The numbers that residuals are multiplied by.  # shape: (count, 4)"""
    return responses(schemes.Wild(np.zeros(4), **options), count, y=np.ones(4))


def test_signs():
    w = factors()
    assert set(w.ravel()) == {-1.0, 1.0}
    assert (abs(w.mean(axis=0)) < 5 / np.sqrt(len(w))).all()  # a false alarm in 10⁵
    assert (abs(np.corrcoef(w.T) - np.eye(4)) < 5 / np.sqrt(len(w))).all()


def test_mammens_moments():
    """Mean 0, variance 1, third moment 1: within five standard errors, a false alarm in 10⁵."""
    w = factors(distribution="mammen")
    points = (1 - np.sqrt(5)) / 2, (1 + np.sqrt(5)) / 2
    np.testing.assert_allclose(np.unique(w), points, rtol=1e-15)
    chance = (np.sqrt(5) + 1) / (2 * np.sqrt(5))
    for power, expected in ((1, 0.0), (2, 1.0), (3, 1.0), (4, 2.0)):
        moment = chance * points[0] ** power + (1 - chance) * points[1] ** power
        assert moment == pytest.approx(expected, abs=1e-14)
        values = w.ravel() ** power
        assert abs(values.mean() - expected) < 5 * values.std() / np.sqrt(values.size)


@pytest.mark.parametrize("distribution", ["rademacher", "mammen"])
def test_labels_share_factors(distribution):
    labels = np.array(["b", "a", "b", "c"])
    w = factors(2000, distribution=distribution, labels=labels)
    np.testing.assert_array_equal(w[:, 0], w[:, 2])
    # Each of 2³ combinations is missing with probability (1 - 0.276³)²⁰⁰⁰ = 10⁻¹⁸ at most.
    assert len(collections.Counter(map(tuple, w.round(3)))) == 8


SCHEMES = [
    schemes.Residual(FITTED, leverage=LEVERAGE),
    schemes.Wild(FITTED),
    schemes.Wild(FITTED, distribution="mammen", labels=LABELS),
]


@pytest.mark.parametrize("scheme", SCHEMES, ids=repr)
def test_responses_depend_on_key_and_replicate_alone(scheme):
    prepared = scheme.prepare([X, Y], True)
    whole = prepared.responses(KEY, 0, 50)
    np.testing.assert_array_equal(prepared.responses(KEY, 17, 1)[0], whole[17])
    assert (prepared.responses(key_from_rng(1), 0, 50) != whole).any()
    values = resample(scheme).bootstrap_distribution
    before = numba.get_num_threads()
    try:
        for threads in {1, before}:
            numba.set_num_threads(threads)
            for largest in (1, 7 * N, 10**6):
                blocks = list(prepared.blocks(KEY, 50, largest))
                drawn = np.concatenate([block.rows[0] for block in blocks])
                np.testing.assert_array_equal(drawn, whole)
            np.testing.assert_array_equal(resample(scheme).bootstrap_distribution, values)
            np.testing.assert_array_equal(resample(scheme, batch=7).bootstrap_distribution, values)
    finally:
        numba.set_num_threads(before)


@pytest.mark.parametrize("scheme", SCHEMES, ids=repr)
def test_responses_with_leading_axes(scheme):
    """Several responses share what is drawn."""
    y, fitted = np.array([[Y, 2 * Y, -Y]]), np.array([[FITTED, 2 * FITTED, -FITTED]])
    scheme = copy.copy(scheme)
    scheme.fitted = fitted
    several = scheme.prepare([y], False).responses(KEY, 3, 5)
    assert several.shape == (1, 3, 5, N)
    scheme.fitted = FITTED
    one = scheme.prepare([Y], False).responses(KEY, 3, 5)
    np.testing.assert_allclose(several[0], [one, 2 * one, -one], rtol=1e-12, atol=1e-12)


def test_other_fitted_values_keep_the_other_arguments():
    scheme = schemes.Wild(leverage=LEVERAGE, distribution="mammen", labels=LABELS)
    found = scheme.around(Y, FITTED)
    assert scheme.fitted is None
    given = schemes.Wild(FITTED, leverage=LEVERAGE, distribution="mammen", labels=LABELS)
    expected = given.prepare([Y], True).responses(KEY, 0, 9)
    np.testing.assert_array_equal(found.responses(KEY, 0, 9), expected)
    # Fitted values of its own go before those of the model.
    np.testing.assert_array_equal(given.around(Y, 0 * Y).responses(KEY, 0, 9), expected)


def test_around_takes_targets_as_columns():
    scheme = schemes.Wild(leverage=LEVERAGE)
    both = scheme.around(np.column_stack([Y, -Y]), np.column_stack([FITTED, -FITTED]))
    one = scheme.around(Y, FITTED).responses(KEY, 0, 9)
    np.testing.assert_array_equal(both.responses(KEY, 0, 9), [one, -one])


def test_preparing_leaves_the_arguments_alone():
    y, fitted, leverage = Y.copy(), FITTED.copy(), LEVERAGE.copy()
    schemes.Residual(fitted, leverage=leverage).prepare([y], False).responses(KEY, 0, 9)
    for one, other in ((y, Y), (fitted, FITTED), (leverage, LEVERAGE)):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("method", ["percentile", "basic", "cheap"])
@pytest.mark.parametrize("scheme", SCHEMES, ids=repr)
def test_intervals(scheme, method):
    result = resample(scheme, method=method)
    low, high = result.confidence_interval
    assert low < result.observed < high
    assert result.observed == pytest.approx(np.polyfit(X, Y, 1)[0])
    assert 2 < (high - low) / result.standard_error < 6


def robust_error(x, y, axis=-1):
    """White's standard error of the slope."""
    d = x - x.mean(axis=axis, keepdims=True)
    b = slope(x, y, axis=axis)
    e = y - y.mean(axis=axis, keepdims=True) - np.expand_dims(b, axis) * d
    return np.sqrt((d * d * e * e).sum(axis=axis)) / (d * d).sum(axis=axis)


def test_studentized_by_its_definition():
    options = {"method": "studentized", "standard_error": robust_error, "n_resamples": 999}
    result = resample(schemes.Wild(FITTED), **options)
    drawn = schemes.Wild(FITTED).prepare([Y], False).responses(key_from_rng(0), 0, 999)
    inputs = np.broadcast_to(X, drawn.shape)
    values, errors = slope(inputs, drawn), robust_error(inputs, drawn)
    np.testing.assert_allclose(result.bootstrap_distribution, values, rtol=1e-12)
    t = np.quantile((values - slope(X, Y)) / errors, [0.975, 0.025])
    expected = slope(X, Y) - t * robust_error(X, Y)
    np.testing.assert_allclose(result.confidence_interval, expected, rtol=1e-10)


def never(*samples, axis=-1):
    raise AssertionError("work began")


@pytest.mark.parametrize("kind", [schemes.Residual, schemes.Wild])
@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ({}, {}, r"fitted must be the fitted values of the response, of shape \(30,\), got None"),
        ({"fitted": FITTED[1:]}, {}, r"the response's shape \(30,\), got \(29,\)"),
        ({"fitted": FITTED[None]}, {}, r"the response's shape \(30,\), got \(1, 30\)"),
        ({"fitted": np.full(N, np.nan)}, {}, "fitted must be finite"),
        ({"fitted": FITTED, "leverage": np.ones(N)}, {}, "from 0 to below 1, got 1"),
        ({"fitted": FITTED, "leverage": 0.5}, {}, "one number for each of the 30"),
        ({"fitted": FITTED}, {"method": "BCa"}, "method='BCa' is not valid with"),
        ({"fitted": FITTED}, {"method": "studentized"}, "needs `standard_error`, got None"),
        ({"fitted": FITTED}, {"paired": False}, "several with paired=True; `data` has 2"),
    ],
)
def test_errors_before_any_work(kind, arguments, options, message):
    _refused(kind(**arguments), options, message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"distribution": "normal"}, "Wild: distribution must be one of rademacher, mammen, got"),
        ({"distribution": None}, "Wild: distribution must be one of rademacher, mammen, got None"),
        ({"labels": np.zeros(N)}, "Wild: labels must name two clusters at least, got only"),
        ({"labels": [0, 1]}, "Wild: labels must be one for each of the 30 observations"),
    ],
)
def test_errors_of_the_wild_bootstrap(arguments, message):
    _refused(schemes.Wild(FITTED, **arguments), {}, message)


def _refused(scheme, options, message):
    rng = np.random.default_rng(0)
    options = {"method": "percentile", "paired": True, "rng": rng, **options}
    with pytest.raises(ValueError, match=message):
        fastkb.bootstrap((X, Y), never, scheme=scheme, **options)
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state


def test_fitted_values_follow_the_axis_of_the_data():
    rng = np.random.default_rng(3)
    Y = rng.normal(size=(6, 6))
    F = Y + 0.01 * rng.normal(size=(6, 6)) * (1 + np.arange(6))
    options = {"method": "percentile", "n_resamples": 200, "rng": 0}
    first = fastkb.bootstrap((Y,), np.mean, scheme=schemes.Residual(F), **options)
    last = fastkb.bootstrap((Y.T,), np.mean, axis=1, scheme=schemes.Residual(F.T), **options)
    np.testing.assert_array_equal(first.standard_error, last.standard_error)
    one_by_one = [
        fastkb.bootstrap(
            (Y[:, j],), np.mean, scheme=schemes.Residual(F[:, j]), **options
        ).standard_error
        for j in range(6)
    ]
    np.testing.assert_allclose(first.standard_error, one_by_one, rtol=1e-12)


def test_a_response_with_nan_is_refused():
    y = np.array([1.0, np.nan, 3.0, 4.0])
    with pytest.raises(ValueError, match="Wild: the response, the last sample of `data`, has NaN"):
        fastkb.bootstrap((y,), np.mean, scheme=schemes.Wild(np.zeros(4)), method="percentile")


def test_scipys_correlations_are_called_as_they_want():
    from scipy import stats

    x, y = np.random.default_rng(4).normal(size=(2, 15))
    scheme = schemes.Residual(np.zeros(15))
    options = {
        "scheme": scheme,
        "paired": True,
        "method": "percentile",
        "n_resamples": 20,
        "rng": 0,
    }
    named = fastkb.bootstrap((x, y), "spearman", **options).bootstrap_distribution
    theirs = fastkb.bootstrap((x, y), stats.spearmanr, **options).bootstrap_distribution
    np.testing.assert_allclose(theirs[0], named, rtol=1e-12)
