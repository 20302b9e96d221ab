"""Results are called equal when they are, and not when they are not."""

import math

import numpy as np
import pytest

from bench import agreement
from bench.band import Band
from bench.bootstrap import STATISTICS, Interval
from bench.gram import Gram
from bench.kinds import Prediction, Searched
from bench.rivals import (
    ARCH,
    GAUSSIAN_PROCESS,
    REFIT,
    SCIPY,
    SCIPY_BATCH,
    joblib_refit,
    refit_chunk,
    stop_processes,
)
from bench.work import Absent

KERNELS = ("linear", "polynomial", "sigmoid", "rbf", "laplacian", *GAUSSIAN_PROCESS)
SMALL_BAND = Band(
    n=60, d=1, sigma=0.2, alpha=1e-2, timed_refits=4, n_resamples=12, n_eval=7, processes=1
)


@pytest.mark.parametrize("two", [False, True], ids=["X", "XY"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_all_rivals_agree_and_a_wrong_result_does_not(kernel, dtype, two):
    work = Gram(kernel, n=60, d=1 if kernel == "periodic" else 7, dtype=dtype, two=two)
    ours = work.fastkb().call()
    for name in work.rivals:
        rival = work.rival(name)
        if isinstance(rival, Absent):
            continue
        theirs = np.asarray(rival.call())
        if theirs.dtype != ours.dtype:  # scikit-learn's distances are float64: another work
            assert work.disagreement(ours, theirs) == math.inf
            continue
        assert work.disagreement(ours, theirs) <= 1.0, name
        # Ten tolerances off in one entry, another dtype, another shape, NaN: none may pass.
        X, Y = work.data
        allowed = agreement.gram_tolerance(work.parameters, ours, X, X if Y is None else Y)
        wrong = theirs.copy()
        wrong[3, 5] = ours[3, 5] + 10 * allowed[3, 5]
        assert work.disagreement(ours, wrong) == pytest.approx(10, rel=0.1)
        wrong[3, 5] = np.nan
        assert work.disagreement(ours, wrong) == math.inf
        assert work.disagreement(ours, theirs[:-1]) == math.inf
        assert work.disagreement(ours, theirs.astype(np.float16)) == math.inf


def test_an_infinite_result_never_agrees():
    ours = np.full((2, 2), np.inf)
    X = np.ones((2, 3))
    p = agreement.GramParameters("linear", gamma=1.0)
    assert agreement.gram_disagreement(p, ours, ours, X, X) == math.inf


def test_rival_bands_are_refits_on_fastkbs_own_resamples():
    rows = SMALL_BAND.resampled_rows()
    assert rows.shape == (4, 60)
    theirs = SMALL_BAND.rival(REFIT).call()
    X, y, X_eval = SMALL_BAND.data
    plain = refit_chunk(X, y, X_eval, SMALL_BAND.alpha, SMALL_BAND.gamma, rows)
    np.testing.assert_array_equal(theirs, plain)


def test_the_band_agrees_with_refits_and_not_with_others():
    ours = SMALL_BAND.fastkb().call()
    for name in SMALL_BAND.rivals:
        assert SMALL_BAND.disagreement(ours, SMALL_BAND.rival(name).call()) <= 1.0, name
    theirs = SMALL_BAND.rival(REFIT).call()
    assert SMALL_BAND.disagreement(ours, theirs[::-1]) > 1.0
    assert SMALL_BAND.disagreement(ours, theirs * np.nan) == math.inf


def test_processes_change_no_prediction():
    rows = SMALL_BAND.resampled_rows()
    arguments = (tuple(SMALL_BAND.data), rows, SMALL_BAND.alpha, SMALL_BAND.gamma)
    try:
        np.testing.assert_array_equal(joblib_refit(*arguments, 1)(), joblib_refit(*arguments, 2)())
    finally:
        stop_processes()


@pytest.mark.parametrize("method", ["percentile", "BCa"])
@pytest.mark.parametrize("statistic", STATISTICS)
def test_intervals_of_all_rivals_agree_and_others_do_not(statistic, method):
    work = Interval(statistic, 60, method, n_resamples=300)
    ours = work.fastkb().call()
    for name in (SCIPY, SCIPY_BATCH, ARCH):
        rival = work.rival(name)
        if isinstance(rival, Absent):
            continue
        theirs = rival.call()
        assert work.disagreement(ours, theirs) <= 1.0, name
        width = theirs.ends.ravel()[-1] - theirs.ends.ravel()[0]
        for wrong in (theirs.ends + 0.6 * abs(width), theirs.ends * np.nan, theirs.ends[:1]):
            assert work.disagreement(ours, theirs._replace(ends=wrong)) > 1.0, name
        if theirs.distribution is not None:
            for distribution in (theirs.distribution * (1 + 1e-11), theirs.distribution[..., :-1]):
                wrong = theirs._replace(distribution=distribution)
                assert work.disagreement(ours, wrong) > 1.0


@pytest.mark.parametrize("statistic", ["mean", "std", "median"])
def test_a_part_of_an_interval_is_the_first_of_its_numbers(statistic):
    work = Interval(statistic, 205, "BCa", n_resamples=100, scipy_part=2)
    ours = work.fastkb().call()
    for name in (SCIPY, SCIPY_BATCH):
        rival = work.rival(name)
        assert (rival.scale, rival.part) == (
            2,
            "50 of 100 resamples and 103 of 205 rows of the jackknife",
        )
        theirs = rival.call()
        assert (len(theirs.distribution), theirs.ends) == (50, None)
        assert len(theirs.jackknife) >= 103
        assert work.disagreement(ours, theirs) <= 1.0
        for wrong in (
            {"jackknife": theirs.jackknife[::-1]},
            {"distribution": ours.bootstrap_distribution[50:]},
        ):
            assert work.disagreement(ours, theirs._replace(**wrong)) > 1.0


def test_a_part_of_archs_resamples_is_scaled():
    rival = Interval("mean", 60, n_resamples=300, arch_part=10).rival(ARCH)
    if isinstance(rival, Absent):
        pytest.skip(rival.reason)
    assert (rival.scale, rival.part) == (10, "30 of 300 resamples")
    assert rival.call().n_resamples == 30


def test_ends_from_other_resamples_may_stray_by_some_deviations_of_their_level():
    ordered = np.arange(1000.0)
    ours = np.array([25.0, 975.0])
    deviation = 1000 * math.sqrt(0.025 * 0.975 * 2 / 1000)
    for shift, expected in ((0.0, 0.0), (deviation, 0.2), (6 * deviation, 1.2)):
        found = agreement.drawn_interval_disagreement(ordered, ours, ours + shift, 1000, False)
        assert found == pytest.approx(expected, abs=0.05)
        assert (
            agreement.drawn_interval_disagreement(ordered, ours, ours + shift, 1000, True) <= found
        )
    # All replicates tie: every level is that of the one value there is.
    end = np.ones(2)
    assert agreement.drawn_interval_disagreement(np.ones(9), end, end, 1000, False) == 0.0


@pytest.mark.parametrize(
    "work",
    [
        Searched(n=50, timed_refits=2, n_resamples=3, processes=1),
        Prediction(n=30, processes=1),
    ],
    ids=lambda work: work.name,
)
def test_other_kinds_of_band_agree_and_a_wrong_one_does_not(work):
    ours = work.fastkb().call()
    rival = work.rival(REFIT)
    theirs = rival.call()
    stop_processes()
    assert work.disagreement(ours, theirs) <= 1.0
    assert work.disagreement(ours, theirs * 1.001) > 10.0
    assert work.bound(Ceilings(), work.facts(ours)).seconds > 0.0


class Ceilings:
    def flop_rate(self, dtype, what):
        return 1e11
