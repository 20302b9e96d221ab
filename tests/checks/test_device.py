"""Checks of arrays on a GPU, with host memory in the place of the GPU's."""

import numpy as np
import pytest

from fastkb.checks.device import check_device_matrices, check_device_out
from fastkb.gram.checks import check_matrices, check_out
from fastkb.runtime import cuda


class OnDevice:
    def __init__(self, array):
        self.array = array
        self.shape = array.shape
        self.__cuda_array_interface__ = {**array.__array_interface__, "version": 3}


@pytest.fixture(autouse=True)
def look_here(monkeypatch):
    monkeypatch.setattr(cuda, "all_finite", lambda values: bool(np.isfinite(values.array).all()))


def matrix(n=3, d=2, dtype=np.float64):
    return OnDevice(np.ones((n, d), dtype=dtype))


def test_good_arrays_are_passed_on_untouched():
    X, Y = matrix(), matrix(5)
    assert check_matrices(X, Y) == (X, Y)
    assert check_matrices(X) == (X, None)
    assert check_matrices(X, X) == (X, None)
    single = matrix(dtype=np.float32)
    assert check_matrices(single) == (single, None)


@pytest.mark.parametrize(
    ("X", "Y", "kind", "words"),
    [
        (matrix(), np.ones((3, 2)), TypeError, "Y must be on the GPU too.*ndarray"),
        ([[1.0, 2.0]], matrix(), TypeError, "X must be on the GPU too.*list"),
        (matrix(dtype=np.int64), None, ValueError, "X must be float32 or float64.*int64"),
        (matrix(dtype=">f8"), None, ValueError, "X must be float32 or float64.*>f8"),
        (matrix(dtype=complex), None, ValueError, "X must be float32 or float64.*complex128"),
        (OnDevice(np.ones(3)), None, ValueError, r"X must be a matrix.*shape \(3,\)"),
        (matrix(), matrix(0), ValueError, r"Y must be a matrix with rows.*shape \(0, 2\)"),
        (matrix(), matrix(d=4), ValueError, r"X\.shape\[1\] == 2 while Y\.shape\[1\] == 4"),
        (matrix(), matrix(dtype=np.float32), ValueError, "one element type.*float64 and float32"),
        (
            matrix(),
            OnDevice(np.array([[0, np.inf]])),
            ValueError,
            "Input Y contains NaN or infinity",
        ),
        (OnDevice(np.array([[np.nan]])), None, ValueError, "Input X contains NaN or infinity"),
    ],
)
def test_what_is_wrong_is_named(X, Y, kind, words):
    with pytest.raises(kind, match=words):
        check_matrices(X, Y)
    with pytest.raises(kind, match=words):
        check_device_matrices(X, Y)


def test_out_may_be_strided():
    X = matrix()
    for out in (
        np.empty((3, 3)),
        np.empty((3, 6))[:, ::2],
        np.empty((3, 3))[::-1],
        np.empty((3, 3)).T,
    ):
        check_out(OnDevice(out), (3, 3), np.float64, X, None)


def test_what_is_wrong_with_out_is_named():
    X = matrix()
    readonly = np.empty((3, 3))
    readonly.flags.writeable = False
    wrong = [
        (np.empty((3, 3)), TypeError, "out must be on the GPU.*ndarray"),
        (OnDevice(np.empty((3, 2))), ValueError, r"shape \(3, 3\).*got \(3, 2\)"),
        (OnDevice(np.empty((3, 3), dtype=np.float32)), ValueError, "dtype float64.*float32"),
        (OnDevice(readonly), ValueError, "read-only"),
    ]
    for out, kind, words in wrong:
        with pytest.raises(kind, match=words):
            check_device_out(out, (3, 3), X)


def test_out_must_not_overlap_an_input():
    memory = np.ones((6, 3))
    X, Y = OnDevice(memory[:3]), OnDevice(np.ones((3, 3)))
    check_device_out(OnDevice(memory[3:]), (3, 3), X, Y)
    check_device_out(OnDevice(memory[3:][::-1]), (3, 3), X, None)
    for view in (memory[:3], memory[2:5], memory[:3][::-1], memory[:3].T):
        with pytest.raises(ValueError, match="must not share memory"):
            check_device_out(OnDevice(view), (3, 3), Y, X)
