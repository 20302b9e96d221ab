"""Bad input to the bootstrap is named, with what was expected, before any work."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import fastkb
from fastkb.runtime import memory

X = np.arange(10.0)


def never(*samples, axis=-1):
    raise AssertionError("work began")


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        ((), {}, ValueError, "must contain at least one sample"),
        (3, {}, ValueError, r"must be a sequence of samples.*\(x,\)"),
        (X, {}, ValueError, r"data\[0\] is a single number \(for one sample x write \(x,\)\)"),
        (([],), {}, ValueError, r"two or more observations along `axis`: data\[0\] has 0"),
        ((X, [1.0]), {}, ValueError, r"two or more observations along `axis`: data\[1\] has 1"),
        ((["a", "b"],), {}, ValueError, r"data\[0\] must be numbers.*'a'"),
        (([1j, 2j],), {}, ValueError, r"data\[0\] must be numbers, got complex"),
        (([None, 2],), {}, ValueError, r"data\[0\] must be numbers, got object"),
        (([[1, 2], [3]],), {}, ValueError, r"data\[0\] is not an array of numbers"),
        ((X, X[:5]), {"paired": True}, ValueError, "same length along `axis`: they have 10, 5"),
        (
            (np.ones((2, 5)), np.ones((3, 5))),
            {"axis": 1},
            ValueError,
            r"shapes are \(2, 5\), \(3, 5\)",
        ),
        ((X,), {"axis": 1}, ValueError, "`axis` is 1, and the samples in `data` have 1 axes"),
        ((np.ones((0, 5)),), {"axis": 1}, ValueError, "must not have an axis of length 0"),
        ((X,), {"axis": 0.5}, ValueError, "`axis` must be an integer, got 0.5"),
        ((X,), {"confidence_level": 95}, ValueError, r"got 95; for 95% write 0\.95"),
        (
            (X,),
            {"confidence_level": 0},
            ValueError,
            "confidence_level must be a number between 0 and 1",
        ),
        ((X,), {"confidence_level": None}, TypeError, "confidence_level must be a number"),
        (
            (X,),
            {"n_resamples": -5},
            ValueError,
            "`n_resamples` must be a non-negative integer, got -5",
        ),
        ((X,), {"n_resamples": 0}, ValueError, "`n_resamples` must be positive"),
        ((X,), {"n_resamples": "many"}, ValueError, "got 'many'"),
        ((X,), {"batch": 0}, ValueError, "`batch` must be a positive integer or None, got 0"),
        (
            (X,),
            {"vectorized": "yes"},
            ValueError,
            "`vectorized` must be `True`, `False`, or `None`",
        ),
        ((X,), {"paired": None}, ValueError, "`paired` must be `True` or `False`, got None"),
        ((X,), {"alternative": "more"}, ValueError, "`alternative` must be one of.*got 'more'"),
        ((X,), {"method": "magic"}, ValueError, "`method` must be in.*bca.*got 'magic'"),
        ((X,), {"method": 3}, ValueError, "`method` must be in"),
        ((X,), {"bootstrap_result": 1}, ValueError, "must have attribute `bootstrap_distribution'"),
        ((X,), {"rng": 1, "random_state": 1}, TypeError, "multiple values"),
        ((X,), {"rng": "seed"}, TypeError, "SeedSequence"),
        ((X,), {"random_state": "seed"}, ValueError, "random_state must be None, an integer"),
        ((X,), {"rng": -1}, ValueError, r"`rng` must be None.*, got -1 \(expected non-negative"),
        ((X,), {"rng": 1.5}, TypeError, r"`rng` must be None.*, got 1\.5"),
        ((X,), {"random_state": -1}, ValueError, r"random_state must be from 0 .*, got -1"),
        ((X,), {"confidence_level": "x"}, ValueError, "confidence_level must be a number.*'x'"),
        ((X,), {"axis": "x"}, ValueError, "`axis` must be an integer, got 'x'"),
        ((X,), {"axis": None}, TypeError, "`axis` must be an integer, got None"),
        ((X,), {"axis": -2}, IndexError, "`axis` is -2, and the samples in `data` have 1 axes"),
        ((X,), {"n_resamples": None}, TypeError, "`n_resamples` must be a non-negative integer"),
        ((X,), {"batch": [3]}, TypeError, r"`batch` must be a positive integer or None, got \[3\]"),
        ((X,), {"alternative": None}, ValueError, "`alternative` must be one of.*got None"),
        ("abc", {}, ValueError, "`data` must be a sequence of samples, got str"),
        ({"x": X}, {}, ValueError, "`data` must be a sequence of samples, got dict"),
        (pd.DataFrame({"x": X}), {}, ValueError, "must be a sequence of samples, got DataFrame"),
        ((X.astype("M8[s]"),), {}, ValueError, r"data\[0\] must be numbers, got datetime64"),
        (
            (X.astype("m8[s]"),),
            {},
            ValueError,
            r"data\[0\] must be numbers, got timedelta64",
        ),
        (
            (sparse.csr_array(np.eye(3)),),
            {},
            ValueError,
            r"data\[0\] must be a dense array, got csr",
        ),
        (
            (X, np.ma.masked_less(X, 2)),
            {},
            ValueError,
            r"data\[1\] must have no masked values; got 2 of",
        ),
    ],
)
def test_arguments(data, options, error, message):
    with pytest.raises(error, match=message):
        fastkb.bootstrap(data, never, **options)


@pytest.mark.parametrize(
    ("statistic", "data", "error", "message"),
    [
        ("modus", (X,), ValueError, "statistic must be a function or one of mean, .* got 'modus'"),
        (None, (X,), TypeError, "statistic must be a function or a name, got None"),
        ("pearson", (X,), ValueError, "pearson takes 2 samples, and `data` has 1"),
        (np.mean, (X, X), ValueError, "mean takes 1 sample, and `data` has 2"),
        ("pearson", (X, X[:5]), ValueError, "same length, and those of `data` have 10 and 5"),
        (np.mean, ([1.0, np.nan, 3.0],), ValueError, r"data\[0\] contains 1 NaN.*nanmean"),
        (lambda x: 1 / 0, (X,), ValueError, "statistic failed on the data: ZeroDivisionError"),
        (lambda x: "high", (X,), ValueError, "statistic must return numbers, got array\\('high'"),
        (lambda x, axis: np.mean(x), (X,), ValueError, r"returned shape \(\) for 2 resamples"),
        (lambda x, axis: x, (X,), ValueError, r"returned shape \(2, 10\) for 2 resamples"),
    ],
)
def test_statistics(statistic, data, error, message):
    rng = np.random.default_rng(0)
    with pytest.raises(error, match=message):
        fastkb.bootstrap(data, statistic, rng=rng)
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state


@pytest.mark.parametrize("n_resamples", [2**70, 1e300, 10**13])
def test_resamples_that_no_memory_holds(n_resamples):
    message = f"`n_resamples`={int(n_resamples)} .* needs .* GB, and .* GB of memory are free"
    with pytest.raises(MemoryError, match=message):
        fastkb.bootstrap((X,), never, n_resamples=n_resamples)


def test_memory_is_that_of_all_statistics(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 10**9)
    many, data = 10**6, np.ones((100, 5)) * np.arange(5.0)
    message = r"of a statistic of shape \(100,\) needs 1\.6 GB, and 1\.0 GB of memory are free"
    with pytest.raises(MemoryError, match=message):
        fastkb.bootstrap((data,), never, axis=1, n_resamples=many)
    # What a function returns is known when it has been called once.
    with pytest.raises(MemoryError, match=r"of a statistic of shape \(200,\)"):
        fastkb.bootstrap((X,), lambda x: np.ones(200), n_resamples=many)


def test_a_result_of_other_data():
    first = fastkb.bootstrap(
        (np.ones((3, 5)) * np.arange(5),), np.mean, axis=1, n_resamples=9, rng=0
    )
    with pytest.raises(
        ValueError, match=r"`bootstrap_result` has a distribution of shape \(3, 9\)"
    ):
        fastkb.bootstrap((X,), np.mean, n_resamples=9, bootstrap_result=first)


def test_numbers_of_every_kind_are_accepted():
    for data in (
        np.arange(6, dtype=np.uint8),
        np.arange(6) > 2,
        X.astype(">f4"),
        X.astype(np.longdouble),
    ):
        result = fastkb.bootstrap((data,), np.mean, n_resamples=20, rng=0)
        assert np.isfinite(result.confidence_interval.low)
    assert (
        fastkb.bootstrap((X,), np.mean, n_resamples=10.0, rng=0).bootstrap_distribution.size == 10
    )


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"confidence_level": "x"},
            ValueError,
            "confidence_level must be .*could not convert.*'x'",
        ),
        ({"rng": -1}, ValueError, "`rng` must be.*got -1"),
        ({"rng": "x"}, TypeError, "`rng` must be.*got 'x'"),
        ({"rng": 1.5}, TypeError, "`rng` must be.*got 1.5"),
        ({"rng": [-1]}, ValueError, r"`rng` must be.*got \[-1\]"),
        ({"random_state": -1}, ValueError, "random_state must be from 0 to .*got -1"),
    ],
)
def test_what_numpy_would_refuse_is_named(options, error, message):
    with pytest.raises(error, match=message):
        fastkb.bootstrap(([1.0, 2.0, 3.0],), "mean", **options)
