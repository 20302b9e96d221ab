"""The oracles of convolution and pooling: sums written out, finite differences and PyTorch."""

import itertools
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.reference import convolution

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


def by_torch(torch, function, *arrays, delta=None):
    """What a function of tensors returns, and the derivatives of its sum times delta."""
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    out = function(*tensors)
    (out if delta is None else out * torch.tensor(delta)).sum().backward()
    return out.detach().numpy(), [tensor.grad.numpy() for tensor in tensors]


# --- convolution --------------------------------------------------------------------------------


class Convolution(NamedTuple):
    shape: tuple
    weight_shape: tuple
    settings: dict
    seed: int

    def arrays(self):
        """x, weight, bias, and a delta of the outputs' shape."""
        rng = np.random.default_rng(self.seed)
        x, weight = rng.normal(size=self.shape), rng.normal(size=self.weight_shape)
        bias = rng.normal(size=len(weight))
        outputs = convolution.conv2d(x, weight, bias, **self.settings).shape
        return x, weight, bias, rng.normal(size=outputs)


pairs = st.tuples


@st.composite
def convolutions(draw):
    kernel = draw(pairs(st.integers(1, 3), st.integers(1, 3)))
    stride = draw(pairs(st.integers(1, 3), st.integers(1, 3)))
    padding = draw(pairs(st.integers(0, 2), st.integers(0, 2)))
    dilation = draw(pairs(st.integers(1, 2), st.integers(1, 2)))
    groups, ins, outs = draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    # Sizes from the smallest with a window on.
    least = [
        max(1, d * (k - 1) + 1 - 2 * p) for k, p, d in zip(kernel, padding, dilation, strict=True)
    ]
    size = [low + draw(st.integers(0, 4)) for low in least]
    return Convolution(
        (draw(st.integers(1, 2)), groups * ins, *size),
        (groups * outs, ins, *kernel),
        {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups},
        draw(seeds),
    )


def written_out(x, weight, bias, stride, padding, dilation, groups):
    """One output after the other, with no padded array."""
    n, _, height, width = x.shape
    outs, ins, *kernel = weight.shape
    sizes = [
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, k, s, p, d in zip((height, width), kernel, stride, padding, dilation, strict=True)
    ]
    y = np.empty((n, outs, *sizes))
    for at, o, row, column in np.ndindex(y.shape):
        first = o // (outs // groups) * ins
        total = bias[o]
        for c, i, j in np.ndindex(ins, *kernel):
            h = row * stride[0] - padding[0] + i * dilation[0]
            w = column * stride[1] - padding[1] + j * dilation[1]
            if 0 <= h < height and 0 <= w < width:
                total += weight[o, c, i, j] * x[at, first + c, h, w]
        y[at, o, row, column] = total
    return y


def error_of_sums(drawn, x, weight, bias, delta):
    """Bounds of what two sums of the same products may differ by: k eps Σ |products| each."""
    magnitudes = np.abs(x), np.abs(weight), np.abs(bias)
    out = convolution.conv2d(*magnitudes, **drawn.settings)
    back = convolution.conv2d_backward(np.abs(delta), *magnitudes[:2], **drawn.settings)
    inputs = weight[0].size + 1
    terms = inputs, weight.size, delta[:, 0].size, delta[:, 0].size
    return [2 * k * EPS * scale for k, scale in zip(terms, (out, *back), strict=True)]


@settings(max_examples=25)
@given(drawn=convolutions())
def test_convolutions_written_out(drawn):
    x, weight, bias, delta = drawn.arrays()
    got = convolution.conv2d(x, weight, bias, **drawn.settings)
    bound = error_of_sums(drawn, x, weight, bias, delta)[0]
    assert (np.abs(got - written_out(x, weight, bias, **drawn.settings)) <= bound).all()


@settings(max_examples=40)
@given(drawn=convolutions())
def test_convolutions_back_against_finite_differences(drawn):
    x, weight, bias, delta = drawn.arrays()
    got = convolution.conv2d_backward(delta, x, weight, **drawn.settings)
    rng = np.random.default_rng(drawn.seed)
    for i, gradient in enumerate(got):

        def loss(array, i=i):
            arguments = [x, weight, bias]
            arguments[i] = array
            return np.sum(delta * convolution.conv2d(*arguments, **drawn.settings))

        check_gradient(loss, (x, weight, bias)[i], gradient, rng)


def check_against_torch(torch, drawn):
    x, weight, bias, delta = drawn.arrays()
    expected, back = by_torch(
        torch,
        lambda *tensors: torch.nn.functional.conv2d(*tensors, **drawn.settings),
        *(x, weight, bias),
        delta=delta,
    )
    ours = convolution.conv2d(x, weight, bias, **drawn.settings)
    ours_back = convolution.conv2d_backward(delta, x, weight, **drawn.settings)
    bounds = error_of_sums(drawn, x, weight, bias, delta)
    for got, wanted, bound in zip((ours, *ours_back), (expected, *back), bounds, strict=True):
        assert got.shape == wanted.shape
        assert (np.abs(got - wanted) <= bound).all()


def test_convolutions_against_torch(torch):
    @settings(max_examples=50)
    @given(drawn=convolutions())
    def check(drawn):
        check_against_torch(torch, drawn)

    check()


def test_a_convolution_by_hand():
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    weight = np.array([[[[1.0, 10.0], [100.0, 1000.0]]]])
    got = convolution.conv2d(x, weight, [0.5])
    np.testing.assert_array_equal(got, [[[[4310.5, 5421.5], [7643.5, 8754.5]]]])
    got = convolution.conv2d(x, weight, stride=3, padding=1)
    np.testing.assert_array_equal(got, [[[[0, 200], [60, 8]]]])  # corners 0 1000, 2 100, 6 10, 8
    got = convolution.conv2d(x, weight, dilation=2)
    np.testing.assert_array_equal(got, [[[[0 + 20 + 600 + 8000]]]])
    delta = np.array([[[[1.0, 0.0], [0.0, 2.0]]]])
    by_x, by_weight, by_bias = convolution.conv2d_backward(delta, x, weight)
    np.testing.assert_array_equal(by_x, [[[[1, 10, 0], [100, 1002, 20], [0, 200, 2000]]]])
    np.testing.assert_array_equal(by_weight, [[[[8, 11], [17, 20]]]])
    np.testing.assert_array_equal(by_bias, [3])


def test_one_number_is_a_pair():
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(2, 2, 7, 7)), rng.normal(size=(3, 2, 2, 2))
    one = {"stride": 2, "padding": 1, "dilation": 3}
    both = {name: (value, value) for name, value in one.items()}
    y = convolution.conv2d(x, weight, **one)
    np.testing.assert_array_equal(y, convolution.conv2d(x, weight, **both))
    first = convolution.conv2d_backward(y, x, weight, **one)
    second = convolution.conv2d_backward(y, x, weight, **both)
    for got, wanted in zip(first, second, strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(
    ("shape", "weight_shape", "groups"),
    [
        ((1, 3, 5, 5), (4, 2, 2, 2), 1),
        ((1, 4, 5, 5), (3, 2, 2, 2), 2),
        ((1, 2, 1, 5), (3, 2, 2, 2), 1),
        ((1, 2, 5, 1), (3, 2, 2, 2), 1),
    ],
)
def test_convolutions_that_do_not_fit_are_refused(shape, weight_shape, groups):
    x, weight = np.ones(shape), np.ones(weight_shape)
    with pytest.raises(ValueError, match=r"groups|window"):
        convolution.conv2d(x, weight, groups=groups)
    with pytest.raises(ValueError, match=r"groups|window"):
        convolution.conv2d_backward(np.ones((1, 1, 4, 4)), x, weight, groups=groups)


# --- pooling ------------------------------------------------------------------------------------


class Pool(NamedTuple):
    shape: tuple
    settings: dict
    seed: int


@st.composite
def pools(draw, dilated):
    kernel = draw(pairs(st.integers(1, 4), st.integers(1, 3)))
    dilation = draw(pairs(st.integers(1, 3), st.integers(1, 2))) if dilated else (1, 1)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    stride = draw(st.one_of(st.none(), pairs(st.integers(1, 3), st.integers(1, 4))))
    ceil_mode = draw(st.booleans())
    size = []
    for k, d, p, s in zip(kernel, dilation, padding, stride or kernel, strict=True):
        # From the smallest with a window on, and with an element of the picture in every window.
        least = max(d, d * (k - 1) + 1 - 2 * p - (s - 1 if ceil_mode else 0))
        size.append(least + draw(st.integers(0, 4)))
    drawn = {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": ceil_mode}
    if dilated:
        drawn["dilation"] = dilation
    else:
        drawn["count_include_pad"] = draw(st.booleans())
    return Pool((draw(st.integers(1, 2)), draw(st.integers(1, 2)), *size), drawn, draw(seeds))


def windows_written_out(drawn):
    """For each output of a channel its row and column, and the rows and columns that its window meets."""
    options = {"dilation": (1, 1), **drawn.settings}
    kernel = options["kernel_size"]
    stride = kernel if options["stride"] is None else options["stride"]
    axes = []
    for size, k, s, p, d in zip(
        drawn.shape[2:], kernel, stride, options["padding"], options["dilation"], strict=True
    ):
        span, starts = d * (k - 1) + 1, []
        for start in itertools.count(-p, s):
            # Rounded down the window must end by the padding's end; rounded up any of it may lie there.
            reaches = start + span <= size + p
            if options["ceil_mode"] and starts:
                reaches = starts[-1] + span < size + p and start < size
            if not reaches and starts:
                break
            starts.append(start)
        axes.append([[start + i * d for i in range(k)] for start in starts])
    return list(itertools.product(*[list(enumerate(axis)) for axis in axes]))


@settings(max_examples=30)
@given(drawn=pools(dilated=True))
def test_largest_elements_written_out(drawn):
    rng = np.random.default_rng(drawn.seed)
    x = rng.integers(0, 3, drawn.shape).astype(float)  # with many equal ones
    got = convolution.max_pool2d(x, **drawn.settings)
    delta = rng.integers(1, 9, got.shape).astype(float)
    expected, by_x = np.full(got.shape, np.nan), np.zeros(x.shape)
    height, width = drawn.shape[2:]
    for (row, hs), (column, ws) in windows_written_out(drawn):
        inside = [(h, w) for h in hs for w in ws if 0 <= h < height and 0 <= w < width]
        for at in np.ndindex(x.shape[:2]):
            values = [x[(*at, *position)] for position in inside]
            expected[(*at, row, column)] = max(values)
            by_x[(*at, *inside[values.index(max(values))])] += delta[(*at, row, column)]
    np.testing.assert_array_equal(got, expected)
    back = convolution.max_pool2d_backward(delta, x, **drawn.settings)
    np.testing.assert_array_equal(back, by_x)


@settings(max_examples=30)
@given(drawn=pools(dilated=False))
def test_averages_written_out(drawn):
    x = np.random.default_rng(drawn.seed).normal(size=drawn.shape)
    got = convolution.avg_pool2d(x, **drawn.settings)
    expected = np.full(got.shape, np.nan)
    (height, width), (top, left) = drawn.shape[2:], drawn.settings["padding"]
    for (row, hs), (column, ws) in windows_written_out(drawn):
        inside = [(h, w) for h in hs for w in ws if 0 <= h < height and 0 <= w < width]
        count = len(inside)
        if drawn.settings["count_include_pad"]:
            count = sum(h < height + top for h in hs) * sum(w < width + left for w in ws)
        expected[..., row, column] = sum(x[..., h, w] for h, w in inside) / count
    # Sums of at most 12 elements of a few units.
    np.testing.assert_allclose(got, expected, rtol=0, atol=24 * EPS * np.abs(x).max())


@settings(max_examples=25)
@given(drawn=pools(dilated=True))
def test_maxima_back_against_finite_differences(drawn):
    rng = np.random.default_rng(drawn.seed)
    # Elements apart by 1, so that a short step changes no largest one.
    x = rng.permutation(np.prod(drawn.shape)).astype(float).reshape(drawn.shape)
    delta = rng.normal(size=convolution.max_pool2d(x, **drawn.settings).shape)
    check_gradient(
        lambda v: np.sum(delta * convolution.max_pool2d(v, **drawn.settings)),
        x,
        convolution.max_pool2d_backward(delta, x, **drawn.settings),
        rng,
    )


@settings(max_examples=25)
@given(drawn=pools(dilated=False))
def test_averages_back_against_finite_differences(drawn):
    rng = np.random.default_rng(drawn.seed)
    x = rng.normal(size=drawn.shape)
    delta = rng.normal(size=convolution.avg_pool2d(x, **drawn.settings).shape)
    check_gradient(
        lambda v: np.sum(delta * convolution.avg_pool2d(v, **drawn.settings)),
        x,
        convolution.avg_pool2d_backward(delta, x.shape, **drawn.settings),
        rng,
    )


def check_maxima_against_torch(torch, drawn, special):
    rng = np.random.default_rng(drawn.seed)
    x = rng.choice([0.0, 1.0, 2.0, *special], drawn.shape)
    delta = rng.integers(1, 9, convolution.max_pool2d(x, **drawn.settings).shape).astype(float)
    # PyTorch takes no None for the stride.
    theirs = {**drawn.settings, "stride": drawn.settings["stride"] or drawn.settings["kernel_size"]}
    tensor = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.max_pool2d(tensor, **theirs)
    expected.backward(torch.tensor(delta))
    got = convolution.max_pool2d(x, **drawn.settings)
    np.testing.assert_array_equal(got, expected.detach().numpy())
    back = convolution.max_pool2d_backward(delta, x, **drawn.settings)
    np.testing.assert_array_equal(back, tensor.grad.numpy())


@pytest.mark.parametrize("special", [(), (-np.inf, np.nan, np.inf)])
def test_maxima_against_torch(torch, special):
    @settings(max_examples=50)
    @given(drawn=pools(dilated=True))
    def check(drawn):
        check_maxima_against_torch(torch, drawn, special)

    check()


def test_averages_against_torch(torch):
    @settings(max_examples=50)
    @given(drawn=pools(dilated=False))
    def check(drawn):
        rng = np.random.default_rng(drawn.seed)
        x = rng.normal(size=drawn.shape)
        got = convolution.avg_pool2d(x, **drawn.settings)
        delta = rng.normal(size=got.shape)
        expected, (back,) = by_torch(
            torch, lambda v: torch.nn.functional.avg_pool2d(v, **drawn.settings), x, delta=delta
        )
        ours = convolution.avg_pool2d_backward(delta, x.shape, **drawn.settings)
        # Sums of at most 12 elements, or of the deltas of at most 12 windows.
        np.testing.assert_allclose(got, expected, rtol=0, atol=24 * EPS * np.abs(x).max())
        np.testing.assert_allclose(ours, back, rtol=0, atol=24 * EPS * np.abs(delta).max())

    check()


def test_pools_by_hand():
    x = np.array([[[[1.0, 5.0, 5.0], [7.0, 5.0, 2.0], [0.0, 7.0, 3.0]]]])
    np.testing.assert_array_equal(convolution.max_pool2d(x, 2), [[[[7]]]])
    np.testing.assert_array_equal(
        convolution.max_pool2d(x, 2, ceil_mode=True), [[[[7, 5], [7, 3]]]]
    )
    back = convolution.max_pool2d_backward(np.ones((1, 1, 2, 2)), x, 2, stride=1)
    np.testing.assert_array_equal(back, [[[[0, 1, 0], [2, 0, 0], [0, 1, 0]]]])
    np.testing.assert_array_equal(convolution.avg_pool2d(x, 2), [[[[4.5]]]])
    np.testing.assert_array_equal(
        convolution.avg_pool2d(x, 2, ceil_mode=True), [[[[4.5, 3.5], [3.5, 3]]]]
    )
    padded = convolution.avg_pool2d(x, 2, stride=3, padding=1)
    np.testing.assert_array_equal(padded, [[[[0.25, 1.25], [0, 0.75]]]])
    padded = convolution.avg_pool2d(x, 2, stride=3, padding=1, count_include_pad=False)
    np.testing.assert_array_equal(padded, [[[[1, 5], [0, 3]]]])


def test_nan_is_the_largest():
    x = np.array([[[[np.nan, np.inf, np.nan, 1.0]]]])
    assert np.isnan(convolution.max_pool2d(x, (1, 4))).all()
    back = convolution.max_pool2d_backward(np.ones((1, 1, 1, 1)), x, (1, 4))
    np.testing.assert_array_equal(back, [[[[0, 0, 1, 0]]]])


def test_padding_is_never_the_largest():
    x = np.full((1, 1, 1, 2), -np.inf)
    back = convolution.max_pool2d_backward(np.ones((1, 1, 2, 3)), x, 2, stride=1, padding=1)
    np.testing.assert_array_equal(back, [[[[4, 2]]]])
    # The two elements of this window lie on both sides of the only one there is.
    window = {"kernel_size": 2, "dilation": 2, "padding": 1}
    assert convolution.max_pool2d(np.ones((1, 1, 1, 1)), **window) == -np.inf
    back = convolution.max_pool2d_backward(np.ones((1, 1, 1, 1)), np.ones((1, 1, 1, 1)), **window)
    np.testing.assert_array_equal(back, [[[[0]]]])


def test_a_window_larger_than_the_picture():
    x = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert convolution.max_pool2d(x, 3, 2, ceil_mode=True) == 4
    assert convolution.avg_pool2d(x, 3, 2, ceil_mode=True) == 2.5
    for pool in (convolution.max_pool2d, convolution.avg_pool2d):
        with pytest.raises(ValueError, match="window"):
            pool(x, 3, 2)


def test_more_padding_than_half_a_window_is_refused():
    x = np.ones((1, 1, 5, 5))
    for pool in (convolution.max_pool2d, convolution.avg_pool2d):
        assert pool(x, 3, 1, 1).shape == (1, 1, 5, 5)
        with pytest.raises(ValueError, match="padding"):
            pool(x, 3, 1, 2)
    with pytest.raises(ValueError, match="padding"):
        convolution.max_pool2d(x, 3, 1, 2, dilation=2)


# --- adaptive pooling ---------------------------------------------------------------------------

adaptive = given(
    shape=st.tuples(*[st.integers(1, 2)] * 2, *[st.integers(1, 9)] * 2),
    output_size=st.one_of(st.integers(1, 9), pairs(st.integers(1, 9), st.integers(1, 9))),
    seed=seeds,
)


@settings(max_examples=25)
@adaptive
def test_adaptive_averages_back_against_finite_differences(shape, output_size, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    delta = rng.normal(size=convolution.adaptive_avg_pool2d(x, output_size).shape)
    check_gradient(
        lambda v: np.sum(delta * convolution.adaptive_avg_pool2d(v, output_size)),
        x,
        convolution.adaptive_avg_pool2d_backward(delta, shape),
        rng,
    )


def test_adaptive_averages_against_torch(torch):
    @settings(max_examples=40)
    @adaptive
    def check(shape, output_size, seed):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=shape)
        got = convolution.adaptive_avg_pool2d(x, output_size)
        delta = rng.normal(size=got.shape)
        expected, (back,) = by_torch(
            torch,
            lambda v: torch.nn.functional.adaptive_avg_pool2d(v, output_size),
            x,
            delta=delta,
        )
        ours = convolution.adaptive_avg_pool2d_backward(delta, shape)
        assert got.shape == expected.shape
        # Sums of at most 81 elements, and of the deltas of as many cells.
        np.testing.assert_allclose(got, expected, rtol=0, atol=162 * EPS * np.abs(x).max())
        atol = 162 * EPS * np.abs(delta).sum()
        np.testing.assert_allclose(ours, back, rtol=0, atol=atol)

    check()


def test_adaptive_averages_by_hand():
    x = np.array([[[[1.0, 2.0, 6.0], [3.0, 4.0, 8.0]]]])
    got = convolution.adaptive_avg_pool2d(x, (1, 2))
    np.testing.assert_array_equal(got, [[[[2.5, 5]]]])
    back = convolution.adaptive_avg_pool2d_backward(np.array([[[[4.0, 8.0]]]]), x.shape)
    np.testing.assert_array_equal(back, [[[[1, 3, 2], [1, 3, 2]]]])
    assert convolution.adaptive_avg_pool2d(x, 1) == 4


# --- types --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pictures_keep_the_type(dtype):
    x, weight, bias = np.ones((1, 1, 4, 4), dtype), np.ones((2, 1, 2, 2), dtype), np.ones(2)
    y = convolution.conv2d(x, weight, bias)
    results = [y, *convolution.conv2d_backward(y, x, weight)]
    small = convolution.max_pool2d(x, 2)
    results += [small, convolution.max_pool2d_backward(small, x, 2)]
    results += [convolution.avg_pool2d(x, 2), convolution.avg_pool2d_backward(small, x.shape, 2)]
    results += [
        convolution.adaptive_avg_pool2d(x, 3),
        convolution.adaptive_avg_pool2d_backward(small, x.shape),
    ]
    assert [each.dtype for each in results] == [dtype] * len(results)
    whole = np.ones((1, 1, 4, 4), int)
    assert convolution.max_pool2d(whole, 2).dtype == float
    assert convolution.conv2d(whole, np.ones((2, 1, 2, 2), int)).dtype == float
