"""The conformance suite accepts every kernel of the package and finds broken ones."""

from dataclasses import dataclass

import pytest

from fastkb import kernels
from fastkb.scalar.kernels import Kernel as Row
from fastkb.scalar.kernels import find
from fastkb.testing import check_kernel


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
    ],
    ids=repr,
)
def test_every_kernel_conforms(kernel):
    check_kernel(kernel)


@dataclass(frozen=True)
class Mislabelled(kernels.Kernel):
    """Claims things that its row of the table does not keep."""

    source: str
    positive_definite: bool = False
    unit_diagonal: bool = False

    @property
    def row(self) -> Row:
        return find(self.source)._replace(
            positive_definite=self.positive_definite, unit_diagonal=self.unit_diagonal
        )


def test_a_false_unit_diagonal_is_found():
    with pytest.raises(AssertionError, match="the diagonal is not exactly 1"):
        check_kernel(Mislabelled("linear", unit_diagonal=True))


def test_a_false_positive_definiteness_is_found():
    with pytest.raises(AssertionError, match="an eigenvalue is -"):
        check_kernel(Mislabelled("sqeuclidean", positive_definite=True))


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
