"""The kernels, each as an accumulation over columns followed by one scalar function.

    K(x, x') = g(t),    t = Σ_k x_k x'_k   or   Σ_k (x_k - x'_k)²   or   Σ_k |x_k - x'_k|

**To add a kernel**, write its g below and list it in :data:`KERNELS`. Nothing else: the engine takes
its switch from that table, on the CPU and on CUDA. g works on one number (LLVM widens the loop around
it), calls only functions of :mod:`fastkb.scalar.elementary`, and has no branch.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from fastkb.scalar.elementary import exp_nonpositive, real_power, tanh, whole_power


class Form(IntEnum):
    """What is accumulated over the columns of two rows."""

    DOT = 0  # Σ x_k x'_k
    SQDIFF = 1  # Σ (x_k - x'_k)²: squared Euclidean distance, without cancellation
    ABSDIFF = 2  # Σ |x_k - x'_k|: Manhattan distance
    WEIGHTED_SQDIFF = 3  # Σ (w_k (x_k - x'_k))²
    WEIGHTED_ABSDIFF = 4  # Σ w_k |x_k - x'_k|


class Parameters(NamedTuple):
    """A kernel's parameters, in the element type of the computation."""

    gamma: float
    coef0: float
    degree: float


class Kernel(NamedTuple):
    """One row of the table: the name, the accumulation, the scalar function, and what is known of it."""

    name: str
    form: Form
    function: Callable[[float, Parameters], float]
    positive_definite: bool  # for coef0 ≥ 0
    unit_diagonal: bool  # K(x, x) = 1

    @property
    def takes_gamma(self) -> bool:
        """Whether its function is one of γt."""
        return self.function is not identity


def identity(t, p):
    r"""Linear kernel: :math:`g(t) = t`."""
    return t


def polynomial(t, p):
    r"""Polynomial kernel of a whole degree from 0 to 63: :math:`g(t) = (\gamma t + c)^k`."""
    return whole_power(p.gamma * t + p.coef0, p.degree)


def polynomial_real(t, p):
    r"""Polynomial kernel of any real degree: :math:`g(t) = (\gamma t + c)^k`."""
    return real_power(p.gamma * t + p.coef0, p.degree)


def square(t, p):
    r"""Polynomial kernel of degree 2: :math:`g(t) = (\gamma t + c)^2`."""
    base = p.gamma * t + p.coef0
    return base * base


def cube(t, p):
    r"""Polynomial kernel of degree 3: :math:`g(t) = (\gamma t + c)^3`."""
    base = p.gamma * t + p.coef0
    return base * base * base


def exponential(t, p):
    r"""RBF kernel of a squared distance, Laplacian of a Manhattan distance:
    :math:`g(t) = e^{-\gamma t}`.
    """
    return exp_nonpositive(-p.gamma * t)  # t and γ are not negative


def sigmoid(t, p):
    r"""Sigmoid kernel: :math:`g(t) = \tanh(\gamma t + c)`; not positive definite in general."""
    return tanh(p.gamma * t + p.coef0)


KERNELS: tuple[Kernel, ...] = (
    Kernel("linear", Form.DOT, identity, positive_definite=True, unit_diagonal=False),
    Kernel("polynomial", Form.DOT, polynomial, positive_definite=True, unit_diagonal=False),
    Kernel(
        "polynomial_real", Form.DOT, polynomial_real, positive_definite=False, unit_diagonal=False
    ),
    Kernel("polynomial2", Form.DOT, square, positive_definite=True, unit_diagonal=False),
    Kernel("polynomial3", Form.DOT, cube, positive_definite=True, unit_diagonal=False),
    Kernel("rbf", Form.SQDIFF, exponential, positive_definite=True, unit_diagonal=True),
    Kernel("laplacian", Form.ABSDIFF, exponential, positive_definite=True, unit_diagonal=True),
    Kernel("sigmoid", Form.DOT, sigmoid, positive_definite=False, unit_diagonal=False),
    Kernel("sqeuclidean", Form.SQDIFF, identity, positive_definite=False, unit_diagonal=False),
    Kernel("manhattan", Form.ABSDIFF, identity, positive_definite=False, unit_diagonal=False),
)

# The scalar functions without repetition: an epilogue's code is its place here.
FUNCTIONS: tuple[Callable, ...] = tuple(dict.fromkeys(kernel.function for kernel in KERNELS))


def find(name: str) -> Kernel:
    """The row of :data:`KERNELS` called `name`."""
    return next(kernel for kernel in KERNELS if kernel.name == name)


def epilogue_code(kernel: Kernel) -> int:
    """The small integer by which the engine's switch knows the kernel's scalar function."""
    return FUNCTIONS.index(kernel.function)
