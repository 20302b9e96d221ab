"""The same elements in another shape or order, or some of them, against NumPy."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb import nn
from fastkb.nn.ops.layers import rows_of
from fastkb.nn.ops.operation import Node
from fastkb.nn.ops.tensors.functions import Function
from fastkb.nn.ops.tensors.joins import Combination, Concatenate, Product
from fastkb.nn.ops.tensors.reshape import Columns, Permute, Reshape, Slice
from tests.nn.ops.tensors.graphs import BATCHES, SIZES, check, in_lanes


def data(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def square(value):
    return Function("square").record(value, "")


# --- reshaping ----------------------------------------------------------------------------------


@pytest.mark.parametrize("begin", [square, lambda x: in_lanes(square(x))], ids=["rows", "lanes"])
def test_a_value_and_its_other_shapes_have_many_readers(begin):
    def build(x):
        value = begin(x)
        flat = Reshape((24,)).record(value, "")
        turned = Reshape((4, 3, 2)).record(flat, "")
        back = Reshape((2, 3, 4)).record(nn.Tanh().record(in_lanes(turned), ""), "")
        both = Product().record_all((value, back))
        return Combination().record_all((Reshape((24,)).record(both, ""), flat))

    check(build, data(17, 2, 3, 4), lambda x: x**2 * np.tanh(x**2) + x**2)


def test_reshaping_is_no_row():
    start = Node(None, (), (6,))
    value = nn.Linear(6, 6).record(start, "a")
    end = nn.Linear(4, 2).record(
        Columns(0, 4, (4,)).record(Reshape((2, 3)).record(value, ""), ""), "b"
    )
    assert [row.operation.name for row in rows_of(end)] == ["dense", "take", "dense"]


def test_a_graph_of_nothing_but_shapes_has_a_row():
    start = Node(None, (), (6,))
    end = Reshape((6,)).record(Reshape((2, 3)).record(start, ""), "")
    assert [row.operation.name for row in rows_of(end)] == ["elementwise"]


def test_an_activation_behind_another_shape_leaves_the_value_alone():
    def build(x):
        value = square(x)
        one = nn.Tanh().record(Reshape((2, 3)).record(value, ""), "")
        return Combination().record_all((value, Reshape((6,)).record(one, "")))

    check(build, data(5, 6), lambda x: x**2 + np.tanh(x**2))


# --- parts --------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.data(), st.sampled_from(SIZES), st.sampled_from(BATCHES))
def test_columns(draws, size, n):
    begin = draws.draw(st.integers(0, size - 1))
    stop = draws.draw(st.integers(begin + 1, size))
    check(
        lambda x: Columns(begin, stop, (1, stop - begin)).record(x, ""),
        data(n, size),
        lambda x: x[:, begin:stop],
    )


def test_parts_that_overlap_and_leave_gaps():
    """Of the first one that is taken back the others are zero, and each other one leaves them alone."""

    def build(x):
        value = square(x)
        one = Columns(2, 8, (2, 3)).record(value, "")
        other = Columns(4, 10, (2, 3)).record(value, "")
        both = Product().record_all((one, other))
        return Combination().record_all((both, Columns(8, 14, (2, 3)).record(value, "")))

    def expected(x):
        y = x**2
        return y[:, 2:8] * y[:, 4:10] + y[:, 8:14]

    check(build, data(17, 20), expected)
    check(
        lambda x: build(in_lanes(x)), data(17, 5, 2, 2), lambda x: expected(x.reshape(len(x), -1))
    )


SHAPES = [(7,), (3, 5), (2, 4, 3), (3, 2, 2, 4), (2, 3, 2, 2, 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_slices(shape):
    for axis, size in enumerate(shape):
        for begin, stop in ((0, size), (0, 1), (1, size), (size - 1, size), (size // 2, size)):
            if begin < stop:
                layer = Slice(axis, begin, stop)
                key = (slice(None),) * (axis + 1) + (slice(begin, stop),)
                assert layer.gives(shape) == data(1, *shape)[key].shape[1:]
                check(
                    lambda x, layer=layer: layer.record(x, ""),
                    data(3, *shape),
                    lambda x, key=key: x[key],
                )


def test_pieces_put_together():
    """All of a value but in another order, some of it twice."""

    def build(x):
        value = square(x)
        parts = [Slice(1, *ends).record(value, "") for ends in ((2, 5), (0, 2), (1, 3))]
        first = Concatenate(1).record_all((parts[0], parts[1]))
        return Concatenate(1).record_all((first, parts[2]))

    check(build, data(17, 2, 5, 3), lambda x: x[:, :, [2, 3, 4, 0, 1, 1, 2]] ** 2)
    check(
        lambda x: build(in_lanes(x)),
        data(17, 2, 5, 3),
        lambda x: x[:, :, [2, 3, 4, 0, 1, 1, 2]] ** 2,
    )


# --- orders -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4), (2, 1, 3, 2)])
def test_all_orders(shape):
    for order in itertools.permutations(range(len(shape))):
        layer = Permute(order)
        axes = 0, *(axis + 1 for axis in order)
        assert layer.gives(shape) == data(1, *shape).transpose(axes).shape[1:]
        check(
            lambda x, layer=layer: layer.record(square(x), ""),
            data(5, *shape),
            lambda x, axes=axes: x.transpose(axes) ** 2,
        )


@pytest.mark.parametrize("order", [(4, 3, 2, 1, 0), (2, 0, 4, 1, 3), (0, 1, 2, 4, 3)])
def test_orders_of_five_axes(order):
    check(
        lambda x: Permute(order).record(x, ""),
        data(3, 2, 3, 2, 3, 2),
        lambda x: x.transpose(0, *(axis + 1 for axis in order)),
    )


@settings(max_examples=20)
@given(st.sampled_from(SIZES), st.sampled_from(SIZES), st.sampled_from(BATCHES))
def test_transposes_around_vectors(rows, columns, n):
    check(
        lambda x: Product().record_all(
            (Permute((1, 0)).record(x, ""), Reshape((columns, rows)).record(x, ""))
        ),
        data(n, rows, columns),
        lambda x: x.transpose(0, 2, 1) * x.reshape(n, columns, rows),
    )


def test_images_as_sequences_and_back():
    check(
        lambda x: in_lanes(
            Permute((2, 0, 1)).record(square(Permute((1, 2, 0)).record(in_lanes(x), "")), "")
        ),
        data(17, 3, 4, 5),
        np.square,
    )


def test_what_changes_nothing_is_no_work():
    for layer, shape in (
        (Permute((0, 1, 2)), (3, 4, 5)),
        (Permute((1, 0)), (1, 4)),
        (Slice(1, 0, 4), (3, 4)),
        (Columns(0, 12, (6, 2)), (3, 4)),
        (Reshape((12,)), (3, 4)),
    ):
        (row,) = layer.rows(0, shape, 1)
        assert row.operation.name == "to rows"


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Reshape((5,)), (2, 3), r"shape must have the 6 elements of \(2, 3\), got \(5,\)"),
        (Columns(2, 2, (1,)), (4,), "begin and stop must be a part of 0 to 4, got 2 and 2"),
        (Columns(-1, 2, (3,)), (4,), "begin and stop must be a part of 0 to 4, got -1 and 2"),
        (Columns(0, 5, (5,)), (2, 2), "begin and stop must be a part of 0 to 4, got 0 and 5"),
        (Columns(1, 3, (3,)), (4,), r"shape must have 2 elements, from begin=1 to stop=3, got \(3,\)"),
        (Slice(2, 0, 1), (3, 4), "axis must be from 0 to 1 .*, got 2"),
        (Slice(1, 3, 5), (3, 4), "begin and stop must be a part of 0 to 4, got 3 and 5"),
        (Permute((0, 0)), (3, 4), r"order must differ from each other, got \(0, 0\)"),
        (Permute((0, 2)), (3, 4), "order must be from 0 to 1 .*, got 2"),
        (Permute((0,)), (3, 4), r"order must have all 2 axes of a value of shape \(3, 4\), got \(0,\)"),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer.gives(shape)


def test_lists_become_tuples():
    assert Permute([1, 0]) == Permute((1, 0))
    assert len({Reshape([2, 3]), Reshape((2, 3)), Columns(0, 6, [6]), Columns(0, 6, (6,))}) == 2
