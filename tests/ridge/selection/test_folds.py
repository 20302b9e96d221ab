"""Which rows are left out together: what scikit-learn's splitters say, checked."""

import numpy as np
import pytest
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    PredefinedSplit,
    RepeatedKFold,
    ShuffleSplit,
    TimeSeriesSplit,
    check_cv,
)

from fastkb.ridge.selection.factorisation import ONE_ROW
from fastkb.ridge.selection.folds import make_folds, what_is_left_out

N = 12
X, Y = np.arange(24.0).reshape(N, 2), np.arange(12.0)
GROUPS = np.arange(N) % 4


def folds_of(cv, weight=None):
    return make_folds(check_cv(cv), X, Y, GROUPS, weight)


@pytest.mark.filterwarnings("ignore:The groups parameter is ignored")
@pytest.mark.parametrize(
    ("cv", "n_complements", "n_refits"),
    [
        (KFold(3), 3, 0),
        (3, 3, 0),
        (GroupKFold(2), 2, 0),
        (LeaveOneGroupOut(), 4, 0),
        (RepeatedKFold(n_splits=3, n_repeats=2, random_state=0), 6, 0),
        (ShuffleSplit(5, test_size=0.25, random_state=0), 5, 0),
        (ShuffleSplit(5, test_size=0.25, train_size=0.5, random_state=0), 0, 5),
        (PredefinedSplit(np.arange(N) % 3 - 1), 2, 0),
        (TimeSeriesSplit(3), 1, 2),  # the last is trained on all before it, which is all others
        ([(np.arange(6), np.arange(6, 12)), (np.arange(5), np.arange(6, 12))], 1, 1),
        ([(np.arange(12), np.arange(3))], 0, 1),  # predicts what it is trained on
        ([(np.r_[0, 0, 1, 2:6], np.arange(6, 12))], 0, 1),  # a row twice
        ([(np.arange(12) < 6, np.arange(12) >= 6)], 1, 0),  # masks
    ],
)
def test_a_fold_is_a_complement_or_is_refitted(cv, n_complements, n_refits):
    folds = folds_of(cv)
    assert len(folds.complements) == n_complements
    assert len(folds.refits) == n_refits
    splits = [
        tuple(np.flatnonzero(rows) if np.asarray(rows).dtype == bool else rows for rows in split)
        for split in check_cv(cv).split(X, Y, GROUPS)
    ]
    np.testing.assert_array_equal(folds.rows, np.concatenate([test for _, test in splits]))
    # Each kind of fold fills its own places.
    places = folds.is_complement
    assert places.shape == folds.rows.shape
    for chosen, parts in (
        (places, folds.complements),
        (~places, [test for _, test in folds.refits]),
    ):
        np.testing.assert_array_equal(
            folds.rows[chosen], np.concatenate(parts) if len(parts) else []
        )


@pytest.mark.parametrize(
    ("cv", "words"),
    [
        ([([], [0])], "train part of fold 0 of cv must hold at least one row"),
        ([([0], [1]), ([0], [])], "test part of fold 1 of cv must hold at least one row"),
        ([([0], [12])], r"test part of fold 0 of cv must hold indices of rows from 0 to 11, got"),
        ([([-1], [0])], "train part of fold 0 of cv must hold indices"),
        ([([0.5], [0])], "train part of fold 0 of cv must hold indices"),
        ([([[0, 1]], [2])], r"train part .* got shape \(1, 2\)"),
        (KFold(13), "greater than the number of samples"),
        ([], "gives no folds: expected at least one"),
    ],
)
@pytest.mark.filterwarnings("ignore:The groups parameter is ignored")
def test_bad_splits_are_named(cv, words):
    with pytest.raises(ValueError, match=words):
        folds_of(cv)


def test_weights_must_leave_something_to_fit_and_something_to_judge():
    weight = np.ones(N)
    weight[6:] = 0.0
    halves = [(np.arange(6), np.arange(6, 12)), (np.arange(6, 12), np.arange(6))]
    with pytest.raises(ValueError, match=r"zero for all training rows of fold 1 of cv"):
        folds_of(halves, weight)
    with pytest.raises(ValueError, match=r"zero for all test rows of the folds of cv"):
        folds_of(halves[:1], weight)


def test_what_is_left_out_is_the_largest_and_the_heaviest():
    weight = np.array([1.0] * 11 + [9.0])
    assert what_is_left_out(N, None, None, False) == ONE_ROW
    assert what_is_left_out(N, weight, None, False) == ONE_ROW
    assert what_is_left_out(N, None, None, True) == (1, pytest.approx(11 / 12))
    assert what_is_left_out(N, weight, None, True) == (1, pytest.approx(11 / 20))
    folds = make_folds(KFold(3), X, Y, None, weight)
    assert what_is_left_out(N, weight, folds, True) == (4, pytest.approx(8 / 20))
    uneven = make_folds(PredefinedSplit([0] * 7 + [1] * 5), X, Y, None, weight)
    assert what_is_left_out(N, weight, uneven, True) == (7, pytest.approx(7 / 20))
    # Fits of their own go without nothing.
    refits = make_folds(check_cv([(np.arange(3), np.arange(3, 7))]), X, Y, None, weight)
    assert what_is_left_out(N, weight, refits, True) == ONE_ROW


def test_an_intercept_without_data_is_refused():
    weight = np.full(N, 1e-12)
    weight[4] = 1.0
    with pytest.raises(ValueError, match=r"have all but 1\.1e-11 of it"):
        what_is_left_out(N, weight, None, True)
    assert what_is_left_out(N, weight, None, False) == ONE_ROW
