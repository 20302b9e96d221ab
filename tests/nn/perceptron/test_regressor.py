"""Scores and targets of the regression."""

import numpy as np
import pytest
from sklearn.metrics import r2_score

from fastkb import MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_scores_of_regression(data):
    X, y = data()
    model = MLPRegressor(hidden_layer_sizes=6, solver="lbfgs", max_iter=50, random_state=0).fit(
        X, y
    )
    assert model.score(X, y) == r2_score(y, model.predict(X))
    assert model.predict(X).shape == (80,)
    several = MLPRegressor(hidden_layer_sizes=6, max_iter=2).fit(X, np.stack([y, -y], axis=1))
    assert several.predict(X).shape == (80, 2)


def test_poisson_is_refused(data):
    X, y = data()
    with pytest.raises(ValueError, match="loss='poisson' is not supported"):
        MLPRegressor("poisson").fit(X, y)


@pytest.mark.parametrize("y", [[np.inf] + [1.0] * 7, ["inf"] + ["1"] * 7, [np.nan] + [1.0] * 7])
@pytest.mark.parametrize("dtype", [object, str])
def test_infinity_among_objects_and_texts(y, dtype):
    X, y = np.random.default_rng(0).normal(size=(8, 3)), np.array(y, object).astype(dtype)
    for targets in (y, y[:, None], np.column_stack([y, y])):
        with pytest.raises(ValueError, match=r"Input y contains (infinity|NaN)"):
            MLPRegressor(hidden_layer_sizes=2, max_iter=1).fit(X, targets)


def test_targets_that_are_too_large_for_single_precision():
    X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    with pytest.raises(ValueError, match="y has numbers that are too large for float32"):
        MLPRegressor(hidden_layer_sizes=2, max_iter=1).fit(X, np.full(8, 1e300))
