"""What a machine needs at least, from made-up and from measured ceilings."""

import math

import numpy as np
import pytest

import bench.ceilings
from bench import bounds, registry
from bench.bootstrap import Interval
from bench.gram import Gram


@pytest.mark.parametrize(
    ("rates", "limit", "seconds"),
    [
        ((1.0, 1e-9, 1e12), "write", 100 * 8),
        ((1e12, 1.0, 1e12), "epilogue", 55),
        ((1e12, 1e-9, 1.0), "multiply", 55 * 2 * 3),
    ],
)
def test_the_slowest_part_bounds_a_gram_matrix_and_symmetry_halves_all_but_the_write(
    rates, limit, seconds
):
    symmetric = bounds.gram_bound((10, 10, 3), True, 8, *rates)
    assert (symmetric.limit, symmetric.seconds) == (limit, seconds)
    whole = bounds.gram_bound((10, 10, 3), False, 8, *rates)
    assert whole.seconds == seconds * (1 if limit == "write" else 100 / 55)


def test_band_flops_of_each_solver():
    n, q = 1000, 200
    u = n * (1 - np.exp(-1))
    cholesky = u**3 / 3 + 2 * u**2 + 2 * q * u
    exact = bounds.BandFigures(50, "cholesky", 0)
    assert bounds.band_bound(n, q, exact, 1.0).seconds == pytest.approx(50 * cholesky)

    # Every direction far above the penalty: all are factorised. Three of twenty: the rest takes one
    # step of conjugate gradients, and a replicate without a certificate a factorisation.
    all_strong = u * 400 + 8000 / 3 + 2 * 400 + 2 * u * 20 + 2 * q * 20
    three_strong = u * 9 + 9 + 2 * 9 * 2 + 4 * u * 20 + 2 * u * 20 + 2 * q * 20
    for ratios, n_exact, expected in (
        ((1e9,) * 20, 0, 50 * all_strong),
        ((1e9,) * 3 + (1e-14,) * 17, 0, 50 * three_strong),
        ((1e9,) * 3 + (1e-14,) * 17, 5, 45 * three_strong + 5 * cholesky),
    ):
        figures = bounds.BandFigures(50, "lowrank", n_exact, ratios)
        found = bounds.band_bound(n, q, figures, 2.0)
        assert found.seconds == pytest.approx(expected / 2.0)
        assert found.limit == "lowrank, rank 20"


def test_indices_are_drawn_once_and_values_gathered_from_each_sample():
    bound = bounds.interval_bound(1000, 2, draw=3.0, gather=0.5)
    assert bound == (4000.0, "draw, gather", {"draw": 3000.0, "gather": 1000.0})


def test_conjugate_gradients_take_more_steps_the_worse_the_condition():
    steps = [bounds.conjugate_gradient_steps(r) for r in (0.0, 1e-14, 1e-3, 0.1, 1.0, 100.0)]
    assert steps[0] == steps[1] == 1
    assert steps == sorted(steps)
    # sqrt(κ)/2·ln(2/ε) is the usual bound
    assert steps[-1] <= math.ceil(math.sqrt(101) / 2 * math.log(2 / bounds.CG_ACCURACY))


@pytest.mark.slow
def test_every_ceiling_that_a_work_asks_for_is_measured(monkeypatch):
    for name, small in (("SIDE", 256), ("GEMM_SIDE", 128), ("ROUNDS", 1), ("SECONDS", 1e-4)):
        monkeypatch.setattr(bench.ceilings, name, small)
    monkeypatch.setattr(bench.ceilings, "DRAWN", (2**12,))
    measured = bench.ceilings.measure()
    assert measured.write_existing > 0
    assert measured.write_fresh > 0
    for work in registry.works():
        facts = bounds.BandFigures(10, "lowrank", 0, (1e9, 1.0))
        assert 0 < work.bound(measured, facts).seconds < math.inf


def test_the_better_of_two_measurements_counts(ceilings):
    assert ceilings(1.0).best_with(ceilings(2.0)) == ceilings(2.0)
    assert ceilings(2.0).best_with(ceilings(1.0)) == ceilings(2.0)


def test_works_find_their_ceilings(ceilings):
    c = ceilings(1.0)
    assert c.flop_rate("float64", "gemm") == 2.0
    assert c.epilogue("linear", "float64") == 0.0
    rbf, laplacian = Gram("rbf", 10, 1000), Gram("laplacian", 10, 1000)
    assert laplacian.bound(c, None).seconds == 8 * rbf.bound(c, None).seconds
    assert Gram("rbf", 10, 1).bound(c, None).seconds == 100 * 8 / 1.0
    for statistic, samples in (("mean", 1), ("pearsonr", 2)):
        interval = Interval(statistic, 10, n_resamples=7)
        assert interval.bound(c, None).seconds == 7 * 10 * (1.0 + 2.0 * samples)
    assert Gram("rbf", 10, 1, fresh=True).bound(c, None).seconds == 100 * 8 / 0.5


def test_a_step_of_training_is_three_products_a_layer_but_two_in_the_first():
    bound = bounds.step_bound((10, 64, 1), 8, flop_rate=1e9)
    assert bound.parts["flops"] == 2 * 8 * (2 * 10 * 64 + 3 * 64)
    assert bound.seconds == bound.parts["flops"] / 1e9


def test_a_prediction_is_one_product_a_layer():
    bound = bounds.forward_bound((10, 64, 1), 8, flop_rate=1e9)
    assert bound.parts["flops"] == 2 * 8 * (10 * 64 + 64)
    assert bound.seconds == bound.parts["flops"] / 1e9
