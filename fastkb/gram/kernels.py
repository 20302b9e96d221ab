"""Kernels in the textbook's terms: small immutable objects that know their row of the engine's table.

>>> import numpy as np, fastkb
>>> x = np.array([[0.0], [1.0]])
>>> fastkb.gram(fastkb.kernels.RBF(sigma=1.0), x).round(3)
array([[1.   , 0.607],
       [0.607, 1.   ]])

They are added, multiplied, and given a length scale for each column; a kernel of one's own is a subclass
of :class:`Kernel`.

>>> k = 2.0 * fastkb.kernels.RBF(sigma=1.0) + fastkb.kernels.Linear()
>>> k.diag(x)
array([2., 3.])

Formulas and sources: Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, section 4.2.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

from fastkb.checks.scalars import check_number, unexpected
from fastkb.gram.algebra import Kernel, Multiple, Product, Scaled, Sum
from fastkb.scalar.kernels import Kernel as Row
from fastkb.scalar.kernels import find

__all__ = [
    "RBF",
    "Cosine",
    "Kernel",
    "Laplacian",
    "Linear",
    "Matern",
    "Multiple",
    "Periodic",
    "Polynomial",
    "Product",
    "RationalQuadratic",
    "Scaled",
    "Sigmoid",
    "Sum",
]


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
        _keep(self, find("polynomial"))

    @property
    def row(self) -> Row:
        return polynomial_row(self.degree)

    @property
    def parameters(self) -> tuple[float, ...]:
        return self.gamma, self.coef0, self.degree


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
        _keep_positive(self, "sigma")

    @property
    def row(self) -> Row:
        return find("rbf")

    @property
    def parameters(self) -> tuple[float, ...]:
        return _unscaled(self)

    @property
    def scaled_parameters(self) -> tuple[tuple[float, ...], int]:
        mantissa, exponent = math.frexp(self.sigma)
        return (1.0 / (2.0 * mantissa * mantissa),), -2 * exponent


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
        _keep(self, self.row)

    @property
    def row(self) -> Row:
        return find("laplacian")

    @property
    def parameters(self) -> tuple[float, ...]:
        return (self.gamma,)


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
        _keep(self, self.row)

    @property
    def row(self) -> Row:
        return find("sigmoid")

    @property
    def parameters(self) -> tuple[float, ...]:
        return self.gamma, self.coef0


@dataclass(frozen=True)
class Cosine(Kernel):
    r"""The cosine of the angle between two rows, :math:`K(x, x') = x^T x' / (\|x\| \|x'\|)`.

    Of a row of zeros it is 0, as in scikit-learn. Rows may be of any size: norms do not overflow.

    Examples
    --------
    >>> import fastkb
    >>> fastkb.kernels.Cosine()([[3.0, 4.0]], [[1e200, 0.0], [0.0, 0.0]])
    array([[0.6, 0. ]])
    """

    @property
    def row(self) -> Row:
        return find("cosine")


@dataclass(frozen=True)
class Matern(Kernel):
    r"""The Matérn kernel, whose functions are differentiable ν - 1/2 times, with r the distance
    :math:`\|x - x'\|`:

    ===== =============================================================
    ν     K(x, x')
    ===== =============================================================
    1/2   :math:`e^{-r / \ell}`
    3/2   :math:`(1 + s)\,e^{-s}`, :math:`s = \sqrt{3}\,r / \ell`
    5/2   :math:`(1 + s + s^2/3)\,e^{-s}`, :math:`s = \sqrt{5}\,r / \ell`
    ===== =============================================================

    Parameters
    ----------
    nu : float, default 1.5
        ν: 0.5, 1.5 or 2.5. (Of another ν the kernel has no such formula; for a large one, see RBF.)
    length_scale : float, default 1.0
        ℓ > 0, in the units of x.

    References
    ----------
    Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, equations 4.16 and 4.17.

    Examples
    --------
    >>> import fastkb
    >>> fastkb.kernels.Matern(nu=0.5)([[0.0]], [[0.0], [1.0]]).round(3)
    array([[1.   , 0.368]])
    """

    nu: float = 1.5
    length_scale: float = 1.0

    def __post_init__(self) -> None:
        _keep_positive(self, "nu", "length_scale")
        if self.nu not in _MATERN:
            raise unexpected("nu", self.nu, "0.5, 1.5 or 2.5")

    @property
    def row(self) -> Row:
        return find(_MATERN[self.nu])

    @property
    def parameters(self) -> tuple[float, ...]:
        return _unscaled(self)

    @property
    def scaled_parameters(self) -> tuple[tuple[float, ...], int]:
        mantissa, exponent = math.frexp(self.length_scale)
        return (1.0 / (mantissa * mantissa),), -2 * exponent


_MATERN = {0.5: "matern12", 1.5: "matern32", 2.5: "matern52"}


@dataclass(frozen=True)
class RationalQuadratic(Kernel):
    r"""The rational quadratic kernel
    :math:`K(x, x') = \left(1 + \|x - x'\|^2 / 2\alpha\ell^2\right)^{-\alpha}`.

    A mixture of RBF kernels of all widths; for α → ∞ the RBF kernel of σ = ℓ.

    Parameters
    ----------
    alpha : float, default 1.0
        α > 0.
    length_scale : float, default 1.0
        ℓ > 0, in the units of x.

    References
    ----------
    Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, equation 4.19.

    Examples
    --------
    >>> import fastkb
    >>> fastkb.kernels.RationalQuadratic(alpha=0.5)([[0.0]], [[0.0], [1.0]]).round(3)
    array([[1.   , 0.707]])
    """

    alpha: float = 1.0
    length_scale: float = 1.0

    def __post_init__(self) -> None:
        _keep_positive(self, "alpha", "length_scale")

    @property
    def row(self) -> Row:
        return find("rational_quadratic")

    @property
    def parameters(self) -> tuple[float, ...]:
        return _unscaled(self)

    @property
    def scaled_parameters(self) -> tuple[tuple[float, ...], int]:
        mantissa, exponent = math.frexp(self.length_scale)
        return (1.0 / (2.0 * mantissa * mantissa), self.alpha), -2 * exponent


@dataclass(frozen=True)
class Periodic(Kernel):
    r"""The periodic kernel
    :math:`K(x, x') = \exp\left(-2 \sum_j \sin^2(\pi |x_j - x'_j| / p) / \ell^2\right)`.

    Over several columns it is the product of the columns' kernels, each with this period; of the
    Euclidean distance it would not be positive semidefinite. (For periods of their own, take
    ``Periodic(1.0).scaled([p1, p2])``.) Differences are formed first, so an offset costs nothing.

    Parameters
    ----------
    period : float, default 1.0
        p > 0, in the units of x.
    length_scale : float, default 1.0
        ℓ > 0, a number: how smooth the functions are within a period.

    References
    ----------
    Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, equation 4.31;
    MacKay (1998), Introduction to Gaussian Processes, section 5.2.

    Examples
    --------
    >>> import fastkb
    >>> fastkb.kernels.Periodic(period=3.0)([[0.0]], [[300.0], [301.5]]).round(3)
    array([[1.   , 0.135]])
    """

    period: float = 1.0
    length_scale: float = 1.0

    def __post_init__(self) -> None:
        _keep_positive(self, "period", "length_scale")

    @property
    def row(self) -> Row:
        return find("periodic")

    @property
    def parameters(self) -> tuple[float, ...]:
        return _unscaled(self)

    @property
    def scaled_parameters(self) -> tuple[tuple[float, ...], int]:
        mantissa, exponent = math.frexp(self.period)
        return (1.0 / mantissa, 1.0 / self.length_scale), -exponent


def _keep(kernel: Kernel, row: Row) -> None:
    """Check the row's parameters by its limits, and keep them as Python floats."""
    for parameter in row.parameters:
        minimum, open_below = parameter.minimum, parameter.open_below
        _set(kernel, parameter.name, minimum=minimum, open_below=open_below)


def _keep_positive(kernel: Kernel, *names: str) -> None:
    for name in names:
        _set(kernel, name, minimum=0, open_below=True)


def _set(kernel: Kernel, name: str, **limits: Any) -> None:
    """A Python float: NumPy's small integers overflow when squared."""
    object.__setattr__(kernel, name, check_number(name, getattr(kernel, name), **limits))


def _unscaled(kernel: Kernel) -> tuple[float, ...]:
    """The parameters as plain numbers, the first of them within a float's range."""
    (first, *others), power = kernel.scaled_parameters
    try:
        return math.ldexp(first, power), *others
    except OverflowError:
        return sys.float_info.max, *others


def polynomial_row(degree: float) -> Row:
    """The cheapest row of the table that computes a power of this degree."""
    if degree == 2:
        return find("polynomial2")
    if degree == 3:
        return find("polynomial3")
    whole = degree == int(degree) and 0 <= degree < 64
    return find("polynomial" if whole else "polynomial_real")
