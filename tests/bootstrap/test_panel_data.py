"""Many series as they come: arrays, lists, mappings, data frames; and what is refused."""

import numpy as np
import pandas as pd
import pytest

from fastkb.bootstrap.evaluate.statistics import NAMED
from fastkb.bootstrap.panel_data import check_known_values, check_panel

X = np.arange(12.0).reshape(4, 3)


@pytest.mark.parametrize(
    ("data", "axis", "lead", "names"),
    [
        (X, 0, (3,), None),
        (X.T, 1, (3,), None),
        (X.T, -1, (3,), None),
        (np.asfortranarray(X), 0, (3,), None),
        (X.T.astype(">f8"), 1, (3,), None),
        (list(X.T), 0, (3,), None),
        ([list(row) for row in X.T], 7, (3,), None),
        ({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]}, 0, (3,), ("a", "b", "c")),
        (pd.DataFrame(X, columns=["a", "b", "c"]), 0, (3,), ("a", "b", "c")),
        (pd.DataFrame(X.T, index=[5, 6, 7]), 1, (3,), (5, 6, 7)),
        (X.reshape(4, 3, 1), 0, (3, 1), None),
    ],
)
def test_series_of_one_length(data, axis, lead, names):
    panel = check_panel((data,), axis, False)
    assert (panel.lead, panel.names, len(panel)) == (lead, names, 3)
    for s in range(3):
        (series,) = panel.series(s)
        np.testing.assert_array_equal(series, X[:, s])
        assert series.dtype == np.float64


def test_series_of_several_lengths_and_types():
    panel = check_panel(([[1, 2, 3], np.array([1.5, 2.5], np.float32), X[:, 0]],), 0, False)
    assert [len(panel.series(s)[0]) for s in range(3)] == [3, 2, 4]
    assert [panel.series(s)[0].dtype.kind for s in range(3)] == ["i", "f", "f"]


def test_a_single_series():
    for one in (X[:, 0], [0.0, 3.0, 6.0, 9.0]):
        panel = check_panel((one,), 0, False)
        assert (panel.lead, len(panel)) == ((), 1)


def test_one_series_for_all_of_another_sample():
    panel = check_panel((X, X[:, 1]), 0, True)
    for s in range(3):
        np.testing.assert_array_equal(panel.series(s)[1], X[:, 1])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (X, r"tuple of samples, got ndarray: for one sample of many series write \(series,\)"),
        ({"a": X}, "tuple of samples, got dict"),
        ((), "at least one sample, got none"),
        (({},), "at least one series, got none"),
        (([X[:, 0], X],), r"data\[0\]\[1\] must be a series of numbers, got shape \(4, 3\)"),
        (({"a": X[:, 0], "b": "text"},), r"data\[0\]\['b'\] must be numbers"),
        (([X[:, 0], [1.0]],), "two or more observations: series 1 has 1"),
        (({"a": [1.0]},), "two or more observations: series 'a' has 1"),
        ((X, X[:, :2]), r"data\[0\] has them in shape \(3,\), data\[1\] in shape \(2,\)"),
        ((np.empty((4, 0)),), r"data\[0\] must have series, got shape \(4, 0\)"),
        ((["a", "b"],), r"data\[0\] must be numbers"),
        ((np.ma.masked_equal(X, 3.0),), r"data\[0\] must have no masked values"),
    ],
)
def test_what_is_no_panel(data, message):
    with pytest.raises(ValueError, match=message):
        check_panel(data, 0, False)


def test_an_axis_that_is_not_there():
    with pytest.raises(IndexError, match=r"`axis` is 2, and the arrays of data\[0\] have 2 axes"):
        check_panel((X,), 2, False)


def test_pairs_have_one_length():
    with pytest.raises(ValueError, match="those of series 0 have 3, 4"):
        check_panel(([[1.0, 2, 3]], [[1.0, 2, 3, 4]]), 0, True)


def test_nan_is_named():
    panel = check_panel(({"a": X[:, 0], "b": [np.nan, 1.0, np.nan]},), 0, False)
    with pytest.raises(ValueError, match="series 'b' in `data` contains 2 NaN, and so mean would"):
        check_known_values(NAMED["mean"], panel)
