"""Checks of the Gram functions' arguments."""

import numpy as np
import pytest

from fastkb.validation.gram import check_count, check_matrices, check_out, check_parameter


def test_good_arrays_are_passed_on_untouched():
    X = np.ones((3, 2))
    assert check_matrices(X)[0] is X
    assert check_matrices(X, X)[1] is None
    Y = np.ones((4, 2))[::2]
    assert check_matrices(X, Y)[1] is Y


def test_parameters():
    assert check_parameter("gamma", np.float32(0.5)) == 0.5
    assert check_parameter("gamma", 2, minimum=2) == 2.0
    with pytest.raises(ValueError, match="gamma must be finite and > 2; got 2"):
        check_parameter("gamma", 2, minimum=2, strict=True)
    with pytest.raises(TypeError, match="gamma must be a real number; got None"):
        check_parameter("gamma", None)


def test_counts():
    assert check_count("degree", np.int64(3)) == 3
    for bad in (True, 1.0, -1, "1"):
        with pytest.raises(ValueError, match="degree must be a whole number >= 0"):
            check_count("degree", bad)


def test_out_may_be_large_and_strided():
    X = np.ones((3, 2))
    check_out(np.empty((3, 6))[:, ::2], (3, 3), X.dtype, X, None)
