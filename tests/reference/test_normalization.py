"""The oracles of normalisation, softmax, embeddings and dropout: by hand, by differences, by PyTorch."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.reference import normalization

EPS = np.finfo(float).eps
STEP = EPS ** (1 / 3)  # balances the h² of a central difference with its rounding eps/h
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def check_gradient(function, point, gradient, rng):
    """Central differences of a scalar function along a few random directions.

    Their error falls as h², so a step twice as long says how much of it is left: a third of the
    difference of the two, besides rounding, of sums of up to a few hundred terms.
    """
    assert gradient.shape == point.shape
    for _ in range(4):
        direction = rng.uniform(-1, 1, point.shape)
        values = {h: function(point + h * direction) for h in (STEP, -STEP, 2 * STEP, -2 * STEP)}
        slopes = [(values[h] - values[-h]) / (2 * h) for h in (STEP, 2 * STEP)]
        error = abs(slopes[0] - slopes[1]) + 256 * EPS * max(1, *map(abs, values.values())) / STEP
        assert abs(np.sum(gradient * direction) - slopes[0]) <= error


def by_torch(torch, function, delta, *arrays):
    """What a function of tensors returns, and the derivatives of its sum times delta."""
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    out = function(*tensors)
    out.backward(torch.tensor(delta))
    return out.detach().numpy(), [tensor.grad.numpy() for tensor in tensors]


def check_all(got, expected, k, scale):
    """Numbers of the order of `scale` that come from k roundings or sums of k terms."""
    for a, b in zip(got, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=k * EPS * scale)


# --- batch normalisation ------------------------------------------------------------------------

# Rows, channels, and the height and width of pictures; more than one element of each channel.
batches = st.one_of(
    st.tuples(st.integers(2, 9), st.integers(1, 4)),
    st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(2, 4)),
)


def batch(shape, seed):
    """delta, x, weight and bias, and the generator they are from."""
    rng = np.random.default_rng(seed)
    weight, bias = rng.normal(size=(2, shape[1]))
    x = rng.normal(rng.normal(size=(shape[1], *[1] * (len(shape) - 2))), 2, shape)
    return rng.normal(size=shape), x, weight, bias, rng


def in_training(x, weight, bias, eps):
    return normalization.batch_norm(x, weight, bias, *normalization.batch_statistics(x), eps)


def conditioning(delta, x, axes, weight, eps):
    """What roundings are multiplied by: deltas and weights over the deviation, and means over it."""
    deviation = np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    largest = max(1, (np.abs(x) / deviation).max(), (1 / deviation).max())
    return max(1, np.abs(weight).max()) * max(1, np.abs(delta).sum()) * largest**3


@settings(max_examples=60)
@given(shape=batches, seed=seeds, eps=st.sampled_from([1e-5, 1e-3, 0.5]), plain=st.booleans())
def test_batch_normalisation_back_against_finite_differences(shape, seed, eps, plain):
    delta, x, weight, bias, rng = batch(shape, seed)
    arguments = [x, None if plain else weight, None if plain else bias]
    got = normalization.batch_norm_backward(delta, x, arguments[1], eps)
    for i, gradient in enumerate(got):
        if arguments[i] is None:
            continue

        def loss(array, i=i):
            changed = list(arguments)
            changed[i] = array
            return np.sum(delta * in_training(*changed, eps))

        check_gradient(loss, arguments[i], gradient, rng)


def test_batch_normalisation_against_torch(torch):
    @settings(max_examples=60)
    @given(shape=batches, seed=seeds, eps=st.sampled_from([1e-5, 1e-3]), momentum=st.floats(0, 1))
    def check(shape, seed, eps, momentum):
        delta, x, weight, bias, rng = batch(shape, seed)
        old = rng.normal(size=shape[1]), rng.uniform(0, 3, shape[1])
        averages = [torch.tensor(each) for each in old]

        def theirs(x, weight, bias):
            return torch.nn.functional.batch_norm(
                x, *averages, weight, bias, training=True, momentum=momentum, eps=eps
            )

        y, back = by_torch(torch, theirs, delta, x, weight, bias)
        got = in_training(x, weight, bias, eps)
        ours = normalization.batch_norm_backward(delta, x, weight, eps)
        axes = (0, *range(2, len(shape)))
        scale = conditioning(delta, x, axes, weight, eps) + np.abs(bias).max()
        check_all((got, *ours), (y, *back), 2 * x.size, scale)
        now = normalization.running(*old, x, momentum)
        check_all(now, [each.numpy() for each in averages], 2 * x.size, (1 + np.abs(x).max()) ** 2)

    check()


def test_later_batch_normalisation_against_torch(torch):
    @settings(max_examples=20)
    @given(shape=batches, seed=seeds)
    def check(shape, seed):
        _, x, weight, bias, rng = batch(shape, seed)
        given_ = rng.normal(size=shape[1]), rng.uniform(0.5, 3, shape[1])
        arrays = [torch.tensor(each) for each in (x, *given_, weight, bias)]
        expected = torch.nn.functional.batch_norm(*arrays, training=False, eps=1e-2).numpy()
        got = normalization.batch_norm(x, weight, bias, *given_, 1e-2)
        # A few roundings of sums of numbers up to the largest x or mean over the least deviation.
        scale = (np.abs(x).max() + np.abs(given_[0]).max()) * 2 * max(1, np.abs(weight).max())
        check_all([got], [expected], 8, scale + np.abs(bias).max())

    check()


def test_batch_normalisation_by_hand():
    x = np.array([[1.0, 10.0], [3.0, 10.0], [5.0, 40.0], [7.0, 20.0]])
    mean, variance = normalization.batch_statistics(x)
    np.testing.assert_array_equal(mean, [4, 20])
    np.testing.assert_array_equal(variance, [5, 150])
    y = normalization.batch_norm(x, [2.0, 1.0], [0.5, 0.0], mean, variance, [4.0, 75.0])
    np.testing.assert_allclose(y[:, 0], 2 / 3 * np.array([-3, -1, 1, 3]) + 0.5, rtol=4 * EPS)
    np.testing.assert_allclose(y[:, 1], np.array([-10, -10, 20, 0]) / 15, rtol=4 * EPS)
    mean, variance = normalization.running([0.0, 2.0], [1.0, 0.0], x, 0.25)
    np.testing.assert_allclose(mean, [1, 6.5], rtol=4 * EPS)
    np.testing.assert_allclose(variance, [0.75 + 5 / 3, 50], rtol=4 * EPS)


def test_pictures_are_rows_of_their_pixels():
    delta, x, weight, bias, _ = batch((3, 2, 4, 5), 1)

    def rows(array):
        return np.moveaxis(array, 1, -1).reshape(-1, 2)

    scale = conditioning(delta, x, (0, 2, 3), weight, 1e-5)
    got = in_training(x, weight, bias, 1e-5)
    check_all([rows(got)], [in_training(rows(x), weight, bias, 1e-5)], x.size, scale)
    by_x, *others = normalization.batch_norm_backward(delta, x, weight, 1e-5)
    expected = normalization.batch_norm_backward(rows(delta), rows(x), weight, 1e-5)
    check_all([rows(by_x), *others], expected, x.size, scale)


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1, 1)])
def test_one_element_has_no_unbiased_variance(shape):
    with pytest.raises(ValueError, match="two elements"):
        normalization.running(np.zeros(3), np.ones(3), np.ones(shape), 0.1)


# --- layer normalisation ------------------------------------------------------------------------

layers = {
    "shape": st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple),
    "axes": st.integers(1, 3),
    "seed": seeds,
    "eps": st.sampled_from([1e-3, 0.5]),
}


def layer(shape, axes, seed):
    """delta, x, how many axes, weight and bias, and the generator they are from."""
    rng = np.random.default_rng(seed)
    axes = min(axes, len(shape))
    weight, bias = rng.normal(size=(2, *shape[-axes:]))
    return rng.normal(size=shape), rng.normal(1, 2, shape), axes, weight, bias, rng


@settings(max_examples=60)
@given(**layers, plain=st.booleans())
def test_layer_normalisation_back_against_finite_differences(shape, axes, seed, eps, plain):
    delta, x, axes, weight, bias, rng = layer(shape, axes, seed)
    arguments = [x, None if plain else weight, None if plain else bias]
    got = normalization.layer_norm_backward(delta, x, axes, arguments[1], eps)
    for i, gradient in enumerate(got):
        if arguments[i] is None:
            continue

        def loss(array, i=i):
            changed = list(arguments)
            changed[i] = array
            return np.sum(delta * normalization.layer_norm(changed[0], axes, *changed[1:], eps))

        check_gradient(loss, arguments[i], gradient, rng)


def test_layer_normalisation_against_torch(torch):
    @settings(max_examples=60)
    @given(**layers)
    def check(shape, axes, seed, eps):
        delta, x, axes, weight, bias, _ = layer(shape, axes, seed)

        def theirs(x, weight, bias):
            return torch.nn.functional.layer_norm(x, shape[-axes:], weight, bias, eps)

        y, back = by_torch(torch, theirs, delta, x, weight, bias)
        got = normalization.layer_norm(x, axes, weight, bias, eps)
        ours = normalization.layer_norm_backward(delta, x, axes, weight, eps)
        last = tuple(range(-axes, 0))
        scale = conditioning(delta, x, last, weight, eps) + np.abs(bias).max()
        check_all((got, *ours), (y, *back), 2 * x.size, scale)

    check()


def test_layer_normalisation_by_hand():
    x = np.array([[1.0, 3.0, 5.0, 7.0], [2.0, 2.0, 2.0, 2.0]])
    y = normalization.layer_norm(x, 1, [1.0, 1.0, 3.0, 1.0], [0.0, 0.0, 0.0, 9.0], 4.0)
    np.testing.assert_allclose(y, [[-1, -1 / 3, 1, 10], [0, 0, 0, 9]], rtol=4 * EPS)
    whole = normalization.layer_norm(x, 2, None, None, 0.5)
    np.testing.assert_allclose(whole, (x - 3) / 2, rtol=4 * EPS)  # the variance is 28 / 8


# --- softmax ------------------------------------------------------------------------------------

SOFTMAX = {
    "softmax": (normalization.softmax, normalization.softmax_backward),
    "log_softmax": (normalization.log_softmax, normalization.log_softmax_backward),
}
each_softmax = pytest.mark.parametrize("name", SOFTMAX)


def softmax_case(shape, axis, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape), rng.normal(0, 3, shape), axis % len(shape) - len(shape), rng


softmax_cases = {
    "shape": st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple),
    "axis": st.integers(0, 2),
    "seed": seeds,
}


@each_softmax
@settings(max_examples=40)
@given(**softmax_cases)
def test_softmax_back_against_finite_differences(name, shape, axis, seed):
    forward, backward = SOFTMAX[name]
    delta, x, axis, rng = softmax_case(shape, axis, seed)
    got = backward(delta, forward(x, axis), axis)
    check_gradient(lambda v: np.sum(delta * forward(v, axis)), x, got, rng)


@each_softmax
def test_softmax_against_torch(torch, name):
    forward, backward = SOFTMAX[name]

    @settings(max_examples=40)
    @given(**softmax_cases)
    def check(shape, axis, seed):
        delta, x, axis, _ = softmax_case(shape, axis, seed)
        expected = by_torch(torch, lambda v: getattr(torch, name)(v, axis), delta, x)
        y = forward(x, axis)
        # A logarithm is rounded to eps of numbers up to twice the largest, and so is a ratio's exponent.
        scale = (1 + 2 * np.abs(x).max()) * max(1, np.abs(delta).sum())
        check_all([y, backward(delta, y, axis)], [expected[0], *expected[1]], 2 * x.size, scale)

    check()


def test_softmax_by_hand():
    x = np.log([[1.0, 2.0, 5.0], [3.0, 3.0, 2.0]])
    exact = np.array([[1, 2, 5], [3, 3, 2]]) / 8
    np.testing.assert_allclose(normalization.softmax(x), exact, rtol=16 * EPS)
    np.testing.assert_allclose(normalization.log_softmax(x), np.log(exact), rtol=16 * EPS)
    columns = normalization.softmax(x, axis=0)
    np.testing.assert_allclose(columns[0], [1 / 4, 2 / 5, 5 / 7], rtol=16 * EPS)


def test_softmax_of_large_and_of_impossible_inputs():
    x = np.array([1e4, -1e4, -np.inf])
    np.testing.assert_array_equal(normalization.softmax(x), [1, 0, 0])
    np.testing.assert_array_equal(normalization.log_softmax(x), [0, -2e4, -np.inf])
    delta = np.array([1.0, 2.0, 4.0])
    got = normalization.log_softmax_backward(delta, normalization.log_softmax(x))
    np.testing.assert_array_equal(got, [1 - 7, 2, 4])
    got = normalization.softmax_backward(delta, normalization.softmax(x))
    np.testing.assert_array_equal(got, [0, 0, 0])


# --- embedding ----------------------------------------------------------------------------------

embeddings = {
    "rows": st.integers(1, 6),
    "width": st.integers(1, 3),
    "shape": st.lists(st.integers(0, 4), max_size=3).map(tuple),
    "seed": seeds,
}


def embedding_case(rows, width, shape, seed):
    rng = np.random.default_rng(seed)
    indices = rng.integers(0, rows, shape)
    return rng.normal(size=(*shape, width)), indices, rng.normal(size=(rows, width)), rng


@settings(max_examples=40)
@given(**embeddings)
def test_embeddings_back_against_finite_differences(rows, width, shape, seed):
    delta, indices, weight, rng = embedding_case(rows, width, shape, seed)
    got = normalization.embedding_backward(delta, indices, weight.shape)
    check_gradient(lambda v: np.sum(delta * normalization.embedding(indices, v)), weight, got, rng)


def test_embeddings_against_torch(torch):
    @settings(max_examples=40)
    @given(**embeddings)
    def check(rows, width, shape, seed):
        delta, indices, weight, _ = embedding_case(rows, width, shape, seed)
        y, back = by_torch(
            torch,
            lambda v: torch.nn.functional.embedding(torch.tensor(indices), v),
            *(delta, weight),
        )
        np.testing.assert_array_equal(normalization.embedding(indices, weight), y)
        got = normalization.embedding_backward(delta, indices, weight.shape)
        check_all([got], back, 2 * max(1, indices.size), np.abs(delta).sum())

    check()


def test_embeddings_by_hand():
    weight = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    got = normalization.embedding([[2, 0], [2, 2]], weight)
    np.testing.assert_array_equal(got, [[[5, 6], [1, 2]], [[5, 6], [5, 6]]])
    back = normalization.embedding_backward(got, [[2, 0], [2, 2]], (3, 2))
    np.testing.assert_array_equal(back, [[1, 2], [0, 0], [15, 18]])


@pytest.mark.parametrize("index", [-1, 3])
def test_indices_outside_are_refused(index):
    with pytest.raises(IndexError):
        normalization.embedding([0, index], np.ones((3, 2)))
    with pytest.raises(IndexError):
        normalization.embedding_backward(np.ones((2, 2)), [0, index], (3, 2))


# --- dropout ------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.0, 0.3, 0.9])
def test_dropout_back_against_finite_differences(p):
    rng = np.random.default_rng(2)
    delta, x = rng.normal(size=(2, 4, 3))
    mask = rng.random((4, 3)) >= p
    got = normalization.dropout_backward(delta, mask, p)
    check_gradient(lambda v: np.sum(delta * normalization.dropout(v, mask, p)), x, got, rng)


@pytest.mark.parametrize("p", [0.0, 0.3, 0.9, 1.0])
def test_dropout_against_torch(torch, p):
    x = np.random.default_rng(3).normal(size=(50, 4))
    torch.manual_seed(0)
    tensor = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.dropout(tensor, p)
    expected.sum().backward()
    mask = expected.detach().numpy() != 0
    got = normalization.dropout(x, mask, p)
    np.testing.assert_allclose(got, expected.detach().numpy(), rtol=4 * EPS)
    back = normalization.dropout_backward(np.ones_like(x), mask, p)
    np.testing.assert_allclose(back, tensor.grad.numpy(), rtol=4 * EPS)


def test_dropout_by_hand():
    x = np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(normalization.dropout(x, [True, False, True], 0.5), [2, 0, 6])
    np.testing.assert_array_equal(normalization.dropout(x, [1, 0, 1], 0.75), [4, 0, 12])
    np.testing.assert_array_equal(normalization.dropout(x, [0, 0, 0], 1.0), [0, 0, 0])


# --- types --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normalised_arrays_keep_the_type(dtype):
    x, weight = np.arange(6.0).reshape(3, 2).astype(dtype), np.ones(2)
    y = normalization.softmax(x)
    results = [
        in_training(x, weight, weight, 1e-5),
        *normalization.batch_norm_backward(x, x, weight, 1e-5),
        *normalization.running(weight, weight, x, 0.1),
        normalization.layer_norm(x, 1, weight, weight, 1e-5),
        *normalization.layer_norm_backward(x, x, 1, weight, 1e-5),
        y,
        normalization.softmax_backward(x, y),
        normalization.log_softmax(x),
        normalization.log_softmax_backward(x, y),
        normalization.embedding([0, 1], x),
        normalization.embedding_backward(x, [0, 1, 1], (2, 2)),
        normalization.dropout(x, x > 1, 0.5),
        normalization.dropout_backward(x, x > 1, 0.5),
    ]
    assert [each.dtype for each in results] == [dtype] * len(results)
    assert normalization.softmax([1, 2]).dtype == float
    assert math.isclose(normalization.softmax([1, 1])[0], 0.5)
