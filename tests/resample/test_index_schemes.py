"""Schemes: what a resample looks like, that its spread is what theory says, and the intervals."""

import collections

import numpy as np
import pytest

import fastkb
from fastkb import schemes
from fastkb.random.streams import key_from_rng


def rows_of(scheme, n, count=200, seed=0):
    prepared = scheme.prepare([np.arange(float(n))], False)
    rows = {}
    for block in prepared.blocks(key_from_rng(seed), count, 10**5):
        rows.update(zip(block.places.tolist(), block.rows[0].astype(int), strict=True))
    return [rows[b] for b in range(count)]


LABELS = np.array(["b", "a", "b", "c", "a", "b", "c"])


def test_strata_keep_their_sizes():
    seen = set()
    for row in rows_of(schemes.Stratified(LABELS), 7):
        assert collections.Counter(LABELS[row]) == collections.Counter(LABELS)
        seen |= set(row)
    assert seen == set(range(7))


def test_clusters_come_whole():
    lengths = set()
    for row in rows_of(schemes.Clusters(LABELS), 7):
        counts = np.bincount(row, minlength=7)
        for label in "abc":
            assert len(set(counts[label == LABELS])) == 1
        assert sum(counts[[0, 1, 3]]) == 3
        lengths.add(len(row))
    assert lengths == {6, 7, 8, 9}


@pytest.mark.parametrize(("length", "n"), [(1, 9), (3, 9), (4, 10), (8, 9)])
def test_moving_blocks_are_stretches(length, n):
    starts = set()
    for row in rows_of(schemes.MovingBlocks(length), n):
        assert len(row) == n
        for start in range(0, n, length):
            block = row[start : start + length]
            np.testing.assert_array_equal(np.diff(block), 1)
            starts.add(block[0])
    assert starts == set(range(n - length + 1))


def test_circular_blocks_go_round():
    rows = rows_of(schemes.CircularBlocks(4), 10)
    starts = set()
    for row in rows:
        for start in (0, 4, 8):
            block = row[start : start + 4]
            np.testing.assert_array_equal(np.diff(block) % 10, 1)
            starts.add(block[0])
    assert starts == set(range(10))


def test_stationary_blocks_have_their_mean_length():
    """Within five standard errors: a false alarm in 10⁶."""
    n, length = 200, 8.0
    rows = np.array(rows_of(schemes.StationaryBlocks(length), n))
    follows = (np.diff(rows, axis=1) % n) == 1
    # A new block begins with probability 1/length, and goes on by chance with 1/n.
    expected = 1 - 1 / length + 1 / (length * n)
    spread = np.sqrt(expected * (1 - expected) / follows.size)
    assert abs(follows.mean() - expected) < 5 * spread
    assert rows.min() == 0
    assert rows.max() == n - 1


def test_subsamples_have_no_repeats():
    counts = np.zeros(9)
    for row in rows_of(schemes.Subsampling(4), 9, count=2000):
        assert len(row) == len(set(row)) == 4
        counts[row] += 1
    assert abs(counts / 2000 - 4 / 9).max() < 0.06
    assert all(len(row) == 3 for row in rows_of(schemes.MOutOfN(3), 9))


X = np.random.default_rng(0).exponential(size=60)


def ratio_of_errors(scheme, x=X, **options):
    own = fastkb.bootstrap((x,), np.mean, scheme=scheme, rng=0, **options).standard_error
    return own / (x.std() / np.sqrt(len(x)))


def test_standard_errors_are_those_of_theory():
    """To some per cent: the Monte Carlo error of 9999 resamples is 0.7%."""
    assert ratio_of_errors(schemes.MOutOfN(30), method="basic") == pytest.approx(1.0, rel=0.04)
    kept = np.sqrt(1 - 20 / 60) * np.sqrt(60 / 59)  # without replacement
    assert ratio_of_errors(schemes.Subsampling(20), method="basic") == pytest.approx(kept, rel=0.04)
    assert ratio_of_errors(schemes.MovingBlocks(1)) == pytest.approx(1.0, rel=0.04)
    assert ratio_of_errors(schemes.StationaryBlocks(1)) == pytest.approx(1.0, rel=0.04)
    assert ratio_of_errors(schemes.Clusters(np.arange(60))) == pytest.approx(1.0, rel=0.04)
    strata = np.arange(60) // 30
    within = np.sqrt(np.mean([X[:30].var(), X[30:].var()])) / X.std()
    assert ratio_of_errors(schemes.Stratified(strata)) == pytest.approx(within, rel=0.04)


def test_blocks_see_the_dependence():
    noise = np.random.default_rng(1).standard_normal(2000)
    x = np.convolve(noise, np.ones(6), mode="valid")
    for scheme in (schemes.MovingBlocks(), schemes.CircularBlocks(), schemes.StationaryBlocks()):
        # The long-run variance is 36 times that of the noise, the variance 6 times.
        assert ratio_of_errors(scheme, x, n_resamples=2000) == pytest.approx(np.sqrt(6), rel=0.2)


@pytest.mark.parametrize("method", ["percentile", "basic", "BCa", "cheap"])
@pytest.mark.parametrize(
    "scheme",
    [
        schemes.Stratified(np.arange(60) // 20),
        schemes.Clusters(np.arange(60) // 7),
        schemes.MovingBlocks(5),
        schemes.CircularBlocks(),
        schemes.StationaryBlocks(4.5),
    ],
    ids=lambda scheme: type(scheme).__name__,
)
@pytest.mark.parametrize("statistic", [np.mean, lambda x: x.mean()], ids=["compiled", "Python"])
def test_intervals(scheme, method, statistic):
    options = {"method": method, "scheme": scheme, "n_resamples": 400, "confidence_level": 0.9}
    result = fastkb.bootstrap((X,), statistic, rng=1, **options)
    low, high = result.confidence_interval
    assert low < X.mean() < high
    assert 1 < (high - low) / result.standard_error < 6
    again = fastkb.bootstrap((X,), statistic, rng=1, **options)
    assert again.confidence_interval == result.confidence_interval
    assert type(result.scheme) is type(scheme)


def test_clusters_of_one_are_the_ordinary_bca():
    from fastkb.bootstrap.intervals import acceleration_of, bca_levels, quantiles
    from fastkb.reference import bootstrap as reference

    result = fastkb.bootstrap((X,), np.mean, scheme=schemes.Clusters(np.arange(60)), rng=2)
    left = reference.jackknife([X], np.mean)
    distribution = result.bootstrap_distribution
    levels = bca_levels(distribution, np.asarray(X.mean()), acceleration_of(left), 0.025)
    np.testing.assert_allclose(result.confidence_interval, quantiles(distribution, levels))


def test_fewer_observations_are_scaled_up():
    scheme = schemes.MOutOfN(15, rate=0.5)
    result = fastkb.bootstrap((X,), np.mean, scheme=scheme, method="percentile", rng=0)
    ends = np.quantile(result.bootstrap_distribution, [0.025, 0.975])
    np.testing.assert_allclose(result.confidence_interval, X.mean() + (ends - X.mean()) / 2)


def test_pairs_stay_together():
    x, y = np.random.default_rng(3).normal(size=(2, 40))
    options = {"paired": True, "scheme": schemes.MovingBlocks(3), "rng": 0, "n_resamples": 99}
    ours = fastkb.bootstrap((x, y), "pearson", **options)
    plain = fastkb.bootstrap((x, y), lambda a, b: np.corrcoef(a, b)[0, 1], **options)
    np.testing.assert_allclose(
        ours.bootstrap_distribution, plain.bootstrap_distribution, atol=1e-12
    )


@pytest.mark.parametrize(
    ("scheme", "options", "error", "message"),
    [
        (
            schemes.Stratified([0, 1]),
            {},
            ValueError,
            "labels must be one for each of the 60",
        ),
        (schemes.Clusters(np.zeros(60)), {}, ValueError, "Clusters: labels must name two clusters"),
        (
            schemes.MovingBlocks(60),
            {},
            ValueError,
            "MovingBlocks: length must be at least 1 and below",
        ),
        (
            schemes.MovingBlocks(2.5),
            {},
            TypeError,
            "MovingBlocks: length must be an integer or None",
        ),
        (
            schemes.StationaryBlocks(0.5),
            {},
            ValueError,
            "StationaryBlocks: length must be at least 1",
        ),
        (schemes.StationaryBlocks("a"), {}, TypeError, "length must be a number or None, got 'a'"),
        (
            schemes.MOutOfN(61),
            {"method": "basic"},
            ValueError,
            "MOutOfN: m must be from 2 to 60, got 61",
        ),
        (schemes.MOutOfN("few"), {"method": "basic"}, TypeError, "MOutOfN: m must be an integer"),
        (
            schemes.Subsampling(60),
            {"method": "basic"},
            ValueError,
            "Subsampling: m must be from 2 to 59",
        ),
        (
            schemes.Subsampling(9, 0),
            {"method": "basic"},
            ValueError,
            "rate must be a finite real number above 0",
        ),
        (schemes.MOutOfN(9), {}, ValueError, "method='BCa' is not valid with MOutOfN"),
        (schemes.MovingBlocks, {}, TypeError, r"got <class.*: write MovingBlocks\(…\)"),
        ("blocks", {}, TypeError, "scheme must be None or one of fastkb.schemes, got 'blocks'"),
        (schemes.MovingBlocks(), {"random_state": 0}, TypeError, "the seed is `rng`"),
    ],
)
def test_bad_schemes(scheme, options, error, message):
    with pytest.raises(error, match=message):
        fastkb.bootstrap((X,), np.mean, scheme=scheme, **options)


def test_unpaired_samples_have_no_scheme():
    with pytest.raises(ValueError, match="one sample, or several with paired=True; `data` has 2"):
        fastkb.bootstrap((X, X), "mean_ratio", scheme=schemes.MovingBlocks(3))
