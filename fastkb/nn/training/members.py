"""The members of an ensemble: drawn, and trained side by side on resamples of one data set."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastkb.nn.base import Network
from fastkb.nn.checks import FitParams, check_fit, check_network
from fastkb.nn.observations import (
    Observations,
    Told,
    check_batches,
    check_observations,
    check_weights,
    loss_of,
    outputs_for,
)
from fastkb.nn.optim.optimizers import find_optimizer
from fastkb.nn.program.engine import Engine
from fastkb.nn.program.step import State
from fastkb.nn.training.first_parameters import FirstParameters
from fastkb.nn.training.fitting import (
    Diverged,
    Fit,
    Pace,
    Progress,
    derived_key,
    fit,
    orders,
    train_epochs,
    train_together,
)
from fastkb.nn.training.masks import mask_seeds
from fastkb.random.streams import bootstrap_counts
from fastkb.runtime.threads import n_threads

# Numbers of orders and weights of the members that are trained side by side: 64 MB.
_SIDE_BY_SIDE = 2**22
_FEWEST = 16  # members of a group for each thread
_SECONDS_A_GROUP = 2.0  # then a progress bar moves, and what is finished can be saved


class Groups:
    """Which members are trained side by side: enough for all threads, for about two seconds.

    Parameters
    ----------
    numbers : int
        That each member needs, beside its parameters: weights, an order.
    seconds : float
        A member's, as a guess; the groups' own time corrects it.
    """

    def __init__(self, numbers: int, seconds: float) -> None:
        most = max(1, _SIDE_BY_SIDE // numbers)
        # Each thread gets a few, or the slowest of them would be waited for; one, if they are large.
        self._fewest = n_threads() * max(1, min(_FEWEST, most // n_threads()))
        self._most = max(self._fewest, most)
        self._seconds = seconds

    def __call__(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """(first member, how many) of each group; what is done until the next is asked for is timed."""
        while first < last:
            wanted = int(_SECONDS_A_GROUP / max(self._seconds, 1e-9))
            count = min(max(wanted, self._fewest), self._most, last - first)
            start = time.perf_counter()
            yield first, count
            self._seconds = (time.perf_counter() - start) / count
            first += count


class Members:
    """Networks of one architecture, to be trained on resamples of one data set.

    Number 0 of the streams is the network on all data, and member b has number b + 1.

    Parameters
    ----------
    network : Network
        The architecture; it is not changed.
    X, y : array_like
    params : FitParams
    key : ndarray
        Of the streams.  # shape: (4,)

    Raises
    ------
    TypeError, ValueError
        For bad input; there was no work before.
    """

    def __init__(
        self, network: Network, X: Any, y: Any, params: FitParams, key: np.ndarray
    ) -> None:
        check_network(network)
        network._check_frozen()
        named = loss_of(params.loss, y)
        #: By its name.
        self.loss = named.name
        l2, settings = check_fit(network._graph, params)
        optimizer = find_optimizer("sgd" if params.optimizer is None else params.optimizer)
        self.data = check_observations(
            X, y, params.sample_weight, network._graph, params.loss, network.dtype, params.scale
        )
        # Multiplied by counts before they are rounded.
        self._weights: np.ndarray | None = None
        if len(self.data.weights):
            n, outputs = len(self.data.inputs), outputs_for(network._graph, self.data.inputs)
            told = Told(y, params.sample_weight, outputs).by(params.loss)
            self._weights = check_weights(told.sample_weight, n, np.dtype(np.float64))
        settings = settings.for_rows(len(self.data.inputs))
        check_batches(network._graph, self.data.inputs, settings.batch_size)
        self.key = key
        self._network = network
        self.engine = Engine(network._graph, self.data.inputs.dtype, self.data.inputs.shape[1:])
        self._first_parameters = FirstParameters(self.engine, network._graph)
        pace = Pace(self.engine.work(settings.batch_size))
        self._job = Fit(self.engine, optimizer, named, l2, *settings, False, pace)
        #: The learning rate of each epoch, which are those of the network on all data.
        self.rates: list[float] = []

    @property
    def epochs(self) -> int:
        """Passes over the data."""
        return self._job.epochs

    def groups(self, repeated: bool = False) -> Groups:
        """In which groups they are trained; the data may be `repeated` for each, for new responses."""
        n, inputs = len(self.data.inputs), self.data.inputs[0].size
        batch = min(self._job.batch_size, n)
        steps = self.epochs * -(-n // batch)
        seconds = steps * (1e-6 + self.engine.work(batch) / 1e10) / n_threads()
        return Groups(n * (1 + inputs) if repeated else n, seconds)

    def fit_center(self) -> Any:
        """The network on all data: what :meth:`Sequential.fit` makes of the same seed.

        The members take the learning rates that it had: so no member depends on the others, even where a
        schedule follows the losses.
        """
        whole = self._network._blank(self.engine.dtype)
        whole._key = self.key
        engine, state, key = whole._ready_for(self.data.inputs)
        job = self._job._replace(engine=engine)
        whole._state = fit(whole, job, self.data, None, state, whole._progress, key)
        self.rates = whole.history["learning_rate"]
        return whole

    def counts(self, first: int, count: int) -> np.ndarray:
        """How often each observation was drawn for members `first`, ….  # shape: (count, n)"""
        return bootstrap_counts(self.stream, first, count, len(self.data.inputs))

    @property
    def stream(self) -> np.ndarray:
        """The key of the resamples.  # shape: (4,)"""
        return derived_key(self.key, 2)

    def empty(self, count: int) -> np.ndarray:
        """Room for the parameters of so many members, all zero.  # shape: (count, parameters)"""
        return self.engine.empty_state(count, False, False).parameters

    def train(
        self,
        parameters: np.ndarray,
        first: int,
        weights: np.ndarray | None,
        responses: np.ndarray | None = None,
    ) -> np.ndarray:
        """Train members `first`, `first` + 1, … side by side, once the centre has been trained.

        Parameters
        ----------
        parameters : ndarray of shape (count, parameters)
            Of :meth:`empty`; those that are found are put here.
        first : int
        weights : ndarray or None
            How often each observation counts; those of the user's are multiplied by them.
            # shape: (count, n)
        responses : ndarray, optional
            In place of the targets.  # shape: (count, n, outputs)

        Returns
        -------
        ndarray of shape (epochs, count)
            Mean losses.

        Raises
        ------
        FloatingPointError
            If a member's loss is no longer finite, naming it.
        """
        data = self._resampled(first, weights, responses)
        job = self._job
        if self.engine.draws:
            job = job._replace(seeds=mask_seeds(self.key, 0, first + 1, len(parameters)))
        count, n, optimizer = len(parameters), len(self.data.inputs), job.optimizer
        empty = self.engine.empty_state(count, optimizer.uses_first, optimizer.uses_second)
        state = State(parameters, empty.first, empty.second)
        self._first_parameters.draw(self.key, first + 1, parameters)
        # Where observations are repeated, each member has those of its own.
        begins = np.arange(count)[:, None] * (n if responses is not None else 0)
        history = np.zeros((job.epochs, count))
        progress, most = Progress(), max(1, _SIDE_BY_SIDE // (count * n))
        while progress.epochs < job.epochs:
            epoch = progress.epochs
            rate = self.rates[epoch]
            ahead = self.rates[epoch : epoch + most]
            alike = next((k for k, other in enumerate(ahead) if other != rate), len(ahead))
            together = job.together(count, n, alike)
            if job.shuffle:
                order = orders(self.key, epoch, together, first + 1, count, n)
            else:
                order = np.tile(np.arange(n), (count, together, 1))
            if responses is not None:
                order += begins[:, None]
            totals = None
            if together > 1:
                last = epoch + together == job.epochs
                totals = train_together(job, data, state, order, rate, progress, last)
                most = 1 if totals is None else most
            if totals is None:
                last = epoch + 1 == job.epochs
                try:
                    totals = train_epochs(job, data, state, order[:, :1], rate, progress, last)
                except Diverged as diverged:
                    what = f"the loss of network {first + diverged.member}"
                    raise diverged.error(epoch, what) from None
            history[epoch : epoch + totals.shape[1]] = totals.T / n
            progress.epochs += totals.shape[1]
        return history

    def _resampled(
        self, first: int, weights: np.ndarray | None, responses: np.ndarray | None
    ) -> Observations:
        """The data with weights for each member, or repeated for each with its targets."""
        dtype, data = self.engine.dtype, self.data
        if responses is None:
            assert weights is not None
            if self._weights is not None:
                weights = weights * self._weights
                empty = np.flatnonzero(~weights.any(axis=1))
                if len(empty):
                    raise ValueError(
                        f"sample_weight is 0 wherever network {first + empty[0]} has drawn: leave such "
                        "observations out"
                    )
            return data._replace(weights=weights.astype(dtype))
        count = len(responses)
        n, outputs = data.targets.shape
        targets = np.ascontiguousarray(responses.reshape(count * n, outputs), dtype)
        return Observations(
            np.concatenate([data.inputs] * count), targets, data.labels, data.weights
        )
