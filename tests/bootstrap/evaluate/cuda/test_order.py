"""Order statistics are found in whichever window they are."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb import bootstrap
from fastkb.runtime import cuda as runtime

try:
    from fastkb.bootstrap.evaluate.cuda import order
    from fastkb.bootstrap.evaluate.cuda import statistic as device
    from fastkb.bootstrap.evaluate.cuda.plan import Sizes, all_sizes
except runtime.CudaUnavailableError as error:
    pytest.skip(str(error), allow_module_level=True)

HAS_DEVICE = runtime.state() == "simulated" or runtime.state().startswith("available")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not HAS_DEVICE, reason="no CUDA device, and not the simulator"),
]


@settings(max_examples=15)
@given(
    n=st.integers(2, 20),
    level=st.floats(0, 1),
    window=st.integers(1, 6),
    low=st.integers(0, 19),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_window_finds_the_same(n, level, window, low, seed):
    # Windows that begin anywhere and are too narrow: the search moves down or up.
    first = min(low, max(0, n - window))
    x = np.random.default_rng(seed).integers(0, 9, n).astype(float)
    statistic = functools.partial(np.quantile, q=level)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "sizes_for", lambda draws: Sizes(4, window))
        patch.setattr(device, "window_of", lambda *_: (first, min(window, n)))
        found = bootstrap((x,), statistic, n_resamples=2, rng=seed, method="basic", device="cuda")
    rows = np.random.default_rng(seed).integers(0, n, (2, n))
    assert found.bootstrap_distribution.tolist() == np.quantile(x[rows], level, axis=1).tolist()


def test_every_kernel_that_is_launched_is_listed():
    listed = order.kernels()
    assert len({name for name, _, _ in listed}) == len(listed) == 2 * 5 * len(all_sizes())
