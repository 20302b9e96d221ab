"""Ensembles: many networks of one architecture, each trained on a resample of its own, side by side."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from fastkb.nn.engine import Engine
from fastkb.nn.fitting import Diverged, Fit, Pace, derived_key, orders, train_epoch
from fastkb.nn.network import Sequential
from fastkb.nn.optimizers import find_optimizer
from fastkb.nn.training import State
from fastkb.random.streams import bootstrap_counts, key_from_rng
from fastkb.runtime.threads import n_threads
from fastkb.validation.bootstrap import check_level, check_n_resamples, check_rng
from fastkb.validation.networks import (
    LOSSES,
    Observations,
    check_choice,
    check_inputs,
    check_network,
    check_nonnegative,
    check_observations,
    check_trainable,
    check_training,
)

# Numbers of orders and weights of the members that are trained side by side: 64 MB.
_SIDE_BY_SIDE = 2**22
_FEWEST = 16  # members of a group for each thread


class Ensemble:
    """Networks that were trained on resamples of one data set, and one on all of it.

    Made by :func:`fastkb.nn.bootstrap_fit`.

    Attributes
    ----------
    network : Sequential
        The one that was trained on all data.
    loss : str
    history : ndarray of shape (epochs, n_resamples)
        The members' mean losses in each epoch.
    seconds : float
        Wall-clock time of the training.
    """

    def __init__(
        self,
        network: Sequential,
        engine: Engine,
        parameters: np.ndarray,
        loss: str,
        history: np.ndarray,
        seconds: float,
    ) -> None:
        self.network, self.loss, self.history, self.seconds = network, loss, history, seconds
        self._engine, self._parameters = engine, parameters

    def __len__(self) -> int:
        return len(self._parameters)

    def state_dict(self, member: int) -> dict[str, np.ndarray]:
        """One member's parameters, as :meth:`Sequential.state_dict` gives them."""
        return self._engine.take(self._parameters[member])

    def forward(self, X: Any) -> np.ndarray:
        """Every member's outputs.

        Parameters
        ----------
        X : array_like of shape (n, in_features)

        Returns
        -------
        ndarray of shape (n_resamples, n, out_features)
        """
        inputs = check_inputs(X, self.network.in_features, self._engine.dtype)
        return np.array([self._engine.forward(member, inputs) for member in self._parameters])

    def predict(self, X: Any) -> np.ndarray:
        """The mean of the members' responses: probabilities, where the loss is a cross-entropy.

        Parameters
        ----------
        X : array_like of shape (n, in_features)

        Returns
        -------
        ndarray of shape (n, out_features)
        """
        return respond(self.forward(X), self.loss).mean(axis=0)

    def band(self, X_eval: Any, *, confidence_level: float = 0.9) -> Any:
        """Pointwise confidence band of the response.

        Parameters
        ----------
        X_eval : array_like of shape (n_eval, in_features)
        confidence_level : float, default 0.9

        Returns
        -------
        BandResult
            Curves of shape (n_eval,) for one output (or the probability of one of two classes), else
            (n_eval, out_features). The centre is the network that was trained on all data.

        See Also
        --------
        fastkb.bootstrap_band
        """
        from fastkb.bootstrap.quantiles import column_quantiles
        from fastkb.bootstrap.result import BandResult

        start = time.perf_counter()
        level = check_level("confidence_level", confidence_level)
        center = respond(self.network.forward(X_eval), self.loss)
        distribution = respond(self.forward(X_eval), self.loss)
        if center.shape[-1] == 1 or (self.loss == "cross_entropy" and center.shape[-1] == 2):
            center, distribution = center[..., -1], distribution[..., -1]
        low, high = column_quantiles(distribution, [(1 - level) / 2, (1 + level) / 2])
        return BandResult(
            x=np.asarray(X_eval),
            center=center,
            mean=distribution.mean(axis=0),
            low=low.astype(center.dtype),
            high=high.astype(center.dtype),
            confidence_level=level,
            distribution=distribution,
            solver="weights",
            reason="every network was trained on bootstrap weights",
            n_resamples=len(self),
            seconds=self.seconds + time.perf_counter() - start,
        )


def respond(outputs: np.ndarray, loss: str) -> np.ndarray:
    """Probabilities from the logits of a cross-entropy; other outputs as they are."""
    from scipy.special import expit, softmax

    if loss == "binary_cross_entropy":
        return expit(outputs)
    return softmax(outputs, axis=-1) if loss == "cross_entropy" else outputs


def bootstrap_fit(
    network: Sequential,
    X: Any,
    y: Any,
    *,
    n_resamples: int = 100,
    loss: str = "squared_error",
    optimizer: Any = None,
    epochs: int = 10,
    batch_size: int = 32,
    l2: float = 0.0,
    shuffle: bool = True,
    rng: Any = None,
    progress: bool = False,
) -> Ensemble:
    r"""Train many networks, each on a bootstrap resample, with first weights and orders of its own.

    Member b minimises :math:`\sum_i w_i^{(b)} \ell(f(x_i), y_i)`, where :math:`w_i^{(b)}` counts how
    often observation i was drawn. So the spread of the members is that of the data *and* of the training.

    Parameters
    ----------
    network : Sequential
        The architecture; it is not changed.
    X, y, loss, optimizer, epochs, batch_size, l2, shuffle
        As for :meth:`Sequential.fit`.
    n_resamples : int, default 100
        Members.
    rng : None, int, numpy.random.SeedSequence or numpy.random.Generator, default None
        Seed. Member b depends on the seed and b alone, not on n_resamples.
    progress : bool, default False
        Whether to show a progress bar on standard error.

    Returns
    -------
    Ensemble

    Raises
    ------
    TypeError, ValueError
        For bad input, before any work.
    FloatingPointError
        If a member's loss is no longer finite, naming it.

    Notes
    -----
    Each member is trained by one thread, in whose cache it stays; results do not depend on threads.

    References
    ----------
    Efron, Tibshirani (1993), An Introduction to the Bootstrap, section 9. Lakshminarayanan, Pritzel,
    Blundell (2017), Simple and scalable predictive uncertainty estimation using deep ensembles, NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import nn
    >>> rng = np.random.default_rng(0)
    >>> x = rng.uniform(-2, 2, (200, 1))
    >>> y = np.sin(2 * x[:, 0]) + 0.2 * rng.standard_normal(200)
    >>> net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
    >>> ensemble = nn.bootstrap_fit(
    ...     net, x, y, n_resamples=20, optimizer=nn.Adam(lr=0.02), epochs=50, rng=0
    ... )
    >>> band = ensemble.band(np.linspace(-2, 2, 9)[:, None])
    >>> band.low.shape, bool((band.low <= band.high).all())
    ((9,), True)
    """
    from tqdm import tqdm

    check_network(network)
    check_choice("loss", loss, LOSSES)
    l2 = check_nonnegative("l2", l2)
    check_trainable(network.layers)
    settings = check_training(epochs, batch_size, shuffle, None, ())
    chosen = find_optimizer("sgd" if optimizer is None else optimizer)
    n_resamples = check_n_resamples(n_resamples)
    key = key_from_rng(check_rng(rng))
    shape = network.in_features, network.out_features
    data = check_observations(X, y, None, shape, loss, network.dtype)
    start = time.perf_counter()
    dtype = data.inputs.dtype
    whole = Sequential(*network.layers, dtype=dtype)
    whole._key = key
    whole.fit(
        X,
        y,
        loss=loss,
        optimizer=chosen,
        epochs=epochs,
        batch_size=batch_size,
        l2=l2,
        shuffle=shuffle,
    )
    engine = Engine(network.layers, dtype)
    pace = Pace(engine.work(settings.batch_size))
    job = Fit(engine, chosen, loss, l2, *settings, progress, pace)
    parameters = engine.empty_state(n_resamples, False, False).parameters
    history = np.empty((settings.epochs, n_resamples))
    together = max(n_threads() * _FEWEST, _SIDE_BY_SIDE // len(data.inputs))
    rates = whole.history["learning_rate"]
    with tqdm(total=n_resamples, unit=" networks", disable=not progress) as bar:
        for first in range(0, n_resamples, together):
            members = slice(first, min(first + together, n_resamples))
            history[:, members] = _train(job, data, key, first, parameters[members], rates)
            bar.update(members.stop - first)
    return Ensemble(whole, engine, parameters, loss, history, time.perf_counter() - start)


def _train(
    job: Fit,
    data: Observations,
    key: np.ndarray,
    first: int,
    parameters: np.ndarray,
    rates: list[float],
) -> np.ndarray:
    """Train members `first`, `first` + 1, …; their losses.  # shape: (epochs, members)

    The network on all data is number 0 of the streams, and member b number b + 1. The learning rates are
    its, which a schedule may have made depend on its losses: so no member depends on the others.
    """
    count, n = len(parameters), len(data.inputs)
    engine, optimizer = job.engine, job.optimizer
    empty = engine.empty_state(count, optimizer.uses_first, optimizer.uses_second)
    state = State(parameters, empty.first, empty.second)
    for member in range(count):
        engine.initialize(key, first + member + 1, parameters[member])
    counts = bootstrap_counts(derived_key(key, 2), first, count, n)
    data = data._replace(weights=counts.astype(engine.dtype))
    history = np.zeros((job.epochs, count))
    done = 0
    for epoch, rate in enumerate(rates):
        if job.shuffle:
            order = orders(key, epoch, first + 1, count, n)
        else:
            order = np.tile(np.arange(n), (count, 1))
        try:
            for part, steps in train_epoch(job, data, state, order, rate, done):
                history[epoch] += part / n
                done += steps
        except Diverged as diverged:
            who = f"the loss of network {first + diverged.member}"
            raise diverged.error(epoch, who) from None
    return history
