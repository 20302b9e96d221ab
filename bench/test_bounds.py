"""What a machine needs at least, from made-up and from measured ceilings."""

import math

import numpy as np
import pytest

import bench.ceilings
from bench import bounds, registry
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
    n, q, r = 1000, 200, 20
    u = n * (1 - np.exp(-1))
    cholesky = u**3 / 3 + 2 * u**2 + 2 * q * u
    lowrank = u * r**2 + 2 * u * r + r**3 / 3 + 2 * r**2 + 2 * q * r
    for rank, n_exact, expected in (
        (None, 0, 50 * cholesky),
        (r, 0, 50 * lowrank + (n + q) * r**2),
        (r, 5, 5 * cholesky + 45 * lowrank + (n + q) * r**2),
    ):
        figures = bounds.BandFigures(50, "some", rank, n_exact)
        assert bounds.band_bound(n, q, figures, 1.0).seconds == pytest.approx(expected)


@pytest.mark.slow
def test_every_ceiling_that_a_work_asks_for_is_measured(monkeypatch):
    for name, small in (("SIDE", 256), ("GEMM_SIDE", 128), ("ROUNDS", 1), ("SECONDS", 1e-4)):
        monkeypatch.setattr(bench.ceilings, name, small)
    measured = bench.ceilings.measure()
    assert measured.write_existing > 0
    assert measured.write_fresh > 0
    for work in registry.works():
        facts = bounds.BandFigures(10, "lowrank", 5, 0)
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
    assert Gram("rbf", 10, 1).bound(c, None).seconds == 100 * 8 / 0.5
    assert Gram("rbf", 10, 1, out=True).bound(c, None).seconds == 100 * 8 / 1.0
