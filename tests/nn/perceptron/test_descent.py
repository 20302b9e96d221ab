"""The solvers behind the perceptrons: numbers of scikit-learn's own pieces, gradients by differences."""

import pickle

import numpy as np
import pytest

from fastkb.nn.perceptron import descent as module
from fastkb.nn.perceptron.descent import Training, make_descent

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


def epoch_of(training, order):
    """One epoch: losses of the members, and who diverged."""
    (losses,), diverged = training.epochs(order[:, None, :])
    return losses, diverged


@pytest.mark.parametrize("out_activation", OUTPUTS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, True), (0.9, True), (0.9, False)])
def test_steps_of_descent_by_hand(problem, out_activation, weighted, momentum, nesterov):
    """Two epochs of three batches: velocities v ← μ·v − lr·∇, with a learning rate that changes."""
    objective, x = problem(out_activation, weighted=weighted)
    engine, data = objective.engine, objective.data
    choice = {"momentum": momentum, "nesterovs_momentum": nesterov, "learning_rate": "invscaling"}
    solver = make_descent({**PARAMETERS, **choice}, objective.scale)
    expected, velocity = x.copy(), np.zeros_like(x)
    training = Training([solver], objective, x[None, :], 9)
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
        (found,), diverged = epoch_of(training, order[None, :])
        assert not diverged
        solver.end_epoch(seen)
        lr = 0.05 / (seen + 1) ** 0.5
        # Six steps, whose gradients of order one are off by some ten eps each.
        assert abs(found - np.sum(losses) / 23) <= 1e-13
        np.testing.assert_allclose(x, expected, rtol=0, atol=1e-13)
    assert solver.steps == 6


def test_a_batch_without_weight_is_passed_over(problem):
    objective, x = problem(weighted=True)
    weights = objective.data.weights.copy()
    weights[:5] = 0.0
    objective = objective._replace(data=objective.data._replace(weights=weights))
    solver = make_descent(PARAMETERS, objective.scale)
    epoch_of(Training([solver], objective, x[None, :], 5), np.arange(23)[None, :])
    assert solver.steps == 4
    assert np.isfinite(x).all()


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_a_solver_goes_on_where_it_was(problem, solver):
    """Closed after an epoch, pickled, and opened again: the same as without."""
    order = np.arange(23)
    ends = []
    for interrupted in (False, True):
        objective, x = problem()
        descent = make_descent({**PARAMETERS, "solver": solver}, objective.scale)
        training = Training([descent], objective, x[None, :], 9)
        epoch_of(training, order[None, :])
        if interrupted:
            training.close(0)
            training = Training([pickle.loads(pickle.dumps(descent))], objective, x[None, :], 9)
        epoch_of(training, order[None, :])
        ends.append(x)
    np.testing.assert_array_equal(*ends)


def test_a_vanishing_learning_rate_does_not_overflow(problem):
    objective, x = problem(dtype="f4")
    choice = {"learning_rate": "invscaling", "power_t": 60.0}
    solver = make_descent({**PARAMETERS, **choice}, objective.scale)
    training = Training([solver], objective, x[None, :], 9)
    for seen in (23, 46, 69):
        before = x.copy()
        epoch_of(training, np.arange(23)[None, :])
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


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_members_are_trained_as_each_alone(problem, solver):
    """Rates that differ, batches without weight, and some that leave."""
    rng = np.random.default_rng(0)
    objective, x = problem(weighted=True)
    weights = rng.poisson(0.5, (4, 23)).astype(float)
    orders = np.array([[rng.permutation(23) for _ in range(4)] for _ in range(3)])
    choice = {**PARAMETERS, "solver": solver, "learning_rate": "invscaling"}
    rates = (0.02, 0.05, 0.01, 0.04)

    def descents():
        return [make_descent({**choice, "learning_rate_init": rate}, 3) for rate in rates]

    alone, losses = np.tile(x, (4, 1)), {}
    for member, descent in enumerate(descents()):
        mine = objective._replace(data=objective.data._replace(weights=weights[member]))
        training = Training([descent], mine, alone[member : member + 1], 4)
        for epoch in range(3 if member != 1 else 1):
            found, diverged = epoch_of(training, orders[epoch, member : member + 1])
            losses[member, epoch] = float(found[0])
            descent.end_epoch(23 * (epoch + 1))
            assert not diverged
    several = objective._replace(data=objective.data._replace(weights=weights))
    solvers = descents()
    training = Training(solvers, several, np.tile(x, (4, 1)), 4)
    members = [0, 1, 2, 3]
    for epoch in range(3):
        found, diverged = epoch_of(training, orders[epoch, members])
        assert not diverged
        assert found.tolist() == [losses[member, epoch] for member in members]
        for descent in solvers:
            descent.end_epoch(23 * (epoch + 1))
        if epoch == 0:
            np.testing.assert_array_equal(training.parameters[1], alone[1])
            training.keep(np.array([True, False, True, True]))
            members = [0, 2, 3]
    np.testing.assert_array_equal(training.parameters, alone[members])
    assert len({descent.steps for descent in solvers}) > 1


@pytest.mark.parametrize("together", [1, 2, 1000])
def test_losses_do_not_depend_on_how_an_epoch_is_cut(problem, together, monkeypatch):
    monkeypatch.setattr(module.Pace, "steps", lambda self, members: together)
    objective, x = problem(weighted=True)
    training = Training([make_descent(PARAMETERS, 3)], objective, x[None, :], 2)
    (found,), _ = epoch_of(training, np.arange(23)[None, :])
    monkeypatch.undo()
    objective, x = problem(weighted=True)
    training = Training([make_descent(PARAMETERS, 3)], objective, x[None, :], 2)
    (expected,), _ = epoch_of(training, np.arange(23)[None, :])
    assert found == expected


def test_orders_are_taken_in_few_calls(problem, monkeypatch):
    calls = []
    true = module.train_epochs
    monkeypatch.setattr(module, "train_epochs", lambda *a: calls.append(1) or true(*a))
    objective, x = problem()
    epoch_of(
        Training([make_descent(PARAMETERS, 3)], objective, x[None, :], 1), np.arange(23)[None, :]
    )
    assert len(calls) == 1
