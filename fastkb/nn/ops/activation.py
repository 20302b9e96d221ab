"""Element-wise layers: functions of one number, applied to every value.

Behind a layer with weights a function is computed with it, while its values are in the cache. Any other
function is a row of its own, of the operation below, which hands its inputs on: the function itself,
and its derivative, are no matter of the operation's (:func:`fastkb.nn.program.passes.activate_row`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastkb.checks.scalars import check_number
from fastkb.nn.ops.operation import ANY, ELEMENTS, Layer, Operation, nothing
from fastkb.nn.program.passes import add, copy, reach


class Activation(Layer):
    """An element-wise function; see :mod:`fastkb.scalar.activations` for the formulas."""

    name: ClassVar[str]

    @property
    def parameter(self) -> float:
        """The slope or alpha; 0 where there is none."""
        return 0.0


@dataclass(frozen=True)
class Identity(Activation):
    """a = z.

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.Sequential(nn.Linear(2, 3), nn.Identity(), nn.Linear(3, 1)).layers[1]
    Identity()
    """

    name = "identity"


@dataclass(frozen=True)
class ReLU(Activation):
    """a = max(z, 0).

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)).layers[1]
    ReLU()
    """

    name = "relu"


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """a = z where z is positive, else negative_slope · z.

    Parameters
    ----------
    negative_slope : float, default 0.1
        At least 0.

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.LeakyReLU(0.2)
    LeakyReLU(negative_slope=0.2)
    """

    negative_slope: float = 0.1
    name = "leaky_relu"

    def __post_init__(self) -> None:
        check_number("negative_slope", self.negative_slope, 0.0)

    @property
    def parameter(self) -> float:
        return float(self.negative_slope)


@dataclass(frozen=True)
class ELU(Activation):
    """a = z where z is positive, else alpha · (eᶻ - 1).

    Parameters
    ----------
    alpha : float, default 1.0
        At least 0.

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.ELU(alpha=0.5)
    ELU(alpha=0.5)
    """

    alpha: float = 1.0
    name = "elu"

    def __post_init__(self) -> None:
        check_number("alpha", self.alpha, 0.0)

    @property
    def parameter(self) -> float:
        return float(self.alpha)


@dataclass(frozen=True)
class Sigmoid(Activation):
    """a = 1 / (1 + e⁻ᶻ).

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.Sequential(nn.Linear(2, 3), nn.Sigmoid(), nn.Linear(3, 1)).layers[1]
    Sigmoid()
    """

    name = "sigmoid"


@dataclass(frozen=True)
class Tanh(Activation):
    """a = tanh z.

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).layers[1]
    Tanh()
    """

    name = "tanh"


@dataclass(frozen=True)
class Softplus(Activation):
    """a = log(1 + eᶻ).

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.Sequential(nn.Linear(2, 3), nn.Softplus(), nn.Linear(3, 1)).layers[1]
    Softplus()
    """

    name = "softplus"


@dataclass(frozen=True)
class GELU(Activation):
    """a = z Φ(z), with the normal distribution function Φ (Hendrycks, Gimpel 2016).

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.Sequential(nn.Linear(2, 3), nn.GELU(), nn.Linear(3, 1)).layers[1]
    GELU()
    """

    name = "gelu"


@dataclass(frozen=True)
class Sign(Activation):
    """a = -1, 0 or 1: the single node as a linear classifier. It has no derivative and is not trained.

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.Sequential(nn.Linear(2, 3), nn.Sign(), nn.Linear(3, 1)).layers[1]
    Sign()
    """

    name = "sign"


# --- rules --------------------------------------------------------------------------------------


def forward(row, parameters, values, span, sizes):
    """The inputs."""
    source, target = row.source * sizes.capacity, row.target * sizes.capacity
    begin, end = reach(row.target_stride, span, sizes)
    copy(values[target + begin : target + end], values[source + begin : source + end])


def backward(row, parameters, transposed, values, deltas, span, sizes):
    """The outputs' deltas."""
    source, target = row.source * sizes.capacity, row.target * sizes.capacity
    begin, end = reach(row.target_stride, span, sizes)
    mine, theirs = deltas[source + begin : source + end], deltas[target + begin : target + end]
    if row.accumulate & 1:
        add(mine, theirs)
    else:
        copy(mine, theirs)


ELEMENTWISE = Operation(
    "elementwise", forward, backward, nothing, nothing, hands_on=True, reads=ANY, writes=ANY,
    bands=ELEMENTS,
)  # fmt: skip
