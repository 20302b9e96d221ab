"""What :func:`fastkb.bootstrap` computes on a device, and the error for everything else.

Nothing here needs a device.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkb.bootstrap.checks import Request, Samples
from fastkb.bootstrap.evaluate.cuda.plan import SCHEMES
from fastkb.bootstrap.evaluate.statistics import Statistic
from fastkb.runtime import cuda

DEVICES = ("cpu", "cuda")
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))

_SERVED = (
    "mean, sum, std, var, median, min, max, ptp, trimmed_mean, numpy's quantile and percentile and "
    "scipy's trim_mean, of one sample"
)
_OTHERWISE = "use device='cpu'"


def on_host(data: Any, device: Any) -> tuple[Any, bool]:
    """The data as arrays of the CPU, and whether their resamples are drawn on a device.

    Parameters
    ----------
    data
        As the user passes it.
    device : {None, "cpu", "cuda"}
        None: where the data are.

    Raises
    ------
    ValueError, TypeError
        For another device, for data on the GPU that are not float32 or float64, or not all there, and for
        such data with ``device="cpu"``.
    """
    if device is not None and device not in DEVICES:
        raise ValueError(f"device must be None, 'cpu' or 'cuda', got {device!r}")
    if cuda.is_device_array(data):
        raise ValueError(
            f"`data` must be a sequence of samples, got {type(data).__name__}: for one sample x write "
            "(x,)"
        )
    there = [cuda.is_device_array(one) for one in data] if isinstance(data, tuple | list) else []
    if not any(there):
        return data, device == "cuda"
    if device == "cpu":
        raise ValueError(
            f"data[{there.index(True)}] is on the GPU, and device is 'cpu': copy it to the CPU, or leave "
            "out `device`"
        )
    for j, one in enumerate(data):
        if not there[j]:
            raise TypeError(
                f"data[{j}] must be on the GPU, as data[{there.index(True)}] is; got "
                f"{type(one).__name__}"
            )
        dtype = np.dtype(cuda.interface(one)["typestr"])
        if dtype not in _FLOATS:
            raise ValueError(
                f"data[{j}] must be float32 or float64 on a GPU; got {dtype}: convert it"
            )
    return [cuda.view(one).copy_to_host() for one in data], True


def check_served(
    statistic: Any,
    known: Statistic | None,
    samples: Samples,
    request: Request,
    scheme: Any,
    executor: Any,
) -> None:
    """Raise an error that says what a device does not compute, and what it does.

    Raises
    ------
    ValueError
        With the argument, and what is served.
    CudaUnavailableError
        If there is no device.
    """
    if executor is not None:
        raise ValueError("device='cuda' and executor exclude each other: leave out one of the two")
    if known is None or known.n_samples != 1 or len(samples.arrays) != 1:
        name = known.name if known else getattr(statistic, "__name__", statistic)
        many = "" if len(samples.arrays) == 1 else f" of {len(samples.arrays)} samples"
        raise ValueError(
            f"device='cuda' computes the statistics {_SERVED}; got statistic {name}{many}: {_OTHERWISE}"
        )
    if request.method == "studentized":
        raise ValueError(
            "device='cuda' computes the methods 'percentile', 'basic', 'BCa' and 'cheap'; got "
            f"method='studentized': {_OTHERWISE}"
        )
    if scheme is not None and type(scheme) not in SCHEMES:
        names = ", ".join(one.__name__ for one in SCHEMES)
        raise ValueError(
            f"device='cuda' draws single rows and the schemes {names}; got scheme={scheme!r}: "
            f"{_OTHERWISE}"
        )
    _check_numbers(samples)
    cuda.load()


def _check_numbers(samples: Samples) -> None:
    (x,) = samples.arrays
    n = x.shape[-1]
    if n >= 2**31:
        raise ValueError(f"device='cuda' takes up to 2**31 - 1 observations; data[0] has {n}")
    if x.dtype == np.float16:
        raise ValueError(
            "device='cuda' does not compute with float16, which data[0] is: convert it"
        )
    if not samples.finite and not np.isnan(x).any():  # NaN has an error of its own
        raise ValueError(
            f"device='cuda' takes finite numbers; data[0] contains infinity: {_OTHERWISE}"
        )
    if x.dtype.kind in "iu" and x.itemsize == 8:
        largest = np.abs(x.astype(np.float64)).max()
        if largest >= 2.0**52 / n:
            raise ValueError(
                "device='cuda' takes whole numbers whose sums are exact in float64, below 2**52 / n; "
                f"data[0] has one of size {largest:.3g}: {_OTHERWISE}"
            )
