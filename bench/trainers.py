"""How PyTorch and JAX train the networks of :mod:`bench.network`, each in its own best form.

A trainer takes what is to be trained and returns what is timed: from the first parameters through all
steps to the last. It raises ImportError where its library is missing.
"""

from __future__ import annotations

import functools
import itertools
import math
import time
import warnings
from typing import Any, NamedTuple

import numpy as np

from bench.rivals import Call

BETAS = (0.9, 0.999)  # of Adam, everybody's

Parameters = dict[str, np.ndarray]  # by torch's names


class Training(NamedTuple):
    """Some epochs of a network of dense layers with ReLU between them."""

    widths: tuple[int, ...]
    X: np.ndarray
    y: np.ndarray  # numbers for one output, classes for several
    batch: int
    epochs: int
    adam: bool  # else plain gradient descent
    rate: float
    eps: float  # Adam's
    first: Parameters

    @property
    def classifies(self) -> bool:
        return self.widths[-1] > 1

    @property
    def steps(self) -> int:
        return self.epochs * (len(self.X) // self.batch)

    @property
    def places(self) -> list[str]:
        """Of the dense layers."""
        return [str(2 * k) for k in range(len(self.widths) - 1)]

    @property
    def batches(self) -> list[slice]:
        begins = range(0, len(self.X), self.batch)
        return [slice(begin, begin + self.batch) for begin in begins] * self.epochs


class Drawn(NamedTuple):
    """What the members of an ensemble are given."""

    first: list[Parameters]
    orders: np.ndarray  # shape: (members, epochs·n)
    weights: np.ndarray  # shape: (members, n)


# Each form of a rival is run once, which compiles it, and then for so many seconds, before one is chosen.
TRIED = 0.2


def fastest(forms: list[Call]) -> Call:
    """The one whose best run is the shortest; forms that fail are passed over, if one does not."""
    failed: list[Exception] = []

    def seconds(call: Call) -> float:
        try:
            call()
        except Exception as error:  # a compiler's, of a processor that it does not know
            failed.append(error)
            return math.inf
        times: list[float] = []
        while sum(times) < TRIED:
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        return min(times)

    best = min(forms, key=seconds)
    if len(failed) == len(forms):
        raise failed[0]
    return best


def _tensors(job: Training) -> tuple[Any, Any, dict[str, Any]]:
    """Inputs, targets as torch's losses like them, and first parameters."""
    import torch

    y = torch.from_numpy(job.y)
    first = {name: torch.from_numpy(value) for name, value in job.first.items()}
    return torch.from_numpy(job.X), y if job.classifies else y[:, None], first


def torch_eager(job: Training) -> Call:
    """Modules and optimisers, as torch's tutorials have them.

    The optimiser updates parameter by parameter, all at once, or in one fused kernel: the best counts.
    """
    import torch

    X, y, first = _tensors(job)
    loss = torch.nn.CrossEntropyLoss() if job.classifies else torch.nn.MSELoss()
    layers: list[Any] = []
    for inputs, outputs in itertools.pairwise(job.widths):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]

    def train(**form: bool) -> list[Parameters]:
        network = torch.nn.Sequential(*layers[:-1])
        network.load_state_dict(first)
        kind = torch.optim.Adam if job.adam else torch.optim.SGD
        settings: dict[str, Any] = {"eps": job.eps} if job.adam else {}
        optimizer = kind(network.parameters(), lr=job.rate, **settings, **form)
        for part in job.batches:
            optimizer.zero_grad()
            loss(network(X[part]), y[part]).backward()
            optimizer.step()
        return [{k: v.numpy().copy() for k, v in network.state_dict().items()}]

    forms = ({"foreach": False}, {"foreach": True}, {"fused": True})
    return fastest([functools.partial(train, **form) for form in forms])


@functools.cache
def why_not_compiled() -> str:
    """Why ``torch.compile`` does not work on this machine; empty if it does."""
    import torch

    compile_in_this_process()
    try:
        with warnings.catch_warnings():  # that its own modules import what it has deprecated
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.compile(lambda x: torch.sin(x) + 1)(torch.ones(2))
    except RuntimeError as error:
        # Its C++ compiler is missing, or this Python is too new for it.
        return f"torch.compile does not work here: {str(error).splitlines()[0]}"
    return ""


def compile_in_this_process() -> None:
    """Start no processes that compile: they would be there while others are timed."""
    import torch._inductor.config

    torch._inductor.config.compile_threads = 1


def torch_compiled(job: Training) -> Call:
    """A step as one compiled function: gradient and update, in place.

    (That is faster than modules and optimisers that are compiled one by one, between which a step
    returns to Python.)
    """
    import torch
    import torch._dynamo
    from torch.nn import functional

    X, y, first = _tensors(job)
    compile_in_this_process()
    # What was compiled for other sizes would make this work's sizes variables.
    torch._dynamo.reset()

    def loss(parameters: Any, x: Any, target: Any) -> Any:
        for place in job.places:
            x = functional.linear(x, parameters[f"{place}.weight"], parameters[f"{place}.bias"])
            x = functional.relu(x) if place != job.places[-1] else x
        return (functional.cross_entropy if job.classifies else functional.mse_loss)(x, target)

    gradient = torch.func.grad(loss)

    def descend(parameters: Any, x: Any, target: Any) -> None:
        for name, slope in gradient(parameters, x, target).items():
            parameters[name].sub_(job.rate * slope)

    def adam(parameters: Any, means: Any, squares: Any, count: Any, x: Any, target: Any) -> None:
        slopes = gradient(parameters, x, target)
        count.add_(1)
        one, two = (-torch.expm1(count * math.log(beta)) for beta in BETAS)
        for name, slope in slopes.items():
            mean = means[name].mul_(BETAS[0]).add_(slope, alpha=1 - BETAS[0])
            square = squares[name].mul_(BETAS[1]).add_(slope * slope, alpha=1 - BETAS[1])
            parameters[name].sub_(job.rate / one * mean / ((square / two).sqrt() + job.eps))

    def compiled(mode: str) -> Any:
        return torch.compile(
            adam if job.adam else descend, fullgraph=True, dynamic=False, mode=mode
        )

    def train(step: Any) -> list[Parameters]:
        parameters = {name: value.clone() for name, value in first.items()}
        state: tuple[Any, ...] = ()
        if job.adam:
            zeros = ({k: torch.zeros_like(v) for k, v in first.items()} for _ in BETAS)
            state = (*zeros, torch.zeros(()))
        with torch.no_grad():
            for part in job.batches:
                step(parameters, *state, X[part], y[part])
        return [{name: value.numpy() for name, value in parameters.items()}]

    modes = ("default", "max-autotune-no-cudagraphs")
    return fastest([functools.partial(train, compiled(mode)) for mode in modes])


def _jax_step(job: Training) -> Any:
    """One step: a function of parameters, the optimiser's state, the step's number and a batch.

    Weights of layers are (inputs, outputs), as JAX's users have them; those of rows may be None.
    """
    import jax
    import jax.numpy as jnp

    places = job.places

    def loss(parameters: Any, x: Any, target: Any, weights: Any) -> Any:
        for place in places:
            x = x @ parameters[f"{place}.weight"] + parameters[f"{place}.bias"]
            x = jnp.maximum(x, 0) if place != places[-1] else x
        if job.classifies:
            picked = jnp.take_along_axis(x, target[:, None], axis=1)[:, 0]
            each = jax.nn.logsumexp(x, axis=1) - picked
        else:
            each = (x[:, 0] - target) ** 2
        return each.mean() if weights is None else (weights * each).sum() / weights.sum()

    gradient = jax.grad(loss)
    b1, b2 = BETAS

    def adam(parameters: Any, slopes: Any, state: Any, i: Any) -> Any:
        mean = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state[0], slopes)
        square = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state[1], slopes)
        # 1 - 0.999 in float32 would be off by 5e-5.
        one, two = (-jnp.expm1((i + 1) * math.log(beta)) for beta in BETAS)
        moved = jax.tree.map(
            lambda p, m, v: p - job.rate / one * m / (jnp.sqrt(v / two) + job.eps),
            parameters,
            mean,
            square,
        )
        return moved, (mean, square)

    def step(carried: Any, i: Any, x: Any, target: Any, weights: Any) -> Any:
        parameters, state = carried
        slopes = gradient(parameters, x, target, weights)
        if job.adam:
            return adam(parameters, slopes, state, i.astype(jnp.float32))
        return jax.tree.map(lambda p, g: p - job.rate * g, parameters, slopes), state

    return step


def _jax_start(job: Training, parameters: Any) -> Any:
    """The parameters, and the optimiser's state before its first step."""
    import jax
    import jax.numpy as jnp

    zero = jax.tree.map(jnp.zeros_like, parameters)
    return parameters, (zero, zero) if job.adam else ()


def _jax_gathered(job: Training) -> Any:
    """All steps in one loop that gathers each batch: of first parameters, order and weights."""
    import jax
    import jax.numpy as jnp

    X, y, step = jnp.asarray(job.X), jnp.asarray(job.y), _jax_step(job)

    def train(parameters: Any, order: Any, weights: Any) -> Any:
        def body(i: Any, carried: Any) -> Any:
            chosen = order[i]
            return step(carried, i, X[chosen], y[chosen], weights[chosen])

        start = _jax_start(job, parameters)
        return jax.lax.fori_loop(0, job.steps, body, start)[0]

    return train


def _jax_scanned(job: Training) -> Any:
    """A scan over batches that lie one behind the other: of first parameters, inputs and targets."""
    import jax
    import jax.numpy as jnp

    step, each = _jax_step(job), job.steps // job.epochs

    def train(parameters: Any, X: Any, y: Any) -> Any:
        def epoch(e: Any, carried: Any) -> Any:
            def body(carried: Any, batch: Any) -> Any:
                return step(carried, *batch, None), None

            numbers = e * each + jnp.arange(each)
            return jax.lax.scan(body, carried, (numbers, X, y))[0]

        return jax.lax.fori_loop(0, job.epochs, epoch, _jax_start(job, parameters))[0]

    return train


def _jax_looped(job: Training) -> Any:
    """A ``fori_loop`` over the same batches."""
    import jax

    step, each = _jax_step(job), job.steps // job.epochs

    def train(parameters: Any, X: Any, y: Any) -> Any:
        def body(i: Any, carried: Any) -> Any:
            return step(carried, i, X[i % each], y[i % each], None)

        return jax.lax.fori_loop(0, job.steps, body, _jax_start(job, parameters))[0]

    return train


def _turned(parameters: dict[str, Any]) -> Parameters:
    """Weights the other way round: torch's are (outputs, inputs)."""
    arrays = {name: np.asarray(value) for name, value in parameters.items()}
    return {k: np.swapaxes(v, -1, -2) if k.endswith("weight") else v for k, v in arrays.items()}


def jax_one(job: Training) -> Call:
    """All steps in one ``jit``: of a scan or a loop over batches, with donated parameters or not.

    Which is the fastest depends on the sizes and on the version; each is tried, and the best one counts.
    """
    import jax
    import jax.numpy as jnp

    first = {name: jnp.asarray(value) for name, value in _turned(job.first).items()}
    shape = job.steps // job.epochs, job.batch
    used = math.prod(shape)
    X = jnp.asarray(job.X[:used]).reshape(*shape, -1)
    y = jnp.asarray(job.y[:used]).reshape(shape)

    def caller(form: Any, donated: bool) -> Call:
        compiled = jax.jit(form(job), donate_argnums=(0,) if donated else ())

        def train() -> list[Parameters]:
            start = {k: v.copy() for k, v in first.items()} if donated else first
            return [_turned(compiled(start, X, y))]

        return train

    forms = itertools.product((_jax_scanned, _jax_looped), (False, True))
    return fastest([caller(*form) for form in forms])


def jax_many(job: Training, drawn: Drawn, shown: range) -> Call:
    """The same for many networks at once under ``vmap``; returns the parameters of some."""
    import jax
    import jax.numpy as jnp

    stacked = {k: np.stack([each[k] for each in drawn.first]) for k in job.first}
    first = {k: jnp.asarray(v) for k, v in _turned(stacked).items()}
    orders = jnp.asarray(drawn.orders).reshape(-1, job.steps, job.batch)
    weights = jnp.asarray(drawn.weights)
    compiled = jax.jit(jax.vmap(_jax_gathered(job)))

    def train() -> list[Parameters]:
        found = _turned(compiled(first, orders, weights))
        return [{k: v[b] for k, v in found.items()} for b in shown]

    return train
