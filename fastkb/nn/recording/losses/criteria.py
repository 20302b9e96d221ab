"""Losses as objects, under the names of ``torch.nn``."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkb.checks.choices import check_choice
from fastkb.checks.scalars import check_number, check_whole
from fastkb.nn.observations import Told, columns_of
from fastkb.nn.ops.losses import NamedLoss
from fastkb.nn.recording.losses.functions import (
    REDUCTIONS,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)
from fastkb.nn.recording.losses.targets import counted, shared, smoothed, weighted
from fastkb.nn.recording.tensor import Tensor


class _Criterion:
    """Base of losses as objects: called with outputs and targets, they give a loss."""

    reduction: str

    def known(self, y: Any) -> NamedLoss:
        """What compiled code has for it, where a network is fitted to answers y.

        Raises
        ------
        ValueError
            For a reduction that is none to a mean.
        """
        if self.reduction != "mean":
            raise ValueError(
                f"fit has no compiled form of {self!r}: its losses are means. Take reduction='mean', or "
                "train by a loop of backward() and step()"
            )
        return self._known(y)

    def _known(self, y: Any) -> NamedLoss:
        raise NotImplementedError

    def told(self, given: Told) -> Told:
        """What compiled code is told of observations."""
        return given

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

    def _known(self, y: Any) -> NamedLoss:
        return NamedLoss("squared_error")


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

    def _known(self, y: Any) -> NamedLoss:
        return NamedLoss("smooth_l1", 0.0)


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

    def _known(self, y: Any) -> NamedLoss:
        return NamedLoss("smooth_l1", self.beta)


class HuberLoss(_Criterion):
    """:func:`fastkb.nn.functional.huber_loss` as an object.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}, default "mean"
    delta : float, default 1.0

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.HuberLoss(delta=2.0)([[1.0], [3.0]], [[0.0], [0.0]]).item()
    2.25
    """

    def __init__(self, *, reduction: str = "mean", delta: float = 1.0) -> None:
        self.reduction = check_choice("reduction", reduction, REDUCTIONS)
        self.delta = check_number("delta", delta, 0.0, open_below=True)

    def __call__(self, input: Any, target: Any) -> Tensor:
        return huber_loss(input, target, **vars(self))

    def _known(self, y: Any) -> NamedLoss:
        return NamedLoss("huber", self.delta)


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

    def _known(self, y: Any) -> NamedLoss:
        plain = self.weight is None and self.pos_weight is None
        return NamedLoss("binary_cross_entropy" if plain else "weighted_binary_cross_entropy")

    def told(self, given: Told) -> Told:
        if self.weight is None and self.pos_weight is None:
            return given
        return _with_weights(given, self.weight, self.pos_weight)


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

    def _known(self, y: Any) -> NamedLoss:
        return NamedLoss("plain_binary_cross_entropy")

    def told(self, given: Told) -> Told:
        return _with_weights(given, self.weight)


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
        self.weight = weight
        self.ignore_index = check_whole("ignore_index", ignore_index, -(2**62))
        self.reduction = check_choice("reduction", reduction, REDUCTIONS)
        self.label_smoothing = check_number("label_smoothing", label_smoothing, 0.0, 1.0)

    def __call__(self, input: Any, target: Any) -> Tensor:
        return cross_entropy(input, target, **vars(self))

    def _known(self, y: Any) -> NamedLoss:
        soft = _are_shares(y) or (_are_labels(y) and self.label_smoothing > 0.0)
        return NamedLoss("soft_cross_entropy" if soft else "cross_entropy")

    def told(self, given: Told) -> Told:
        y, smoothing = np.asarray(given.y), self.label_smoothing
        if _are_shares(y):
            y = columns_of(y, given.outputs, np.dtype(np.float64))
            return given._replace(y=shared(y, self.weight, smoothing))
        if smoothing == 0.0 or not _are_labels(y):
            return _counted(given, self.weight, self.ignore_index)
        y, counts = smoothed(y, given.outputs, self.weight, self.ignore_index, smoothing)
        return _weighed(given._replace(y=y), counts)


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
        self.weight = weight
        self.ignore_index = check_whole("ignore_index", ignore_index, -(2**62))
        self.reduction = check_choice("reduction", reduction, REDUCTIONS)

    def __call__(self, input: Any, target: Any) -> Tensor:
        return nll_loss(input, target, **vars(self))

    def _known(self, y: Any) -> NamedLoss:
        return NamedLoss("log_cross_entropy")

    def told(self, given: Told) -> Told:
        return _counted(given, self.weight, self.ignore_index)


# --- what compiled code is told ------------------------------------------------------------------


def _are_labels(y: Any) -> bool:
    """Whether there is one whole number for each observation."""
    labels = np.asarray(y)
    return labels.ndim == 1 and labels.dtype.kind in "iub"


def _are_shares(y: Any) -> bool:
    """Whether there is a probability for each class."""
    shares = np.asarray(y)
    return shares.ndim == 2 and shares.dtype.kind == "f"


def _counted(given: Told, weight: Any, ignore_index: int) -> Told:
    """Labels, of which some do not count, and some count more."""
    if not _are_labels(given.y):
        return given  # and refused
    labels, counts = counted(np.asarray(given.y), weight, ignore_index)
    return _weighed(given._replace(y=labels), counts)


def _weighed(given: Told, counts: np.ndarray | None) -> Told:
    """With weights of labels, by which those of observations are multiplied."""
    if counts is None:
        return given
    own = given.sample_weight
    return given._replace(sample_weight=counts if own is None else counts * np.asarray(own))


def _with_weights(given: Told, weight: Any, pos_weight: Any = None) -> Told:
    """Targets with a weight for each, which is that of its output."""
    for name, each in (("weight", weight), ("pos_weight", pos_weight)):
        if each is not None and np.shape(each) not in ((), (1,), (given.outputs,)):
            raise ValueError(
                f"{name} must be a number for each of {given.outputs} outputs in fit, got shape "
                f"{np.shape(each)}: sample_weight has those of observations"
            )
    answers = columns_of(given.y, given.outputs, np.dtype(np.float64))
    return given._replace(y=weighted(answers, weight, pos_weight))
