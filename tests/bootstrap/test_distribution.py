"""From a statistic and resamples to an interval: several series, each with draws of its own."""

import warnings

import numpy as np
import pytest

from fastkb import bootstrap, schemes
from fastkb.bootstrap.bootstrap_result import ConfidenceInterval
from fastkb.bootstrap.checks import Request, Samples
from fastkb.bootstrap.distribution import (
    Estimate,
    resampled,
    resampled_members,
    warn_of_no_interval,
)
from fastkb.bootstrap.evaluate.statistics import recognise
from fastkb.random.streams import key_from_rng, keys_of_members
from fastkb.resample.row_schemes import SingleRows
from fastkb.runtime.progress import part_of

X = np.random.default_rng(0).normal(size=(3, 12)).cumsum(axis=1)
REQUEST = Request(True, False, 0.9, "two-sided", 40, None, "percentile", None)


def spread(x, axis=-1):
    return np.ptp(x, axis=axis)


@pytest.mark.parametrize("statistic", [np.mean, np.median, spread])
@pytest.mark.parametrize(
    "scheme", [SingleRows(), schemes.MovingBlocks(3), schemes.MOutOfN(5), schemes.Bayesian()]
)
def test_members_are_series_with_keys_of_their_own(statistic, scheme):
    if isinstance(scheme, schemes.Bayesian) and statistic is spread:
        statistic = np.std
    estimate = Estimate(statistic, recognise(statistic), None, REQUEST)
    keys = keys_of_members(key_from_rng(1), range(5, 5 + 3))
    prepared = scheme.prepare((X[0],), False)
    told = []
    found = resampled_members(estimate, Samples((X,), True), prepared, keys, told.append)
    assert sum(told) == 3 * 40
    for s, key in enumerate(keys):
        one = Samples((X[s],), True)
        alone = resampled(estimate, one, prepared, key, part_of(lambda n: None))
        assert alone.observed == found.observed[s]
        assert alone.standard_error == found.standard_error[s]
        assert alone.confidence_interval.low == found.confidence_interval.low[s]
        assert alone.confidence_interval.high == found.confidence_interval.high[s]


def test_a_warning_counts_the_series_without_an_interval():
    with pytest.warns(Warning, match=r"degenerate.*There is none for 2 of 3"):
        warn_of_no_interval(ConfidenceInterval(np.array([np.nan, 1, 2]), np.array([3, 4, np.nan])))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_no_interval(ConfidenceInterval(1.0, np.inf))


def test_rows_from_a_key_are_no_scheme_of_the_users():
    estimate = Estimate(np.mean, recognise(np.mean), None, REQUEST._replace(method="bca"))
    prepared = SingleRows().prepare((X[0],), False)
    key = key_from_rng(1)
    found = resampled(estimate, Samples((X[0],), True), prepared, key, part_of(lambda n: None))
    assert found.scheme is None
    again = bootstrap((X[0],), np.mean, n_resamples=0, bootstrap_result=found, confidence_level=0.9)
    assert again.confidence_interval == found.confidence_interval
