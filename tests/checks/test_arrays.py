"""Matrices of finite floats."""

import numpy as np
import pytest

from fastkb.checks.arrays import check_matrix


def test_good_arrays_are_passed_on_untouched():
    for X in (np.ones((3, 2)), np.ones((4, 2), np.float32)[::2]):
        assert check_matrix(X, "X") is X


@pytest.mark.parametrize("kind", [np.int8, bool, np.float16, ">f8"])
def test_other_numbers_become_float64(kind):
    found = check_matrix(np.ones((2, 2), kind), "X")
    assert found.dtype == np.float64
    assert found.dtype.isnative
    assert (found == 1).all()


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (np.array([[1.0, np.nan]]), "X contains NaN"),
        (np.array([[np.inf, 1.0]]), "X contains infinity"),
        (np.ones(3), "Expected 2D array"),
        (np.ones((0, 2)), "0 sample"),
        (np.array([[1j]]), "X must be real numbers"),
        (np.array([[None]]), "X must be numbers, got object"),
        (np.array([["2020-01-01"]], "datetime64[D]"), "X must be numbers"),
    ],
)
def test_other_arrays_are_refused(X, words):
    with pytest.raises(ValueError, match=words):
        check_matrix(X, "X")


def test_finite_numbers_whose_sum_overflows_are_finite():
    X = np.full((2, 2), 1.5e308)
    assert check_matrix(X, "X") is not None
