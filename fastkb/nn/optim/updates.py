"""The update rules of the optimisers: one fused pass over a slice of parameters, gradient and state.

===========  ====================================================================================
rule         θ: values, g: gradient, m: `first`, v: `second`; ĉ₁, ĉ₂: the bias corrections
===========  ====================================================================================
SGD          θ ← θ − lr·g
  momentum   m ← μ·m + g,  θ ← θ − lr·m;  Nesterov: θ ← θ − lr·(g + μ·m)
ADAGRAD      v ← v + g²,  θ ← θ − lr·g / (√v + ε)
RMSPROP      v ← β₂·v + (1 − β₂)·g²,  θ ← θ − lr·g / (√v + ε)
  momentum   m ← μ·m + g / (√v + ε),  θ ← θ − lr·m
ADAM         m ← β₁·m + (1 − β₁)·g,  v as RMSPROP,  θ ← θ − (lr/ĉ₁)·m / (√v/√ĉ₂ + ε)
ADAMW        θ ← (1 − lr·λ)·θ before, the rest as ADAM
LAMB         d ← (m/ĉ₁) / (√v/√ĉ₂ + ε) + λ·θ,  θ ← θ − lr·(‖θ‖/‖d‖)·d, over the whole tensor
AMSGRAD      as ADAM with decayed weights, of the largest v so far, w ← max(w, v), in place of v
CENTERED     a ← β₂·a + (1 − β₂)·g,  the rest as RMSPROP, of v − a² in place of v
===========  ====================================================================================

All slices are contiguous, of one element type (float32 or float64) and of one length, they do not
overlap, and all that the loops compute with is converted to that type before them: a float64 within
would halve what a vector instruction does. Sums of squares alone are float64. Elements do not see each
other (LAMB's do through the norms): a slice that is cut in two gives the same bits.

References
----------
Polyak (1964), USSR Computational Mathematics and Mathematical Physics 4(5) (momentum). Sutskever,
Martens, Dahl, Hinton (2013), ICML (Nesterov's). Duchi, Hazan, Singer (2011), JMLR 12 (Adagrad). Tieleman,
Hinton (2012), Neural networks for machine learning, Coursera, lecture 6.5 (RMSprop). Kingma, Ba (2015),
ICLR, algorithm 1 (Adam). Loshchilov, Hutter (2019), ICLR, algorithm 2 (AdamW). You et al. (2020), ICLR,
algorithm 2 (LAMB). Reddi, Kale, Kumar (2018), ICLR, algorithm 2 (AMSGrad). Graves (2013),
arXiv:1308.0850, equations 38 to 41 (the centred RMSprop).
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from fastkb.runtime import inline


class Rule(IntEnum):
    """Which formula an update follows."""

    SGD = 0
    ADAGRAD = 1
    RMSPROP = 2
    ADAM = 3
    ADAMW = 4
    LAMB = 5
    # With a third state, w or a, of `update_with_third`.
    AMSGRAD = 6
    CENTERED = 7


class Hyper(NamedTuple):
    """What a rule knows of one step: plain numbers, always of the same types (one compilation)."""

    code: int  # of a Rule
    lr: float
    momentum: float = 0.0
    nesterov: int = 0  # 0 or 1
    beta1: float = 0.0
    beta2: float = 0.0  # RMSprop's alpha, too
    eps: float = 0.0
    weight_decay: float = 0.0
    correction1: float = 1.0  # 1 - beta1**t of step t = 1, 2, …; 1 where unused
    correction2: float = 1.0  # 1 - beta2**t
    eps_first: int = 0  # 1: ε is added to √v before the bias correction, as in scikit-learn


# Not zero in float32: padding, where all else is zero, would be divided by it.
_SMALLEST = 1.2e-38

SGD, ADAGRAD, RMSPROP = int(Rule.SGD), int(Rule.ADAGRAD), int(Rule.RMSPROP)
AMSGRAD = int(Rule.AMSGRAD)
LAMB = int(Rule.LAMB)  # Adam and AdamW share the remaining loop; the weight decay of Adam is 0


@inline(references=False)
def _sgd(values, gradient, hyper):
    lr = values.dtype.type(hyper.lr)
    for k in range(len(values)):
        values[k] -= lr * gradient[k]


@inline(references=False)
def _momentum(values, gradient, first, hyper):
    T = values.dtype.type
    lr, momentum = T(hyper.lr), T(hyper.momentum)
    if hyper.nesterov:
        for k in range(len(values)):
            g = gradient[k]
            velocity = momentum * first[k] + g
            first[k] = velocity
            values[k] -= lr * (g + momentum * velocity)
    else:
        for k in range(len(values)):
            velocity = momentum * first[k] + gradient[k]
            first[k] = velocity
            values[k] -= lr * velocity


@inline(references=False)
def _by_root(values, gradient, second, hyper):
    """Adagrad and RMSprop, which differ in how the squares are weighed."""
    T = values.dtype.type
    lr, eps = T(hyper.lr), T(max(hyper.eps, _SMALLEST))
    kept, new = T(hyper.beta2), T(1.0 - hyper.beta2)
    if hyper.code == ADAGRAD:
        kept, new = T(1.0), T(1.0)
    for k in range(len(values)):
        g = gradient[k]
        square = kept * second[k] + new * (g * g)
        second[k] = square
        values[k] -= lr * g / (math.sqrt(square) + eps)


@inline(references=False)
def _momentum_by_root(values, gradient, first, second, hyper):
    """RMSprop with momentum."""
    T = values.dtype.type
    lr, momentum, eps = T(hyper.lr), T(hyper.momentum), T(max(hyper.eps, _SMALLEST))
    kept, new = T(hyper.beta2), T(1.0 - hyper.beta2)
    for k in range(len(values)):
        g = gradient[k]
        square = kept * second[k] + new * (g * g)
        velocity = momentum * first[k] + g / (math.sqrt(square) + eps)
        second[k] = square
        first[k] = velocity
        values[k] -= lr * velocity


@inline(references=False)
def _adam(values, gradient, first, second, decayed, hyper):
    T = values.dtype.type
    kept1, new1 = T(hyper.beta1), T(1.0 - hyper.beta1)
    kept2, new2 = T(hyper.beta2), T(1.0 - hyper.beta2)
    step, eps = T(hyper.lr / hyper.correction1), T(max(hyper.eps, _SMALLEST))
    # One division an element in place of two.
    unbias = T(1.0 / math.sqrt(hyper.correction2))
    shrink = T(1.0 - hyper.lr * hyper.weight_decay) if decayed else T(1.0)
    for k in range(len(values)):
        g = gradient[k]
        mean = kept1 * first[k] + new1 * g
        square = kept2 * second[k] + new2 * (g * g)
        first[k] = mean
        second[k] = square
        values[k] = shrink * values[k] - step * mean / (unbias * math.sqrt(square) + eps)


@inline(references=False)
def direction(values, gradient, first, second, decayed, hyper):
    """gradient ← (m/ĉ₁) / (√v/√ĉ₂ + ε) + λ·θ, with the state updated: what LAMB takes the norm of.

    Arguments as those of :func:`update`; λ is 0 where the slice is not `decayed`.
    """
    T = values.dtype.type
    kept1, new1 = T(hyper.beta1), T(1.0 - hyper.beta1)
    kept2, new2 = T(hyper.beta2), T(1.0 - hyper.beta2)
    unbias1, unbias2 = T(1.0 / hyper.correction1), T(1.0 / math.sqrt(hyper.correction2))
    eps = T(max(hyper.eps, _SMALLEST))
    decay = T(hyper.weight_decay) if decayed else T(0.0)
    for k in range(len(values)):
        g = gradient[k]
        mean = kept1 * first[k] + new1 * g
        square = kept2 * second[k] + new2 * (g * g)
        first[k] = mean
        second[k] = square
        gradient[k] = unbias1 * mean / (unbias2 * math.sqrt(square) + eps) + decay * values[k]


@inline(any_order=True, references=False)
def squared_norm(values):
    """Sum of squares, in float64 and always in the same order."""
    total = 0.0
    for k in range(len(values)):
        value = np.float64(values[k])
        total += value * value
    return total


@inline(any_order=True, references=False)
def rough_squares(values):
    """Sum of squares in the elements' own type: infinite where that overflows."""
    total = values.dtype.type(0.0)
    for k in range(len(values)):
        total += values[k] * values[k]
    return total


@inline(any_order=True, references=False)
def all_finite(values):
    """Whether none is infinite or NaN.

    Sums of 0 times the values would tell it too, but LLVM 14 of Numba 0.60 takes them for 0.
    """
    finite = 0
    for k in range(len(values)):
        finite += abs(values[k]) < np.inf
    return finite == len(values)


@inline(references=False)
def scale(values, factor):
    """values ← factor·values."""
    factor = values.dtype.type(factor)
    for k in range(len(values)):
        values[k] *= factor


@inline(references=False)
def clip(values, limit):
    """values ← min(max(values, −limit), limit)."""
    upper = values.dtype.type(limit)
    lower = -upper
    for k in range(len(values)):
        value = values[k]
        value = upper if value > upper else value  # NaN fails the comparisons and is passed on
        values[k] = lower if value < lower else value


@inline(references=False)
def _lamb(values, gradient, first, second, decayed, hyper):
    direction(values, gradient, first, second, decayed, hyper)
    length, stride = math.sqrt(squared_norm(values)), math.sqrt(squared_norm(gradient))
    ratio = 1.0 if length == 0.0 or stride == 0.0 else length / stride
    step = values.dtype.type(hyper.lr * ratio)
    for k in range(len(values)):
        values[k] -= step * gradient[k]


@inline(references=False)
def update(values, gradient, first, second, decayed, hyper):
    """One step of a slice of parameters, in place, by the rule `hyper.code`.

    Parameters
    ----------
    values, gradient : array of shape (n,)
        Parameters and the gradient of the loss in them. LAMB wants a whole tensor, whose norms it takes,
        and overwrites the gradient by its direction.
    first, second : array of shape (n,) or (0,)
        State, zeros before the first step; empty where the rule has no use for it: SGD with momentum
        uses the first, Adagrad and RMSprop the second, RMSprop with momentum, Adam, AdamW and LAMB both.
    decayed : bool
        Whether weight decay applies to this slice: to weights, not to intercepts.
    hyper : Hyper
        The step's numbers.
    """
    code = hyper.code
    if code == SGD:
        if hyper.momentum == 0.0:
            _sgd(values, gradient, hyper)
        else:
            _momentum(values, gradient, first, hyper)
    elif code in (ADAGRAD, RMSPROP):
        if hyper.momentum == 0.0:
            _by_root(values, gradient, second, hyper)
        else:
            _momentum_by_root(values, gradient, first, second, hyper)
    elif code == LAMB:
        _lamb(values, gradient, first, second, decayed, hyper)
    else:
        _adam(values, gradient, first, second, decayed, hyper)


@inline(references=False)
def _amsgrad(values, gradient, moments, decayed, hyper):
    first, second, largest = moments
    T = values.dtype.type
    kept1, new1 = T(hyper.beta1), T(1.0 - hyper.beta1)
    kept2, new2 = T(hyper.beta2), T(1.0 - hyper.beta2)
    step, eps = T(hyper.lr / hyper.correction1), T(max(hyper.eps, _SMALLEST))
    unbias = T(1.0 / math.sqrt(hyper.correction2))
    shrink = T(1.0 - hyper.lr * hyper.weight_decay) if decayed else T(1.0)
    for k in range(len(values)):
        g, most = gradient[k], largest[k]
        mean = kept1 * first[k] + new1 * g
        square = kept2 * second[k] + new2 * (g * g)
        most = square if square > most else most
        first[k] = mean
        second[k] = square
        largest[k] = most
        values[k] = shrink * values[k] - step * mean / (unbias * math.sqrt(most) + eps)


@inline(references=False)
def _centered(values, gradient, moments, hyper):
    first, second, centre = moments
    T = values.dtype.type
    lr, momentum, eps = T(hyper.lr), T(hyper.momentum), T(max(hyper.eps, _SMALLEST))
    kept, new, zero = T(hyper.beta2), T(1.0 - hyper.beta2), T(0.0)
    for k in range(len(values)):
        g = gradient[k]
        mean = kept * centre[k] + new * g
        square = kept * second[k] + new * (g * g)
        spread = square - mean * mean
        change = g / (math.sqrt(zero if spread < zero else spread) + eps)
        if len(first) > 0:
            change += momentum * first[k]
            first[k] = change
        centre[k] = mean
        second[k] = square
        values[k] -= lr * change


@inline(references=False)
def update_with_third(values, gradient, moments, decayed, hyper):
    """:func:`update` by a rule of three states, of which CENTERED has no first without momentum."""
    if hyper.code == AMSGRAD:
        _amsgrad(values, gradient, moments, decayed, hyper)
    else:
        _centered(values, gradient, moments, hyper)
