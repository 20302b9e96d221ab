import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsRegressor

import fastkb
from fastkb import KernelRidge, KernelRidgeCV, schemes

X = np.random.default_rng(0).uniform(0, 3, (30, 2))
Y = X[:, 0] + np.sin(X[:, 1])


def band(estimator, **options):
    return fastkb.bootstrap_band(estimator, X, Y, X[:3], n_resamples=5, rng=0, **options)


RIDGE = KernelRidge(0.1, kernel="rbf")
SEARCH = KernelRidgeCV(criterion="reml")


@pytest.mark.parametrize(
    ("estimator", "options", "message"),
    [
        (
            RIDGE,
            {"kind": "confidance"},
            "got 'confidance'; did you mean 'confidence'",
        ),
        (RIDGE, {"kind": None}, "kind must be one of percentile, .*got None"),
        (
            RIDGE,
            {"kind": "confidence", "scheme": schemes.Wild()},
            "scheme is for kind='percentile'",
        ),
        (RIDGE, {"kind": "prediction", "out_of_bag": True}, "out_of_bag is for kind='percentile'"),
        (
            RIDGE,
            {"kind": "simultaneous", "checkpoint": "x.npz"},
            "checkpoint is for kind='percentile'",
        ),
        (KernelRidge(kernel="precomputed"), {"kind": "confidence"}, "needs the rows of X"),
        (KNeighborsRegressor(), {"kind": "confidence"}, "is for KernelRidge and KernelRidgeCV"),
        (LogisticRegression(), {"kind": "prediction"}, "LogisticRegression is a classifier"),
        (
            KNeighborsRegressor(),
            {"kind": "prediction", "scheme": schemes.Residual()},
            "leaves no row out",
        ),
        (KernelRidgeCV(cv=3), {"kind": "confidence"}, "the estimator has cv=3: expected None"),
        (KernelRidgeCV(scoring="r2"), {"kind": "prediction"}, "scoring='r2': expected None"),
        (KernelRidgeCV(cv=3), {"solver": "search"}, "solver='search': the estimator has cv=3"),
        (RIDGE, {"solver": "search"}, "solver='search' is for KernelRidgeCV, got KernelRidge"),
        (SEARCH, {"solver": "lowrank"}, "solver='lowrank' is for KernelRidge"),
        (
            KernelRidgeCV(kernel="sigmoid"),
            {"kind": "prediction"},
            "known to be positive semidefinite",
        ),
        (KernelRidgeCV(alphas=[0.0]), {"kind": "confidence"}, "alphas"),
        (KernelRidgeCV(criterion="aic"), {}, "criterion"),
    ],
)
def test_what_cannot_be_is_said(estimator, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        band(estimator, **options)


@pytest.mark.parametrize("share", ["a", None, True, np.nan, 1.5, -0.1])
def test_share(share):
    found = band(RIDGE)
    with pytest.raises((ValueError, TypeError), match="share must be"):
        found.confidence(0.9, share)


@pytest.mark.parametrize("level", [0, 1, 90, "x"])
@pytest.mark.parametrize("kind", ["confidence", "simultaneous", "prediction"])
def test_level(kind, level):
    with pytest.raises((ValueError, TypeError), match="level"):
        getattr(band(RIDGE), kind)(level)


def test_searches_that_are_refitted_say_why():
    found = band(KernelRidgeCV([0.1, 1.0], cv=3))
    assert found.solver == "weights"
    assert band(SEARCH).solver == "search"
    assert band(SEARCH, solver="weights").solver == "weights"


def test_stacked_data():
    import pandas as pd
    from scipy import sparse

    from fastkb.bands.checks import check_stacked_data

    frame = pd.DataFrame(X, columns=["a", "b"])
    both = check_stacked_data(frame, frame[:2])
    assert list(both) == ["a", "b"]
    assert both.shape == (32, 2)
    assert check_stacked_data(sparse.csr_array(X), X[:2]).shape == (32, 2)
    np.testing.assert_array_equal(check_stacked_data(X, X[:2])[2:], X)
    with pytest.raises(ValueError, match="X_eval must have the columns of X"):
        check_stacked_data(X, X[:2, :1])
