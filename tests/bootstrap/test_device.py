"""Intervals from resamples of a device are those of the CPU: in the simulator, with small blocks."""

import sys

import numpy as np
import pytest

from fastkb import bootstrap, schemes
from fastkb.runtime import cuda as runtime

try:
    from fastkb.bootstrap.evaluate.cuda import statistic as device
    from fastkb.bootstrap.evaluate.cuda.plan import Sizes
except runtime.CudaUnavailableError as error:
    pytest.skip(str(error), allow_module_level=True)

HAS_DEVICE = runtime.state() == "simulated" or runtime.state().startswith("available")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not HAS_DEVICE, reason="no CUDA device, and not the simulator"),
]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """And quick barriers: the simulator's threads poll each other there."""
    monkeypatch.setattr(device, "sizes_for", lambda draws: Sizes(4, 8))
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def both(x, statistic, seed, **options):
    """What `bootstrap` gives on a device, and on the CPU."""
    options = {"n_resamples": 4, "method": "percentile", **options}
    return [
        bootstrap((x,), statistic, rng=seed, device=where, **options) for where in ("cuda", "cpu")
    ]


@pytest.mark.parametrize("method", ["percentile", "basic", "BCa", "cheap"])
def test_methods(method):
    x = np.random.default_rng(0).integers(-50, 50, 17).astype(float)
    for scheme in (None, schemes.MovingBlocks(3)):
        found, expected = both(x, np.mean, 3, n_resamples=12, method=method, scheme=scheme)
        ours, theirs = found.confidence_interval, expected.confidence_interval
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)


def test_a_result_is_extended():
    x = np.random.default_rng(0).normal(size=15)
    first = bootstrap((x,), np.median, n_resamples=4, rng=0, device="cuda")
    found, expected = both(x, np.median, 1, bootstrap_result=first, method="BCa")
    assert found.bootstrap_distribution.tolist() == expected.bootstrap_distribution.tolist()
    assert found.bootstrap_distribution.shape == (8,)


def test_data_of_the_device():
    x = np.random.default_rng(0).normal(size=15).astype(np.float32)
    there = runtime.load().to_device(x)
    found = bootstrap((there,), np.median, n_resamples=4, rng=0, method="basic")
    expected = bootstrap((x,), np.median, n_resamples=4, rng=0, method="basic")
    assert found.bootstrap_distribution.tolist() == expected.bootstrap_distribution.tolist()
    assert isinstance(found.bootstrap_distribution, np.ndarray)


def test_progress_counts_resamples(monkeypatch):
    monkeypatch.setattr(device, "_AT_A_TIME", 20)
    told = []
    x = np.arange(9.0)
    bootstrap(
        (x,), np.max, n_resamples=5, rng=0, method="basic", device="cuda",
        progress=lambda what, done, total: told.append((what, done, total)),
    )  # fmt: skip
    assert told[-1] == ("resamples", 5, 5)
