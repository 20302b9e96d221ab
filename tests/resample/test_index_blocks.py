"""Blocks of indices, put together, are what SciPy draws, whatever the size of a block."""

import numpy as np
import pytest

from fastkb.random.streams import key_from_rng
from fastkb.reference import bootstrap as reference
from fastkb.resample.index_blocks import index_blocks, row_blocks
from fastkb.resample.schemes import Clusters, MOutOfN


def collect(rng, lengths, n_resamples, batch, largest):
    out = [np.full((n_resamples, n), 2**32 - 1, np.int64) for n in lengths]
    for block in index_blocks(rng, lengths, n_resamples, batch, largest):
        for whole, part in zip(out, block.rows, strict=True):
            whole[block.places] = part
    return out


@pytest.mark.parametrize("lengths", [[7], [1001], [5, 8], [300, 20, 4]])
@pytest.mark.parametrize("batch", [None, 1, 4, 1000])
@pytest.mark.parametrize("largest", [1, 500, 10**6])
def test_scipys_order(lengths, batch, largest):
    rng, twin = np.random.default_rng(1), np.random.default_rng(1)
    got = collect(rng, lengths, 37, batch, largest)
    expected = reference.resamples(twin, lengths, 37, batch)
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert rng.bit_generator.state == twin.bit_generator.state


@pytest.mark.parametrize("bit_generator", [np.random.Philox, np.random.SFC64, np.random.MT19937])
def test_other_generators(bit_generator):
    rng, twin = (np.random.Generator(bit_generator(2)) for _ in range(2))
    got = collect(rng, [6, 9], 11, 3, 40)
    for ours, theirs in zip(got, reference.resamples(twin, [6, 9], 11, 3), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert rng.random() == twin.random()


def test_random_state():
    rng, twin = np.random.RandomState(3), np.random.RandomState(3)
    first, second = collect(rng, [6, 9], 5, None, 10)
    np.testing.assert_array_equal(first, twin.randint(0, 6, (5, 6)))
    np.testing.assert_array_equal(second, twin.randint(0, 9, (5, 9)))
    assert rng.random_sample() == twin.random_sample()


def test_no_resamples():
    rng = np.random.default_rng(0)
    assert list(index_blocks(rng, [5], 0, None, 9)) == []
    assert list(index_blocks(rng, [5, 6], 0, None, 9)) == []
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state


@pytest.mark.parametrize("largest", [1, 12, 10**6])
def test_rows_of_different_lengths_keep_their_places(largest):
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 9, n).astype(np.uint32) for n in (3, 5, 3, 4, 5, 5, 1)]
    found = {}
    for block in row_blocks(iter(rows), largest, start=10):
        (indices,) = block.rows
        assert indices.dtype == np.uint32
        found.update(zip(block.places.tolist(), indices.tolist(), strict=True))
    assert found == {10 + k: row.tolist() for k, row in enumerate(rows)}


@pytest.mark.parametrize("scheme", [MOutOfN(3), Clusters([0, 0, 0, 1, 2, 2])])
def test_a_schemes_replicate_depends_on_its_number_alone(scheme):
    prepared = scheme.prepare([np.zeros(6)], False)
    key = key_from_rng(5)

    def collect_rows(n_resamples, largest):
        return {
            place: row
            for block in prepared.blocks(key, n_resamples, largest)
            for place, row in zip(block.places.tolist(), block.rows[0].tolist(), strict=True)
        }

    many = collect_rows(50, 10**6)
    assert sorted(many) == list(range(50))
    few = collect_rows(20, 1)
    assert few == {place: many[place] for place in range(20)}
