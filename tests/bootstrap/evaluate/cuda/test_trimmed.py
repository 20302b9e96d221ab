"""Trimmed means of rows are those of the CPU."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fastkb import bootstrap, schemes
from fastkb.runtime import cuda as runtime

try:
    from fastkb.bootstrap.evaluate.cuda import statistic as device
    from fastkb.bootstrap.evaluate.cuda import trimmed
    from fastkb.bootstrap.evaluate.cuda.plan import Sizes, all_sizes
except runtime.CudaUnavailableError as error:
    pytest.skip(str(error), allow_module_level=True)

HAS_DEVICE = runtime.state() == "simulated" or runtime.state().startswith("available")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not HAS_DEVICE, reason="no CUDA device, and not the simulator"),
]


def both(x, share, **options):
    statistic = functools.partial(stats.trim_mean, proportiontocut=share)
    return [
        bootstrap((x,), statistic, n_resamples=3, rng=0, method="basic", device=where, **options)
        for where in ("cuda", "cpu")
    ]


@settings(max_examples=12)
@given(n=st.integers(2, 25), share=st.floats(0, 0.49), seed=st.integers(0, 2**32 - 1))
def test_whole_numbers_are_the_same_to_the_bit(n, share, seed):
    # Few different ones: values at the ends are trimmed in part.
    x = np.random.default_rng(seed).integers(-4, 5, n).astype(float)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "sizes_for", lambda draws: Sizes(4, 6))
        found, expected = both(x, share)
    assert found.bootstrap_distribution.tolist() == expected.bootstrap_distribution.tolist()
    assert found.observed == expected.observed


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("scheme", [None, schemes.MovingBlocks(4)], ids=repr)
def test_agrees_with_the_cpu(kind, scheme, monkeypatch):
    monkeypatch.setattr(device, "sizes_for", lambda draws: Sizes(4, 6))
    x = (3 + np.random.default_rng(0).standard_cauchy(size=(2, 23))).astype(kind)
    found, expected = both(x, 0.2, axis=1, scheme=scheme)
    assert found.bootstrap_distribution.dtype == kind
    np.testing.assert_allclose(
        found.bootstrap_distribution, expected.bootstrap_distribution, rtol=20 * np.finfo(kind).eps
    )


def test_every_kernel_that_is_launched_is_listed():
    listed = trimmed.kernels()
    assert len({name for name, _, _ in listed}) == len(listed) == 2 * 6 * len(all_sizes())
