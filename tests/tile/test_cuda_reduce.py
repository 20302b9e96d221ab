"""Products of kernels and coefficients on CUDA: in the simulator or on a device, and compiled.

tests/tile/test_cuda.py starts those marked gpu in the simulator.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.runtime import cuda as runtime
from fastkb.scalar.kernels import KERNELS, WEIGHTED, find
from fastkb.tile.blocking import CudaBlocking, cuda_blocking
from fastkb.tile.cuda_layout import SHARED_BYTES, layout
from fastkb.tile.sinks import Into, Sink

try:
    from fastkb.tile import cuda as tile
    from fastkb.tile import cuda_reduce
except runtime.CudaUnavailableError as error:
    pytest.skip(str(error), allow_module_level=True)

HAS_DEVICE = runtime.state() == "simulated" or runtime.state().startswith("available")
SMALL = CudaBlocking(tile=16, side=4, kc=4, blocks=1)  # many tiles of few rows
FEW = cuda_reduce.COLUMNS[-1]

needs_device = pytest.mark.skipif(not HAS_DEVICE, reason="no CUDA device, and not the simulator")
each_type = pytest.mark.parametrize("kind", [np.float32, np.float64], ids=["float32", "float64"])


def on_device(array):
    return runtime.load().to_device(array)


def numbers(kind, *shape, seed=0):
    return np.random.default_rng(seed).random(shape).astype(kind)


def coefficients_of(kind, targets, m):
    return (numbers(kind, targets, m, seed=2) - kind(0.5)).astype(kind)


def parameters_of(name, d):
    return 1 / d, 0.5, {"polynomial": 5.0, "polynomial_real": 2.5}.get(name, 1.0)


@pytest.fixture
def small(monkeypatch):
    """Blocks of few threads where columns are few, too: edges are near, and the simulator quick."""
    monkeypatch.setattr(cuda_reduce, "THREADS", 8)
    monkeypatch.setattr(cuda_reduce, "GROUP", 16)
    cuda_reduce.rows_kernel.cache_clear()
    yield
    cuda_reduce.rows_kernel.cache_clear()


def product(name, X, Y, C, sizes=None, **others):
    out = on_device(np.full((len(X), len(C)), np.nan, X.dtype))
    p = parameters_of(name, X.shape[1])
    into = Into(out)
    arrays = on_device(X), on_device(Y), on_device(C)
    assert cuda_reduce.reduce(find(name), p, *arrays, into, sizes=sizes, **others) is out
    return out.copy_to_host()


def check(name, X, Y, C, found, weights=None):
    """Against the Gram matrix of the same formulas, whose values are summed with as many roundings."""
    p = parameters_of(name, X.shape[1])
    into = Into(on_device(np.empty((len(X), len(Y)), X.dtype)))
    K = tile.gram(find(name), p, on_device(X), on_device(Y), into, weights=weights, sizes=SMALL)
    K = K.copy_to_host().astype(float)
    size = np.abs(K) @ np.abs(C.T.astype(float))
    bound = (len(Y) + 8) * np.finfo(X.dtype).eps * size
    assert found.dtype == X.dtype
    assert (np.abs(found - K @ C.T.astype(float)) <= bound).all()


# --- on a device or in the simulator --------------------------------------------------------------


@pytest.mark.gpu
@needs_device
@each_type
@pytest.mark.parametrize("name", [row.name for row in KERNELS])
def test_every_kernel_in_both_ways(name, kind, small):
    X, Y, C = numbers(kind, 9, 3), numbers(kind, 11, 3, seed=1), coefficients_of(kind, 2, 11)
    few, many = product(name, X, Y, C), product(name, X, Y, C, SMALL)
    check(name, X, Y, C, few)
    tolerance = 30 * np.finfo(kind).eps * np.abs(few).max()
    np.testing.assert_allclose(many, few, rtol=0, atol=tolerance)


@pytest.mark.gpu
@needs_device
@each_type
@pytest.mark.parametrize("name", ["rbf", "laplacian", "matern32"])
def test_differences_with_weights(name, kind, small):
    X, Y, C = numbers(kind, 9, 6), numbers(kind, 17, 6, seed=1), coefficients_of(kind, 1, 17)
    weights = np.array([0.5, 2.0, 1.0, 0.25, 3.0, 0.0])
    for sizes in (None, SMALL):
        check(name, X, Y, C, product(name, X, Y, C, sizes, weights=weights), weights)


# Around blocks of 16 rows, tiles of 8 rows of Y and groups of 16; and tiles of 16 x 16.
edges = st.sampled_from([1, 2, 7, 8, 9, 15, 16, 17, 31, 33])


@pytest.mark.gpu
@needs_device
@settings(max_examples=12, deadline=None)
@given(
    n=edges,
    m=edges | st.just(49),
    d=st.integers(1, FEW + 3),
    targets=st.integers(1, 6),
    kind=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape(n, m, d, targets, kind, seed):
    X, Y = numbers(kind, n, d, seed=seed), numbers(kind, m, d, seed=seed + 1)
    C = coefficients_of(kind, targets, m)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda_reduce, "THREADS", 8)
        patch.setattr(cuda_reduce, "GROUP", 16)
        cuda_reduce.rows_kernel.cache_clear()
        found = product("rbf", X, Y, C, None if d <= FEW else SMALL)
        check("rbf", X, Y, C, found)
        cuda_reduce.rows_kernel.cache_clear()


@pytest.mark.gpu
@needs_device
@each_type
def test_the_sizes_of_the_table(kind):
    side = cuda_blocking(np.dtype(kind).name).tile
    for n, m, d in ((cuda_reduce.THREADS + 1, 9, 3), (side - 1, side - 2, FEW + 1)):
        X, Y, C = numbers(kind, n, d), numbers(kind, m, d, seed=1), coefficients_of(kind, 1, m)
        check("rbf", X, Y, C, product("rbf", X, Y, C))


@pytest.mark.gpu
@needs_device
@each_type
@pytest.mark.parametrize("sizes", [None, SMALL], ids=["few columns", "many"])
def test_a_row_depends_on_no_other_row_of_x(kind, sizes, small, monkeypatch):
    X, Y, C = numbers(kind, 18, 3), numbers(kind, 34, 3, seed=1), coefficients_of(kind, 2, 34)
    whole = product("rbf", X, Y, C, sizes)
    np.testing.assert_array_equal(product("rbf", X, Y, C, sizes), whole)
    for begin, stop in ((0, 1), (3, 18)):
        np.testing.assert_array_equal(product("rbf", X[begin:stop], Y, C, sizes), whole[begin:stop])
    monkeypatch.setattr(cuda_reduce, "PARTIAL", 1)  # a row of blocks at a time
    np.testing.assert_array_equal(product("rbf", X, Y, C, sizes), whole)


@pytest.mark.gpu
@needs_device
@each_type
def test_targets_at_once_are_those_alone(kind, small):
    X, Y, C = numbers(kind, 5, 2), numbers(kind, 20, 2, seed=1), coefficients_of(kind, 6, 20)
    for sizes in (None, SMALL):
        together = product("matern52", X, Y, C, sizes)
        for k in range(6):
            alone = product("matern52", X, Y, C[k : k + 1], sizes)
            np.testing.assert_array_equal(together[:, k : k + 1], alone)


@pytest.mark.gpu
@needs_device
@each_type
@pytest.mark.parametrize("sizes", [None, SMALL], ids=["few columns", "many"])
def test_stored_and_added_with_a_factor(kind, sizes, small):
    X, Y, C = numbers(kind, 9, 3), numbers(kind, 18, 3, seed=1), coefficients_of(kind, 2, 18)
    p, before = parameters_of("rbf", 3), numbers(kind, 9, 2, seed=3)
    plain = product("rbf", X, Y, C, sizes)
    for sink, expected in (
        (Sink.STORE, kind(2.5) * plain),
        (Sink.ADD, kind(2.5) * plain + before),
    ):
        out = on_device(before)
        into = Into(out, sink, 2.5)
        arrays = on_device(X), on_device(Y), on_device(C)
        cuda_reduce.reduce(find("rbf"), p, *arrays, into, sizes=sizes)
        np.testing.assert_array_equal(out.copy_to_host(), expected)


@pytest.mark.gpu
@needs_device
@pytest.mark.parametrize("order", ["F", "strided"])
@pytest.mark.parametrize("sizes", [None, SMALL], ids=["few columns", "many"])
def test_layouts(order, sizes, small):
    def laid_out(array):
        if order == "F":
            return on_device(np.asfortranarray(array))
        wide = np.full((2 * array.shape[0], 2 * array.shape[1]), np.nan)
        wide[::2, ::2] = array
        return on_device(wide)[::2, ::2]

    X, Y, C = (
        numbers(np.float64, *shape, seed=i) for i, shape in enumerate([(10, 3), (9, 3), (2, 9)])
    )
    out = laid_out(np.zeros((10, 2)))
    p = parameters_of("laplacian", 3)
    arrays = laid_out(X), laid_out(Y), laid_out(C)
    cuda_reduce.reduce(find("laplacian"), p, *arrays, Into(out), sizes=sizes)
    expected = product("laplacian", X, Y, C, sizes)
    np.testing.assert_array_equal(np.array(out.copy_to_host()), expected)


@pytest.mark.gpu
@needs_device
@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("sizes", [None, SMALL], ids=["few columns", "many"])
def test_nothing_beyond_the_edges_is_added(sizes, small):
    """Of rows that are not there a value may be infinite, which no coefficient of zero makes harmless."""
    X, Y = np.full((3, 2), 1e200), np.full((5, 2), 1e-200)
    C = np.ones((1, 5))
    found = product("sqeuclidean", 1e-150 * X, Y, C, sizes)
    np.testing.assert_allclose(found, 5 * 2 * 1e100, rtol=1e-12)
    assert (product("sqeuclidean", X, X, C[:, :3], sizes) == 0).all()
    assert np.isinf(product("sqeuclidean", X, Y, C, sizes)).all()


def test_groups_cover_the_rows():
    for m in (1, 511, 512, 513, 16384, 16385, 10**6 + 1):
        groups, rows = cuda_reduce.groups_of(m)
        assert groups <= cuda_reduce.GROUPS
        assert (groups - 1) * rows < m <= groups * rows
        assert rows % cuda_reduce.THREADS == 0


def test_rows_in_shared_memory_are_whole_loads():
    assert [cuda_reduce.stride_of(k, np.float32) for k in (2, 3, 4, 5, 8, 9, 12)] == [
        2, 4, 4, 8, 8, 12, 12,
    ]  # fmt: skip
    assert [cuda_reduce.stride_of(k, np.float64) for k in (2, 3, 4, 5, 12)] == [2, 4, 4, 6, 12]


# --- races ----------------------------------------------------------------------------------------


def races(watch, kind, shape, sizes, without=None):
    n, m, d = shape
    X, Y, C = numbers(kind, n, d), numbers(kind, m, d, seed=1), coefficients_of(kind, 2, m)
    found, counted = watch(lambda: product("rbf", X, Y, C, sizes), without)
    if without is None:
        exact = np.exp(-((X[:, None].astype(float) - Y) ** 2).mean(axis=2)) @ C.T
        np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-5)
    return counted


@pytest.mark.gpu
@needs_device
@each_type
def test_no_two_threads_meet_in_shared_memory(kind, small, watch):
    assert races(watch, kind, (17, 30, 3), None) == [0] * 4  # two groups, of two tiles each
    assert races(watch, kind, (17, 30, 11), SMALL) == [0] * 4
    wide = CudaBlocking(tile=32, side=8, kc=8, blocks=1)
    assert races(watch, kind, (31, 30, 9), wide) == [0]


@pytest.mark.gpu
@needs_device
@each_type
def test_every_barrier_is_needed(kind, small, watch):
    # One group of two tiles of Y: before each and after it; the first finds the memory unused.
    found = [max(races(watch, kind, (9, 16, 3), None, without)) for without in range(4)]
    assert [count > 0 for count in found] == [False, True, True, True]
    # Two slabs, then the strips of a tile, a row of which two threads share.
    sizes = SMALL if kind is np.float64 else CudaBlocking(tile=32, side=8, kc=4, blocks=1)
    plan = layout(sizes, np.dtype(kind))
    assert plan.side**2 // plan.span == 2
    for without in range(1 + 2 + 3 * plan.tile // plan.span):
        assert max(races(watch, kind, (sizes.tile, sizes.tile, 8), sizes, without)) > 0


# --- what the kernels need ------------------------------------------------------------------------


@each_type
def test_shared_memory_is_enough(kind):
    sizes, item = cuda_blocking(np.dtype(kind).name), np.dtype(kind).itemsize
    most = cuda_reduce.shared_by_tiles(layout(sizes, np.dtype(kind)), cuda_reduce.TARGETS[-1])
    assert most * item <= SHARED_BYTES
    widest = cuda_reduce.stride_of(FEW + cuda_reduce.TARGETS[-1], kind)
    assert widest * cuda_reduce.THREADS * item <= SHARED_BYTES


def test_every_form_has_a_row_with_weights_or_none():
    assert {WEIGHTED.get(row.form, row.form) for row in KERNELS} | {
        row.form for row in KERNELS
    } == set(tile._FORMS)
