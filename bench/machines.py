"""The works "support vector machines": fits and values of the decision function.

Data are make_classification's with half of its columns informative and flip_y=0.05, standardised, γ =
1/d; or a data set as it is, with γ="scale". What must agree is not the coefficients, which many problems
leave open, but the objective: ours must be as small as the peer's.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.band import SEED
from bench.bounds import Bound, gram_bound
from bench.machine import available_cores
from bench.rivals import REFIT, SKLEARN, in_processes, machine_chunk
from bench.work import FASTKB, Absent, Contender

if TYPE_CHECKING:
    from bench.ceilings import Ceilings

ONEDAL = "scikit-learn-intelex"
TOL = 1e-3
NU = 0.2
DATA_SETS = ("digits", "wine", "breast-cancer", "scales")


@functools.cache
def classes(data: str, n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and labels.  # shape: (n, d), (n,)"""
    from sklearn import datasets
    from sklearn.preprocessing import StandardScaler

    if data in ("digits", "wine", "breast-cancer"):
        return getattr(datasets, f"load_{data.replace('-', '_')}")(return_X_y=True)
    X, y = datasets.make_classification(n, d, n_informative=d // 2, flip_y=0.05, random_state=0)
    X = StandardScaler().fit_transform(X)
    return X * np.logspace(-2, 3, d) if data == "scales" else X, y


@functools.cache
def targets(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and standardised targets of a smooth function with noise.  # shape: (n, d), (n,)"""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    y = np.sin(X[:, 0]) + 0.5 * np.cos(2.0 * X[:, 1]) + 0.1 * rng.standard_normal(n)
    return X, (y - y.mean()) / y.std()


@dataclass(frozen=True)
class Machine:
    """What is fitted, and with which parameters."""

    data: str = "classes"  # or one of DATA_SETS, or "targets" for a regression
    n: int = 0
    d: int = 0
    C: float = 1.0
    kernel: str = "rbf"
    # NuSVC, NuSVR or OneClassSVM; otherwise SVC, or SVR of targets.
    nu_kind: str = ""

    group = "Support vector machines"

    @property
    def rivals(self) -> tuple[str, ...]:
        """See :class:`bench.work.Work`."""
        return (SKLEARN,) if self.nu_kind == "OneClassSVM" else (SKLEARN, ONEDAL)

    @property
    def _kind(self) -> str:
        return self.nu_kind or ("SVR" if self.data == "targets" else "SVC")

    @property
    def _parameters(self) -> dict[str, float]:
        """Those that say how much errors cost."""
        if not self.nu_kind:
            return {"C": self.C}
        return {"nu": NU, "C": self.C} if self.nu_kind == "NuSVR" else {"nu": NU}

    @property
    def _what(self) -> str:
        kind = f"{self.nu_kind}-".lower() * bool(self.nu_kind)
        data = "" if self.data == "classes" else self.data
        size = f"-n{self.n}-d{self.d}" if self.n else ""
        cost = "".join(f"-{name}{value:g}" for name, value in self._parameters.items())
        kernel = f"-{self.kernel}" * (self.kernel != "rbf")
        return (kind + f"{data}{size}{cost}{kernel}".strip("-")).strip("-")

    @property
    def _words(self) -> str:
        size = f", n = {self.n}, d = {self.d}" if self.n else ""
        data = "" if self.data in ("classes", "targets") else f", {self.data}"
        signs = {"nu": "ν", "C": "C"}
        cost = "".join(f", {signs[name]} = {value:g}" for name, value in self._parameters.items())
        return f"{self._kind}, {self.kernel}{data}{size}{cost}"

    @property
    def _rows(self) -> tuple[np.ndarray, np.ndarray]:
        if self.data == "targets":
            return targets(self.n, self.d)
        return classes(self.data, self.n, self.d)

    def _estimator(self, name: str) -> Any:
        """An estimator of a library, not fitted; ImportError if it is not installed."""
        if name == FASTKB:
            import fastkb as library
        elif name == SKLEARN:
            from sklearn import svm as library
        else:
            from sklearnex import svm as library
        gamma = "scale" if self.data in DATA_SETS else 1.0 / self.d
        return getattr(library, self._kind)(
            kernel=self.kernel, gamma=gamma, tol=TOL, cache_size=200, **self._parameters
        )

    def rival(self, name: str) -> Contender | Absent:
        """See :class:`bench.work.Work`."""
        try:
            return self._contender(name)
        except ImportError as error:
            return Absent(name, str(error))

    def fastkb(self) -> Contender:
        """See :class:`bench.work.Work`."""
        return self._contender(FASTKB)

    def _contender(self, name: str) -> Contender:
        raise NotImplementedError

    def bound(self, ceilings: Ceilings, facts: Any) -> Bound:
        """The kernel of the support vectors with all rows, once."""
        X, _ = self._rows
        return gram_bound(
            (len(X), max(1, facts), X.shape[1]),
            symmetric=False,
            itemsize=0,
            write_rate=1.0,
            epilogue_seconds=ceilings.epilogue(self.kernel, "float64"),
            flop_rate=ceilings.flop_rate("float64", "gemm"),
        )


@dataclass(frozen=True)
class MachineFit(Machine):
    """``fit``."""

    @property
    def name(self) -> str:
        """See :class:`bench.work.Work`."""
        return f"svm-fit-{self._what}"

    @property
    def title(self) -> str:
        """See :class:`bench.work.Work`."""
        return f"fit, {self._words}"

    def _contender(self, name: str) -> Contender:
        X, y = self._rows
        model = self._estimator(name)
        return Contender(name, lambda: model.fit(X, y))

    def disagreement(self, ours: Any, theirs: Any) -> float:
        """How much worse our objective is, in units of 1e-6 and of what the peer may have left.

        Of a machine with ν how much its values differ, in units of what two solutions may at tol.
        """
        if self.nu_kind:
            X, _ = self._rows
            value = "predict" if self.nu_kind == "NuSVR" else "decision_function"
            first, second = (getattr(model, value)(X) for model in (ours, theirs))
            scale = max(1.0, float(np.abs(theirs.dual_coef_).max()))
            return float(np.abs(first - second).max() / (4.0 * TOL * scale))
        first, second = (self._objective(model) for model in (ours, theirs))
        # The peer stops at a violation of tol; its objective is that much worse at most.
        gap = TOL * float(np.abs(np.asarray(theirs.dual_coef_)).sum())
        return (first - second) / (1e-6 * abs(second) + gap)

    def _objective(self, model: Any) -> float:
        """What the dual problems of a model minimise, summed over pairs of classes."""
        X, y = self._rows
        dual, support = np.asarray(model.dual_coef_), np.asarray(model.support_)
        if self.data == "targets":
            coefficients = dual[0]
            values = model.predict(X[support]) - model.intercept_[0]
            linear = -y[support] @ coefficients + 0.1 * np.abs(coefficients).sum()
            return float(0.5 * coefficients @ values + linear)
        several = len(model.classes_) > 2
        values = model.set_params(decision_function_shape="ovo").decision_function(X[support])
        values = values.reshape(len(support), -1) - model.intercept_
        ends = np.cumsum(model.n_support_)
        parts = [slice(end - count, end) for end, count in zip(ends, model.n_support_, strict=True)]
        total = 0.0
        for column, (i, j) in enumerate(itertools.combinations(range(len(parts)), 2)):
            coefficients = np.zeros(len(support))
            coefficients[parts[i]] = dual[j - 1 if several else 0, parts[i]]
            coefficients[parts[j]] = dual[i, parts[j]]
            total += 0.5 * coefficients @ values[:, column] - np.abs(coefficients).sum()
        return float(total)

    def facts(self, ours: Any) -> int:
        """The number of support vectors."""
        return int(ours.n_support_.sum())


@dataclass(frozen=True)
class MachineValues(Machine):
    """``decision_function`` of as many rows as were fitted."""

    @property
    def name(self) -> str:
        """See :class:`bench.work.Work`."""
        return f"svm-values-{self._what}"

    @property
    def title(self) -> str:
        """See :class:`bench.work.Work`."""
        return f"decision_function, {self._words}"

    def _contender(self, name: str) -> Contender:
        X, y = self._rows
        model = self._estimator(name).fit(X, y)
        return Contender(name, lambda: (model.decision_function(X), int(np.sum(model.n_support_))))

    def disagreement(self, ours: Any, theirs: Any) -> float:
        """In units of what two solutions may differ by at tol."""
        return float(np.abs(ours[0] - np.ravel(theirs[0])).max() / (4.0 * TOL))

    def facts(self, ours: Any) -> int:
        """The number of support vectors."""
        return ours[1]


@dataclass(frozen=True)
class MachineBand(Machine):
    """A band of decision functions at 200 points, and refits in processes."""

    n_resamples: int = 200
    processes: int = 0  # 0: as many as there are cores

    group = "Bootstrap band"

    @property
    def rivals(self) -> tuple[str, ...]:
        """See :class:`bench.work.Work`."""
        return (REFIT,)

    @property
    def name(self) -> str:
        """See :class:`bench.work.Work`."""
        return f"svm-band-{self._what}"

    @property
    def title(self) -> str:
        """See :class:`bench.work.Work`."""
        return f"B = {self.n_resamples}, {self._words}"

    @property
    def _points(self) -> np.ndarray:
        return np.random.default_rng(1).standard_normal((200, self.d))

    def _contender(self, name: str) -> Contender:
        X, y = self._rows
        if name == FASTKB:
            import fastkb

            model = self._estimator(FASTKB)

            def call():
                return fastkb.bootstrap_band(
                    model, X, y, self._points, n_resamples=self.n_resamples, rng=SEED
                )

            return Contender(FASTKB, call)
        from fastkb.random.streams import bootstrap_counts, key_from_rng

        counts = bootstrap_counts(key_from_rng(SEED), 0, self.n_resamples, self.n)
        arguments = self._estimator(SKLEARN), X, y, self._points
        processes = self.processes or available_cores()
        return Contender(name, in_processes(machine_chunk, arguments, counts, processes))

    def disagreement(self, ours: Any, theirs: Any) -> float:
        """In units of what two solutions may differ by at tol."""
        return float(np.abs(ours.distribution - theirs).max() / (4.0 * TOL))

    def facts(self, ours: Any) -> int:
        """The number of rows: all kernel values are computed once."""
        return self.n
