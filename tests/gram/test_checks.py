"""Matrices that go together, and where a result may be written."""

import numpy as np

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
