"""The activations of neural networks, each as one scalar function with its derivative.

**To add an activation**, write it and its derivative below and list them in :data:`ACTIVATIONS`. Both
work on one number (LLVM widens the loop around it), call only functions of
:mod:`fastkb.scalar.elementary` and :mod:`fastkb.scalar.smooth`, and have no branch. p is the one
parameter, in the element type of the computation. NaN is passed on.

A derivative is a function of the activation's own output a = g(t) where that determines it: the inputs
then need not be kept. Only GELU, which is not monotone, is differentiated at the input.

:func:`activate` and :func:`times_derivative` are chains of compiled functions, as is
:mod:`fastkb.tile.epilogue`: an activation's code is its place in the table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from fastkb.runtime.jit import inline, switch
from fastkb.scalar.elementary import tanh as _tanh
from fastkb.scalar.smooth import expm1_nonpositive
from fastkb.scalar.smooth import gelu as _gelu
from fastkb.scalar.smooth import gelu_derivative as _gelu_derivative
from fastkb.scalar.smooth import sigmoid as _sigmoid
from fastkb.scalar.smooth import softplus as _softplus


class Activation(NamedTuple):
    """One row of the table: the names, the function, its derivative, and its parameter."""

    name: str
    torch_name: str  # the module of torch.nn; empty if there is none
    function: Callable[[float, float], float]  # g(t, p)
    derivative: Callable[[float, float], float] | None  # g' of the output, or of the input
    from_output: bool  # which of the two
    parameter: float | None  # the default of p
    parameter_name: str  # as PyTorch calls it; empty if p is not used


# Constants are of the element type, type(t)(1): a float64, 1.0, would widen the loop of float32.


def identity(t, p):
    """g(t) = t; g' = 1."""
    return t


def identity_derivative(a, p):
    """1."""
    return type(a)(1)


def sign(t, p):
    """-1, 0 or 1, as t is; forward only, as the derivative is zero or missing everywhere."""
    one = type(t)(1)
    return one if t > 0 else (-one if t < 0 else t)


def relu(t, p):
    """g(t) = max(t, 0); g'(0) is taken as 0."""
    zero = type(t)(0)
    return zero if t <= 0 else t


def relu_derivative(a, p):
    """1 where a > 0, else 0."""
    one, zero = type(a)(1), type(a)(0)
    return one if a > 0 else (zero if a <= 0 else a)


def leaky_relu(t, p):
    """g(t) = t for t > 0, else p·t, with a slope p ≥ 0; g'(0) is taken as p.

    (With a negative slope the output would not tell on which side the input was.)
    """
    below = p * t
    return t if t > 0 else below


def leaky_relu_derivative(a, p):
    """1 where a > 0, else p."""
    one = type(a)(1)
    return one if a > 0 else (p if a <= 0 else a)


def elu(t, p):
    """g(t) = t for t > 0, else p·(eᵗ - 1), with p ≥ 0 (as for :func:`leaky_relu`)."""
    below = p * expm1_nonpositive(type(t)(0) if t > 0 else t)
    return t if t > 0 else below


def elu_derivative(a, p):
    """1 where a > 0, else p·eᵗ = a + p."""
    one = type(a)(1)
    below = a + p
    return one if a > 0 else below


def sigmoid(t, p):
    """g(t) = 1 / (1 + e⁻ᵗ)."""
    return _sigmoid(t)


def sigmoid_derivative(a, p):
    """a·(1 - a)."""
    return a * (type(a)(1) - a)


def tanh(t, p):
    """g(t) = tanh t."""
    return _tanh(t)


def tanh_derivative(a, p):
    """1 - a²."""
    return type(a)(1) - a * a


def softplus(t, p):
    """g(t) = log(1 + eᵗ)."""
    return _softplus(t)


def softplus_derivative(a, p):
    """The sigmoid of t, 1 - e⁻ᵃ."""
    return -expm1_nonpositive(-a)


def gelu(t, p):
    """g(t) = t·Φ(t), Φ the normal distribution function."""
    return _gelu(t)


def gelu_derivative(t, p):
    """Φ(t) + t·φ(t), φ the normal density."""
    return _gelu_derivative(t)


ACTIVATIONS: tuple[Activation, ...] = (
    Activation("identity", "Identity", identity, identity_derivative, True, None, ""),
    Activation("sign", "", sign, None, True, None, ""),
    Activation("relu", "ReLU", relu, relu_derivative, True, None, ""),
    Activation(
        "leaky_relu", "LeakyReLU", leaky_relu, leaky_relu_derivative, True, 0.1, "negative_slope"
    ),
    Activation("elu", "ELU", elu, elu_derivative, True, 1.0, "alpha"),
    Activation("sigmoid", "Sigmoid", sigmoid, sigmoid_derivative, True, None, ""),
    Activation("tanh", "Tanh", tanh, tanh_derivative, True, None, ""),
    Activation("softplus", "Softplus", softplus, softplus_derivative, True, None, ""),
    Activation("gelu", "GELU", gelu, gelu_derivative, False, None, ""),
)


def find(name: str) -> Activation:
    """The row of :data:`ACTIVATIONS` called `name`."""
    return next(activation for activation in ACTIVATIONS if activation.name == name)


def activation_code(activation: Activation) -> int:
    """The small integer by which the compiled switches know the activation."""
    return ACTIVATIONS.index(activation)


@inline(references=False)
def _leave(*arguments):
    return


def _activating(activation: Activation) -> Any:
    if activation.function is identity:  # nothing to do, and a loop that does it would cost a pass
        return _leave
    compiled = inline(activation.function)

    @inline(references=False)
    def apply(values, p):
        parameter = values.dtype.type(p)
        # From 0: an index that might be negative would be wrapped around, element by element, and the
        # loop not be vectorised.
        for j in range(len(values)):
            values[j] = compiled(values[j], parameter)

    return apply


def _differentiating(activation: Activation) -> Any:
    if activation.function is identity or activation.derivative is None:
        return _leave
    compiled = inline(activation.derivative)

    @inline(references=False)
    def apply(gradient, values, p):
        parameter = values.dtype.type(p)
        for j in range(len(values)):
            gradient[j] *= compiled(values[j], parameter)

    return apply


# activate(code, values, p): values = g(values), in place, for a contiguous array.
# times_derivative(code, gradient, values, p): gradient *= g', for contiguous arrays of one length;
# values are the outputs, or the inputs where from_output is False. Without derivative: no change.
activate = switch(list(map(_activating, ACTIVATIONS)), references=False)
times_derivative = switch(list(map(_differentiating, ACTIVATIONS)), references=False)
