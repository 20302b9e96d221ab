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
from fastkb.scalar.elementary import _make_whole_power
from fastkb.scalar.source import rebind


@functools.cache
def meanings(kind: type) -> dict[str, Any]:
    """What the names of :mod:`fastkb.scalar.elementary` mean for numbers of type `kind` on CUDA."""
    whole_power = cuda.device(_make_whole_power(kind))
    if cuda.simulated():
        # NumPy's keep float32, and give NaN and infinity where math's raise: as the device's do.
        exp: Any = np.exp
        return {
            "exp": exp,
            "exp_nonpositive": exp,
            "tanh": np.tanh,
            "real_power": np.power,
            "whole_power": whole_power,
        }
    return {
        "exp": math.exp,
        "exp_nonpositive": math.exp,
        "tanh": math.tanh,
        "real_power": math.pow,
        "whole_power": whole_power,
    }


def on_device(function: Callable, kind: type) -> Any:
    """A scalar function compiled for kernels over numbers of type `kind`."""
    return cuda.device(rebind(function, **meanings(kind)))
