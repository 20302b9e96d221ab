"""What perceptrons minimise: scikit-learn's first coefficients, gradients by differences."""

import numpy as np
import pytest

from fastkb.nn.perceptron.objective import draw, make_engine, pack, unpack

OUTPUTS = ("identity", "logistic", "softmax")


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
    engine = make_engine([coef.shape for coef in coefs], activation, np.dtype("f8"))
    again = unpack(engine, pack(engine, coefs, intercepts))
    for ours, theirs in zip((*again[0], *again[1]), (*coefs, *intercepts), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.flags.c_contiguous


@pytest.mark.parametrize("out_activation", OUTPUTS)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_objective_and_its_gradient(problem, out_activation, weighted):
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


@pytest.mark.parametrize("sizes", [(10**6, 10**6), (10**30,), (10**5, 10**5)])
def test_networks_that_no_memory_holds_are_not_drawn(sizes, monkeypatch):
    monkeypatch.setattr("fastkb.runtime.memory.available_bytes", lambda: 10**9)
    message = r"these hidden_layer_sizes needs .* GB, and 1\.0 GB of memory are free"
    with pytest.raises(MemoryError, match=message):
        draw(np.random.RandomState(0), (3, *sizes, 1), "relu", np.dtype(np.float32))
