"""Several γ at once: the same numbers in the same order, whatever the number of threads."""

import threading

import numpy as np
import pytest

from fastkb.ridge.kernel_matrix import KernelChoice
from fastkb.ridge.selection import sweep as module
from fastkb.ridge.selection.evaluation import TrainingData, evaluate
from fastkb.runtime.threads import limit_blas

GAMMAS = [0.1, 0.5, 1.0, 5.0, 20.0]
ALPHAS = np.logspace(-4, 1, 9)


def problem(n=60):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 3)), rng.normal(size=(n, 2)), rng.uniform(0.5, 2.0, size=n)


def run(workers, monkeypatch, weight=None, fit_intercept=False):
    monkeypatch.setattr(module, "plan_workers", lambda *sizes: workers)
    X, y, _ = problem()
    data = TrainingData(X, y, weight, fit_intercept)
    return list(module.sweep(KernelChoice("rbf"), GAMMAS, ALPHAS, data))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_the_number_of_threads_does_not_alter_a_bit(monkeypatch, weighted, fit_intercept):
    weight = problem()[2] if weighted else None
    one = run(1, monkeypatch, weight, fit_intercept)
    for workers in (2, 3, 16):
        other = run(workers, monkeypatch, weight, fit_intercept)
        assert [(r.solver, r.reason) for r in other] == [(r.solver, r.reason) for r in one]
        for first, second in zip(one, other, strict=True):
            np.testing.assert_array_equal(first.residuals, second.residuals)
            np.testing.assert_array_equal(first.reml, second.reml)


def test_the_order_is_that_of_the_candidates(monkeypatch):
    results = run(4, monkeypatch)
    X, y, _ = problem()
    for gamma, result in zip(GAMMAS, results, strict=True):
        K = KernelChoice("rbf", gamma).fresh_matrix(X, np.float64)
        with limit_blas():
            alone = evaluate(K, TrainingData(X, y), ALPHAS, positive_semidefinite=True)
        np.testing.assert_array_equal(result.residuals, alone.residuals)


def test_weights_multiply_the_residuals_by_their_roots(monkeypatch):
    X, y, _ = problem()
    rest = run(2, monkeypatch, np.where(np.arange(60) < 50, 4.0, 0.0))
    data = TrainingData(X[:50], y[:50])
    plain = list(module.sweep(KernelChoice("rbf"), GAMMAS, ALPHAS / 4.0, data))
    for weighted, unweighted in zip(rest, plain, strict=True):
        # Four times the weight is a quarter of the penalty, and residuals twice as large; rounding
        # errors grow with the condition number, at most 50/(1e-4/4) here.
        bound = 20 * 60 * np.finfo(float).eps * 50 / (1e-4 / 4) * np.abs(y).max()
        difference = weighted.residuals[:50] - 2.0 * unweighted.residuals
        assert np.abs(difference).max() <= bound
        assert (weighted.residuals[50:] == 0.0).all()


def test_an_error_ends_the_sweep_and_begins_nothing_new(monkeypatch):
    monkeypatch.setattr(module, "plan_workers", lambda *sizes: 2)
    begun = []

    def failing(K, data, alphas, *, positive_semidefinite):
        begun.append(threading.current_thread().name)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "evaluate", failing)
    X, y, _ = problem()
    with pytest.raises(KeyboardInterrupt):
        list(module.sweep(KernelChoice("rbf"), [1.0] * 200, ALPHAS, TrainingData(X, y)))
    assert 1 <= len(begun) < 200
    assert not [t for t in threading.enumerate() if t.name.startswith("fastkb-sweep")]


def test_the_callers_number_of_threads_is_handed_on(monkeypatch):
    import numba

    seen = []
    original = module.evaluate

    def spying(*arguments, **keywords):
        seen.append(numba.get_num_threads())
        return original(*arguments, **keywords)

    monkeypatch.setattr(module, "evaluate", spying)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        run(2, monkeypatch)
    finally:
        numba.set_num_threads(before)
    assert seen == [1] * len(GAMMAS)


@pytest.mark.parametrize(
    ("n", "n_gammas", "threads", "expected"),
    [
        (100, 1, 8, 1),  # nothing to share, and too small for BLAS's threads
        (3000, 1, 8, 0),  # nothing to share: BLAS's threads
        (100, 9, 2, 2),  # a thread each
        (100, 3, 8, 3),  # no more than there are candidates
        (100, 9, 1, 1),
        (4000, 9, 16, 2),  # 384 MB each
        (20000, 9, 16, 1),  # always at least one
    ],
)
def test_the_plan(monkeypatch, n, n_gammas, threads, expected):
    monkeypatch.setattr(module, "n_threads", lambda: threads)
    assert module.plan_workers(n, n_gammas) == expected


def test_folds_that_are_refitted_take_more_memory_each(monkeypatch):
    monkeypatch.setattr(module, "n_threads", lambda: 16)
    assert module.plan_workers(3000, 9) == 4
    assert module.plan_workers(3000, 9, 4) == 3
