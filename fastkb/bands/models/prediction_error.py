"""Prediction error from the rows that a resample leaves out: out-of-bag, .632 and .632+.

A replicate that does not contain an observation was fitted without having seen it, so its loss there is
that of a prediction. :class:`OutOfBag` adds up these losses while replicates are computed, in O(n)
memory; :class:`PredictionError` holds what comes of them.

References
----------
.. [1] B. Efron, "Estimating the error rate of a prediction rule: improvement on cross-validation",
   Journal of the American Statistical Association 78 (1983), 316-331.
.. [2] B. Efron and R. Tibshirani, "Improvements on cross-validation: the .632+ bootstrap method",
   Journal of the American Statistical Association 92 (1997), 548-560.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastkb.bands.models.error_checks import (
    check_finite,
    check_label_targets,
    check_labels,
    check_left_out,
    check_numbers,
    check_numeric_targets,
    check_totals,
)

# Losses that `add_many` computes at a time: 2 MiB of float64, which a core's cache holds.
_CHUNK = 2**18


@dataclass(frozen=True)
class PredictionError:
    r"""Estimates of the error that a model makes on new observations, by the bootstrap.

    With the loss :math:`Q`, the model :math:`\hat f` fitted on all n observations and the model
    :math:`\hat f^{(b)}` of replicate b, and :math:`C_i` the replicates without observation i:

    .. math::

        \overline{\mathrm{err}} &= \frac{1}{n} \sum_i Q(y_i, \hat f(x_i)) \\
        \mathrm{Err}^{(1)} &= \frac{1}{n} \sum_i \frac{1}{|C_i|}
            \sum_{b \in C_i} Q(y_i, \hat f^{(b)}(x_i)) \\
        \gamma &= \frac{1}{n^2} \sum_{i,j} Q(y_i, \hat f(x_j)) \\
        \mathrm{Err}^{(.632)} &= .368\, \overline{\mathrm{err}} + .632\, \mathrm{Err}^{(1)} \\
        \mathrm{Err}^{(.632+)} &= \mathrm{Err}^{(.632)}
            + (\mathrm{Err}' - \overline{\mathrm{err}}) \frac{.368 \cdot .632\, R}{1 - .368\, R},
            \qquad R = \frac{\mathrm{Err}' - \overline{\mathrm{err}}}{\gamma - \overline{\mathrm{err}}}

    where :math:`\mathrm{Err}' = \min(\mathrm{Err}^{(1)}, \gamma)`, and R is 0 unless both
    :math:`\mathrm{Err}^{(1)}` and :math:`\gamma` exceed :math:`\overline{\mathrm{err}}` [1]_ [2]_.

    The training error is too small, the out-of-bag error somewhat too large (a replicate has seen
    63.2% of the observations); .632 weighs the two for a model that overfits little, .632+ shifts the
    weight to the out-of-bag error as far as the model overfits.

    Parameters
    ----------
    training : float
        The apparent error of the model fitted on all data.
    out_of_bag : float
        The leave-one-out bootstrap error Err^(1).
    no_information : float
        γ: the error if x said nothing about y.
    relative_overfitting : float
        R: 0 for no overfitting, 1 if the model is no better than `no_information`.
    err632, err632plus : float
        The .632 and .632+ estimates of the prediction error.
    loss : {"squared_error", "zero_one"}
        What was averaged, in units of y² or as a fraction of observations.
    n_never_out : int
        Observations that were in every replicate, and so do not count in `out_of_bag`.

    References
    ----------
    .. [1] B. Efron, Journal of the American Statistical Association 78 (1983), 316-331.
    .. [2] B. Efron and R. Tibshirani, Journal of the American Statistical Association 92 (1997),
       548-560.

    Examples
    --------
    A nearest neighbour has no training error, and has learned nothing from these labels:

    >>> import numpy as np
    >>> from fastkb.bands.models.prediction_error import OutOfBag
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.random(100), rng.integers(0, 2, 100)
    >>> nearest = lambda rows: y[rows][np.abs(x[:, None] - x[rows]).argmin(axis=1)]
    >>> oob = OutOfBag(y, "zero_one")
    >>> for _ in range(200):
    ...     rows = rng.integers(0, 100, 100)
    ...     out = np.setdiff1d(np.arange(100), rows)
    ...     oob.add(nearest(rows)[out], out)
    >>> print(oob.result(nearest(np.arange(100))))
    training error        0
    out-of-bag error      0.494
    no-information error  0.4992
    .632 estimate         0.3122
    .632+ estimate        0.4911 (relative overfitting 0.99)
    """

    training: float
    out_of_bag: float
    no_information: float
    relative_overfitting: float
    err632: float
    err632plus: float
    loss: str
    n_never_out: int = 0

    def __str__(self) -> str:
        overfitting = f"(relative overfitting {self.relative_overfitting:.3g})"
        never = f" ({self.n_never_out:,} observations were never left out)"
        lines = [
            ("training error", f"{self.training:.4g}"),
            ("out-of-bag error", f"{self.out_of_bag:.4g}{never if self.n_never_out else ''}"),
            ("no-information error", f"{self.no_information:.4g}"),
            (".632 estimate", f"{self.err632:.4g}"),
            (".632+ estimate", f"{self.err632plus:.4g} {overfitting}"),
        ]
        return "\n".join(f"{name:<20}  {text}" for name, text in lines)


class OutOfBag:
    """The losses of replicates at the observations that they left out, added up.

    The sums of squared errors are floating-point sums: add replicates in their order (b = 0, 1, …) to
    get the same result to the last bit. How they are grouped into calls, and whether by :meth:`add`
    or :meth:`add_many`, changes nothing. Sums of "zero_one" are whole numbers: any order will do.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, n_targets)
        The observed values; labels of any type, of shape (n,), for "zero_one".
    loss : {"squared_error", "zero_one"}, default "squared_error"
        (y - f)², averaged over targets, or 1 where the label is wrong and 0 where it is right.
    totals : tuple of ndarray, optional
        The :attr:`totals` of an earlier one, which are continued.

    Raises
    ------
    TypeError
        If `y` is not of numbers ("squared_error").
    ValueError
        If `y` has another shape, is empty or has NaN; if `loss` is unknown; if `totals` are of
        another number of observations or cannot be sums of losses.

    Examples
    --------
    >>> import numpy as np
    >>> oob = OutOfBag([1.0, 2.0, 4.0])
    >>> oob.add([2.5, 1.5], out=[0, 2])  # a replicate without observations 0 and 2
    >>> oob.add_many([[9.0, 3.0, 9.0]], weights=[[2, 0, 1]])  # one without observation 1
    >>> sums, counts = oob.totals
    >>> sums, counts
    (array([2.25, 1.  , 6.25]), array([1, 1, 1]))
    >>> error = oob.result(fitted=[1.5, 2.0, 3.5])
    >>> round(error.training, 4), round(error.out_of_bag, 4), round(error.no_information, 4)
    (0.1667, 3.1667, 2.2778)
    """

    def __init__(self, y: Any, loss: str = "squared_error", totals: Any = None) -> None:
        if loss not in _LOSSES:
            raise ValueError(f"loss must be one of {', '.join(_LOSSES)}, got {loss!r}")
        self.loss = loss
        self._loss = _LOSSES[loss]
        self._y = self._loss.targets(y)
        n = len(self._y)
        # Replaced as one, never changed in place: an interrupted call has added nothing.
        self._totals = (np.zeros(n), np.zeros(n, np.int64))
        if totals is not None:
            self._totals = check_totals(totals, n)

    @property
    def totals(self) -> tuple[np.ndarray, np.ndarray]:
        """Each observation's sum of losses (float64) and number of replicates without it (int64)."""
        sums, counts = self._totals
        return sums.copy(), counts.copy()

    def add(self, predictions: Any, out: Any) -> None:
        """Add one replicate.

        Parameters
        ----------
        predictions : array-like of shape (len(out),) or (len(out), n_targets)
            The replicate's predictions at the observations that it left out.
        out : array-like of int
            The indices of these observations, each once.

        Raises
        ------
        TypeError
            If `out` are no integers.
        ValueError
            If shapes do not agree, an index is not in [0, n) or comes twice, or a prediction is not
            finite. Nothing is added then.
        """
        rows = check_left_out(out, len(self._y))
        values = self._shaped("predictions", predictions, (len(rows),))
        losses = self._losses(values, self._y[rows])
        check_finite(losses, values)
        sums, counts = self.totals
        with np.errstate(over="ignore"):
            sums[rows] += losses
        counts[rows] += 1
        self._totals = sums, counts

    def add_many(self, predictions: Any, weights: Any) -> None:
        """Add several replicates, in their order.

        Parameters
        ----------
        predictions : array-like of shape (B, n) or (B, n, n_targets)
            Every replicate's predictions at all observations; those that it contains are ignored.
        weights : array-like of shape (B, n)
            How often each replicate contains each observation; 0 means left out.

        Raises
        ------
        ValueError
            If shapes do not agree, or a prediction at a left-out observation is not finite. Nothing
            is added then.
        """
        weights = np.asarray(weights)
        n = len(self._y)
        if weights.ndim != 2 or weights.shape[1] != n:
            raise ValueError(
                f"weights must have shape (n_replicates, {n}), one for each observation, got shape "
                f"{weights.shape}"
            )
        values = self._shaped("predictions", predictions, weights.shape)
        sums, counts = self.totals
        step = max(1, _CHUNK // max(1, math.prod(values.shape[1:])))
        for first in range(0, len(weights), step):
            part = values[first : first + step]
            out = weights[first : first + step] == 0
            losses = np.where(out, self._losses(part, self._y), 0.0)
            check_finite(losses, part, out)
            # One row after the other: a sum over the block would depend on where blocks end.
            with np.errstate(over="ignore"):
                for row in losses:
                    sums += row
            counts += out.sum(axis=0)
        self._totals = sums, counts

    def result(self, fitted: Any) -> PredictionError:
        """The estimates of the prediction error.

        Parameters
        ----------
        fitted : array-like, shaped as `y`
            The predictions at the observations by the model that was fitted on all of them.

        Returns
        -------
        PredictionError

        Raises
        ------
        ValueError
            If no observation was ever left out, `fitted` has another shape or is not finite, or a
            squared error overflows.
        """
        values = self._shaped("fitted", fitted, (len(self._y),))
        losses = self._losses(values, self._y)
        check_finite(losses, values, name="fitted")
        sums, counts = self._totals
        seen = counts > 0
        if not seen.any():
            raise ValueError(
                "the out-of-bag error needs observations that are left out of a replicate, and each "
                "was in every one: use more replicates"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            training = float(np.mean(losses))
            out_of_bag = float(np.mean(sums[seen] / counts[seen]))
            no_information = self._loss.no_information(self._y, values)
        if not math.isfinite(training + out_of_bag + no_information):
            raise ValueError("the squared error overflows: divide y by a constant first")
        n_never_out = int(len(seen) - seen.sum())
        relative, err632, err632plus = _combine(training, out_of_bag, no_information)
        return PredictionError(
            training,
            out_of_bag,
            no_information,
            relative,
            err632,
            err632plus,
            self.loss,
            n_never_out,
        )

    def _losses(self, values: np.ndarray, y: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            return self._loss.losses(values, y)

    def _shaped(self, name: str, values: Any, leading: tuple) -> np.ndarray:
        """Predictions in the shape of (leading, targets of y); one target may have its axis or not."""
        array = np.asarray(values)
        shape = (*leading, *self._y.shape[1:])
        shapes = {shape} if shape[len(leading) :] != (1,) else {shape, leading}
        if array.shape not in shapes:
            expected = " or ".join(str(s) for s in sorted(shapes, key=len))
            raise ValueError(f"{name} must have shape {expected}, got {array.shape}")
        self._loss.check(name, array, self._y)
        return array.reshape(shape)


def _combine(training: float, out_of_bag: float, no_information: float) -> tuple:
    """(R, .632, .632+) of the three errors."""
    capped = min(out_of_bag, no_information)
    overfits = capped > training
    relative = (capped - training) / (no_information - training) if overfits else 0.0
    shift = 0.368 * 0.632 * relative / (1 - 0.368 * relative)
    err632 = 0.368 * training + 0.632 * out_of_bag
    return relative, err632, err632 + (capped - training) * shift


# --- squared error ------------------------------------------------------------------------------


def _squared_errors(values: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Mean over the targets of (f - y)².  # shape: values.shape[:-1]"""
    # In C order always: NumPy adds in an order that follows the memory.
    difference = np.subtract(values, y, dtype=np.float64, order="C")
    np.square(difference, out=difference)
    return difference[..., 0] if y.shape[-1] == 1 else difference.mean(axis=-1)


def _squared_no_information(y: np.ndarray, values: np.ndarray) -> float:
    r""":math:`\overline{(y_i - f_j)^2} = \mathrm{var}(y) + \mathrm{var}(f) + (\bar y - \bar f)^2`"""
    # From y's mean on, so that a large common offset cancels before anything is squared.
    origin = y.mean(axis=0)
    y, values = y - origin, values - origin
    between = np.square(y.mean(axis=0) - values.mean(axis=0))
    return float(np.mean(y.var(axis=0) + values.var(axis=0) + between))


# --- zero-one loss ------------------------------------------------------------------------------


def _wrong(values: np.ndarray, y: np.ndarray) -> np.ndarray:
    """1 where the label is wrong, 0 where it is right.  # shape: values.shape"""
    return np.not_equal(values, y).astype(np.float64)


def _zero_one_no_information(y: np.ndarray, values: np.ndarray) -> float:
    r""":math:`\gamma = 1 - \sum_l \hat p_l \hat q_l`, of the labels' frequencies in y and in f"""
    observed, predicted = Counter(y.tolist()), Counter(values.tolist())
    equal = sum(count * predicted[label] for label, count in observed.items())
    return (len(y) ** 2 - equal) / len(y) ** 2


class _Loss(NamedTuple):
    targets: Callable[[Any], np.ndarray]
    check: Callable[[str, np.ndarray, np.ndarray], None]
    losses: Callable[[np.ndarray, np.ndarray], np.ndarray]
    no_information: Callable[[np.ndarray, np.ndarray], float]


_LOSSES = {
    "squared_error": _Loss(
        check_numeric_targets, check_numbers, _squared_errors, _squared_no_information
    ),
    "zero_one": _Loss(check_label_targets, check_labels, _wrong, _zero_one_no_information),
}
