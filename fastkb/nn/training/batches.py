"""Observations of a training: all at once, or batch after batch from an iterable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from fastkb.nn.observations import Observations, check_batches, check_observations, loss_of
from fastkb.nn.ops.graph import Network
from fastkb.nn.ops.losses import NamedLoss


class Preparation(NamedTuple):
    """How observations are checked for a network and a loss.

    Attributes
    ----------
    layers : Network
    loss : str or criterion
    dtype : numpy.dtype or None
        None: that of the first observations.
    scale : float or None
        Of bytes.
    """

    layers: Network
    loss: Any
    dtype: np.dtype | None
    scale: float | None

    def named(self, y: Any) -> NamedLoss:
        """The loss as compiled code knows it."""
        return loss_of(self.loss, y)

    def observations(self, X: Any, y: Any, sample_weight: Any = None) -> Observations:
        """Checked observations."""
        return check_observations(
            X, y, sample_weight, self.layers, self.loss, self.dtype, self.scale
        )


class Batches:
    """Batches of an iterable, each of which is checked when it comes.

    Parameters
    ----------
    batches : iterable of (X, y)
    preparation : Preparation
    epochs : int
        How often they are gone through.

    Attributes
    ----------
    first : Observations
        Of the first batch.
    loss : NamedLoss

    Raises
    ------
    TypeError, ValueError
        For what is no iterable of pairs, an iterator for several epochs, and a first batch that does not
        fit.
    """

    def __init__(self, batches: Iterable[Any], preparation: Preparation, epochs: int) -> None:
        if not isinstance(batches, Iterable) or isinstance(batches, np.ndarray | str):
            raise TypeError(
                "X must be an iterable of batches (X, y) where there is no y, got "
                f"{type(batches).__name__}"
            )
        iterator = iter(batches)
        if iterator is batches and epochs > 1:
            raise ValueError(
                f"X is an iterator, which ends after one epoch, and epochs={epochs}: give a list, or an "
                "object whose __iter__ begins anew, or epochs=1"
            )
        head = next(iterator, None)
        if head is None:
            raise ValueError("X has no batch")
        self._again = batches if iterator is not batches else chain([head], iterator)
        _, y = _pair(head, 0)
        self.loss = preparation.named(y)
        self._preparation = preparation
        self.first = self._observations(head, 0)
        self._preparation = preparation._replace(dtype=self.first.inputs.dtype)

    def _observations(self, batch: Any, place: int) -> Observations:
        X, y = _pair(batch, place)
        try:
            found = self._preparation.observations(X, y)
            check_batches(self._preparation.layers, found.inputs, len(found.inputs))
        except (TypeError, ValueError) as error:
            raise type(error)(f"batch {place}: {error}") from None
        return found

    def __iter__(self) -> Iterator[Observations]:
        empty = True
        for place, batch in enumerate(self._again):
            empty = False
            yield self._observations(batch, place)
        if empty:
            raise ValueError("X has no batch in this epoch: its __iter__ must begin anew")


def _pair(batch: Any, place: int) -> tuple[Any, Any]:
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise TypeError(f"batch {place} must be a pair (X, y), got {type(batch).__name__}")
    return batch[0], batch[1]
