"""What is done with derivatives before a step, under the names of ``torch.nn.utils``.

>>> import numpy as np
>>> from fastkb import nn
>>> net = nn.Sequential(nn.Linear(2, 1), rng=0)
>>> loss = nn.MSELoss()(net(np.array([[3.0, 4.0]])), [[100.0]])
>>> loss.backward()
>>> norm = nn.utils.clip_grad_norm_(net.parameters(), 1.0)
>>> norm > 1000.0
True
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from fastkb.checks.scalars import check_flag, check_number, unexpected
from fastkb.nn.program.updating import square_of_spans
from fastkb.nn.recording.parameter import Parameter

__all__ = ["clip_grad_norm_", "clip_grad_value_"]

# A sum of squares below it may have lost some of them.
_SMALLEST = 1e-280


def clip_grad_norm_(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> float:
    """Scale derivatives down where their norm, of all of them together, is above a limit.

    They are multiplied by min(1, max_norm / (norm + 1e-6)), as in PyTorch.

    Parameters
    ----------
    parameters : Parameter or iterable of Parameter
        Those without derivatives do not count.
    max_norm : float
        The limit, at least 0; infinite: the norm is only computed.
    norm_type : float, default 2.0
        p of the p-norm, above 0; infinite: the largest absolute value.
    error_if_nonfinite : bool, default False
        Whether a norm that is not finite is an error. If not, a norm of NaN makes all derivatives NaN,
        and an infinite one makes the infinite ones NaN and others 0.

    Returns
    -------
    norm : float
        Before.

    Raises
    ------
    RuntimeError
        If it is not finite, and `error_if_nonfinite`. Nothing is changed then.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import nn
    >>> net = nn.Sequential(nn.Linear(2, 1, bias=False), rng=0)
    >>> (weight,) = net.parameters()
    >>> weight.grad = np.array([[3.0, 4.0]])
    >>> nn.utils.clip_grad_norm_(net.parameters(), max_norm=1.0)
    5.0
    >>> weight.grad.round(3)
    array([[0.6, 0.8]])
    """
    limit = _check_unbounded("max_norm", max_norm, 0.0, open_below=False)
    power = _check_unbounded("norm_type", norm_type, 0.0, open_below=True)
    check_flag("error_if_nonfinite", error_if_nonfinite)
    parts = list(_parts(parameters))
    norm = _norm(parts, power)
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(f"the norm of the derivatives is {norm}, and nothing was changed")
    factor = limit / (norm + 1e-6)
    if not factor >= 1.0:  # it may be NaN
        for buffer, ends in parts:
            for begin, end in ends:
                with np.errstate(invalid="ignore"):
                    buffer[begin:end] *= buffer.dtype.type(factor)
    return norm


def clip_grad_value_(parameters: Any, clip_value: float) -> None:
    """Cut off each derivative at plus and minus a limit.

    Parameters
    ----------
    parameters : Parameter or iterable of Parameter
    clip_value : float
        The limit, at least 0.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import nn
    >>> net = nn.Sequential(nn.Linear(2, 1, bias=False), rng=0)
    >>> (weight,) = net.parameters()
    >>> weight.grad = np.array([[3.0, -0.5]])
    >>> nn.utils.clip_grad_value_(net.parameters(), clip_value=1.0)
    >>> weight.grad
    array([[ 1. , -0.5]])
    """
    limit = check_number("clip_value", clip_value, 0.0)
    for buffer, ends in _parts(parameters):
        for begin, end in ends:
            np.clip(buffer[begin:end], -limit, limit, out=buffer[begin:end])


def _check_unbounded(name: str, value: Any, minimum: float, *, open_below: bool) -> float:
    """A number that may be infinite."""
    if isinstance(value, float) and value == math.inf:
        return math.inf
    return check_number(name, value, minimum, open_below=open_below)


def _parts(parameters: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The flat buffers of derivatives, and the spans of those with respect to these parameters."""
    if isinstance(parameters, Parameter):
        parameters = [parameters]
    if not isinstance(parameters, Iterable):
        raise unexpected("parameters", parameters, "a Parameter or an iterable of some")
    networks: dict[int, Any] = {}
    names: dict[int, set[str]] = {}
    for each in parameters:
        if not isinstance(each, Parameter):
            raise unexpected("parameters", each, "a Parameter or an iterable of some")
        networks[id(each._network)] = each._network
        names.setdefault(id(each._network), set()).add(each._name)
    for key, network in networks.items():
        chosen = names[key] & network._gradients.present
        if chosen:
            yield network._gradients.buffer, network._store.spans(chosen)


def _norm(parts: list[tuple[np.ndarray, np.ndarray]], power: float) -> float:
    if power == 2.0:
        total = sum(square_of_spans(buffer, ends) for buffer, ends in parts)
        if _SMALLEST < total < math.inf:
            return math.sqrt(total)
    pieces = [np.abs(buffer[begin:end]) for buffer, ends in parts for begin, end in ends]
    largest = float(np.max([piece.max() for piece in pieces], initial=0.0))
    if power == math.inf or largest == 0.0 or not math.isfinite(largest):
        return largest
    total = sum(float(np.sum((piece.astype(np.float64) / largest) ** power)) for piece in pieces)
    return float(largest * total ** (1.0 / power))
