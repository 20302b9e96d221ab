"""Sums of rows are right to twice the digits of their type, in whatever order they are formed."""

import math

import numpy as np
import pytest

from fastkb import bootstrap
from fastkb.runtime import cuda as runtime

try:
    from fastkb.bootstrap.evaluate.cuda import statistic as device
    from fastkb.bootstrap.evaluate.cuda import sums
    from fastkb.bootstrap.evaluate.cuda.plan import Sizes, all_sizes
except runtime.CudaUnavailableError as error:
    pytest.skip(str(error), allow_module_level=True)

HAS_DEVICE = runtime.state() == "simulated" or runtime.state().startswith("available")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not HAS_DEVICE, reason="no CUDA device, and not the simulator"),
]


def rounded_sums(x, count):
    rows = np.random.default_rng(0).integers(0, len(x), (count, len(x)))
    return np.array([math.fsum(x[row].astype(float)) for row in rows])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("threads", [2, 8])
def test_large_and_small_terms(kind, threads, monkeypatch):
    monkeypatch.setattr(device, "sizes_for", lambda draws: Sizes(threads, 8))
    x = np.random.default_rng(3).normal(size=21)
    x = (x * 10.0 ** np.random.default_rng(4).integers(-4, 5, 21)).astype(kind)
    found = bootstrap((x,), np.sum, n_resamples=4, rng=0, method="percentile", device="cuda")
    assert found.bootstrap_distribution.tolist() == rounded_sums(x, 4).astype(kind).tolist()


@pytest.mark.filterwarnings("ignore")
def test_sums_that_overflow_are_infinite(monkeypatch):
    monkeypatch.setattr(device, "sizes_for", lambda draws: Sizes(2, 8))
    x = np.full(9, 1e308)
    for statistic in (np.sum, np.mean):
        found = bootstrap((x,), statistic, n_resamples=2, rng=0, method="percentile", device="cuda")
        assert found.bootstrap_distribution.tolist() == [math.inf, math.inf]


def test_every_kernel_that_is_launched_is_listed():
    listed = sums.kernels()
    assert len({name for name, _, _ in listed}) == len(listed) == 2 * 6 * len(all_sizes())
