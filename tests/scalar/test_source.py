"""One source, other meanings."""

import math

from fastkb.scalar import kernels
from fastkb.scalar.source import rebind


def test_rebind_changes_the_names_and_nothing_else():
    calls = []

    def counted(x):
        calls.append(x)
        return math.exp(x)

    other = rebind(kernels.exponential, exp_nonpositive=counted)
    assert other(1.5, 2.0) == kernels.exponential(1.5, 2.0) == math.exp(-3.0)
    assert calls == [-3.0]
    assert other.__name__ == "exponential"
    assert other.__doc__ == kernels.exponential.__doc__
    assert other.__code__ is kernels.exponential.__code__
