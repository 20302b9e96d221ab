"""Bands of perceptrons: replicates that are trained side by side are the estimator's own fits."""

import warnings

import numba
import numpy as np
import pandas as pd
import pytest
import sklearn.neural_network
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fastkb import MLPClassifier, MLPRegressor, bootstrap_band, schemes
from fastkb.bands.models.models import random_states
from fastkb.bands.networks import perceptron_refits as module
from fastkb.nn.perceptron import stochastic
from fastkb.nn.training import members as members_module
from fastkb.random.streams import bootstrap_counts, key_from_rng

# Most fits here are cut short on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = {"hidden_layer_sizes": 5, "max_iter": 6, "batch_size": 16, "learning_rate_init": 0.01}
GROUPS = np.arange(40) // 5


def data(n=40, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X, X_eval = rng.uniform(-1, 1, (n, 2)), rng.uniform(-1, 1, (7, 2))
    y = np.sin(4 * X[:, 0]) + 0.2 * rng.standard_normal(n)
    return X.astype(dtype), y.astype(dtype), X_eval.astype(dtype)


def classes_of(y, count):
    names = np.array(["a", "b", "c", "d"])
    return names[np.searchsorted(np.quantile(y, np.arange(1, count) / count), y)]


def seed_of(model, seed, b):
    if isinstance(model.random_state, int):
        return model.random_state
    return random_states(key_from_rng(seed), b, 1)[0]


def own_fits(model, X, y, weights, seed):
    """The estimator's own fit on each replicate's weights."""
    for b, row in enumerate(weights):
        yield clone(model).set_params(random_state=seed_of(model, seed, b)).fit(X, y, row)


def assert_own_fits(band, model, X, y, X_eval, weights, seed=4):
    assert band.solver == "ensemble"
    assert band.n_resamples == len(weights)
    for b, fitted in enumerate(own_fits(model, X, y, weights, seed)):
        expected = fitted.predict(X_eval)
        if hasattr(fitted, "predict_proba"):
            expected = fitted.predict_proba(X_eval)
            expected = expected[:, 1] if expected.shape[1] == 2 else expected
        np.testing.assert_array_equal(band.distribution[b], expected)
    assert len(np.unique(band.distribution.reshape(len(weights), -1)[:, 0])) == len(weights)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize(
    "random_state", [None, 3, np.random.RandomState(0)], ids=["none", "3", "state"]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_replicate_is_the_estimators_own_fit(solver, random_state, dtype):
    X, y, X_eval = data(dtype=dtype)
    model = MLPRegressor(solver=solver, random_state=random_state, **SMALL)
    band = bootstrap_band(model, X, y, X_eval, n_resamples=9, rng=4)
    assert_own_fits(band, model, X, y, X_eval, bootstrap_counts(key_from_rng(4), 0, 9, 40))
    assert band.distribution.dtype == band.low.dtype == dtype
    center = clone(model).set_params(random_state=seed_of(model, 4, -1)).fit(X, y)
    np.testing.assert_array_equal(band.center, center.predict(X_eval))
    assert "solver='weights'" in band.reason
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize(
    "scheme",
    [
        schemes.Bayesian(),
        schemes.Stratified(GROUPS % 2),
        schemes.Clusters(GROUPS),
        schemes.MovingBlocks(4),
        schemes.StationaryBlocks(4),
    ],
)
def test_schemes_are_other_weights(scheme):
    X, y, X_eval = data()
    model = MLPRegressor(**SMALL)
    band = bootstrap_band(model, X, y, X_eval, n_resamples=8, rng=4, scheme=scheme)
    weights = scheme.prepare([y], True).counts(key_from_rng(4), 0, 8)
    assert_own_fits(band, model, X, y, X_eval, weights)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_classes(count):
    """The second of two, or all; also where a resample has lost one."""
    X, y, X_eval = data()
    labels = classes_of(y, count)
    if count == 3:
        labels = np.where(np.arange(40) == 0, "c", classes_of(y, 2))  # in one resample of three not
    model = MLPClassifier(**SMALL)
    band = bootstrap_band(model, X, labels, X_eval, n_resamples=9, rng=4)
    assert band.distribution.shape == ((9, 7) if count == 2 else (9, 7, count))
    assert band.classes.tolist() == sorted(set(labels))
    counts = bootstrap_counts(key_from_rng(4), 0, 9, 40)
    assert_own_fits(band, model, X, labels, X_eval, counts)
    if count == 3:
        assert (counts[:, 0] == 0).any()


def test_predicted_labels_and_several_outputs():
    X, y, X_eval = data()
    counts = bootstrap_counts(key_from_rng(4), 0, 5, 40)
    numbers = (y > 0).astype(int)
    for kind, target in (
        (MLPClassifier, numbers),
        (MLPClassifier, (X > 0).astype(int)),
        (MLPRegressor, np.stack([y, y**2], axis=1)),
    ):
        model = kind(**SMALL)
        band = bootstrap_band(
            model, X, target, X_eval, n_resamples=5, rng=4, response_method="predict"
        )
        for b, fitted in enumerate(own_fits(model, X, target, counts, 4)):
            np.testing.assert_array_equal(band.distribution[b], fitted.predict(X_eval))
        assert band.solver == "ensemble"


@pytest.mark.parametrize("weight", [0.5, None])
def test_weights_of_the_users(weight):
    X, y, X_eval = data()
    weight = np.random.default_rng(0).uniform(size=40) if weight is None else weight
    model = MLPRegressor(**SMALL)
    band = bootstrap_band(
        model, X, y, X_eval, n_resamples=6, rng=4, fit_params={"sample_weight": weight}
    )
    counts = bootstrap_counts(key_from_rng(4), 0, 6, 40)
    assert_own_fits(band, model, X, y, X_eval, counts * weight)
    center = clone(model).set_params(random_state=seed_of(model, 4, -1)).fit(X, y, weight)
    np.testing.assert_array_equal(band.center, center.predict(X_eval))


def test_weights_that_leave_a_replicate_nothing():
    X, y, X_eval = data()
    weight = (np.arange(40) < 2).astype(float)  # one resample in eight has neither
    with pytest.raises(
        ValueError, match=r"failed on replicate \d+: ValueError: sample_weight is zero"
    ):
        bootstrap_band(
            MLPRegressor(**SMALL), X, y, X_eval, n_resamples=60, rng=0,
            fit_params={"sample_weight": weight},
        )  # fmt: skip


def test_sparse_matrices_and_data_frames():
    X, y, X_eval = data()
    X[np.abs(X) < 0.3] = 0.0
    model = MLPRegressor(**SMALL)
    expected = bootstrap_band(model, X, y, X_eval, n_resamples=4, rng=0, out_of_bag=True)
    frame, points = (pd.DataFrame(a, columns=["u", "v"]) for a in (X, X_eval))
    for inputs, at in (
        (sparse.csr_matrix(X), sparse.csr_matrix(X_eval)),
        (sparse.csc_array(X), X_eval),
        (frame, points),
        (X.tolist(), X_eval.tolist()),
    ):
        band = bootstrap_band(model, inputs, y, at, n_resamples=4, rng=0, out_of_bag=True)
        assert band.solver == "ensemble"
        np.testing.assert_array_equal(band.distribution, expected.distribution)
        assert band.prediction_error == expected.prediction_error
    with pytest.raises(ValueError, match="feature names"):
        bootstrap_band(model, frame, y, points[["v", "u"]], n_resamples=4, rng=0)


@pytest.mark.parametrize("classifier", [False, True])
def test_out_of_bag_error_is_that_of_a_plain_loop(classifier):
    X, y, X_eval = data()
    kind, target = (MLPClassifier, classes_of(y, 3)) if classifier else (MLPRegressor, y)
    model = kind(**SMALL)
    band = bootstrap_band(model, X, target, X_eval, n_resamples=12, rng=4, out_of_bag=True)
    counts = bootstrap_counts(key_from_rng(4), 0, 12, 40)
    losses = [[] for _ in range(40)]
    for fitted, row in zip(own_fits(model, X, target, counts, 4), counts, strict=True):
        predicted = fitted.predict(X)
        wrong = predicted != target if classifier else (predicted - target) ** 2
        for i in np.flatnonzero(row == 0):
            losses[i].append(wrong[i])
    expected = np.mean([np.mean(each) for each in losses if each])
    # A mean of means of a dozen terms each.
    np.testing.assert_allclose(band.prediction_error.out_of_bag, expected, rtol=1e-13)
    assert band.prediction_error.loss == ("zero_one" if classifier else "squared_error")


# --- what does not matter -----------------------------------------------------------------------


def test_neither_threads_nor_groups_nor_the_number_of_replicates_matter(monkeypatch):
    X, y, X_eval = data()
    model = MLPRegressor(tol=0.02, n_iter_no_change=1, **{**SMALL, "max_iter": 40})
    whole = bootstrap_band(model, X, y, X_eval, n_resamples=20, rng=4)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        one = bootstrap_band(model, X, y, X_eval, n_resamples=20, rng=4)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(one.distribution, whole.distribution)
    few = bootstrap_band(model, X, y, X_eval, n_resamples=7, rng=4)
    np.testing.assert_array_equal(few.distribution, whole.distribution[:7])
    monkeypatch.setattr(members_module, "_FEWEST", 1)
    monkeypatch.setattr(members_module, "_SECONDS_A_GROUP", 0.0)
    small = bootstrap_band(model, X, y, X_eval, n_resamples=20, rng=4)
    np.testing.assert_array_equal(small.distribution, whole.distribution)


@pytest.mark.parametrize("out_of_bag", [False, True])
def test_an_interrupted_band_goes_on(tmp_path, monkeypatch, out_of_bag):
    monkeypatch.setattr(members_module, "_FEWEST", 2)
    monkeypatch.setattr(members_module, "_SECONDS_A_GROUP", 0.0)
    monkeypatch.setattr(members_module, "n_threads", lambda: 2)
    X, y, X_eval = data()
    model, path = MLPRegressor(**SMALL), tmp_path / "band.npz"
    options = {"n_resamples": 11, "rng": 4, "out_of_bag": out_of_bag}
    whole = bootstrap_band(model, X, y, X_eval, **options)
    true, calls = stochastic.train_members, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return true(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(stochastic, "train_members", interrupted)
        with pytest.raises(KeyboardInterrupt):
            bootstrap_band(model, X, y, X_eval, checkpoint=path, **options)
    with np.load(path) as content:
        assert len(content["array/distribution"]) == 8
    with pytest.raises(ValueError, match="estimator"):
        bootstrap_band(MLPRegressor(), X, y, X_eval, checkpoint=path, **options)
    with pytest.raises(ValueError, match="fit_params"):
        bootstrap_band(
            model, X, y, X_eval, checkpoint=path, fit_params={"sample_weight": y**2}, **options
        )
    band = bootstrap_band(model, X, y, X_eval, checkpoint=path, **options)
    np.testing.assert_array_equal(band.distribution, whole.distribution)
    assert band.prediction_error == whole.prediction_error


# --- who is trained one by one ------------------------------------------------------------------


class Renamed(MLPRegressor):
    """What a user derives may differ in anything."""


@pytest.mark.parametrize(
    ("model", "options", "reason"),
    [
        (MLPRegressor(solver="lbfgs", max_iter=3), {},
         "takes sample_weight, and they are not trained side by side: solver='lbfgs'"),
        (MLPRegressor(verbose=True, **SMALL), {}, "verbose=True prints the losses of each by itself"),
        (MLPRegressor(**SMALL), {"scheme": schemes.Wild()}, "new responses"),
        (MLPRegressor(**SMALL), {"solver": "weights"}, "the fit of MLPRegressor takes sample_weight"),
        (MLPRegressor(**SMALL), {"solver": "rows"}, "asked for"),
        (Renamed(**SMALL), {}, "the fit of Renamed takes sample_weight"),
        (sklearn.neural_network.MLPRegressor(**SMALL), {}, "takes sample_weight"),
    ],
)  # fmt: skip
def test_who_is_refitted_and_why(model, options, reason, monkeypatch):
    def never(*arguments):
        raise AssertionError("trained side by side")

    monkeypatch.setattr(module, "_SideBySide", never)
    X, y, X_eval = data()
    band = bootstrap_band(model, X, y, X_eval, n_resamples=3, rng=0, **options)
    assert reason in band.reason
    assert band.solver in ("weights", "rows", "responses")
    if not options.get("solver"):
        with pytest.raises(ValueError, match="solver='ensemble': "):
            bootstrap_band(
                model, X, y, X_eval, n_resamples=3, rng=0, **{**options, "solver": "ensemble"}
            )


def test_refits_and_members_differ_by_rows_without_weight_alone():
    """Refitted, a replicate has the rows that were drawn; side by side, all. One batch is the same."""
    X, y, X_eval = data()
    model = MLPRegressor(**{**SMALL, "batch_size": "auto", "shuffle": False})
    ensemble, refits = (
        bootstrap_band(model, X, y, X_eval, n_resamples=5, rng=4, solver=solver)
        for solver in ("ensemble", "weights")
    )
    # Six of Adam's steps, whose sums of forty terms differ in their order.
    np.testing.assert_allclose(refits.distribution, ensemble.distribution, rtol=0, atol=1e-11)


# --- what users are told ------------------------------------------------------------------------


def test_one_warning_counts_those_that_have_not_converged():
    X, y, X_eval = data()
    model = MLPRegressor(tol=0.02, n_iter_no_change=1, **{**SMALL, "max_iter": 9})
    counts = bootstrap_counts(key_from_rng(4), 0, 12, 40)
    with warnings.catch_warnings(record=True) as single:
        warnings.simplefilter("always")
        list(own_fits(model, X, y, counts, 4))
    unfinished = len(single)
    assert 0 < unfinished < 12
    with pytest.warns(ConvergenceWarning) as caught:
        bootstrap_band(model, X, y, X_eval, n_resamples=12, rng=4)
    (one,) = (each for each in caught if "replicates" in str(each.message))
    assert one.filename == __file__
    assert str(one.message) == (
        f"{unfinished} of 12 replicates have not converged after max_iter=9 epochs"
    )


def test_a_replicate_that_diverges_is_named():
    X, y, X_eval = data(dtype=np.float32)
    X[0] = 8.0
    model = MLPRegressor(
        hidden_layer_sizes=(), solver="sgd", momentum=0.0, learning_rate_init=0.4, tol=0.0,
        n_iter_no_change=400, max_iter=400, batch_size=40, random_state=0,
    )  # fmt: skip
    with pytest.raises(
        ValueError, match=r"failed on replicate \d+: ValueError: Training diverged"
    ) as error:
        bootstrap_band(model, X, y, X_eval, n_resamples=20, rng=0)
    named = int(str(error.value).split("replicate ")[1].split(":")[0])
    counts = bootstrap_counts(key_from_rng(0), 0, 20, 40)
    for b in range(named + 1):
        one = clone(model)
        if b < named:
            one.fit(X, y, counts[b])
        else:
            with pytest.raises(ValueError, match="Training diverged"):
                one.fit(X, y, counts[b])


def test_bad_parameters_are_found_before_any_replicate(monkeypatch):
    def never(*arguments):
        raise AssertionError("trained")

    monkeypatch.setattr(module, "_SideBySide", never)
    X, y, X_eval = data()
    with pytest.raises(ValueError, match="alpha"):
        bootstrap_band(MLPRegressor(alpha=-1.0), X, y, X_eval, n_resamples=3)
    with pytest.raises(ValueError, match=r"unknown 'sample_weigth'.*did you mean 'sample_weight'"):
        bootstrap_band(MLPRegressor(), X, y, X_eval, fit_params={"sample_weigth": y})
    with pytest.raises(ValueError, match=r"sample_weight must be one number or have shape \(40,\)"):
        bootstrap_band(MLPRegressor(), X, y, X_eval, fit_params={"sample_weight": y[:5]})
    with pytest.raises(ValueError, match=r"MLPClassifier.* has no decision_function"):
        bootstrap_band(
            MLPClassifier(), X, y > 0, X_eval, response_method="decision_function"
        )  # fmt: skip
