"""The CUDA kernel: on a device, in the simulator (started here in a process of its own), and compiled.

The simulator checks neither types nor races. So races are looked for by recording who touches which
element of shared memory between two barriers, and types by compiling for a real device where the
compiler is installed.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastkb
from fastkb import kernels
from fastkb.reference import gram as reference
from fastkb.runtime import cuda as runtime
from fastkb.scalar import kernels as scalar_kernels
from fastkb.scalar.kernels import KERNELS, N_PARAMETERS, Form, find
from fastkb.tile import cuda_epilogue
from fastkb.tile.blocking import CudaBlocking, cuda_blocking
from fastkb.tile.cuda_layout import SHARED_BYTES, layout
from fastkb.tile.sinks import Into, Sink

try:
    from fastkb.tile import cuda as tile
except runtime.CudaUnavailableError as error:
    pytest.skip(str(error), allow_module_level=True)

HAS_DEVICE = runtime.state() == "simulated" or runtime.state().startswith("available")
TYPES = [np.float32, np.float64]
SMALL = CudaBlocking(tile=16, side=4, kc=4, blocks=1)  # many tiles of few rows

needs_device = pytest.mark.skipif(not HAS_DEVICE, reason="no CUDA device, and not the simulator")
each_type = pytest.mark.parametrize("kind", TYPES, ids=["float32", "float64"])


def on_device(array):
    return runtime.load().to_device(array)


def numbers(kind, *shape, seed=0):
    return np.random.default_rng(seed).random(shape).astype(kind)


def squares(X, Y):
    return (reference.differences(X, Y) ** 2).sum(axis=2)


def matern(nu):
    return lambda X, Y, gamma, *_: reference.matern(X, Y, nu, gamma**-0.5)


# From 0 to 1, as γ, c and k are chosen, arguments and values stay of order one.
ORACLES = {
    "linear": lambda X, Y, *_: reference.linear(X, Y),
    "cosine": lambda X, Y, *_: reference.linear(X, Y),  # of rows that are there already
    "polynomial": lambda X, Y, g, c, k: reference.polynomial(X, Y, k, g, c),
    "polynomial_real": lambda X, Y, g, c, k: reference.polynomial(X, Y, k, g, c),
    "polynomial2": lambda X, Y, g, c, k: reference.polynomial(X, Y, 2, g, c),
    "polynomial3": lambda X, Y, g, c, k: reference.polynomial(X, Y, 3, g, c),
    "sigmoid": lambda X, Y, g, c, k: reference.sigmoid(X, Y, g, c),
    "rbf": lambda X, Y, g, *_: reference.rbf(X, Y, g),
    "laplacian": lambda X, Y, g, *_: reference.laplacian(X, Y, g),
    "matern12": matern(0.5),
    "matern32": matern(1.5),
    "matern52": matern(2.5),
    "rational_quadratic": lambda X, Y, g, a, _: (1 + g * squares(X, Y) / a) ** -a,
    "periodic": lambda X, Y, f, r, _: np.exp(
        -2 * (r * np.sin(np.pi * f * np.abs(reference.differences(X, Y)).sum(axis=2))) ** 2
    ),
    "sqeuclidean": lambda X, Y, *_: squares(X, Y),
    "manhattan": lambda X, Y, *_: np.abs(reference.differences(X, Y)).sum(axis=2),
}


def parameters_of(name, d):
    return 1 / d, 0.5, {"polynomial": 5.0, "polynomial_real": 2.5}.get(name, 1.0)


def check(name, X, Y, K, p):
    """K against the definition in float64."""
    exact = ORACLES[name](X.astype(float), None if Y is None else Y.astype(float), *p)
    # d + 3 roundings up to the argument (the subtraction, the sum, γ, c), of which no power here
    # magnifies the relative error more than five times; and those of the function itself.
    tolerance = (5 * (X.shape[1] + 3) + 8) * np.finfo(X.dtype).eps
    np.testing.assert_allclose(K, exact, rtol=tolerance, atol=tolerance)


def compute(name, X, Y=None, sizes=None):
    p = parameters_of(name, X.shape[1])
    b = None if Y is None else on_device(Y)
    K = tile.gram(find(name), p, on_device(X), b, sizes=sizes).copy_to_host()
    assert K.dtype == X.dtype
    check(name, X, Y, K, p)
    if Y is None:
        assert np.array_equal(K, K.T)
        assert not find(name).unit_diagonal or (np.diag(K) == 1).all()
    return K


# --- on a device or in the simulator --------------------------------------------------------------


@pytest.mark.gpu
@needs_device
@each_type
@pytest.mark.parametrize("name", [row.name for row in KERNELS])
def test_every_kernel_agrees_with_its_definition(name, kind):
    X, Y = numbers(kind, 19, 6), numbers(kind, 33, 6, seed=1)
    compute(name, X, Y, SMALL)
    compute(name, X, None, SMALL)


@pytest.mark.gpu
@needs_device
@each_type
def test_the_sizes_of_the_table(kind):
    side = cuda_blocking(np.dtype(kind).name).tile
    compute("rbf", numbers(kind, side + 1, 9))
    compute("polynomial3", numbers(kind, side, 8), numbers(kind, side - 1, 8, seed=1))


@pytest.mark.gpu
@needs_device
@settings(max_examples=20)
@given(
    name=st.sampled_from([row.name for row in KERNELS]),
    kind=st.sampled_from(TYPES),
    n=st.integers(1, 50),
    m=st.none() | st.integers(1, 35),
    d=st.integers(1, 10),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape(name, kind, n, m, d, seed):
    Y = None if m is None else numbers(kind, m, d, seed=seed + 1)
    compute(name, numbers(kind, n, d, seed=seed), Y, SMALL)


@pytest.mark.gpu
@needs_device
@pytest.mark.parametrize("order", ["F", "strided"])
def test_layouts_of_inputs_and_out(order):
    def laid_out(array):  # on the device, and a function that brings it back
        if order == "F":
            there = on_device(np.asfortranarray(array))
            return there, there.copy_to_host
        wide = np.full((array.shape[0], 2 * array.shape[1]), np.nan)
        wide[:, ::2] = array
        there = on_device(wide)
        return there[:, ::2], lambda: there.copy_to_host()[:, ::2]

    X, Y = numbers(np.float64, 18, 5), numbers(np.float64, 21, 5, seed=1)
    p = parameters_of("laplacian", 5)
    out, bring_back = laid_out(np.full((18, 21), np.nan))
    a, b = laid_out(X)[0], laid_out(Y)[0]
    assert tile.gram(find("laplacian"), p, a, b, Into(out), sizes=SMALL) is out
    check("laplacian", X, Y, bring_back(), p)


@pytest.mark.gpu
@needs_device
@each_type
@pytest.mark.parametrize("name", ["rbf", "laplacian", "matern32"])
def test_differences_with_weights(name, kind):
    X, Y = numbers(kind, 19, 6), numbers(kind, 33, 6, seed=1)
    weights = np.array([0.5, 2.0, 1.0, 0.25, 3.0, 0.0]).astype(kind)
    p = parameters_of(name, 6)
    for other in (None, Y):
        b = None if other is None else on_device(other)
        K = tile.gram(find(name), p, on_device(X), b, weights=weights, sizes=SMALL).copy_to_host()
        check(name, X * weights, None if other is None else other * weights, K, p)
        if other is None:
            assert np.array_equal(K, K.T)


@pytest.mark.gpu
@needs_device
@each_type
@pytest.mark.parametrize("sink", [Sink.STORE, Sink.ADD, Sink.MULTIPLY])
@pytest.mark.parametrize("two", [False, True])
def test_sinks_and_factors(sink, kind, two):
    X, Y = numbers(kind, 19, 6), numbers(kind, 33, 6, seed=1) if two else None
    before = numbers(kind, 19, 33 if two else 19, seed=2)
    before = before if two else before + before.T
    out, b = on_device(before), None if Y is None else on_device(Y)
    p = parameters_of("rbf", 6)
    tile.gram(find("rbf"), p, on_device(X), b, Into(out, sink, 2.5), sizes=SMALL)
    K = kind(2.5) * tile.gram(find("rbf"), p, on_device(X), b, sizes=SMALL).copy_to_host()
    expected = {Sink.STORE: K, Sink.ADD: before + K, Sink.MULTIPLY: before * K}[sink]
    assert np.array_equal(out.copy_to_host(), expected)


@pytest.mark.gpu
@needs_device
@each_type
def test_kernel_objects_on_the_device_are_those_of_the_cpu(kind, monkeypatch):
    monkeypatch.setattr(tile, "cuda_blocking", lambda dtype: SMALL)
    x, y = numbers(kind, 12, 3), numbers(kind, 9, 3, seed=1)
    x[4] = 0
    scales = [0.5, 2.0, 1.0]
    for kernel in (
        kernels.Cosine(),
        kernels.Matern(2.5, 0.7),
        kernels.RationalQuadratic(0.6, 0.8),
        kernels.Periodic(0.9, 1.5),
        kernels.Matern(1.5).scaled(scales),
        kernels.Polynomial(2).scaled(scales),
        kernels.Cosine().scaled(scales),
        kernels.Periodic().scaled(scales),
        2.0 * kernels.RBF() + kernels.Linear(),
        (kernels.RBF() + kernels.Linear()) * (kernels.Cosine() + kernels.Periodic()),
    ):
        tolerance = 100 * np.finfo(kind).eps
        if kind is np.float32:  # each way in one type: the simulator is slow
            K, expected = kernel(on_device(x)).copy_to_host(), kernel(x)
            assert np.array_equal(K, K.T)
        else:
            K, expected = kernel(on_device(x), on_device(y)).copy_to_host(), kernel(x, y)
        assert K.dtype == kind
        np.testing.assert_allclose(K, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.gpu
@needs_device
def test_a_formula_in_numpy_and_a_diagonal_stay_on_the_cpu():
    class Own(kernels.Kernel):
        form = "linear"

        def function(self, t):
            return t + 1

    X = on_device(numbers(np.float64, 5, 2))
    with pytest.raises(TypeError, match=r"X must be an array of the CPU for .*Own"):
        Own()(X)
    with pytest.raises(TypeError, match="X must be an array of the CPU for diag"):
        kernels.RBF().diag(X)


@pytest.mark.gpu
@needs_device
def test_data_far_from_the_origin_lose_no_digits():
    X = np.round(numbers(np.float64, 20, 3) * 1024) / 1024
    K = [compute("rbf", X + shift, None, SMALL) for shift in (0.0, 2.0**30)]
    assert np.array_equal(*K)


@pytest.mark.gpu
@needs_device
def test_public_functions_take_and_give_device_arrays(monkeypatch):
    monkeypatch.setattr(tile, "cuda_blocking", lambda dtype: SMALL)
    x, y = numbers(np.float32, 20, 3), numbers(np.float32, 9, 3, seed=1)
    X, Y = on_device(x), on_device(y)
    pairs = [
        (fastkb.rbf_kernel(X), fastkb.rbf_kernel(x)),
        (fastkb.laplacian_kernel(X, Y, gamma=2), fastkb.laplacian_kernel(x, y, gamma=2)),
        (fastkb.gram(kernels.Polynomial(2), X), fastkb.gram(kernels.Polynomial(2), x)),
        (fastkb.pairwise_kernels(X, Y, metric="linear"), fastkb.linear_kernel(x, y)),
    ]
    for found, wanted in pairs:
        assert type(found) is type(X)
        # Both err by a few roundings: the last digits of the functions differ.
        np.testing.assert_allclose(found.copy_to_host(), wanted, rtol=40 * np.finfo(np.float32).eps)
    with pytest.raises(ValueError, match="gamma must be a single number"):
        fastkb.rbf_kernel(X, Y, gamma=np.ones((20, 9)))


@pytest.mark.gpu
@needs_device
def test_a_new_formula_needs_nothing_but_its_row(monkeypatch, fresh_kernels):
    def shifted(t, shift):
        return t + shift

    functions = (*scalar_kernels.FUNCTIONS, shifted)
    monkeypatch.setattr(scalar_kernels, "FUNCTIONS", functions)
    monkeypatch.setattr(cuda_epilogue, "FUNCTIONS", functions)
    row = scalar_kernels.Kernel("shifted", Form.DOT, shifted)
    X = np.array([[1.0, 2.0], [3.0, 5.0]])
    K = tile.gram(row, (0.25, 1.0, 1.0), on_device(X), sizes=SMALL).copy_to_host()
    assert K.tolist() == [[5.25, 13.25], [13.25, 34.25]]


# --- races ----------------------------------------------------------------------------------------


def races(watch, kind, shape, sizes, without=None):
    """The races in each block of a Gram matrix: shape (n, m, d), or (n, None, d) if symmetric."""
    n, m, d = shape
    X, Y = numbers(kind, n, d), None if m is None else numbers(kind, m, d, seed=1)
    p = parameters_of("rbf", d)
    a, b = on_device(X), None if Y is None else on_device(Y)
    K, counted = watch(lambda: tile.gram(find("rbf"), p, a, b, sizes=sizes), without)
    if without is None:
        check("rbf", X, Y, K.copy_to_host(), p)
    return counted


@pytest.mark.gpu
@needs_device
@each_type
def test_no_two_threads_meet_in_shared_memory(kind, watch):
    # Three tiles, one of them mirrored; three slabs, the last of them partial.
    assert races(watch, kind, (30, None, 11), SMALL) == [0, 0, 0]
    assert races(watch, kind, (17, 16, 3), SMALL) == [0, 0]
    sizes = cuda_blocking(np.dtype(kind).name)
    assert races(watch, kind, (sizes.tile - 1, sizes.tile - 2, sizes.kc + 1), sizes) == [0]


@pytest.mark.gpu
@needs_device
@each_type
def test_every_barrier_is_needed(kind, watch):
    strips = SMALL.tile // layout(SMALL, np.dtype(kind)).span
    barriers = 1 + 2 + 3 * strips  # two slabs
    for without in range(barriers):
        found = max(races(watch, kind, (30, None, 8), SMALL, without))
        assert (found > 0) == (without < barriers - 1)  # after the last, the block ends


@pytest.mark.skipif(runtime.simulated(), reason="this is the simulator")
@pytest.mark.slow
def test_in_the_simulator():
    root = Path(__file__).parents[2]
    files = [
        str(path)
        for path in sorted((root / "tests").rglob("test_*.py"))
        if "pytest.mark.gpu" in path.read_text(encoding="utf-8")
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu", *files],
        cwd=root,
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed, done.stdout
    assert int(passed[1]) > 2 * len(KERNELS), done.stdout


# --- compiled for a device ------------------------------------------------------------------------


def signature_of(kind, order="C"):
    from numba import types

    T = types.float32 if kind is np.float32 else types.float64
    matrix = types.Array(T, 2, order)
    whole = types.intp
    parameters = types.UniTuple(T, N_PARAMETERS)
    task = types.NamedUniTuple(whole, 3, tile.Task)
    return matrix, matrix, matrix, matrix, task, T, parameters


@each_type
@pytest.mark.parametrize("form", list(Form), ids=lambda form: form.name)
def test_compiles_for_hopper(form, kind, compile_for_hopper):
    # One kernel for each accumulation and type: all scalar functions are in its switch.
    sizes = cuda_blocking(np.dtype(kind).name)
    ptx, report = compile_for_hopper(tile.gram_kernel(form, kind, sizes), signature_of(kind))
    used = re.search(r"Used (\d+) registers.* (\d+) bytes smem", report)
    print(
        f"{form.name} {np.dtype(kind).name}: {used[1]} registers, {used[2]} bytes of shared memory"
    )
    assert int(used[1]) * sizes.side**2 * sizes.blocks <= 65536
    assert int(used[2]) <= SHARED_BYTES
    assert set(re.findall(r"(\d+) bytes (?:stack frame|spill)", report)) == {"0"}
    # Shared memory is read 16 bytes at a time, and no double-precision instruction is in float32.
    wide = "ld.shared.v4.f32" if kind is np.float32 else "ld.shared.v2.f64"
    assert wide in ptx
    assert kind is np.float64 or ".f64" not in ptx


@each_type
def test_the_search_for_nan_compiles_for_hopper(kind, compile_for_hopper):
    from numba import types

    for order in ("C", "F", "A"):
        matrix = signature_of(kind, order)[0]
        found = types.Array(types.int32, 1, "C")
        ptx, _ = compile_for_hopper(runtime._finder(), (matrix, types.intp, types.intp, found))
        assert kind is np.float64 or ".f64" not in ptx
