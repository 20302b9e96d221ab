"""Sums and means over axes, and the way back, against NumPy."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.nn.ops.tensors.functions import Function
from fastkb.nn.ops.tensors.joins import Combination, Product
from fastkb.nn.ops.tensors.reduction import Expand, Reduce
from tests.nn.ops.tensors.graphs import BATCHES, SIZES, check, in_lanes, run


def data(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def reduced(x, layer):
    """What NumPy makes of it."""
    function = np.mean if layer.mean else np.sum
    return function(x, axis=tuple(axis + 1 for axis in layer.axes), keepdims=layer.keepdim)


@pytest.mark.parametrize("shape", [(4,), (3, 5), (2, 3, 4), (1, 3, 1, 2), (2, 3, 2, 1, 3)])
def test_all_sets_of_axes(shape):
    for count in range(len(shape) + 1):
        for axes in itertools.combinations(range(len(shape)), count):
            mean, keepdim = count % 2 == 0, len(axes) % 3 == 1
            layer = Reduce(axes, mean, keepdim)
            expected = reduced(data(5, *shape), layer)
            assert layer.gives(shape) == (expected.shape[1:] or (1,))
            check(
                lambda x, layer=layer: layer.record(x, ""),
                data(5, *shape),
                lambda x, layer=layer: reduced(x, layer),
            )


@settings(max_examples=25)
@given(st.sampled_from(SIZES), st.sampled_from(SIZES), st.integers(0, 1), st.sampled_from(BATCHES))
def test_sizes_around_vectors(rows, columns, axis, n):
    layer = Reduce((axis,), mean=True)
    check(lambda x: layer.record(x, ""), data(n, rows, columns), lambda x: reduced(x, layer))


@pytest.mark.parametrize("axes", [(0,), (1, 2), (2,), (0, 1, 2)])
def test_images_in_lanes_become_rows(axes):
    layer = Reduce(axes, mean=False, keepdim=True)
    check(lambda x: layer.record(in_lanes(x), ""), data(17, 3, 4, 2), lambda x: reduced(x, layer))


def test_means_of_float32_are_not_worse_than_a_plain_sum():
    """Of many numbers that are nearly alike."""
    X = (1000 + data(3, 4096)).astype(np.float32)
    expected = X.astype(float).mean(axis=1)
    found, _, _ = run(lambda x: Reduce((0,), True).record(x, ""), X, np.zeros((3, 1)))
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-6)


def normalized(x):
    """Distances to the mean, times the sum: each value has several readers."""
    mean = Expand(x.shape).record(Reduce((1, 2), True, True).record(x, ""), "")
    total = Expand(x.shape).record(Reduce((0,), False).record(x, ""), "")
    return Product().record_all((Combination(1.0, -1.0).record_all((x, mean)), total))


def test_with_other_readers():
    check(
        normalized,
        data(9, 3, 2, 4),
        lambda x: (x - x.mean((2, 3), keepdims=True)) * x.sum(1, keepdims=True),
    )
    check(
        lambda x: normalized(Function("square").record(in_lanes(x), "")),
        data(9, 3, 2, 4),
        lambda x: (x**2 - (x**2).mean((2, 3), keepdims=True)) * (x**2).sum(1, keepdims=True),
    )


@pytest.mark.parametrize(
    ("shape", "larger"),
    [
        ((1,), (5,)), ((1,), (3, 5)), ((4,), (3, 4)), ((3, 1), (3, 4)), ((1, 4), (3, 4)),
        ((2, 1, 3, 1), (2, 5, 3, 4)), ((1, 3, 1), (2, 4, 3, 2)), ((2, 1, 3, 1, 2), (2, 2, 3, 2, 2)),
        ((3, 4), (3, 4)), ((3, 4), (1, 1, 3, 4)), ((1, 1), (1, 1)), ((17,), (16, 17)),
    ],
)  # fmt: skip
def test_expansion(shape, larger):
    assert Expand(larger).gives(shape) == larger
    aligned = (1,) * (len(larger) - len(shape)) + shape
    for n in (1, 17):
        check(
            lambda x: Product().record_all((Expand(larger).record(x, ""),) * 2),
            data(n, *shape),
            lambda x: np.broadcast_to(x.reshape(len(x), *aligned), (len(x), *larger)) ** 2,
        )


def test_what_is_as_large_already_is_no_work():
    for layer, shape in ((Expand((3, 4)), (3, 4)), (Expand((1, 1, 3)), (3,))):
        (row,) = layer.rows(0, shape, 1)
        assert row.operation.name == "to rows"


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Reduce((2,), True), (3, 4), r"axes must be from 0 to 1 for a value of shape \(3, 4\), got 2"),
        (Reduce((-1,), True), (3, 4), "axes must be from 0 to 1 .*, got -1"),
        (Reduce((0, 0), True), (3, 4), r"axes must differ from each other, got \(0, 0\)"),
        (Expand((3,)), (4,), r"shape must be one to which \(4,\) can be expanded, got \(3,\)"),
        (Expand((3, 4)), (3, 1, 4), r"to which \(3, 1, 4\) can be expanded, got \(3, 4\)"),
        (Expand((1,)), (4,), "shape must be one to which"),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer.gives(shape)


def test_lists_become_tuples():
    assert Reduce([0, 1], True) == Reduce((0, 1), True)
    assert hash(Expand([3, 4])) == hash(Expand((3, 4)))
