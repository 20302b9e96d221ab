"""Perceptrons side by side: each is what its own fit makes of its weights."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.utils import check_random_state

from fastkb import MLPClassifier, MLPRegressor
from fastkb.nn.perceptron import stochastic as module
from fastkb.nn.perceptron.stochastic import SideBySide, read_rows, train_members
from fastkb.nn.training.fitting import Pace

# Most fits here are cut short on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KEPT = (
    "loss_curve_", "validation_scores_", "best_loss_", "best_validation_score_", "loss_", "n_iter_",
    "t_", "n_outputs_", "n_layers_", "out_activation_", "_no_improvement_count",
)  # fmt: skip


def data(n=50, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)).astype(dtype)
    return X, np.rint(np.clip(X[:, 0] * X[:, 1] + 1, 0, 2)).astype(int)


def weights_of(members, n, seed=0):
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=members).astype(float)


def one_by_one(monkeypatch):
    """Epochs are not trained together."""
    monkeypatch.setattr(Pace, "epochs", lambda *_: 1)


def assert_fits(model, X, y, weights, seeds):
    """To the last bit; the runners."""
    template, rows = read_rows(model, X, y)
    runners = train_members(template, rows._replace(weights=weights), seeds)
    assert not hasattr(model, "coefs_")
    for member, runner in enumerate(runners):
        expected = clone(model).set_params(random_state=seeds[member])
        expected.fit(X, y, sample_weight=weights[member])
        found = runner.model
        for ours, theirs in zip(
            (*found.coefs_, *found.intercepts_), (*expected.coefs_, *expected.intercepts_),
            strict=True,
        ):  # fmt: skip
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)
        for name in KEPT:
            assert getattr(found, name, None) == getattr(expected, name, None), name
        np.testing.assert_array_equal(found.predict(X), expected.predict(X))
        assert runner.failure is None
        assert runner.is_over == (found.n_iter_ < model.max_iter) or found.n_iter_ == model.max_iter
    return runners


CASES = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.01},
    "plain sgd": {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.05},
    "another momentum": {"solver": "sgd", "nesterovs_momentum": False, "learning_rate_init": 0.01},
    "inverse scaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.02, "n_iter_no_change": 1,
                 "learning_rate_init": 0.1, "max_iter": 60},
    "stops": {"tol": 0.02, "n_iter_no_change": 2, "max_iter": 80, "learning_rate_init": 0.01},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 3,
                       "max_iter": 40, "tol": 0.02, "learning_rate_init": 0.02},
    "in order": {"shuffle": False},
    "warm start": {"warm_start": True},
    "a penalty": {"alpha": 2.0},
    "two layers": {"hidden_layer_sizes": (5, 4), "activation": "tanh"},
    "no layer": {"hidden_layer_sizes": (), "activation": "logistic"},
    "small batches": {"batch_size": 3, "max_iter": 4},  # some without weight
    "one batch": {"batch_size": 200},
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:batch_size=200 is clipped")
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("case", CASES)
def test_every_member_is_its_own_fit(kind, case):
    X, y = data()
    choice = {"hidden_layer_sizes": 6, "batch_size": 16, "max_iter": 8, **CASES[case]}
    runners = assert_fits(kind(**choice), X, y, weights_of(6, len(X)), list(range(6)))
    n_iter = {runner.model.n_iter_ for runner in runners}
    if case in ("stops", "adaptive", "early stopping"):
        assert len(n_iter) > 2  # they did not stop together


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("y", ["several targets", "labels", "two classes"])
def test_of_any_output(y, dtype):
    X, _ = data(dtype=dtype)
    target = {"several targets": X[:, :2] ** 2, "labels": (X > 0).astype(int),
              "two classes": np.where(X[:, 0] > 0, "b", "a")}[y]  # fmt: skip
    kind = MLPRegressor if y == "several targets" else MLPClassifier
    for solver in ("sgd", "adam"):
        model = kind(hidden_layer_sizes=5, solver=solver, max_iter=6, batch_size=16, alpha=0.1)
        assert_fits(model, X, target, weights_of(4, len(X)), [3, 1, 4, 1])


# Each example trains a few networks.
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(
    n=st.integers(4, 40),
    members=st.integers(1, 5),
    batch_size=st.integers(1, 12),
    seed=st.integers(0, 2**31 - 1),
    solver=st.sampled_from(["sgd", "adam"]),
    learning_rate=st.sampled_from(["constant", "invscaling", "adaptive"]),
    shuffle=st.booleans(),
    whole=st.booleans(),
)
def test_whatever_the_sizes(n, members, batch_size, seed, solver, learning_rate, shuffle, whole):
    X, y = data(n, seed=seed)
    weights = weights_of(members, n, seed)
    if not whole:
        weights *= np.random.default_rng(seed).exponential(size=weights.shape)
    model = MLPRegressor(
        hidden_layer_sizes=4, solver=solver, learning_rate=learning_rate, shuffle=shuffle,
        max_iter=6, tol=0.05, batch_size=min(batch_size, n), n_iter_no_change=1,
        learning_rate_init=0.02,
    )  # fmt: skip
    assert_fits(model, X, y, weights, [seed + k for k in range(members)])


def test_the_others_go_on_without_those_that_have_stopped(monkeypatch):
    counts = []
    true = module.Training.epochs
    monkeypatch.setattr(
        module.Training,
        "epochs",
        lambda self, order: counts.append(len(order)) or true(self, order),
    )
    one_by_one(monkeypatch)
    X, y = data()
    template, rows = read_rows(MLPRegressor(hidden_layer_sizes=6, **CASES["stops"]), X, y)
    runners = train_members(template, rows._replace(weights=weights_of(9, 50)), list(range(9)))
    n_iter = np.array([runner.model.n_iter_ for runner in runners])
    assert len(set(n_iter)) > 3
    assert counts == [int((n_iter > epoch).sum()) for epoch in range(n_iter.max())]


# --- an end before the end ----------------------------------------------------------------------


def diverging(**choice):
    """Where the one observation that carries the slope counts often, steps are too long."""
    X = np.zeros((20, 1))
    X[0] = 60**0.5
    model = MLPRegressor(
        hidden_layer_sizes=(), solver="sgd", momentum=0.0, batch_size=20, alpha=0.0, tol=0.0,
        learning_rate_init=0.5, max_iter=400, n_iter_no_change=1000, **choice,
    )  # fmt: skip
    weights = np.ones((4, 20))
    # The slope's error is multiplied by about 1 - 0.5 · 60 w/(19 + w): -0.5, -3.1, -0.5 and -4.2.
    weights[:, 0] = [1, 3, 1, 4]
    return model, X, X[:, 0] + 1.0, weights


def test_who_diverges_is_told_and_the_others_are_fitted():
    model, X, y, weights = diverging()
    template, rows = read_rows(model, X.astype("f4"), y)
    runners = train_members(template, rows._replace(weights=weights), [0, 1, 2, 3])
    assert [runner.failure is None for runner in runners] == [True, False, True, False]
    for member in (0, 2):
        alone = clone(model).set_params(random_state=member)
        alone.fit(X.astype("f4"), y, sample_weight=weights[member])
        np.testing.assert_array_equal(runners[member].model.coefs_[0], alone.coefs_[0])
    for member in (1, 3):
        alone = clone(model).set_params(random_state=member)
        with pytest.raises(ValueError, match="Training diverged") as error:
            alone.fit(X.astype("f4"), y, sample_weight=weights[member])
        assert str(error.value) == str(runners[member].failure)
        np.testing.assert_array_equal(runners[member].model.coefs_[0], alone.coefs_[0])


def test_an_interrupt_keeps_what_was_learnt(monkeypatch):
    X, y = data()
    model = MLPRegressor(hidden_layer_sizes=4, max_iter=3)
    template, rows = read_rows(model, X, y)
    rows = rows._replace(weights=weights_of(3, 50))
    expected = train_members(template, rows, [0, 1, 2])
    one_by_one(monkeypatch)
    true, calls = module.Training.epochs, []

    def stop(self, order):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return true(self, order)

    monkeypatch.setattr(module.Training, "epochs", stop)
    models, randoms = [], []
    for seed in range(3):
        models.append(clone(model))
        randoms.append(check_random_state(seed))
        models[-1].n_outputs_ = 1
        models[-1]._initialize(randoms[-1], rows.X, rows.y)
    together = SideBySide(models, rows, randoms)
    with pytest.raises(KeyboardInterrupt):
        together.run(20)
    together.close()
    for found, runner in zip(models, expected, strict=True):
        assert found.n_iter_ == 3
        np.testing.assert_array_equal(found.coefs_[0], runner.model.coefs_[0])


def test_data_are_read_once_and_not_changed():
    X, y = data()
    for array in (X, y):
        array.flags.writeable = False
    weights = weights_of(3, 50)
    weights.flags.writeable = False
    model = MLPClassifier(hidden_layer_sizes=4, max_iter=3)
    template, rows = read_rows(model, X, y)
    assert rows.X is X or np.shares_memory(rows.X, X)
    before = dict(vars(template))
    train_members(template, rows._replace(weights=weights), [0, 1, 2])
    assert vars(template).keys() == before.keys()
    with pytest.raises(ValueError, match="alpha"):
        read_rows(MLPClassifier(alpha=-1), X, y)
