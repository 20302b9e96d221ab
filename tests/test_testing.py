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
