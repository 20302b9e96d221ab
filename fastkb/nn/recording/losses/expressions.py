"""Losses of tensors: numbers, of which derivatives are taken.

A loss that compiled code knows is taken from the outputs at once. Any other is an expression of tensors,
whose mean over all observations is the loss.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkb.nn.observations import Observations
from fastkb.nn.ops.layers import LogSoftmax, Softplus
from fastkb.nn.ops.losses import OF_CLASSES, OF_LABELS, WITH_WEIGHTS, NamedLoss
from fastkb.nn.recording.operators import function
from fastkb.nn.recording.run import differentiate, element_of, loss_of
from fastkb.nn.recording.tensor import Tensor, uses

_NONE = np.zeros((0, 0))
_NO_TENSOR = (
    "a loss is one number, which is added to others and multiplied by numbers; other functions are "
    "of its item()"
)
_SOFTPLUS, _LOG_SOFTMAX = Softplus(), LogSoftmax()
_RIGHT, _WRONG = function("log_probability"), function("log_of_rest")


class Loss(Tensor):
    """A mean of losses over observations, times a factor, and a number.

    Made by the losses of :mod:`fastkb.nn.functional`, and by :meth:`Tensor.mean` and :meth:`Tensor.sum`.
    """

    __slots__ = ("_answers", "_done", "_factor", "_kind", "_of_value", "_offset")

    def __init__(
        self,
        value: Tensor,
        kind: NamedLoss,
        answers: Observations,
        factor: float = 1.0,
        offset: float = 0.0,
    ) -> None:
        self._set(value._node, value._n, value._network)
        self.requires_grad, self._done = value.requires_grad, False
        self._call = value._call
        self._of_value, self._kind, self._answers = value, kind, answers
        self._factor, self._offset = factor, offset

    @property
    def shape(self) -> tuple[int, ...]:
        """(), of a number."""
        return ()

    @property
    def ndim(self) -> int:
        """0, of a number."""
        return 0

    def numpy(self) -> np.ndarray:
        """The loss, which is computed now if it has not been."""
        if self._array is None:
            self._keep(loss_of(self._of_value, self._kind, self._answers))
        assert self._array is not None
        return self._array

    def _keep(self, loss: float) -> None:
        self._array = np.asarray(self._factor * loss + self._offset, self._answers.weights.dtype)

    def backward(self) -> None:
        """Add its derivatives to ``grad`` of the network's parameters, and of tensors that want them.

        Raises
        ------
        ValueError
            If nothing wants derivatives, or they have been added already.
        FloatingPointError
            If the loss is not finite.
        """
        if self._done:
            raise ValueError("derivatives of this loss have been added already: record it again")
        if not self.requires_grad:
            raise ValueError(
                "nothing that this loss is made of wants derivatives: it was computed under no_grad(), "
                "or from data without requires_grad=True"
            )
        self._keep(differentiate(self._of_value, self._kind, self._answers, self._factor))
        self._done = True

    # --- with numbers, and with other losses ----------------------------------------------------

    def __float__(self) -> float:
        return self.item()

    def __format__(self, text: str) -> str:
        return format(self.item(), text) if text else repr(self)

    def mean(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        """Itself."""
        return self

    sum = mean

    def detach(self) -> Any:
        """Its number: an array without axes."""
        return self.numpy()

    def _record(self, layer: Any, *others: Any) -> Tensor:
        raise TypeError(_NO_TENSOR)

    def _beside(self, other: Any) -> Tensor:
        raise TypeError(_NO_TENSOR)

    def view(self, *shape: Any) -> Any:
        """Not of a number."""
        raise TypeError(_NO_TENSOR)

    def __pow__(self, exponent: float) -> Any:
        raise TypeError(_NO_TENSOR)

    def _with(self, factor: float, offset: float) -> Loss:
        return Loss(
            self._of_value, self._kind, self._answers, self._factor * factor,
            self._offset * factor + offset,
        )  # fmt: skip

    def __mul__(self, other: Any) -> Loss:
        return self._with(_number("a loss is multiplied by a number", other), 0.0)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Loss:
        return self._with(1.0 / _number("a loss is divided by a number", other), 0.0)

    def __neg__(self) -> Loss:
        return self._with(-1.0, 0.0)

    def __add__(self, other: Any) -> Loss:
        if not isinstance(other, Loss):
            return self._with(1.0, _number("a number or another loss is added to a loss", other))
        if self._n != other._n:
            raise ValueError(
                f"losses of {self._n} and of {other._n} observations are not added: call backward of each"
            )
        total = self._column() + other._column()
        return mean_of(total, 1.0)._with(1.0, self._offset + other._offset)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Loss:
        return self + (-other)

    def __rsub__(self, other: Any) -> Loss:
        return -self + other

    def _column(self) -> Tensor:
        """One number for each observation, whose mean is the loss but for its offset."""
        value = self._of_value.flatten(1)
        name, targets, width = self._kind.name, self._answers.targets, value.shape[1]
        if name == "squared_error":
            value = (value - targets).square()
        elif name in ("smooth_l1", "huber"):
            value = (value - targets)._record(function("smooth_l1", self._kind.number))
            value = value * self._kind.number if name == "huber" else value
        elif name == "binary_cross_entropy":
            value = value._record(_SOFTPLUS) - value * targets
        elif name in WITH_WEIGHTS:
            answers, weights = targets[:, :width], targets[:, width:]
            if name == "plain_binary_cross_entropy":
                value = of_probabilities(value, answers)
            else:
                value = value._record(_SOFTPLUS) - value * answers
            value = value * weights
        elif name in OF_CLASSES:
            value = value if name == "log_cross_entropy" else value._record(_LOG_SOFTMAX)
            value = value * self._shares(width)
        return value.mean(1, keepdim=True) * self._factor

    def _shares(self, classes: int) -> np.ndarray:
        """What logarithms of probabilities are multiplied by, before their mean is taken."""
        _, targets, labels, weights = self._answers
        n = self._of_value._n
        if self._kind.name in OF_LABELS:
            targets = (labels[:, None] == np.arange(classes)).astype(weights.dtype)
        share = np.ones(n) if len(weights) == 0 else n * weights / weights.sum()
        return (-classes * share[:, None] * targets).astype(weights.dtype)


def of_probabilities(value: Tensor, answers: Any) -> Tensor:
    """The negative logarithm of the likelihood of answers from 0 to 1, of each probability."""
    right, wrong = value._record(_RIGHT), value._record(_WRONG)
    found: Tensor = -(answers * right + (1.0 - answers) * wrong)
    return found


def _number(what: str, value: Any) -> float:
    if isinstance(value, Tensor) or not np.isscalar(value):
        raise TypeError(f"{what}, got {type(value).__name__}")
    return float(value)  # type: ignore[arg-type]


def mean_of(value: Tensor, factor: float) -> Loss:
    """The mean of all numbers of a tensor, times a factor."""
    dtype = element_of(value)
    none = Observations(_NONE, np.zeros((0, 0), dtype), np.zeros(0, np.int64), np.zeros(0, dtype))
    return Loss(value.flatten(1), NamedLoss("mean"), none, factor)


uses["mean_of"] = mean_of
