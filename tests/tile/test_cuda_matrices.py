"""Rows prepared on a device, and results combined there: in the simulator, and compiled."""

import numpy as np
import pytest

from fastkb.runtime import cuda as runtime
from fastkb.tile.sinks import Sink

try:
    from fastkb.tile import cuda_matrices
except runtime.CudaUnavailableError as error:
    pytest.skip(str(error), allow_module_level=True)

HAS_DEVICE = runtime.state() == "simulated" or runtime.state().startswith("available")
needs_device = pytest.mark.skipif(not HAS_DEVICE, reason="no CUDA device, and not the simulator")
each_type = pytest.mark.parametrize("kind", [np.float32, np.float64], ids=["float32", "float64"])


def on_device(array):
    return runtime.load().to_device(array)


@pytest.mark.gpu
@needs_device
@each_type
def test_rows_are_weighted_and_brought_to_norm_one(kind):
    X = np.random.default_rng(0).normal(size=(7, 3)).astype(kind)
    X[2] = 0
    X[3] *= np.finfo(kind).max / 8
    X[4] *= kind(np.finfo(kind).tiny) * 8
    weights = np.array([0.5, 2.0, 1.0])
    before = X.copy()
    for given, unit in ((None, True), (weights, True), (weights, False)):
        found = cuda_matrices.prepared(on_device(X), given, unit).copy_to_host()
        assert found.dtype == kind
        exact = X.astype(np.longdouble) * (1.0 if given is None else given)
        if unit:
            norms = np.sqrt((exact**2).sum(axis=1, keepdims=True))
            exact = exact / np.where(norms == 0, 1, norms)
        np.testing.assert_allclose(found, exact.astype(kind), rtol=8 * np.finfo(kind).eps)
    np.testing.assert_array_equal(X, before)


@pytest.mark.gpu
@needs_device
@each_type
def test_results_are_combined(kind):
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(21, 17)).astype(kind) for _ in range(2))
    for sink, expected in ((Sink.ADD, a + b), (Sink.MULTIPLY, a * b)):
        out = on_device(a)
        cuda_matrices.combine(out, on_device(b), sink)
        np.testing.assert_array_equal(out.copy_to_host(), expected)


@pytest.mark.gpu
@needs_device
@each_type
def test_constants_are_added_to_columns(kind):
    a = np.random.default_rng(0).normal(size=(5, 3)).astype(kind)
    for constants in (np.array([1.0, 2.0, -3.0]), np.array([0.5])):
        out = on_device(a)
        cuda_matrices.add_constants(out, constants)
        np.testing.assert_array_equal(out.copy_to_host(), a + constants.astype(kind))


@each_type
def test_compiles_for_hopper(kind, compile_for_hopper):
    from numba import types

    T = types.float32 if kind is np.float32 else types.float64
    matrix = types.Array(T, 2, "C")
    for kernel, signature in (
        (cuda_matrices._prepare_kernel(kind), (matrix, matrix, matrix, types.intp)),
        (cuda_matrices._combine_kernel(), (matrix, matrix, types.intp)),
    ):
        ptx, _ = compile_for_hopper(kernel, signature)
        assert kind is np.float64 or ".f64" not in ptx
