"""Weights of observations."""

import numpy as np
import pytest

from fastkb.checks import weights as validation


def test_weights_become_a_vector():
    assert validation.check_sample_weight(None, 4) is None
    np.testing.assert_array_equal(validation.check_sample_weight(2, 3), [2.0, 2.0, 2.0])
    np.testing.assert_array_equal(validation.check_sample_weight([0, 1, 2], 3), [0.0, 1.0, 2.0])


@pytest.mark.parametrize(
    ("weight", "error", "words"),
    [
        ([1.0, 2.0], ValueError, r"sample_weight has shape \(2,\).*n_samples=3"),
        (np.ones((3, 1)), ValueError, r"sample_weight has shape \(3, 1\)"),
        ([1.0, -1.0, 2.0], ValueError, "at least 0, got -1 for sample 1"),
        ([1.0, np.nan, 2.0], ValueError, "sample_weight contains NaN or infinity"),
        ([1.0, np.inf, 2.0], ValueError, "sample_weight contains NaN or infinity"),
        ([0.0, 1.0, 0.0], ValueError, "zero for all but 1 of 3 samples: at least 2"),
        (["a", "b", "c"], TypeError, "sample_weight must be (real )?numbers"),
    ],
)
def test_bad_weights_are_named(weight, error, words):
    with pytest.raises(error, match=words):
        validation.check_sample_weight(weight, 3, minimum=2)
