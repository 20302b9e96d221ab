"""The works "MLPClassifier" on scikit-learn's digits: a fit of so many epochs, and a prediction.

Both libraries draw the same first coefficients and orders from the same ``random_state``, but Adam's
epsilon does not stand in the same place. Step t moves a coefficient by::

    fastkb (Kingma, Ba 2015, algorithm 1)    m̂ / (√v̂ + ε)
    scikit-learn                             m̂ / (√v̂ + ε/√(1 - β₂ᵗ))

Where an input is rarely lit, gradients are those of the penalty, as small as ε itself, and the
coefficients part. So two things must hold:

* scikit-learn's estimator, trained again with ε where fastkb has it, ends where fastkb does but for
  rounding. A gradient is a sum over a batch of b, and errs by up to b·eps; so does a step, which is the
  learning rate at most, a hundredth of a coefficient. The tolerance is b·eps for each step: errors may
  all have one sign, and grow a hundredfold.
* As it is, it ends no farther from fastkb than fastkb with ε/√(1 - β₂) does, the largest that ever
  stands there.
"""

from __future__ import annotations

import functools
import math
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np

from bench.bounds import Bound, forward_bound, step_bound
from bench.rivals import SKLEARN
from bench.work import FASTKB, Absent, Contender

if TYPE_CHECKING:
    from bench.ceilings import Ceilings

SEED = 0
WIDTHS = (64, 100, 10)  # pixels, the default's hidden layer, digits
FITTED_EPOCHS = 20  # before predictions are timed


@functools.cache
def digits(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """1797 images of 8 x 8 pixels from 0 to 16, and what they show.

    # shape: (1797, 64), (1797,)
    """
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return X.astype(dtype), y


def fitted(estimator: Any, X: np.ndarray, y: np.ndarray) -> Any:
    """Fit, without a warning that there are epochs left."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(X, y)


@dataclass(frozen=True)
class Fit:
    """``MLPClassifier().fit`` with the default settings, but for `max_iter`, which ends it."""

    dtype: str = "float64"
    epochs: int = 100  # both would go on for some more

    group = "MLPClassifier on digits"
    rivals = (SKLEARN,)

    @property
    def name(self) -> str:
        return f"mlp-fit-{self.dtype}"

    @property
    def title(self) -> str:
        return f"fit, {self.dtype}, {self.epochs} epochs"

    @property
    def _settings(self) -> dict[str, Any]:
        return {"random_state": SEED, "max_iter": self.epochs}

    def fastkb(self) -> Contender:
        from fastkb import MLPClassifier

        data = digits(self.dtype)
        return Contender(FASTKB, lambda: fitted(MLPClassifier(**self._settings), *data))

    def rival(self, name: str) -> Contender | Absent:
        from sklearn.neural_network import MLPClassifier

        data = digits(self.dtype)
        return Contender(name, lambda: fitted(MLPClassifier(**self._settings), *data))

    def disagreement(self, ours: Any, theirs: Any) -> float:
        if shape_of(ours) != shape_of(theirs) or {ours.n_iter_, theirs.n_iter_} != {self.epochs}:
            return math.inf
        X, y = digits(self.dtype)
        steps = self.epochs * math.ceil(len(X) / batch_of(X))
        rounding = steps * batch_of(X) * float(np.finfo(self.dtype).eps)
        as_it_is = distance(ours, theirs) / rounding
        if as_it_is <= 1.0:  # from scikit-learn 1.9 on ε stands where the paper has it
            return as_it_is
        moved = fit_with_papers_epsilon(theirs, X, y)
        displaced = fitted(with_largest_epsilon(ours), X, y)
        parts = distance(ours, moved) / rounding, distance(ours, theirs) / distance(ours, displaced)
        return max(parts) if all(part < math.inf for part in parts) else math.inf  # NaN too

    def facts(self, ours: Any) -> None:
        return None

    def bound(self, ceilings: Ceilings, facts: Any) -> Bound:
        # Flops are proportional to observations, however many a step has.
        observations = len(digits(self.dtype)[0]) * self.epochs
        return step_bound(WIDTHS, observations, ceilings.flop_rate(self.dtype, "gemm"))


@dataclass(frozen=True)
class Predict:
    """``MLPClassifier.predict`` of all digits, with the same coefficients for everybody."""

    dtype: str = "float64"

    group = Fit.group
    rivals = (SKLEARN,)

    @property
    def name(self) -> str:
        return f"mlp-predict-{self.dtype}"

    @property
    def title(self) -> str:
        return f"predict, {self.dtype}, n = {len(digits(self.dtype)[0])}"

    @cached_property
    def _model(self) -> Any:
        from fastkb import MLPClassifier

        return fitted(MLPClassifier(random_state=SEED, max_iter=FITTED_EPOCHS), *digits(self.dtype))

    def fastkb(self) -> Contender:
        model, (X, _) = self._model, digits(self.dtype)
        return Contender(FASTKB, lambda: model.predict(X))

    def rival(self, name: str) -> Contender | Absent:
        from sklearn.neural_network import MLPClassifier

        X, y = digits(self.dtype)
        model = fitted(MLPClassifier(max_iter=1), X, y)
        model.coefs_ = [each.copy() for each in self._model.coefs_]
        model.intercepts_ = [each.copy() for each in self._model.intercepts_]
        return Contender(name, lambda: model.predict(X))

    def disagreement(self, ours: Any, theirs: Any) -> float:
        same = ours.dtype == theirs.dtype and np.array_equal(ours, theirs)
        return 0.0 if same else math.inf

    def facts(self, ours: Any) -> None:
        return None

    def bound(self, ceilings: Ceilings, facts: Any) -> Bound:
        n = len(digits(self.dtype)[0])
        return forward_bound(WIDTHS, n, ceilings.flop_rate(self.dtype, "gemm"))


def batch_of(X: np.ndarray) -> int:
    """Observations of a step by default."""
    return min(200, len(X))


def shape_of(estimator: Any) -> list[tuple[tuple[int, ...], str]]:
    """Shapes and element types of everything that was fitted."""
    return [(each.shape, each.dtype.name) for each in (*estimator.coefs_, *estimator.intercepts_)]


def distance(one: Any, other: Any) -> float:
    """Euclidean distance of two estimators' coefficients and intercepts, against the size of `one`'s."""
    a, b = (
        np.concatenate([each.ravel() for each in (*e.coefs_, *e.intercepts_)]).astype(np.float64)
        for e in (one, other)
    )
    return float(np.linalg.norm(a - b) / np.linalg.norm(a))


def with_largest_epsilon(estimator: Any) -> Any:
    """The same estimator, unfitted, with what scikit-learn adds in its first step."""
    from sklearn.base import clone

    p = estimator.get_params()
    return clone(estimator).set_params(epsilon=p["epsilon"] / math.sqrt(1.0 - p["beta_2"]))


def fit_with_papers_epsilon(estimator: Any, X: np.ndarray, y: np.ndarray) -> Any:
    """Train scikit-learn's estimator again, with epsilon where the paper has it."""
    from sklearn.base import clone
    from sklearn.neural_network import _multilayer_perceptron as module

    class Adam(module.AdamOptimizer):
        # scikit-learn divides the learning rate by √(1 - β₂ᵗ), and √v is not: so neither may ε be.
        @property
        def epsilon(self) -> float:
            return self._epsilon * math.sqrt(1.0 - self.beta_2**self.t)

        @epsilon.setter
        def epsilon(self, value: float) -> None:
            self._epsilon = value

    with mock.patch.object(module, "AdamOptimizer", Adam):
        return fitted(clone(estimator), X, y)
