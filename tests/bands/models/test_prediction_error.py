"""Out-of-bag and .632+ errors: equal to the plain loops, in any grouping, from any restart."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.bands.models import prediction_error
from fastkb.bands.models.prediction_error import OutOfBag
from fastkb.reference import prediction_error as reference

EPS = np.finfo(float).eps


def problem(seed, n, n_replicates, n_targets=None, offset=0.0):
    """(y, predictions of every replicate, weights, fitted)."""
    rng = np.random.default_rng(seed)
    shape = (n,) if n_targets is None else (n, n_targets)
    y = rng.normal(offset, 1.0, shape)
    predictions = y + rng.normal(size=(n_replicates, *shape))
    weights = rng.multinomial(n, np.full(n, 1 / n), n_replicates)
    weights[0, 0] = 0
    return y, predictions, weights, y + 0.3 * rng.normal(size=shape)


def labels(seed, n, n_replicates, names):
    rng = np.random.default_rng(seed)
    y, fitted = rng.choice(names, n), rng.choice(names, n)
    weights = rng.multinomial(n, np.full(n, 1 / n), n_replicates)
    weights[0, 0] = 0
    return y, rng.choice(names, (n_replicates, n)), weights, fitted


def expected(y, predictions, weights, fitted, loss):
    training = reference.training_error(y, fitted, loss)
    out_of_bag, never = reference.leave_one_out_bootstrap(y, predictions, weights, loss)
    gamma = reference.no_information(y, fitted, loss)
    plus, relative = reference.err632plus(training, out_of_bag, gamma)
    err632 = reference.err632(training, out_of_bag)
    return (training, out_of_bag, gamma, relative, err632, plus), never


def numbers(error):
    return dataclasses.astuple(error)[:6]


sizes = st.tuples(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 9))


@given(sizes, st.sampled_from([None, 1, 2, 17]))
def test_squared_error_is_the_reference(size, n_targets):
    y, predictions, weights, fitted = problem(*size, n_targets)
    oob = OutOfBag(y)
    oob.add_many(predictions, weights)
    error = oob.result(fitted)
    values, never = expected(y, predictions, weights, fitted, reference.squared_error)
    # A mean of at most 12·17·9 squares, all positive; R divides by a difference of such means.
    tolerance = 2000 * EPS * max(1.0, *values) / min(1.0, abs(values[2] - values[0]) or 1.0)
    np.testing.assert_allclose(numbers(error), values, rtol=0, atol=tolerance)
    assert error.n_never_out == never
    assert error.loss == "squared_error"


@given(
    sizes,
    st.sampled_from([np.arange(3), np.array([-1.0, 1.0]), np.array(["a", "bb"]), [False, True]]),
    st.booleans(),
)
def test_zero_one_is_the_reference(size, names, objects):
    y, predictions, weights, fitted = labels(*size, names)
    if objects:
        y, predictions = y.astype(object), predictions.astype(object)
    oob = OutOfBag(y, "zero_one")
    oob.add_many(predictions, weights)
    error = oob.result(fitted)
    values, never = expected(y, predictions, weights, fitted, reference.zero_one)
    np.testing.assert_allclose(numbers(error), values, rtol=0, atol=200 * EPS)
    assert error.n_never_out == never


@given(sizes, st.sampled_from([None, 1, 3, 17]), st.integers(1, 5), st.sampled_from([1, 20, 2**18]))
def test_grouping_changes_no_bit(size, n_targets, group, chunk):
    y, predictions, weights, _ = problem(*size, n_targets)
    one_by_one, together = OutOfBag(y), OutOfBag(y)
    for prediction, row in zip(predictions, weights, strict=True):
        out = np.flatnonzero(row == 0)[::-1]
        one_by_one.add(prediction[out], out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prediction_error, "_CHUNK", chunk)
        for first in range(0, len(weights), group):
            part = slice(first, first + group)
            # The order of the memory is no order of the sum either.
            together.add_many(np.asfortranarray(predictions[part]), weights[part])
    for a, b in zip(one_by_one.totals, together.totals, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


@pytest.mark.parametrize("loss", ["squared_error", "zero_one"])
def test_totals_restore_to_the_same_bits(loss):
    y, predictions, weights, fitted = problem(3, 20, 11)
    if loss == "zero_one":
        y, predictions, fitted = (np.sign(a) for a in (y, predictions, fitted))
    whole, first = OutOfBag(y, loss), OutOfBag(y, loss)
    whole.add_many(predictions, weights)
    first.add_many(predictions[:4], weights[:4])
    second = OutOfBag(y, loss, totals=first.totals)
    second.add_many(predictions[4:], weights[4:])
    assert second.result(fitted) == whole.result(fitted)
    # The first one is not changed by the second.
    assert first.totals[1].sum() == (weights[:4] == 0).sum()


def test_totals_are_a_copy():
    oob = OutOfBag([1.0, 2.0])
    oob.add([2.0], [0])
    oob.totals[0][:] = 7
    np.testing.assert_array_equal(oob.totals[0], [1.0, 0.0])


def test_whole_numbers_of_errors_need_no_order():
    y, predictions, weights, fitted = labels(0, 30, 50, ["a", "b", "c"])
    forwards, backwards = OutOfBag(y, "zero_one"), OutOfBag(y, "zero_one")
    forwards.add_many(predictions, weights)
    backwards.add_many(predictions[::-1], weights[::-1])
    assert forwards.result(fitted) == backwards.result(fitted)


def test_what_a_replicate_contains_is_ignored():
    y, predictions, weights, fitted = problem(1, 10, 6, 2)
    clean, dirty = OutOfBag(y), OutOfBag(y)
    clean.add_many(predictions, weights)
    dirty.add_many(np.where((weights > 0)[..., None], np.nan, predictions), weights)
    assert clean.result(fitted) == dirty.result(fitted)


def test_boolean_weights():
    y, predictions, weights, fitted = problem(2, 10, 6)
    counted, boolean = OutOfBag(y), OutOfBag(y)
    counted.add_many(predictions, weights)
    boolean.add_many(predictions, weights > 0)
    assert counted.result(fitted) == boolean.result(fitted)


def test_one_target_with_and_without_its_axis():
    y, predictions, weights, fitted = problem(4, 10, 6)
    flat, column = OutOfBag(y), OutOfBag(y[:, None])
    flat.add_many(predictions[..., None], weights)
    column.add_many(predictions, weights)
    assert flat.result(fitted[:, None]) == column.result(fitted)


def test_single_precision_is_added_in_double():
    y, predictions, weights, fitted = problem(5, 10, 6)
    single, double = OutOfBag(y), OutOfBag(y)
    single.add_many(predictions.astype(np.float32), weights)
    double.add_many(predictions.astype(np.float32).astype(float), weights)
    assert single.result(fitted) == double.result(fitted)


def test_the_no_information_error_loses_nothing_to_an_offset():
    near, far = problem(6, 50, 1), problem(6, 50, 1)
    shift = 2.0**30  # exact: what is left of y is rounded to 2^-22
    far = tuple(
        np.round(a * 2**22) / 2**22 + s for a, s in zip(far, (shift, 0, 0, shift), strict=True)
    )
    near = (far[0] - shift, *near[1:3], far[3] - shift)

    def gamma(y, predictions, weights, fitted):
        oob = OutOfBag(y)
        oob.add([y[0]], [0])
        return oob.result(fitted).no_information

    # Without cancellation: the mean of y is off by half a unit in the last place at most.
    assert gamma(*far) == pytest.approx(gamma(*near), rel=100 * EPS)


# --- known limits -------------------------------------------------------------------------------


def nearest(x, y, rows):
    return y[rows][np.abs(x[:, None] - x[rows]).argmin(axis=1)]


def forest_of_neighbours(x, y, loss, n_replicates=200):
    rng = np.random.default_rng(1)
    oob = OutOfBag(y, loss)
    for _ in range(n_replicates):
        rows = rng.integers(0, len(y), len(y))
        out = np.setdiff1d(np.arange(len(y)), rows)
        oob.add(nearest(x, y, rows)[out], out)
    return oob.result(nearest(x, y, np.arange(len(y))))


def test_a_memory_of_pure_noise_has_the_error_of_no_information():
    rng = np.random.default_rng(0)
    error = forest_of_neighbours(rng.random(400), rng.integers(0, 2, 400), "zero_one")
    assert error.training == 0.0
    assert error.relative_overfitting > 0.9
    assert error.err632plus == pytest.approx(error.no_information, abs=0.05)
    assert error.err632 < 0.35  # what .632+ is for
    assert error.no_information == pytest.approx(0.5, abs=0.01)


def test_a_perfect_model_has_no_error():
    x = np.sort(np.random.default_rng(0).random(100))
    error = forest_of_neighbours(x, np.full(100, "same"), "zero_one")
    assert numbers(error) == (0.0,) * 6
    y, _, weights, _ = problem(0, 10, 8)
    oob = OutOfBag(y)
    oob.add_many(np.broadcast_to(y, weights.shape), weights)
    error = oob.result(y)
    assert (error.training, error.out_of_bag, error.err632, error.err632plus) == (0, 0, 0, 0)


@given(sizes)
def test_ranges(size):
    y, predictions, weights, fitted = problem(*size)
    oob = OutOfBag(y)
    oob.add_many(predictions, weights)
    error = oob.result(fitted)
    assert 0.0 <= error.relative_overfitting <= 1.0
    low = min(error.training, error.out_of_bag, error.no_information)
    high = max(error.training, error.out_of_bag)
    assert low * (1 - 8 * EPS) <= error.err632plus <= high * (1 + 8 * EPS)


def test_the_text():
    oob = OutOfBag(np.arange(5.0))
    oob.add([1.0], [0])
    text = str(oob.result(np.arange(5.0)))
    assert "out-of-bag error      1 (4 observations were never left out)" in text.splitlines()
    assert len(text.splitlines()) == 5


# --- what is refused ----------------------------------------------------------------------------


def test_no_observation_was_ever_left_out():
    oob = OutOfBag([1.0, 2.0])
    oob.add([], [])
    oob.add_many([[1.0, 2.0]], [[1, 1]])
    with pytest.raises(ValueError, match=r"out-of-bag error needs .* more replicates"):
        oob.result([1.0, 2.0])


@pytest.mark.parametrize(
    ("y", "loss", "error", "message"),
    [
        ([1.0], "absolute", ValueError, "loss must be one of squared_error, zero_one"),
        (["a"], "squared_error", TypeError, "y must be real numbers"),
        ([1j], "squared_error", TypeError, "y must be real numbers"),
        ([np.nan], "squared_error", ValueError, "y has NaN"),
        ([], "squared_error", ValueError, r"y must have shape \(n,\) or \(n, n_targets\)"),
        (np.zeros((2, 2, 2)), "squared_error", ValueError, "y must have shape"),
        (np.zeros((2, 1)), "zero_one", ValueError, "y must have shape"),
        ([], "zero_one", ValueError, "y must have shape"),
        ([np.nan], "zero_one", ValueError, "y has NaN"),
    ],
)
def test_bad_observations(y, loss, error, message):
    with pytest.raises(error, match=message):
        OutOfBag(y, loss)


@pytest.mark.parametrize(
    ("predictions", "out", "error", "message"),
    [
        ([1.0], [0, 1], ValueError, r"predictions must have shape \(2,\) or \(2, 1\), got \(1,\)"),
        (np.ones((2, 2)), [0, 1], ValueError, "predictions must have shape"),
        ([1.0], [3], ValueError, "indices from 0 to 2"),
        ([1.0], [-1], ValueError, "indices from 0 to 2"),
        ([1.0, 1.0], [1, 1], ValueError, "twice"),
        ([1.0], [[0]], ValueError, "one-dimensional"),
        ([1.0], [0.0], TypeError, "indices"),
        ([1.0] * 3, [True, False, True], TypeError, "flatnonzero"),
        ([np.nan], [0], ValueError, "NaN"),
        (["a"], [0], TypeError, "real numbers"),
    ],
)
def test_bad_replicates_add_nothing(predictions, out, error, message):
    oob = OutOfBag([1.0, 2.0, 3.0])
    with pytest.raises(error, match=message):
        oob.add(predictions, out)
    assert not oob.totals[1].any()


@pytest.mark.parametrize(
    ("predictions", "weights", "message"),
    [
        (np.ones((2, 3)), np.zeros((2, 4)), r"weights must have shape \(n_replicates, 3\)"),
        (np.ones((2, 3)), np.zeros(3), "weights must have shape"),
        (np.ones((3, 3)), np.zeros((2, 3)), "predictions must have shape"),
        ([[1.0, 1, 1], [1, np.inf, 1]], [[0, 0, 0], [1, 0, 1]], "NaN or infinity"),
    ],
)
def test_bad_blocks_add_nothing(predictions, weights, message):
    oob = OutOfBag([1.0, 2.0, 3.0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prediction_error, "_CHUNK", 1)
        with pytest.raises(ValueError, match=message):
            oob.add_many(predictions, weights)
    assert not oob.totals[1].any()


def test_several_targets_need_their_axis():
    oob = OutOfBag(np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"predictions must have shape \(1, 2\), got \(1,\)"):
        oob.add([1.0], [0])
    with pytest.raises(ValueError, match=r"fitted must have shape \(3, 2\), got \(3,\)"):
        oob.result(np.zeros(3))


def test_labels_of_another_type():
    oob = OutOfBag(["1", "2"], "zero_one")
    with pytest.raises(TypeError, match="use one type"):
        oob.add([1], [0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_fit(bad):
    oob = OutOfBag([1.0, 2.0])
    oob.add([1.0], [0])
    with pytest.raises(ValueError, match="fitted have NaN or infinity"):
        oob.result([1.0, bad])


def test_overflow_is_reported():
    oob = OutOfBag([1e200, -1e200])
    oob.add([0.0], [0])
    oob.add_many([[0.0, 0.0]], [[0, 0]])
    with pytest.raises(ValueError, match="overflows"):
        oob.result([1e200, -1e200])


@pytest.mark.parametrize(
    ("totals", "message"),
    [
        ((np.zeros(3), np.zeros(2, int)), r"sums have shape \(3,\), expected \(2,\)"),
        ((np.zeros(2), np.zeros(3, int)), r"counts have shape \(3,\)"),
        ((np.zeros(2), np.zeros(2)), "counts must be integers"),
        ((np.array([-1.0, 0.0]), np.ones(2, int)), "no sums"),
        ((np.array([1.0, 0.0]), np.zeros(2, int)), "no sums"),
        ((np.array([np.nan, 0.0]), np.ones(2, int)), "no sums"),
    ],
)
def test_bad_totals(totals, message):
    with pytest.raises(ValueError, match=message):
        OutOfBag([1.0, 2.0], totals=totals)


def test_it_is_frozen():
    error = forest_of_neighbours(np.arange(5.0), np.arange(5) % 2, "zero_one", 5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        error.err632 = 0.0
