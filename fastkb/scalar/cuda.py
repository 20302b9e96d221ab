"""The scalar functions on CUDA: the CPU's formulas, with the device's own elementary functions.

Without fastmath the device's exp and tanh are at most 2 ulp from the truth, its powers at most 4 (CUDA
C++ Programming Guide, "Mathematical Functions").
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastkb.runtime import cuda
from fastkb.scalar.elementary import _make_finite, _make_whole_power
from fastkb.scalar.source import rebind


@functools.cache
def meanings(kind: type) -> dict[str, Any]:
    """What the names of :mod:`fastkb.scalar.elementary` mean for numbers of type `kind` on CUDA."""
    shared = {
        "whole_power": cuda.device(_make_whole_power(kind)),
        "finite": cuda.device(_make_finite(kind)),
    }
    if cuda.simulated():
        # NumPy's keep float32, and give NaN and infinity where math's raise: as the device's do.
        exp: Any = np.exp
        return shared | {
            "exp": exp,
            "exp_nonpositive": exp,
            "tanh": np.tanh,
            "sin_pi": lambda x: kind(np.sin(np.pi * (x - 2.0 * np.rint(0.5 * x)))),
            "log1p_nonnegative": np.log1p,
            "sqrt": np.sqrt,
            "real_power": np.power,
        }
    device = cuda.module().libdevice
    return shared | {
        "exp": math.exp,
        "exp_nonpositive": math.exp,
        "tanh": math.tanh,
        "sin_pi": device.sinpif if kind is np.float32 else device.sinpi,
        "log1p_nonnegative": math.log1p,
        "sqrt": math.sqrt,
        "real_power": math.pow,
    }


def on_device(function: Callable, kind: type) -> Any:
    """A scalar function compiled for kernels over numbers of type `kind`."""
    return cuda.device(rebind(function, **meanings(kind)))
