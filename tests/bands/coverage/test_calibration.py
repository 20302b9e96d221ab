import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb import reference
from fastkb.bands.coverage.calibration import Wild, calibrate
from fastkb.bands.coverage.candidates import LOUDEST, Candidates
from fastkb.bands.coverage.own_fit import ChosenFit
from fastkb.bands.coverage.spectrum import from_matrix
from fastkb.bands.coverage.study import in_threads
from fastkb.random.streams import key_from_rng
from fastkb.reference import confidence as plain

ALPHAS = np.array([0.01, 0.3, 10.0])
EVERYWHERE = np.ones(7, bool)


def kernels_of(seed, n=25, m=7, widths=(2.0, 0.7, 0.2)):
    """Kernels of some widths on random points, the widest first."""
    rng = np.random.default_rng(seed)
    x, at = np.sort(rng.uniform(0, 3, n)), np.linspace(-0.2, 3.2, m)
    y = np.sin(2 * x) + 0.3 * rng.standard_normal(n)
    kernels = []
    for width in widths:
        kernels.append(
            [np.exp(-(np.subtract.outer(a, b) ** 2) / (2 * width**2)) for a, b in ((x, x), (at, x))]
        )
    return x, y, kernels


class Everything(Candidates):
    """Candidates of which none is left out, however improbable: so both sides average the same ones."""

    def posterior(self, projected, negligible=0.0):
        return super().posterior(projected, 0.0)


def candidates_of(kernels, cls=Candidates, constant=0.0):
    spectra = [from_matrix(K.copy(), cross, np.ones(len(cross)), True) for K, cross in kernels]
    candidates = cls(spectra, ALPHAS, np.ones((len(kernels), len(ALPHAS))))
    if constant > 0.0:
        candidates = candidates.with_constant(constant)
    own = np.arange(len(candidates.spectra))[:, None] < len(kernels)
    allowed = np.broadcast_to(own, candidates.prior.shape)
    return candidates, ChosenFit(candidates, allowed, "reml", False)


def in_reference(kernels, constant=0.0):
    found = [
        plain.Candidate(K, cross, np.ones(len(cross)), alpha)
        for K, cross in kernels
        for alpha in ALPHAS[::-1]
    ]
    if constant > 0.0:
        K, cross = (np.zeros_like(part) for part in kernels[0])
        found.append(plain.Candidate(K, cross, np.zeros(len(cross)), 1.0, constant, False))
    return found


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    n=st.integers(6, 40),
    offset=st.sampled_from([0.0, 1e6]),
    constant=st.sampled_from([0.0, 0.5, 20.0]),
)
def test_the_bootstrap_is_the_references(seed, n, offset, constant):
    _, y, kernels = kernels_of(seed, n)
    y = y + offset
    key = key_from_rng(seed)
    candidates, own = candidates_of(kernels, Everything, constant)
    result = calibrate(candidates, own, y[:, None], key, 5, EVERYWHERE)
    signs = Wild(np.zeros((n, 1)), np.ones((n, 1)), key).draw(0, 5).T
    assert set(np.unique(signs)) <= {-1.0, 1.0}
    look, statistic, curves = plain.statistics(
        in_reference(kernels, constant), y, signs, 0.0, LOUDEST
    )
    scale = 1e-7 * (1 + 1e-3 * offset)
    np.testing.assert_allclose(result.center[:, 0], look.own, atol=scale)
    np.testing.assert_allclose(result.spread[:, 0], look.spread, rtol=1e-5, atol=scale)
    np.testing.assert_allclose(result.statistic[:, :, 0], statistic, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(result.distribution[:, :, 0], curves, atol=scale)


def test_results_are_the_same_on_any_number_of_threads_and_however_cut(monkeypatch):
    _, y, kernels = kernels_of(0)
    targets = np.stack([y, np.cos(y)], axis=1)
    candidates, own = candidates_of(kernels)
    key = key_from_rng(3)
    alone = calibrate(candidates, own, targets, key, 20, EVERYWHERE)
    with in_threads() as mapping:
        shared = calibrate(candidates, own, targets, key, 20, EVERYWHERE, mapping)
    for one, other in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(one, other)
    monkeypatch.setattr("fastkb.bands.coverage.calibration._TOGETHER", 7)
    cut = calibrate(candidates, own, targets, key, 20, EVERYWHERE)
    np.testing.assert_allclose(cut.statistic, alone.statistic, rtol=1e-8)
    fewer = calibrate(candidates, own, targets, key, 7, EVERYWHERE)
    np.testing.assert_array_equal(fewer.statistic, cut.statistic[:7])


def test_targets_are_computed_side_by_side():
    """With a penalty of its own for each of them, as each by itself."""
    _, y, kernels = kernels_of(1, widths=(0.7,))
    targets = np.stack([y, np.cos(3 * y), y**2], axis=1)
    candidates, _ = candidates_of(kernels)
    own = ChosenFit(candidates, candidates.prior > 0, "reml", True)
    key = key_from_rng(5)
    together = calibrate(candidates, own, targets, key, 9, EVERYWHERE)
    for t in range(3):
        alone = calibrate(candidates, own, targets[:, [t]], key, 9, EVERYWHERE)
        np.testing.assert_allclose(together.center[:, [t]], alone.center, atol=1e-12)
        np.testing.assert_allclose(together.statistic[:, :, [t]], alone.statistic, rtol=1e-6)


def test_a_constant_response_has_a_band_of_no_width():
    _, y, kernels = kernels_of(2)
    candidates, own = candidates_of(kernels)
    result = calibrate(candidates, own, np.full((len(y), 1), 4.0), key_from_rng(0), 5, EVERYWHERE)
    np.testing.assert_allclose(result.center, 4.0)
    assert (result.statistic == 0).all()
    np.testing.assert_allclose(result.spread * result.widths.simultaneous(0.9), 0.0, atol=1e-12)


def test_the_wider_of_two_levels_and_of_two_claims():
    _, y, kernels = kernels_of(3)
    candidates, own = candidates_of(kernels)
    among = np.arange(candidates.m) < 3
    result = calibrate(candidates, own, y[:, None], key_from_rng(0), 200, among)
    widths = result.widths
    assert widths.at_points.shape == (200, 3, 1)
    assert widths.pointwise(0.5, 0.75) < widths.pointwise(0.9, 0.75)
    assert widths.pointwise(0.9, 0.5) <= widths.pointwise(0.9, 0.9) < widths.simultaneous(0.9)


def test_progress_is_told():
    _, y, kernels = kernels_of(4)
    candidates, own = candidates_of(kernels)
    told = []
    calibrate(candidates, own, y[:, None], key_from_rng(0), 11, EVERYWHERE, advance=told.append)
    assert sum(told) == 11


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_the_jackknife_of_the_reference_is_monotone(level):
    """The oracle itself: more level, more width."""
    _, y, kernels = kernels_of(5, n=12)
    K, cross = kernels[0]
    low, high = reference.confidence.jackknife_plus(K, cross, y, 0.1, level)
    assert (low <= high).all()
