"""The classifiers on digits: scikit-learn's agrees but for the place of epsilon, and others do not."""

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone

from bench import perceptron
from bench.perceptron import Fit, Predict, digits, distance, fit_with_papers_epsilon, fitted
from bench.rivals import SKLEARN

each_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])
EPOCHS = 3


@each_dtype
def test_fits_agree(dtype):
    work = Fit(dtype, EPOCHS)
    ours, theirs = work.fastkb().call(), work.rival(SKLEARN).call()
    assert ours.n_iter_ == theirs.n_iter_ == EPOCHS
    assert {each.dtype for each in (*ours.coefs_, *theirs.coefs_)} == {np.dtype(dtype)}
    assert work.disagreement(ours, theirs) <= 1.0


@each_dtype
def test_nothing_but_the_place_of_epsilon_parts_them(dtype):
    work, data = Fit(dtype, EPOCHS), digits(dtype)
    ours, theirs = work.fastkb().call(), work.rival(SKLEARN).call()
    rounding = 27 * 200 * np.finfo(dtype).eps
    if distance(ours, theirs) < rounding:
        pytest.skip("this scikit-learn has epsilon where the paper has it")
    moved = fit_with_papers_epsilon(theirs, *data)
    # 27 steps of sums of 200 terms.
    assert distance(ours, moved) < 27 * 200 * np.finfo(dtype).eps < distance(ours, theirs)
    # And scikit-learn's own is in its place again.
    assert distance(theirs, fitted(clone(theirs), *data)) == 0.0


@pytest.mark.parametrize(
    "settings",
    [
        {"random_state": 1},
        {"alpha": 1e-2},
        {"epsilon": 1e-6},
        {"learning_rate_init": 1.01e-3},
        {"batch_size": 199},
        {"shuffle": False},
        {"beta_2": 0.9},
    ],
    ids=str,
)
def test_other_settings_do_not_agree(settings):
    work = Fit(epochs=EPOCHS)
    ours, theirs = work.fastkb().call(), work.rival(SKLEARN).call()
    other = fitted(clone(theirs).set_params(**settings), *digits("float64"))
    assert work.disagreement(ours, other) > 1.0


def test_other_results_do_not_agree():
    work = Fit(epochs=EPOCHS)
    ours, theirs = work.fastkb().call(), work.rival(SKLEARN).call()
    for wrong in (2.0, math.nan):
        theirs.coefs_[1] *= wrong
        assert work.disagreement(ours, theirs) > 1.0
    single = replace(work, dtype="float32").rival(SKLEARN).call()
    longer = replace(work, epochs=EPOCHS + 1).rival(SKLEARN).call()
    for other in (single, longer):
        assert work.disagreement(ours, other) == math.inf


@each_dtype
def test_predictions_agree_and_others_do_not(dtype, monkeypatch):
    monkeypatch.setattr(perceptron, "FITTED_EPOCHS", EPOCHS)
    work = Predict(dtype)
    ours, theirs = work.fastkb().call(), work.rival(SKLEARN).call()
    assert ours.shape == (1797,)
    assert work.disagreement(ours, theirs) == 0.0
    theirs[5] += 1
    for wrong in (theirs, ours.astype(float), ours[:-1]):
        assert work.disagreement(ours, wrong) == math.inf


def test_bounds_count_all_epochs(ceilings):
    one, many = (Fit(epochs=k).bound(ceilings(1.0), None).seconds for k in (1, 10))
    # (2·64·100 + 3·100·10) multiply-adds an observation, at two flops a second.
    assert one == pytest.approx(1797 * 15_800)
    assert many == pytest.approx(10 * one)
    assert Fit("float32", 1).bound(ceilings(1.0), None).seconds == pytest.approx(one / 2)
    assert Predict().bound(ceilings(1.0), None).seconds == pytest.approx(1797 * 7400)
