"""What schemes that draw rows have in common: counts, rows and runs that agree, and the jackknife."""

import numpy as np
import pytest

from fastkb import schemes
from fastkb.random.streams import key_from_rng
from fastkb.resample.row_schemes import RunScheme

KEY = key_from_rng(3)


@pytest.mark.parametrize(
    "scheme",
    [
        schemes.MovingBlocks(3),
        schemes.CircularBlocks(4),
        schemes.StationaryBlocks(2.5),
        schemes.Clusters([0, 0, 1, 2, 2, 2, 0, 1, 3]),
        schemes.Stratified([0, 0, 1, 2, 2, 2, 0, 1, 1]),
        schemes.Subsampling(4),
        schemes.MOutOfN(5),
    ],
    ids=lambda scheme: type(scheme).__name__,
)
@pytest.mark.parametrize("largest", [1, 40, 10**6])
def test_counts_are_those_of_the_rows(scheme, largest):
    prepared = scheme.prepare([np.zeros(9)], False)
    counts = np.zeros((25, 9), int)
    for block in prepared.blocks(KEY, 25, largest):
        for place, row in zip(block.places, block.rows[0], strict=True):
            counts[place] += np.bincount(row, minlength=9)
    np.testing.assert_array_equal(prepared.counts(KEY, 0, 25), counts)
    np.testing.assert_array_equal(prepared.counts(KEY, 20, 5), counts[20:])


@pytest.mark.parametrize("length", [1, 2, 4, 8])
def test_a_jackknife_leaves_out_whole_blocks(length):
    prepared = schemes.CircularBlocks(length).prepare([np.zeros(9)], False)
    (rows,) = prepared.left_out()
    expected = [
        np.delete(np.arange(9), np.s_[s : s + length]) for s in range(0, 9 - length + 1, length)
    ]
    for row, right in zip(rows, expected, strict=True):
        np.testing.assert_array_equal(row, right)


@pytest.mark.parametrize("scheme", [schemes.MovingBlocks(3), schemes.Clusters([0, 0, 1, 2, 2, 2])])
@pytest.mark.parametrize("largest", [1, 10, 10**6])
def test_runs_in_blocks(scheme, largest):
    prepared = scheme.prepare([np.zeros(6)], False)
    assert isinstance(prepared, RunScheme)
    covered = []
    for block in prepared.run_blocks(KEY, 23, largest):
        places = np.arange(23)[block.places]
        assert block.n_replicates == len(places)
        rows = prepared.indices(block.rows)
        for place, row in zip(places, rows, strict=True):
            (alone,) = prepared.indices(prepared.runs(KEY, int(place), 1))
            np.testing.assert_array_equal(row, alone)
        covered += places.tolist()
    assert covered == list(range(23))
