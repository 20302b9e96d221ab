"""What all networks have: parameters by PyTorch's names, and training in compiled code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastkb.checks.requests import check_rng
from fastkb.checks.scalars import check_number, check_progress, check_whole
from fastkb.nn.checks import check_trainable, check_training
from fastkb.nn.observations import (
    Observations,
    check_batches,
    check_inputs,
    check_observations,
    check_validation,
    loss_of,
)
from fastkb.nn.optim.optimizers import SGD, find_optimizer
from fastkb.nn.program.engine import Engine
from fastkb.nn.program.step import State
from fastkb.nn.stored import Stored
from fastkb.nn.training.batches import Batches, Preparation
from fastkb.nn.training.fitting import Fit, Pace, fit
from fastkb.random.streams import key_from_rng
from fastkb.runtime.progress import ProgressLike

if TYPE_CHECKING:
    from typing_extensions import Self

_DEFAULT = SGD()
_KEPT = 4  # programs, of the last shapes of inputs


class Network(Stored):
    """Base of :class:`Sequential` and :class:`Module`: parameters, and what is done with them.

    Attributes
    ----------
    history : dict of str to list
        One entry for each epoch: ``loss`` (mean over its steps, the penalty included), ``learning_rate``,
        and ``validation_loss`` if there was validation.

    Examples
    --------
    >>> from fastkb import nn
    >>> isinstance(nn.Sequential(nn.Linear(1, 1)), nn.Network)
    True
    """

    def _blank(self, dtype: np.dtype) -> Any:
        """A network like this, without parameters."""
        raise NotImplementedError

    def _check_frozen(self) -> None:
        """Refuse parameters that are not to be trained."""

    def _architecture(self) -> Any:
        """What tells it from networks of another one."""
        raise NotImplementedError

    @property
    def in_features(self) -> int | None:
        """Columns of the inputs; None: any, or images."""
        return None

    @property
    def out_features(self) -> int | None:
        """Columns of the outputs; None: what is computed tells it."""
        return None

    @property
    def dtype(self) -> np.dtype | None:
        """Of the parameters; None as long as there are none."""
        return self._dtype

    def _ready_for(self, inputs: np.ndarray) -> tuple[Engine, State, np.ndarray]:
        """Engine for inputs like these, state and seed."""
        _, state, key = self._ready(inputs.dtype)
        shape = inputs.shape[1:]
        engine = self._engines.pop(shape, None)
        if engine is None:
            engine = Engine(self._graph, inputs.dtype, shape)
        self._engines = dict([*self._engines.items(), (shape, engine)][-_KEPT:])
        return engine, state, key

    def predict(self, X: Any, *, scale: float | None = None) -> np.ndarray:
        """The outputs for all observations: logits, where the loss is a cross-entropy.

        Parameters
        ----------
        X : array_like of shape (n, in_features), or (n, channels, height, width) of images
        scale : float, optional
            What images of bytes are multiplied by.

        Returns
        -------
        ndarray of shape (n, out_features)

        Raises
        ------
        ValueError
            For inputs of another shape, NaN or infinity.
        """
        inputs = check_inputs(X, self._graph, self._dtype, scale=scale)
        engine, state, _ = self._ready_for(inputs)
        outputs = engine.forward(state.parameters[0], inputs)
        return outputs.reshape(len(inputs), *engine.output_shape)

    def loss_and_gradients(
        self,
        X: Any,
        y: Any,
        *,
        loss: Any = "squared_error",
        sample_weight: Any = None,
        l2: float = 0.0,
        seed: int = 0,
        scale: float | None = None,
    ) -> tuple[float, dict[str, np.ndarray]]:
        r"""The loss of all observations and its gradients, by backpropagation.

        .. math:: L = \frac{\sum_i w_i\, \ell(f(x_i), y_i)}{\sum_i w_i} + \frac{l_2}{2} \|W\|^2

        Parameters
        ----------
        X : array_like of shape (n, in_features)
        y : array_like
            Targets of shape (n, out_features), or (n,) for one output; for ``"cross_entropy"`` labels
            from 0 to out_features - 1 of shape (n,).
        loss : str or criterion, default "squared_error"
            "squared_error", "half_squared_error", "binary_cross_entropy" or "cross_entropy": the mean
            over observations, and for all but the last over outputs, of (f - y)², half of that, or the
            negative logarithm of the likelihood, of which f are the logits. Or an object such as
            :class:`SmoothL1Loss` or :class:`CrossEntropyLoss`, with all its options, whose `reduction` is
            "mean".
        sample_weight : array_like of shape (n,), optional
        l2 : float, default 0.0
            Penalty of the weights; intercepts have none.
        seed : int, default 0
            Of the masks of :class:`Dropout`.
        scale : float, optional
            What images of bytes are multiplied by, such as 1 / 255; they become float32 then.

        Returns
        -------
        loss : float
        gradients : dict of str to ndarray
            By the names and in the shapes of :meth:`state_dict`.

        Raises
        ------
        TypeError, ValueError
            For data that do not fit the network or the loss.
        """
        named = loss_of(loss, y)
        l2 = check_number("l2", l2, 0.0)
        seed = check_whole("seed", seed, 0, 2**63 - 1)
        check_trainable(self._graph)
        data = check_observations(X, y, sample_weight, self._graph, loss, self._dtype, scale)
        engine, state, _ = self._ready_for(data.inputs)
        value, gradients = engine.loss_and_gradients(state.parameters[0], data, named, l2, seed)
        return value, engine.take(gradients)

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        loss: Any = "squared_error",
        optimizer: Any = None,
        epochs: int = 10,
        batch_size: int = 32,
        l2: float = 0.0,
        shuffle: bool = True,
        sample_weight: Any = None,
        validation_data: tuple[Any, Any] | None = None,
        patience: int | None = None,
        callbacks: Sequence[Callable[[Any, dict[str, float]], Any]] = (),
        rng: Any = None,
        progress: ProgressLike = False,
        scale: float | None = None,
    ) -> Self:
        """Train; called again, train on.

        Parameters
        ----------
        X, y, loss, sample_weight, l2
            As for :meth:`loss_and_gradients`. Without y, X is an iterable of pairs (X, y), each of which
            is the observations of a step, in the order in which they come: for data that no memory holds,
            or that change from epoch to epoch. An iterator, which ends once, serves one epoch.
        optimizer : optimizer or str, default SGD(lr=0.01)
            One of :mod:`fastkb.nn`'s, or its name. Called again with an equal one, its state and its
            schedule go on; with another, they begin anew.
        epochs : int, default 10
            Passes over the data.
        batch_size : int, default 32
            Observations of a step; the last step of an epoch may have fewer.
        shuffle : bool, default True
            Whether each epoch takes the observations in an order of its own.
        validation_data : (X, y), optional
            Evaluated after each epoch.
        patience : int, optional
            Stop after so many epochs without a smaller validation loss (training loss, if there is no
            validation), and go back to the best parameters.
        callbacks : sequence of callable
            ``callback(network, record)`` after each epoch, with its history; True ends training.
        rng : None, int, numpy.random.SeedSequence or numpy.random.Generator, default None
            Seed of the orders and masks, and of the first weights if there are none and the network has
            no seed of its own. None: go on with the seed that there is. Epoch e of a seed takes the same
            order, whenever it is trained.
        progress : bool or callable, default False
            True shows a bar on standard error. A function is called with what is counted, how many are
            done, and how many there will be.
        scale : float, optional
            What images of bytes are multiplied by, such as 1 / 255; they become float32 then.

        Returns
        -------
        Network
            Itself.

        Raises
        ------
        TypeError, ValueError
            For bad input, before any work.
        FloatingPointError
            If the loss is no longer finite, naming epoch and step; the parameters are the last that were.
            What the next step would have found is found after the last one. An optimiser whose state
            overflowed begins anew.
        """
        l2 = check_number("l2", l2, 0.0)
        check_trainable(self._graph)
        self._check_frozen()
        check_progress(progress)
        settings = check_training(epochs, batch_size, shuffle, patience, callbacks)
        chosen = _DEFAULT if optimizer is None else find_optimizer(optimizer)
        rng = check_rng(rng)
        preparation = Preparation(self._graph, loss, self._dtype, scale)
        if y is None:
            if sample_weight is not None:
                raise ValueError("sample_weight is for arrays X and y, and y is None")
            batches = Batches(X, preparation, settings.epochs)
            data: Observations | Batches = batches
            first, named = batches.first, batches.loss
            settings = settings._replace(batch_size=len(first.inputs))
        else:
            named = preparation.named(y)
            data = first = preparation.observations(X, y, sample_weight)
            settings = settings.for_rows(len(first.inputs))
            check_batches(self._graph, first.inputs, settings.batch_size)
        validation = check_validation(validation_data, self._graph, loss, first.inputs.dtype, scale)
        if rng is not None:
            self._key = key_from_rng(rng)
        engine, state, key = self._ready_for(first.inputs)
        pace = Pace(engine.work(settings.batch_size))
        job = Fit(engine, chosen, named, l2, *settings, progress, pace)
        self._version += 1
        self._state = fit(self, job, data, validation, state, self._progress, key)
        return self
