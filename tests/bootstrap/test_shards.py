"""A bootstrap on executors: the same bits as in one process, wherever its parts are computed."""

import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numba
import numpy as np
import pytest
from numba import cloudpickle

import fastkb
from fastkb import bootstrap, schemes
from fastkb.bootstrap import shards

# Workers cannot import this module: what it defines travels by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

X = np.random.default_rng(0).normal(size=45)
Y = 2 * X[:31] + 1


@numba.njit
def scaled(x):
    return x.mean() / (1 + x.std())


def lower_half(x):
    return np.sort(x)[: len(x) // 2].mean()


def spread(x, axis=-1):
    return np.ptp(x, axis=axis)


def difference(x, y):
    return np.median(x) - np.median(y)


@pytest.fixture(scope="module")
def pool():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as made:
        yield made


def assert_same(one, other):
    np.testing.assert_array_equal(one.bootstrap_distribution, other.bootstrap_distribution)
    assert one.bootstrap_distribution.dtype == other.bootstrap_distribution.dtype
    np.testing.assert_array_equal(one.standard_error, other.standard_error)
    np.testing.assert_array_equal(one.confidence_interval, other.confidence_interval)
    np.testing.assert_array_equal(one.observed, other.observed)


OPTIONS = [
    {},
    {"method": "percentile"},
    {"method": "studentized"},
    {"scheme": schemes.MovingBlocks(5)},
    {"scheme": schemes.StationaryBlocks(), "method": "basic"},
    {"scheme": schemes.Stratified(np.arange(45) // 20)},
    {"scheme": schemes.Clusters(np.arange(45) // 6)},
    {"scheme": schemes.Subsampling(20), "method": "percentile"},
]


@pytest.mark.parametrize(
    "statistic", [np.mean, np.median, lower_half, spread, scaled, lambda x: x.max()]
)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_threads_and_processes_give_the_same_bits(statistic, options, pool):
    options = {"n_resamples": 150, "rng": 1, **options}
    expected = bootstrap((X,), statistic, **options)
    with ThreadPoolExecutor(3) as threads:
        assert_same(bootstrap((X,), statistic, executor=threads, **options), expected)
    if options.get("method") != "studentized" or statistic is lower_half:
        assert_same(bootstrap((X,), statistic, executor=pool, **options), expected)


@pytest.mark.parametrize("options", [{}, {"batch": 7}, {"method": "studentized"}], ids=str)
def test_two_samples_and_the_generator_afterwards(options, pool):
    left = []
    for executor in (None, pool):
        rng = np.random.default_rng(3)
        left.append(
            (
                bootstrap(
                    (X, Y), difference, n_resamples=90, rng=rng, executor=executor, **options
                ),
                rng,
            )
        )
    assert_same(left[1][0], left[0][0])
    assert left[0][1].random() == left[1][1].random()


def test_pairs_weights_and_responses(pool):
    x, y = X[:31], Y
    for statistic, scheme in (
        (np.corrcoef, None),
        ("pearson", schemes.Bayesian()),
        (lambda x, y: np.polyfit(x, y, 1)[0], schemes.Wild(2 * x)),
    ):
        options = {"paired": True, "n_resamples": 70, "method": "percentile", "rng": 5}
        options["scheme"] = scheme
        assert_same(
            bootstrap((x, y), statistic, executor=pool, **options),
            bootstrap((x, y), statistic, **options),
        )


def test_older_generators_and_earlier_results(pool):
    for executor in (None, pool):
        state = np.random.RandomState(4)
        first = bootstrap((X,), lower_half, n_resamples=40, random_state=state, executor=executor)
        more = bootstrap(
            (X,), lower_half, n_resamples=30, random_state=state, bootstrap_result=first,
            executor=executor,
        )  # fmt: skip
        if executor is None:
            expected = more
    assert more.bootstrap_distribution.size == 70
    assert_same(more, expected)


def test_progress_counts_resamples():
    told = []
    with ThreadPoolExecutor(2) as threads:
        bootstrap(
            (X,), lower_half, n_resamples=130, executor=threads, progress=lambda *a: told.append(a)
        )
    assert told[0] == ("resamples", 0, 130)
    assert told[-1] == ("resamples", 130, 130)


def test_errors_come_before_any_part_and_out_of_parts(monkeypatch):
    def fails_on_resamples(x):
        return x.mean() if (x == X).all() else 1 / 0

    with ThreadPoolExecutor(1) as threads:
        with pytest.raises(ZeroDivisionError):
            bootstrap((X,), fails_on_resamples, n_resamples=50, executor=threads)
        monkeypatch.setattr(shards, "in_parts", None)
        with pytest.raises(ValueError, match="statistic failed on the data"):
            bootstrap((X,), lambda x: 1 / 0, executor=threads)
    with pytest.raises(TypeError, match="executor must have a method submit"):
        bootstrap((X,), np.mean, executor=3)


def test_going_on_after_a_pool_broke():
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(fastkb.ExecutorError) as caught:
        bootstrap((X,), lower_half, n_resamples=100, rng=2, executor=pool)
    assert_same(caught.value.go_on(), bootstrap((X,), lower_half, n_resamples=100, rng=2))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_on_a_cluster_of_dask():
    distributed = pytest.importorskip("dask.distributed")
    with (
        distributed.LocalCluster(
            2, threads_per_worker=2, processes=True, dashboard_address=None
        ) as made,
        distributed.Client(made) as client,
    ):
        for statistic in (np.mean, lower_half, scaled):
            for options in ({}, {"scheme": schemes.MovingBlocks(5)}):
                options = {"n_resamples": 150, "rng": 1, **options}
                assert_same(
                    bootstrap((X,), statistic, executor=client, **options),
                    bootstrap((X,), statistic, **options),
                )
