"""Resamples of many series, each from its own key: the same as those of each key by itself."""

import numpy as np
import pytest

from fastkb import schemes
from fastkb.random.streams import key_from_rng, keys_of_members
from fastkb.resample.members import member_blocks
from fastkb.resample.row_schemes import RunScheme, SingleRows

KEY = key_from_rng(3)
N, SERIES, RESAMPLES = 9, 5, 7


class Pairs(schemes.IndexScheme):
    """Neighbours, and as many of them as the first number says: rows differ in length."""

    def prepare(self, samples, paired, axis=-1):
        prepared = Pairs()
        prepared.n = samples[0].shape[-1]
        return prepared

    def bounds(self):
        return np.array([3, self.n, self.n])

    def rows(self, drawn):
        return [row[1:][: 1 + row[0] % 2] for row in drawn]


SCHEMES = [
    SingleRows(),
    schemes.MovingBlocks(4),
    schemes.StationaryBlocks(2.5),
    schemes.Clusters([0, 0, 1, 2, 2, 2, 0, 1, 3]),
    schemes.Stratified([0, 0, 1, 2, 2, 2, 0, 1, 1]),
    schemes.Subsampling(4),
    Pairs(),
]


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: type(scheme).__name__)
@pytest.mark.parametrize("largest", [1, 20, 100, 10**6])
def test_every_series_has_what_its_own_key_draws(scheme, largest):
    prepared = scheme.prepare([np.zeros(N)], False)
    keys = keys_of_members(KEY, range(2, 2 + SERIES))
    expected = np.zeros((SERIES, RESAMPLES))
    for s, key in enumerate(keys):
        for block in prepared.blocks(key, RESAMPLES, 10**6):
            expected[s, block.places] = digest(block.rows[0])
    got = np.full((2, SERIES, RESAMPLES), np.nan)
    for block in member_blocks(prepared, keys, RESAMPLES, largest, False):
        values = digest(block.rows[0])
        of = block.of()
        assert len(of) == len(values)
        block.store(np.stack([values, of]), got)
    np.testing.assert_array_equal(got[0], expected)
    np.testing.assert_array_equal(got[1], np.tile(np.arange(SERIES)[:, None], RESAMPLES))


def digest(rows):
    """A number that tells rows of indices apart."""
    return np.array(
        [np.dot(np.asarray(row, float) + 1, 1.5 ** np.arange(len(row))) for row in rows]
    )


@pytest.mark.parametrize("scheme", [s for s in SCHEMES if isinstance(s, RunScheme)])
def test_runs_as_they_are(scheme):
    prepared = scheme.prepare([np.zeros(N)], False)
    keys = keys_of_members(KEY, range(SERIES))
    got = np.full((SERIES, RESAMPLES), np.nan)
    for block in member_blocks(prepared, keys, RESAMPLES, 30, True):
        block.store(digest(prepared.indices(block.rows)), got)
    expected = [digest(prepared.indices(prepared.runs(key, 0, RESAMPLES))) for key in keys]
    np.testing.assert_array_equal(got, expected)


def test_several_samples():
    prepared = SingleRows().prepare([np.zeros(4), np.zeros(6)], False)
    assert prepared.lengths == [4, 6]
    for block in member_blocks(prepared, keys_of_members(KEY, range(2)), 3, 1000, False):
        assert [rows.shape for rows in block.rows] == [(6, 4), (6, 6)]
        assert [int(rows.max()) < n for rows, n in zip(block.rows, (4, 6), strict=True)] == [
            True
        ] * 2
    assert SingleRows().prepare([np.zeros(4), np.zeros(4)], True).lengths == [4]


def test_what_draws_no_rows_is_refused():
    prepared = schemes.Bayesian().prepare([np.zeros(4)], False)
    with pytest.raises(TypeError, match="Bayesian draws no rows"):
        next(member_blocks(prepared, keys_of_members(KEY, range(2)), 3, 1000, False))
