"""Statistics over runs against exact arithmetic, and against the rows that the runs are."""

import functools
import math
from fractions import Fraction

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import fastkb
from fastkb import schemes
from fastkb.bootstrap.evaluate import run_sums
from fastkb.bootstrap.evaluate.compiled_statistic import Compiled
from fastkb.bootstrap.evaluate.run_sums import OverRuns, make_table, over_runs
from fastkb.bootstrap.evaluate.statistic_kernels import EVERY
from fastkb.bootstrap.evaluate.statistics import NAMED, Code, plain_function
from fastkb.random.streams import key_from_rng
from fastkb.resample.runs import Runs, rows_of_runs

KEY = key_from_rng(1)
SUMS = ["mean", "sum", "var", "std", "pearson", "mean_difference", "mean_ratio"]


def root(value):
    """√value of a fraction, whose square root is a float64 though it may be none itself."""
    shift = (value.numerator.bit_length() - value.denominator.bit_length()) // 2 if value else 0
    return math.ldexp(math.sqrt(value / Fraction(4) ** shift), shift)


def rounded(value):
    """A fraction as float64, infinite if it is too large."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def exact(name, x, y, ddof=0):
    """The statistic in exact arithmetic, rounded at the end."""
    x, y = [Fraction(float(v)) for v in x], [Fraction(float(v)) for v in y]
    n = len(x)
    a, b = sum(x) / n, sum(y) / n
    if name == "mean_difference":
        return rounded(a - b)
    if name == "mean_ratio":
        return rounded(a / b) if b else math.nan if a == 0 else math.inf * (1 if a > 0 else -1)
    if name in ("mean", "sum"):
        return rounded(a if name == "mean" else a * n)
    xx = sum((v - a) ** 2 for v in x)
    if name in ("var", "std"):
        value = xx / (n - ddof)
        return root(value) if name == "std" else rounded(value)
    yy = sum((v - b) ** 2 for v in y)
    if xx == 0 or yy == 0:
        return math.nan
    xy = sum((v - a) * (w - b) for v, w in zip(x, y, strict=True))
    return root(xy**2 / xx / yy) * (1 if xy > 0 else -1)


def evaluator(name, samples, scheme, **changes):
    statistic = NAMED[name]._replace(**changes)
    prepared = scheme.prepare(samples, True)
    compiled = Compiled(statistic, samples[: statistic.n_samples], True, np.asarray(0.0))
    return over_runs(compiled, prepared), prepared


DATA = {
    "normal": lambda rng, n: rng.normal(size=n),
    "offset": lambda rng, n: 1e12 + rng.normal(size=n),
    "huge": lambda rng, n: 1e307 * rng.uniform(-1, 1, n),
    "tiny": lambda rng, n: 1e-306 * rng.normal(size=n),
    "constant": lambda rng, n: np.full(n, 0.1),
    "whole": lambda rng, n: rng.integers(-2, 3, n).astype(float),
    "outlier": lambda rng, n: np.where(np.arange(n) == 3, 1e25, rng.normal(size=n)),
    "far outlier": lambda rng, n: np.where(np.arange(n) == 3, 1e90, rng.normal(size=n)),
    "mostly one": lambda rng, n: np.where(rng.uniform(size=n) < 0.2, rng.normal(size=n), 0.1),
    "levels": lambda rng, n: np.where(np.arange(n) < n // 2, 1.0, 1e8) + 1e-3 * rng.normal(size=n),
}
SCHEMES = [
    schemes.MovingBlocks(4),
    schemes.CircularBlocks(5),
    schemes.StationaryBlocks(3.0),
    schemes.Clusters(np.arange(31) // 5),
]


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: type(scheme).__name__)
@pytest.mark.parametrize("name", SUMS)
def test_exact_arithmetic(name, scheme, kind):
    rng = np.random.default_rng(len(kind))
    x, y = DATA[kind](rng, 31), DATA[kind](rng, 31)
    got, prepared = evaluator(name, [x, y], scheme)
    assert isinstance(got, OverRuns)
    runs = prepared.runs(KEY, 0, 40)
    values = got.replicates(runs)
    rows = prepared.indices(runs)
    for value, row in zip(values, rows, strict=True):
        a, b = x[row], y[row]
        right = exact(name, a, b)
        if math.isnan(right) or math.isinf(right):
            np.testing.assert_equal(value, right)
        else:
            with np.errstate(over="ignore"):
                tolerance = rounding(name, a, b, right)
            assert abs(value - right) <= tolerance, (value, right)


def rounding(name, a, b, right):
    """What the rounding of the terms that a result is made of, once each, may do to it."""
    largest, other = np.abs(a).max(), np.abs(b).max()
    if name in ("mean", "sum", "mean_difference"):
        size = (
            largest
            if name == "mean"
            else len(a) * largest
            if name == "sum"
            else max(largest, other)
        )
        return 4e-16 * size + 1e-320
    if name == "mean_ratio" and right:
        terms = [largest / max(abs(exact("mean", a, a)), 1e-323)]
        terms += [other / max(abs(exact("mean", b, b)), 1e-323)]
        return 4e-16 * abs(right) * (1 + sum(terms)) + 1e-320
    if name in ("pearson", "mean_ratio"):
        return 1e-12 if name == "pearson" else 0.0
    # Where rows are read: their mean is rounded, and its error squared is in the variance.
    error = (1e-16 * len(a) * largest) ** 2
    unread = 1e-13 * abs(right) + 1e-320
    if np.ptp(a) > 1e-6 * largest or not right:
        return unread
    return unread + (error if name == "var" else error / right)


@given(
    st.integers(2, 60),
    st.sampled_from(["mean", "sum", "var", "std", "pearson"]),
    st.integers(0, 2**32),
)
def test_the_order_of_runs_alters_no_bit(n, name, seed):
    """A resample that has every observation once is the data, to the last bit."""
    rng = np.random.default_rng(seed)
    x, y = rng.exponential(size=(2, n)) * 10.0 ** rng.integers(-5, 6)
    got, _ = evaluator(name, [x, y], schemes.MovingBlocks(1))
    cuts = np.sort(rng.integers(0, n + 1, 3))
    parts = np.array([0, *cuts, n])
    order = rng.permutation(4)
    starts, lengths = parts[:-1][order], np.diff(parts)[order]
    runs = Runs(
        starts[None].astype(np.uint32),
        lengths[None].astype(np.uint32),
        np.array([4]),
        np.array([n]),
    )
    assert got.replicates(runs)[0] == got.observed


@pytest.mark.parametrize("name", SUMS)
def test_float32(name):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 50)).astype(np.float32)
    statistic = NAMED[name]
    samples = [x, y][: statistic.n_samples]
    options = {"paired": statistic.n_samples > 1, "n_resamples": 50, "method": "percentile"}
    result = fastkb.bootstrap(samples, name, scheme=schemes.MovingBlocks(3), rng=0, **options)
    assert result.bootstrap_distribution.dtype == result.observed.dtype
    plain = fastkb.bootstrap(
        [s.astype(float) for s in samples], name, scheme=schemes.MovingBlocks(3), rng=0, **options
    )
    np.testing.assert_allclose(
        result.bootstrap_distribution, plain.bootstrap_distribution, rtol=3e-7, atol=3e-7
    )


def test_what_cannot_be_seen_is_computed_from_the_rows():
    """Beside 10⁹⁰ the table has no digit of numbers around 1."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=40)
    x[0] = 1e90
    got, prepared = evaluator("std", [x], schemes.MovingBlocks(4))
    runs = prepared.runs(KEY, 0, 200)
    _, unsure = got._evaluate(NAMED["std"], got._tables[0], runs, EVERY)
    rows = rows_of_runs(runs, prepared.order)
    without = ~(rows == 0).any(axis=1)
    assert without.any()
    assert unsure[0, without].all()
    values = got.replicates(runs)
    np.testing.assert_allclose(values[without], x[rows[without]].std(axis=1), rtol=1e-14)


def test_a_large_table_is_not_made(monkeypatch):
    monkeypatch.setattr(run_sums, "_LARGEST_TABLE", 100)
    x = np.random.default_rng(0).normal(size=100)
    assert isinstance(evaluator("mean", [x], schemes.MovingBlocks(2))[0], Compiled)


def test_squares_that_would_vanish_are_left_to_the_rows():
    x = np.array([1.0, 1e-130, -1e-130, 0.0, 5.0])
    assert make_table(Code.MEAN, x[None], x[None], np.arange(5)) is None
    got, _ = evaluator("std", [x], schemes.MovingBlocks(2))
    assert isinstance(got, Compiled)


def test_processors_without_fused_multiply_add(monkeypatch):
    """Products cannot be split there; plain sums are as exact as anywhere."""
    monkeypatch.setattr(run_sums, "cpu", lambda: fastkb.runtime.cpu.cpu()._replace(has_fma=False))
    x = np.random.default_rng(0).normal(size=20)
    assert isinstance(evaluator("std", [x], schemes.MovingBlocks(2))[0], Compiled)
    assert isinstance(evaluator("mean", [x], schemes.MovingBlocks(2))[0], OverRuns)


@pytest.mark.parametrize("name", ["median", "max", "spearman", "trimmed_mean"])
def test_ranks_need_rows(name):
    x = np.random.default_rng(0).normal(size=20)
    assert isinstance(evaluator(name, [x, x], schemes.MovingBlocks(2))[0], Compiled)


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: type(scheme).__name__)
@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_intervals_are_those_of_the_python_function(name, scheme, method):
    rng = np.random.default_rng(4)
    statistic = NAMED[name]
    samples = list(5 + rng.normal(size=(2, 3, 31)))[: statistic.n_samples]
    options = {"paired": len(samples) > 1, "axis": 1, "rng": 2, "n_resamples": 300}
    options |= {"method": method, "scheme": scheme}
    plain = plain_function(statistic)

    def function(*parts, axis=-1):
        return plain(*parts, axis=axis)

    ours = fastkb.bootstrap(samples, name, **options)
    theirs = fastkb.bootstrap(samples, function, **options)
    np.testing.assert_allclose(
        ours.bootstrap_distribution, theirs.bootstrap_distribution, rtol=1e-11, atol=1e-13
    )
    np.testing.assert_allclose(ours.confidence_interval, theirs.confidence_interval, rtol=1e-9)
    np.testing.assert_allclose(ours.observed, theirs.observed, rtol=1e-12)


def test_degrees_of_freedom_of_unequal_clusters():
    rng = np.random.default_rng(4)
    x, labels = rng.normal(size=40), np.repeat([0, 1, 2, 3], [3, 10, 20, 7])
    options = {"rng": 2, "n_resamples": 200, "scheme": schemes.Clusters(labels)}
    ours = fastkb.bootstrap((x,), functools.partial(np.var, ddof=1), **options)
    theirs = fastkb.bootstrap((x,), lambda x, axis: np.var(x, axis=axis, ddof=1), **options)
    np.testing.assert_allclose(
        ours.bootstrap_distribution, theirs.bootstrap_distribution, rtol=1e-12
    )
    np.testing.assert_allclose(ours.confidence_interval, theirs.confidence_interval, rtol=1e-9)


def test_pvalues_of_unequal_clusters():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(2, 40))
    labels = np.repeat([0, 1, 2, 3], [3, 10, 20, 7])
    options = {"rng": 2, "n_resamples": 100, "scheme": schemes.Clusters(labels), "paired": True}
    options["method"] = "percentile"
    ours = fastkb.bootstrap((x, y), stats.pearsonr, **options)
    theirs = fastkb.bootstrap((x, y), lambda a, b: np.array(stats.pearsonr(a, b)), **options)
    np.testing.assert_allclose(
        ours.bootstrap_distribution, theirs.bootstrap_distribution, rtol=1e-8, atol=1e-12
    )


@pytest.mark.parametrize("name", ["mean", "std", "pearson"])
def test_threads_and_company_alter_no_bit(name):
    rng = np.random.default_rng(4)
    samples = list(rng.normal(size=(2, 3, 200)))
    got, prepared = evaluator(name, samples, schemes.StationaryBlocks(7.0))
    values = got.replicates(prepared.runs(KEY, 0, 200))
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        np.testing.assert_array_equal(got.replicates(prepared.runs(KEY, 0, 200)), values)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(got.replicates(prepared.runs(KEY, 30, 7)), values[..., 30:37])
    alone, _ = evaluator(name, [s[1:2] for s in samples], schemes.StationaryBlocks(7.0))
    np.testing.assert_array_equal(alone.replicates(prepared.runs(KEY, 0, 200))[0], values[1])


def test_studentized_over_runs():
    x = np.random.default_rng(0).normal(size=100)
    options = {
        "rng": 1,
        "n_resamples": 200,
        "scheme": schemes.MovingBlocks(5),
        "method": "studentized",
    }
    ours = fastkb.bootstrap((x,), np.mean, standard_error="std", **options)
    plain = fastkb.bootstrap(
        (x,), np.mean, standard_error=lambda x, axis: np.std(x, axis=axis), **options
    )
    np.testing.assert_allclose(ours.confidence_interval, plain.confidence_interval, rtol=1e-12)
