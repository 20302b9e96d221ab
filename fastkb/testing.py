"""Conformance suites that users can run on their own kernels and on their own layers of networks.

>>> import fastkb
>>> fastkb.testing.check_kernel(fastkb.kernels.RBF(sigma=0.7))
>>> fastkb.testing.check_operation(fastkb.nn.Tanh())
"""

from __future__ import annotations

import copy
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastkb import nn
from fastkb.gram.algebra import Kernel, Multiple, Product, Scaled, Sum
from fastkb.gram.evaluate import FORMS
from fastkb.gram.pairwise import gram
from fastkb.nn.ops.activation import ELEMENTWISE, Activation
from fastkb.nn.ops.layers import activated
from fastkb.nn.ops.operation import Layer, Operation, Row, nothing
from fastkb.runtime.threads import n_threads, use_threads
from fastkb.scalar.kernels import Form, n_parameters

# Rows around the edges of tiles, and columns around those of the blocks that are summed at a time.
_ROWS = (1, 2, 24, 25, 96, 97, 193)
_COLUMNS = (1, 7, 257)

# Widths of layers around those of vectors, and observations.
_WIDTHS = (1, 3, 8, 17)
_OBSERVATIONS = 13

# Observations of a step: so many that threads share it, however narrow the layer is.
_BATCH = 2**15

# Of central differences: half their width, and what a derivative may be wrong by, of the largest one.
_STEP = 1e-5
_WRONG = 1e-6


def check_kernel(kernel: Kernel, *, rng: int = 0) -> None:
    """Check that a kernel obeys the laws of its kind, on random data of many shapes.

    The values are those of its formula, evaluated pair by pair in Python; the matrix is symmetric to
    the last bit; parts of it do not depend on the rest; float32 and float64 agree; ``out`` receives
    the same bits in any layout; ``diag`` is the diagonal, which is 1, and no eigenvalue is negative,
    where the kernel says so; and the object equals its copy, and hashes alike.

    Parameters
    ----------
    kernel : fastkb.kernels.Kernel
        One of the package, a sum or product of them, or a subclass with a formula of its own.
    rng : int, default 0
        Seed of the data.

    Raises
    ------
    AssertionError
        Saying which law is broken, for which shape and type.
    """
    generator = np.random.default_rng(rng)
    _check_object(kernel)
    width = _width(kernel)
    for d in _COLUMNS if width is None else (width,):
        for n in _ROWS:
            X = generator.uniform(-1, 1, (n, d)) / np.sqrt(d)
            _check_matrix(kernel, X)
            _check_matrix(kernel, X.astype(np.float32))


def _width(kernel: Kernel) -> int | None:
    """How many columns the data must have, if that is laid down."""
    if isinstance(kernel, Scaled):
        return len(kernel.length_scales)
    parts: tuple = getattr(kernel, "terms", getattr(kernel, "factors", ()))
    if isinstance(kernel, Multiple):
        parts = (kernel.kernel,)
    return next((width for width in map(_width, parts) if width is not None), None)


def _check_object(kernel: Kernel) -> None:
    other = copy.deepcopy(kernel)
    assert other == kernel, f"{kernel!r} does not equal its copy: make it a frozen dataclass"
    assert hash(other) == hash(kernel), f"{kernel!r} and its copy have different hashes"


def _check_matrix(kernel: Kernel, X: np.ndarray) -> None:
    n, d = X.shape
    where = f"{kernel!r}, n={n}, d={d}, {X.dtype}"
    K = gram(kernel, X)
    assert K.dtype == X.dtype, f"{where}: the result's type is {K.dtype}"
    assert np.array_equal(K, K.T, equal_nan=True), f"{where}: not symmetric to the last bit"
    some = slice(0, min(n, 20))
    part = gram(kernel, X[some], X)
    assert np.array_equal(part, K[some], equal_nan=True), f"{where}: a part differs from the whole"
    out = np.empty((n, n), dtype=X.dtype, order="F")
    gram(kernel, X, out=out)
    assert np.array_equal(out, K, equal_nan=True), f"{where}: `out` in Fortran order differs"
    _check_values(kernel, X[some], K[some, some], where)
    diagonal = kernel.diag(X)
    assert diagonal.shape == (n,), f"{where}: diag has the shape {diagonal.shape}"
    assert diagonal.dtype == X.dtype, f"{where}: diag has the type {diagonal.dtype}"
    if kernel.has_unit_diagonal:
        assert (np.diag(K) == 1).all(), f"{where}: the diagonal is not exactly 1"
        assert (diagonal == 1).all(), f"{where}: diag is not exactly 1"
    else:
        slack = 4 * (d + 8) * np.finfo(X.dtype).eps * (np.abs(diagonal).max() + 1)
        assert np.abs(diagonal - np.diag(K)).max() <= slack, f"{where}: diag is not the diagonal"
    if kernel.is_positive_semidefinite and X.dtype == np.float64:
        lowest = np.linalg.eigvalsh(K)[0]
        # LAPACK's own rounding: some tens of units of the largest eigenvalue there may be.
        limit = -30 * n * np.finfo(float).eps * np.abs(K).max()
        assert lowest >= limit, f"{where}: an eigenvalue is {lowest}"


def _check_values(kernel: Kernel, X: np.ndarray, K: np.ndarray, where: str) -> None:
    """Against the formula in Python, within the rounding of a sum of d terms and of its slope."""
    exact, slack = _exact(kernel, X.astype(np.float64), float(np.finfo(X.dtype).eps))
    wrong = ~((np.abs(K - exact) <= slack) | (np.isnan(K) & np.isnan(exact)))
    assert not wrong.any(), (
        f"{where}: the value of pair {tuple(np.argwhere(wrong)[0])} is {K[wrong][0]}, "
        f"and by its formula {exact[wrong][0]}"
    )


def _exact(kernel: Kernel, X: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """The values of a kernel and how far rounding may take them.  # shapes: (n, n)"""
    if isinstance(kernel, Scaled):
        return _exact(kernel.kernel, X / np.array(kernel.length_scales), eps)
    if isinstance(kernel, Multiple):
        exact, slack = _exact(kernel.kernel, X, eps)
        return kernel.factor * exact, kernel.factor * (slack + eps * np.abs(exact))
    if isinstance(kernel, Sum):
        exact, slack = _exact(kernel.terms[0], X, eps)
        for term in kernel.terms[1:]:
            more, slack_of_more = _exact(term, X, eps)
            slack = slack + slack_of_more + eps * (np.abs(exact) + np.abs(more))
            exact = exact + more
        return exact, slack
    if isinstance(kernel, Product):
        parts = [_exact(factor, X, eps) for factor in kernel.factors]
    elif not kernel.form and kernel.row.by_column:
        parts = [_exact_on(kernel, X[:, j : j + 1], eps) for j in range(X.shape[1])]
    else:
        parts = [_exact_on(kernel, X, eps)]
    exact, slack = parts[0]
    for more, slack_of_more in parts[1:]:
        slack = slack * (np.abs(more) + slack_of_more) + slack_of_more * np.abs(exact)
        exact = exact * more
        slack = slack + eps * np.abs(exact)
    return exact, slack


def _exact_on(kernel: Kernel, X: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """The same for one scalar function of one sum over the columns."""
    if kernel.form:
        form, g = FORMS[kernel.form], kernel.function
    else:
        row, parameters = kernel.row, kernel.parameters[: n_parameters(kernel.row.function)]
        form = row.form
        g = np.vectorize(lambda t: row.function(float(t), *parameters), otypes=[float])
        if row.unit_rows:
            norms = np.linalg.norm(X, axis=1, keepdims=True)
            X = X / np.where(norms == 0, 1, norms)
    d = X.shape[1]
    difference = X[:, None] - X[None]
    sums = {
        Form.DOT: X @ X.T,
        Form.SQDIFF: np.sum(difference**2, axis=2),
        Form.ABSDIFF: np.sum(np.abs(difference), axis=2),
    }[form]
    size = np.abs(X) @ np.abs(X).T if form is Form.DOT else sums
    step = 2 * (d + 4) * eps * size + np.finfo(np.float32 if eps > 1e-10 else np.float64).tiny
    exact = g(sums)
    # A smooth g moves with its argument by no more than over twice that distance. (Below 0 there is no
    # distance.)
    low = sums - 2 * step if form is Form.DOT else np.maximum(sums - 2 * step, 0.0)
    slack = np.abs(g(sums + 2 * step) - exact) + np.abs(exact - g(low))
    return exact, slack + 16 * eps * (np.abs(exact) + 1)


def check_operation(layer: Layer, *, rng: int = 0) -> None:
    """Check that a layer obeys the laws of its kind, in small networks on random data.

    Its gradients, of its own tensors and of what is before it, are those of central differences, also
    where its input has another reader; an observation's outputs do not depend on the others; float32
    and float64 agree; it trains to the same bits on one thread and on all; a network with it is saved
    and loaded; and the object equals its copy, and hashes alike.

    Parameters
    ----------
    layer : fastkb.nn layer
        One of the package, or a frozen dataclass derived from
        :class:`fastkb.nn.ops.operation.Layer` with an operation of its own.
    rng : int, default 0
        Seed of data and first parameters.

    Raises
    ------
    AssertionError
        Saying which law is broken, in which network.
    """
    other = copy.deepcopy(layer)
    assert other == layer, f"{layer!r} does not equal its copy: make it a frozen dataclass"
    assert hash(other) == hash(layer), f"{layer!r} and its copy have different hashes"
    known = layer.widths
    for inputs, outputs in [known] if known else [(width, width) for width in _WIDTHS]:
        forms: list[Layer] = [layer]
        if inputs == outputs:
            forms += [_Skip(layer, False), _Skip(layer, True)]
        for form in forms:
            network = _Network(form, inputs, outputs, rng)
            _check_observations_apart(network)
            _check_gradients(network)
            _check_precision(network)
            _check_training(network)
        _check_file(layer, inputs, outputs, rng)


class _Network:
    """A layer between two of nn.Linear, and data for it.

    Each holds the sum, so that one interpreter is compiled for all.
    """

    def __init__(self, layer: Layer, inputs: int, outputs: int, rng: int) -> None:
        self._layers = nn.Linear(4, inputs), layer, _Skip(nn.Tanh(), True), nn.Linear(outputs, 2)
        self._rng = rng
        self.where = f"{layer!r} of width {inputs} -> {outputs}"
        generator = np.random.default_rng(rng)
        self.X = generator.uniform(-1.0, 1.0, (_OBSERVATIONS, 4))
        self.y = generator.uniform(-1.0, 1.0, (_OBSERVATIONS, 2))

    def made(self, dtype: str = "float64") -> nn.Sequential:
        """With its first parameters."""
        return nn.Sequential(*self._layers, rng=self._rng, dtype=dtype)


def _check_observations_apart(of: _Network) -> None:
    network = of.made()
    whole = network(of.X)
    assert np.isfinite(whole).all(), f"{of.where}: outputs are not finite"
    apart = np.concatenate([network(one[None]) for one in of.X])
    worst = np.abs(whole - apart).max()
    assert worst <= 1e-12 * (1.0 + np.abs(whole).max()), (
        f"{of.where}: an observation's outputs differ by {worst:.2g} where it is alone"
    )


def _check_gradients(of: _Network) -> None:
    network = of.made()
    _, found = network.loss_and_gradients(of.X, of.y)
    state = network.state_dict()
    largest = max(float(np.abs(one).max()) for one in found.values())
    for name, tensor in state.items():
        differences = np.empty(tensor.size)
        for place in range(tensor.size):
            ends = []
            for step in (_STEP, -_STEP):
                moved = tensor.copy()
                moved.flat[place] += step
                network.load_state_dict({**state, name: moved})
                ends.append(network.loss_and_gradients(of.X, of.y)[0])
            differences[place] = (ends[0] - ends[1]) / (2.0 * _STEP)
        wrong = np.abs(differences - found[name].ravel())
        place = int(np.argmax(wrong))
        assert wrong[place] <= _WRONG * (1.0 + largest), (
            f"{of.where}: the derivative by element {place} of {name} is "
            f"{found[name].flat[place]:.9g}, and by differences {differences[place]:.9g}"
        )


def _check_precision(of: _Network) -> None:
    double, single = of.made(), of.made("float32")
    single.load_state_dict(double.state_dict())
    whole = double.forward(of.X)
    worst = np.abs(single.forward(of.X.astype(np.float32)) - whole).max()
    assert worst <= 1e-4 * (1.0 + np.abs(whole).max()), (
        f"{of.where}: float32 and float64 differ by {worst:.2g}"
    )


def _check_training(of: _Network) -> None:
    X, y = (np.resize(one, (2 * _BATCH - 3, one.shape[1])) for one in (of.X, of.y))
    found = []
    for threads in (1, n_threads()):
        with use_threads(threads):
            network = of.made().fit(X, y, epochs=2, batch_size=_BATCH, rng=0)
            found.append(network.state_dict())
    for name, tensor in found[0].items():
        assert np.array_equal(tensor, found[1][name], equal_nan=True), (
            f"{of.where}: {name} after training depends on the number of threads"
        )


def _check_file(layer: Layer, inputs: int, outputs: int, rng: int) -> None:
    network = nn.Sequential(
        nn.Linear(4, inputs), layer, nn.Linear(outputs, 2), rng=rng, dtype="float64"
    )
    state = network.state_dict()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.npz"
        network.save(path)
        loaded = nn.load(path)
    assert loaded.layers == network.layers, (
        f"{layer!r} is {loaded.layers[1]!r} when a network with it was saved and loaded"
    )
    for name, tensor in loaded.state_dict().items():
        assert np.array_equal(tensor, state[name]), f"{layer!r}: a file changes {name}"


def _sum(row, parameters, values, span, sizes):
    first, second = row.source * sizes.capacity, row.other * sizes.capacity
    target = row.kept * sizes.capacity
    for r in range(span.begin, span.stop):
        for j in range(row.outputs):
            one = values[first + r * row.source_stride + j]
            other = values[second + r * row.other_stride + j]
            values[target + r * row.target_stride + j] = one + other


def _sum_backward(row, parameters, transposed, values, deltas, span, sizes):
    target = row.target * sizes.capacity
    for r in range(span.begin, span.stop):
        for j in range(row.outputs):
            delta = deltas[target + r * row.target_stride + j]
            if row.wanted & 1:
                into = row.source * sizes.capacity + r * row.source_stride + j
                deltas[into] = deltas[into] + delta if row.accumulate & 1 else delta
            if row.wanted & 2:
                into = row.other * sizes.capacity + r * row.other_stride + j
                deltas[into] = deltas[into] + delta if row.accumulate & 2 else delta


_SUM = Operation("sum of two", _sum, _sum_backward, nothing, nothing)


@dataclass(frozen=True)
class _Skip(Layer):
    """A layer's outputs plus its inputs, which so have two readers; in one order or the other."""

    layer: Any
    inputs_first: bool

    @property
    def widths(self) -> tuple[int, int] | None:
        return self.layer.widths

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return self.layer.shapes()

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return self.layer.draw(rng)

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        own = _rows_of(self.layer, read, shape, following)
        both = read, following + len(own) - 1
        return [*own, Row(_SUM, both if self.inputs_first else both[::-1], shape[0], {})]


def _rows_of(layer: Layer, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
    """Those of a layer; of an activation, which elsewhere joins the row before it, one of its own."""
    if not isinstance(layer, Activation):
        return layer.rows(read, shape, following)
    return [activated(Row(ELEMENTWISE, (read,), shape[0], {}), layer)]
