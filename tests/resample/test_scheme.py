"""What all schemes share: blocks that cover every replicate once, and how they are shown."""

import numba
import numpy as np
import pytest

from fastkb import schemes
from fastkb.random.streams import key_from_rng
from fastkb.resample.scheme import equal_blocks, rows_together

X = np.arange(6.0)


@pytest.mark.parametrize(
    ("n_resamples", "together"), [(0, 3), (1, 3), (9, 3), (10, 3), (5, 1), (4, 99)]
)
def test_equal_blocks_cover_every_replicate_once(n_resamples, together):
    def draw(first, count):
        return [np.arange(first, first + count)]

    blocks = list(equal_blocks(draw, n_resamples, together))
    covered = [b for block in blocks for b in np.arange(n_resamples)[block.places]]
    drawn = [b for block in blocks for b in block.rows[0]]
    assert covered == drawn == list(range(n_resamples))
    assert all(0 < len(block.rows[0]) <= together for block in blocks)
    assert all(len(block.rows[0]) == together for block in blocks[:-1])


@pytest.mark.parametrize("each", [0, 1, 7, 1000, 10**9])
@pytest.mark.parametrize("largest", [1, 1000, 2**18])
def test_rows_are_shared_equally_by_threads(largest, each):
    before = numba.get_num_threads()
    try:
        for threads in {1, before}:
            numba.set_num_threads(threads)
            rows = rows_together(largest, each)
            assert rows > 0
            assert rows % threads == 0
            assert rows == threads or rows * each <= largest
    finally:
        numba.set_num_threads(before)


@pytest.mark.parametrize(
    "scheme",
    [schemes.Bayesian(), schemes.Residual(X), schemes.Wild(X), schemes.MovingBlocks(2)],
    ids=lambda scheme: type(scheme).__name__,
)
@pytest.mark.parametrize(("n_resamples", "largest"), [(0, 10), (1, 1), (23, 20), (23, 10**6)])
def test_blocks_of_a_scheme_cover_every_replicate_once(scheme, n_resamples, largest):
    prepared = scheme.prepare([X**2], False)
    covered = []
    for block in prepared.blocks(key_from_rng(0), n_resamples, largest):
        places = np.arange(n_resamples)[block.places]
        assert block.rows[0].shape == (len(places), 6)
        covered += places.tolist()
    assert sorted(covered) == list(range(n_resamples))


@pytest.mark.parametrize(
    ("scheme", "text"),
    [
        (schemes.Bayesian(), "Bayesian()"),
        (schemes.Residual(), "Residual()"),
        (schemes.Residual(X, leverage=X / 6), "Residual(fitted=…, leverage=…)"),
        (schemes.Wild(), "Wild(distribution=rademacher)"),
        (
            schemes.Wild(X, distribution="mammen", labels=X),
            "Wild(fitted=…, distribution=mammen, labels=…)",
        ),
    ],
)
def test_arrays_are_not_spelt_out(scheme, text):
    assert repr(scheme) == text


def test_prepared_schemes_show_the_same():
    for scheme in (schemes.Bayesian(), schemes.Residual(X), schemes.Wild(X, labels=X)):
        assert repr(scheme.prepare([X**2], False)) == repr(scheme)


def test_weights_and_responses_have_no_jackknife():
    for scheme in (schemes.Bayesian(), schemes.Residual(X), schemes.Wild(X)):
        prepared = scheme.prepare([X**2], False)
        assert prepared.scale() == 1.0
        assert not prepared.knows_bca
        with pytest.raises(TypeError, match=f"{type(scheme).__name__} has no jackknife"):
            prepared.left_out()
