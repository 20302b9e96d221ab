"""Ensembles: many networks of one architecture, each trained on a resample of its own, side by side."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

from fastkb.checks.requests import check_n_resamples, check_rng
from fastkb.checks.scalars import check_progress
from fastkb.executors.carriers import Job
from fastkb.executors.parts import Parts, check_executor, in_parts, spans
from fastkb.nn.checks import FitParams, check_member
from fastkb.nn.earlier import tensors_of
from fastkb.nn.network import Sequential
from fastkb.nn.observations import check_inputs
from fastkb.nn.ops.losses import OF_CLASSES
from fastkb.nn.program.store import Store
from fastkb.nn.training.members import Members
from fastkb.random.streams import key_from_rng
from fastkb.runtime.hooks import hook
from fastkb.runtime.memory import empty
from fastkb.runtime.progress import ProgressLike, counted

REASON = "all networks are trained side by side, on bootstrap weights"


class Ensemble:
    """Networks that were trained on resamples of one data set, and one on all of it.

    Made by :func:`fastkb.nn.bootstrap_fit`.

    Parameters
    ----------
    network : Sequential
        The one that was trained on all data.
    store : fastkb.nn.program.store.Store
        Where the parameters of each stand.
    parameters : ndarray of shape (n_resamples, n_parameters)
        One row for each member.
    loss : str
        Its name in compiled code.
    history : ndarray of shape (epochs, n_resamples)
        The members' mean losses in each epoch.
    seconds : float
        Wall-clock time of the training.

    Attributes
    ----------
    network, loss, history, seconds
        As above.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import nn
    >>> X = np.linspace(-1.0, 1.0, 50)[:, None]
    >>> network = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))
    >>> ensemble = nn.bootstrap_fit(network, X, X[:, 0] ** 2, n_resamples=3, epochs=2, rng=0)
    >>> len(ensemble), ensemble.forward(X).shape, ensemble.predict(X).shape
    (3, (3, 50, 1), (50, 1))
    """

    def __init__(
        self,
        network: Sequential,
        store: Store,
        parameters: np.ndarray,
        loss: str,
        history: np.ndarray,
        seconds: float,
    ) -> None:
        self.network, self.loss, self.history, self.seconds = network, loss, history, seconds
        self._store, self._parameters = store, parameters

    def __getstate__(self) -> dict[str, Any]:
        """Parameters by torch's names: their places differ between processors."""
        named = _by_name(self._store, self._parameters)
        return {**self.__dict__, "_store": None, "_parameters": named}

    def __setstate__(self, state: dict[str, Any]) -> None:
        named, old = state["_parameters"], state.pop("_engine", None)
        if old is not None:  # version 0.1.0 kept the engine, and its form of the parameters
            named = tensors_of(old, named)
        network = state["network"]
        store = Store(network._graph, network.dtype)
        count = len(next(iter(named.values())))
        parameters = store.empty_state(count, False, False).parameters
        _put_by_name(store, named, parameters)
        self.__dict__.update(state, _store=store, _parameters=parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def state_dict(self, member: int) -> dict[str, np.ndarray]:
        """One member's parameters, as :meth:`Sequential.state_dict` gives them."""
        return self._store.take(self._parameters[check_member(member, len(self))])

    def forward(self, X: Any, *, scale: float | None = None) -> np.ndarray:
        """Every member's outputs.

        Parameters
        ----------
        X : array_like of shape (n, in_features)
        scale : float, optional
            What images of bytes are multiplied by.

        Returns
        -------
        ndarray of shape (n_resamples, n, out_features)
        """
        inputs = check_inputs(X, self.network._graph, self._store.dtype, scale=scale)
        engine, _, _ = self.network._ready_for(inputs)
        outputs = [engine.forward(member, inputs) for member in self._parameters]
        return np.reshape(outputs, (len(self), len(inputs), *engine.output_shape))

    def predict(self, X: Any, *, scale: float | None = None) -> np.ndarray:
        """The mean of the members' responses: probabilities, where the loss is a cross-entropy.

        Parameters
        ----------
        X : array_like of shape (n, in_features)
        scale : float, optional
            What images of bytes are multiplied by.

        Returns
        -------
        ndarray of shape (n, out_features)
        """
        with np.errstate(over="ignore", invalid="ignore"):
            return respond(self.forward(X, scale=scale), self.loss).mean(axis=0)

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
        fastkb.bootstrap_band : the same band for the same seed, in less memory, and by other schemes.
        """
        return hook("ensemble_band")(self, X_eval, confidence_level)


def _by_name(store: Store, parameters: np.ndarray) -> dict[str, np.ndarray]:
    """The members' tensors by torch's names.  # shapes: (members, …)"""
    members = [store.take(buffer) for buffer in parameters]
    return {name: np.stack([member[name] for member in members]) for name in members[0]}


def _put_by_name(store: Store, named: dict[str, np.ndarray], parameters: np.ndarray) -> None:
    """The inverse of :func:`_by_name`."""
    for name, values in named.items():
        for buffer, value in zip(parameters, values, strict=True):
            store.put(name, value, buffer)


def respond(outputs: np.ndarray, loss: str) -> np.ndarray:
    """Probabilities from what a cross-entropy is of; other outputs as they are."""
    from scipy.special import expit, softmax

    if loss in ("binary_cross_entropy", "weighted_binary_cross_entropy"):
        return expit(outputs)
    if loss == "log_cross_entropy":
        return np.exp(outputs)
    if loss not in OF_CLASSES:
        return outputs
    with np.errstate(over="ignore", invalid="ignore"):  # of logits that are as large as can be
        return softmax(outputs, axis=-1)


def curves(outputs: np.ndarray, loss: str) -> np.ndarray:
    """What a band is of: the responses, without the last axis where one column says all."""
    responses = respond(outputs, loss)
    one = responses.shape[-1] == 1 or (loss in OF_CLASSES and responses.shape[-1] == 2)
    return responses[..., -1] if one else responses


def classes(network: Sequential, loss: str) -> np.ndarray | None:
    """The labels that outputs stand for, if there are labels and their number is known."""
    outputs = network.out_features
    return np.arange(outputs) if loss in OF_CLASSES and outputs is not None else None


def bootstrap_fit(
    network: Sequential,
    X: Any,
    y: Any,
    *,
    n_resamples: int = 100,
    loss: Any = "squared_error",
    optimizer: Any = None,
    epochs: int = 10,
    batch_size: int = 32,
    l2: float = 0.0,
    shuffle: bool = True,
    sample_weight: Any = None,
    rng: Any = None,
    executor: Any = None,
    progress: ProgressLike = False,
    scale: float | None = None,
) -> Ensemble:
    r"""Train many networks, each on a bootstrap resample, with first weights and orders of its own.

    Member b minimises :math:`\sum_i w_i^{(b)} \ell(f(x_i), y_i)`, where :math:`w_i^{(b)}` counts how
    often observation i was drawn. So the spread of the members is that of the data *and* of the training.

    Parameters
    ----------
    network : Sequential
        The architecture; it is not changed.
    X, y, loss, optimizer, epochs, batch_size, l2, shuffle, sample_weight, scale
        As for :meth:`Sequential.fit`; the weights are multiplied by the counts.
    n_resamples : int, default 100
        Members.
    rng : None, int, numpy.random.SeedSequence or numpy.random.Generator, default None
        Seed. Member b depends on the seed and b alone, not on n_resamples.
    executor : concurrent.futures.Executor, dask.distributed.Client or the like, optional
        Anything with a method ``submit``: the members are trained there, a few at a time. The network on
        all data is trained here. The data are brought to every worker once.
    progress : bool or callable, default False
        True shows a bar on standard error. A function is called with what is counted, how many are
        done, and how many there will be.

    Returns
    -------
    Ensemble

    Raises
    ------
    TypeError, ValueError
        For bad input, before any work.
    FloatingPointError
        If a member's loss is no longer finite, naming it.
    fastkb.ExecutorError
        If the executor breaks; what is finished is kept, and ``error.go_on(executor)`` trains the rest.

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
    check_progress(progress)
    check_executor(executor)
    n_resamples = check_n_resamples(n_resamples)
    key = key_from_rng(check_rng(rng))
    params = FitParams(loss, optimizer, epochs, batch_size, l2, shuffle, sample_weight, scale)
    members = Members(network, X, y, params, key)
    start = time.perf_counter()
    # Allocated before any training, since the members may not fit into the memory.
    parameters = members.empty(n_resamples)
    history = empty((members.epochs, n_resamples), np.float64, "the members' losses")
    whole = members.fit_center()

    def finish(parts: list[_Trained]) -> Ensemble:
        for part in parts:
            some = slice(part.first, part.first + part.history.shape[1])
            history[:, some] = part.history
            _put_by_name(members.engine, part.tensors, parameters[some])
        seconds = time.perf_counter() - start
        return Ensemble(whole, members.engine, parameters, members.loss, history, seconds)

    if executor is not None:
        job = Job(_Trainer, (network, X, y, params, key, members.rates))

        def elsewhere(parts: Parts) -> Ensemble:
            trained = []
            with counted(progress, "networks", n_resamples) as bar:
                for part in parts.results(job, spans(n_resamples)):
                    trained.append(part)
                    bar.update(part.history.shape[1])
            return finish(trained)

        return in_parts(executor, elsewhere)
    with counted(progress, "networks", n_resamples) as bar:
        for first, count in members.groups()(0, n_resamples):
            some = slice(first, first + count)
            counts = members.counts(first, count)
            history[:, some] = members.train(parameters[some], first, counts)
            bar.update(count)
    return finish([])


class _Trained(NamedTuple):
    """Some members, trained in a worker."""

    first: int
    tensors: dict[str, np.ndarray]  # by torch's names: the engine's form differs between processors
    history: np.ndarray  # shape: (epochs, members)


class _Trainer:
    """What trains members in a worker."""

    def __init__(self, *arguments: Any) -> None:
        *job, rates = arguments
        self._members = Members(*job)
        self._members.rates = rates

    def __call__(self, first: int, count: int) -> _Trained:
        members = self._members
        parameters = members.empty(count)
        history = members.train(parameters, first, members.counts(first, count))
        return _Trained(first, _by_name(members.engine, parameters), history)
