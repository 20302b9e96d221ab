"""Refitted models: any backend, out-of-bag errors, interruptions that lose nothing, failures."""

import dataclasses
import os
import subprocess
import sys
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.tree import DecisionTreeRegressor

import fastkb
from fastkb import bootstrap_band, schemes
from fastkb.bands.models import refits
from fastkb.bands.ridge import replicates, smoother
from fastkb.bands.ridge.lowrank import BATCH
from fastkb.gram import engine
from fastkb.random.streams import bootstrap_counts, key_from_rng
from fastkb.reference import prediction_error as reference
from fastkb.runtime.threads import n_threads


def assert_same(one, other):
    np.testing.assert_array_equal(one.distribution, other.distribution)
    np.testing.assert_array_equal(one.center, other.center)
    assert one.prediction_error == other.prediction_error


# A checkpoint knows a function by its code and what it closes over, and not by the globals it reads.
FAILURE = {"left": None, "error": None, "calls": 0}


@pytest.fixture(autouse=True)
def calm():
    FAILURE.update(left=None, error=None, calls=0)


def fail_after(calls, error):
    FAILURE.update(left=calls, error=error, calls=0)


def fit_predict(X, y, w, X_eval):
    """Weighted least squares, until it is told to fail."""
    FAILURE["calls"] += 1
    if FAILURE["left"] is not None:
        if not FAILURE["left"]:
            raise FAILURE["error"]
        FAILURE["left"] -= 1
    A = np.column_stack([np.ones(len(X)), X])
    beta = np.linalg.solve(A.T @ (w[:, None] * A), A.T @ (w * y))
    return np.column_stack([np.ones(len(X_eval)), X_eval]) @ beta


# --- workers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [0.0, 0.25])
def test_results_do_not_depend_on_workers(data, monkeypatch, task):
    monkeypatch.setattr(refits, "_SECONDS_A_TASK", task)
    X, y, X_eval = data()
    model = DecisionTreeRegressor(max_features=1, splitter="random")

    def draw(n_jobs=None):
        return bootstrap_band(
            model, X, y, X_eval, n_resamples=21, rng=5, n_jobs=n_jobs, out_of_bag=True
        )

    alone = draw(1)
    assert_same(draw(), alone)
    assert_same(draw(2), alone)
    with joblib.parallel_config(backend="threading", n_jobs=2):
        assert_same(draw(), alone)
    with joblib.parallel_config(backend="sequential"):
        assert_same(draw(), alone)


def test_new_responses_in_workers(data):
    X, y, X_eval = data()
    Y = np.stack([y, -y, y**2], axis=1)
    draws = [
        bootstrap_band(
            LinearRegression(), X, Y, X_eval, n_resamples=9, rng=0, n_jobs=jobs,
            scheme=schemes.Residual(),
        )
        for jobs in (1, 2)
    ]  # fmt: skip
    assert_same(*draws)


def test_backends_that_return_lists(data, monkeypatch):
    from joblib._parallel_backends import ThreadingBackend

    X, y, X_eval = data()
    alone = bootstrap_band(LinearRegression(), X, y, X_eval, n_resamples=9, rng=0)
    monkeypatch.setattr(ThreadingBackend, "supports_return_generator", False)
    with joblib.parallel_config(backend="threading", n_jobs=2):
        listed = bootstrap_band(LinearRegression(), X, y, X_eval, n_resamples=9, rng=0)
    assert_same(alone, listed)


# --- out-of-bag ---------------------------------------------------------------------------------


def plain_errors(y, predictions, weights, fitted, loss):
    training = reference.training_error(y, fitted, loss)
    out_of_bag, never = reference.leave_one_out_bootstrap(y, predictions, weights, loss)
    gamma = reference.no_information(y, fitted, loss)
    plus, relative = reference.err632plus(training, out_of_bag, gamma)
    return (
        training,
        out_of_bag,
        gamma,
        relative,
        reference.err632(training, out_of_bag),
        plus,
        never,
    )


def assert_errors(error, y, at_data, fitted, seed, loss, counts=None):
    """`at_data(rows)` are the predictions at all data of the model fitted on `rows`."""
    if counts is None:
        counts = bootstrap_counts(key_from_rng(seed), 0, 12, len(y))
    predictions = [at_data(np.repeat(np.arange(len(y)), row)) for row in counts]
    expected = plain_errors(y, predictions, counts, fitted, loss)
    values = dataclasses.astuple(error)
    np.testing.assert_allclose([*values[:6], values[7]], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("model", "solver"),
    [
        (fastkb.KernelRidge(alpha=0.1, kernel="rbf", gamma=2.0), "auto"),
        (fastkb.KernelRidge(alpha=0.1, kernel="rbf", gamma=2.0), "cholesky"),
        (fastkb.KernelRidge(alpha=0.1, kernel="rbf", gamma=2.0), "weights"),
        (fastkb.KernelRidge(alpha=0.1, kernel="rbf", gamma=2.0, fit_intercept=True), "auto"),
        (KNeighborsRegressor(3), "rows"),
        (LinearRegression(), "auto"),
    ],
)
@pytest.mark.parametrize("several", [False, True])
def test_squared_error(data, model, solver, several):
    X, y, X_eval = data()
    y = np.stack([y, y + X[:, 1]], axis=1) if several else y
    options = {"n_resamples": 12, "rng": 6, "solver": solver}
    band = bootstrap_band(model, X, y, X_eval, out_of_bag=True, **options)

    def at_data(rows):
        return model.__sklearn_clone__().fit(X[rows], y[rows]).predict(X)

    fitted = at_data(np.arange(len(y)))
    assert_errors(band.prediction_error, y, at_data, fitted, 6, reference.squared_error)
    assert band.prediction_error.loss == "squared_error"
    without = bootstrap_band(model, X, y, X_eval, **options)
    assert without.prediction_error is None
    np.testing.assert_allclose(without.distribution, band.distribution, atol=2e-6)
    assert without.distribution.shape == band.distribution.shape


@pytest.mark.parametrize("names", [["n", "y"], ["a", "b", "c"]])
def test_zero_one(data, names):
    X, y, X_eval = data()
    labels = np.array(names)[np.searchsorted(np.quantile(y, [0.5, 0.7][: len(names) - 1]), y)]

    def at_data(rows):
        return LogisticRegression(tol=1e-8).fit(X[rows], labels[rows]).predict(X)

    band = bootstrap_band(
        LogisticRegression(tol=1e-8), X, labels, X_eval, n_resamples=12, rng=6, out_of_bag=True
    )
    fitted = at_data(np.arange(40))
    assert_errors(band.prediction_error, labels, at_data, fitted, 6, reference.zero_one)
    assert band.prediction_error.loss == "zero_one"


def test_functions_are_called_twice(data):
    X, y, X_eval = data()
    band = bootstrap_band(fit_predict, X, y, X_eval, n_resamples=12, rng=6, out_of_bag=True)
    assert FAILURE["calls"] == 26
    peer = bootstrap_band(LinearRegression(), X, y, X_eval, n_resamples=12, rng=6, out_of_bag=True)
    one, other = (dataclasses.astuple(b.prediction_error) for b in (band, peer))
    np.testing.assert_allclose(one[:6], other[:6], rtol=1e-9)
    FAILURE["calls"] = 0
    bootstrap_band(fit_predict, X, y, X_eval, n_resamples=12, rng=6)
    assert FAILURE["calls"] == 13


def test_rows_left_out_by_a_scheme(data):
    X, y, X_eval = data()
    labels = np.arange(40) // 4
    scheme = schemes.Clusters(labels)
    counts = scheme.prepare([y], True).counts(key_from_rng(6), 0, 12)

    def at_data(rows):
        return LinearRegression().fit(X[rows], y[rows]).predict(X)

    for model in (LinearRegression(), fit_predict):
        band = bootstrap_band(
            model, X, y, X_eval, n_resamples=12, rng=6, out_of_bag=True, scheme=scheme
        )
        fitted = at_data(np.arange(40))
        error = band.prediction_error
        assert_errors(error, y, at_data, fitted, 6, reference.squared_error, counts)


@pytest.mark.parametrize("scheme", [schemes.Bayesian(), schemes.Wild(), schemes.Residual()])
@pytest.mark.parametrize("model", [fastkb.KernelRidge(), LinearRegression()])
def test_nothing_is_left_out(data, scheme, model):
    X, y, X_eval = data()
    with pytest.raises(ValueError, match=r"out_of_bag=True.*leaves no row out"):
        bootstrap_band(model, X, y, X_eval, n_resamples=3, rng=0, out_of_bag=True, scheme=scheme)


# --- interruptions ------------------------------------------------------------------------------


@pytest.mark.parametrize("out_of_bag", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("power failure")])
@pytest.mark.parametrize("task", [0.0, 0.25])
def test_an_interrupted_band_goes_on(data, tmp_path, monkeypatch, out_of_bag, error, task):
    monkeypatch.setattr(refits, "_SECONDS_A_TASK", task)
    X, y, X_eval = data()
    path = tmp_path / "band.npz"

    def draw(**options):
        return bootstrap_band(
            fit_predict, X, y, X_eval, n_resamples=20, rng=7, out_of_bag=out_of_bag, **options
        )

    whole = draw()
    calls = FAILURE["calls"]
    fits = 2 if out_of_bag else 1
    fail_after(fits * 14, error)  # of all data, and 13 replicates
    expected = ValueError if isinstance(error, Exception) else KeyboardInterrupt
    with pytest.raises(expected):
        draw(checkpoint=path)
    with np.load(path) as content:
        saved = content["array/distribution"]
        assert ("array/loss_sums" in content.files) == out_of_bag
    assert len(saved) == (13 if task == 0.0 else 10)  # tasks of one replicate, or of five
    np.testing.assert_array_equal(saved, whole.distribution[: len(saved)])

    fail_after(None, None)
    assert_same(draw(checkpoint=path), whole)
    assert FAILURE["calls"] == calls - fits * len(saved)
    # Once it is finished, only the fit on all data is repeated.
    fail_after(fits, error)
    assert_same(draw(checkpoint=path), whole)


def test_interrupted_twice_and_after_no_replicate(data, tmp_path, monkeypatch):
    monkeypatch.setattr(refits, "_SECONDS_A_TASK", 0.0)
    X, y, X_eval = data()
    options = {"n_resamples": 9, "rng": 7, "out_of_bag": True}
    path = tmp_path / "band.npz"
    whole = bootstrap_band(fit_predict, X, y, X_eval, **options)
    for calls, kept in ((0, None), (2, None), (6, 2), (2, 2), (9, 5)):  # 9: in the middle of one
        fail_after(calls, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            bootstrap_band(fit_predict, X, y, X_eval, checkpoint=path, **options)
        assert path.exists() == (kept is not None)
        if kept is not None:
            with np.load(path) as content:
                assert len(content["array/distribution"]) == kept
    fail_after(None, None)
    assert_same(bootstrap_band(fit_predict, X, y, X_eval, checkpoint=path, **options), whole)


def test_checkpoints_of_random_models(data, tmp_path):
    """A finished job is loaded, whatever worker does the rest; a shorter one is another job."""
    X, y, X_eval = data()
    model = DecisionTreeRegressor(max_features=1)
    path = tmp_path / "band.npz"
    options = {"n_resamples": 8, "rng": 7, "out_of_bag": True}
    whole = bootstrap_band(model, X, y, X_eval, **options)
    for jobs in (1, 2):
        band = bootstrap_band(model, X, y, X_eval, checkpoint=path, n_jobs=jobs, **options)
        assert_same(band, whole)


def interrupted(chunks, after):
    """_chunks, with Ctrl-C after so many of them."""

    def some(*arguments, **options):
        for k, chunk in enumerate(chunks(*arguments, **options)):
            if k == after:
                raise KeyboardInterrupt
            yield chunk

    return some


@pytest.mark.parametrize("solver", ["cholesky", "lowrank"])
@pytest.mark.parametrize(
    ("out_of_bag", "fit_intercept"), [(False, False), (True, False), (False, True)]
)
def test_kernel_ridge_goes_on(data, tmp_path, monkeypatch, solver, out_of_bag, fit_intercept):
    X, y, X_eval = data(30)
    unit = n_threads() * (BATCH if solver == "lowrank" else 1)
    n_resamples = 4 * unit + 3
    model = fastkb.KernelRidge(alpha=0.1, kernel="rbf", gamma=1.0, fit_intercept=fit_intercept)
    path = tmp_path / "band.npz"

    def draw(**options):
        return bootstrap_band(
            model, X, y, X_eval, n_resamples=n_resamples, rng=7, solver=solver,
            out_of_bag=out_of_bag, **options,
        )  # fmt: skip

    whole = draw()
    assert whole.solver == solver
    monkeypatch.setattr(replicates, "_SECONDS_A_CHUNK", 0.0)
    chunks = replicates._chunks
    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(replicates, "_chunks", interrupted(chunks, 2))
            with pytest.raises(KeyboardInterrupt):
                draw(checkpoint=path)
    name = "array/exact" if solver == "cholesky" else "array/distribution"
    with np.load(path) as content:
        saved = content[name]
    assert len(saved) == 4 * unit
    offset = y.mean() if fit_intercept else 0.0  # which the constant takes on at the end
    np.testing.assert_array_equal(saved[:, :7, 0] + offset, whole.distribution[: len(saved)])
    asked = []

    def recorded(*arguments, **options):
        for chunk in chunks(*arguments, **options):
            asked.append(chunk)
            yield chunk

    monkeypatch.setattr(replicates, "_chunks", recorded)
    assert_same(draw(checkpoint=path), whole)
    assert asked[0][0] == 4 * unit
    assert sum(count for _, count in asked) == 3
    asked.clear()
    assert_same(draw(checkpoint=path), whole)
    assert asked == []


@pytest.mark.parametrize("scheme", [schemes.Wild(), schemes.Residual()])
def test_new_responses_of_kernel_ridge_go_on(data, tmp_path, monkeypatch, scheme):
    X, y, X_eval = data(30)
    model = fastkb.KernelRidge(alpha=0.1, kernel="rbf", gamma=1.0)
    path = tmp_path / "band.npz"

    def draw(**options):
        return bootstrap_band(
            model, X, y, X_eval, n_resamples=11, rng=7, scheme=scheme, **options
        )  # fmt: skip

    whole = draw()
    monkeypatch.setattr(smoother, "_VALUES", 2 * 30)
    asked = []

    def compute(kernel, parameters, responses, matrix):
        asked.append(len(responses))
        return engine.compute(kernel, parameters, responses, matrix)

    def interrupted(*arguments):
        if len(asked) == 3:
            raise KeyboardInterrupt
        return compute(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(smoother, "engine", SimpleNamespace(compute=interrupted))
        with pytest.raises(KeyboardInterrupt):
            draw(checkpoint=path)
    done = sum(asked)
    with np.load(path) as content:
        saved = content["array/responses"]
    np.testing.assert_array_equal(saved[..., 0], whole.distribution[:done])
    asked.clear()
    monkeypatch.setattr(smoother, "engine", SimpleNamespace(compute=compute))
    assert_same(draw(checkpoint=path), whole)
    assert sum(asked) == 11 - done


def test_a_checkpoint_without_a_constant(data, tmp_path):
    X, y, X_eval = data()
    options = {"n_resamples": 4, "rng": 0, "checkpoint": tmp_path / "band.npz"}
    bootstrap_band(fastkb.KernelRidge(), X, y, X_eval, **options)
    with pytest.raises(ValueError, match="fit_intercept=True"):
        bootstrap_band(fastkb.KernelRidge(fit_intercept=True), X, y, X_eval, **options)


@pytest.mark.parametrize("model", [fastkb.KernelRidge(kernel="rbf"), LinearRegression()])
def test_checkpoints_of_other_jobs(data, tmp_path, model):
    X, y, X_eval = data()
    path = tmp_path / "band.npz"

    def draw(model=model, X=X, y=y, X_eval=X_eval, n_resamples=4, rng=0, **options):
        bootstrap_band(
            model, X, y, X_eval, n_resamples=n_resamples, rng=rng, checkpoint=path, **options
        )

    draw()
    content = path.read_bytes()
    other = type(model)(**{("alpha" if hasattr(model, "alpha") else "positive"): True})
    for changes, words in (
        ({"X": X + 1.0}, "its X is another"),
        ({"y": -y}, "its y is another"),
        ({"X_eval": X_eval[:3]}, "its X_eval is another"),
        ({"n_resamples": 5}, "n_resamples is 4, this one's is 5"),
        ({"rng": 1}, "seed"),
        ({"model": other}, "estimator"),
        ({"out_of_bag": True}, "out_of_bag is False"),
        ({"scheme": schemes.Stratified(y > 0.5)}, "scheme"),
        ({"solver": "rows"}, "solver is 'auto', this one's is 'rows'"),
    ):
        with pytest.raises(ValueError, match=words):
            draw(**changes)
    assert path.read_bytes() == content
    with pytest.raises(ValueError, match=r"checkpoint: .*rng is None"):
        draw(rng=None)


# --- failures -----------------------------------------------------------------------------------


def test_failing_replicates_are_named(data, monkeypatch):
    X, y, X_eval = data()
    error = ZeroDivisionError("no luck")
    for calls, words in ((0, "all data"), (1, "replicate 0"), (6, "replicate 5")):
        fail_after(calls, error)
        with pytest.raises(ValueError, match=rf"on {words}: ZeroDivisionError: no luck") as info:
            bootstrap_band(fit_predict, X, y, X_eval, n_resamples=9, rng=0)
        assert info.value.__cause__ is error


def test_failures_of_workers_are_named(data):
    X, _, X_eval = data()
    labels = np.array(["a", "b"] + ["b"] * 38)  # most resamples have one class
    for jobs in (1, 2):
        with pytest.raises(ValueError, match=r"on replicate \d+: ValueError: .*class"):
            bootstrap_band(
                LogisticRegression(), X, labels, X_eval, n_resamples=20, rng=0, n_jobs=jobs
            )


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("at", [0, 4])
def test_predictions_must_be_finite(data, value, at):
    calls = []

    def model(X, y, w, X_eval):
        calls.append(w)
        return np.full(len(X_eval), value if len(calls) == at + 1 else 1.0)

    where = f"replicate {at - 1}" if at else "the fit on all data"
    with pytest.raises(ValueError, match=f"{where}: .*NaN or infinity"):
        bootstrap_band(model, *data(), n_resamples=9, rng=0)


def test_predictions_must_have_one_shape(data):
    calls = []

    def model(X, y, w, X_eval):
        calls.append(w)
        return np.ones(len(X_eval) - (len(calls) == 4))

    with pytest.raises(ValueError, match=r"shape \(6,\) in replicate 2, and \(7,\)"):
        bootstrap_band(model, *data(), n_resamples=9, rng=0)


# --- progress -----------------------------------------------------------------------------------


class Bar:
    def __init__(self, total, show):
        self.total, self.show, self.steps = total, show, []

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def update(self, count):
        self.steps.append(count)


@pytest.mark.parametrize("task", [0.0, 0.25])
def test_the_bar_counts_replicates(data, monkeypatch, tmp_path, task):
    monkeypatch.setattr(refits, "_SECONDS_A_TASK", task)
    bars = []

    def counted(show, what, total):
        assert what == "replicates"
        bars.append(Bar(total, show))
        return bars[-1]

    monkeypatch.setattr(refits, "counted", counted)
    X, y, X_eval = data()
    options = {"n_resamples": 11, "rng": 0, "progress": True, "checkpoint": tmp_path / "a.npz"}
    for _ in range(2):
        bootstrap_band(LinearRegression(), X, y, X_eval, **options)
    assert [bar.total for bar in bars] == [11, 11]
    assert all(bar.show for bar in bars)
    assert [sum(bar.steps) for bar in bars] == [11, 11]
    assert bars[1].steps == [11]  # what was saved


def test_the_bar_is_shown(data, capsys):
    X, y, X_eval = data()
    bootstrap_band(LinearRegression(), X, y, X_eval, n_resamples=11, rng=0, progress=True)
    assert "11/11" in capsys.readouterr().err
    bootstrap_band(LinearRegression(), X, y, X_eval, n_resamples=11, rng=0)
    assert capsys.readouterr().err == ""


PROCESSES = """
import joblib
import numpy as np
from sklearn.kernel_ridge import KernelRidge
from fastkb import bootstrap_band

if __name__ == "__main__":
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(400, 3)), rng.normal(size=400)
    model = KernelRidge(0.01, kernel="rbf")
    one, two = (
        bootstrap_band(model, X, y, X, n_resamples=8, rng=0, solver="rows", n_jobs=n_jobs)
        for n_jobs in (None, 2)
    )
    assert np.array_equal(one.distribution, two.distribution)
    assert np.array_equal(one.center, two.center)
    print("same")
"""


@pytest.mark.slow
def test_workers_of_fewer_threads_alter_no_bit():
    """joblib gives each of its processes a part of BLAS's threads."""
    done = subprocess.run(
        [sys.executable, "-c", PROCESSES],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.stdout.split() == ["same"], done.stderr
