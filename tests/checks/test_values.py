"""What is given as numbers becomes real numbers, or the error names the argument."""

import datetime
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from fastkb.checks.values import real_array, real_values

FLOAT = np.dtype(np.float64)
DAYS = np.array(["2020-01-01", "2020-01-02"], "datetime64[D]")
MASKED = np.ma.array([1.0, 2.0], mask=[False, True])


@pytest.mark.parametrize(
    "values",
    [
        [1.0, 2.0],
        (1, 2),
        np.array([1, 2], np.uint8),
        np.array([1, 2], np.longdouble),
        np.array([1, 2], ">f4"),
        np.array(["1", "2e0"]),
        np.array([b"1", b"2"]),
        np.array([1, "2"], object),
        np.array([np.float32(1), np.int64(2)], object),
        np.ma.array([1.0, 2.0]),
        np.ma.array([1.0, 2.0], mask=[False, False]),
        [np.ma.array(1.0), 2.0],
        pd.Series([1, 2]),
        pd.Series([1, 2], dtype="Int64"),
        pd.Series(["1", "2"]),
    ],
)
def test_numbers(values):
    for frames in (False, True):
        found = np.asarray(real_values("x", values, frames=frames), FLOAT)
        np.testing.assert_array_equal(found, [1.0, 2.0])
    for dtype in (np.float32, np.float64):
        found = real_array("x", values, np.dtype(dtype))
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, [1.0, 2.0])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (MASKED, "x must have no masked values; got 1 of them"),
        (MASKED.astype(object), "x must have no masked values; got 1 of them"),
        ([MASKED, MASKED], "x must have no masked values; got 2 of them"),
        ([1.0, np.ma.masked], "x must have no masked values; got 1 of them"),
        (np.array([1.0, np.ma.masked], object), "x must have no masked values; got 1 of them"),
        (np.array([1.0, 1j]), "x must be real numbers, got complex128: Complex data not supported"),
        (np.array([1.0, 1j], object), "x must be numbers, got object: .* not 'complex'"),
        (DAYS, r"x must be numbers, got datetime64\[D\]"),
        (DAYS - DAYS[0], r"x must be numbers, got timedelta64\[D\]"),
        (DAYS.tolist(), "x must be numbers, got object with datetime.date"),
        (
            np.array([*DAYS], object),
            r"x must be numbers, got object with .*datetime64\('2020-01-01'\)",
        ),
        ([np.timedelta64(3, "s"), 1.0], "x must be numbers, got object with .*timedelta64"),
        (pd.Series(DAYS), r"x must be numbers, got .*datetime64"),
        ([datetime.timedelta(1)], "x must be numbers, got object with datetime.timedelta"),
        (["one", "2"], "x must be numbers, got <U3: could not convert string to float"),
        ([10**400], "x must be numbers, got object: int too large to convert to float"),
        (
            [[1.0], [1.0, 2.0]],
            "x must be numbers, got list: setting an array element with a sequence",
        ),
        ((i for i in range(3)), "x must be numbers, got object: .* not 'generator'"),
        (np.zeros(3, "V8"), r"x must be numbers, got \|V8"),
        (np.zeros(3, [("a", "f8")]), "x must be numbers, got "),
        (None, "x must be numbers, got None"),
    ],
)
def test_what_is_no_number(values, message):
    for frames in (False, True):
        with pytest.raises(ValueError, match=message):
            real_values("x", values, frames=frames)


def test_frames_and_sparse_matrices_are_left_to_scikit_learn():
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    assert real_values("X", frame) is frame
    with pytest.raises(ValueError, match=r"X must be numbers, got datetime64"):
        real_values("X", frame.assign(c=DAYS))
    with pytest.raises(ValueError, match=r"X must be numbers, got timedelta64"):
        real_values("X", frame.assign(c=DAYS - DAYS[0]))
    for matrix in (sparse.eye(2).tocsr(), sparse.eye_array(2).tocsc()):
        assert real_values("X", matrix) is matrix
        with pytest.raises(TypeError, match="Sparse data was passed for X, but dense data is req"):
            real_values("X", matrix, frames=False)


def test_what_is_too_large_becomes_infinity_without_a_warning():
    for values in ([1e300, 1.0], np.array([1e300, 1.0], object), np.array(["1e300", "1"])):
        np.testing.assert_array_equal(real_array("x", values, np.dtype("f4")), [np.inf, 1.0])
    with np.errstate(over="ignore"):  # no larger than float64 on some systems
        large = np.array([1, 10], np.longdouble) ** 4000
    np.testing.assert_array_equal(real_array("x", large, FLOAT), [1.0, np.inf])


def test_an_array_of_numbers_is_itself():
    for values in (np.ones((2, 3)), np.ones(3, np.float32)[::2], np.arange(3)):
        assert real_values("x", values) is values


def test_errors_of_whatever_makes_an_array_are_named():
    def fail(*args, **kwargs):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    kind = type("Tensor", (SimpleNamespace,), {"__array__": fail})
    with pytest.raises(TypeError, match="x must be numbers, got Tensor: can't convert cuda:0"):
        real_values("x", kind())
