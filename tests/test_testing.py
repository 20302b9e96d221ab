"""The conformance suites accept the kernels and layers of the package and find broken ones."""

from dataclasses import dataclass

import pytest

from fastkb import kernels, nn
from fastkb.nn.ops import operation
from fastkb.nn.ops.operation import (
    Layer,
    Operation,
)
from fastkb.runtime.threads import n_threads
from fastkb.scalar.kernels import Kernel as Row
from fastkb.scalar.kernels import find
from fastkb.testing import check_kernel, check_operation


@pytest.mark.parametrize(
    "kernel",
    [
        kernels.Linear(),
        kernels.Polynomial(2),
        kernels.Polynomial(3, coef0=0.0),
        kernels.Polynomial(5, gamma=0.5),
        kernels.Polynomial(1.5, coef0=2.0),
        kernels.RBF(0.7),
        kernels.Laplacian(1.3),
        kernels.Sigmoid(0.5, -0.2),
        kernels.Cosine(),
        kernels.Matern(0.5, 0.7),
        kernels.Matern(1.5),
        kernels.Matern(2.5, 2.0),
        kernels.RationalQuadratic(0.6, 0.8),
        kernels.Periodic(0.9, 1.5),
        kernels.RBF(0.7).scaled([0.5, 2.0, 1.0]),
        kernels.Laplacian().scaled([3.0]),
        kernels.Polynomial(2).scaled([0.5, 2.0]),
        kernels.Periodic(1.0).scaled([0.7, 1.3]),
        kernels.Cosine().scaled([0.7, 1.3, 2.0]),
        2.0 * kernels.RBF() + kernels.Linear(),
        kernels.RBF(2.0) * kernels.Periodic(1.2),
        (kernels.Matern() + 0.5 * kernels.Linear()) * (kernels.Cosine() + kernels.RBF()),
        kernels.Linear() * kernels.RBF() + 3.0 * (kernels.Linear() + kernels.Matern()),
    ],
    ids=repr,
)
def test_every_kernel_conforms(kernel):
    check_kernel(kernel)


@dataclass(frozen=True)
class Mislabelled(kernels.Kernel):
    """Claims things that its row of the table does not keep."""

    source: str
    claimed: bool = False
    diagonal: bool = False

    @property
    def row(self) -> Row:
        return find(self.source)._replace(
            is_positive_semidefinite=lambda: self.claimed, unit_diagonal=self.diagonal
        )


def test_a_false_unit_diagonal_is_found():
    with pytest.raises(AssertionError, match="the diagonal is not exactly 1"):
        check_kernel(Mislabelled("linear", diagonal=True))


def test_a_false_positive_definiteness_is_found():
    with pytest.raises(AssertionError, match="an eigenvalue is -"):
        check_kernel(Mislabelled("sqeuclidean", claimed=True))


def test_wrong_values_are_found(monkeypatch):
    """A constant factor keeps every law but the values."""
    from fastkb import gram, testing

    def wrong(*arguments, out=None):
        K = gram(*arguments)
        K *= 1.001
        if out is not None:
            out[...] = K
        return K

    monkeypatch.setattr(testing, "gram", wrong)
    with pytest.raises(AssertionError, match="the value of pair"):
        check_kernel(kernels.Linear())


def test_a_wrong_diag_is_found():
    class Shifted(kernels.Linear):
        def diag(self, X):
            return super().diag(X) + 1e-3

    with pytest.raises(AssertionError, match="diag is not the diagonal"):
        check_kernel(Shifted())


def test_a_kernel_that_is_no_value_is_found():
    class Plain(kernels.Kernel):
        form = "sqeuclidean"

        def function(self, t):
            return 1 / (1 + t)

    with pytest.raises(AssertionError, match="does not equal its copy: make it a frozen dataclass"):
        check_kernel(Plain())


# --- layers ---------------------------------------------------------------------------------------


def test_every_layer_conforms():
    """In one test: an interpreter with the suite's own operation is compiled once in each process."""
    for layer in (
        nn.Tanh(),
        nn.Identity(),
        nn.ReLU(),
        nn.GELU(),
        nn.LeakyReLU(0.2),
        nn.ELU(),
        nn.Sigmoid(),
        nn.Softplus(),
        nn.Linear(5, 5),
        nn.Linear(3, 7),
        nn.Linear(4, 4, bias=False),
    ):
        check_operation(layer)


# One operation, whose numbers say what is wrong with it: an interpreter is compiled for each.
RIGHT, ADDS_NOTHING, WRONG_DELTA, WRONG_GRADIENT = 0.0, 1.0, 2.0, 3.0
READS_OTHERS, WRONG_OUTPUT, READS_ITS_SPAN = 4.0, 5.0, 6.0


def _factor(row, parameters, values, span, sizes):
    source, target = row.source * sizes.capacity, row.kept * sizes.capacity
    for r in range(span.begin, span.stop):
        for j in range(row.outputs):
            value = parameters[row.weights + j] * values[source + r * row.source_stride + j]
            if row.numbers[0] == READS_OTHERS:
                value += values[source + j]
            if row.numbers[0] == READS_ITS_SPAN:
                value += 1e-3 * span.begin
            if row.numbers[0] == WRONG_OUTPUT:
                value /= value * 0.0
            values[target + r * row.target_stride + j] = value


def _factor_backward(row, parameters, transposed, values, deltas, span, sizes):
    source, target = row.source * sizes.capacity, row.target * sizes.capacity
    for r in range(span.begin, span.stop):
        for j in range(row.outputs):
            into = source + r * row.source_stride + j
            delta = parameters[row.weights + j] * deltas[target + r * row.target_stride + j]
            if row.numbers[0] == WRONG_DELTA:
                delta *= 1.001
            added = row.accumulate & 1 and row.numbers[0] != ADDS_NOTHING
            deltas[into] = deltas[into] + delta if added else delta


def _factor_gradients(row, block, gradients, values, deltas, ones, room, sizes):
    source, target = row.source * sizes.capacity, row.target * sizes.capacity
    for j in range(row.outputs):
        total = 0.0
        for r in range(sizes.observations):
            delta = deltas[target + r * row.target_stride + j]
            total += delta * values[source + r * row.source_stride + j]
        gradients[block.begin + j] = total * (0.9 if row.numbers[0] == WRONG_GRADIENT else 1.0)


def _nothing(*arguments):
    pass


FACTOR = Operation("factor", _factor, _factor_backward, _factor_gradients, _nothing)


@dataclass(frozen=True)
class Factor(Layer):
    """Each column times its own weight."""

    features: int
    fault: float = RIGHT

    @property
    def widths(self):
        return self.features, self.features

    def shapes(self):
        return {"weight": (self.features,)}

    def draw(self, rng):
        return {"weight": rng.normal(size=self.features)}

    def rows(self, read, shape, following):
        return [operation.Row(FACTOR, (read,), shape[0], self.shapes(), (self.fault,))]


class Unequal(Factor):
    def __eq__(self, other):
        return self is other

    __hash__ = None


def test_a_layer_of_ones_own_conforms_and_broken_ones_are_found():
    """In one test, for the same reason."""
    check_operation(Factor(5))
    for fault, message in (
        (ADDS_NOTHING, r"the derivative by element \d+ of 0\.weight"),
        (WRONG_DELTA, r"the derivative by element \d+ of 0\.weight"),
        (WRONG_GRADIENT, r"the derivative by element \d+ of 1\.weight"),
        (READS_OTHERS, "outputs differ by .* where it is alone"),
        (WRONG_OUTPUT, "outputs are not finite"),
        (READS_ITS_SPAN, "after training depends on the number of threads"),
    ):
        if fault == READS_ITS_SPAN and n_threads() == 1:
            continue
        with pytest.raises(AssertionError, match=message):
            check_operation(Factor(5, fault))


def test_a_layer_must_equal_its_copy():
    with pytest.raises(AssertionError, match="does not equal its copy"):
        check_operation(Unequal(3))
