"""Losses as objects, under the names of ``torch.nn``."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkb.checks.choices import check_choice
from fastkb.checks.scalars import check_number
from fastkb.nn.checks import LOSSES
from fastkb.nn.observations import Told
from fastkb.nn.recording.loss_functions import (
    REDUCTIONS,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    by_label,
    cross_entropy,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)
from fastkb.nn.recording.tensor import Tensor


class _Criterion:
    """Base of losses as objects: called with outputs and targets, they give a loss."""

    def told(self, given: Told) -> Told:
        """What compiled code is told where a network is fitted by this loss.

        Raises
        ------
        ValueError
            If it does not have the loss, or not with these options.
        """
        raise ValueError(
            f"fit has no compiled form of {self!r}: train by a loop of backward() and step(), or take "
            f"one of {', '.join(LOSSES)}"
        )

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({options})"


class MSELoss(_Criterion):
    """The squared error: :func:`fastkb.nn.functional.mse_loss` as an object.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}, default "mean"

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.MSELoss()([[1.0], [3.0]], [[0.0], [0.0]]).item()
    5.0
    """

    def __init__(self, *, reduction: str = "mean") -> None:
        self.reduction = check_choice("reduction", reduction, REDUCTIONS)

    def __call__(self, input: Any, target: Any) -> Tensor:
        return mse_loss(input, target, **vars(self))

    def told(self, given: Told) -> Told:
        return (
            given._replace(loss="squared_error")
            if self.reduction == "mean"
            else super().told(given)
        )


class L1Loss(_Criterion):
    """The absolute error: :func:`fastkb.nn.functional.l1_loss` as an object.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}, default "mean"

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.L1Loss()([[1.0], [-3.0]], [[0.0], [0.0]]).item()
    2.0
    """

    def __init__(self, *, reduction: str = "mean") -> None:
        self.reduction = check_choice("reduction", reduction, REDUCTIONS)

    def __call__(self, input: Any, target: Any) -> Tensor:
        return l1_loss(input, target, **vars(self))


class SmoothL1Loss(_Criterion):
    """:func:`fastkb.nn.functional.smooth_l1_loss` as an object.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}, default "mean"
    beta : float, default 1.0

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.SmoothL1Loss()([[0.5], [3.0]], [[0.0], [0.0]]).item()
    1.3125
    """

    def __init__(self, *, reduction: str = "mean", beta: float = 1.0) -> None:
        self.reduction = check_choice("reduction", reduction, REDUCTIONS)
        self.beta = check_number("beta", beta, 0.0)

    def __call__(self, input: Any, target: Any) -> Tensor:
        return smooth_l1_loss(input, target, **vars(self))


class BCEWithLogitsLoss(_Criterion):
    """:func:`fastkb.nn.functional.binary_cross_entropy_with_logits` as an object.

    Parameters
    ----------
    weight, reduction, pos_weight
        As for the function.

    Examples
    --------
    >>> from fastkb import nn
    >>> round(nn.BCEWithLogitsLoss()([[0.0], [0.0]], [[0.0], [1.0]]).item(), 4)
    0.6931
    """

    def __init__(
        self, weight: Any = None, *, reduction: str = "mean", pos_weight: Any = None
    ) -> None:
        self.weight, self.pos_weight = weight, pos_weight
        self.reduction = check_choice("reduction", reduction, REDUCTIONS)

    def __call__(self, input: Any, target: Any) -> Tensor:
        return binary_cross_entropy_with_logits(input, target, **vars(self))

    def told(self, given: Told) -> Told:
        if self.reduction != "mean" or self.weight is not None or self.pos_weight is not None:
            return super().told(given)
        return given._replace(loss="binary_cross_entropy")


class BCELoss(_Criterion):
    """:func:`fastkb.nn.functional.binary_cross_entropy` as an object.

    Parameters
    ----------
    weight, reduction
        As for the function.

    Examples
    --------
    >>> from fastkb import nn
    >>> round(nn.BCELoss()([[0.5], [0.5]], [[0.0], [1.0]]).item(), 4)
    0.6931
    """

    def __init__(self, weight: Any = None, *, reduction: str = "mean") -> None:
        self.weight = weight
        self.reduction = check_choice("reduction", reduction, REDUCTIONS)

    def __call__(self, input: Any, target: Any) -> Tensor:
        return binary_cross_entropy(input, target, **vars(self))


class CrossEntropyLoss(_Criterion):
    """:func:`fastkb.nn.functional.cross_entropy` as an object.

    Parameters
    ----------
    weight, ignore_index, reduction, label_smoothing
        As for the function.

    Examples
    --------
    >>> from fastkb import nn
    >>> round(nn.CrossEntropyLoss()([[0.0, 0.0], [5.0, 5.0]], [0, 1]).item(), 4)
    0.6931
    """

    def __init__(
        self,
        weight: Any = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        self.weight, self.ignore_index = weight, ignore_index
        self.reduction = check_choice("reduction", reduction, REDUCTIONS)
        self.label_smoothing = check_number("label_smoothing", label_smoothing, 0.0, 1.0)

    def __call__(self, input: Any, target: Any) -> Tensor:
        return cross_entropy(input, target, **vars(self))

    def told(self, given: Told) -> Told:
        if self.reduction != "mean" or self.label_smoothing > 0.0:
            return super().told(given)
        labels, weights = np.asarray(given.y), given.sample_weight
        ignored = labels == self.ignore_index
        if self.weight is not None or np.any(ignored):
            labels = np.where(ignored, 0, labels)
            counts = np.where(ignored, 0.0, by_label(labels, self.weight))
            weights = counts if weights is None else counts * np.asarray(weights)
        return Told("cross_entropy", labels, weights)


class NLLLoss(_Criterion):
    """:func:`fastkb.nn.functional.nll_loss` as an object.

    Parameters
    ----------
    weight, ignore_index, reduction
        As for the function.

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.NLLLoss()([[-1.0, -2.0], [-3.0, -4.0]], [0, 1]).item()
    2.5
    """

    def __init__(
        self, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean"
    ) -> None:
        self.weight, self.ignore_index = weight, ignore_index
        self.reduction = check_choice("reduction", reduction, REDUCTIONS)

    def __call__(self, input: Any, target: Any) -> Tensor:
        return nll_loss(input, target, **vars(self))
