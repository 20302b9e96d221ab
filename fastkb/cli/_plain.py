"""Plain NumPy stand-ins."""

from types import SimpleNamespace

import numpy as np

from fastkb.reference import gram


class KernelRidge:
    def __init__(self, alpha=1, *, kernel="linear", gamma=None, degree=3, coef0=1):
        self.alpha, self.kernel, self.gamma = alpha, kernel, gamma


class KernelRidgeCV:
    def __init__(self, alphas=None, *, kernel="rbf", gammas=None):
        self.alphas, self.kernel, self.gammas = alphas, kernel, gammas

    def fit(self, X, y):
        alphas = np.logspace(-4, 3, 15) if self.alphas is None else self.alphas
        gammas = 0.5 / np.logspace(-1, 1, 9) ** 2 if self.gammas is None else self.gammas
        best = np.inf
        for gamma in gammas:
            s, Q = np.linalg.eigh(gram.rbf(X, gamma=gamma))
            Qy = Q.T @ y
            for alpha in alphas:
                inverse = 1 / (np.maximum(s, 0) + alpha)
                error = np.mean((Q @ (inverse * Qy) / (Q**2 @ inverse)) ** 2)
                if error < best:
                    best, self.alpha_, self.gamma_ = error, alpha, gamma
        return self


def bootstrap_band(
    estimator, X, y, X_eval, *, n_resamples, confidence_level, rng, keep_distribution, progress
):
    rng = np.random.default_rng(rng)
    K, cross = gram.rbf(X, gamma=estimator.gamma), gram.rbf(X_eval, X, gamma=estimator.gamma)
    n = len(y)

    def predict(w):
        (u,) = np.nonzero(w)
        dual = np.linalg.solve(K[np.ix_(u, u)] + np.diag(estimator.alpha / w[u]), y[u])
        return cross[:, u] @ dual

    draws = np.array(
        [predict(np.bincount(rng.integers(0, n, n), minlength=n)) for _ in range(n_resamples)]
    )
    low, high = np.quantile(draws, [(1 - confidence_level) / 2, (1 + confidence_level) / 2], axis=0)
    return SimpleNamespace(
        x=X_eval,
        center=predict(np.ones(n)),
        mean=draws.mean(0),
        low=low,
        high=high,
        solver="plain",
        reason="fall-back",
        confidence_level=confidence_level,
    )
