"""The layers that users name, as PyTorch calls them, and how they become rows of a program."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fastkb.checks.scalars import check_flag, check_number, check_whole
from fastkb.nn.checks import check_initialization
from fastkb.nn.program.layout import Layer
from fastkb.scalar.activations import activation_code, find

IDENTITY = activation_code(find("identity"))


@dataclass(frozen=True)
class Linear:
    r"""A dense layer: :math:`a = W x + b`.

    Parameters
    ----------
    in_features, out_features : int
        Widths, 1 at least.
    bias : bool, default True
        Whether there is an intercept b.
    initialization : {"torch", "he", "glorot"}, default "torch"
        Weights are drawn evenly from -r to r: PyTorch's :math:`r = \sqrt{1/n}` for n inputs, and
        intercepts likewise; He's :math:`\sqrt{6/n}` (for ReLU) and Glorot's
        :math:`\sqrt{6/(n + m)}` for m outputs, and intercepts of zero.

    References
    ----------
    Glorot, Bengio (2010), AISTATS. He, Zhang, Ren, Sun (2015), ICCV.

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.Linear(10, 64)
    Linear(in_features=10, out_features=64, bias=True, initialization='torch')
    """

    fastkb_layer: ClassVar[bool] = True

    in_features: int
    out_features: int
    bias: bool = True
    initialization: str = "torch"

    def __post_init__(self) -> None:
        for name in ("in_features", "out_features"):
            object.__setattr__(self, name, check_whole(name, getattr(self, name), 1))
        object.__setattr__(self, "bias", check_flag("bias", self.bias))
        check_initialization(self.initialization)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of its parameters, by name."""
        weight: dict[str, tuple[int, ...]] = {"weight": (self.out_features, self.in_features)}
        return weight | ({"bias": (self.out_features,)} if self.bias else {})

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray | None]:
        """Initial weights and intercepts.  # shapes: (out_features, in_features), (out_features,)"""
        n, m = self.in_features, self.out_features
        squared = {"torch": 1 / n, "he": 6 / n, "glorot": 6 / (n + m)}[self.initialization]
        r = math.sqrt(squared)
        weights = rng.uniform(-r, r, (m, n))
        if not self.bias:
            return weights, None
        return weights, rng.uniform(-r, r, m) if self.initialization == "torch" else np.zeros(m)


class Activation:
    """An element-wise function; see :mod:`fastkb.scalar.activations` for the formulas."""

    fastkb_layer: ClassVar[bool] = True
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


def lower(layers: Sequence[Any]) -> tuple[list[Layer], dict[int, int]]:
    """The rows of a program, and which row each Linear layer became.

    An activation behind a Linear layer is computed with it; further ones are rows of their own.

    Parameters
    ----------
    layers : sequence of Linear and Activation
        Checked: widths fit together.
    """
    rows: list[Layer] = []
    places: dict[int, int] = {}
    width = next(layer.in_features for layer in layers if isinstance(layer, Linear))
    for place, layer in enumerate(layers):
        if isinstance(layer, Linear):
            places[place] = len(rows)
            width = layer.out_features
            rows.append(Layer(layer.in_features, width, True, layer.bias, IDENTITY, 0.0, True))
            continue
        found = find(layer.name)
        code = activation_code(found)
        if code == IDENTITY:
            continue
        about = (code, layer.parameter, found.from_output)
        if rows and rows[-1].activation == IDENTITY:
            rows[-1] = rows[-1]._replace(
                activation=about[0], parameter=about[1], from_output=about[2]
            )
        else:
            rows.append(Layer(width, width, False, False, *about))
    return rows, places
