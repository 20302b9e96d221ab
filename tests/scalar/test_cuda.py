"""The scalar functions on CUDA. tests/tile/test_cuda.py starts those marked gpu in the simulator."""

import inspect

import numpy as np
import pytest

from fastkb.runtime import cuda as runtime
from fastkb.scalar import elementary
from fastkb.scalar.cuda import meanings, on_device
from fastkb.scalar.kernels import FUNCTIONS, n_parameters

in_the_simulator = pytest.mark.skipif(
    not runtime.simulated(), reason="device functions are called from Python in the simulator alone"
)


def test_every_elementary_function_has_a_meaning():
    try:
        runtime.module()
    except runtime.CudaUnavailableError as error:
        pytest.skip(str(error))
    functions = {
        name
        for name, value in vars(elementary).items()
        if inspect.isfunction(value)
        and value.__module__ == elementary.__name__
        and not name.startswith("_")
    }
    for kind in (np.float32, np.float64):
        assert set(meanings(kind)) == functions


@pytest.mark.gpu
@in_the_simulator
@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_formulas_mean_the_same_as_in_python_and_keep_the_type(function, kind):
    n = n_parameters(function)
    p = (kind(0.5), kind(0.25), kind(3))[:n]
    compiled = on_device(function, kind)
    for t in (0.0, 1.0, 2.75, 7.0):
        found = compiled(kind(t), *p)
        assert found.dtype == kind
        # A few roundings, magnified three times by the third power.
        exact = function(t, *(0.5, 0.25, 3.0)[:n])
        np.testing.assert_allclose(found, exact, rtol=12 * np.finfo(kind).eps)


@pytest.mark.gpu
@in_the_simulator
def test_what_mathematics_refuses_is_nan():
    with np.errstate(invalid="ignore"):
        assert np.isnan(meanings(np.float64)["real_power"](-1.0, 0.5))
    assert meanings(np.float32)["whole_power"](np.float32(0), np.float32(0)) == 1
