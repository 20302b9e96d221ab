"""How others compute the same works, each in its own best form.

A rival is a function of (X, Y or None, parameters) that converts the data and returns what is timed.
It raises ImportError where its library is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from bench.agreement import GramParameters

Call = Callable[[], Any]
Prepare = Callable[[np.ndarray, "np.ndarray | None", GramParameters], Call]

SKLEARN, CDIST, ADDMM, NUMPY = "scikit-learn", "torch cdist", "torch addmm", "NumPy"
REFIT = "scikit-learn + joblib"
SCIPY, SCIPY_BATCH, ARCH = "SciPy", "SciPy, batch=100", "arch"
TSBOOTSTRAP = "tsbootstrap, compiled"
BATCH = 100


def sklearn_gram(X: np.ndarray, Y: np.ndarray | None, p: GramParameters) -> Call:
    """scikit-learn's function of the same name, or its kernel of Gaussian processes."""
    if p.kernel in GAUSSIAN_PROCESS:
        return gaussian_process(X, Y, p)
    from sklearn.metrics import pairwise

    function = getattr(pairwise, f"{p.kernel}_kernel")
    options = {
        "linear": {},
        "polynomial": {"degree": p.degree, "gamma": p.gamma, "coef0": p.coef0},
        "sigmoid": {"gamma": p.gamma, "coef0": p.coef0},
    }.get(p.kernel, {"gamma": p.gamma})
    return lambda: function(X, Y, **options)


# scikit-learn's kernels of Gaussian processes, which compute distances in float64 whatever the data are.
GAUSSIAN_PROCESS = ("matern32", "matern52", "rational_quadratic", "periodic")


def gaussian_process(X: np.ndarray, Y: np.ndarray | None, p: GramParameters) -> Call:
    """scikit-learn's kernel object of this gamma."""
    from sklearn.gaussian_process import kernels

    kernel = {
        "matern32": lambda: kernels.Matern(p.gamma**-0.5, nu=1.5),
        "matern52": lambda: kernels.Matern(p.gamma**-0.5, nu=2.5),
        "rational_quadratic": lambda: kernels.RationalQuadratic((2 * p.gamma) ** -0.5, 1.0),
        "periodic": lambda: kernels.ExpSineSquared(p.gamma**-0.5, 1.0),
    }[p.kernel]()
    return lambda: kernel(X, Y)


def torch_cdist(X: np.ndarray, Y: np.ndarray | None, p: GramParameters) -> Call:
    """exp(-γ·cdist²), or exp(-γ·cdist₁), in place after the distances."""
    import torch

    A = torch.from_numpy(X)
    B = A if Y is None else torch.from_numpy(Y)
    if p.kernel == "rbf":
        return lambda: torch.cdist(A, B).square_().mul_(-p.gamma).exp_()
    if p.kernel == "laplacian":
        return lambda: torch.cdist(A, B, p=1.0).mul_(-p.gamma).exp_()
    raise ValueError(f"no form with distances for the kernel {p.kernel!r}")


def torch_addmm(X: np.ndarray, Y: np.ndarray | None, p: GramParameters) -> Call:
    """One matrix product that adds what stands beside it, then the scalar function in place."""
    import torch

    A = torch.from_numpy(X)
    B = A if Y is None else torch.from_numpy(Y)

    def rbf():
        a = A.square().sum(1)
        b = a if Y is None else B.square().sum(1)
        K = torch.addmm(a[:, None] + b[None, :], A, B.T, alpha=-2)
        return K.clamp_min_(0).mul_(-p.gamma).exp_()

    def affine():
        return torch.addmm(torch.tensor(p.coef0, dtype=A.dtype), A, B.T, alpha=p.gamma)

    forms = {
        "rbf": rbf,
        "linear": lambda: A @ B.T,
        "polynomial": lambda: affine().pow_(p.degree),
        "sigmoid": lambda: affine().tanh_(),
    }
    return forms[p.kernel]


def numpy_gram(X: np.ndarray, Y: np.ndarray | None, p: GramParameters) -> Call:
    """Plain NumPy, in place where it can be."""
    B = X if Y is None else Y

    def rbf():
        a = np.einsum("ij,ij->i", X, X)
        b = a if Y is None else np.einsum("ij,ij->i", B, B)
        K = X @ B.T
        K *= -2
        K += a[:, None]
        K += b
        np.maximum(K, 0, out=K)
        K *= -p.gamma
        return np.exp(K, out=K)

    def laplacian():
        # Column by column: the (n, m, d) array of all differences would be d times the result.
        K = np.zeros((len(X), len(B)), X.dtype)
        difference = np.empty_like(K)
        for x, y in zip(X.T, B.T, strict=True):
            np.subtract(x[:, None], y, out=difference)
            K += np.abs(difference, out=difference)
        K *= -p.gamma
        return np.exp(K, out=K)

    def affine():
        K = X @ B.T
        K *= p.gamma
        K += p.coef0
        return K

    def polynomial():
        K = affine()
        result = K * K  # NumPy's power calls pow for an exponent of 3, fifty times slower
        for _ in range(p.degree - 2):
            result *= K
        return result

    def sigmoid():
        K = affine()
        return np.tanh(K, out=K)

    forms = {"rbf": rbf, "laplacian": laplacian, "polynomial": polynomial, "sigmoid": sigmoid}
    return forms.get(p.kernel, lambda: X @ B.T)


# rival -> how it prepares a Gram matrix, and the kernels it has a form for
GRAM_RIVALS: dict[str, tuple[Prepare, frozenset[str]]] = {
    SKLEARN: (
        sklearn_gram,
        frozenset({"linear", "polynomial", "sigmoid", "rbf", "laplacian", *GAUSSIAN_PROCESS}),
    ),
    CDIST: (torch_cdist, frozenset({"rbf", "laplacian"})),
    ADDMM: (torch_addmm, frozenset({"linear", "polynomial", "sigmoid", "rbf"})),
    NUMPY: (numpy_gram, frozenset({"linear", "polynomial", "sigmoid", "rbf", "laplacian"})),
}


def refit_chunk(
    X: np.ndarray,
    y: np.ndarray,
    X_eval: np.ndarray,
    alpha: float,
    gamma: float,
    rows: np.ndarray,  # shape: (n_replicates, n)
) -> np.ndarray:
    """Predictions of scikit-learn's KernelRidge refitted to each resample.

    Returns
    -------
    ndarray
        # shape: (n_replicates, n_eval)
    """
    from sklearn.kernel_ridge import KernelRidge

    model = KernelRidge(kernel="rbf", alpha=alpha, gamma=gamma)
    return np.array([model.fit(X[r], y[r]).predict(X_eval) for r in rows])


def joblib_refit(
    data: tuple[np.ndarray, ...],  # X, y, X_eval
    rows: np.ndarray,  # shape: (n_replicates, n)
    alpha: float,
    gamma: float,
    processes: int,
) -> Call:
    """:func:`refit_chunk` in loky's processes."""
    return in_processes(refit_chunk, (*data, alpha, gamma), rows, processes)


def machine_chunk(
    model: Any, X: np.ndarray, y: np.ndarray, X_eval: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Decision functions of a machine fitted to each resample.  # shape: (resamples, n_eval)

    With counts for weights, which is quicker than rows that are there several times.
    """
    out = np.empty((len(counts), len(X_eval)))
    for values, count in zip(out, counts, strict=True):
        used = count > 0
        model.fit(X[used], y[used], sample_weight=count[used].astype(float))
        values[:] = model.decision_function(X_eval)
    return out


def in_processes(
    chunk: Callable[..., np.ndarray], arguments: tuple, replicates: np.ndarray, processes: int
) -> Call:
    """``chunk(*arguments, part)`` for parts of the replicates, one BLAS thread in each process.

    Two chunks for each process: few, so that handing them out costs nothing, and enough to even
    out.
    """
    from joblib import Parallel, delayed, parallel_config

    parts = np.array_split(replicates, min(len(replicates), 2 * processes))

    def call():
        with parallel_config("loky", n_jobs=processes, inner_max_num_threads=1):
            return np.concatenate(Parallel()(delayed(chunk)(*arguments, part) for part in parts))

    return call


def left_out_chunk(
    X: np.ndarray,
    y: np.ndarray,
    X_eval: np.ndarray,
    alpha: float,
    gamma: float,
    rows: np.ndarray,
) -> np.ndarray:
    """Curves fitted without each of the rows, and in the last column the errors there."""
    from sklearn.kernel_ridge import KernelRidge

    model = KernelRidge(alpha=alpha, kernel="rbf", gamma=gamma)
    out = np.empty((len(rows), len(X_eval) + 1))
    for k, i in enumerate(rows):
        keep = np.arange(len(y)) != i
        model.fit(X[keep], y[keep])
        out[k, :-1] = model.predict(X_eval)
        out[k, -1] = y[i] - model.predict(X[[i]])[0]
    return out


def searched_chunk(
    factors: list[np.ndarray],  # L of each kernel on the data
    at_points: list[np.ndarray],  # and at the evaluation points
    y: np.ndarray,
    weights: np.ndarray,  # shape: (n_replicates, n)
) -> np.ndarray:
    """scikit-learn's RidgeCV on every factor, and the curve of the best."""
    from sklearn.linear_model import RidgeCV

    out = np.empty((len(weights), len(at_points[0])))
    for b, w in enumerate(weights):
        used = w > 0
        best = -np.inf
        for L, points in zip(factors, at_points, strict=True):
            model = RidgeCV(np.logspace(-6, 2, 17)).fit(L[used], y[used], sample_weight=w[used])
            if model.best_score_ > best:
                best, out[b] = model.best_score_, model.predict(points)
    return out


class Interval(NamedTuple):
    """A rival's bootstrap interval, or as much of it as was computed."""

    n_resamples: int
    ends: np.ndarray | None  # low and high
    distribution: np.ndarray | None = None  # of SciPy's resamples, which are fastkb's too
    jackknife: np.ndarray | None = None  # of the first rows
    drawn_otherwise: bool = False  # resamples of its own: agreement is a matter of statistics


def scipy_interval(
    data: tuple[np.ndarray, ...], statistic: Callable, options: dict[str, Any]
) -> Call:
    """``scipy.stats.bootstrap``."""
    from scipy.stats import bootstrap

    def call():
        result = bootstrap(data, statistic, **options)
        ends = np.array(result.confidence_interval)
        distribution = result.bootstrap_distribution
        return Interval(distribution.shape[-1], ends, distribution)

    return call


def scipy_part(x: np.ndarray, statistic: Callable, options: dict[str, Any], rows: int) -> Call:
    """Some resamples, and the first `rows` rows of SciPy's own jackknife, a batch at a time."""
    from scipy.stats import bootstrap
    from scipy.stats._resampling import _jackknife_resample

    batch = options["batch"] or len(x)

    def call():
        result = bootstrap((x,), statistic, **options | {"method": "percentile"})
        distribution = result.bootstrap_distribution
        if not rows:
            return Interval(len(distribution), None, distribution)
        samples = islice(_jackknife_resample(x, min(batch, rows), xp=np), -(-rows // batch))
        jackknife = np.concatenate([statistic(sample, axis=-1) for sample in samples])
        return Interval(len(distribution), None, distribution, jackknife)

    return call


def arch_interval(
    data: tuple[np.ndarray, ...], statistic: Callable, n_resamples: int, method: str, seed: int
) -> Call:
    """arch's bootstrap of independent observations; two samples are drawn together."""
    from arch.bootstrap import IIDBootstrap

    def call():
        ends = IIDBootstrap(*data, seed=seed).conf_int(
            statistic, n_resamples, method=method.lower()
        )
        return Interval(n_resamples, ends.ravel(), drawn_otherwise=True)

    return call


def arch_block_interval(
    x: np.ndarray, scheme: str, length: int, statistic: Callable, n_resamples: int, seed: int
) -> Call:
    """arch's bootstrap of a series."""
    from arch import bootstrap

    if scheme == "iid":
        resampler = lambda: bootstrap.IIDBootstrap(x, seed=seed)  # noqa: E731
    else:
        kind = {
            "moving": bootstrap.MovingBlockBootstrap,
            "circular": bootstrap.CircularBlockBootstrap,
            "stationary": bootstrap.StationaryBootstrap,
        }[scheme]
        resampler = lambda: kind(length, x, seed=seed)  # noqa: E731

    def call():
        ends = resampler().conf_int(statistic, n_resamples, method="percentile")
        return Interval(n_resamples, ends.ravel(), drawn_otherwise=True)

    return call


def tsbootstrap_interval(
    x: np.ndarray, scheme: str, length: int, statistic: str, n_resamples: int, seed: int
) -> Call:
    """tsbootstrap's compiled reducer, and the quantiles of its replicates."""
    import tsbootstrap

    method = _tsbootstrap_method(scheme, length)
    options = {"method": method, "statistic": statistic, "n_bootstraps": n_resamples}
    options |= {"random_state": seed, "backend": "compiled"}

    def call():
        ends = tsbootstrap.bootstrap_reduce(x, **options).quantile([0.025, 0.975])
        return Interval(n_resamples, ends.ravel(), drawn_otherwise=True)

    return call


def tsbootstrap_panel(
    series: list[np.ndarray], scheme: str, length: int, n_resamples: int, seed: int
) -> Call:
    """tsbootstrap's compiled intervals of the means of many series: low and high of each."""
    import tsbootstrap

    options = {"method": _tsbootstrap_method(scheme, length), "n_bootstraps": n_resamples}
    options |= {"random_state": seed, "backend": "compiled"}

    def call():
        ends = tsbootstrap.conf_int_panel(series, "mean", **options)
        return np.stack([np.ravel(one) for one in ends[:2]])

    return call


def _tsbootstrap_method(scheme: str, length: int) -> Any:
    import tsbootstrap

    return {
        "iid": lambda: tsbootstrap.IID(),
        "moving": lambda: tsbootstrap.MovingBlock(block_length=length),
        "circular": lambda: tsbootstrap.CircularBlock(block_length=length),
        "stationary": lambda: tsbootstrap.StationaryBlock(avg_block_length=length),
    }[scheme]()


def stop_processes() -> None:
    """End loky's idle workers, and wait for them."""
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)
