"""Streams: the generator's known answers, the oracle, addressing, and the laws of chance."""

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fastkb.random import streams
from fastkb.random.streams import bootstrap_counts, key_from_rng
from fastkb.reference import streams as reference

# Every statistical test below fails by chance with this probability, over the choice of the seed;
# the seeds are fixed, so a test that passes once passes always.
FALSE_ALARM = 1e-4

keys = st.integers(0, 2**64).map(key_from_rng)


@given(keys, st.integers(0, 2**32 - 4), st.integers(1, 400))
def test_counts_are_the_oracles(key, first, n):
    counts = bootstrap_counts(key, first, 2, n)
    for r in range(2):
        np.testing.assert_array_equal(counts[r], reference.bootstrap_counts(key, first + r, n))


def test_counts_when_words_are_rejected():
    key, n, draws = key_from_rng(4), 3 * 2**20, 1000
    counts = np.empty((1, n), np.int32)
    streams._many_counts(key, 7, draws, counts, np.empty((1, 4, streams.LANES), np.uint32))
    expected = reference.bounded(reference.words(key, 7, draws), n)
    np.testing.assert_array_equal(np.repeat(np.arange(n), counts[0]), np.sort(expected))


@given(keys, st.integers(1, 50), st.integers(1, 9), st.integers(1, 200))
def test_a_replicate_does_not_depend_on_its_company(key, total, part, n):
    whole = bootstrap_counts(key, 0, total, n)
    parts = [bootstrap_counts(key, i, min(part, total - i), n) for i in range(0, total, part)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_threads_do_not_matter():
    key = key_from_rng(5)
    many = bootstrap_counts(key, 0, 64, 300)
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        np.testing.assert_array_equal(bootstrap_counts(key, 0, 64, 300), many)
    finally:
        numba.set_num_threads(before)


@given(keys, st.integers(1, 500))
def test_a_resample_has_n_rows(key, n):
    counts = bootstrap_counts(key, 0, 3, n)
    assert counts.dtype == np.int32
    assert (counts >= 0).all()
    assert (counts.sum(axis=1) == n).all()


def test_indices_are_uniform():
    n, draws = 97, 97 * 2000
    counts = bootstrap_counts(key_from_rng(11), 0, draws // n, n).sum(axis=0)
    assert stats.chisquare(counts).pvalue > FALSE_ALARM


def indices_of(seed, n_replicates, n):
    """The rows that are drawn, in their order.  # shape: (n_replicates, n)"""
    key = key_from_rng(seed)
    return np.array([reference.bootstrap_indices(key, r, n) for r in range(n_replicates)])


def test_consecutive_draws_are_independent():
    indices = indices_of(12, 400, 1000) // 100  # tenths of the range
    pairs = np.zeros((10, 10))
    np.add.at(pairs, (indices[:, :-1:2].ravel(), indices[:, 1::2].ravel()), 1)
    assert stats.chisquare(pairs.ravel()).pvalue > FALSE_ALARM


@pytest.mark.parametrize("lag", [1, 2, 16])
def test_replicates_are_independent(lag):
    # The same draw of replicates r and r + lag: pairs that do not overlap, in a 10 x 10 table.
    indices = indices_of(13, 64, 5000) // 500
    first = indices.reshape(-1, 2 * lag, 5000)[:, :lag].ravel()
    second = indices.reshape(-1, 2 * lag, 5000)[:, lag:].ravel()
    pairs = np.zeros((10, 10))
    np.add.at(pairs, (first, second), 1)
    assert stats.chisquare(pairs.ravel()).pvalue > FALSE_ALARM


def test_counts_of_successive_replicates_are_uncorrelated():
    """Fails by chance with probability FALSE_ALARM, wherever in a replicate a row was drawn."""
    n, replicates = 500, 2000
    weights = bootstrap_counts(key_from_rng(15), 0, replicates, n) - 1.0
    # The weights of one replicate have covariance I - 1/n, whose square has trace n - 1: so much is
    # the variance of two independent replicates' inner product. Successive ones are uncorrelated.
    products = (weights[:-1] * weights[1:]).sum(axis=1)
    z = products.sum() / np.sqrt((replicates - 1) * (n - 1))
    assert abs(z) < stats.norm.isf(FALSE_ALARM / 2)


def test_seeds_are_independent():
    one = indices_of(0, 40, 5000).ravel() // 500
    other = indices_of(1, 40, 5000).ravel() // 500
    pairs = np.zeros((10, 10))
    np.add.at(pairs, (one, other), 1)
    assert stats.chisquare(pairs.ravel()).pvalue > FALSE_ALARM


def test_weights_have_the_multinomial_moments():
    n, replicates = 50, 20_000
    counts = bootstrap_counts(key_from_rng(14), 0, replicates, n)
    # P(a row is left out) = (1 - 1/n)^n; each row's frequency is binomial over the replicates.
    p = (1 - 1 / n) ** n
    z = ((counts == 0).mean(axis=0) - p) / np.sqrt(p * (1 - p) / replicates)
    # The rows are weakly dependent: Bonferroni's bound holds whatever the dependence.
    assert np.abs(z).max() < stats.norm.isf(FALSE_ALARM / (2 * n))
    # Counts of two rows have covariance -1/n.
    product = (counts[:, 0] - 1.0) * (counts[:, 1] - 1.0)
    z = (product.mean() + 1 / n) / (product.std() / np.sqrt(replicates))
    assert abs(z) < stats.norm.isf(FALSE_ALARM / 2)


def test_keys_from_all_kinds_of_rng():
    np.testing.assert_array_equal(key_from_rng(7), key_from_rng(np.random.SeedSequence(7)))
    assert (key_from_rng() != key_from_rng()).any()
    generator = np.random.default_rng(7)
    one, two = key_from_rng(generator), key_from_rng(generator)
    assert (one != two).any()
    np.testing.assert_array_equal(one, key_from_rng(np.random.default_rng(7)))
    assert one.dtype == np.uint32
    assert one.shape == (4,)


@pytest.mark.parametrize(
    ("first", "n_replicates", "n", "words"),
    [
        (-1, 2, 5, "replicates must be from 0"),
        (2**32 - 1, 2, 5, "replicates must be from 0"),
        (0, 2, 0, "n must be from 1"),
        (0, 2, 2**31, "n must be from 1"),
    ],
)
def test_impossible_requests(first, n_replicates, n, words):
    with pytest.raises(ValueError, match=words):
        bootstrap_counts(key_from_rng(0), first, n_replicates, n)
