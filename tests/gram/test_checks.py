"""Matrices that go together, where a result may be written, and which kernels estimators take."""

import numpy as np
import pytest

from fastkb.gram import checks
from fastkb.gram.checks import check_matrices, check_out


def test_out_may_be_large_and_strided():
    X = np.ones((3, 2))
    check_out(np.empty((3, 6))[:, ::2], (3, 3), X.dtype, X, None)


def test_good_arrays_are_passed_on_untouched():
    X = np.ones((3, 2))
    assert check_matrices(X)[0] is X
    assert check_matrices(X, X)[1] is None
    Y = np.ones((4, 2))[::2]
    assert check_matrices(X, Y)[1] is Y


def check_kernel(**changes):
    good = {"kernel": "rbf", "gamma": None, "degree": 3, "coef0": 1, "kernel_params": None}
    checks.check_kernel(**{**good, **changes})


class KernelObject:
    _is_fastkb_kernel = True


@pytest.mark.parametrize("name", checks.KERNEL_NAMES)
def test_every_name_of_the_peer_is_accepted(name):
    check_kernel(kernel=name)


def test_the_peer_has_no_name_that_is_missing_here():
    from sklearn.metrics.pairwise import PAIRWISE_KERNEL_FUNCTIONS

    assert {*PAIRWISE_KERNEL_FUNCTIONS, "precomputed"} == set(checks.KERNEL_NAMES)


@pytest.mark.parametrize(
    "changes",
    [
        {"kernel": lambda x, y: 1.0, "kernel_params": {"a": 1}},
        {"kernel": KernelObject()},
        {"gamma": 0},
        {"gamma": np.float32(0.5)},
        {"degree": 0.5},
        {"degree": 0},
        {"coef0": -2.5},
        {"kernel_params": {}},
    ],
)
def test_good_parameters_pass(changes):
    check_kernel(**changes)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"kernel": "rbff"}, ValueError, "kernel must be one of .*got 'rbff'; did you mean 'rbf'"),
        ({"kernel": "zzz"}, ValueError, "kernel must be one of additive_chi2.* got 'zzz'"),
        ({"kernel": 3}, TypeError, "kernel must be a name, a callable.*got 3"),
        ({"kernel": None}, TypeError, "kernel must be .*got None"),
        ({"kernel": KernelObject}, TypeError, "an instance"),
        ({"gamma": -1.0}, ValueError, "gamma must be .*at least 0, got -1.0; None is"),
        ({"gamma": "scale"}, TypeError, "gamma must be .*got 'scale'"),
        ({"gamma": np.array([1.0, 2.0])}, TypeError, "gamma must be a finite real number"),
        ({"gamma": np.nan}, ValueError, "gamma must be a finite .*got nan"),
        ({"degree": -1}, ValueError, "degree must be .*at least 0, got -1"),
        ({"degree": None}, TypeError, "degree must be .*got None"),
        ({"coef0": np.inf}, ValueError, "coef0 must be a finite real number, got inf"),
        ({"coef0": 1j}, TypeError, "coef0 must be a finite real number, got 1j"),
        ({"kernel_params": [1]}, TypeError, r"kernel_params must be a dict or None, got \[1\]"),
        ({"kernel": KernelObject(), "kernel_params": {"a": 1}}, ValueError, "expected None"),
    ],
)
def test_bad_parameters_are_named(changes, error, words):
    with pytest.raises(error, match=words):
        check_kernel(**changes)


def test_a_kernel_object_is_an_instance():
    assert checks.is_kernel_object(KernelObject())
    assert not checks.is_kernel_object(KernelObject)
    assert not checks.is_kernel_object("rbf")
