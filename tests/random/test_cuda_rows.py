"""Rows that NumPy would draw end where it would leave its generator: in the simulator."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.random.numpy_indices import index_stream
from fastkb.runtime import cuda as runtime

try:
    from fastkb.random import cuda as device
    from fastkb.random import cuda_rows
except runtime.CudaUnavailableError as error:
    pytest.skip(str(error), allow_module_level=True)

HAS_DEVICE = runtime.state() == "simulated" or runtime.state().startswith("available")
needs_device = pytest.mark.skipif(not HAS_DEVICE, reason="no CUDA device, and not the simulator")

MANY = 3 * 2**29 + 1  # a quarter of all numbers is rejected


def generators(kind, seed, used, half):
    rng = np.random.Generator(kind(seed))
    rng.random(used)
    if half:
        rng.integers(0, 5, 1, dtype=np.uint32)  # a half is kept, of a word that is not the last
        rng.random(half - 1)
    return rng


any_generator = st.builds(
    generators,
    st.sampled_from([np.random.PCG64, np.random.Philox]),
    st.integers(0, 2**32 - 1),
    st.integers(0, 5),
    st.integers(0, 2),
)
bounds = st.one_of(st.integers(2, 2**31 - 1), st.sampled_from([2, 2**30, MANY, 2**31 - 1]))


@pytest.mark.gpu
@needs_device
@settings(max_examples=15)
@given(
    rng=any_generator,
    bound=bounds,
    rows=st.integers(1, 9),
    each=st.integers(1, 30),
    segment=st.sampled_from([8, 32]),
)
def test_where_rows_end(rng, bound, rows, each, segment):
    ours = index_stream(rng)
    stream = device.numpy_stream(ours.origin())
    how = device.numbers_of(stream, bound)
    table = runtime.load().to_device(stream.table)
    ends = cuda_rows.row_ends(stream, table, how, stream.begin, (rows, each), segment)
    # What NumPy has used after each row tells where it ended.
    for end in ends:
        rng.integers(0, bound, each)
        copy = ours.copy()
        copy.pass_over(int(end) - stream.begin)
        assert_same_state(copy, rng)
    # The second half of the rows begins where the first has ended.
    first = rows // 2
    if first:
        begin = int(ends[first - 1])
        again = cuda_rows.row_ends(stream, table, how, begin, (rows - first, each), segment)
        assert again.tolist() == ends[first:].tolist()


def assert_same_state(stream, rng):
    """The stream would leave a generator where `rng` is: both have the same numbers before them."""
    copy, ours = (np.random.Generator(type(rng.bit_generator)()) for _ in range(2))
    copy.bit_generator.state = rng.bit_generator.state
    stream.commit(ours)
    for one in (lambda g: g.integers(0, 2**32, 3, dtype=np.uint32), lambda g: g.random(5)):
        assert one(ours).tolist() == one(copy).tolist()


@pytest.mark.gpu
@needs_device
def test_more_is_counted_where_more_is_rejected_than_expected(monkeypatch):
    rng = np.random.default_rng(0)
    stream = device.numpy_stream(index_stream(rng).origin())
    table = runtime.load().to_device(stream.table)
    how = device.numbers_of(stream, MANY)
    expected = cuda_rows.row_ends(stream, table, how, stream.begin, (20, 5), 8)
    launched = []
    launch = runtime.launch
    monkeypatch.setattr(runtime, "launch", lambda *a: (launched.append(a[0]), launch(*a)))
    monkeypatch.setattr(cuda_rows.math, "ceil", lambda x: 40)
    found = cuda_rows.row_ends(stream, table, how, stream.begin, (20, 5), 8)
    assert found.tolist() == expected.tolist()
    assert len(launched) > 2  # counted at least twice
