"""The shim around numba.cuda. tests/tile/test_cuda.py starts those marked gpu in the simulator."""

import importlib
import pickle
import subprocess
import sys
import warnings
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from fastkb.runtime import cuda

HAS_DEVICE = cuda.state() == "simulated" or cuda.state().startswith("available")
needs_device = pytest.mark.skipif(not HAS_DEVICE, reason="no CUDA device, and not the simulator")


class Borrowed:
    """Host memory behind the CUDA array interface, as far as nobody looks into it."""

    def __init__(self, array):
        self.dtype = array.dtype
        self.__cuda_array_interface__ = {**array.__array_interface__, "version": 3}


@pytest.fixture
def forget(monkeypatch):
    """Ask for CUDA anew, in this test and after it."""
    found = (cuda.load, cuda._why_not)
    for function in found:
        function.cache_clear()
    monkeypatch.setattr(cuda, "cuda", None)
    yield monkeypatch
    for function in found:
        function.cache_clear()


def test_importing_the_shim_loads_nothing():
    code = "import sys, fastkb.runtime.cuda; print('numba.cuda' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_without_numba_cuda_there_is_one_clear_error(forget):
    def missing(name):
        raise ImportError(f"No module named {name!r}")

    forget.setattr(importlib, "import_module", missing)
    assert cuda.state() == "numba.cuda does not load: No module named 'numba.cuda'"
    with pytest.raises(cuda.CudaUnavailableError, match=r"No module.*pip install 'fastkb\[cuda\]'"):
        cuda.load()


def test_a_deprecation_in_numba_cuda_does_not_make_it_missing(forget):
    def deprecated(name):
        message = "The 'generic' unit for NumPy timedelta is deprecated, and will raise an error"
        warnings.warn_explicit(
            message, DeprecationWarning, "helpers.py", 1, "numba.cuda.np.helpers"
        )
        return SimpleNamespace(is_available=lambda: True)

    forget.setattr(importlib, "import_module", deprecated)
    assert cuda.module().is_available()


def test_a_deprecation_of_our_own_is_not_hidden(forget):
    def deprecated(name):
        message = "The 'generic' unit for NumPy timedelta is deprecated, and will raise an error"
        warnings.warn_explicit(message, DeprecationWarning, "cuda.py", 1, "fastkb.runtime.cuda")

    forget.setattr(importlib, "import_module", deprecated)
    with pytest.raises(cuda.CudaUnavailableError, match="'generic' unit"):
        cuda.module()


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (SimpleNamespace(implementation="Built-in"), "the package numba-cuda is not installed"),
        (SimpleNamespace(is_available=lambda: False), "no CUDA device or driver was found"),
        (SimpleNamespace(is_available=lambda: 1 / 0), "division by zero"),
    ],
)
def test_why_there_is_no_device(forget, found, reason):
    forget.setattr(cuda, "simulated", lambda: False)
    forget.setattr(importlib, "import_module", lambda name: found)
    assert cuda.state() == reason
    with pytest.raises(cuda.CudaUnavailableError, match=reason):
        cuda.load()


@pytest.mark.parametrize("name", [b"NVIDIA H100", "NVIDIA H100"])
def test_a_device_has_a_name(forget, name):
    device = SimpleNamespace(name=name)
    found = SimpleNamespace(is_available=lambda: True, get_current_device=lambda: device)
    forget.setattr(cuda, "simulated", lambda: False)
    forget.setattr(importlib, "import_module", lambda name: found)
    assert cuda.state() == "available: NVIDIA H100"
    assert cuda.load() is found


def test_device_arrays_are_told_from_others():
    class Tensor:  # as torch's on the CPU
        @property
        def __cuda_array_interface__(self):
            raise AttributeError("not on a GPU")

    assert cuda.is_device_array(Borrowed(np.ones(3)))
    for other in (np.ones(3), [1.0], None, Tensor()):
        assert not cuda.is_device_array(other)


def test_results_are_of_the_kind_of_the_inputs(monkeypatch):
    cupy = SimpleNamespace(empty=lambda shape, dtype: ("cupy", shape, dtype))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    x = np.ones((2, 3), dtype=np.float32)

    array = type("ndarray", (Borrowed,), {"__module__": "cupy._core.core"})(x)
    assert cuda.empty_like(array, (4, 5)) == ("cupy", (4, 5), np.float32)

    methods = {"__module__": "torch", "new_empty": lambda self, shape: ("torch", shape)}
    assert cuda.empty_like(type("Tensor", (Borrowed,), methods)(x), (4, 5)) == ("torch", (4, 5))

    numba_cuda = SimpleNamespace(device_array=lambda shape, dtype: ("numba", shape, dtype))
    monkeypatch.setattr(cuda, "load", lambda: numba_cuda)
    monkeypatch.setattr(cuda, "simulated", lambda: True)
    assert cuda.empty_like(Borrowed(x), (4, 5)) == ("numba", (4, 5), np.float32)


def test_a_result_that_cannot_fit_is_refused_with_its_size(monkeypatch):
    context = SimpleNamespace(get_memory_info=lambda: (10**9, 2 * 10**9))
    monkeypatch.setattr(cuda, "load", lambda: SimpleNamespace(current_context=lambda: context))
    monkeypatch.setattr(cuda, "simulated", lambda: False)
    with pytest.raises(MemoryError, match=r"needs 3\.2 GB, and 1\.0 GB of GPU memory are free"):
        cuda.empty_like(Borrowed(np.ones((2, 2))), (20000, 20000))


def test_a_small_grid_is_launched_without_a_warning():
    launched = []

    class Kernel:
        def __getitem__(self, configuration):
            warnings.warn("Grid size 1 will likely result in low occupancy", stacklevel=1)
            return lambda *arguments: launched.append((configuration, arguments))

    cuda.launch(Kernel(), 1, 256, "stream", "X", "out")
    assert launched == [((1, 256, "stream"), ("X", "out"))]


@pytest.mark.gpu
@needs_device
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_nan_and_infinity_are_found_wherever_they_are(kind):
    clean = np.random.default_rng(0).standard_normal((29, 13)).astype(kind)
    to_device = cuda.load().to_device
    assert cuda.all_finite(to_device(clean))
    assert cuda.all_finite(to_device(np.full((1, 1), np.finfo(kind).max, dtype=kind)))
    for place, bad in [((0, 0), np.nan), ((28, 12), np.inf), ((13, 5), -np.inf)]:
        spoiled = clean.copy()
        spoiled[place] = bad
        assert not cuda.all_finite(to_device(spoiled))
        assert not cuda.all_finite(to_device(np.asfortranarray(spoiled)))


@pytest.mark.gpu
@needs_device
def test_numbas_arrays_are_passed_on_as_they_are():
    array = cuda.load().to_device(np.ones((2, 3)))
    assert cuda.is_device_array(array)
    assert cuda.view(array) is array
    assert tuple(cuda.interface(array)["shape"]) == (2, 3)
    made = cuda.empty_like(array, (4, 5))
    assert type(made) is type(array)
    assert (made.shape, made.dtype) == ((4, 5), np.float64)


@pytest.mark.gpu
@needs_device
def test_a_transpose_is_a_view():
    values = np.arange(6.0).reshape(2, 3)
    array = cuda.load().to_device(values)
    found = cuda.transposed(array)
    assert cuda.interface(found)["data"][0] == cuda.interface(array)["data"][0]
    assert tuple(found.shape) == (3, 2)


@pytest.mark.parametrize("strides", [None, (48, 16)])
def test_a_transpose_has_the_strides_the_other_way_round(strides, monkeypatch):
    class Array:
        __cuda_ndarray__ = True
        __cuda_array_interface__: ClassVar = {
            "shape": (2, 3), "strides": strides, "typestr": "<f8", "data": (64, False), "stream": 7,
        }  # fmt: skip

    monkeypatch.setattr(cuda, "simulated", lambda: False)
    monkeypatch.setattr(cuda, "load", lambda: SimpleNamespace(as_cuda_array=lambda array: array))
    array = Array()
    found = cuda.transposed(array)
    assert found._values is array
    assert found.__cuda_array_interface__ == {
        **Array.__cuda_array_interface__,
        "shape": (3, 2),
        "strides": (8, 24) if strides is None else (16, 48),
    }


@pytest.mark.gpu
@needs_device
def test_arrays_travel_between_host_and_device():
    values = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    there = cuda.from_host(values.astype(float), cuda.load().to_device(values[:1]))
    assert cuda.is_device_array(there)
    assert there.dtype == np.float32
    np.testing.assert_array_equal(cuda.to_host(there), values)
    assert cuda.to_host(values) is values


@pytest.mark.gpu
@needs_device
def test_copies_are_made_once_for_the_same_arrays_and_type():
    copies, a, b = cuda.Copies(), np.arange(3.0), np.ones((3, 2))
    first = copies.of(np.float64, (a, b))
    assert [array.shape for array in first] == [(3, 1), (3, 2)]
    assert copies.of(np.float64, (a, b)) is first
    single = copies.of(np.float32, (a, b))
    assert [array.dtype for array in single] == [np.float32] * 2
    assert copies.of(np.float64, (a, b)) is first
    assert copies.of(np.float64, (a.copy(), b)) is not first
    turned = cuda.Copies().of(np.float64, (b,), lambda array: (array, array.T))
    assert [array.shape for array in turned] == [(3, 2), (2, 3)]
    assert pickle.loads(pickle.dumps(copies))._made == {}


def test_functions_of_other_modules_ask_the_kernel_that_runs(monkeypatch):
    context = SimpleNamespace(threadIdx="here")
    simulator = SimpleNamespace(_get_kernel_context=lambda: context)
    monkeypatch.setattr(cuda, "_simulator", lambda: simulator)
    monkeypatch.setattr(cuda, "simulated", lambda: True)
    found = cuda.in_kernels()
    assert found.threadIdx == "here"
    context = SimpleNamespace(threadIdx="there")
    assert found.threadIdx == "there"
    monkeypatch.setattr(cuda, "simulated", lambda: False)
    monkeypatch.setattr(cuda, "module", lambda: "the module")
    assert cuda.in_kernels() == "the module"
