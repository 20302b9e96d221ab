"""Bad observations, predictions and totals of a prediction error: one clear error each."""

import numpy as np
import pytest

from fastkb.bands.models import error_checks as validation


@pytest.mark.parametrize("y", [[1, 2, 3], np.array([1.0, 2.0, 3.0], "f4"), [[1], [2], [3]]])
def test_targets_become_a_matrix_of_doubles(y):
    targets = validation.check_numeric_targets(y)
    assert targets.dtype == np.float64
    np.testing.assert_array_equal(targets, [[1.0], [2.0], [3.0]])


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (["a"], TypeError, "y must be real numbers for squared_error, got <U1"),
        ([1.0, np.inf], ValueError, "y has NaN or infinity"),
        ([], ValueError, r"y must have shape \(n,\) or \(n, n_targets\), got \(0,\)"),
    ],
)
def test_bad_targets(y, error, message):
    with pytest.raises(error, match=message):
        validation.check_numeric_targets(y)


@pytest.mark.parametrize(
    "check", [validation.check_numeric_targets, validation.check_label_targets]
)
def test_targets_are_a_copy(check):
    y = np.array([1.0, 2.0])
    assert not np.shares_memory(check(y), y)


def test_labels_of_any_type():
    for y in (np.array([1, 2]), np.array(["a", "b"]), np.array(["a", None])):
        np.testing.assert_array_equal(validation.check_label_targets(y), y)
    with pytest.raises(ValueError, match="y has NaN: it is no label"):
        validation.check_label_targets([1.0, np.nan])
    with pytest.raises(ValueError, match="for zero_one, got"):
        validation.check_label_targets([["a"]])


def test_labels_that_can_never_be_equal():
    text, whole, real = np.array(["1"]), np.array([1]), np.array([1.0])
    validation.check_labels("fitted", whole, real)
    validation.check_labels("fitted", whole.astype(object), text)
    validation.check_labels("fitted", whole[:0], text)
    with pytest.raises(TypeError, match="fitted are labels of int64 and y of <U1: use one type"):
        validation.check_labels("fitted", whole, text)


def test_indices_of_left_out_rows():
    for out in ([], [2, 0], np.array([2, 0], np.uint8)):
        rows = validation.check_left_out(out, 3)
        assert rows.dtype == np.int64
        np.testing.assert_array_equal(rows, out)
    with pytest.raises(ValueError, match="out must be indices from 0 to 2, got 0 to 3"):
        validation.check_left_out([0, 3], 3)
    with pytest.raises(TypeError, match=r"got bool: write np\.flatnonzero\(out\)"):
        validation.check_left_out([True, False, True], 3)


def test_predictions_are_finite_where_they_count():
    values, losses = np.array([[1.0, np.nan], [2.0, 3.0]]), np.array([np.nan, 1.0])
    validation.check_finite(losses, values, np.array([False, True]))
    # A loss that overflows is no fault of the prediction.
    validation.check_finite(np.array([np.inf]), np.array([1e200]))
    with pytest.raises(ValueError, match="fitted have NaN or infinity"):
        validation.check_finite(losses, values, name="fitted")


def test_totals_are_converted_and_copied():
    sums, counts = np.array([1, 0]), np.array([2, 0])
    checked = validation.check_totals((sums, counts), 2)
    assert [part.dtype for part in checked] == [np.float64, np.int64]
    assert not np.shares_memory(checked[1], counts)
    with pytest.raises(ValueError, match=r"the sums have shape \(2,\), expected \(3,\) as y has"):
        validation.check_totals((sums, counts), 3)
    with pytest.raises(ValueError, match="no sums of losses"):
        validation.check_totals((sums + 1.0, counts), 2)
