"""What is asked of a refitted model: solvers, schemes and refusals, before any fit."""

import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import sklearn.kernel_ridge
from numba import cloudpickle
from sklearn.base import BaseEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeRegressor

import fastkb
from fastkb import ExecutorError, bootstrap_band, schemes
from fastkb.bands.models.model_band import Options, describe_job, describe_scheme, numbers_of
from fastkb.bands.models.models import GivenData
from fastkb.random.streams import key_from_rng


def labels_of(y):
    return np.where(y > np.median(y), "yes", "no")


class Never(BaseEstimator):
    """An estimator that must not be fitted."""

    def fit(self, X, y):
        raise AssertionError("fitted")

    def predict(self, X):
        raise AssertionError


# --- solvers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [fastkb.KernelRidge, sklearn.kernel_ridge.KernelRidge])
@pytest.mark.parametrize("several", [False, True])
def test_all_solvers_agree(data, cls, several):
    X, y, X_eval = data()
    y = np.stack([y, 10 * y + X[:, 1]], axis=1) if several else y
    model = cls(alpha=0.1, kernel="rbf", gamma=2.0)
    bands = {
        solver: bootstrap_band(model, X, y, X_eval, n_resamples=20, rng=1, solver=solver)
        for solver in ("cholesky", "lowrank", "weights", "rows", "auto")
    }
    expected = bands["cholesky"]
    for solver, band in bands.items():
        error = np.abs(band.distribution - expected.distribution)
        assert (error <= 1e-6 * np.ptp(y, axis=0)).all()
        assert (np.abs(band.center - expected.center) <= 1e-6 * np.ptp(y, axis=0)).all()
        assert band.solver == (solver if solver != "auto" else band.solver)
    assert bands["rows"].reason == "asked for"
    assert "sample_weight" in bands["weights"].reason


@pytest.mark.parametrize("solver", ["lowrank", "cholesky"])
def test_solvers_of_kernel_ridge(data, solver):
    with pytest.raises(ValueError, match=f"solver='{solver}' is for KernelRidge"):
        bootstrap_band(Never(), *data(), n_resamples=3, solver=solver)


@pytest.mark.parametrize("options", [{}, {"solver": "weights"}])
def test_float32(data, options):
    X, y, X_eval = (a.astype(np.float32) for a in data())
    model = fastkb.KernelRidge(alpha=0.1, kernel="rbf", gamma=2.0)
    band = bootstrap_band(model, X, y, X_eval, n_resamples=5, rng=0, **options)
    assert band.distribution.dtype == band.low.dtype == np.float32


# --- schemes ------------------------------------------------------------------------------------

GROUPS = np.arange(40) // 5
SCHEMES = [
    schemes.Bayesian(),
    schemes.Stratified(GROUPS % 2),
    schemes.Clusters(GROUPS),
    schemes.MovingBlocks(4),
    schemes.CircularBlocks(4),
    schemes.StationaryBlocks(4),
    schemes.MovingBlocks(),
    schemes.Residual(),
    schemes.Residual(leverage=np.linspace(0.0, 0.5, 40)),
    schemes.Wild(),
    schemes.Wild(distribution="mammen", labels=GROUPS),
    schemes.Residual(np.linspace(0.0, 1.0, 40)),
]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_schemes_are_the_same_for_kernel_ridge_and_its_refits(data, scheme):
    X, y, X_eval = data()
    model = fastkb.KernelRidge(alpha=0.1, kernel="rbf", gamma=2.0)
    own, refit = (
        bootstrap_band(model, X, y, X_eval, n_resamples=15, rng=4, solver=solver, scheme=scheme)
        for solver in ("auto", "weights")
    )
    np.testing.assert_allclose(refit.distribution, own.distribution, atol=1e-9)
    np.testing.assert_allclose(refit.center, own.center, atol=1e-9)
    assert len(np.unique(own.distribution[:, 0])) > 12
    new = isinstance(scheme, schemes.Residual | schemes.Wild)
    assert refit.solver == ("responses" if new else "weights")
    assert own.solver == "cholesky"


@pytest.mark.parametrize("scheme", [SCHEMES[0], SCHEMES[2], schemes.Residual(), schemes.Wild()])
def test_schemes_with_several_targets(data, scheme):
    X, y, X_eval = data()
    Y = np.stack([y, y**2, y + X[:, 1]], axis=1)
    model = fastkb.KernelRidge(alpha=0.1, kernel="rbf", gamma=2.0)
    own, refit = (
        bootstrap_band(model, X, Y, X_eval, n_resamples=15, rng=4, solver=solver, scheme=scheme)
        for solver in ("auto", "weights")
    )
    assert own.distribution.shape == (15, 7, 3)
    np.testing.assert_allclose(refit.distribution, own.distribution, atol=1e-9)


def test_a_scheme_is_the_plain_loop(data):
    X, y, X_eval = data()
    scheme = schemes.Clusters(GROUPS)
    counts = scheme.prepare([y], True).counts(key_from_rng(4), 0, 10)
    for model in (LinearRegression(), KNeighborsRegressor()):
        band = bootstrap_band(model, X, y, X_eval, n_resamples=10, rng=4, scheme=scheme)
        for b, row in enumerate(counts):
            rows = np.repeat(np.arange(40), row)
            expected = model.__sklearn_clone__().fit(X[rows], y[rows]).predict(X_eval)
            np.testing.assert_allclose(band.distribution[b], expected, atol=1e-10)


def test_new_responses_are_the_plain_loop(data):
    X, y, X_eval = data()
    for scheme in (schemes.Residual(), schemes.Wild()):
        for model in (LinearRegression(), KNeighborsRegressor()):
            band = bootstrap_band(model, X, y, X_eval, n_resamples=10, rng=4, scheme=scheme)
            fitted = model.__sklearn_clone__().fit(X, y).predict(X)
            prepared = scheme.around(y, fitted)
            for b, new in enumerate(prepared.responses(key_from_rng(4), 0, 10)):
                expected = model.__sklearn_clone__().fit(X, new).predict(X_eval)
                np.testing.assert_allclose(band.distribution[b], expected, atol=1e-12)


def test_new_responses_for_functions(data):
    def mean(X, y, w, X_eval):
        assert (w == 1).all()
        return np.full(len(X_eval), np.average(y, weights=w))

    X, y, X_eval = data()
    band = bootstrap_band(mean, X, y, X_eval, n_resamples=10, rng=4, scheme=schemes.Wild())
    prepared = schemes.Wild(np.full(40, y.mean())).prepare([y], True)
    expected = prepared.responses(key_from_rng(4), 0, 10).mean(axis=1)
    np.testing.assert_allclose(band.distribution[:, 0], expected, rtol=1e-12)


def test_bayesian_weights_for_functions_and_classifiers(data):
    X, y, X_eval = data()
    seen = []

    def mean(X, y, w, X_eval):
        seen.append(w)
        return np.full(len(X_eval), np.average(y, weights=w))

    bootstrap_band(mean, X, y, X_eval, n_resamples=5, rng=4, scheme=schemes.Bayesian())
    weights = schemes.Bayesian().prepare([y], True).counts(key_from_rng(4), 0, 5)
    np.testing.assert_array_equal(seen, [np.ones(40), *weights])
    labels = labels_of(y)
    band = bootstrap_band(
        LogisticRegression(tol=1e-9), X, labels, X_eval, n_resamples=5, rng=4,
        scheme=schemes.Bayesian(),
    )  # fmt: skip
    for b, row in enumerate(weights):
        one = LogisticRegression(tol=1e-9).fit(X, labels, sample_weight=row)
        np.testing.assert_allclose(band.distribution[b], one.predict_proba(X_eval)[:, 1], atol=1e-6)


def test_strata_keep_every_class(data):
    X, y, X_eval = data()
    labels = labels_of(y)
    labels[:2] = "one"
    band = bootstrap_band(
        SVC(), X, labels, X_eval, n_resamples=20, rng=0, scheme=schemes.Stratified(labels)
    )
    assert band.distribution.shape == (20, 7, 3)
    assert band.classes.tolist() == ["no", "one", "yes"]


def test_fitted_values_of_several_targets(data):
    X, y, X_eval = data()
    Y = np.column_stack([y, 2 * y])
    fitted = LinearRegression().fit(X, Y).predict(X)
    for model in (fastkb.KernelRidge(kernel="rbf", alpha=0.3), LinearRegression()):
        bands = [
            bootstrap_band(model, X, targets, X_eval, n_resamples=6, rng=0, scheme=scheme)
            for targets, scheme in [
                (Y, schemes.Wild(fitted)),
                (y, schemes.Wild(fitted[:, 0])),
            ]
        ]
        both, one = (band.distribution for band in bands)
        np.testing.assert_allclose(both[..., 0], one, atol=1e-12)
        np.testing.assert_allclose(both[..., 1], 2 * one, atol=1e-12)


# --- refusals, before any fit -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        (Never(), {"scheme": schemes.Bayesian()}, "Bayesian needs .* sample_weight.*Never"),
        (Never(), {"solver": "weights"}, "the fit of Never takes no sample_weight"),
        (Never(), {"scheme": schemes.MOutOfN(0.5)}, "fewer rows"),
        (Never(), {"scheme": schemes.Subsampling(0.5)}, "fewer rows"),
        (fastkb.KernelRidge(), {"scheme": schemes.MOutOfN(0.5)}, "fewer rows"),
        (Never(), {"response_method": "predict_proba"}, "has no predict_proba"),
        (Never(), {"response_method": "probability"}, "response_method must be one of"),
        (Never(), {"n_resamples": 0}, "n_resamples"),
        (Never(), {"solver": "magic"}, "solver must be one of"),
        (Never(), {"checkpoint": "band.npz"}, "rng is None"),
        (fastkb.KernelRidge(), {"response_method": "decision_function"}, "decision_function"),
        (Never(), {"scheme": schemes.Wild(np.ones(3))}, "fitted must have .* got \\(3,\\)"),
        (Never(), {"scheme": schemes.Residual(leverage=np.ones(3))}, "leverage must be one number"),
    ],
)
def test_refusals(data, model, options, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=words):
        bootstrap_band(model, *data(), **{"n_resamples": 3, **options})


def test_rows_take_no_bayesian_weights(data):
    with pytest.raises(
        ValueError, match="Bayesian needs an estimator whose fit takes sample_weight"
    ):
        bootstrap_band(
            Ridge(), *data(), n_resamples=3, solver="rows", scheme=schemes.Bayesian()
        )  # fmt: skip
    with pytest.raises(ValueError, match="Pipeline takes no sample_weight"):
        bootstrap_band(make_pipeline(Ridge()), *data(), n_resamples=3, scheme=schemes.Bayesian())


@pytest.mark.parametrize("scheme", [schemes.Wild(), schemes.Residual()])
@pytest.mark.parametrize("model", [LogisticRegression(), KNeighborsClassifier()])
def test_classifiers_have_no_residuals(data, scheme, model):
    X, y, X_eval = data()
    with pytest.raises(ValueError, match=f"{type(scheme).__name__} is for regression"):
        bootstrap_band(model, X, labels_of(y), X_eval, n_resamples=3, scheme=scheme)


def test_probabilities_of_one_target_only(data):
    X, y, X_eval = data()
    labels = np.stack([y > 0, y > 0.5], axis=1).astype(int)
    with pytest.raises(ValueError, match=r"needs y of shape \(n,\), got \(40, 2\)"):
        bootstrap_band(KNeighborsClassifier(), X, labels, X_eval, n_resamples=3)
    band = bootstrap_band(
        KNeighborsClassifier(), X, labels, X_eval, n_resamples=3, response_method="predict"
    )
    assert band.distribution.shape == (3, 7, 2)


@pytest.mark.parametrize("model", [LinearRegression, "model", 3])
def test_no_models(data, model):
    with pytest.raises(TypeError, match="estimator must"):
        bootstrap_band(model, *data(), n_resamples=3)


def test_data_of_different_lengths(data):
    X, y, X_eval = data()
    with pytest.raises(ValueError, match="y has 39 rows and X has 40"):
        bootstrap_band(Never(), X, y[:-1], X_eval, n_resamples=3)
    with pytest.raises(ValueError, match="two rows at least"):
        bootstrap_band(Never(), X[:1], y[:1], X_eval, n_resamples=3)


@pytest.mark.parametrize(
    ("model", "response"),
    [(LogisticRegression(), "predict_proba"), (LinearSVC(), "decision_function")],
)
def test_response_of_classifiers(data, model, response):
    X, y, X_eval = data()
    labels = labels_of(y)
    bands = [
        bootstrap_band(model, X, labels, X_eval, n_resamples=3, rng=0, response_method=method)
        for method in ("auto", response)
    ]
    np.testing.assert_array_equal(bands[0].distribution, bands[1].distribution)
    fitted = getattr(model.__sklearn_clone__().fit(X, labels), response)(X_eval)
    if response == "predict_proba":
        np.testing.assert_array_equal(bands[0].center, fitted[:, 1])
    else:
        assert bands[0].center.shape == (7,)


# --- the job ------------------------------------------------------------------------------------


def test_numbers_of():
    assert numbers_of(["b", "a", "b"]).tolist() == [1.0, 0.0, 1.0]
    assert numbers_of([True, False]).tolist() == [1.0, 0.0]
    assert numbers_of(np.arange(6).reshape(3, 2)).tolist() == [[0, 2, 4], [1, 3, 5]]
    assert numbers_of(np.array([["u", "v"], ["v", "v"]])).tolist() == [[0, 1], [1, 1]]


def test_descriptions(data):
    assert describe_scheme(None) == "rows"
    assert describe_scheme(schemes.Stratified(np.array([0, 1]))) == "Stratified(labels=[0, 1])"
    # Its resamples are others than those of checkpoints without the number.
    assert describe_scheme(schemes.StationaryBlocks(4)) == "StationaryBlocks(length=4), stream 1"
    long = np.arange(5000)
    changed = long.copy()
    changed[2500] = 0
    assert describe_scheme(schemes.Clusters(long)) != describe_scheme(schemes.Clusters(changed))
    X, y, X_eval = data()
    options = Options(key_from_rng(1), 9, None, "auto", 2, True, False)
    job = describe_job(LinearRegression(), GivenData(X, y.tolist(), X_eval), "rows", options)
    same = describe_job(
        LinearRegression(),
        GivenData(X, y, X_eval),
        "rows",
        options._replace(n_jobs=1, progress=True),
    )
    assert job.keys() == same.keys()
    for name, value in job.items():
        np.testing.assert_array_equal(value, same[name])
    assert job["scheme"] == "rows"
    assert job["n_resamples"] == 9
    assert "LinearRegression(" in job["estimator"]


# --- on an executor -----------------------------------------------------------------------------

# Workers cannot import this module: what it defines travels by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

ROWS = np.random.default_rng(0).uniform(-1, 1, (50, 2))
TARGETS = np.sin(3 * ROWS[:, 0]) + 0.1 * np.random.default_rng(1).normal(size=50)
POINTS = np.random.default_rng(2).uniform(-1, 1, (7, 2))


def fit_predict(X, y, w, X_eval):
    centre = (w[:, None] * X).sum(axis=0) / w.sum()
    return (X_eval - centre) @ np.ones(X.shape[1]) + np.average(y, weights=w)


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (LinearRegression(), {}),
        (DecisionTreeRegressor(max_depth=3), {"out_of_bag": True}),
        (DecisionTreeRegressor(max_depth=3), {"solver": "rows"}),
        (fit_predict, {}),
        (LinearRegression(), {"scheme": schemes.Wild()}),
        (LinearRegression(), {"scheme": schemes.Bayesian()}),
    ],
)
def test_refits_on_an_executor_are_those_of_this_process(model, options, processes):
    options = {"n_resamples": 70, "rng": 3, **options}
    expected = bootstrap_band(model, ROWS, TARGETS, POINTS, **options)
    told = []
    with ThreadPoolExecutor(2) as threads:
        for executor in (threads, processes):
            found = bootstrap_band(
                model, ROWS, TARGETS, POINTS, executor=executor,
                progress=lambda *a: told.append(a), **options,
            )  # fmt: skip
            np.testing.assert_array_equal(found.distribution, expected.distribution)
            np.testing.assert_array_equal(found.low, expected.low)
            if options.get("out_of_bag"):
                assert found.prediction_error == expected.prediction_error
            assert told[-1] == ("replicates", 70, 70)


def test_a_broken_executor_and_a_checkpoint(tmp_path):
    path = tmp_path / "band.npz"
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    options = {"n_resamples": 40, "rng": 3, "checkpoint": path}
    with pytest.raises(ExecutorError) as caught:
        bootstrap_band(LinearRegression(), ROWS, TARGETS, POINTS, executor=pool, **options)
    expected = bootstrap_band(LinearRegression(), ROWS, TARGETS, POINTS, n_resamples=40, rng=3)
    found = caught.value.go_on()
    np.testing.assert_array_equal(found.distribution, expected.distribution)
    # And from the file that all replicates were saved to.
    with ThreadPoolExecutor(1) as working:
        again = bootstrap_band(
            LinearRegression(), ROWS, TARGETS, POINTS, executor=working, **options
        )
    np.testing.assert_array_equal(again.distribution, expected.distribution)


def test_an_executor_excludes_workers_of_joblib():
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(ValueError, match="executor excludes n_jobs"):
            bootstrap_band(LinearRegression(), ROWS, TARGETS, POINTS, executor=pool, n_jobs=2)
        with pytest.raises(TypeError, match="executor must have a method submit"):
            bootstrap_band(LinearRegression(), ROWS, TARGETS, POINTS, executor=2)
