"""The certificate: whatever the problem, a certified replicate is the refit, to 1e-6 of y's range."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastkb
from fastkb.bands.ridge.basis import TOLERANCE, Basis, Refused
from fastkb.bands.ridge.kernel_source import KernelSource
from fastkb.bands.ridge.lowrank import BATCH, LowRank
from fastkb.bands.ridge.solver_choice import Split
from fastkb.random.streams import bootstrap_counts, key_from_rng
from fastkb.reference import band as reference
from fastkb.reference import gram
from fastkb.reference.streams import bootstrap_indices

KEY = key_from_rng(0)
PROMISE = 1e-6


def make(model, X, y, X_eval, split=None):
    """The solver on a problem; `split` overrides the number of strong directions."""
    targets = y.reshape(len(y), -1)
    alpha = np.broadcast_to(np.asarray(model.alpha, dtype=float), (targets.shape[1],)).copy()
    scale = np.ptp(targets, axis=0)
    source = KernelSource(model, X, X_eval)
    basis = Basis(source, targets, alpha, scale, len(y))
    solver = LowRank(source, basis, targets, alpha, scale)
    if split is not None:
        solver.splits = [
            Split(min(split, solver.rank), steps=0, seconds=0.0) for _ in solver.splits
        ]
    solver.prepare()
    return solver


def predict(solver, first, count):
    """Predictions of replicates `first`, … and their bounds."""
    out = np.full((count, *solver.center()[0].shape), np.nan)
    return out, solver.predict(KEY, first, out)


def rbf(alpha, gamma, fit_intercept=False):
    return fastkb.KernelRidge(alpha=alpha, kernel="rbf", gamma=gamma, fit_intercept=fit_intercept)


intercepts = pytest.mark.parametrize("fit_intercept", [False, True])


def largest_error(solver, model, X, y, X_eval, replicates):
    """Largest error of the replicates in units of what their bounds allow (at most 1)."""
    predictions, bounds = predict(solver, 0, BATCH)
    K, cross = fastkb.rbf_kernel(X, gamma=model.gamma), fastkb.rbf_kernel(X_eval, X, model.gamma)
    constant = model.fit_intercept
    worst = 0.0
    for b in replicates:
        if not bounds[b] < np.inf:
            continue
        indices = bootstrap_indices(KEY, b, len(y))
        exact = reference.refit(K, cross, y, model.alpha, indices, constant)
        # The promise is "up to rounding": of the kernel's values, by a few eps each, and of the targets.
        rounding = 8 * reference.rounding_sensitivity(K, cross, y, model.alpha, indices, constant)
        rounding += 4 * np.finfo(float).eps * np.abs(y).max()
        allowed = bounds[b] * np.ptp(y) + rounding
        worst = max(worst, float((np.abs(predictions[b, :, 0] - exact) / allowed).max()))
    return worst


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(5, 90),
    d=st.integers(1, 2),
    alpha=st.floats(-9, 2).map(lambda e: 10**e),
    gamma=st.floats(-2, 3).map(lambda e: 10**e),
    noise=st.sampled_from([0.0, 1e-6, 0.3]),
    offset=st.sampled_from([0.0, 1e4]),
    spread=st.sampled_from([1.0, 3.0]),
    repeat=st.sampled_from([1, 3]),
    fit_intercept=st.booleans(),
)
def test_a_certificate_is_never_wrong(
    seed, n, d, alpha, gamma, noise, offset, spread, repeat, fit_intercept
):
    rng = np.random.default_rng(seed)
    # Repeated inputs with unequal targets; targets far from zero; evaluation outside the data.
    X = np.repeat(rng.uniform(size=(-(-n // repeat), d)), repeat, axis=0)[:n]
    # With a constant the targets' means have been taken off before.
    y = (0.0 if fit_intercept else offset) + np.sin(5 * X[:, 0]) + noise * rng.standard_normal(n)
    if np.ptp(y) == 0:
        return
    X_eval = spread * rng.uniform(size=(6, d))
    model = rbf(alpha, gamma, fit_intercept)
    try:
        solver = make(model, X, y, X_eval)
    except Refused:
        return
    assert largest_error(solver, model, X, y, X_eval, range(0, BATCH, 7)) <= 1.0


@intercepts
@pytest.mark.parametrize("split", [8, 9, 16, 24, 1000])
@pytest.mark.parametrize("alpha", [1e-5, 1e-1])
def test_every_split_gives_the_same_answer(split, alpha, fit_intercept):
    rng = np.random.default_rng(1)
    X, X_eval = rng.uniform(size=(110, 1)), rng.uniform(size=(13, 1))
    y = np.sin(6 * X[:, 0]) + 0.3 * rng.standard_normal(110)
    model = rbf(alpha, 50.0, fit_intercept)
    solver = make(model, X, y, X_eval, split)
    assert 16 < solver.rank < 40
    _, bounds = predict(solver, 0, BATCH)
    # With eight strong directions of 24 the bounds are poor, and say so.
    assert (bounds <= (PROMISE if split > 9 else 1e-4)).all()
    assert largest_error(solver, model, X, y, X_eval, range(0, BATCH, 15)) <= 1.0


@intercepts
def test_certificates_hold_in_nearly_all_replicates_of_ordinary_problems(fit_intercept):
    rng = np.random.default_rng(2)
    for n, d, gamma, alpha in ((300, 1, 50.0, 1e-4), (400, 2, 2.0, 1e-2), (60, 1, 1.0, 1.0)):
        X, X_eval = rng.uniform(size=(n, d)), rng.uniform(size=(40, d))
        y = np.sin(6 * X[:, 0]) + 0.3 * rng.standard_normal(n)
        _, bounds = predict(make(rbf(alpha, gamma, fit_intercept), X, y, X_eval), 0, 480)
        assert np.mean(bounds <= TOLERANCE) >= 0.98


@intercepts
def test_points_far_from_the_data(fit_intercept):
    # A pivot's values at points whose residual has rounded to zero must not be dropped: predictions
    # far outside the data would be off by a few 1e-6 of the range, unseen by the bound.
    rng = np.random.default_rng(1)
    X, X_eval = rng.standard_normal((200, 1)), 1.5 * rng.standard_normal((60, 1))
    y = np.sin(6 * X[:, 0]) + 0.3 * rng.standard_normal(200)
    model = rbf(1e-4, 0.5, fit_intercept)
    solver = make(model, X, y, X_eval)
    assert largest_error(solver, model, X, y, X_eval, range(0, BATCH, 9)) <= 1.0
    center, bound = solver.center()
    K, cross = gram.rbf(X, gamma=0.5), gram.rbf(X_eval, X, gamma=0.5)
    exact = reference.refit(K, cross, y, model.alpha, np.arange(200), fit_intercept)
    assert np.abs(center[:, 0] - exact).max() <= PROMISE * np.ptp(y)
    assert bound <= TOLERANCE


def test_without_kernel_functions_the_constant_is_left():
    # So large a penalty that no direction of the kernel is needed.
    rng = np.random.default_rng(0)
    X, X_eval = rng.uniform(size=(50, 1)), rng.uniform(size=(5, 1))
    y = rng.standard_normal(50)
    solver = make(rbf(1e12, 1.0, True), X, y, X_eval)
    assert solver.rank == 1
    predictions, bounds = predict(solver, 0, 60)
    means = (bootstrap_counts(KEY, 0, 60, 50) @ y) / 50
    assert (bounds <= TOLERANCE).all()
    assert np.abs(predictions[..., 0] - means[:, None]).max() <= 1e-9


@intercepts
def test_targets_and_penalties_are_independent_problems(fit_intercept):
    rng = np.random.default_rng(3)
    X, X_eval = rng.uniform(size=(80, 1)), rng.uniform(size=(9, 1))
    Y = np.stack([np.sin(5 * X[:, 0]), X[:, 0] ** 2, rng.standard_normal(80)], axis=1)
    model = rbf([1e-3, 1e-1, 1e-3], 10.0, fit_intercept)
    predictions, bounds = predict(make(model, X, Y, X_eval), 0, 5)
    assert predictions.shape == (5, 9, 3)
    assert (bounds <= PROMISE).all()
    K, cross = gram.rbf(X, gamma=10.0), gram.rbf(X_eval, X, gamma=10.0)
    for t, alpha in enumerate(model.alpha):
        for b in range(5):
            indices = bootstrap_indices(KEY, b, 80)
            exact = reference.refit(K, cross, Y[:, t], alpha, indices, fit_intercept)
            error = np.abs(predictions[b, :, t] - exact).max()
            assert error <= PROMISE * np.ptp(Y[:, t])


@intercepts
def test_other_kernels(fit_intercept):
    rng = np.random.default_rng(4)
    X, X_eval = rng.uniform(-1, 1, (120, 2)), rng.uniform(-1, 1, (7, 2))
    y = X[:, 0] * X[:, 1] + 0.1 * rng.standard_normal(120)
    for model in (
        fastkb.KernelRidge(alpha=0.1, kernel="poly", degree=3, coef0=1.0, gamma=2.0),
        fastkb.KernelRidge(alpha=0.5, kernel="linear"),
        fastkb.KernelRidge(alpha=0.1, kernel=fastkb.kernels.RBF(sigma=1.5)),
    ):
        model.fit_intercept = fit_intercept
        solver = make(model, X, y, X_eval)
        assert solver.rank < 60
        predictions, bounds = predict(solver, 0, 6)
        assert (bounds <= PROMISE).all()
        K, cross = model._get_kernel(X), model._get_kernel(X_eval, X)
        for b in range(6):
            indices = bootstrap_indices(KEY, b, 120)
            exact = reference.refit(K, cross, y, model.alpha, indices, fit_intercept)
            assert np.abs(predictions[b, :, 0] - exact).max() <= PROMISE * np.ptp(y)
