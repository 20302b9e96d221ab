"""What two values give: values and deltas in rows and in lanes, one value twice, errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb import nn
from fastkb.nn.observations import Observations
from fastkb.nn.ops.operation import Node
from fastkb.nn.ops.tensors.functions import Function
from fastkb.nn.ops.tensors.joins import Combination, Concatenate, Product, Quotient, blocks
from fastkb.nn.ops.tensors.reshape import Columns
from fastkb.nn.program.engine import Engine
from tests.nn.ops.tensors.graphs import BATCHES, SIZES, Built, check, in_lanes

JOINS = {
    Combination(): lambda a, b: a + b,
    Combination(0.3, -1.7): lambda a, b: 0.3 * a - 1.7 * b,
    Product(): lambda a, b: a * b,
    Quotient(): lambda a, b: a / b,
}
IMAGES = [(1, 1, 1), (3, 2, 3), (2, 1, 17)]


def data(*shape, seed=0):
    """Away from zero."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.5, 2.0, shape) * rng.choice([-1.0, 1.0], shape)


def square(value):
    return Function("square").record(value, "")


@pytest.mark.parametrize("join", JOINS, ids=repr)
def test_two_values_in_rows(join):
    @settings(max_examples=20)
    @given(st.sampled_from(SIZES), st.sampled_from(BATCHES))
    def of_shape(size, n):
        check(
            lambda x: join.record_all((square(x), x)),
            data(n, size),
            lambda x: JOINS[join](x * x, x),
        )

    of_shape()


@pytest.mark.parametrize("join", JOINS, ids=repr)
@pytest.mark.parametrize("n", BATCHES)
def test_two_values_in_lanes(join, n):
    for shape in IMAGES:
        check(
            lambda x: in_lanes(join.record_all((in_lanes(x), square(in_lanes(x))))),
            data(n, *shape),
            lambda x: JOINS[join](x, x * x),
        )


@pytest.mark.parametrize("join", JOINS, ids=repr)
@pytest.mark.parametrize("begin", [square, lambda x: in_lanes(square(x))], ids=["rows", "lanes"])
def test_one_value_twice_and_elsewhere(join, begin):
    """Whether another reader comes before it or behind it."""

    def build(x):
        value = begin(x)
        one = join.record_all((value, value))
        other = Combination().record_all((value, one))
        return join.record_all((other, square(value)))

    def expected(x):
        value = x * x
        return JOINS[join](value + JOINS[join](value, value), value * value)

    check(build, data(17, 3, 2, 3), expected)


def test_a_value_in_rows_beside_one_in_lanes():
    for join, function in JOINS.items():
        check(
            lambda x, join=join: join.record_all((x, in_lanes(x))),
            data(15, 2, 2, 2),
            lambda x, function=function: function(x, x),
        )
        check(
            lambda x, join=join: join.record_all((in_lanes(square(x)), x)),
            data(15, 2, 2, 2),
            lambda x, function=function: function(x * x, x),
        )


def test_neither_padding_nor_what_has_no_observation_is_divided():
    """Both are 0 / 0."""
    check(
        lambda x: Quotient().record_all((in_lanes(x), in_lanes(x))), data(9, 3, 3, 3), np.ones_like
    )
    check(lambda x: Quotient().record_all((x, x)), data(9, 3), np.ones_like)


def test_what_has_no_observation_does_not_overflow():
    """In lanes without one a convolution gives its intercept, here far from what others give."""
    first, second = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)

    class Network(Built):
        @property
        def parts(self):
            return {"first": first, "second": second}

        def record(self, value, name):
            value = first.record(value, "first")
            return second.record(Product().record_all((value, value)), "second")

    X = np.ones((3, 1, 2, 2))
    engine = Engine(Network(None, None), X.dtype, X.shape[1:])
    parameters = np.zeros(engine.size)
    engine.put("first.weight", np.full((1, 1, 1, 1), -1e200), parameters)
    engine.put("first.bias", np.full(1, 1e200), parameters)
    engine.put("second.weight", np.ones((1, 1, 1, 1)), parameters)
    data = Observations(X, np.ones((3, 4)), np.zeros(0, np.int64), np.zeros(0))
    loss, gradients = engine.loss_and_gradients(parameters, data, "squared_error", 0.0)
    assert loss == 1.0
    assert np.isfinite(gradients).all()


# --- one behind the other -----------------------------------------------------------------------

PAIRS = [
    ((3,), (5,)), ((1,), (17,)), ((2, 3), (2, 1)), ((4, 2, 3), (4, 2, 5)), ((2, 3, 2, 2), (2, 3, 1, 2)),
    ((2, 1, 2, 3, 2), (2, 4, 2, 3, 2)),
]  # fmt: skip


def halves(build, one, other):
    """A graph of both parts of a row, by their shapes."""
    size, whole = int(np.prod(one)), int(np.prod(one) + np.prod(other))

    def of(x):
        return build(Columns(0, size, one).record(x, ""), Columns(size, whole, other).record(x, ""))

    return of


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_concatenation_in_rows(one, other):
    (axis,) = (k for k in range(len(one)) if one[k] != other[k])
    size = int(np.prod(one))
    for n in (1, 16, 17):
        check(
            halves(lambda a, b: Concatenate(axis).record_all((a, square(b))), one, other),
            data(n, size + int(np.prod(other))),
            lambda x: np.concatenate(
                [x[:, :size].reshape(-1, *one), x[:, size:].reshape(-1, *other) ** 2], axis + 1
            ),
        )


@pytest.mark.parametrize("axis", range(3))
def test_concatenation_in_lanes(axis):
    one, other = [3, 2, 4], [3, 2, 4]
    other[axis] = 5
    size = 24
    for n in (1, 16, 17):
        check(
            halves(
                lambda a, b: in_lanes(
                    Concatenate(axis).record_all((in_lanes(a), square(in_lanes(b))))
                ),
                tuple(one),
                tuple(other),
            ),
            data(n, size + int(np.prod(other))),
            lambda x: np.concatenate(
                [x[:, :size].reshape(-1, *one), x[:, size:].reshape(-1, *other) ** 2], axis + 1
            ),
        )


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("begin", [square, lambda x: in_lanes(square(x))], ids=["rows", "lanes"])
def test_a_value_behind_itself(axis, begin):
    def build(x):
        value = begin(x)
        doubled = Concatenate(axis).record_all((value, value))
        return Concatenate(axis).record_all((doubled, value))

    check(build, data(17, 2, 3, 2), lambda x: np.concatenate([x * x] * 3, axis + 1))


def test_blocks():
    assert blocks((3, 4, 5), 0) == (1, 60, 20, 3)
    assert blocks((3, 4, 5), 1) == (3, 20, 1, 60)
    assert blocks((3, 4, 5), 2) == (12, 5, 4, 15)
    assert blocks((7,), 0) == (1, 7, 1, 7)


@pytest.mark.parametrize(
    ("join", "shapes", "message"),
    [
        (Combination(), ((3,), (4,)), r"takes two values of one shape, and gets \(3,\) and \(4,\)"),
        (Product(), ((3, 1), (3,)), r"takes two values of one shape, and gets \(3, 1\) and \(3,\)"),
        (Quotient(), ((3,), (1,)), "takes two values of one shape"),
        (Concatenate(1), ((3,), (4,)), r"axis must be from 0 to 0 for a value of shape \(3,\), got 1"),
        (Concatenate(-1), ((3,), (4,)), r"axis must be from 0 to 0 .*, got -1"),
        (Concatenate(0), ((3, 2), (4, 1)), r"agree in all axes but 0, and gets \(3, 2\) and \(4, 1\)"),
        (Concatenate(1), ((3, 2), (3,)), "agree in all axes but 1"),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit(join, shapes, message):
    values = tuple(Node(None, (), shape) for shape in shapes)
    with pytest.raises(ValueError, match=message):
        join.record_all(values)


def test_equal_joins_are_one():
    assert len({Combination(), Combination(1.0, 1.0), Product(), Product(), Concatenate(1)}) == 3
    assert Concatenate(0) != Concatenate(1)
