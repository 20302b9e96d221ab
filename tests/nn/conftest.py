"""What the tests of this folder share."""

import numpy as np
import pytest


def _assert_same(first, second):
    """The same parameters and history to the last bit."""
    one, other = first.state_dict(), second.state_dict()
    assert list(one) == list(other)
    for name in one:
        assert one[name].dtype == other[name].dtype
        np.testing.assert_array_equal(one[name], other[name])
    assert first.history == second.history


@pytest.fixture(scope="session")
def assert_same():
    """A function that compares two networks to the last bit."""
    return _assert_same
