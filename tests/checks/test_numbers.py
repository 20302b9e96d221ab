"""What is no real number is refused, by the name of its argument, in every room alike."""

import datetime
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LinearRegression

import fastkb
from fastkb import KernelRidge, KernelRidgeCV, bootstrap_band, kernel_ridge_path, sampling_band
from fastkb.checks import numbers

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(12, 2)), rng.normal(size=(5, 2))
y = X[:, 0] + 0.1 * rng.normal(size=12)


def among_objects(array, value):
    array = array.astype(object)
    array.flat[1] = value
    return array


def masked(array):
    return np.ma.masked_array(array, mask=np.arange(array.size).reshape(array.shape) == 1)


def bands(**options):
    options = {"n_resamples": 5, "rng": 0} | options
    return lambda X, y, Y: bootstrap_band(KernelRidge(), X, y, Y, **options)


ROWS = {
    "linear_kernel": lambda X: fastkb.linear_kernel(X),
    "rbf_kernel": lambda X: fastkb.rbf_kernel(X, Y),
    "gram": lambda X: fastkb.gram(fastkb.kernels.RBF(), X),
    "chi2": lambda X: fastkb.pairwise_kernels(X, metric="chi2"),
    "cosine": lambda X: fastkb.pairwise_kernels(X, metric="cosine"),
    "TaylorFeatures.fit": lambda X: fastkb.TaylorFeatures().fit(X),
    "TaylorFeatures.transform": lambda X_: fastkb.TaylorFeatures().fit(X).transform(X_),
    "KernelRidge.fit": lambda X: KernelRidge().fit(X, y),
    "KernelRidge.predict": lambda X_: KernelRidge().fit(X, y).predict(X_),
    "KernelRidgeCV.fit": lambda X: KernelRidgeCV().fit(X, y),
    "kernel_ridge_path": lambda X: kernel_ridge_path(X, y),
    "band": lambda X: bands()(X, y, Y),
    "confidence": lambda X: bands(kind="confidence")(X, y, Y),
    "band of rows": lambda X: bands(solver="rows")(X, y, Y),
    "search": lambda X: bootstrap_band(KernelRidgeCV(), X, y, Y, n_resamples=5, rng=0),
}
TARGETS = {
    "KernelRidge.fit": lambda y: KernelRidge().fit(X, y),
    "KernelRidgeCV.fit": lambda y: KernelRidgeCV().fit(X, y),
    "kernel_ridge_path": lambda y: kernel_ridge_path(X, y),
    "band": lambda y: bands()(X, y, Y),
    "confidence": lambda y: bands(kind="confidence")(X, y, Y),
}
BAD = {
    "masked": (masked, ValueError, "must have no masked values; got 1"),
    "datetimes": (
        lambda a: (1e6 * a).astype("datetime64[s]"),
        (ValueError, TypeError),
        "datetime64",
    ),
    "durations": (lambda a: (1e6 * a).astype("timedelta64[s]"), TypeError, "timedelta64"),
    "a date": (lambda a: among_objects(a, datetime.date(2020, 1, 1)), TypeError, "object"),
    "a datetime": (lambda a: among_objects(a, np.datetime64("2020-01-01")), TypeError, "object"),
    "a duration": (lambda a: among_objects(a, np.timedelta64(3, "s")), TypeError, "object"),
    "a Timestamp": (lambda a: among_objects(a, pd.Timestamp("2020-01-01")), TypeError, "object"),
    "complex": (lambda a: a + 1j, ValueError, "Complex data not supported|real numbers"),
    "a complex": (lambda a: among_objects(a, 1j), (TypeError, ValueError), "."),
    "a text": (lambda a: among_objects(a, "abc"), ValueError, "."),
    "infinity": (lambda a: among_objects(a, np.inf), ValueError, "."),
    "infinity in words": (lambda a: among_objects(a, "inf"), ValueError, "."),
    "NaN in words": (lambda a: among_objects(a, "nan"), ValueError, "."),
    "None": (lambda a: among_objects(a, None), ValueError, "."),
    "infinity among texts": (lambda a: among_objects(a, "inf").astype(str), ValueError, "."),
    "records": (lambda a: np.zeros(a.shape, [("a", float)]), TypeError, "."),
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("function", ROWS)
def test_rows_that_are_no_numbers(function, what):
    spoil, error, message = BAD[what]
    with pytest.raises(Exception, match=message) as caught:
        ROWS[function](spoil(np.abs(X)))
    classes = error if isinstance(error, tuple) else (error,)
    # Scikit-learn's class, where it has one: some are both.
    assert isinstance(caught.value, (ValueError, TypeError))
    if function not in ("linear_kernel", "rbf_kernel", "gram", "band of rows"):
        assert isinstance(caught.value, classes)
    if function != "band of rows" or what == "masked":
        assert re.search(r"\bX\b", str(caught.value))


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("function", TARGETS)
def test_targets_that_are_no_numbers(function, what):
    spoil, error, message = BAD[what]
    with pytest.raises(error, match=message) as caught:
        TARGETS[function](spoil(y))
    assert "y" in str(caught.value).replace("array", ".").split()[0:2] or "y" in str(caught.value)


@pytest.mark.parametrize("function", TARGETS)
def test_targets_are_dense(function):
    for error in (ValueError, TypeError):
        with pytest.raises(error, match=r"y must be dense.*y\.toarray"):
            TARGETS[function](sp.csr_array(y[:, None]))


@pytest.mark.parametrize("function", TARGETS)
def test_numbers_among_objects_and_texts_count(function):
    def numbers_of(result):
        for name in ("dual_coef_", "loo_errors", "low"):
            if hasattr(result, name):
                return getattr(result, name)

    expected = numbers_of(TARGETS[function](y))
    for given in (y.astype(object), y.astype(str), list(y), pd.Series(y), np.ma.masked_array(y)):
        np.testing.assert_array_equal(numbers_of(TARGETS[function](given)), expected)


@pytest.mark.parametrize("part", ["X", "y", "X_eval"])
@pytest.mark.parametrize("solver", ["auto", "rows"])
def test_masks_of_a_band_are_named(part, solver):
    data = {"X": X, "y": y, "X_eval": Y}
    data[part] = masked(data[part])
    for model in (KernelRidge(), LinearRegression()):
        with pytest.raises(ValueError, match=f"{part} must have no masked values; got 1"):
            bootstrap_band(model, **data, n_resamples=3, rng=0, solver=solver)
    data[part] = np.ma.masked_array(data[part].data)
    bootstrap_band(KernelRidge(), **data, n_resamples=3, rng=0, solver=solver)


def test_other_masks_are_named():
    with pytest.raises(ValueError, match="Y must have no masked values"):
        fastkb.rbf_kernel(X, masked(Y))
    for metric in ("precomputed", lambda a, b: a @ b):
        with pytest.raises(ValueError, match="X must have no masked values"):
            fastkb.pairwise_kernels(masked(X), metric=metric)
    with pytest.raises(ValueError, match="gamma must have no masked values"):
        fastkb.rbf_kernel(X, Y, gamma=masked(np.ones(5)))
    with pytest.raises(ValueError, match="X_eval must have no masked values"):
        sampling_band(KernelRidge(), lambda generator: (X, y), masked(Y), n_resamples=2)
    for name in ("alphas", "gammas", "sample_weight"):
        with pytest.raises(ValueError, match=f"{name} must have no masked values"):
            kernel_ridge_path(X, y, **{name: masked(np.ones(12))})
    for alpha in (masked(np.ones(2)), [1.0, np.ma.masked]):
        with pytest.raises(ValueError, match="alpha must have no masked values"):
            KernelRidge(alpha).fit(X, X)
        with pytest.raises(ValueError, match="alpha must have no masked values"):
            bootstrap_band(KernelRidge(alpha), X, X, Y, n_resamples=2)
    with pytest.raises(ValueError, match=r"data\[1\] must have no masked values"):
        fastkb.bootstrap((y, masked(y)), lambda a, b: a.mean() - b.mean(), n_resamples=3)
    with pytest.raises(ValueError, match="X must have no masked values"):
        KernelRidge().fit([masked(row) for row in X], y)


@pytest.mark.parametrize(
    "values",
    [
        np.array(["2020-01-01"], "datetime64[D]"),
        pd.DataFrame({"a": [1.0], "b": pd.to_datetime(["2020-01-01"])}),
        pd.Series(pd.to_datetime(["2020-01-01"])),
        pd.DataFrame({"a": pd.to_datetime(["2020-01-01"]).tz_localize("UTC")}),
        pd.DataFrame({"a": pd.to_timedelta([1], "s")}),
        [np.datetime64("2020-01-01")],
        [datetime.datetime(2020, 1, 1), 3.0],
    ],
    ids=repr,
)
def test_dates_are_no_numbers(values):
    for error in (ValueError, TypeError):
        with pytest.raises(error, match=r"z must be (real )?numbers, got"):
            numbers.check_kinds("z", values)


@pytest.mark.parametrize(
    "values",
    [
        X,
        X.tolist(),
        pd.DataFrame(X),
        pd.DataFrame({"a": pd.array([1, None], "Int64"), "b": ["x", "y"]}),
        sp.csr_array(X),
        np.array(["a", 1, None], object),
        [[1.0], [2.0, 3.0]],
        None,
        3.0,
    ],
    ids=lambda values: type(values).__name__,
)
def test_all_else_is_left_to_other_checks(values):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        numbers.check_kinds("z", values)


def test_an_error_without_a_name_gets_one():
    with pytest.raises(ValueError, match=r"^X: Expected 2D array"), numbers.naming("X"):
        raise ValueError("Expected 2D array")
    with pytest.raises(TypeError, match=r"^X: float"), numbers.naming("X", "y"):
        raise TypeError("float")
    with pytest.raises(ValueError, match=r"^y is bad"), numbers.naming("X", "y"):
        raise ValueError("y is bad")
    with pytest.raises(ValueError, match=r"^X and y: Found"), numbers.naming("X", "y"):
        raise ValueError("Found input variables with inconsistent numbers of samples")
    with pytest.raises(np.linalg.LinAlgError, match=r"^singular"), numbers.naming("X"):
        raise np.linalg.LinAlgError("singular")


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e160, 1e300])
@pytest.mark.parametrize("function", ["KernelRidgeCV.fit", "kernel_ridge_path", "confidence"])
def test_targets_whose_squares_are_out_of_range_are_refused(function, size):
    with pytest.raises(
        ValueError, match=r"y has numbers of the size .*e.*, whose squares (over|und)"
    ):
        TARGETS[function](size * y)


@pytest.mark.parametrize("exponent", [-1000, -600, 600, 1000])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("alpha", [0.1, 1e-9])
def test_replicates_are_linear_in_targets_of_any_size(alpha, fit_intercept, exponent):
    model = KernelRidge(alpha, kernel="rbf", fit_intercept=fit_intercept)
    one, other = (
        bootstrap_band(model, X, np.ldexp(y, e), Y, n_resamples=20, rng=0) for e in (0, exponent)
    )
    for name in ("low", "high", "center", "distribution"):
        expected = np.ldexp(getattr(one, name), exponent)
        np.testing.assert_allclose(getattr(other, name), expected, rtol=1e-6)
    fitted = KernelRidge(alpha, kernel="rbf", fit_intercept=fit_intercept)
    expected = np.ldexp(fitted.fit(X, y).predict(Y), exponent)
    np.testing.assert_allclose(fitted.fit(X, np.ldexp(y, exponent)).predict(Y), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="y has numbers of the size"):
        other.confidence(0.9)


@pytest.mark.parametrize("size", [1e-300, 1e160, 1e300])
def test_taylor_features_far_from_the_origin_are_zero(size):
    features = fastkb.TaylorFeatures(degree=3).fit_transform(size * X)
    assert np.isfinite(features).all()
    gram = features @ features.T
    expected = np.ones_like(gram) if size < 1 else np.zeros_like(gram)
    np.testing.assert_allclose(gram, expected)


@pytest.mark.parametrize(("size", "what"), [(1e-200, "small"), (1e200, "large")])
def test_rows_of_a_scale_without_a_gamma_are_refused(size, what):
    """No candidate of theirs is a float: clipped ones would fit nothing, or a constant."""
    for work in (
        lambda: kernel_ridge_path(size * X, y),
        lambda: KernelRidgeCV().fit(size * X, y),
        lambda: bootstrap_band(KernelRidgeCV(), size * X, y, size * Y, n_resamples=5, rng=0),
        lambda: bootstrap_band(
            KernelRidge(kernel=fastkb.kernels.RBF(size)),
            size * X,
            y,
            size * Y,
            n_resamples=5,
            rng=0,
            kind="confidence",
        ),
    ):
        with pytest.raises(ValueError, match=f"X has rows so {what} a distance apart"):
            work()
    one, other = (
        KernelRidge(0.1, kernel=fastkb.kernels.RBF(s)).fit(s * X, y).predict(s * Y)
        for s in (1.0, size)
    )
    np.testing.assert_allclose(other, one, rtol=1e-9)
