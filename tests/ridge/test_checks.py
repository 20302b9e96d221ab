"""What kernel ridge regression refuses, and in what words."""

import numpy as np
import pytest

from fastkb.ridge import checks as validation


@pytest.mark.parametrize(
    ("alpha", "n_targets", "expected"),
    [
        (1, 3, [1.0]),
        (0, 1, [0.0]),
        (np.float32(0.5), 1, [0.5]),
        ([2.0], 3, [2.0]),
        (np.array(2.0), 3, [2.0]),
        ([1, 2, 3], 3, [1.0, 2.0, 3.0]),
    ],
)
def test_alpha_is_one_or_one_for_each_target(alpha, n_targets, expected):
    values = validation.check_alpha(alpha, n_targets)
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize(
    ("alpha", "error", "words"),
    [
        ([1.0, 2.0], ValueError, r"alpha has shape \(2,\), but y has n_targets=3"),
        ([[1.0, 2.0, 3.0]], ValueError, r"alpha has shape \(1, 3\)"),
        ([], ValueError, r"alpha has shape \(0,\)"),
        (-1.0, ValueError, "alpha must be .*at least 0, got -1.0"),
        ([1.0, -1.0, 2.0], ValueError, "alpha must be finite and at least 0 for every target"),
        ([1.0, np.nan, 2.0], ValueError, "alpha must be finite"),
        (np.inf, ValueError, "alpha must be a finite"),
        ("1", TypeError, "alpha must be numbers, got '1'"),
        (None, ValueError, "alpha"),
        ([1j, 2.0, 3.0], TypeError, "alpha must be (real )?numbers"),
    ],
)
def test_bad_alpha_is_named(alpha, error, words):
    with pytest.raises(error, match=words):
        validation.check_alpha(alpha, 3)


def test_a_grid_keeps_its_order():
    np.testing.assert_array_equal(
        validation.check_grid("alphas", [3, 1, 2], allow_zero=False), [3.0, 1.0, 2.0]
    )
    np.testing.assert_array_equal(validation.check_grid("gammas", 0, allow_zero=True), [0.0])


@pytest.mark.parametrize(
    ("values", "allow_zero", "error", "words"),
    [
        ([1.0, 0.0], False, ValueError, r"alphas must be finite and positive, got alphas\[1\]=0"),
        ([1.0, -2.0], True, ValueError, r"at least 0, got alphas\[1\]=-2"),
        ([np.nan], True, ValueError, r"alphas\[0\]=nan"),
        ([np.inf], True, ValueError, r"alphas\[0\]=inf"),
        ([], True, ValueError, r"at least one number, got shape \(0,\)"),
        ([[1.0]], True, ValueError, r"got shape \(1, 1\)"),
        ("auto", True, TypeError, "alphas must be numbers, got 'auto'"),
    ],
)
def test_bad_grids_are_named(values, allow_zero, error, words):
    with pytest.raises(error, match=words):
        validation.check_grid("alphas", values, allow_zero=allow_zero)


# --- intercepts, criteria, folds ----------------------------------------------------------------


def test_a_likelihood_takes_neither_scores_nor_folds():
    validation.check_use_of_criterion("loo", "r2", 3)
    validation.check_use_of_criterion("reml", None, None)
    with pytest.raises(ValueError, match=r"scoring='r2' has no use with criterion='reml'"):
        validation.check_use_of_criterion("reml", "r2", None)
    with pytest.raises(
        ValueError, match=r"cv=5 has no use .* expected cv=None, or criterion='loo'"
    ):
        validation.check_use_of_criterion("reml", None, 5)


def test_groups_go_with_a_splitter():
    assert validation.check_groups(None, 3, None) is None
    np.testing.assert_array_equal(validation.check_groups(["a", "b", "a"], 3, 5), ["a", "b", "a"])
    with pytest.raises(ValueError, match=r"groups has no use with cv=None"):
        validation.check_groups([1, 2, 3], 3, None)
    with pytest.raises(ValueError, match=r"groups has shape \(2,\): expected .* n_samples=3"):
        validation.check_groups([1, 2], 3, 5)


def test_splits_become_indices():
    train, test = validation.check_split(
        0, [True, False, True], np.array([1], dtype=np.int8), 3, None
    )
    np.testing.assert_array_equal(train, [0, 2])
    np.testing.assert_array_equal(test, [1])
    assert train.dtype == test.dtype == np.intp


@pytest.mark.parametrize(
    ("train", "test", "weight", "words"),
    [
        ([], [1], None, "the train part of fold 7 of cv must hold at least one row"),
        ([0], [[1]], None, r"the test part of fold 7 .* got shape \(1, 1\)"),
        ([0], [3], None, "the test part of fold 7 .* from 0 to 2"),
        ([-1], [1], None, "the train part of fold 7 .* from 0 to 2"),
        ([True, False], [1], None, "the train part of fold 7"),
        (["a"], [1], None, "the train part of fold 7"),
        ([0, 1], [2], np.array([0.0, 0.0, 1.0]), "zero for all training rows of fold 7 of cv"),
    ],
)
def test_bad_splits_are_named(train, test, weight, words):
    with pytest.raises(ValueError, match=words):
        validation.check_split(7, train, test, 3, weight)


def test_an_intercept_needs_weight_outside():
    validation.check_weight_outside(1e-7)
    with pytest.raises(ValueError, match=r"at least 1e-08 of all weight.*all but 1\.0e-09 of it"):
        validation.check_weight_outside(1e-9)
