"""The blocking table keeps the promises that the engine relies on."""

import subprocess
import sys

import numpy as np
import pytest

from fastkb.runtime.cpu import cpu
from fastkb.tile.blocking import blocking, network_blocking


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sizes_fit_together(dtype):
    sizes = blocking(dtype)
    assert sizes.width * np.dtype(dtype).itemsize == cpu().vector_bytes
    assert sizes.nr % sizes.width == 0
    assert sizes.tile % sizes.mr == 0
    assert sizes.tile % sizes.nr == 0
    assert sizes.tile % sizes.width == 0
    # Accumulators, one row of b and one value of a.
    assert sizes.mr * (sizes.nr // sizes.width) + sizes.nr // sizes.width + 1 <= cpu().registers
    assert sizes.tile == blocking("float64").tile


MACHINES = {
    "avx2": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+sse4.2"},
    "generic": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
}

SCRIPT = """
import numpy as np
from fastkb import rbf_kernel, linear_kernel, laplacian_kernel
from fastkb.reference import gram as reference
rng = np.random.default_rng(0)
for dtype, eps in (("float64", 2.3e-16), ("float32", 1.2e-7)):
    X = rng.standard_normal((131, 5)).astype(dtype)
    Y = rng.standard_normal((70, 5)).astype(dtype)
    for ours, oracle in (
        (rbf_kernel, reference.rbf),
        (linear_kernel, reference.linear),
        (laplacian_kernel, reference.laplacian),
    ):
        for other in (None, Y):
            got, expected = ours(X, other), oracle(X, other)
            assert got.dtype == dtype
            np.testing.assert_allclose(got, expected, rtol=100 * eps, atol=100 * eps)
        assert (ours(X) == ours(X).T).all()
from fastkb.runtime.cpu import cpu
print(cpu().vector_bytes, cpu().has_fma)
"""


@pytest.mark.slow
@pytest.mark.skipif(cpu().name in ("", "generic"), reason="no x86 features to take away")
@pytest.mark.parametrize("machine", MACHINES)
def test_other_processors_compute_the_same(machine, tmp_path):
    """The engine compiled for lesser machines than this one, narrow vectors and no FMA included."""
    import os
    import platform

    if platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip("the names of the processors are x86's")
    if machine == "avx2" and cpu().vector_bytes < 32:
        pytest.skip("this machine has no AVX2")
    environment = {**os.environ, **MACHINES[machine], "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == (["32", "True"] if machine == "avx2" else ["16", "False"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sizes_of_networks_fit_together(dtype):
    sizes = network_blocking(dtype)
    itemsize = np.dtype(dtype).itemsize
    assert sizes.width * itemsize == cpu().vector_bytes
    assert sizes.nr == 2 * sizes.width  # the kernels are of two vectors, or of one
    assert sizes.kc > 0
    # Accumulators, one row of b and one value of a.
    assert 2 * sizes.mr + 2 + 1 <= cpu().registers
    # A micro-tile's panel and its rows of the other matrix, beside each other in 48 KB at most.
    assert sizes.kc * (sizes.nr + sizes.mr) * itemsize <= 48 * 2**10
    assert network_blocking(dtype) is sizes
