"""The shim around ``numba.cuda``: the only place that imports it, and the one error without it.

Importing this module costs nothing: ``numba.cuda`` loads when it is first asked for. What differs
between a device and the simulator (``NUMBA_ENABLE_CUDASIM=1``) is known here and nowhere else. A device
needs the package numba-cuda; the simulator comes with numba itself.
"""

from __future__ import annotations

import functools
import importlib
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np


class CudaUnavailableError(RuntimeError):
    """There is no CUDA device, driver or toolkit that compiled kernels could run on."""


# numba.cuda once it is loaded. Kernels must find it among the globals of their own module: the
# simulator swaps it there for the module that knows the simulated thread.
cuda: Any = None


@functools.cache
def load() -> Any:
    """The module ``numba.cuda``, real or simulated, with a device to run on.

    Raises
    ------
    CudaUnavailableError
        If it cannot be imported or sees no device, with the reason.
    """
    reason = _why_not()
    if reason:
        raise CudaUnavailableError(
            f"CUDA is not available ({reason}). Install it with: pip install 'fastkb[cuda]', on a "
            "machine with an NVIDIA GPU and driver; or set NUMBA_ENABLE_CUDASIM=1 to simulate one"
        )
    return module()


def module() -> Any:
    """The module ``numba.cuda``, with or without a device: enough to compile, not to run."""
    global cuda
    if cuda is None:
        try:
            with warnings.catch_warnings():
                # numba-cuda asks NumPy for timedeltas without a unit, which NumPy 2.5 deprecates:
                # nothing that its user could change, and no reason for CUDA to be missing.
                warnings.filterwarnings(
                    "ignore", "The 'generic' unit for NumPy timedelta", DeprecationWarning, "numba"
                )
                cuda = importlib.import_module("numba.cuda")
        except Exception as error:  # a broken installation fails in many ways
            raise CudaUnavailableError(f"numba.cuda does not load: {error}") from error
    return cuda


def in_kernels() -> Any:
    """What kernels and the functions that they call from other modules find as ``numba.cuda``.

    The simulator swaps the name in the module of the kernel alone; this leads to the kernel that runs.
    """
    return _Running() if simulated() else module()


class _Running:
    """The simulator's ``numba.cuda`` of the kernel that runs."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_simulator()._get_kernel_context(), name)


@functools.cache
def _simulator() -> Any:
    return importlib.import_module("numba.cuda.simulator.kernel")


def state() -> str:
    """Whether CUDA can be used, in words."""
    reason = _why_not()
    if reason:
        return reason
    return "simulated" if simulated() else f"available: {_device_name()}"


@functools.cache
def _why_not() -> str:
    """Why there is no device to run on; empty if there is one."""
    try:
        if not simulated() and getattr(module(), "implementation", "") == "Built-in":
            return (
                "the package numba-cuda is not installed"  # numba's own lacks what kernels here use
            )
        return "" if module().is_available() else "no CUDA device or driver was found"
    except Exception as error:  # broken drivers fail in many ways, all of which mean: no CUDA
        return str(error)


def _device_name() -> str:
    name = module().get_current_device().name
    return name.decode() if isinstance(name, bytes) else str(name)


@functools.cache
def simulated() -> bool:
    """Whether kernels run in the simulator: as Python, one thread at a time."""
    from numba.core import config

    return bool(config.ENABLE_CUDASIM)


# --- compiling ------------------------------------------------------------------------------------


def kernel(function: Callable, threads: int, blocks: int) -> Any:
    """Compile a kernel when it is first launched. No fastmath: subnormals, divisions, NaN are kept.

    Parameters
    ----------
    function : callable
        It finds ``numba.cuda`` among the globals of its module.
    threads : int
        In a block, at most.
    blocks : int
        That a multiprocessor is to hold at once: limits the registers of a thread.
    """
    if simulated():
        return module().jit(function)
    # Without link-time optimisation the code that runs is the PTX that was checked.
    return module().jit(function, launch_bounds=(threads, blocks), lto=False)


def device(function: Callable) -> Any:
    """Compile a small function that kernels call: always inlined, so that arrays stay in registers.

    In the simulator it is the function itself: its wrapper there looks through all globals at each
    call, and the kernel that calls it has put them right already.
    """
    return function if simulated() else module().jit(function, device=True, forceinline=True)


def allocator(function: Callable) -> Any:
    """Compile a device function that returns an array.

    Numba allows that if the function's statements are copied into the caller before types are inferred.
    """
    return function if simulated() else module().jit(function, device=True, inline="always")


def launch(compiled: Any, blocks: int, threads: int, stream: Any, *arguments: Any) -> None:
    """Launch a kernel on a stream, without waiting for it."""
    with warnings.catch_warnings():
        # A small matrix is a small grid: nothing that its user could change.
        warnings.filterwarnings("ignore", message="Grid size .* low occupancy")
        configured = compiled[blocks, threads, stream]
    configured(*arguments)


# --- arrays ---------------------------------------------------------------------------------------


def is_device_array(value: Any) -> bool:
    """Whether `value` lives on a GPU: a CuPy array, a Numba device array (simulated ones too), …"""
    if isinstance(value, np.ndarray):
        return False
    # Simulated device arrays have no interface; on a tensor of the CPU torch's attribute raises.
    return hasattr(value, "__cuda_array_interface__") or hasattr(value, "__cuda_ndarray__")


def interface(array: Any) -> dict[str, Any]:
    """Address, shape, strides and type of a device array, as the CUDA array interface tells them."""
    found = getattr(array, "__cuda_array_interface__", None)
    return array.__array_interface__ if found is None else found


def view(array: Any) -> Any:
    """The device array as ``numba.cuda`` passes it to kernels, without a copy; its ``stream`` is set.

    Work that its owner has under way is waited for.
    """
    return array if hasattr(array, "__cuda_ndarray__") else load().as_cuda_array(array)


def transposed(array: Any) -> Any:
    """The transpose of a device matrix, without a copy, as :func:`view` gives it.

    (Numba's own attribute ``T`` copies, on a stream of its own.)
    """
    values = view(array)
    return values.T if simulated() else load().as_cuda_array(_Transposed(values))


class _Transposed:
    def __init__(self, values: Any) -> None:
        described = interface(values)
        shape = described["shape"]
        size = np.dtype(described["typestr"]).itemsize
        down, across = described.get("strides") or (shape[1] * size, size)
        self._values = values  # which own the memory
        self.__cuda_array_interface__ = {
            **described,
            "shape": shape[::-1],
            "strides": (across, down),
        }


def empty_like(array: Any, shape: tuple[int, ...]) -> Any:
    """An uninitialised device array of this shape, of the kind and element type of `array`.

    CuPy arrays give CuPy arrays and torch tensors give tensors; all else gives Numba device arrays.
    """
    owner = type(array).__module__.partition(".")[0]
    if owner == "cupy":
        return importlib.import_module("cupy").empty(shape, array.dtype)
    if owner == "torch":
        return array.new_empty(shape)
    dtype = np.dtype(interface(array)["typestr"])
    check_memory(math.prod(shape) * dtype.itemsize, "the result")
    return load().device_array(shape, dtype)


def check_memory(size: int, what: str) -> None:
    """Raise a MemoryError that names what needs so many bytes of the device if they are not free."""
    if simulated():
        return
    free = load().current_context().get_memory_info()[0]
    if size > free:
        raise MemoryError(
            f"{what} needs {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB of GPU memory are free"
        )


def to_host(array: Any) -> np.ndarray:
    """A copy in the CPU's memory, complete when it returns; an array of NumPy's as it is."""
    if not is_device_array(array):
        return np.asarray(array)
    values = view(array)
    found = values.copy_to_host(stream=values.stream)
    if values.stream:  # a copy on a stream of its own returns before it is done
        values.stream.synchronize()
    return found


def from_host(values: np.ndarray, like: Any) -> Any:
    """A copy on the device, of the kind and type of `like`."""
    found = empty_like(like, values.shape)
    there = view(found)
    there.copy_to_device(np.ascontiguousarray(values, there.dtype))
    return found


class Copies:
    """Copies on the current device of matrices of the CPU that stay as they are: made once, and kept.

    They are no part of what is pickled.
    """

    def __init__(self) -> None:
        self._made: dict[Any, tuple[tuple[np.ndarray, ...], tuple[Any, ...]]] = {}

    def of(
        self, dtype: Any, arrays: tuple[np.ndarray, ...], laid_out: Callable | None = None
    ) -> tuple[Any, ...]:
        """The arrays on the device, as matrices of this type.

        A vector becomes a matrix of one column. Other arrays than those of the last call are copied
        anew. With `laid_out` its results for the arrays are copied.
        """
        cuda = load()
        place = (0 if simulated() else cuda.get_current_device().id, np.dtype(dtype))
        known = self._made.get(place)
        if known is not None and all(a is b for a, b in zip(known[0], arrays, strict=True)):
            return known[1]
        given = arrays if laid_out is None else laid_out(*arrays)
        matrices = [np.ascontiguousarray(a if a.ndim == 2 else a[:, None], dtype) for a in given]
        copies = tuple(cuda.to_device(matrix) for matrix in matrices)
        cuda.synchronize()  # whatever stream reads them finds them there
        self._made[place] = arrays, copies
        return copies

    def __reduce__(self) -> tuple[type, tuple]:
        return Copies, ()


_THREADS = 256  # of a block that looks for NaN
_BLOCKS = 1024  # at most: several for each multiprocessor of the largest devices


def all_finite(array: Any) -> bool:
    """Whether a two-dimensional device array holds neither NaN nor infinity: looked up on the device."""
    load()
    values = view(array)
    rows, columns = values.shape
    found = cuda.to_device(np.zeros(1, dtype=np.int32), stream=values.stream)
    blocks = max(1, min(_BLOCKS, rows * columns // _THREADS))
    launch(_finder(), blocks, _THREADS, values.stream, values, rows, columns, found)
    answer = found.copy_to_host(stream=values.stream)
    if values.stream:
        values.stream.synchronize()
    return not answer[0]


@functools.cache
def _finder() -> Any:
    return kernel(_find_nonfinite, _THREADS, 1)


def _find_nonfinite(values, rows, columns, found):
    for i in range(cuda.grid(1), rows * columns, cuda.gridsize(1)):
        if not math.isfinite(values[i // columns, i % columns]):
            found[0] = 1  # all threads write the same
