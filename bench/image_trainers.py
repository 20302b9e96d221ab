"""How PyTorch and JAX train the networks of :mod:`bench.images`, each in its own best form.

Of what is here called a form, the quickest counts: the axes' order of images and weights, and what else
is named below. Images lie in that order before the clock starts, and a form's first call, which
compiles it, is never timed. A function raises ImportError where its library is missing.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from bench.architectures import Architecture, for_jax, from_jax, images_for_jax
from bench.rivals import Call
from bench.trainers import Parameters, compile_in_this_process, fastest

MODES = ("default", "max-autotune-no-cudagraphs")


class Training(NamedTuple):
    """An epoch of stochastic gradient descent on the mean cross-entropy of batches, in order."""

    architecture: Architecture
    X: np.ndarray  # shape: (n, channels, height, width)
    y: np.ndarray  # shape: (n,)
    batch: int
    rate: float
    first: Parameters

    @property
    def batches(self) -> list[slice]:
        begins = range(0, len(self.X), self.batch)
        return [slice(begin, begin + self.batch) for begin in begins]


class Given(NamedTuple):
    """Images whose outputs are wanted."""

    architecture: Architecture
    X: np.ndarray  # shape: (n, channels, height, width)
    parameters: Parameters


def _memory_formats() -> tuple[Any, ...]:
    """The order of axes in memory: torch's names for them stay the same."""
    import torch

    return torch.contiguous_format, torch.channels_last


def _tensors(parameters: Parameters, memory_format: Any) -> dict[str, Any]:
    import torch

    tensors = {name: torch.from_numpy(value) for name, value in parameters.items()}
    return {
        name: tensor.to(memory_format=memory_format) if tensor.ndim == 4 else tensor
        for name, tensor in tensors.items()
    }


def _module(given: Training | Given, parameters: Parameters, memory_format: Any) -> Any:
    import torch

    module = given.architecture.torch().to(memory_format=memory_format)
    module.load_state_dict({k: torch.from_numpy(v) for k, v in parameters.items()})
    return module


def _images(X: np.ndarray, memory_format: Any) -> Any:
    """Images of one channel, too: ``contiguous`` would leave them as they are. Rows stay."""
    import torch

    tensor = torch.from_numpy(X)
    return tensor.to(memory_format=memory_format) if X.ndim == 4 else tensor


def torch_eager(job: Training) -> Call:
    """Modules and optimisers, as torch's tutorials have them: forms are the optimiser's."""
    updates = ({"foreach": False}, {"foreach": True}, {"fused": True})
    forms = itertools.product(_memory_formats(), updates)
    return fastest([_descent(job, *each) for each in forms])


def _descent(job: Training, memory_format: Any, update: dict[str, bool], mode: str = "") -> Call:
    """A module and an optimiser; with a mode, the module is compiled."""
    import torch

    y, loss = torch.from_numpy(job.y), torch.nn.CrossEntropyLoss()
    module = _module(job, job.first, memory_format)
    X, first = _images(job.X, memory_format), _tensors(job.first, memory_format)
    called = torch.compile(module, dynamic=False, mode=mode) if mode else module

    def train() -> list[Parameters]:
        module.load_state_dict(first)
        optimizer = torch.optim.SGD(module.parameters(), lr=job.rate, **update)
        for part in job.batches:
            optimizer.zero_grad()
            loss(called(X[part]), y[part]).backward()
            optimizer.step()
        return [{k: v.numpy().copy() for k, v in module.state_dict().items()}]

    return train


def torch_compiled(job: Training) -> Call:
    """A step as one compiled function, gradient and update: forms are the compiler's modes.

    A compiled module, whose gradient and update torch runs outside of it, takes twice as long. It is
    taken where a step changes more than parameters.
    """
    import torch
    import torch._dynamo
    from torch.nn import functional

    compile_in_this_process()
    # What was compiled for other sizes would make this work's sizes variables.
    torch._dynamo.reset()
    if job.architecture.has_buffers:
        return fastest(
            [_descent(job, each, {"fused": True}, MODES[0]) for each in _memory_formats()]
        )
    y = torch.from_numpy(job.y)

    def form(memory_format: Any, mode: str) -> Call:
        X, first = _images(job.X, memory_format), _tensors(job.first, memory_format)
        module = _module(job, job.first, memory_format)

        def loss(parameters: Any, x: Any, target: Any) -> Any:
            outputs = torch.func.functional_call(module, parameters, (x,))
            return functional.cross_entropy(outputs, target)

        gradient = torch.func.grad(loss)

        def descend(parameters: Any, x: Any, target: Any) -> None:
            for name, slope in gradient(parameters, x, target).items():
                parameters[name].sub_(job.rate * slope)

        step: Any = torch.compile(descend, fullgraph=True, dynamic=False, mode=mode)

        def train() -> list[Parameters]:
            parameters = {name: value.clone() for name, value in first.items()}
            with torch.no_grad():
                for part in job.batches:
                    step(parameters, X[part], y[part])
            return [{name: value.numpy() for name, value in parameters.items()}]

        return train

    return fastest([form(*each) for each in itertools.product(_memory_formats(), MODES)])


def jax_one(job: Training) -> Call:
    """Forms are one ``jit`` of a scan over batches, and a compiled step that Python calls.

    (XLA runs convolutions inside of a loop two to four times slower than outside on some processors.)
    """
    import jax
    import jax.numpy as jnp

    places = job.batches
    y = [jnp.asarray(job.y[part]) for part in places]

    def form(channels_last: bool, scanned: bool) -> Call:
        first = for_jax(job.architecture, job.first, channels_last)
        start = {name: jnp.asarray(value) for name, value in first.items()}
        X = [jnp.asarray(images_for_jax(job.X[part], channels_last)) for part in places]

        def loss(parameters: Any, x: Any, target: Any) -> Any:
            outputs = job.architecture.jax(parameters, x, channels_last)
            picked = jnp.take_along_axis(outputs, target[:, None], axis=1)[:, 0]
            return (jax.nn.logsumexp(outputs, axis=1) - picked).mean()

        gradient = jax.grad(loss)

        def step(parameters: Any, x: Any, target: Any) -> Any:
            slopes = gradient(parameters, x, target)
            return jax.tree.map(lambda p, g: p - job.rate * g, parameters, slopes)

        def scan(parameters: Any, X: Any, y: Any) -> Any:
            return jax.lax.scan(lambda p, each: (step(p, *each), None), parameters, (X, y))[0]

        compiled = jax.jit(scan if scanned else step)
        calls = [(jnp.stack(X), jnp.stack(y))] if scanned else list(zip(X, y, strict=True))

        def train() -> list[Parameters]:
            parameters = start
            for x, target in calls:
                parameters = compiled(parameters, x, target)
            return [from_jax(job.architecture, parameters, channels_last)]

        return train

    return fastest([form(*each) for each in itertools.product((False, True), (False, True))])


def torch_outputs(given: Given) -> Call:
    """A module that records nothing."""
    return fastest([_inferred(given, memory_format) for memory_format in _memory_formats()])


def compiled_outputs(given: Given) -> Call:
    """The same, compiled: forms are the compiler's modes."""
    import torch._dynamo

    compile_in_this_process()
    torch._dynamo.reset()
    forms = itertools.product(_memory_formats(), MODES)
    return fastest([_inferred(given, *each) for each in forms])


def _inferred(given: Given, memory_format: Any, mode: str = "") -> Call:
    import torch

    X = _images(given.X, memory_format)
    module = _module(given, given.parameters, memory_format).eval()
    if mode:
        module = torch.compile(module, fullgraph=True, dynamic=False, mode=mode)

    def outputs() -> np.ndarray:
        with torch.inference_mode():
            return module(X).numpy()

    return outputs


def jax_outputs(given: Given) -> Call:
    """One ``jit``."""
    import jax
    import jax.numpy as jnp

    def form(channels_last: bool) -> Call:
        arranged = for_jax(given.architecture, given.parameters, channels_last)
        parameters = {name: jnp.asarray(value) for name, value in arranged.items()}
        X = jnp.asarray(images_for_jax(given.X, channels_last))
        forward = jax.jit(lambda p, x: given.architecture.jax(p, x, channels_last))
        return lambda: np.asarray(forward(parameters, X))

    return fastest([form(channels_last) for channels_last in (False, True)])
