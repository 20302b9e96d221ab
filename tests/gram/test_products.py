"""Products with a Gram matrix that is never stored, against those with the matrix."""

from dataclasses import dataclass

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastkb
from fastkb import kernels
from fastkb.gram import drive, products
from fastkb.gram.products import product
from fastkb.runtime import cuda
from fastkb.runtime.threads import n_threads
from fastkb.tile.blocking import TILES_REDUCED, CudaBlocking, blocking

FLOATS = ("float32", "float64")
each_dtype = pytest.mark.parametrize("dtype", FLOATS)
TILE = blocking("float64").tile
GROUP = TILE * TILES_REDUCED
NAMES = ("linear", "poly", "polynomial", "rbf", "sigmoid", "laplacian", "cosine")
OBJECTS = (
    kernels.RBF(sigma=0.7),
    kernels.Matern(nu=0.5).scaled([0.5, 2.0, 1.0]),
    2.5 * kernels.RationalQuadratic(),
    kernels.RBF() + 0.5 * kernels.Linear() + kernels.Laplacian(),
    (kernels.RBF() + kernels.Matern()).scaled([1.0, 2.0, 3.0]),
)
HAS_DEVICE = cuda.state() == "simulated" or cuda.state().startswith("available")
needs_device = pytest.mark.skipif(not HAS_DEVICE, reason="no CUDA device, and not the simulator")
edges = st.sampled_from([1, 2, TILE - 1, TILE, TILE + 1, 2 * TILE + 5])


@dataclass(frozen=True)
class Own(kernels.Kernel):
    form = "linear"

    def function(self, t):
        return t + 1.0


def dots(x, y):
    return x @ y


def called(metric):
    """The same in every process of the tests."""
    return getattr(metric, "__name__", str(metric))


# Kernels without such a product: of another function, not linear in the parts, not one of the package.
OTHERS = (
    Own(),
    kernels.RBF() * kernels.Linear(),
    kernels.RBF() + kernels.RBF() * kernels.Linear(),
    kernels.Periodic(),
    "chi2",
    "precomputed",
    dots,
)


def draw(n, m, targets, dtype, d=3, seed=0):
    rng = np.random.default_rng(seed)
    X, Y, A = rng.normal(size=(n, d)), rng.normal(size=(m, d)), rng.normal(size=(m, targets))
    return X.astype(dtype), Y.astype(dtype), A.astype(dtype)


def check(found, K, A):
    """A sum of m products: its rounding errors, and one for each value of the kernel."""
    assert found.dtype == K.dtype
    exact = K.astype(np.longdouble) @ A.astype(np.longdouble)
    size = np.abs(K).astype(float) @ np.abs(A).astype(float)
    assert (np.abs(found - exact) <= (len(A) / 4 + 8) * np.finfo(K.dtype).eps * size).all()


@settings(max_examples=60)
@given(
    n=edges,
    m=edges | st.sampled_from([GROUP - 1, GROUP, GROUP + 1, 2 * GROUP + TILE + 1]),
    targets=st.integers(1, 3),
    d=st.sampled_from([1, 3, 260]),
    dtype=st.sampled_from(FLOATS),
    name=st.sampled_from(["rbf", "laplacian", "linear", "poly"]),
)
def test_shapes_around_the_edges_of_tiles(n, m, targets, d, dtype, name):
    X, Y, A = draw(n, m, targets, dtype, d)
    parameters = {"gamma": 1.0 / d, "degree": 2, "coef0": 0.5}
    found = product(name, X, Y, A, parameters)
    assert found.shape == (n, targets)
    K = fastkb.pairwise_kernels(X, Y, metric=name, filter_params=True, **parameters)
    check(found, K, A)


@each_dtype
@pytest.mark.parametrize("metric", [*NAMES, *OBJECTS], ids=str)
def test_kernels(metric, dtype):
    X, Y, A = draw(130, 250, 2, dtype)
    found = product(metric, X, Y, A, {"gamma": None, "degree": 3, "coef0": 1})
    check(found, fastkb.pairwise_kernels(X, Y, metric=metric), A)


@pytest.mark.parametrize("metric", OTHERS, ids=called)
def test_kernels_that_have_none(metric):
    X, Y, A = draw(5, 4, 1, "float64")
    assert product(metric, X, Y, A, {}) is None


def test_coefficients_of_another_type():
    X, Y, A = draw(5, 4, 1, "float32")
    assert product("rbf", X, Y, A.astype(float), {}) is None


@each_dtype
def test_bits_depend_on_no_thread_and_on_no_other_row(dtype):
    X, Y, A = draw(2 * TILE + 3, 2 * GROUP + 7, 2, dtype)
    whole = product("rbf", X, Y, A, {"gamma": 0.3})
    before = numba.get_num_threads()
    try:
        for threads in range(1, n_threads() + 1):
            numba.set_num_threads(threads)
            np.testing.assert_array_equal(product("rbf", X, Y, A, {"gamma": 0.3}), whole)
    finally:
        numba.set_num_threads(before)
    for begin, stop in ((0, 1), (5, 100), (TILE - 1, 2 * TILE + 2)):
        part = product("rbf", X[begin:stop], Y, A, {"gamma": 0.3})
        np.testing.assert_array_equal(part, whole[begin:stop])


@each_dtype
def test_rows_are_taken_some_at_a_time(monkeypatch, dtype):
    X, Y, A = draw(5 * TILE + 3, GROUP + 7, 2, dtype)
    whole = product("rbf", X, Y, A, {})
    for numbers in (1, 8 * TILE, 9 * TILE):
        monkeypatch.setattr(drive, "PARTIAL", numbers)
        np.testing.assert_array_equal(product("rbf", X, Y, A, {}), whole)


@pytest.mark.parametrize("order", ["C", "F", "strided", "readonly"])
def test_layouts(order):
    X, Y, A = draw(40, 50, 2, "float64")
    expected = product("rbf", X, Y, A, {})
    if order == "strided":
        X, Y, A = (np.repeat(np.repeat(a, 2, 0), 2, 1)[::2, ::2] for a in (X, Y, A))
    elif order == "readonly":
        for a in (X, Y, A):
            a.flags.writeable = False
    else:
        X, Y, A = (np.array(a, order=order) for a in (X, Y, A))
    np.testing.assert_array_equal(product("rbf", X, Y, A, {}), expected)


@pytest.mark.parametrize("shift", [0.0, 1e8])
def test_offsets_and_scales(shift):
    X, Y, A = draw(60, 70, 1, "float64")
    X, Y = 1e4 * (X + shift), 1e4 * (Y + shift)
    found = product("rbf", X, Y, A, {"gamma": 1e-8})
    check(found, fastkb.rbf_kernel(X, Y, gamma=1e-8), A)
    largest = product("rbf", X * 1e150, Y * 1e150, A, {"gamma": 1e-300})
    check(largest, fastkb.rbf_kernel(X * 1e150, Y * 1e150, gamma=1e-300), A)


def test_what_is_not_a_number_stays_so():
    X, Y, A = draw(5, 4, 1, "float64")
    A[2] = np.inf
    assert not np.isfinite(product("linear", X, Y, A, {})).any()
    with pytest.raises(ValueError, match="gamma"):
        product("rbf", X, Y, A, {"gamma": -1.0})


@pytest.mark.parametrize("targets", [None, 1, 3, 20])
@pytest.mark.parametrize("kernel", ["rbf", OBJECTS[3], OTHERS[1], OTHERS[-1]], ids=called)
def test_estimators_predict_by_it(kernel, targets):
    X, Y, A = draw(60, 50, targets or 1, "float64")
    model = fastkb.KernelRidge(alpha=0.5, kernel=kernel, fit_intercept=True)
    model.fit(Y, A[:, 0] if targets is None else A)
    found = model.predict(X)
    assert found.shape == (60,) if targets is None else (60, targets)
    expected = fastkb.pairwise_kernels(X, Y, metric=kernel) @ model.dual_coef_ + model.intercept_
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_an_estimator_with_a_matrix_of_its_own():
    class Doubled(fastkb.KernelRidge):
        def _get_kernel(self, X, Y=None):
            return 2.0 * super()._get_kernel(X, Y)

    X, Y, A = draw(7, 9, 1, "float64")
    model = Doubled(kernel="rbf").fit(Y, A)
    expected = 2.0 * fastkb.rbf_kernel(X, Y) @ model.dual_coef_
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-12)


# --- on a GPU, or in the simulator: tests/tile/test_cuda.py starts these there ---------------------


def on_device(*arrays):
    return [cuda.load().to_device(array) for array in arrays]


@pytest.mark.gpu
@needs_device
@pytest.mark.parametrize("metric", [*NAMES, *OBJECTS, *OTHERS[2:4]], ids=called)
def test_kernels_on_a_gpu(metric, monkeypatch):
    from fastkb.tile import cuda as tile
    from fastkb.tile import cuda_reduce

    monkeypatch.setattr(cuda, "_THREADS", 8)
    monkeypatch.setattr(cuda_reduce, "THREADS", 8)
    cuda_reduce.rows_kernel.cache_clear()
    small = CudaBlocking(tile=16, side=4, kc=4, blocks=1)  # the simulator is slow
    monkeypatch.setattr(tile, "cuda_blocking", lambda dtype: small)
    monkeypatch.setattr(products, "_BLOCK", (3, 4))
    dtype = np.float32 if metric in NAMES else np.float64
    X, Y, A = draw(5, 6, 2, dtype)
    given = {"gamma": None, "degree": 3, "coef0": 1}
    arrays = on_device(X, Y, A)
    found = product(metric, *arrays, given)
    assert type(found) is type(arrays[0])
    found = found.copy_to_host()
    assert found.dtype == dtype
    K = fastkb.pairwise_kernels(X.astype(float), Y.astype(float), metric=metric)
    tolerance = 100 * np.finfo(dtype).eps
    size = (np.abs(K) @ np.abs(A)).max()
    np.testing.assert_allclose(found, K @ A.astype(float), rtol=tolerance, atol=tolerance * size)
    cuda_reduce.rows_kernel.cache_clear()


@pytest.mark.gpu
@needs_device
def test_what_has_no_product_on_a_gpu():
    X, Y, A = on_device(*draw(5, 4, 1, "float64"))
    for metric in ("chi2", "precomputed", dots):
        with pytest.raises(TypeError, match=r"kernel must be one that fastkb computes.*on a GPU"):
            product(metric, X, Y, A, {})
    with pytest.raises(TypeError, match=r"X must be an array of the CPU for Own"):
        product(OTHERS[0], X, Y, A, {})
    with pytest.raises(
        TypeError, match="coefficients must be on the GPU too, as X is; got ndarray"
    ):
        product("rbf", X, Y, np.ones((4, 1)), {})
    single = on_device(np.ones((4, 1), np.float32))[0]
    with pytest.raises(
        ValueError, match="coefficients must have dtype float64, that of X; got float"
    ):
        product("rbf", X, Y, single, {})
    with pytest.raises(ValueError, match="gamma"):
        product("rbf", X, Y, A, {"gamma": -1.0})
