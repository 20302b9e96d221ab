"""Random calls compared with the peers: ``python -m bench.random_calls [--count N]``.

The peers are NumPy, SciPy and scikit-learn. Each call has random data (sizes, types, orders, strides,
offsets, scales) and random arguments; one in four has one argument that is wrong. Counted is what becomes
of the calls:

================= ===================================================================================
equal             the peer's numbers, to a tolerance that follows from the arithmetic
DIFFERENT         other numbers, without a word
refused           an error of ours that names the argument, where the argument is wrong
UNNAMED           an error that does not name it, or is of a class that no peer would raise
REFUSED ALONE     an error of ours where the peer computes
accepted          numbers of ours where the argument was meant to be wrong (None for a default, say)
LEAKED            a RuntimeWarning of NumPy that reaches the user
================= ===================================================================================

The calls of a seed are the same in every run; ``--only FAMILY --index K`` makes one of them again.
"""

from __future__ import annotations

import argparse
import collections
import functools
import itertools
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.stats
from sklearn.kernel_ridge import KernelRidge as TheirRidge
from sklearn.metrics import pairwise
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor

import fastkb
from bench.random_values import Spoiled, matrix, spoil, target
from fastkb import nn
from fastkb.random.streams import key_from_rng
from fastkb.reference import band as plain_band
from fastkb.reference import networks as plain_networks
from fastkb.reference import streams as plain_streams

_WRONG = 0.25
# What a user may expect for a wrong argument.
_ERRORS = (ValueError, TypeError, MemoryError, OverflowError, np.linalg.LinAlgError)


class Call(NamedTuple):
    """One call, and what it is compared with."""

    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    tolerance: Callable[[Any], Any]  # of the peer's answer, absolutely
    spoiled: Spoiled | None
    about: str


def _relative(share: float) -> Callable[[Any], float]:
    def tolerance(answer: Any) -> float:
        finite = np.abs(np.asarray(answer, float))
        finite = finite[np.isfinite(finite)]
        return share * float(finite.max(initial=0.0)) + 1e-290

    return tolerance


# --- the families -----------------------------------------------------------------------------------


def kernels(rng: np.random.Generator) -> Call:
    """Gram functions against NumPy's formulas."""
    name = str(rng.choice(["linear", "polynomial", "rbf", "sigmoid", "laplacian"]))
    d = int(rng.integers(1, 12))
    X = matrix(rng, int(rng.integers(1, 40)), d)
    Y = matrix(rng, int(rng.integers(1, 40)), d) if rng.random() < 0.5 else None
    arguments: dict[str, Any] = {"X": X, "Y": Y}
    spread = float(np.ptp(np.asarray(X, float))) or 1.0
    if name != "linear":
        power = 1 if name == "laplacian" else 2
        arguments["gamma"] = float(rng.uniform(0.1, 3)) / (d * spread**power)
    if name == "polynomial":
        arguments["degree"] = int(rng.integers(1, 5))
    if name in ("polynomial", "sigmoid"):
        arguments["coef0"] = float(rng.normal())
    arguments, spoiled = spoil(rng, arguments, _WRONG)
    function = getattr(fastkb, f"{name}_kernel")
    single = all(getattr(v, "dtype", None) == np.float32 for v in (X, Y) if v is not None)

    def theirs() -> np.ndarray:
        rows = np.asarray(X, np.longdouble)
        others = rows if Y is None else np.asarray(Y, np.longdouble)
        gamma = arguments.get("gamma")
        if name in ("rbf", "laplacian"):
            between = np.abs(rows[:, None] - others[None])
            return np.exp(-gamma * (between if name == "laplacian" else between**2).sum(axis=2))
        K = rows @ others.T
        if name == "linear":
            return K
        K = gamma * K + arguments["coef0"]
        return np.tanh(K) if name == "sigmoid" else K ** arguments["degree"]

    def tolerance(answer: Any) -> float:
        # Products of numbers with an offset lose what the offset has; of the answer's own size else.
        eps = np.finfo(np.float32 if single else np.float64).eps
        size = max(float(np.abs(np.asarray(v, float)).max()) for v in (X, Y) if v is not None)
        argument = d * size**2 * arguments.get("gamma", 1.0) + abs(arguments.get("coef0", 0.0))
        largest = float(np.abs(answer).max())
        steep = {"polynomial": arguments.get("degree", 1) * argument ** arguments.get("degree", 1)}
        if name in ("rbf", "laplacian"):
            relative = size / spread
            return 40 * eps * (1 + d * relative)
        return 40 * d * eps * max(largest, steep.get(name, argument))

    return Call(functools.partial(function, **arguments), theirs, tolerance, spoiled, name)


def ridge(rng: np.random.Generator) -> Call:
    """KernelRidge: fit and predict, against scikit-learn's."""
    n, d = int(rng.integers(2, 40)), int(rng.integers(1, 5))
    X = matrix(rng, n, d, plain=True)
    y = target(rng, n)
    points = matrix(rng, 5, d, plain=True)
    name = str(rng.choice(["linear", "rbf", "laplacian", "polynomial"]))
    arguments: dict[str, Any] = {
        "X": X,
        "y": y,
        "alpha": float(10 ** rng.uniform(-4, 2)),
        "kernel": name,
        "sample_weight": rng.uniform(0.1, 2, n) if rng.random() < 0.3 else None,
    }
    if name != "linear":
        arguments["gamma"] = float(rng.uniform(0.1, 2)) / d
    arguments, spoiled = spoil(rng, arguments, _WRONG, leave=("kernel",))

    def with_class(cls: type) -> np.ndarray:
        told = dict(arguments)
        X_, y_, weight = told.pop("X"), told.pop("y"), told.pop("sample_weight")
        return cls(**told).fit(X_, y_, sample_weight=weight).predict(points)

    def tolerance(answer: Any) -> float:
        K = np.abs(TheirRidge(kernel=name, gamma=arguments.get("gamma"))._get_kernel(X))
        condition = float(K.max()) * n / arguments["alpha"] + 1
        return 1e-14 * condition * n * (np.abs(np.asarray(y, float)).max() + 1e-290)

    ours = functools.partial(with_class, fastkb.KernelRidge)
    return Call(ours, functools.partial(with_class, TheirRidge), tolerance, spoiled, name)


def path(rng: np.random.Generator) -> Call:
    """Leave-one-out errors against n refits by scikit-learn."""
    n = int(rng.integers(3, 12))
    X, y = matrix(rng, n, 1, plain=True), target(rng, n)
    alphas = 10 ** rng.uniform(-2, 2, 2)
    arguments = {"X": X, "y": y, "alphas": alphas, "gammas": rng.uniform(0.1, 2, 1)}
    arguments, spoiled = spoil(rng, arguments, _WRONG)

    def theirs() -> np.ndarray:
        errors = np.zeros((1, 2))
        for j, alpha in enumerate(alphas):
            for i in range(n):
                rest = np.delete(np.arange(n), i)
                model = TheirRidge(alpha, kernel="rbf", gamma=float(arguments["gammas"][0]))
                guess = model.fit(X[rest], y[rest]).predict(X[i : i + 1])
                errors[0, j] += float((y[i] - guess[0]) ** 2) / n
        return errors

    def ours() -> np.ndarray:
        return fastkb.kernel_ridge_path(**arguments).loo_errors

    return Call(ours, theirs, _relative(1e-9), spoiled, "loo")


_STATISTICS: dict[str, Any] = {
    "mean": np.mean,
    "std": np.std,
    "var": np.var,
    "median": np.median,
    "max": np.max,
    "ptp": np.ptp,
    "function": lambda x, axis: np.mean(x, axis=axis) ** 2,
}


def bootstrap(rng: np.random.Generator) -> Call:
    """The bootstrap against SciPy's: distribution and interval of one seed."""
    kind = str(rng.choice([*_STATISTICS, "pearson", "difference"]))
    n = int(rng.integers(3, 40))
    samples: list[Any] = [target(rng, n, whole=True)]
    arguments: dict[str, Any] = {
        "n_resamples": int(rng.integers(2, 120)),
        "method": str(rng.choice(["percentile", "basic", "BCa"])),
        "confidence_level": float(rng.uniform(0.5, 0.99)),
        "alternative": str(rng.choice(["two-sided", "less", "greater"])),
        "rng": int(rng.integers(0, 1000)),
    }
    statistic = _STATISTICS.get(kind)
    if kind == "pearson":
        samples.append(rng.normal(size=n))
        arguments |= {"paired": True, "vectorized": False}
        statistic = _pearson
    elif kind == "difference":
        samples.append(rng.normal(size=int(rng.integers(3, 40))))
        statistic = _difference
    arguments |= {"data": tuple(samples), "statistic": statistic}
    arguments, spoiled = spoil(rng, arguments, _WRONG, leave=("paired", "vectorized"))

    def call(function: Callable[..., Any]) -> np.ndarray:
        told = dict(arguments)
        data, statistic = told.pop("data"), told.pop("statistic")
        if function is scipy.stats.bootstrap:
            # Of whole numbers its BCa levels are whole, too: NaN.
            data = tuple(a.astype(float) if a.dtype.kind == "i" else a for a in data)
        result = function(data, statistic, **told)
        ends = np.array([*result.confidence_interval], float)
        return np.concatenate([np.ravel(result.bootstrap_distribution), ends.ravel()])

    ours = functools.partial(call, fastkb.bootstrap)
    theirs = functools.partial(call, scipy.stats.bootstrap)
    about = f"{kind}, {arguments['method']}"
    # Of float32 SciPy rounds every step.
    share = 1e-5 if samples[0].dtype == np.float32 else 1e-10
    return Call(ours, theirs, _relative(share), spoiled, about)


def _pearson(x: np.ndarray, y: np.ndarray) -> float:
    with np.errstate(all="ignore"):  # what a user's function says is the user's
        return float(np.corrcoef(x, y)[0, 1])


def _difference(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
    return np.mean(x, axis=axis) - np.mean(y, axis=axis)


_NAMED = {"mean": np.mean, "std": np.std, "median": np.median, "max": np.max}


def schemes(rng: np.random.Generator) -> Call:
    """Compiled statistics of every scheme against the same function of NumPy on the same resamples."""
    n = int(rng.integers(6, 40))
    labels = rng.integers(0, 3, n)
    labels[:6] = [0, 0, 1, 1, 2, 2]
    offered: dict[str, Callable[[], Any]] = {
        "Stratified": lambda: fastkb.schemes.Stratified(labels),
        "Clusters": lambda: fastkb.schemes.Clusters(labels),
        "MovingBlocks": lambda: fastkb.schemes.MovingBlocks(int(rng.integers(1, 5))),
        "CircularBlocks": lambda: fastkb.schemes.CircularBlocks(int(rng.integers(1, 5))),
        "StationaryBlocks": lambda: fastkb.schemes.StationaryBlocks(int(rng.integers(1, 5))),
        "MOutOfN": lambda: fastkb.schemes.MOutOfN(int(rng.integers(2, n))),
        "Subsampling": lambda: fastkb.schemes.Subsampling(int(rng.integers(2, n))),
    }
    name = str(rng.choice(list(offered)))
    statistic = str(rng.choice(list(_NAMED)))
    arguments = {
        "data": (rng.normal(size=n),),
        "n_resamples": int(rng.integers(2, 80)),
        "method": str(rng.choice(["percentile", "basic"])),
        "confidence_level": float(rng.uniform(0.5, 0.99)),
        "rng": int(rng.integers(0, 1000)),
        "scheme": offered[name](),
    }
    arguments, spoiled = spoil(rng, arguments, _WRONG, leave=("scheme",))

    def call(function: Any) -> np.ndarray:
        told = dict(arguments)
        result = fastkb.bootstrap(told.pop("data"), function, **told)
        return np.append(result.bootstrap_distribution, result.confidence_interval)

    function = _NAMED[statistic]
    theirs = functools.partial(call, lambda x, axis: function(x, axis=axis))
    return Call(functools.partial(call, statistic), theirs, _relative(1e-11), spoiled, name)


def bands(rng: np.random.Generator) -> Call:
    """Replicates of bands against refits in plain NumPy."""
    n, d = int(rng.integers(4, 30)), int(rng.integers(1, 3))
    X, y = rng.normal(size=(n, d)), rng.normal(size=n) * 10 ** rng.uniform(-3, 3)
    points = rng.normal(size=(3, d))
    intercept = bool(rng.random() < 0.5)
    gamma, alpha = float(rng.uniform(0.1, 2)), float(10 ** rng.uniform(-2, 1))
    arguments: dict[str, Any] = {
        "X": X,
        "y": y,
        "X_eval": points,
        "n_resamples": int(rng.integers(1, 12)),
        "rng": int(rng.integers(0, 1000)),
        "solver": str(rng.choice(["auto", "lowrank", "cholesky"])),
        "confidence_level": float(rng.uniform(0.5, 0.99)),
    }
    arguments, spoiled = spoil(rng, arguments, _WRONG, leave=("solver",))
    model = fastkb.KernelRidge(alpha, kernel="rbf", gamma=gamma, fit_intercept=intercept)

    def ours() -> np.ndarray:
        band = fastkb.bootstrap_band(model, **arguments)
        return np.vstack([band.distribution, band.low, band.high])

    def theirs() -> np.ndarray:
        K = pairwise.rbf_kernel(X, gamma=gamma)
        cross = pairwise.rbf_kernel(points, X, gamma=gamma)
        key = key_from_rng(arguments["rng"])
        draws = [
            plain_band.refit(
                K, cross, y, alpha, plain_streams.bootstrap_indices(key, b, n), intercept
            )
            for b in range(arguments["n_resamples"])
        ]
        level = arguments["confidence_level"]
        ends = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return np.vstack([draws, ends])

    def tolerance(answer: Any) -> float:
        return 1e-6 * float(np.ptp(y)) + 1e-290

    return Call(ours, theirs, tolerance, spoiled, arguments["solver"])


def networks(rng: np.random.Generator) -> Call:
    """Loss and gradients of networks against plain NumPy."""
    widths = [int(w) for w in rng.integers(1, 6, int(rng.integers(2, 4)))]
    activation = [nn.Tanh, nn.Sigmoid, nn.Softplus, nn.GELU, nn.Identity][int(rng.integers(5))]()
    layers: list[Any] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), activation]
    net = nn.Sequential(*layers[:-1], rng=int(rng.integers(1000)), dtype=np.float64)
    n = int(rng.integers(1, 20))
    arguments: dict[str, Any] = {
        "X": matrix(rng, n, widths[0], plain=True),
        "y": rng.normal(size=(n, widths[-1])),
        "loss": str(rng.choice(["squared_error", "half_squared_error"])),
        "l2": float(rng.uniform(0, 1)),
        "sample_weight": rng.uniform(0.1, 2, n) if rng.random() < 0.3 else None,
    }
    arguments, spoiled = spoil(rng, arguments, _WRONG)

    def ours() -> np.ndarray:
        loss, gradients = net.loss_and_gradients(**arguments)
        return np.concatenate([[loss], *(np.ravel(g) for g in gradients.values())])

    def theirs() -> np.ndarray:
        state = net.state_dict()
        plain: list[Any] = []
        for place, layer in enumerate(net.layers):
            if isinstance(layer, nn.Linear):
                plain.append(("linear", state[f"{place}.weight"], state[f"{place}.bias"]))
            else:
                plain.append(("activation", layer.name, layer.parameter))
        told = dict(arguments)
        X, y, loss = np.asarray(told["X"], float), told["y"], told["loss"]
        value, gradients = plain_networks.loss_and_gradients(
            plain, X, y, loss, told["sample_weight"], told["l2"]
        )
        parts = [np.ravel(part) for pair in gradients if pair is not None for part in pair]
        return np.concatenate([[value], *parts])

    return Call(ours, theirs, _relative(1e-11), spoiled, activation.name)


def perceptrons(rng: np.random.Generator) -> Call:
    """MLPRegressor and MLPClassifier against scikit-learn's, after some epochs."""
    n, d = int(rng.integers(5, 40)), int(rng.integers(1, 4))
    classifies = bool(rng.random() < 0.5)
    X = rng.normal(size=(n, d))
    y: Any = rng.normal(size=n)
    if classifies:
        y = np.arange(n) % int(rng.integers(2, 4))
    arguments: dict[str, Any] = {
        "X": X,
        "y": y,
        "hidden_layer_sizes": tuple(int(w) for w in rng.integers(1, 6, int(rng.integers(1, 3)))),
        "activation": str(rng.choice(["relu", "tanh", "logistic", "identity"])),
        "solver": str(rng.choice(["sgd", "adam", "lbfgs"])),
        "alpha": float(10 ** rng.uniform(-6, 0)),
        "max_iter": int(rng.integers(1, 5)),
        "random_state": int(rng.integers(0, 1000)),
        "learning_rate_init": float(10 ** rng.uniform(-4, -1)),
    }
    arguments, spoiled = spoil(rng, arguments, _WRONG)

    def call(cls: type) -> np.ndarray:
        told = dict(arguments)
        X_, y_ = told.pop("X"), told.pop("y")
        model = cls(**told).fit(X_, y_)
        return np.concatenate([np.ravel(c) for c in (*model.coefs_, *model.intercepts_)])

    pair = (
        (fastkb.MLPClassifier, TheirClassifier)
        if classifies
        else (fastkb.MLPRegressor, TheirRegressor)
    )
    # A line search may take another turn for another last bit, and Adam divides small numbers.
    share = {"lbfgs": 1e-3, "adam": 1e-6}.get(str(arguments["solver"]), 1e-8)
    ours, theirs = (functools.partial(call, cls) for cls in pair)
    return Call(ours, theirs, _relative(share), spoiled, str(arguments["solver"]))


# Each family's share of the calls.
FAMILIES: dict[str, tuple[Callable[[np.random.Generator], Call], float]] = {
    "kernels": (kernels, 0.35),
    "ridge": (ridge, 0.17),
    "path": (path, 0.05),
    "bootstrap": (bootstrap, 0.15),
    "schemes": (schemes, 0.08),
    "bands": (bands, 0.07),
    "networks": (networks, 0.09),
    "perceptrons": (perceptrons, 0.04),
}


# --- what becomes of a call -------------------------------------------------------------------------


def outcome(call: Call) -> tuple[str, str]:
    """One of the words of the table above, and what happened."""
    with warnings.catch_warnings(record=True) as told, np.errstate(all="warn"):
        warnings.simplefilter("always")
        try:
            answer, error = call.ours(), None
        except Exception as raised:  # whatever it is, it is counted
            answer, error = None, raised
    # SciPy's own, of intervals that do not exist, is one of these.
    kinds = [w for w in told if w.category is not scipy.stats.DegenerateDataWarning]
    leaked = [str(w.message) for w in kinds if issubclass(w.category, RuntimeWarning)]
    if leaked and call.spoiled is None:
        return "LEAKED", leaked[0]
    if call.spoiled is not None:
        if error is None:
            return "accepted", f"{call.spoiled}"
        if not isinstance(error, _ERRORS) or not call.spoiled.is_named_in(str(error)):
            return "UNNAMED", f"{call.spoiled}: {type(error).__name__}: {error}"
        return "refused", ""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            expected, their_error = call.theirs(), None
        except Exception as raised:
            expected, their_error = None, raised
        if error is not None and their_error is not None:
            return "refused", ""
        if error is not None:
            where = traceback.extract_tb(error.__traceback__)[-1]
            return "REFUSED ALONE", f"{type(error).__name__}: {error} ({where.name})"
        if their_error is not None:
            return "accepted", f"the peer: {type(their_error).__name__}: {their_error}"
        difference = _difference_of(np.asarray(answer), np.asarray(expected), call.tolerance)
    return ("equal", "") if difference is None else ("DIFFERENT", difference)


def _difference_of(
    answer: np.ndarray, expected: np.ndarray, tolerance: Callable[[Any], Any]
) -> str | None:
    if answer.shape != expected.shape:
        return f"shape {answer.shape}, expected {expected.shape}"
    answer, expected = answer.astype(np.longdouble), expected.astype(np.longdouble)
    same = (answer == expected) | (np.isnan(answer) & np.isnan(expected))
    if same.all():
        return None
    allowed = tolerance(expected)
    far = ~same & ~(np.abs(answer - expected) <= allowed)
    if not far.any():
        return None
    place = int(np.argmax(far))
    return f"{answer.flat[place]:.17g}, expected {expected.flat[place]:.17g} within {allowed:.3g}"


def run(
    count: int, seed: int, only: Sequence[str] = (), index: int | None = None
) -> tuple[dict[str, collections.Counter], dict[tuple[str, str, str], list[str]]]:
    """Make the calls.

    Returns
    -------
    counts : dict of Counter
        Outcomes of each family.
    examples : dict of list
        For each family, outcome and kind of call what happened, with the index that makes it again.
    """
    counts: dict[str, collections.Counter] = {}
    examples: dict[tuple[str, str, str], list[str]] = collections.defaultdict(list)
    for place, (name, (make, share)) in enumerate(FAMILIES.items()):
        if only and name not in only:
            continue
        counts[name] = collections.Counter()
        indices = range(max(1, round(share * count))) if index is None else [index]
        for k in indices:
            call = make(np.random.default_rng([seed, place, k]))
            word, happened = outcome(call)
            counts[name][word] += 1
            if happened and (word.isupper() or index is not None):
                kind = f"spoiled {call.spoiled.name}" if call.spoiled else call.about
                examples[name, word, kind].append(f"[{k}] {happened}")
    return counts, examples


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the calls and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[], choices=list(FAMILIES))
    parser.add_argument("--index", type=int, help="make this one call of --only again")
    parser.add_argument("--shown", type=int, default=2, help="examples of each kind")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    counts, examples = run(options.count, options.seed, options.only, options.index)
    words = sorted({word for counter in counts.values() for word in counter})
    print(f"{'':12}" + "".join(f"{word:>15}" for word in words))
    for name, counter in counts.items():
        print(f"{name:12}" + "".join(f"{counter[word]:15,}" for word in words))
    total = sum(counts.values(), collections.Counter())
    print(f"{'all':12}" + "".join(f"{total[word]:15,}" for word in words))
    for (name, word, kind), happened in sorted(examples.items()):
        print(f"\n{word}: {name}, {kind}: {len(happened)}")
        for text in happened[: options.shown]:
            print(f"    {text[:300]}")
    print(f"\n{total.total():,} calls in {time.perf_counter() - start:.0f} s")
    return int(any(word.isupper() and n for word, n in total.items()))


if __name__ == "__main__":
    sys.exit(main())
