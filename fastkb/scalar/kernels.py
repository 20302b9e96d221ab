"""The kernels, each as an accumulation over columns followed by one scalar function.

    K(x, x') = g(t),    t = Σ_k x_k x'_k   or   Σ_k (x_k - x'_k)²   or   Σ_k |x_k - x'_k|

**To add a kernel**, write its g below and list it in :data:`KERNELS`. Nothing else: the engine takes
its switch from that table, on the CPU and on CUDA. g works on one number t (LLVM widens the loop around
it) and on parameters of its own, which its row of the table names in the same order. It calls only
functions of :mod:`fastkb.scalar.elementary`, and has no branch. The first parameter multiplies t, so
that their product can be formed in units that keep it in range (:mod:`fastkb.gram.units`). (A row may
have more parameters than its function takes: the power of a square is its own.)

The table is the only place that knows a kernel's parameters and their defaults, its names in
scikit-learn, its diagonal, and when it is positive semidefinite. All else is derived from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from fastkb.scalar.elementary import (
    exp_nonpositive,
    finite,
    log1p_nonnegative,
    real_power,
    sin_pi,
    sqrt,
    tanh,
    whole_power,
)


class Form(IntEnum):
    """What is accumulated over the columns of two rows."""

    DOT = 0  # Σ x_k x'_k
    SQDIFF = 1  # Σ (x_k - x'_k)²: squared Euclidean distance, without cancellation
    ABSDIFF = 2  # Σ |x_k - x'_k|: Manhattan distance
    WEIGHTED_SQDIFF = 3  # Σ (w_k (x_k - x'_k))²
    WEIGHTED_ABSDIFF = 4  # Σ w_k |x_k - x'_k|


#: The form whose differences have weights, by the one whose have none.
WEIGHTED = {Form.SQDIFF: Form.WEIGHTED_SQDIFF, Form.ABSDIFF: Form.WEIGHTED_ABSDIFF}


class Parameter(NamedTuple):
    """One of a scalar function's arguments after t: its name, its default, and what it may be."""

    name: str
    default: float | None = None  # None: 1 / number of columns
    minimum: float = -math.inf
    open_below: bool = False  # the minimum is excluded


def always(*parameters: float) -> bool:
    """A kernel that is positive semidefinite for all its parameters."""
    return True


def never(*parameters: float) -> bool:
    """A kernel of which that is not known, or not true."""
    return False


def for_whole_degrees(gamma: float, coef0: float, degree: float) -> bool:
    """Sums and products of such kernels are such kernels; with a negative c, or of a fractional degree,
    they need not be.
    """
    return coef0 >= 0 and float(degree).is_integer()


def steepness_of_rbf(gamma: float) -> float:
    """|g′/g| of exp(-γt)."""
    return gamma


def steepness_of_matern32(gamma: float) -> float:
    """The largest |g′/g| of (1 + s)e⁻ˢ, s² = 3γt: that at t = 0."""
    return 1.5 * gamma


def steepness_of_matern52(gamma: float) -> float:
    """The largest |g′/g| of (1 + s + s²/3)e⁻ˢ, s² = 5γt: that at t = 0."""
    return 5.0 / 6.0 * gamma


def steepness_of_rational_quadratic(gamma: float, alpha: float) -> float:
    """The largest |g′/g| of (1 + γt/α)^-α: that at t = 0."""
    return gamma


class Kernel(NamedTuple):
    """One row of the table: the name, the accumulation, the scalar function, and what is known of it."""

    name: str
    form: Form
    function: Callable[..., float]  # g(t, *parameters)
    parameters: tuple[Parameter, ...] = ()
    is_positive_semidefinite: Callable[..., bool] = never  # of the parameters
    unit_diagonal: bool = False  # K(x, x) = 1
    names: tuple[str, ...] = ()  # in scikit-learn
    unit_rows: bool = False  # x and x' are divided by their norms before
    by_column: bool = False  # the product over the columns of g(t of the column)
    slow: bool = False  # where t overflows, g(γt) may still be far from its limit
    # Of a squared distance t, the largest |g′(t)/g(t)|: by it an error of t becomes a relative one of g.
    # None: it has no bound, or is not known.
    steepness: Callable[..., float] | None = None


def identity(t):
    r"""Linear kernel: :math:`g(t) = t`."""
    return t


def polynomial(t, gamma, coef0, degree):
    r"""Polynomial kernel of a whole degree from 0 to 63: :math:`g(t) = (\gamma t + c)^k`."""
    return whole_power(gamma * t + coef0, degree)


def polynomial_real(t, gamma, coef0, degree):
    r"""Polynomial kernel of any real degree: :math:`g(t) = (\gamma t + c)^k`."""
    return real_power(gamma * t + coef0, degree)


def square(t, gamma, coef0):
    r"""Polynomial kernel of degree 2: :math:`g(t) = (\gamma t + c)^2`."""
    base = gamma * t + coef0
    return base * base


def cube(t, gamma, coef0):
    r"""Polynomial kernel of degree 3: :math:`g(t) = (\gamma t + c)^3`."""
    base = gamma * t + coef0
    return base * base * base


def exponential(t, gamma):
    r"""RBF kernel of a squared distance, Laplacian of a Manhattan distance:
    :math:`g(t) = e^{-\gamma t}`.
    """
    return exp_nonpositive(-gamma * t)  # t and γ are not negative


def sigmoid(t, gamma, coef0):
    r"""Sigmoid kernel: :math:`g(t) = \tanh(\gamma t + c)`; not positive definite in general."""
    return tanh(gamma * t + coef0)


def matern12(t, gamma):
    r"""Matérn kernel with ν = 1/2 of a squared distance: :math:`g(t) = e^{-s}`,
    :math:`s = \sqrt{\gamma t}`.
    """
    return exp_nonpositive(-sqrt(gamma * t))


def matern32(t, gamma):
    r"""Matérn kernel with ν = 3/2 of a squared distance: :math:`g(t) = (1 + s)\,e^{-s}`,
    :math:`s = \sqrt{3 \gamma t}`.
    """
    kind = type(t)
    s = sqrt(kind(3) * (gamma * t))
    s = kind(_FAR) if s > kind(_FAR) else s
    return (kind(1) + s) * exp_nonpositive(-s)


def matern52(t, gamma):
    r"""Matérn kernel with ν = 5/2 of a squared distance: :math:`g(t) = (1 + s + s^2/3)\,e^{-s}`,
    :math:`s = \sqrt{5 \gamma t}`.
    """
    kind = type(t)
    s = sqrt(kind(5) * (gamma * t))
    s = kind(_FAR) if s > kind(_FAR) else s
    return (kind(1) + s + s * s / kind(3)) * exp_nonpositive(-s)


def rational_quadratic(t, gamma, alpha):
    r"""Rational quadratic kernel of a squared distance:
    :math:`g(t) = (1 + \gamma t / \alpha)^{-\alpha}`.
    """
    return exp_nonpositive(-alpha * log1p_nonnegative(finite(gamma * t / alpha)))


def periodic(t, frequency, rate):
    r"""Periodic kernel of the distance in one column: :math:`g(t) = e^{-2 v^2}`,
    :math:`v = r \sin(\pi f t)`.
    """
    kind = type(t)
    turns = frequency * t
    # Beyond this every float is a whole number, as many turns as there are.
    turns = kind(_TURNS) if turns > kind(_TURNS) else turns
    v = rate * sin_pi(turns)
    return exp_nonpositive(-kind(2) * (v * v))


# e⁻ˢ is zero there in either type, and s² finite.
_FAR = 1000.0
# A whole number in either type.
_TURNS = 2.0**60

GAMMA = Parameter("gamma", None, 0)
POSITIVE_GAMMA = GAMMA._replace(open_below=True)
COEF0 = Parameter("coef0", 1.0)
DEGREE = Parameter("degree", 3.0, 0)
ALPHA = Parameter("alpha", 1.0, 0, open_below=True)
FREQUENCY = Parameter("frequency", 1.0, 0, open_below=True)
RATE = Parameter("rate", 1.0, 0, open_below=True)

_POLYNOMIAL = (GAMMA, COEF0, DEGREE)

KERNELS: tuple[Kernel, ...] = (
    Kernel("linear", Form.DOT, identity, (), always, names=("linear",)),
    Kernel(
        "polynomial", Form.DOT, polynomial, _POLYNOMIAL, for_whole_degrees,
        names=("polynomial", "poly"),
    ),
    Kernel("polynomial_real", Form.DOT, polynomial_real, _POLYNOMIAL, for_whole_degrees),
    Kernel("polynomial2", Form.DOT, square, _POLYNOMIAL, for_whole_degrees),
    Kernel("polynomial3", Form.DOT, cube, _POLYNOMIAL, for_whole_degrees),
    Kernel(
        "rbf", Form.SQDIFF, exponential, (GAMMA,), always, True, names=("rbf",),
        steepness=steepness_of_rbf,
    ),
    Kernel(
        "laplacian", Form.ABSDIFF, exponential, (POSITIVE_GAMMA,), always, True,
        names=("laplacian",),
    ),
    Kernel("sigmoid", Form.DOT, sigmoid, (GAMMA, COEF0), never, names=("sigmoid",)),
    Kernel("cosine", Form.DOT, identity, (), always, names=("cosine",), unit_rows=True),
    Kernel("matern12", Form.SQDIFF, matern12, (POSITIVE_GAMMA,), always, True),
    Kernel(
        "matern32", Form.SQDIFF, matern32, (POSITIVE_GAMMA,), always, True,
        steepness=steepness_of_matern32,
    ),
    Kernel(
        "matern52", Form.SQDIFF, matern52, (POSITIVE_GAMMA,), always, True,
        steepness=steepness_of_matern52,
    ),
    Kernel(
        "rational_quadratic", Form.SQDIFF, rational_quadratic, (POSITIVE_GAMMA, ALPHA), always, True,
        slow=True, steepness=steepness_of_rational_quadratic,
    ),
    Kernel("periodic", Form.ABSDIFF, periodic, (FREQUENCY, RATE), always, True, by_column=True),
    Kernel("sqeuclidean", Form.SQDIFF, identity),
    Kernel("manhattan", Form.ABSDIFF, identity),
)  # fmt: skip

# What scikit-learn computes under names of its own, and we do not: the parameters, and whether the kernel
# is positive semidefinite.
ELSEWHERE: dict[str, tuple[tuple[Parameter, ...], bool]] = {
    "additive_chi2": ((), False),
    "chi2": ((Parameter("gamma", 1.0, 0),), True),
}

# The scalar functions without repetition: an epilogue's code is its place here.
FUNCTIONS: tuple[Callable, ...] = tuple(dict.fromkeys(kernel.function for kernel in KERNELS))

_BY_NAME = {kernel.name: kernel for kernel in KERNELS}
_BY_NAME_OF_SCIKIT_LEARN = {name: kernel for kernel in KERNELS for name in kernel.names}

# A kernel's parameters stand in compiled code as a tuple of so many numbers, the last of them unused.
N_PARAMETERS = max(len(kernel.parameters) for kernel in KERNELS)


def n_parameters(function: Callable) -> int:
    """How many parameters a scalar function takes after t."""
    return function.__code__.co_argcount - 1


def find(name: str) -> Kernel:
    """The row of :data:`KERNELS` called `name`."""
    return _BY_NAME[name]


def named(name: str) -> Kernel | None:
    """The row of the kernel that scikit-learn calls `name`; None if there is none."""
    return _BY_NAME_OF_SCIKIT_LEARN.get(name)


def sums(form: Form) -> Kernel:
    """The row whose values are the sums of this form themselves."""
    return next(kernel for kernel in KERNELS if kernel.form == form and kernel.function is identity)


def epilogue_code(kernel: Kernel) -> int:
    """The small integer by which the engine's switch knows the kernel's scalar function."""
    return FUNCTIONS.index(kernel.function)
