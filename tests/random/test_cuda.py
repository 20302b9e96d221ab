"""Indices on a device are those of the CPU to the bit: in the simulator, and compiled.

The kernels that draw stand in other rooms; here one writes down what each place of a sequence gives.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.random.numpy_indices import index_stream
from fastkb.random.streams import LANES, key_from_rng
from fastkb.reference import streams as reference
from fastkb.runtime import cuda as runtime

try:
    from fastkb.random import cuda as device
except runtime.CudaUnavailableError as error:
    pytest.skip(str(error), allow_module_level=True)

cuda = runtime.module()
HAS_DEVICE = runtime.state() == "simulated" or runtime.state().startswith("available")
needs_device = pytest.mark.skipif(not HAS_DEVICE, reason="no CUDA device, and not the simulator")

MANY = 3 * 2**29 + 1  # a quarter of all numbers is rejected
THREADS = 4


def places(stream, bound, count, replicate=0):
    """Indices of the first `count` places, drawn by four threads in turn, and which are accepted."""
    seek, stride, draw, accept = device.draws(stream.source)
    EACH = device.UNIT[stream.source]

    def write(table, how, replicate, found, good):
        numbers = cuda.local.array(EACH, np.uint32)
        unit = cuda.threadIdx.x
        cursor = seek(table, replicate, unit)
        hop = stride(table, 2)
        while unit * EACH < found.size:
            cursor = draw(table, replicate, cursor, hop, numbers)
            for i in range(EACH):
                place = unit * EACH + i
                if place < found.size:
                    found[place], good[place] = accept(numbers[i], place, how)
            unit += THREADS

    there = runtime.load()
    found, good = there.device_array(count, np.uint32), there.device_array(count, np.bool_)
    how = device.numbers_of(stream, bound)
    kernel = runtime.kernel(write, THREADS, 1)
    runtime.launch(
        kernel, 1, THREADS, 0, there.to_device(stream.table), how, replicate, found, good
    )
    return found.copy_to_host(), good.copy_to_host()


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
@settings(max_examples=25)
@given(rng=any_generator, bound=bounds)
def test_numpys_indices(rng, bound):
    stream = device.numpy_stream(index_stream(rng).origin())
    found, good = places(stream, bound, 60)
    drawn = found[stream.begin :][good[stream.begin :]]
    assert len(drawn) > 10
    assert drawn.tolist() == rng.integers(0, bound, len(drawn)).tolist()


@pytest.mark.gpu
@needs_device
@pytest.mark.parametrize("bound", [7, 1000, MANY])
def test_our_own_indices(bound):
    key = key_from_rng(3)
    stream = device.own_stream(key)
    for replicate in (0, 1, 2**32 - 1):
        found, good = places(stream, bound, 4 * LANES, replicate)
        words = reference.words(key, replicate, 4 * LANES).astype(np.uint64)
        products = words * np.uint64(bound)
        assert (found == products >> np.uint64(32)).all()
        assert (good == (products % np.uint64(2**32) >= 2**32 % bound)).all()


@pytest.mark.gpu
@needs_device
def test_every_index_once():
    found, good = places(device.every(), 9, 9)
    assert found.tolist() == list(range(9))
    assert good.all()


@pytest.mark.gpu
@needs_device
def test_indices_that_are_there():
    indices = np.random.default_rng(0).integers(0, 2**31, (3, 7), dtype=np.uint32)
    found, good = places(device.given(indices), 2**31 - 1, 21)
    assert found.tolist() == indices.ravel().tolist()
    assert good.all()
