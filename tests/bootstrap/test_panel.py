"""Intervals of many series: those of each series by itself, however they are held and drawn."""

import copy
import itertools

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb import bootstrap, bootstrap_panel, schemes
from fastkb.bootstrap import panel as module
from fastkb.random.streams import key_from_rng, keys_of_members
from fastkb.reference import bootstrap as reference
from fastkb.reference import streams
from fastkb.runtime.threads import n_threads

RANDOM = np.random.default_rng(5)
RAGGED = [RANDOM.normal(size=n).cumsum() for n in (12, 9, 12, 30, 9, 12, 17)]
WIDE = RANDOM.normal(size=(15, 6)).cumsum(axis=0)
SCHEMES = [
    None,
    schemes.MovingBlocks(4),
    schemes.MovingBlocks(),
    schemes.CircularBlocks(3),
    schemes.StationaryBlocks(2.5),
    schemes.StationaryBlocks(),
    schemes.MOutOfN(6),
    schemes.Subsampling(5),
    schemes.Bayesian(),
]
OPTIONS = {"n_resamples": 60, "rng": 3, "confidence_level": 0.9}


@numba.njit
def scaled(x):
    return x.mean() / (1 + x.std())


def third(x, axis=-1):
    return np.sort(x, axis=axis).take(2, axis=axis)


def ends(result):
    return np.array([*result.confidence_interval, result.standard_error, result.observed])


def methods(scheme, *others):
    exists = scheme is None or scheme.knows_bca
    return ["percentile", *(["BCa"] if exists else []), *others]


@pytest.mark.filterwarnings("ignore:The BCa confidence interval")
@pytest.mark.parametrize("scheme", SCHEMES, ids=repr)
@pytest.mark.parametrize(
    "statistic", [np.mean, np.std, np.median, np.ptp, "trimmed_mean", scaled, third]
)
def test_common_draws_are_those_of_each_series_by_itself(statistic, scheme):
    if isinstance(scheme, schemes.Bayesian) and statistic not in (np.mean, np.std, np.median):
        return
    for method in methods(scheme):
        options = {**OPTIONS, "scheme": scheme, "method": method}
        many = ends(bootstrap_panel((RAGGED,), statistic, common_draws=True, **options))
        for s, series in enumerate(RAGGED):
            alone = bootstrap((series,), statistic, **options)
            np.testing.assert_array_equal(many[:, s], ends(alone))


@pytest.mark.filterwarnings("ignore:The BCa confidence interval")
@pytest.mark.parametrize("scheme", SCHEMES, ids=repr)
@pytest.mark.parametrize("statistic", [np.var, np.median, scaled, third])
def test_own_draws_depend_on_the_place_alone(statistic, scheme, monkeypatch):
    """And not on other series, parts of the work, or threads."""
    if isinstance(scheme, schemes.Bayesian) and statistic not in (np.var, np.median):
        return
    for method in methods(scheme):
        options = {**OPTIONS, "scheme": scheme, "method": method}
        many = ends(bootstrap_panel((RAGGED,), statistic, **options))
        few = ends(bootstrap_panel((RAGGED[:3],), statistic, **options))
        np.testing.assert_array_equal(few, many[:, :3])
        with monkeypatch.context() as patch:
            patch.setattr(module, "_RESULTS", 1)
            np.testing.assert_array_equal(
                ends(bootstrap_panel((RAGGED,), statistic, **options)), many
            )
        before = n_threads()
        numba.set_num_threads(1)
        try:
            np.testing.assert_array_equal(
                ends(bootstrap_panel((RAGGED,), statistic, **options)), many
            )
        finally:
            numba.set_num_threads(before)


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(2, 40), min_size=1, max_size=5),
    n_resamples=st.integers(1, 70),
    offset=st.sampled_from([0.0, 1e8]),
    kind=st.sampled_from([np.float64, np.float32, np.int16]),
)
def test_own_draws_against_the_reference(lengths, n_resamples, offset, kind):
    random = np.random.default_rng(sum(lengths))
    panel = [(100 * random.normal(size=n) + offset % 3e4).astype(kind) for n in lengths]
    found = bootstrap_panel((panel,), np.mean, n_resamples=n_resamples, method="percentile", rng=8)
    key = key_from_rng(8)
    for s, series in enumerate(panel):
        (mine,) = keys_of_members(key, [s])
        rows = [[streams.bootstrap_indices(mine, b, len(series)) for b in range(n_resamples)]]
        drawn = reference.distribution([series], np.mean, rows)
        low, high = np.percentile(drawn, [2.5, 97.5])
        unit = 8 * np.finfo(np.float32 if kind == np.float32 else np.float64).eps
        size = np.abs(series).max().astype(float)
        assert abs(found.confidence_interval.low[s] - low) <= unit * size
        assert abs(found.confidence_interval.high[s] - high) <= unit * size


def test_series_with_draws_of_their_own_are_independent():
    same = [WIDE[:, 0]] * 300
    own = bootstrap_panel((same,), np.mean, n_resamples=30, method="percentile", rng=0)
    assert len(set(own.standard_error.tolist())) == 300
    common = bootstrap_panel(
        (same,), np.mean, n_resamples=30, method="percentile", rng=0, common_draws=True
    )
    assert len(set(common.standard_error.tolist())) == 1


@pytest.mark.parametrize("common", [False, True])
def test_every_form_of_the_same_data(common):
    options = {**OPTIONS, "common_draws": common, "method": "basic"}
    expected = ends(bootstrap_panel((WIDE,), np.std, **options))
    for data, axis in (
        (WIDE.T, 1),
        (list(WIDE.T), 0),
        (dict(enumerate(WIDE.T)), 0),
        (WIDE.reshape(15, 2, 3), 0),
        (np.moveaxis(WIDE.reshape(15, 2, 3), 0, 1), 1),
    ):
        found = bootstrap_panel((data,), np.std, axis=axis, **options)
        np.testing.assert_array_equal(ends(found).reshape(4, 6), expected)


def test_the_shape_is_that_of_the_series():
    found = bootstrap_panel((WIDE.reshape(15, 2, 3),), np.mean, **OPTIONS)
    assert found.confidence_interval.low.shape == found.observed.shape == (2, 3)
    single = bootstrap_panel((WIDE[:, 0],), np.mean, **OPTIONS)
    assert np.ndim(single.observed) == 0


@pytest.mark.parametrize("common", [False, True])
@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_two_samples(common, method):
    x, y = RAGGED, [series[::-1] + 1 for series in RAGGED]
    options = {**OPTIONS, "method": method, "common_draws": common}
    for statistic, paired in (("mean_difference", False), ("pearson", True), ("spearman", True)):
        found = ends(bootstrap_panel((x, y), statistic, paired=paired, **options))
        if common:
            for s in range(len(x)):
                del options["common_draws"]
                alone = bootstrap((x[s], y[s]), statistic, paired=paired, **options)
                options["common_draws"] = True
                np.testing.assert_array_equal(found[:, s], ends(alone))
        assert np.isfinite(found).all()
    # Samples that are not paired are drawn by themselves.
    difference = bootstrap_panel((x, x), "mean_difference", **options)
    assert (difference.standard_error > 0).all()


@pytest.mark.parametrize("common", [False, True])
def test_statistics_of_several_numbers(common):
    def both(x, axis):
        return np.stack([np.mean(x, axis=axis), np.max(x, axis=axis)])

    options = {**OPTIONS, "common_draws": common, "method": "percentile"}
    found = bootstrap_panel((RAGGED,), both, **options)
    assert found.observed.shape == (2, 7)
    largest = bootstrap_panel((RAGGED,), np.max, **options)
    np.testing.assert_array_equal(ends(found)[:, 1], ends(largest))


@pytest.mark.parametrize("common", [False, True])
@pytest.mark.parametrize("error", ["std", None])
def test_studentized_intervals(common, error):
    options = {**OPTIONS, "method": "studentized", "standard_error": error}
    found = ends(bootstrap_panel((RAGGED,), np.mean, common_draws=common, **options))
    assert np.isfinite(found).all()
    if common:
        np.testing.assert_array_equal(
            found[:, 3], ends(bootstrap((RAGGED[3],), np.mean, **options))
        )


@pytest.mark.parametrize("common", [False, True])
def test_a_scheme_for_each_series(common):
    fits = [np.full(len(x), x.mean()) for x in RAGGED]
    each = [schemes.Wild(fitted) for fitted in fits]
    options = {**OPTIONS, "method": "percentile"}
    found = bootstrap_panel((RAGGED,), np.mean, scheme=each, common_draws=common, **options)
    assert len(found.schemes) == 7
    if common:
        alone = bootstrap((RAGGED[3],), np.mean, scheme=each[3], **options)
        np.testing.assert_array_equal(ends(found)[:, 3], ends(alone))
    else:
        sizes = [np.sqrt((x - x.mean()) @ (x - x.mean())) / len(x) for x in RAGGED]
        np.testing.assert_allclose(found.standard_error, sizes, rtol=0.5)


def test_automatic_lengths_are_those_of_each_series():
    found = bootstrap_panel((RAGGED,), np.mean, scheme=schemes.StationaryBlocks(), **OPTIONS)
    lengths = [max(1.0, schemes.optimal_block_length(x)[0]) for x in RAGGED]
    assert [scheme.length for scheme in found.schemes] == lengths


def test_a_generator_moves_on_and_seeds_repeat():
    for common in (False, True):
        options = {**OPTIONS, "method": "percentile", "common_draws": common}
        rng = np.random.default_rng(1)
        twin = copy.deepcopy(rng)
        first = ends(bootstrap_panel((RAGGED,), np.mean, **{**options, "rng": rng}))
        second = ends(bootstrap_panel((RAGGED,), np.mean, **{**options, "rng": rng}))
        assert (first[0] != second[0]).all()
        np.testing.assert_array_equal(
            ends(bootstrap_panel((RAGGED,), np.mean, **{**options, "rng": twin})), first
        )
        fresh = bootstrap_panel((RAGGED[:1] * 2,), np.mean, **{**options, "rng": None})
        assert (len(set(fresh.standard_error.tolist())) == 1) is common


@pytest.mark.parametrize("common", [False, True])
@pytest.mark.parametrize("statistic", [np.mean, third])
def test_progress_counts_the_resamples_of_all_series(common, statistic):
    told = []
    bootstrap_panel(
        (RAGGED,), statistic, common_draws=common, progress=lambda *a: told.append(a), **OPTIONS
    )
    assert told[0] == ("resamples", 0, 7 * 60)
    assert told[-1] == ("resamples", 7 * 60, 7 * 60)
    assert all(a[1] <= b[1] for a, b in itertools.pairwise(told))


def test_infinity_stays_in_its_series():
    data = [RAGGED[0], np.append(RAGGED[1], np.inf)]
    with np.errstate(all="ignore"):
        found = bootstrap_panel((data,), np.median, method="percentile", n_resamples=50, rng=0)
    assert np.isfinite(found.standard_error[0])
    clean = bootstrap_panel((RAGGED[:1],), np.median, method="percentile", n_resamples=50, rng=0)
    np.testing.assert_array_equal(ends(found)[:, 0], ends(clean)[:, 0])


def test_a_series_without_a_bca_interval_is_counted():
    data = [RAGGED[0], np.ones(8)]
    with pytest.warns(Warning, match="There is none for 1 of 2"):
        found = bootstrap_panel((data,), np.mean, **OPTIONS)
    assert np.isnan(found.confidence_interval.low).tolist() == [False, True]


def test_types_stay_and_mixed_ones_meet():
    single = [x.astype(np.float32) for x in RAGGED]
    assert bootstrap_panel((single,), np.mean, **OPTIONS).observed.dtype == np.float32
    mixed = [*single[:2], *RAGGED[2:]]
    assert bootstrap_panel((mixed,), np.mean, **OPTIONS).observed.dtype == np.float64


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"statistic": "mode"}, ValueError, "statistic must be a function or one of"),
        ({"statistic": "pearson"}, ValueError, "takes 2 samples, and `data` has 1"),
        ({"n_resamples": 0}, ValueError, "n_resamples"),
        ({"n_resamples": 2**61}, MemoryError, "n_resamples"),
        ({"common_draws": 1}, TypeError, "common_draws must be True or False, got 1"),
        ({"rng": -1}, ValueError, "rng must not be negative, got -1"),
        ({"confidence_level": 2}, ValueError, "confidence_level"),
        ({"scheme": schemes.MovingBlocks}, TypeError, "scheme must be None or one of"),
        ({"scheme": [None] * 7}, TypeError, "for each series, got None"),
        ({"scheme": [schemes.MOutOfN(3)] * 2}, ValueError, "one for each of the 7, got 2"),
        ({"scheme": schemes.MovingBlocks(9)}, ValueError, "below the number of observations, 9"),
        ({"scheme": schemes.Bayesian()}, ValueError, "method='BCa' is not valid with Bayesian"),
        ({"scheme": schemes.Stratified([0, 1])}, ValueError, "one for each of the 12"),
        ({"progress": 3}, TypeError, "progress"),
        ({"data": RAGGED}, ValueError, "takes 1 sample, and `data` has 7"),
        (
            {"data": ([*RAGGED[:2], [1.0, np.nan]],)},
            ValueError,
            "series 2 in `data` contains 1 NaN",
        ),
    ],
)
def test_what_is_refused_before_any_work(options, error, message, monkeypatch):
    def no_work(*_, **__):
        raise AssertionError

    monkeypatch.setattr(module, "resampled_members", no_work)
    with pytest.raises(error, match=message):
        bootstrap_panel(**{"data": (RAGGED,), "statistic": np.mean, **options})


def test_a_statistic_that_changes_its_shape():
    def first(x):
        return x[: 1 + (len(x) > 10)]

    with pytest.raises(ValueError, match=r"shape \(1,\) for series 1, and shape \(2,\) before"):
        bootstrap_panel((RAGGED,), first, method="percentile", **{**OPTIONS, "n_resamples": 3})
