"""How perceptrons are fitted: scikit-learn's curves, its records and rules, and where we do better."""

import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.neural_network as peer
from sklearn.exceptions import ConvergenceWarning

from fastkb import MLPClassifier, MLPRegressor
from fastkb.nn.perceptron import base as module
from fastkb.nn.perceptron import descent

# Most fits here are cut short on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PEERS = {MLPClassifier: peer.MLPClassifier, MLPRegressor: peer.MLPRegressor}
each_kind = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
KEPT = ("loss_curve_", "validation_scores_", "best_loss_", "best_validation_score_", "loss_")


def data(n=90, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5))
    return X, np.rint(np.clip(X[:, 0] * X[:, 1] + 1, 0, 2)).astype(int)


def both(kind, X, y, weights=None, calls=1, **parameters):
    """Ours and the peer's, fitted alike so many times."""
    parameters = {"hidden_layer_sizes": 8, "random_state": 1, "max_iter": 12, **parameters}
    ours, theirs = kind(**parameters), PEERS[kind](**parameters)
    for _ in range(calls):
        ours.fit(X, y, weights)
        theirs.fit(X, y, weights)
    return ours, theirs


def assert_same(ours, theirs, bound, loss=True):
    for a, b in zip(
        (*ours.coefs_, *ours.intercepts_), (*theirs.coefs_, *theirs.intercepts_), strict=True
    ):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=bound)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in KEPT if loss else ():
        a, b = getattr(ours, name, None), getattr(theirs, name, None)
        assert (a is None) == (b is None), name
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=0, atol=20 * bound, err_msg=name)


# Some tens of steps, each of which adds a rounding error of some ten eps to parameters of order one. The
# learning rates are small enough for errors to grow no more than tenfold.
BOUND = 1e-12


@each_kind
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"shuffle": False},
        {"batch_size": 32},
        {"nesterovs_momentum": False},
        {"momentum": 0.0},
        {"momentum": 1.0, "learning_rate_init": 1e-3},
        {"activation": "tanh", "hidden_layer_sizes": (7, 6)},
        {"activation": "logistic"},
        {"activation": "identity"},
        {"hidden_layer_sizes": ()},
        {"learning_rate": "invscaling", "power_t": 0.3},
        {"learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 1},
        {"early_stopping": True, "validation_fraction": 0.3},
        {"early_stopping": True, "tol": 0.1, "n_iter_no_change": 2, "max_iter": 100},
        {"tol": 0.05, "n_iter_no_change": 2, "max_iter": 100},
    ],
    ids=str,
)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_curves_of_the_peer(kind, parameters, weighted):
    X, y = data()
    weights = np.random.default_rng(1).uniform(0.2, 2.0, len(y)) if weighted else None
    choice = {"solver": "sgd", "alpha": 0.5, "learning_rate_init": 0.01, **parameters}
    assert_same(*both(kind, X, y, weights, **choice), BOUND)


@pytest.mark.parametrize("y", ["two classes", "labels"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_two_classes_and_labels(y, early_stopping):
    X, _ = data()
    target = (X[:, 0] > 0) if y == "two classes" else (X[:, :3] > 0).astype(int)
    choice = {"solver": "sgd", "learning_rate_init": 0.05, "early_stopping": early_stopping}
    assert_same(*both(MLPClassifier, X, target, batch_size=20, **choice), BOUND)


def test_several_targets():
    """The peer's loss has the whole penalty, ours that of one target: the coefficients agree."""
    X, _ = data()
    y = np.stack([X[:, 0], X[:, 1] ** 2], axis=1)
    ours, theirs = both(MLPRegressor, X, y, solver="sgd", alpha=0.5, learning_rate_init=0.01)
    assert_same(ours, theirs, BOUND, loss=False)
    assert_same(*both(MLPRegressor, X, y, solver="sgd", alpha=0.0), BOUND)


@each_kind
@pytest.mark.parametrize("epsilon", [1e-30, 1e-8, 0.01])
def test_adam_is_the_peers(kind, epsilon):
    """An epsilon that counts is added where the peer adds it: before the bias correction."""
    X, y = data()
    choice = {"activation": "tanh", "epsilon": epsilon, "batch_size": 30}
    # Adam divides by the gradient's size: where that is 1e-3, errors weigh a thousand times more.
    assert_same(*both(kind, X, y, **choice), 1000 * BOUND)


@each_kind
@pytest.mark.parametrize("weighted", [False, True])
def test_lbfgs(kind, weighted):
    """Few iterations: line searches that differ in the last digit part ways in the end."""
    X, y = data()
    weights = np.random.default_rng(1).uniform(0.2, 2.0, len(y)) if weighted else None
    ours, theirs = both(kind, X, y, weights, solver="lbfgs", alpha=0.5, activation="tanh")
    assert_same(ours, theirs, 1e-9)
    assert not hasattr(ours, "loss_curve_")


@each_kind
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_warnings_at_the_last_iteration(kind, solver):
    X, y = data()
    with pytest.warns(ConvergenceWarning, match=r"has not converged after (max_iter=)?2"):
        kind(solver=solver, max_iter=2, tol=0.0).fit(X, y)


@pytest.mark.parametrize(
    ("kind", "early_stopping"),
    [(MLPClassifier, False), (MLPRegressor, False), (MLPRegressor, True)],
)
def test_warm_starts_go_on_as_the_peers(kind, early_stopping):
    X, y = data()
    choice = {"solver": "sgd", "warm_start": True, "early_stopping": early_stopping}
    ours, theirs = both(kind, X, y, calls=3, max_iter=4, **choice)
    assert_same(ours, theirs, BOUND)
    assert len(ours.loss_curve_) == 12


def test_a_warm_start_without_a_better_score_changes_nothing():
    """The peer trains on in the very arrays in which it keeps the best, and returns the last."""
    X, y = data()
    model = MLPClassifier(early_stopping=True, warm_start=True, max_iter=20, random_state=0)
    before = model.fit(X, y).coefs_[0].copy()
    model.best_validation_score_ = 1.0
    np.testing.assert_array_equal(model.fit(X, y).coefs_[0], before)
    assert len(model.validation_scores_) > 20


@each_kind
def test_a_warm_start_may_change_its_mind(kind):
    """Where the peer has no record to go on with, it fails."""
    X, y = data()
    model = kind(
        hidden_layer_sizes=5, max_iter=3, solver="lbfgs", warm_start=True, random_state=0
    ).fit(X, y)
    model.set_params(solver="sgd").fit(X, y)
    assert len(model.loss_curve_) == 3
    model.set_params(early_stopping=True).fit(X, y)
    assert model.best_loss_ is None
    assert len(model.validation_scores_) == 3
    model.set_params(early_stopping=False).fit(X, y)
    assert model.best_loss_ == min(model.loss_curve_[-3:])


@each_kind
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_partial_fits_are_the_peers(kind, solver):
    X, y = data()
    choice = {"solver": solver, "hidden_layer_sizes": 6, "random_state": 3, "epsilon": 1e-30}
    ours, theirs = (each(activation="tanh", **choice) for each in (kind, PEERS[kind]))
    classes = {"classes": [0, 1, 2]} if kind is MLPClassifier else {}
    for _ in range(5):
        ours.partial_fit(X, y, **classes)
        theirs.partial_fit(X, y, **classes)
        ours = pickle.loads(pickle.dumps(ours))
    assert_same(ours, theirs, 1000 * BOUND)


def test_fit_after_fit_begins_anew():
    X, y = data()
    model = MLPRegressor(hidden_layer_sizes=4, max_iter=3, random_state=0)
    first = model.fit(X, y).coefs_
    model.set_params(early_stopping=True).fit(X, y)
    assert model.set_params(early_stopping=False).fit(X, y).validation_scores_ is None
    np.testing.assert_array_equal(model.coefs_[0], first[0])
    assert not hasattr(model.set_params(solver="lbfgs").fit(X, y), "loss_curve_")


# --- data ---------------------------------------------------------------------------------------


@each_kind
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_float32_is_kept(kind, solver):
    X, y = data()
    choice = {"solver": solver, "max_iter": 4, "random_state": 0, "activation": "tanh"}
    single = kind(hidden_layer_sizes=6, **choice).fit(X.astype("f4"), y)
    double = kind(hidden_layer_sizes=6, **choice).fit(X.astype("f4").astype("f8"), y)
    assert {each.dtype for each in (*single.coefs_, *single.intercepts_)} == {np.dtype("f4")}
    if kind is MLPRegressor:
        assert single.predict(X.astype("f4")).dtype == np.float32
        assert single.predict(X).dtype == np.float64
    # Adam's first steps are the signs of gradients, which may be anything where these are small.
    bound = 1e-2 if solver == "adam" else 1e-4
    for a, b in zip(single.coefs_, double.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=bound)


@each_kind
@pytest.mark.parametrize("form", [sp.csr_array, sp.csc_array, sp.csr_matrix])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sparse_data(kind, form, solver, monkeypatch):
    X, y = data()
    X[np.abs(X) < 0.7] = 0.0
    dense = kind(hidden_layer_sizes=6, solver=solver, max_iter=4, random_state=0).fit(X, y)
    sparse = kind(hidden_layer_sizes=6, solver=solver, max_iter=4, random_state=0).fit(form(X), y)
    np.testing.assert_array_equal(dense.coefs_[0], sparse.coefs_[0])
    monkeypatch.setattr(module, "_DENSE_BYTES", 7 * X.shape[1] * X.itemsize)  # 13 blocks of rows
    np.testing.assert_array_equal(dense.predict(X), sparse.predict(form(X)))


def test_integers_and_fortran_order():
    X, y = data()
    X = np.rint(3 * X)
    choice = {"max_iter": 3, "random_state": 0}
    model = MLPRegressor(hidden_layer_sizes=4, **choice).fit(X, y)
    for form in (X.astype(int), np.asfortranarray(X), X[::-1][::-1], X.tolist()):
        np.testing.assert_array_equal(
            MLPRegressor(hidden_layer_sizes=4, **choice).fit(form, y).coefs_[0], model.coefs_[0]
        )
        np.testing.assert_array_equal(model.predict(form), model.predict(X))


def test_read_only_data():
    X, y = data()
    y, weights = y.astype(float), np.ones(len(y))
    for each in (X, y, weights):
        each.setflags(write=False)
    MLPRegressor(hidden_layer_sizes=4, max_iter=2).fit(X, y, weights).predict(X)


@each_kind
def test_a_weight_of_two_is_an_observation_twice(kind):
    """Full batches: what a weighted step follows is the gradient of the repeated data."""
    X, y = data(60)
    counts = np.random.default_rng(0).integers(0, 3, 60)
    assert set(np.repeat(y, counts)) == set(y)
    choice = {"solver": "sgd", "alpha": 1.0, "max_iter": 5, "random_state": 0, "shuffle": False}
    weighted = kind(hidden_layer_sizes=6, **choice).fit(X, y, counts)
    repeated = kind(hidden_layer_sizes=6, **choice).fit(
        np.repeat(X, counts, axis=0), np.repeat(y, counts)
    )
    for a, b in zip(weighted.coefs_, repeated.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=BOUND)


def test_coefficients_may_be_set():
    X, y = data()
    model = MLPRegressor(hidden_layer_sizes=(3, 2), activation="tanh", max_iter=2).fit(X, y)
    rng = np.random.default_rng(0)
    model.coefs_ = [rng.normal(size=each.shape) for each in model.coefs_]
    model.intercepts_[1] = rng.normal(size=2)
    values = X
    for place in range(3):
        values = values @ model.coefs_[place] + model.intercepts_[place]
        values = np.tanh(values) if place < 2 else values
    np.testing.assert_allclose(model.predict(X), values[:, 0], rtol=0, atol=1e-13)
    before = model.coefs_[0].copy()
    model.partial_fit(X, y)
    assert 0 < np.abs(model.coefs_[0] - before).max() < 0.01


@pytest.mark.parametrize("change", [{"max_iter": 0}, {"activation": "rel"}, {"alpha": -1}])
@each_kind
def test_parameters_are_checked_when_fitting(kind, change):
    X, y = data()
    for call in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match=next(iter(change))):
            getattr(kind(**change), call)(X, y)


def test_other_targets_than_before():
    X, y = data()
    model = MLPRegressor(hidden_layer_sizes=4, max_iter=2).fit(X, y)
    with pytest.raises(ValueError, match="y has 2 columns"):
        model.partial_fit(X, np.stack([y, y], axis=1))


@each_kind
def test_early_stopping_needs_data_to_score_on(kind):
    X, y = data(6)
    with pytest.raises(ValueError, match="validation set is too small"):
        kind(early_stopping=True).fit(X, y)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        kind(early_stopping=True).partial_fit(X, y)


def test_models_of_one_shape_do_not_mix():
    """Whose predictions share an engine: in turns, at the same time, and with changed coefficients."""
    X, y = data()
    models = [MLPRegressor(hidden_layer_sizes=5, max_iter=3, random_state=k) for k in range(4)]
    expected = []
    for model in models:
        values = np.maximum(X @ model.fit(X, y).coefs_[0] + model.intercepts_[0], 0)
        expected.append((values @ model.coefs_[1] + model.intercepts_[1])[:, 0])
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            found = list(pool.map(lambda model: model.predict(X), models))
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    assert all(model._engine("f8") is models[0]._engine("f8") for model in models)
    models[0].intercepts_[1] += 1.0
    np.testing.assert_allclose(models[0].predict(X), expected[0] + 1.0, rtol=0, atol=1e-13)
    assert (
        pickle.loads(pickle.dumps(models[0])).predict(X).tolist() == models[0].predict(X).tolist()
    )


# --- an end before the end ----------------------------------------------------------------------


def interrupt(monkeypatch, call):
    """Ctrl-C in that call into compiled code."""
    calls = []
    monkeypatch.setattr(descent.Pace, "epochs", lambda *_: 1)
    true = descent.train_epochs

    def stop(*arguments):
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return true(*arguments)

    monkeypatch.setattr(descent, "train_epochs", stop)


@each_kind
def test_an_interrupted_fit_keeps_what_was_learnt(kind, monkeypatch):
    X, y = data()
    expected = kind(hidden_layer_sizes=5, max_iter=3, random_state=0).fit(X, y)
    interrupt(monkeypatch, 4)
    with pytest.warns(UserWarning, match="training was interrupted"):
        model = kind(hidden_layer_sizes=5, max_iter=30, random_state=0).fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 3
    np.testing.assert_array_equal(model.coefs_[0], expected.coefs_[0])


def test_an_interrupted_lbfgs(monkeypatch):
    X, y = data()
    model = MLPRegressor(hidden_layer_sizes=5, solver="lbfgs", verbose=True, random_state=0)

    def stop(*words):
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.print", stop)
    with pytest.warns(UserWarning, match="training was interrupted"):
        model.fit(X, y)
    assert model.n_iter_ == 1
    assert np.isfinite(model.loss_)


@each_kind
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_divergence_is_an_error_that_says_where(kind, dtype):
    X, y = data()
    X = (X * np.finfo(dtype).max ** 0.75).astype(dtype)
    model = kind(activation="identity", solver="sgd", learning_rate_init=1.0)
    with pytest.raises(ValueError, match=r"loss became (inf|nan|-inf) in epoch \d+, step \d+"):
        model.fit(X, y)
    assert all(np.isfinite(each).all() for each in model.coefs_)


def test_divergence_with_early_stopping_keeps_the_best():
    X, y = data()
    model = MLPRegressor(
        activation="identity", solver="sgd", learning_rate_init=2.0, early_stopping=True,
        max_iter=100, random_state=0,
    )  # fmt: skip
    with pytest.warns(ConvergenceWarning, match="coefs_ are the best before"):
        model.fit(X, y)
    assert np.isnan(model.validation_scores_[-1])
    assert len(model.validation_scores_) == len(model.loss_curve_) == model.n_iter_
    assert np.isfinite(model.predict(X)).all()


@each_kind
def test_what_is_printed(kind, capsys):
    X, y = data()
    choice = {"max_iter": 4, "random_state": 0, "verbose": True}
    model = kind(hidden_layer_sizes=4, early_stopping=True, **choice).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Iteration 1, loss = {model.loss_curve_[0]:.8f}"
    assert lines[1] == f"Validation score: {model.validation_scores_[0]:f}"
    assert len(lines) == 8
    adaptive = {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1}
    kind(hidden_layer_sizes=4, **{**choice, **adaptive}).fit(X, y)
    assert "The learning rate is 0.0002 from now on" in capsys.readouterr().out
    kind(hidden_layer_sizes=4, solver="lbfgs", **choice).fit(X, y)
    assert capsys.readouterr().out.count("Iteration") == 4


def test_nothing_is_said_unasked(capsys):
    X, y = data()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MLPClassifier(4, tol=1.0, n_iter_no_change=1).fit(X, y)
    assert capsys.readouterr() == ("", "")
