"""Kernels in the textbook's terms: small immutable objects that know their row of the engine's table.

>>> import numpy as np, fastkb
>>> x = np.array([[0.0], [1.0]])
>>> fastkb.gram(fastkb.kernels.RBF(sigma=1.0), x).round(3)
array([[1.   , 0.607],
       [0.607, 1.   ]])
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastkb.checks.scalars import check_number
from fastkb.scalar.kernels import Kernel as Row
from fastkb.scalar.kernels import Parameters, find

__all__ = ["RBF", "Kernel", "Laplacian", "Linear", "Polynomial", "Sigmoid"]


class Kernel:
    """Base of the kernel objects: anything with a `row` and `parameters`.

    Examples
    --------
    >>> from fastkb import kernels
    >>> isinstance(kernels.RBF(), kernels.Kernel)
    True
    """

    # Tells a kernel object from a callable of two rows, without importing this module.
    _is_fastkb_kernel = True

    @property
    def row(self) -> Row:
        """The kernel's row of :data:`fastkb.scalar.kernels.KERNELS`."""
        raise TypeError(f"{type(self).__name__} does not say which row of the table it is")

    @property
    def parameters(self) -> Parameters:
        """γ, c and k as the row's scalar function reads them."""
        return Parameters(1.0, 0.0, 1.0)

    @property
    def scaled_parameters(self) -> tuple[Parameters, int]:
        """The parameters with a factor of γ apart, as a power of two: γ may be out of a float's range."""
        return self.parameters, 0

    def __call__(self, X: Any, Y: Any = None, *, out: np.ndarray | None = None) -> np.ndarray:
        """The Gram matrix: see :func:`fastkb.gram`."""
        from fastkb.gram.pairwise import gram

        return gram(self, X, Y, out=out)


@dataclass(frozen=True)
class Linear(Kernel):
    r"""The linear kernel :math:`K(x, x') = x^T x'`.

    Examples
    --------
    >>> from fastkb import kernels
    >>> kernels.Linear()([[1.0], [2.0]]).round(3).tolist()
    [[1.0, 2.0], [2.0, 4.0]]
    """

    @property
    def row(self) -> Row:
        return find("linear")


@dataclass(frozen=True)
class Polynomial(Kernel):
    r"""The polynomial kernel :math:`K(x, x') = (\gamma\, x^T x' + c)^k`.

    ``coef0=1`` gives the polynomials of degree up to k, ``coef0=0`` those of degree exactly k.

    Parameters
    ----------
    degree : float, k ≥ 0
    coef0 : float, default 1.0
        c.
    gamma : float, default 1.0
        γ ≥ 0.

    Examples
    --------
    >>> from fastkb import kernels
    >>> kernels.Polynomial(degree=2)([[1.0], [2.0]]).round(3).tolist()
    [[4.0, 9.0], [9.0, 25.0]]
    """

    degree: float
    coef0: float = 1.0
    gamma: float = 1.0

    def __post_init__(self) -> None:
        _keep(self, "degree", minimum=0)
        _keep(self, "coef0")
        _keep(self, "gamma", minimum=0)

    @property
    def row(self) -> Row:
        return polynomial_row(self.degree)

    @property
    def parameters(self) -> Parameters:
        return Parameters(self.gamma, self.coef0, self.degree)


@dataclass(frozen=True)
class RBF(Kernel):
    r"""The Gaussian kernel :math:`K(x, x') = \exp(-\|x - x'\|^2 / 2\sigma^2)`.

    Parameters
    ----------
    sigma : float, default 1.0
        The bandwidth σ > 0, in the units of x; scikit-learn's gamma is 1/(2σ²).

    Examples
    --------
    >>> from fastkb import kernels
    >>> kernels.RBF(sigma=1.0)([[0.0], [1.0]]).round(3).tolist()
    [[1.0, 0.607], [0.607, 1.0]]
    """

    sigma: float = 1.0

    def __post_init__(self) -> None:
        _keep(self, "sigma", minimum=0, open_below=True)

    @property
    def row(self) -> Row:
        return find("rbf")

    @property
    def parameters(self) -> Parameters:
        square = 2.0 * self.sigma * self.sigma
        # A width whose square underflows: as large as can be, and 1 on the diagonal all the same.
        largest = sys.float_info.max
        gamma = min(1.0 / square, largest) if square > 0.0 else largest
        return Parameters(gamma, 0.0, 1.0)

    @property
    def scaled_parameters(self) -> tuple[Parameters, int]:
        mantissa, exponent = math.frexp(self.sigma)
        return Parameters(1.0 / (2.0 * mantissa * mantissa), 0.0, 1.0), -2 * exponent


@dataclass(frozen=True)
class Laplacian(Kernel):
    r"""The Laplacian kernel :math:`K(x, x') = \exp(-\gamma \|x - x'\|_1)`.

    Parameters
    ----------
    gamma : float, default 1.0
        γ > 0.

    Examples
    --------
    >>> from fastkb import kernels
    >>> kernels.Laplacian(gamma=1.0)([[0.0], [1.0]]).round(3).tolist()
    [[1.0, 0.368], [0.368, 1.0]]
    """

    gamma: float = 1.0

    def __post_init__(self) -> None:
        _keep(self, "gamma", minimum=0, open_below=True)

    @property
    def row(self) -> Row:
        return find("laplacian")

    @property
    def parameters(self) -> Parameters:
        return Parameters(self.gamma, 0.0, 1.0)


@dataclass(frozen=True)
class Sigmoid(Kernel):
    r"""The sigmoid kernel :math:`K(x, x') = \tanh(\gamma\, x^T x' + r)`: not positive definite.

    Parameters
    ----------
    gamma : float, default 1.0
        γ ≥ 0.
    coef0 : float, default 0.0
        r.

    Examples
    --------
    >>> from fastkb import kernels
    >>> kernels.Sigmoid(gamma=0.5)([[1.0], [2.0]]).round(3).tolist()
    [[0.462, 0.762], [0.762, 0.964]]
    """

    gamma: float = 1.0
    coef0: float = 0.0

    def __post_init__(self) -> None:
        _keep(self, "gamma", minimum=0)
        _keep(self, "coef0")

    @property
    def row(self) -> Row:
        return find("sigmoid")

    @property
    def parameters(self) -> Parameters:
        return Parameters(self.gamma, self.coef0, 1.0)


def _keep(kernel: Kernel, name: str, **limits: Any) -> None:
    """Check a parameter, and keep it as a Python float: NumPy's small integers overflow when squared."""
    object.__setattr__(kernel, name, check_number(name, getattr(kernel, name), **limits))


def polynomial_row(degree: float) -> Row:
    """The cheapest row of the table that computes a power of this degree."""
    if degree == 2:
        return find("polynomial2")
    if degree == 3:
        return find("polynomial3")
    whole = degree == int(degree) and 0 <= degree < 64
    return find("polynomial" if whole else "polynomial_real")
