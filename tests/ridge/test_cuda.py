"""Kernel ridge regression on a GPU: on a device, or in the simulator (see tests/tile/test_cuda.py)."""

import copy
import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

import fastkb
from fastkb import KernelRidge, kernels
from fastkb.reference import ridge as reference
from fastkb.ridge import conjugate
from fastkb.ridge import cuda as there
from fastkb.runtime import cuda as runtime

HAS_DEVICE = runtime.state() == "simulated" or runtime.state().startswith("available")
needs_device = pytest.mark.skipif(not HAS_DEVICE, reason="no CUDA device, and not the simulator")
each_type = pytest.mark.parametrize("kind", [np.float32, np.float64], ids=["float32", "float64"])


@pytest.fixture(autouse=True)
def small(request, monkeypatch):
    """Blocks of few threads: the simulator is slow."""
    if "gpu" not in request.keywords:
        yield
        return
    from fastkb.tile import cuda_matrices, cuda_reduce

    monkeypatch.setattr(runtime, "_THREADS", 8)
    monkeypatch.setattr(cuda_matrices, "_THREADS", 8)
    monkeypatch.setattr(cuda_reduce, "THREADS", 8)
    cuda_reduce.rows_kernel.cache_clear()
    yield
    cuda_reduce.rows_kernel.cache_clear()


def on_device(array):
    return runtime.load().to_device(array)


def data(kind, n=11, targets=None, seed=0):
    rng = np.random.default_rng(seed)
    shape = (n,) if targets is None else (n, targets)
    return rng.normal(size=(n, 3)).astype(kind), rng.normal(size=shape).astype(kind)


@pytest.mark.gpu
@needs_device
@each_type
@pytest.mark.parametrize("targets", [None, 1, 5])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_predictions_are_those_of_the_cpu(kind, targets, fit_intercept):
    X, y = data(kind, targets=targets)
    points = data(kind, 7, seed=1)[0]
    model = KernelRidge(0.5, kernel="rbf", gamma=0.3, fit_intercept=fit_intercept).fit(X, y)
    expected = model.predict(points)
    found = model.predict(on_device(points))
    assert type(found) is type(on_device(points))
    assert found.shape == expected.shape
    tolerance = 100 * np.finfo(kind).eps
    host = found.copy_to_host()
    assert host.dtype == kind
    np.testing.assert_allclose(host, expected, rtol=tolerance, atol=tolerance)
    moved = KernelRidge(
        0.5, kernel="rbf", gamma=0.3, fit_intercept=fit_intercept, device="cuda"
    ).fit(X, y)
    assert moved.n_iter_ is None
    np.testing.assert_array_equal(moved.dual_coef_, model.dual_coef_)
    found = moved.predict(points)
    assert isinstance(found, np.ndarray)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.gpu
@needs_device
@pytest.mark.parametrize("kernel", ["poly", 2.0 * kernels.Matern() + kernels.Linear()], ids=str)
def test_kernels_by_name_and_as_objects(kernel):
    X, y = data(np.float64)
    model = KernelRidge(kernel=kernel).fit(X, y)
    found = model.predict(on_device(X)).copy_to_host()
    np.testing.assert_allclose(found, model.predict(X), rtol=1e-11)


@pytest.mark.gpu
@needs_device
def test_rows_are_moved_some_at_a_time(monkeypatch):
    X, y = data(np.float64, targets=2)
    model = KernelRidge(kernel="rbf", device="cuda").fit(X, y)
    whole = model.predict(X)
    for size in (1, 8 * (3 + 2) * 4):  # one row, and four
        monkeypatch.setattr(there, "_BYTES", size)
        np.testing.assert_array_equal(model.predict(X), whole)
    # Of another type than the model's both are made the wider one, as on the CPU.
    single = model.predict(X.astype(np.float32))
    assert single.dtype == np.float64
    np.testing.assert_allclose(single, whole, rtol=1e-4)


@pytest.mark.gpu
@needs_device
def test_the_model_is_copied_once_until_it_is_fitted_again(monkeypatch):
    X, y = data(np.float64)
    model = KernelRidge(kernel="rbf").fit(X, y)
    points, sent = on_device(X), []
    to_device = runtime.load().to_device
    monkeypatch.setattr(
        runtime.load(), "to_device", lambda a, *_, **k: (sent.append(a.shape), to_device(a, **k))[1]
    )
    for _ in range(2):
        model.predict(points)
    assert [shape for shape in sent if shape[0] == len(X)] == [(11, 3), (11, 1)]
    model.fit(X[:9], y[:9])
    model.predict(points)
    assert [shape for shape in sent if shape[0] == 9] == [(9, 3), (9, 1)]


@pytest.mark.gpu
@needs_device
def test_copies_on_the_device_are_not_pickled():
    X, y = data(np.float64)
    model = KernelRidge(kernel="rbf").fit(X, y)
    expected = model.predict(on_device(X)).copy_to_host()
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert again._copies._made == {}
        np.testing.assert_array_equal(again.predict(on_device(X)).copy_to_host(), expected)


@pytest.mark.gpu
@needs_device
@each_type
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_a_fit_whose_matrix_has_no_room(kind, fit_intercept, monkeypatch):
    monkeypatch.setattr(there, "has_no_room", lambda n, dtype: True)
    X, y = data(kind, targets=2)
    weight = np.arange(1.0, 12.0)
    model = KernelRidge(
        0.7, kernel="rbf", gamma=0.3, fit_intercept=fit_intercept, device="cuda"
    ).fit(X, y, weight)
    assert 1 <= model.n_iter_ <= 40
    assert model.dual_coef_.dtype == kind
    K = fastkb.rbf_kernel(X.astype(float), gamma=0.3)
    a, b = reference.fit(K, y, 0.7, weight, fit_intercept)
    tolerance = 100 * conjugate.TOLERANCE[np.dtype(kind)]
    np.testing.assert_allclose(model.dual_coef_, a, rtol=0, atol=tolerance * np.abs(a).max())
    np.testing.assert_allclose(model.intercept_, b if fit_intercept else 0.0, atol=tolerance)
    # A kernel that may have negative eigenvalues is solved on the CPU.
    other = KernelRidge(0.7, kernel="sigmoid", device="cuda").fit(X, y)
    assert other.n_iter_ is None


@pytest.mark.gpu
@needs_device
def test_a_fit_that_does_not_end_warns(monkeypatch):
    monkeypatch.setattr(there, "has_no_room", lambda n, dtype: True)
    monkeypatch.setattr(
        conjugate.solve, "__kwdefaults__", {**conjugate.solve.__kwdefaults__, "most": 1}
    )
    X, y = data(np.float64)
    with pytest.warns(ConvergenceWarning, match="end after 1 iterations with a residual of"):
        KernelRidge(1e-6, kernel="rbf", device="cuda").fit(X, y)


@pytest.mark.gpu
@needs_device
def test_errors_name_what_was_expected():
    X, y = data(np.float64)
    model = KernelRidge(kernel="rbf").fit(X, y)
    with pytest.raises(ValueError, match="X must have 3 columns, as in fit; got 2"):
        model.predict(on_device(X[:, :2].copy()))
    with pytest.raises(ValueError, match="X must have dtype float64 on a GPU, that of the fitted"):
        model.predict(on_device(X.astype(np.float32)))
    with pytest.raises(ValueError, match="NaN"):
        model.predict(on_device(np.full((2, 3), np.nan)))
    with pytest.raises(TypeError, match="X must be an array of the CPU for fit; got one on a GPU"):
        model.fit(on_device(X), y)
    with pytest.raises(TypeError, match="y must be an array of the CPU for fit; got one on a GPU"):
        model.fit(X, on_device(y))
    with pytest.raises(ValueError, match=r"with device='cuda'; got 'chi2'"):
        KernelRidge(kernel="chi2", device="cuda").fit(np.abs(X), y)
    with pytest.raises(TypeError, match="X must be dense for a GPU; got csr_"):
        KernelRidge(kernel="rbf", device="cuda").fit(sparse.csr_matrix(X), y)
    with pytest.raises(TypeError, match="kernel must be one that fastkb computes"):
        KernelRidge(kernel="chi2").fit(np.abs(X), y).predict(on_device(np.abs(X)))
    with pytest.raises(TypeError, match="X must be dense for a GPU"):
        KernelRidge(kernel="rbf").fit(sparse.csr_matrix(X), y).predict(on_device(X))

    class Doubled(KernelRidge):
        def _get_kernel(self, X, Y=None):
            return 2.0 * super()._get_kernel(X, Y)

    with pytest.raises(TypeError, match="Doubled has a kernel of its own"):
        Doubled(kernel="rbf").fit(X, y).predict(on_device(X))


def test_a_device_is_cpu_or_cuda():
    X, y = data(np.float64)
    with pytest.raises(ValueError, match=r"device must be one of cpu, cuda, got 'gpu'"):
        KernelRidge(device="gpu").fit(X, y)


def test_without_cuda_there_is_the_one_error(monkeypatch):
    def missing():
        raise runtime.CudaUnavailableError("CUDA is not available (no device)")

    monkeypatch.setattr("fastkb.ridge.estimator.load", missing)
    X, y = data(np.float64)
    with pytest.raises(runtime.CudaUnavailableError, match="CUDA is not available"):
        KernelRidge(device="cuda").fit(X, y)


def test_when_a_matrix_has_room(monkeypatch):
    monkeypatch.setattr(there.memory, "available_bytes", lambda: 8 * 100**2)
    assert not there.has_no_room(100, np.float64)
    assert there.has_no_room(101, np.float64)
    assert not there.has_no_room(101, np.float32)
    monkeypatch.setattr(there.memory, "available_bytes", lambda: None)
    assert not there.has_no_room(10**9, np.float64)
