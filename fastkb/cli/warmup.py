"""``fastkb warmup``: call every public function on a small job: its code is compiled and kept.

Machine code depends on the types of the arguments, never on their sizes; but a planner may choose
another function for another shape, so there is a job for each side of every such choice.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

import numpy as np

import fastkb
from fastkb.cli.terminal import Line, Report
from fastkb.gram import pairwise
from fastkb.runtime.compiled.cache import cache_folder
from fastkb.runtime.threads import n_threads
from fastkb.svm.smo.conjugate import multiply_symmetric
from fastkb.svm.smo.gradient import put, squeeze
from fastkb.svm.smo.solver import DOUBLE_UP_TO

DTYPES = (np.float32, np.float64)
KERNELS = ("linear", "polynomial", "rbf", "sigmoid", "laplacian")
# Few and many columns: the planner takes another inner form of the distance for each.
WIDTHS = (2, 200)


Job = tuple[str, Callable[[], object]]


def jobs() -> Iterator[Job]:
    """Every job with its name, in an order that compiles shared parts first."""
    for group in groups():
        yield from group.jobs


class Group(NamedTuple):
    """Jobs that share hardly any code with those of other groups."""

    seconds: float  # that it took to compile them, on a processor with AVX2
    jobs: list[Job]


def groups() -> list[Group]:
    """All jobs, those that take long first."""
    kinds = (
        (_gram_jobs, _ridge_jobs, _band_jobs, _machine_jobs),
        (_network_jobs,),
        (_bootstrap_jobs,),
    )
    seconds = {"float64": (34.0, 19.0, 11.0), "float32": (13.0, 15.0, 5.0)}
    found = [
        Group(time, [job for make in kind for job in make(dtype)])
        for dtype in DTYPES
        for kind, time in zip(kinds, seconds[np.dtype(dtype).name], strict=True)
    ]
    return sorted(found, key=lambda group: -group.seconds)


def shares(workers: int) -> list[list[int]]:
    """Places of jobs for each of several processes: the next group goes to the one that is done first."""
    places: list[list[int]] = [[] for _ in range(workers)]
    busy = [0.0] * workers
    first = 0
    for group in groups():
        mine = busy.index(min(busy))
        places[mine] += range(first, first + len(group.jobs))
        busy[mine] += group.seconds
        first += len(group.jobs)
    return [share for share in places if share]


def _sample(dtype: type, width: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X: np.ndarray = rng.standard_normal((40, width)).astype(dtype)
    return X, np.sin(X[:, 0])


def _gram_jobs(dtype: type) -> Iterator[Job]:
    for width in WIDTHS:
        X, _ = _sample(dtype, width)
        for name in KERNELS:
            function = getattr(fastkb, f"{name}_kernel")
            yield f"{name}_kernel {X.dtype}", partial(function, X)
            yield f"{name}_kernel {X.dtype}", partial(function, X, X[:30])
            yield f"pairwise_kernels {X.dtype}", partial(fastkb.pairwise_kernels, X, metric=name)
    X, _ = _sample(dtype, WIDTHS[0])
    yield f"gram {X.dtype}", partial(pairwise.gram, fastkb.kernels.RBF(sigma=1.0), X)
    yield f"TaylorFeatures {X.dtype}", partial(fastkb.TaylorFeatures().fit_transform, X)


def _ridge_jobs(dtype: type) -> Iterator[Job]:
    for width in WIDTHS:  # low rank and full rank
        X, y = _sample(dtype, width)
        for name in KERNELS:
            # A large penalty: the sigmoid kernel is not positive definite, and would be warned of.
            model = fastkb.KernelRidge(alpha=100.0, kernel=name, gamma=0.1)
            yield f"KernelRidge {X.dtype}", partial(_fit_and_predict, model, X, y)
        search = fastkb.KernelRidgeCV(alphas=[0.1, 1.0])
        yield f"KernelRidgeCV {X.dtype}", partial(_fit_and_predict, search, X, y)
        path = partial(fastkb.kernel_ridge_path, X, y, alphas=[0.1, 1.0])
        yield f"kernel_ridge_path {X.dtype}", path


def _fit_and_predict(model: Any, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    return model.fit(X, y).predict(X)


def _band_jobs(dtype: type) -> Iterator[Job]:
    X, y = _sample(dtype, WIDTHS[0])
    model = fastkb.KernelRidge(alpha=0.1, kernel="rbf", gamma=0.1)
    for solver in ("cholesky", "lowrank"):
        for targets in (y, np.stack([y, -y], axis=1)):
            band = partial(fastkb.bootstrap_band, model, X, targets, X[:5], solver=solver)
            yield f"bootstrap_band {X.dtype}", partial(band, n_resamples=20, rng=0)
    search = fastkb.KernelRidgeCV(criterion="reml", fit_intercept=True)
    for kind in ("percentile", "confidence"):
        band = partial(fastkb.bootstrap_band, search, X, y, X[:5], kind=kind)
        yield f"bootstrap_band {X.dtype}", partial(band, n_resamples=20, rng=0)
    sampler = _Rows(X, y)
    band = partial(fastkb.sampling_band, model, sampler, X[:5], n_resamples=5, rng=0)
    yield f"sampling_band {X.dtype}", band


def _machine_jobs(dtype: type) -> Iterator[Job]:
    X, y = _sample(dtype, WIDTHS[0])
    for kind in (fastkb.SVC, fastkb.NuSVC, fastkb.SVR, fastkb.NuSVR, fastkb.OneClassSVM):
        for classes in (2, 3):
            labels = np.digitize(y, [0.0, 0.5][: classes - 1]) if "C" in kind.__name__ else y
            yield f"{kind.__name__} {X.dtype}", partial(_fit_and_predict, kind(), X, labels)
    if X.dtype == np.float32:  # kernel rows are float32 where there are many
        rows = np.random.default_rng(0).standard_normal((DOUBLE_UP_TO + 200, WIDTHS[0]))
        large = partial(_fit_and_predict, fastkb.SVC(), rows, rows[:, 0] > 0.0)
        yield f"SVC {X.dtype}", large
        places = np.array([0])
        yield f"SVC {X.dtype}", partial(squeeze, np.zeros(2, np.float32), 1, places, places)
        for dtype in (np.float32, np.float64):
            ones = np.ones((4, 4), dtype)
            multiply = partial(multiply_symmetric, ones, ones[0], ones.copy(), ones[1].copy())
            yield f"SVC {X.dtype}", multiply
            yield f"SVC {X.dtype}", partial(put, ones, np.arange(4), ones.copy())


def _bootstrap_jobs(dtype: type) -> Iterator[Job]:
    X, _ = _sample(dtype, WIDTHS[0])
    x, y = np.ascontiguousarray(X.T)
    # All rows' statistics are one function, and PCG64 and Philox two.
    for generator in (np.random.PCG64, np.random.Philox):
        options = {"n_resamples": 200, "rng": np.random.Generator(generator(0))}
        yield f"bootstrap {X.dtype}", partial(fastkb.bootstrap, (x,), np.median, **options)
    yield f"bootstrap {X.dtype}", partial(fastkb.bootstrap, (x, y), "mean_ratio", **options)
    blocks = partial(
        fastkb.bootstrap_panel, (X,), np.mean, scheme=fastkb.schemes.StationaryBlocks(2)
    )
    yield f"bootstrap_panel {X.dtype}", partial(blocks, **options)


def _network_jobs(dtype: type) -> Iterator[Job]:
    from fastkb import nn

    for width in WIDTHS:  # on one thread, and shared by all
        X, y = _sample(dtype, width)
        net = nn.Sequential(nn.Linear(width, 512), nn.ReLU(), nn.Linear(512, 1), rng=0)
        fit = partial(net.fit, X, y, epochs=1, batch_size=40, optimizer=nn.SGD(lr=1e-4))
        yield f"nn.Sequential {X.dtype}", partial(_fit_and_forward, fit, X)
    yield f"optim {X.dtype}", partial(_step, nn.Sequential(nn.Linear(1, 1), dtype=X.dtype))
    images: np.ndarray = np.zeros((40, 1, 16, 16), dtype)
    net = nn.Sequential(nn.Conv2d(1, 32, 3), nn.Flatten(), nn.Linear(32 * 14 * 14, 1), rng=0)
    fit = partial(net.fit, images, np.zeros(40), epochs=1, batch_size=40)
    yield f"nn.Conv2d {images.dtype}", partial(_fit_and_forward, fit, images)
    X, y = _sample(dtype, WIDTHS[0])
    labels = y > 0
    classifier = fastkb.MLPClassifier(
        random_state=0
    )  # with a number as seed, compiled code draws the orders
    classify = partial(classifier.partial_fit, X, labels, classes=[False, True])
    yield f"MLPClassifier {X.dtype}", classify
    yield f"MLPRegressor {X.dtype}", partial(fastkb.MLPRegressor().partial_fit, X, y)
    # At rest soon: no warning.
    weighted = fastkb.MLPRegressor(max_iter=9, n_iter_no_change=1, tol=1e9)
    yield f"MLPRegressor {X.dtype}", partial(weighted.fit, X, y, sample_weight=np.ones(len(y)))


def _fit_and_forward(fit: Callable[[], Any], X: np.ndarray) -> np.ndarray:
    return fit().forward(X)


def _step(net: Any) -> None:
    """An optimiser's step, whose rules are one function."""
    net[0].weight.grad = np.ones((1, 1))
    fastkb.optim.SGD(net.parameters()).step()


class _Rows:
    """A sampler that gives the same sample each time."""

    def __init__(self, X: np.ndarray, y: np.ndarray) -> None:
        self.data = X, y

    def __call__(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return self.data


# Processes that compile at a time, at most: each takes half a gigabyte.
_PROCESSES = 8


def run(options: argparse.Namespace, line: Line) -> Report:
    """Run every job, and show the progress on a terminal."""
    start = time.perf_counter()
    todo, folder = list(jobs()), cache_folder()
    line.say("compiling")
    workers = min(n_threads(), _PROCESSES)
    left = set(range(len(todo)))
    # What another process compiles is there for this one only if it is kept.
    if folder and workers > 1:
        for done in _done_elsewhere(shares(workers)):
            left.discard(done)
            line("jobs", len(todo) - len(left), len(todo))
    # None, unless a process has failed: then this one says why.
    for place in sorted(left):
        line("jobs", len(todo) - len(left), len(todo))
        todo[place][1]()
    if options.quiet:
        return Report("")
    kept = f"kept in {folder}" if folder else "kept nowhere: no cache folder can be written to"
    seconds = time.perf_counter() - start
    return Report(f"{len(todo)} jobs in {seconds:.1f} s; compiled code is {kept}")


def _done_elsewhere(shared: Sequence[Sequence[int]]) -> Iterator[int]:
    """Run the jobs in processes, each its share in order, and give the places of those that are done."""
    # A new interpreter: a fork would have none of the threads that compiled code has started here.
    context = multiprocessing.get_context("spawn")
    processes, open_ends = [], []
    for share in shared:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_run_share, args=(share, theirs), daemon=True)
        process.start()
        theirs.close()
        processes.append(process)
        open_ends.append(ours)
    try:
        while open_ends:
            ready = wait(open_ends)
            for one in [end for end in open_ends if end in ready]:
                try:
                    yield one.recv()
                except EOFError:  # it has finished, or failed
                    open_ends.remove(one)
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _run_share(places: Sequence[int], sender: Connection) -> None:
    """Run some jobs in a process of their own; one that fails ends it, and is run again elsewhere."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command itself answers Ctrl-C
    todo = list(jobs())
    with contextlib.suppress(Exception):
        for place in places:
            todo[place][1]()
            sender.send(place)
