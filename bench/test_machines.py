"""The works of support vector machines: objectives by definition, and who agrees."""

import numpy as np
import pytest
from sklearn import svm

from bench.machines import MachineBand, MachineFit, MachineValues, classes
from bench.rivals import REFIT, SKLEARN


def test_the_objective_is_that_of_the_dual_problem():
    work = MachineFit(n=80, d=4, C=2.0)
    X, y = work._rows
    model = svm.SVC(C=2.0, gamma=0.25).fit(X, y)
    a = model.dual_coef_[0]
    K = np.exp(-0.25 * ((X[model.support_][:, None] - X[model.support_]) ** 2).sum(-1))
    assert work._objective(model) == pytest.approx(0.5 * a @ K @ a - np.abs(a).sum())


def test_the_objective_of_several_classes_is_a_sum_over_pairs():
    work = MachineFit("wine")
    X, y = work._rows
    together = work._objective(svm.SVC().fit(X, y))
    gamma = 1.0 / (X.shape[1] * X.var())
    pairs = 0.0
    for i, j in ((0, 1), (0, 2), (1, 2)):
        some = (y == i) | (y == j)
        model = svm.SVC(gamma=gamma).fit(X[some], y[some])
        a = model.dual_coef_[0]
        f = model.decision_function(X[some][model.support_]) - model.intercept_
        pairs += 0.5 * a @ f - np.abs(a).sum()
    assert together == pytest.approx(pairs, rel=1e-4)


@pytest.mark.parametrize(
    "work",
    [
        MachineFit(n=120, d=4),
        MachineFit(n=120, d=4, kernel="linear"),
        MachineFit("wine"),
        MachineFit("targets", n=120, d=4),
        MachineFit(n=120, d=4, nu_kind="NuSVC"),
        MachineFit("targets", n=120, d=4, nu_kind="NuSVR"),
        MachineFit(n=120, d=4, nu_kind="OneClassSVM"),
        MachineValues(n=120, d=4),
    ],
    ids=lambda work: work.name,
)
def test_the_peer_agrees_and_another_problem_does_not(work):
    ours, theirs = work.fastkb().call(), work.rival(SKLEARN).call()
    assert work.disagreement(ours, theirs) <= 1.0
    assert work.facts(ours) > 0
    with_C = isinstance(work, MachineFit) and work.nu_kind in ("", "NuSVR")
    if with_C:
        worse = MachineFit(**{**vars(work), "C": 0.3})
        # Coefficients of a smaller C are within the bounds, and not the best.
        assert work.disagreement(worse.fastkb().call(), theirs) > 1.0


def test_columns_of_unlike_scales():
    X, _ = classes("scales", 50, 20)
    spread = X.std(axis=0)
    assert spread[0] == pytest.approx(1e-2)
    assert spread[-1] == pytest.approx(1e3)


def test_a_band_is_that_of_refits():
    work = MachineBand(n=120, d=4, n_resamples=5, processes=1)
    ours, theirs = work.fastkb().call(), work.rival(REFIT).call()
    assert theirs.shape == (5, 200)
    assert work.disagreement(ours, theirs) <= 1.0
    assert work.disagreement(ours, theirs[::-1]) > 1.0
    assert work.rivals == (REFIT,)
