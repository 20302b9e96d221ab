"""The shim around ``numba.cuda``: the only place that imports it, and the one error when it is absent."""

from __future__ import annotations

import functools
import importlib
from typing import Any


class CudaUnavailableError(RuntimeError):
    """There is no CUDA device, driver or toolkit that compiled kernels could run on."""


@functools.cache
def load() -> Any:
    """The module ``numba.cuda``, real or simulated.

    Raises
    ------
    CudaUnavailableError
        If it cannot be imported or sees no device, with the reason.
    """
    module, reason = _probe()
    if module is None:
        raise CudaUnavailableError(
            f"CUDA is not available ({reason}). Install it with: pip install 'fastkb[cuda]', on a "
            "machine with an NVIDIA GPU and driver; or set NUMBA_ENABLE_CUDASIM=1 to simulate one"
        )
    return module


def state() -> str:
    """Whether CUDA can be used, in words."""
    module, reason = _probe()
    return reason if module is None else f"available: {_device_name(module)}"


@functools.cache
def _probe() -> tuple[Any, str]:
    """The module if it has a device, and else why not."""
    try:
        module = importlib.import_module("numba.cuda")
        if module.is_available():
            return module, ""
        return None, "no CUDA device or driver was found"
    except Exception as error:  # broken drivers fail in many ways, all of which mean: no CUDA
        return None, f"numba.cuda does not load: {error}"


def _device_name(module: Any) -> str:
    name = getattr(module.get_current_device(), "name", b"simulator")
    return name.decode() if isinstance(name, bytes) else str(name)
