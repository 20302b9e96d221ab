"""L-BFGS: least squares without a hidden layer, and an end before the end."""

import numpy as np
from sklearn.datasets import make_regression

from fastkb.nn.perceptron.lbfgs import minimize
from fastkb.nn.perceptron.objective import draw, make_engine, make_objective, pack, unpack


def test_a_linear_network_finds_least_squares():
    """Without a hidden layer the minimum is that of ridge regression: ∇ = 0 to within tol."""
    X, y = make_regression(60, 4, noise=1.0, random_state=0)
    y /= y.std()
    alpha = 3.0
    coefs, intercepts = draw(np.random.RandomState(0), (4, 1), "relu", np.dtype("f8"))
    engine = make_engine([coef.shape for coef in coefs], "relu", np.dtype("f8"))
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
    # L-BFGS also ends when the loss changes by less than 2.2e-9 of itself, an error of its root.
    assert error <= np.sqrt(2 * 2.3e-9 / smallest)
    assert found.message == ""
    assert seen == list(range(1, found.n_iter + 1))


def test_an_interrupted_minimisation_keeps_the_last_iterate(problem):
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
