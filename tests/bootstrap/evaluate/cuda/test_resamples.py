"""Rows begin where those before them end, in however many launches they are drawn."""

import numpy as np
import pytest

from fastkb.random.numpy_indices import index_stream
from fastkb.random.streams import key_from_rng
from fastkb.runtime import cuda as runtime

try:
    from fastkb.bootstrap.evaluate.cuda import resamples
    from fastkb.bootstrap.evaluate.cuda.plan import all_rows
    from fastkb.random.cuda import Source
except runtime.CudaUnavailableError as error:
    pytest.skip(str(error), allow_module_level=True)

HAS_DEVICE = runtime.state() == "simulated" or runtime.state().startswith("available")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not HAS_DEVICE, reason="no CUDA device, and not the simulator"),
]


@pytest.mark.parametrize("together", [1, 3, 7])
def test_launches_follow_each_other(together):
    rng = np.random.default_rng(0)
    rows = all_rows(3 * 2**29 + 1)._replace(draws=5, size=5)
    launched = list(resamples.drawn_by_numpy(rng, rows, 7, together))
    begins = np.concatenate([one.begins for one in launched])
    assert [one.first for one in launched] == list(range(0, 7, together))
    twin = np.random.default_rng(0)
    stream = index_stream(twin)
    for begin in begins:
        passed = stream.copy()
        passed.pass_over(int(begin) - launched[0].stream.begin)
        reached = np.random.default_rng()
        passed.commit(reached)
        assert reached.integers(0, 2**31, 3).tolist() == _copy(twin).integers(0, 2**31, 3).tolist()
        twin.integers(0, rows.bound, 5)
    assert rng.integers(0, 9, 5).tolist() == twin.integers(0, 9, 5).tolist()


def _copy(rng):
    copy = np.random.default_rng()
    copy.bit_generator.state = rng.bit_generator.state
    return copy


def test_our_own_streams_begin_anew_for_each_replicate():
    launched = list(resamples.drawn_by_key(3, all_rows(9), 5, 2))
    assert [one.first for one in launched] == [0, 2, 4]
    assert [one.begins.tolist() for one in launched] == [[0, 0], [0, 0], [0]]
    assert launched[0].stream.table.ravel().tolist() == key_from_rng(3).tolist()
    assert resamples.every_observation(9).stream.source == Source.EVERY
