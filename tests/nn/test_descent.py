"""The solvers behind the perceptrons: numbers of scikit-learn's own pieces, gradients by differences."""

import pickle

import numpy as np
import pytest
from sklearn.datasets import make_regression

from fastkb.nn import descent as module
from fastkb.nn.descent import (
    Training,
    draw,
    make_descent,
    make_engine,
    make_objective,
    minimize,
    pack,
    unpack,
)

PARAMETERS = {
    "solver": "sgd",
    "learning_rate": "constant",
    "learning_rate_init": 0.05,
    "power_t": 0.5,
    "momentum": 0.9,
    "nesterovs_momentum": True,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "epsilon": 1e-8,
}
OUTPUTS = ("identity", "logistic", "softmax")


def problem(out_activation="identity", activation="tanh", weighted=False, alpha=0.3, dtype="f8"):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(23, 4))
    y = rng.normal(size=(23, 3))
    if out_activation == "logistic":
        y = y > 0
    elif out_activation == "softmax":
        y = y == y.max(axis=1, keepdims=True)
    weights = rng.uniform(0.2, 2.0, 23) if weighted else None
    coefs, intercepts = draw(np.random.RandomState(0), (4, 5, 3), activation, np.dtype(dtype))
    engine = make_engine(coefs, activation, np.dtype(dtype))
    objective = make_objective(engine, X, y, weights, out_activation, alpha)
    return objective, pack(engine, coefs, intercepts)


def definition(objective, coefs, intercepts, X, y, weights, out_activation, alpha):
    """The sum over outputs that is minimised, in plain NumPy, for tanh."""
    outputs = np.tanh(X @ coefs[0] + intercepts[0]) @ coefs[1] + intercepts[1]
    if out_activation == "identity":
        each = (outputs - y) ** 2 / 2
    elif out_activation == "logistic":
        each = np.logaddexp(0, outputs) - y * outputs
    else:
        each = (np.logaddexp.reduce(outputs, axis=1, keepdims=True) - outputs) * y
    weights = np.ones(len(X)) if weights is None else weights
    penalty = alpha / 2 * sum((coef**2).sum() for coef in coefs)
    return (weights @ each.sum(axis=1) + penalty) / weights.sum()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_first_coefficients_are_the_peers(activation, dtype):
    """Of a fit whose learning rate changes nothing."""
    from sklearn.neural_network import MLPRegressor

    theirs = MLPRegressor(
        hidden_layer_sizes=4, activation=activation, solver="sgd", learning_rate_init=1e-100,
        max_iter=1, random_state=5,
    )  # fmt: skip
    theirs.fit(np.ones((3, 6), dtype), np.ones((3, 2), dtype))
    coefs, intercepts = draw(np.random.RandomState(5), (6, 4, 2), activation, np.dtype(dtype))
    for ours, expected in zip(
        (*coefs, *intercepts), (*theirs.coefs_, *theirs.intercepts_), strict=True
    ):
        np.testing.assert_array_equal(ours, expected)
        assert ours.dtype == dtype


@pytest.mark.parametrize("widths", [(3, 2), (1, 1, 1), (7, 33, 9, 4)])
@pytest.mark.parametrize("activation", ["identity", "relu"])
def test_packing_and_unpacking(widths, activation):
    coefs, intercepts = draw(np.random.RandomState(0), widths, activation, np.dtype("f8"))
    engine = make_engine(coefs, activation, np.dtype("f8"))
    again = unpack(engine, pack(engine, coefs, intercepts))
    for ours, theirs in zip((*again[0], *again[1]), (*coefs, *intercepts), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.flags.c_contiguous


@pytest.mark.parametrize("out_activation", OUTPUTS)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_objective_and_its_gradient(out_activation, weighted):
    """Central differences of step h err by h² and by eps/h: 1e-10 and 1e-11 here, times order ten."""
    objective, x = problem(out_activation, weighted=weighted)
    engine, data = objective.engine, objective.data
    total = data.weights.sum() if weighted else len(data.inputs)
    value, gradients = engine.loss_and_gradients(x, data, objective.loss, objective.penalty / total)
    value, gradients = objective.scale * value, objective.scale * gradients
    y = np.eye(3)[data.labels] if out_activation == "softmax" else data.targets
    weights = data.weights if weighted else None

    def at(parameters):
        coefs, intercepts = unpack(engine, parameters)
        return definition(
            objective, coefs, intercepts, data.inputs, y, weights, out_activation, 0.3
        )

    assert abs(value - at(x)) <= 1e-14 * abs(value) * len(x)
    h = 1e-5
    for k in np.flatnonzero(x):
        ahead, behind = x.copy(), x.copy()
        ahead[k] += h
        behind[k] -= h
        assert abs((at(ahead) - at(behind)) / (2 * h) - gradients[k]) <= 1e-8


@pytest.mark.parametrize("out_activation", OUTPUTS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, True), (0.9, True), (0.9, False)])
def test_steps_of_descent_by_hand(out_activation, weighted, momentum, nesterov):
    """Two epochs of three batches: velocities v ← μ·v − lr·∇, with a learning rate that changes."""
    objective, x = problem(out_activation, weighted=weighted)
    engine, data = objective.engine, objective.data
    choice = {"momentum": momentum, "nesterovs_momentum": nesterov, "learning_rate": "invscaling"}
    solver = make_descent({**PARAMETERS, **choice}, objective.scale)
    expected, velocity = x.copy(), np.zeros_like(x)
    training = Training(solver, objective, x, 9)
    order = np.random.RandomState(1).permutation(23)
    lr = 0.05
    for seen in (23, 46):
        losses = []
        for begin in range(0, 23, 9):
            chosen = order[begin : begin + 9]
            batch = data._replace(
                inputs=data.inputs[chosen],
                targets=data.targets[chosen] if len(data.targets) else data.targets,
                labels=data.labels[chosen] if len(data.labels) else data.labels,
                weights=data.weights[chosen] if weighted else data.weights,
            )
            whole = batch.weights.sum() if weighted else len(chosen)
            loss, gradient = engine.loss_and_gradients(
                expected, batch, objective.loss, objective.penalty / whole
            )
            gradient = objective.scale * gradient
            velocity = momentum * velocity - lr * gradient
            step = momentum * velocity - lr * gradient if nesterov else velocity
            expected = expected + step
            losses.append(loss * len(chosen) * objective.reported)
        found = training.epoch(order)
        solver.end_epoch(seen)
        lr = 0.05 / (seen + 1) ** 0.5
        # Six steps, whose gradients of order one are off by some ten eps each.
        assert abs(found - np.sum(losses) / 23) <= 1e-13
        np.testing.assert_allclose(x, expected, rtol=0, atol=1e-13)
    assert solver.updates == 6


def test_a_batch_without_weight_is_passed_over():
    objective, x = problem(weighted=True)
    weights = objective.data.weights.copy()
    weights[:5] = 0.0
    objective = objective._replace(data=objective.data._replace(weights=weights))
    solver = make_descent(PARAMETERS, objective.scale)
    Training(solver, objective, x, 5).epoch(np.arange(23))
    assert solver.updates == 4
    assert np.isfinite(x).all()


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_a_solver_goes_on_where_it_was(solver):
    """Closed after an epoch, pickled, and opened again: the same as without."""
    order = np.arange(23)
    ends = []
    for interrupted in (False, True):
        objective, x = problem()
        descent = make_descent({**PARAMETERS, "solver": solver}, objective.scale)
        training = Training(descent, objective, x, 9)
        training.epoch(order)
        if interrupted:
            training.close()
            training = Training(pickle.loads(pickle.dumps(descent)), objective, x, 9)
        training.epoch(order)
        ends.append(x)
    np.testing.assert_array_equal(*ends)


def test_a_vanishing_learning_rate_does_not_overflow():
    objective, x = problem(dtype="f4")
    choice = {"learning_rate": "invscaling", "power_t": 60.0}
    solver = make_descent({**PARAMETERS, **choice}, objective.scale)
    training = Training(solver, objective, x, 9)
    for seen in (23, 46, 69):
        before = x.copy()
        training.epoch(np.arange(23))
        solver.end_epoch(seen)
    # The last steps are those of momentum alone, 0.9 of the ones before.
    assert np.isfinite(x).all()
    assert np.abs(x - before).max() < 0.1


def test_when_training_ends():
    constant = make_descent(PARAMETERS, 1)
    assert constant.ends() == "Training ends"
    adaptive = make_descent({**PARAMETERS, "learning_rate": "adaptive"}, 1)
    rates = []
    while not adaptive.ends():
        rates.append(adaptive.learning_rate)
    np.testing.assert_allclose(rates, 0.05 / 5.0 ** np.arange(1, len(rates) + 1), rtol=1e-14)
    assert rates[-2] > 1e-6 >= rates[-1]


def test_a_linear_network_finds_least_squares():
    """Without a hidden layer the minimum is that of ridge regression: ∇ = 0 to within tol."""
    X, y = make_regression(60, 4, noise=1.0, random_state=0)
    y /= y.std()
    alpha = 3.0
    coefs, intercepts = draw(np.random.RandomState(0), (4, 1), "relu", np.dtype("f8"))
    engine = make_engine(coefs, "relu", np.dtype("f8"))
    objective = make_objective(engine, X, y[:, None], None, "identity", alpha)
    x = pack(engine, coefs, intercepts)
    seen = []
    found = minimize(
        objective, x, tol=1e-10, max_iter=200, max_fun=1000, each=lambda k, loss: seen.append(k)
    )
    centered = X - X.mean(axis=0)
    exact = np.linalg.solve(centered.T @ centered + alpha * np.eye(4), centered.T @ (y - y.mean()))
    smallest = np.linalg.eigvalsh(centered.T @ centered / 60)[0]
    error = np.abs(unpack(engine, x)[0][0][:, 0] - exact).max()
    # (L-BFGS also ends when the loss changes by less than 2.2e-9 of itself, an error of its root.)
    assert error <= np.sqrt(2 * 2.3e-9 / smallest)
    assert found.message == ""
    assert seen == list(range(1, found.n_iter + 1))


def test_an_interrupted_minimisation_keeps_the_last_iterate():
    objective, x = problem()

    def stop(k, loss):
        if k == 3:
            raise KeyboardInterrupt

    found = minimize(objective, x, tol=0.0, max_iter=50, max_fun=500, each=stop)
    _, again = problem()
    expected = minimize(objective, again, tol=0.0, max_iter=3, max_fun=500)
    assert found.interrupted
    assert found.n_iter == 3
    np.testing.assert_array_equal(x, again)
    assert found.loss == expected.loss
    assert "ITERATIONS" in expected.message.upper()


def test_orders_are_taken_in_few_calls(monkeypatch):
    calls = []
    true = module.train_epoch
    monkeypatch.setattr(module, "train_epoch", lambda *a: calls.append(1) or true(*a))
    objective, x = problem()
    Training(make_descent(PARAMETERS, 3), objective, x, 1).epoch(np.arange(23))
    assert len(calls) == 1
