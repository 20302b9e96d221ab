"""The registry: every work of the benchmarks, with its shape and its rivals.

To add a row, add a line here; to add a rival, add it to :data:`bench.rivals.GRAM_RIVALS`. Both
``pytest bench/`` and ``python -m bench report`` take everything from :func:`works`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatch

from bench.architectures import LeNet, NormalizedDense, ResNet
from bench.band import Band
from bench.bootstrap import Interval
from bench.gram import Gram
from bench.images import ImageForward, ImageStep, RecordedStep
from bench.kinds import Prediction, Searched
from bench.machines import MachineBand, MachineFit, MachineValues
from bench.network import JAX, Step
from bench.panel import PanelIntervals
from bench.perceptron import Fit, Predict
from bench.product import Product
from bench.rivals import ARCH, SCIPY, SCIPY_BATCH, SKLEARN
from bench.schemes import BLOCKS, SchemeInterval
from bench.work import Work

N = 4000

GRAMS = (
    Gram("rbf", N, 2),
    Gram("rbf", N, 10),
    Gram("rbf", N, 50),
    Gram("rbf", N, 200),
    Gram("rbf", N, 784),
    Gram("rbf", N, 10, out=True),
    Gram("rbf", N, 10, fresh=True),
    Gram("rbf", N, 10, two=True),
    Gram("rbf", N, 10, dtype="float32"),
    Gram("polynomial", N, 10),
    Gram("sigmoid", N, 10),
    Gram("laplacian", N, 10),
    Gram("linear", N, 10),
    Gram("matern32", N, 10),
    Gram("matern52", N, 10),
    Gram("rational_quadratic", N, 10),
    Gram("periodic", N, 1),
)

PRODUCTS = (Product(N, 10), Product(N, 10, "float32"), Product(N, 200))

# σ is a tenth of the interval (some 30 directions carry the kernel) and a quarter of the square's side
# (some 200); with d = 8 it is 2, so that gamma = 1/d, and the kernel has full rank.
BANDS = (
    Band(n=400, d=1, sigma=0.1, alpha=1e-4, timed_refits=200),
    Band(n=1000, d=1, sigma=0.1, alpha=1e-2, timed_refits=60),
    Band(n=3000, d=2, sigma=0.25, alpha=1e-2, timed_refits=8),
    Band(n=1000, d=8, sigma=2.0, alpha=1e-2, timed_refits=60),
)
KINDS = (Searched(n=400, timed_refits=4), Prediction(n=400))

# SciPy's default batch, all resamples at once, takes 1.6 GB for n = 10000, and 16 GB for 100000.
DEFAULT_BATCH = (SCIPY, ARCH)
BOTH_BATCHES = (SCIPY, SCIPY_BATCH, ARCH)
INTERVALS = (
    *(
        Interval(name, 10_000, arch_part=part, rivals_offered=BOTH_BATCHES)
        for name, part in (
            ("mean", 1),
            ("std", 1),
            ("median", 10),
            ("trim_mean", 10),
            ("pearsonr", 10),
            ("trimmed", 10),
            ("selected", 10),
        )
    ),
    *(
        Interval(name, 10_000, "BCa", rivals_offered=BOTH_BATCHES)
        for name in ("mean", "std", "median")
    ),
    Interval("mean", 100_000, "BCa", scipy_part=100, rivals_offered=(SCIPY_BATCH,)),
    *(
        Interval(name, 20, method, rivals_offered=DEFAULT_BATCH)
        for method in ("percentile", "BCa")
        for name in ("mean", "std", "median")
    ),
)

SCHEMES = (
    *(SchemeInterval(scheme, 2000, 20) for scheme in ("iid", *BLOCKS)),
    *(SchemeInterval(scheme, 20_000, 50, arch_part=10) for scheme in ("moving", "stationary")),
    *(SchemeInterval(scheme, 200, 10, n_resamples=999) for scheme in ("moving", "stationary")),
    SchemeInterval("moving", 2000, 20, "median", arch_part=10),
    *(SchemeInterval(scheme, 2000, 20) for scheme in ("stratified", "clusters", "bayesian")),
    *(SchemeInterval(scheme, 2000, 500) for scheme in ("fewer", "subsampling")),
)

PANELS = (
    PanelIntervals("moving"),
    PanelIntervals("moving", ragged=True),
    PanelIntervals("stationary"),
    PanelIntervals("iid", n_series=1000),
)

SMALL, MIDDLE, WIDE, DEEP = (8, 32, 1), (10, 64, 64, 1), (784, 128, 10), (784, 512, 512, 10)
STEPS = (
    Step(SMALL, 32, steps=5000),
    Step(MIDDLE, 64, steps=1000),
    Step(WIDE, 64, steps=100, epochs=5),
    Step(DEEP, 128, steps=20, epochs=5),
    Step(SMALL, 32, steps=5000, optimizer="adam"),
    Step(MIDDLE, 64, steps=1000, optimizer="adam"),
    Step(WIDE, 64, steps=100, epochs=5, optimizer="adam"),
    # After a hundred steps of Adam of this network, rounding errors have grown to a hundredth.
    Step(DEEP, 128, steps=20, epochs=2, optimizer="adam"),
    # As many epochs as an ensemble would take: weights and first parameters are drawn once for all.
    Step(SMALL, 32, steps=100, members=128, epochs=10, rivals_offered=(JAX,)),
    Step(MIDDLE, 64, steps=30, members=128, epochs=10, rivals_offered=(JAX,)),
)

LENET, NORMALIZED = LeNet(), NormalizedDense((784, 256, 256, 10))
IMAGES = (
    ImageStep(LENET, 64, steps=40),
    ImageStep(LENET, 256, steps=20),
    RecordedStep(LENET, 64, steps=40),
    RecordedStep(LENET, 256, steps=20),
    ImageForward(LENET, 64),
    ImageForward(LENET, 256),
    ImageStep(ResNet(16, 2, 8), 64, steps=20),
    ImageStep(ResNet(16, 2, 28), 64, steps=10),
    ImageStep(ResNet(32, 3, 28), 64, steps=5),
    ImageForward(ResNet(16, 2, 28), 64),
    ImageStep(NORMALIZED, 64, steps=50),
    ImageForward(NORMALIZED, 64),
)

PERCEPTRONS = (
    *(Fit(dtype) for dtype in ("float64", "float32")),
    *(Predict(dtype) for dtype in ("float64", "float32")),
)

MACHINES = (
    MachineFit(n=10_000, d=20),
    MachineFit(n=10_000, d=20, C=100.0),
    MachineFit(n=2000, d=10),
    MachineFit(n=10_000, d=20, kernel="linear"),
    MachineFit("digits"),
    MachineFit("wine"),
    MachineFit("breast-cancer"),
    MachineFit("wine", kernel="linear"),
    MachineFit("breast-cancer", kernel="linear"),
    MachineFit("scales", n=2000, d=20),
    MachineFit("targets", n=5000, d=10),
    MachineFit(n=2000, d=10, nu_kind="NuSVC"),
    MachineFit("targets", n=2000, d=10, nu_kind="NuSVR"),
    MachineFit(n=10_000, d=20, nu_kind="OneClassSVM"),
    MachineValues(n=10_000, d=20),
    MachineBand(n=1000, d=10),
)

AnyWork = (
    Gram
    | Product
    | Band
    | Searched
    | Prediction
    | Interval
    | SchemeInterval
    | PanelIntervals
    | Step
    | ImageStep
    | ImageForward
    | Fit
    | Predict
    | MachineFit
    | MachineValues
    | MachineBand
)

# The rows of the README, of all that are in docs/benchmarks.md.
SHOWN = (
    "rbf-n4000-d10",
    "rbf-n4000-d784",
    "laplacian-n4000-d10",
    "ridge-predict-n4000-d10",
    "band-n1000-d1",
    "band-n1000-d8",
    "band-search-n400",
    "ci-mean-n10000-percentile",
    "ci-median-n10000-percentile",
    "ci-mean-n10000-bca",
    "scheme-moving-mean-n2000",
    "panel-moving-s10000",
    "step-sgd-8-32-1",
    "step-sgd-784-512-512-10",
    "step-sgd-8-32-1-128",
    "mlp-fit-float64",
    "image-step-lenet-64",
    "image-loop-lenet-64",
    "image-step-resnet16x2-28-64",
    "svm-fit-n10000-d20-C1",
)

# The band whose peak memory is reported.
MEMORY_BAND = "band-n3000-d2"

# "Never slower": every pair of these.
GRID_N = (2, 10, 100, 1000, 4000)
GRID_D = (1, 2, 10, 50, 200, 784)

QUICK_N, QUICK_RESAMPLES, QUICK_REFITS, QUICK_PART = 500, 100, 8, 2
QUICK_PREDICTIONS = 60
QUICK_STEPS, QUICK_MEMBERS, QUICK_EPOCHS = 3, 20, 3


def works(only: Iterable[str] = (), *, quick: bool = False, processes: int = 0) -> list[Work]:
    """The works of the registry, or some of them.

    Parameters
    ----------
    only : iterable of str
        Names, shell patterns (``rbf-*``) or the first words of names (``band``); all works if empty.
    quick : bool, default False
        Few rows and resamples: to see that everything runs, never to quote.
    processes : int, default 0
        Processes of the band's rival; 0: as many as there are cores.

    Raises
    ------
    ValueError
        If one of `only` matches no work.
    """
    every: tuple[AnyWork, ...] = (
        *GRAMS,
        *PRODUCTS,
        *BANDS,
        *KINDS,
        *INTERVALS,
        *SCHEMES,
        *PANELS,
        *STEPS,
        *IMAGES,
        *PERCEPTRONS,
        *MACHINES,
    )
    chosen: list[AnyWork] = []
    for pattern in only or ["*"]:
        found = [work for work in every if _matches(work.name, pattern)]
        if not found:
            names = ", ".join(work.name for work in every)
            raise ValueError(f"no work is called {pattern!r}; there are: {names}")
        chosen += [work for work in found if work not in chosen]
    many = Band | Searched | Prediction
    chosen = [replace(w, processes=processes) if isinstance(w, many) else w for w in chosen]
    return [_shortened(work) for work in chosen] if quick else list(chosen)


def _matches(name: str, pattern: str) -> bool:
    return fnmatch(name, pattern) or name.startswith(f"{pattern}-")


def _shortened(work: AnyWork) -> AnyWork:
    if isinstance(work, Predict | ImageForward):
        return work
    if isinstance(work, Fit):
        return replace(work, epochs=QUICK_EPOCHS)
    if isinstance(work, Step):
        members, epochs = min(work.members, QUICK_MEMBERS), min(work.epochs, QUICK_EPOCHS)
        return replace(work, steps=QUICK_STEPS, members=members, epochs=epochs)
    if isinstance(work, ImageStep):
        return replace(work, steps=QUICK_STEPS)
    if isinstance(work, Gram | Product):
        return replace(work, n=QUICK_N)
    if isinstance(work, MachineBand):
        return replace(work, n=min(work.n, QUICK_N), n_resamples=QUICK_RESAMPLES)
    if isinstance(work, MachineFit | MachineValues):
        return replace(work, n=min(work.n, QUICK_N))
    if isinstance(work, Prediction):
        return replace(work, n=min(work.n, QUICK_PREDICTIONS))
    if isinstance(work, PanelIntervals):
        return replace(work, n_series=min(work.n_series, QUICK_N), n_resamples=QUICK_RESAMPLES)
    if isinstance(work, SchemeInterval):
        n, part = min(work.n, QUICK_N), min(work.arch_part, QUICK_PART)
        return replace(
            work,
            n=n,
            length=min(work.length, n // 5),
            n_resamples=QUICK_RESAMPLES,
            arch_part=part,
        )
    if isinstance(work, Interval):
        return replace(
            work,
            n=min(work.n, QUICK_N),
            n_resamples=QUICK_RESAMPLES,
            scipy_part=min(work.scipy_part, QUICK_PART),
            arch_part=min(work.arch_part, QUICK_PART),
        )
    return replace(
        work,
        n=min(work.n, QUICK_N),
        n_resamples=QUICK_RESAMPLES,
        timed_refits=min(work.timed_refits, QUICK_REFITS),
    )


def grid(two: bool, *, quick: bool = False) -> list[Gram]:
    """RBF Gram matrices of all sizes, against scikit-learn alone."""
    rows = [n for n in GRID_N if not quick or n <= 100]
    return [Gram("rbf", n, d, two=two, rivals_offered=(SKLEARN,)) for n in rows for d in GRID_D]
