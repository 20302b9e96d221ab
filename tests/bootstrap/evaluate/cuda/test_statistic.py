"""Resamples of a device are evaluated as those of the CPU: in the simulator, with small blocks."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb import bootstrap, schemes
from fastkb.bootstrap.evaluate.compiled_statistic import Compiled
from fastkb.bootstrap.evaluate.statistics import recognise
from fastkb.runtime import cuda as runtime

try:
    from fastkb.bootstrap.evaluate.cuda import statistic as device
    from fastkb.bootstrap.evaluate.cuda.plan import Sizes, sizes_for
except runtime.CudaUnavailableError as error:
    pytest.skip(str(error), allow_module_level=True)

HAS_DEVICE = runtime.state() == "simulated" or runtime.state().startswith("available")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not HAS_DEVICE, reason="no CUDA device, and not the simulator"),
]
SMALL = Sizes(4, 8)

SUMS = [np.mean, np.sum, np.var, functools.partial(np.std, ddof=1)]
ORDERS = [
    np.median,
    functools.partial(np.quantile, q=0.9),
    functools.partial(np.percentile, q=3),
    np.min,
    np.max,
    np.ptp,
]
TYPES = [np.float32, np.float64]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(device, "sizes_for", lambda draws: SMALL)


def both(x, statistic, seed, **options):
    """What `bootstrap` gives on a device, and on the CPU."""
    options = {"n_resamples": 4, "method": "percentile", **options}
    rngs = [np.random.default_rng(seed) if isinstance(seed, int) else seed() for _ in range(2)]
    found, expected = (
        bootstrap((x,), statistic, rng=rng, device=where, **options)
        for rng, where in zip(rngs, ("cuda", "cpu"), strict=True)
    )
    assert rngs[0].random() == rngs[1].random()
    assert found.bootstrap_distribution.dtype == expected.bootstrap_distribution.dtype
    assert found.bootstrap_distribution.shape == expected.bootstrap_distribution.shape
    return found, expected


def close(found, expected, x):
    """Sums of the CPU err by a few units of the last place of what is summed."""
    kind = x.dtype if x.dtype == np.float32 else np.float64
    tolerance = 4 * np.finfo(kind).eps
    np.testing.assert_allclose(
        found, expected, rtol=tolerance, atol=tolerance * np.abs(x).max() * x.size
    )


@pytest.mark.parametrize("kind", TYPES, ids=["float32", "float64"])
@pytest.mark.parametrize("statistic", SUMS, ids=["mean", "sum", "var", "std"])
def test_sums(statistic, kind):
    x = np.random.default_rng(0).normal(size=(2, 19)).astype(kind)
    found, expected = both(x, statistic, 1, axis=1)
    close(found.bootstrap_distribution, expected.bootstrap_distribution, x)
    close(found.observed, expected.observed, x)


@settings(max_examples=14)
@given(
    statistic=st.sampled_from(ORDERS),
    kind=st.sampled_from([*TYPES, np.int32]),
    n=st.integers(2, 60),
    seed=st.integers(0, 2**32 - 1),
)
def test_order_statistics_are_the_same_to_the_bit(statistic, kind, n, seed):
    x = (np.random.default_rng(seed).normal(size=n) * 20).astype(kind)
    found, expected = both(x, statistic, seed, n_resamples=3)
    assert found.bootstrap_distribution.tolist() == expected.bootstrap_distribution.tolist()
    assert found.confidence_interval == expected.confidence_interval


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.Philox])
def test_any_state_of_numpys_generators_in_several_launches(bits, monkeypatch):
    def generator():
        rng = np.random.Generator(bits(5))
        rng.integers(0, 9, 3, dtype=np.uint32)
        return rng

    monkeypatch.setattr(device, "_AT_A_TIME", 50)
    x = np.random.default_rng(0).integers(-50, 50, 23).astype(float)
    for statistic in (np.sum, np.median):
        found, expected = both(x, statistic, generator, n_resamples=5)
        assert found.bootstrap_distribution.tolist() == expected.bootstrap_distribution.tolist()


def test_generators_that_numpy_draws(monkeypatch):
    from fastkb.bootstrap.evaluate.cuda import resamples

    monkeypatch.setattr(resamples, "_SENT", 50)
    x = np.random.default_rng(0).integers(-50, 50, 23).astype(float)
    options = {"n_resamples": 5, "method": "basic", "device": "cuda"}
    for statistic in (np.sum, np.median):
        found, expected = both(
            x, statistic, lambda: np.random.Generator(np.random.SFC64(0)), n_resamples=5
        )
        assert found.bootstrap_distribution.tolist() == expected.bootstrap_distribution.tolist()
        found = bootstrap((x,), statistic, random_state=3, **options).bootstrap_distribution
        rows = np.random.RandomState(3).randint(0, 23, (5, 23), dtype=np.int64)
        assert found.tolist() == statistic(x[rows], axis=1).tolist()
    bootstrap((x,), np.sum, **options)  # NumPy's own generator, as in SciPy


def test_rejected_numbers(monkeypatch):
    # A bound at which a quarter of all numbers is rejected takes more data than a test has: indices of
    # such a bound are folded.
    many = 3 * 2**29 + 1
    from fastkb.bootstrap.evaluate.cuda import order, resamples, rows
    from fastkb.random import cuda as numbers

    drawn = numbers.draws

    def folded(source):
        made = drawn(source)

        def accept(number, place, how):
            at, good = made.accept(number, place, how)
            return at % 23, good

        return made._replace(accept=accept)

    for kernel in (device.moment_kernel, order.rank_kernel, order.extreme_kernel):
        kernel.cache_clear()
    monkeypatch.setattr(rows, "draws", folded)
    numbers_of = resamples.numbers_of
    monkeypatch.setattr(resamples, "numbers_of", lambda stream, bound: numbers_of(stream, many))
    x = np.random.default_rng(0).integers(-50, 50, 23).astype(float)
    try:
        for statistic in (np.sum, np.median):
            rng = np.random.default_rng(7)
            found = bootstrap(
                (x,), statistic, n_resamples=5, method="percentile", rng=rng, device="cuda"
            )
            twin = np.random.default_rng(7)
            expected = statistic(x[twin.integers(0, many, (5, 23)) % 23], axis=1)
            assert found.bootstrap_distribution.tolist() == expected.tolist()
            assert rng.random() == twin.random()
    finally:
        for kernel in (device.moment_kernel, order.rank_kernel, order.extreme_kernel):
            kernel.cache_clear()


@pytest.mark.parametrize(
    "scheme",
    [
        schemes.MOutOfN(9),
        schemes.MovingBlocks(4),
        schemes.MovingBlocks(22),
        schemes.CircularBlocks(5),
        schemes.CircularBlocks(1),
    ],
    ids=repr,
)
def test_schemes(scheme, monkeypatch):
    monkeypatch.setattr(device, "_AT_A_TIME", 70)  # several launches
    x = np.random.default_rng(0).integers(-50, 50, 23).astype(float)
    for statistic in (np.sum, np.median, np.ptp):
        found, expected = both(x, statistic, 2, n_resamples=4, scheme=scheme)
        assert found.bootstrap_distribution.tolist() == expected.bootstrap_distribution.tolist()
        assert found.confidence_interval == expected.confidence_interval
        assert repr(found.scheme) == repr(expected.scheme)


def test_resamples_with_the_same_observations_tie():
    x = np.array([0.1, 0.7, 1e-3])
    found = bootstrap((x,), np.mean, n_resamples=24, rng=0, method="percentile", device="cuda")
    rows = np.sort(np.random.default_rng(0).integers(0, 3, (24, 3)), axis=1)
    values = found.bootstrap_distribution
    for one in np.unique(rows, axis=0):
        assert len(set(values[(rows == one).all(axis=1)].tolist())) == 1
    assert (values[(rows == [0, 1, 2]).all(axis=1)] == found.observed).all()


@pytest.mark.filterwarnings("ignore")
def test_no_degrees_of_freedom_are_left():
    x = np.array([1.0, 2.0, 4.0])
    statistic = functools.partial(np.var, ddof=3)
    found, expected = both(x, statistic, 0, n_resamples=8)
    np.testing.assert_array_equal(found.bootstrap_distribution, expected.bootstrap_distribution)


def test_what_the_table_says_is_launched():
    x = np.random.default_rng(0).normal(size=1100)
    statistic = recognise(np.median)
    compiled = Compiled(statistic, (x,), False, np.asarray(np.median(x)))
    found = device.OnDevice(compiled, None, sizes_for(1100)).distribution(
        np.random.default_rng(0), 1, lambda count: None
    )
    rows = np.random.default_rng(0).integers(0, 1100, (1, 1100))
    assert found.tolist() == np.median(x[rows], axis=1).tolist()
