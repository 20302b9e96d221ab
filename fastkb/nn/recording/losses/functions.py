"""The losses under the names of ``torch.nn.functional``."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkb.checks.choices import check_choice
from fastkb.checks.scalars import check_number, check_whole
from fastkb.nn.observations import Observations, check_answers
from fastkb.nn.ops.layers import LogSoftmax, Softplus
from fastkb.nn.ops.losses import OF_CLASSES, WITH_WEIGHTS, NamedLoss
from fastkb.nn.recording.losses.expressions import Loss, mean_of, of_probabilities
from fastkb.nn.recording.losses.targets import by_class, counted, shared, smoothed, weighted
from fastkb.nn.recording.operators import function, layer_of
from fastkb.nn.recording.run import element_of
from fastkb.nn.recording.tensor import Tensor, as_tensor

REDUCTIONS = ("mean", "sum", "none")
_NONE = np.zeros((0, 0))
_NOTHING = "target has no observation of weight: all are ignored, or of classes without"


def mse_loss(input: Any, target: Any, *, reduction: str = "mean") -> Tensor:
    """The squared error (input - target)².

    Parameters
    ----------
    input : Tensor or array_like of shape (n, …)
    target : Tensor or array_like of the same shape
    reduction : {"mean", "sum", "none"}, default "mean"
        What is made of all of them.

    Returns
    -------
    Tensor
        A loss; with "none" of the shape of the input.

    Raises
    ------
    TypeError, ValueError
        For shapes that differ, and numbers that are not finite.
    """
    value = as_tensor(input)
    if _as_expression(target, reduction):
        return _reduced((value - _beside(value, target)).square(), reduction)
    return _known(value, target, NamedLoss("squared_error"), reduction)


def l1_loss(input: Any, target: Any, *, reduction: str = "mean") -> Tensor:
    r"""The absolute error \|input - target\|; arguments as those of :func:`mse_loss`."""
    return smooth_l1_loss(input, target, reduction=reduction, beta=0.0)


def smooth_l1_loss(
    input: Any, target: Any, *, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    r"""The squared error where it is small, and the absolute error elsewhere.

    d² / (2 beta) where \|d\| < beta, else \|d\| - beta / 2, of d = input - target.

    Parameters
    ----------
    input, target, reduction
        As for :func:`mse_loss`.
    beta : float, default 1.0
        At least 0.
    """
    value, beta = as_tensor(input), check_number("beta", beta, 0.0)
    answer = _beside(value, target)
    if _as_expression(target, reduction):
        return _reduced((value - answer)._record(function("smooth_l1", beta)), reduction)
    return _known(value, target, NamedLoss("smooth_l1", beta), reduction)


def huber_loss(input: Any, target: Any, *, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    r"""Half the squared error where it is small, and a multiple of the absolute error elsewhere.

    d² / 2 where \|d\| < delta, else delta (\|d\| - delta / 2), of d = input - target.

    Parameters
    ----------
    input, target, reduction
        As for :func:`mse_loss`.
    delta : float, default 1.0
        Above 0.
    """
    value, delta = as_tensor(input), check_number("delta", delta, 0.0, open_below=True)
    answer = _beside(value, target)
    if _as_expression(target, reduction):
        return _reduced((value - answer)._record(function("smooth_l1", delta)) * delta, reduction)
    return _known(value, target, NamedLoss("huber", delta), reduction)


def binary_cross_entropy_with_logits(
    input: Any, target: Any, *, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> Tensor:
    """The negative log-likelihood of targets from 0 to 1, from logits.

    Parameters
    ----------
    input, target, reduction
        As for :func:`mse_loss`.
    weight : array_like, optional
        Weights of the losses; its shape goes with the input's.
    pos_weight : array_like, optional
        Weights of targets of 1, for each output.
    """
    value = as_tensor(input)
    if _as_expression(target, reduction):
        answer = _beside(value, target)
        if pos_weight is None:
            found = value._record(layer_of(Softplus)) - value * answer
        else:
            # (1 - y) x + (1 + (p - 1) y) log(1 + e⁻ˣ)
            more = answer * (np.asarray(pos_weight, float) - 1.0) + 1.0
            found = (1.0 - answer) * value + more * (-value)._record(layer_of(Softplus))
        return _reduced(found if weight is None else found * np.asarray(weight, float), reduction)
    if weight is None and pos_weight is None:
        return _known(value, target, NamedLoss("binary_cross_entropy"), reduction)
    wide = _named(weighted, _beside(value, target).numpy(), weight, pos_weight)
    return _known(value, wide, NamedLoss("weighted_binary_cross_entropy"), reduction)


def binary_cross_entropy(
    input: Any, target: Any, *, weight: Any = None, reduction: str = "mean"
) -> Tensor:
    """The negative log-likelihood of targets from 0 to 1, from probabilities.

    Logarithms are -100 at least, and the products p (1 - p) by which derivatives are divided 1e-12, as
    PyTorch has them. Arguments as those of :func:`binary_cross_entropy_with_logits`, which is the better
    choice where there are logits.
    """
    value = as_tensor(input)
    answer = _beside(value, target)
    if _as_expression(target, reduction):
        found = of_probabilities(value, answer)
        return _reduced(found if weight is None else found * np.asarray(weight, float), reduction)
    wide = _named(weighted, answer.numpy(), weight)
    return _known(value, wide, NamedLoss("plain_binary_cross_entropy"), reduction)


def cross_entropy(
    input: Any,
    target: Any,
    *,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The negative log-likelihood of classes, from logits.

    Parameters
    ----------
    input : Tensor or array_like of shape (n, classes, …)
    target : array_like
        Places of the classes, whole numbers of shape (n, …); or the classes' probabilities, of the
        input's shape.
    weight : array_like of shape (classes,), optional
        Of the classes. The mean is one over weights.
    ignore_index : int, default -100
        Places with this target do not count.
    reduction : {"mean", "sum", "none"}, default "mean"
    label_smoothing : float, default 0.0
        From 0 to 1: the share of each target that is spread evenly over all classes.

    Returns
    -------
    Tensor
        A loss; with "none" one number for each target.
    """
    value = as_tensor(input)
    smoothing = check_number("label_smoothing", label_smoothing, 0.0, 1.0)
    answer = np.asarray(target.numpy() if isinstance(target, Tensor) else target)
    labels = answer.dtype.kind in "iub"
    reduction = check_choice("reduction", reduction, REDUCTIONS)
    whole = check_whole("ignore_index", ignore_index, -(2**62))
    if not labels and (answer.shape != value.shape or not np.isfinite(answer).all()):
        raise ValueError(
            f"target must be probabilities of shape {value.shape}, got {answer.dtype} of {answer.shape}"
        )
    if reduction != "none" and value.ndim == 2 and (not labels or answer.shape == (value._n,)):
        counts = None
        if not labels:
            answer = shared(answer, weight, smoothing)
        elif smoothing > 0.0:
            by_class(weight, value.shape)
            answer, counts = _named(smoothed, answer, value.shape[1], weight, whole, smoothing)
        else:
            return _of_labels(value, answer, weight, whole, "cross_entropy", reduction)
        return _known(value, answer, NamedLoss("soft_cross_entropy"), reduction, counts)
    logarithms = value._record(layer_of(LogSoftmax, 1))
    if labels:
        return _negative(logarithms, answer, weight, ignore_index, reduction, smoothing)
    answer = (1.0 - smoothing) * answer + smoothing / value.shape[1]
    shares = answer * by_class(weight, value.shape)
    return _shared(logarithms, shares, np.prod(value.shape) / value.shape[1], reduction)


def nll_loss(
    input: Any,
    target: Any,
    *,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """The negative log-likelihood of classes, from logarithms of probabilities.

    Arguments as those of :func:`cross_entropy`.
    """
    value = as_tensor(input)
    answer = np.asarray(target.numpy() if isinstance(target, Tensor) else target)
    labels = answer.dtype.kind in "iub" and answer.shape == (value._n,)
    simple = labels and value.ndim == 2 and value.shape[1] > 1
    if simple and check_choice("reduction", reduction, REDUCTIONS) != "none":
        whole = check_whole("ignore_index", ignore_index, -(2**62))
        return _of_labels(value, answer, weight, whole, "log_cross_entropy", reduction)
    return _negative(value, answer, weight, ignore_index, reduction, 0.0)


# --- what they share ----------------------------------------------------------------------------


def _as_expression(target: Any, reduction: str) -> bool:
    """Whether a loss is an expression of tensors, as it is a tensor or has derivatives by its target."""
    trained = isinstance(target, Tensor) and target.requires_grad
    return check_choice("reduction", reduction, REDUCTIONS) == "none" or trained


def _beside(value: Tensor, target: Any) -> Tensor:
    """The target as a tensor of the value's shape."""
    found = target if isinstance(target, Tensor) else np.asarray(target)
    if found.shape != value.shape:
        raise ValueError(f"target must have the input's shape {value.shape}, got {found.shape}")
    return as_tensor(found)


def _reduced(value: Tensor, reduction: str) -> Tensor:
    if check_choice("reduction", reduction, REDUCTIONS) == "none":
        return value
    return mean_of(value, 1.0 if reduction == "mean" else float(value.numel()))


def _known(
    value: Tensor, target: Any, loss: NamedLoss, reduction: str, counts: np.ndarray | None = None
) -> Loss:
    """A loss that compiled code knows."""
    dtype = element_of(value)
    flat = value.flatten(1)
    answer = target.numpy() if isinstance(target, Tensor) else target
    one_each = loss.name not in OF_CLASSES
    if one_each and loss.name not in WITH_WEIGHTS and value.ndim > 2:
        if np.shape(answer) != value.shape:
            raise ValueError(
                f"target must have the input's shape {value.shape}, got {np.shape(answer)}"
            )
        answer = np.reshape(answer, flat.shape)
    shape = flat.shape[0], flat.shape[1]
    targets, labels = _named(check_answers, answer, shape, loss.name, dtype)
    # Copies: they are read when the loss is, and the caller's may be others by then.
    targets, labels = targets.copy(), labels.copy()
    weights = np.zeros(0, dtype) if counts is None else counts.astype(dtype)
    if counts is not None and not weights.any():
        raise ValueError(_NOTHING)
    factor = 1.0
    if reduction == "sum":
        whole = flat.shape[0] if counts is None else float(weights.sum())
        factor = whole * (flat.shape[1] if one_each else 1)
    return Loss(flat, loss, Observations(_NONE, targets, labels, weights), factor)


def _named(check: Any, *arguments: Any) -> Any:
    """What a check of y gives; here it is the target."""
    try:
        return check(*arguments)
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace("y ", "target ", 1)) from None


def _of_labels(
    value: Tensor, labels: np.ndarray, weight: Any, ignore_index: int, name: str, reduction: str
) -> Loss:
    """A loss of labels that compiled code knows."""
    by_class(weight, value.shape)
    labels, counts = _named(counted, labels, weight, ignore_index)
    return _known(value, labels, NamedLoss(name), reduction, counts)


def _negative(
    logarithms: Tensor, labels: np.ndarray, weight: Any, ignore_index: int, reduction: str,
    smoothing: float,
) -> Tensor:  # fmt: skip
    """The negative of the labels' logarithms."""
    shape = logarithms.shape
    wanted = (shape[0], *shape[2:])
    if labels.dtype.kind not in "iub" or labels.shape != wanted:
        raise ValueError(
            f"target must be whole numbers of shape {wanted}, got {labels.dtype} of {labels.shape}"
        )
    ignored = labels == check_whole("ignore_index", ignore_index, -(2**62))
    places = np.where(ignored, 0, labels)
    if places.min() < 0 or places.max() >= shape[1]:
        raise ValueError(
            f"target must be labels from 0 to {shape[1] - 1}, got labels from {places.min()} to "
            f"{places.max()}"
        )
    each = by_class(weight, shape)
    chosen = np.expand_dims(places, 1) == np.arange(shape[1]).reshape(-1, *[1] * (len(shape) - 2))
    chosen = chosen * each * ~np.expand_dims(ignored, 1)
    whole = float(chosen.sum())
    if reduction == "mean" and whole == 0.0:
        raise ValueError(_NOTHING)
    spread = each * ~np.expand_dims(ignored, 1) / shape[1]
    return _shared(logarithms, (1.0 - smoothing) * chosen + smoothing * spread, whole, reduction)


def _shared(logarithms: Tensor, shares: np.ndarray, whole: float, reduction: str) -> Tensor:
    """The negative of logarithms, each times its share."""
    found = logarithms * np.broadcast_to(-shares, logarithms.shape)
    if check_choice("reduction", reduction, REDUCTIONS) == "none":
        return found.sum(1, keepdim=found.ndim == 2)
    return mean_of(found, float(found.numel()) / (whole if reduction == "mean" else 1.0))
