"""Layers: what they refuse, how first weights are drawn, and the rows that they become."""

import dataclasses
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb import nn
from fastkb.nn.ops.activation import ELEMENTWISE
from fastkb.nn.ops.dense import DENSE
from fastkb.nn.ops.graph import input_shape
from fastkb.nn.ops.layers import lower
from fastkb.scalar.activations import ACTIVATIONS

# Deviations of a mean from its expectation, in standard deviations, that are an error: a correct draw
# of another seed is beyond it once in 1.7 million cases.
Z = 5.0

FUNCTIONS = {
    nn.Identity(): ("identity", 0.0),
    nn.ReLU(): ("relu", 0.0),
    nn.LeakyReLU(0.3): ("leaky_relu", 0.3),
    nn.ELU(0.7): ("elu", 0.7),
    nn.Sigmoid(): ("sigmoid", 0.0),
    nn.Tanh(): ("tanh", 0.0),
    nn.Softplus(): ("softplus", 0.0),
    nn.GELU(): ("gelu", 0.0),
    nn.Sign(): ("sign", 0.0),
}


def code(name):
    return [activation.name for activation in ACTIVATIONS].index(name)


def limit(initialization, n, m):
    return math.sqrt({"torch": 1 / n, "he": 6 / n, "glorot": 6 / (n + m)}[initialization])


# --- the dataclasses --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["in_features", "out_features"])
@pytest.mark.parametrize("width", [0, -3, 2.0, 2.5, "4", None, True, np.nan, [3]])
def test_bad_widths(name, width):
    with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1, got"):
        nn.Linear(**{"in_features": 2, "out_features": 3, name: width})


def test_widths_become_plain_integers():
    layer = nn.Linear(np.int32(4), np.uint8(3))
    assert (type(layer.in_features), type(layer.out_features)) == (int, int)
    assert layer == nn.Linear(4, 3)
    assert hash(layer) == hash(nn.Linear(4, 3))
    assert nn.Linear(4, 3, bias=np.bool_(False)).bias is False


@pytest.mark.parametrize(
    ("name", "closest"),
    [("hee", "he"), ("xavier_glorot", "glorot"), ("Torch", "torch")],
)
def test_the_closest_initialization_is_suggested(name, closest):
    message = (
        f"initialization must be one of torch, he, glorot, got '{name}'; did you mean '{closest}'?"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        nn.Linear(2, 3, initialization=name)


@pytest.mark.parametrize("name", ["uniform", None, 3, ["he"]])
def test_unknown_initializations(name):
    with pytest.raises(ValueError, match=r"initialization must be one of torch, he, glorot, got"):
        nn.Linear(2, 3, initialization=name)


@pytest.mark.parametrize(("layer", "name"), [(nn.LeakyReLU, "negative_slope"), (nn.ELU, "alpha")])
def test_slopes(layer, name):
    for wrong in (-0.1, -np.inf, np.nan, np.inf, "a", None, True):
        with pytest.raises(ValueError, match=f"{name} must be"):
            layer(wrong)
    for right in (0, 1, 2.5, np.float32(0.25)):
        parameter = layer(right).parameter
        assert parameter == right
        assert type(parameter) is float


def test_layers_never_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        nn.Linear(2, 3).in_features = 4
    with pytest.raises(dataclasses.FrozenInstanceError):
        nn.LeakyReLU().negative_slope = 1.0


@pytest.mark.parametrize("layer", [nn.Linear(2, 3, False, "he"), *FUNCTIONS], ids=repr)
def test_the_name_of_a_layer_makes_it_again(layer):
    assert eval(repr(layer), vars(nn)) == layer


# --- first weights ------------------------------------------------------------------------------


@pytest.mark.parametrize("initialization", ["torch", "he", "glorot"])
def test_moments_of_the_draws(initialization):
    """Even from -r to r: mean 0, variance r²/3, fourth moment r⁴/5."""
    n, m = 60, 80
    layer = nn.Linear(n, m, initialization=initialization)
    weights = layer.draw(np.random.default_rng(1))["weight"]
    assert weights.shape == (m, n)
    scaled = weights / limit(initialization, n, m)
    count = n * m
    assert np.abs(scaled).max() <= 1
    assert abs(scaled.mean()) < Z * math.sqrt(1 / 3 / count)
    assert abs(np.mean(scaled**2) - 1 / 3) < Z * math.sqrt((1 / 5 - 1 / 9) / count)
    # No draw in the outer hundredth: 0.99⁴⁸⁰⁰ = 1e-21; and on either side.
    assert scaled.max() > 0.99
    assert scaled.min() < -0.99


def test_torchs_biases_have_the_range_of_the_weights():
    n, m = 9, 5000
    biases = nn.Linear(n, m).draw(np.random.default_rng(2))["bias"]
    scaled = biases * 3
    assert biases.shape == (m,)
    assert 0.99 < np.abs(scaled).max() <= 1
    assert abs(np.mean(scaled**2) - 1 / 3) < Z * math.sqrt((1 / 5 - 1 / 9) / m)


@pytest.mark.parametrize("initialization", ["he", "glorot"])
def test_other_biases_begin_at_zero(initialization):
    layer = nn.Linear(4, 7, initialization=initialization)
    biases = layer.draw(np.random.default_rng(0))["bias"]
    assert biases.shape == (7,)
    assert not biases.any()


@given(
    n=st.integers(1, 40),
    m=st.integers(1, 40),
    initialization=st.sampled_from(["torch", "he", "glorot"]),
    bias=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_shapes_and_ranges(n, m, initialization, bias, seed):
    layer = nn.Linear(n, m, bias, initialization)
    drawn = layer.draw(np.random.default_rng(seed))
    weights = drawn["weight"]
    assert {name: tensor.shape for name, tensor in drawn.items()} == layer.shapes()
    assert weights.shape == (m, n)
    assert np.abs(weights).max() <= limit(initialization, n, m)
    assert ("bias" in drawn) == bias
    if bias:
        biases = drawn["bias"]
        assert biases.shape == (m,)
        assert np.abs(biases).max() <= limit(initialization, n, m)
    again = layer.draw(np.random.default_rng(seed))["weight"]
    np.testing.assert_array_equal(again, weights)


# --- rows of a program --------------------------------------------------------------------------


def lowered(layers):
    """The rows, and which of them has the tensors of which layer."""
    rows = lower(layers, input_shape(layers))
    return rows, {int(row.layer): place for place, row in enumerate(rows) if row.layer}


def without_places(rows):
    """Rows as they would be at any place of a network."""
    return [row._replace(layer="") for row in rows]


@pytest.mark.parametrize("activation", FUNCTIONS, ids=repr)
def test_an_activation_is_computed_with_the_layer_before(activation):
    rows, places = lowered([nn.Linear(3, 5), activation])
    name, parameter = FUNCTIONS[activation]
    assert places == {0: 0}
    assert len(rows) == 1
    (row,) = rows
    assert (row.operation, row.reads, row.outputs) == (DENSE, (0,), 5)
    assert row.shapes == {"weight": (5, 3), "bias": (5,)}
    assert row.shape == (5,)
    assert (row.activation, row.parameter) == (code(name), parameter)
    assert row.from_output == ACTIVATIONS[code(name)].from_output


def test_identities_leave_nothing_behind():
    bare, places = lowered([nn.Linear(3, 5), nn.Linear(5, 2, bias=False)])
    assert places == {0: 0, 1: 1}
    assert [row.activation for row in bare] == [code("identity")] * 2
    assert [list(row.shapes) for row in bare] == [["weight", "bias"], ["weight"]]
    some = nn.Identity()
    rows, places = lowered([some, nn.Linear(3, 5), some, some, nn.Linear(5, 2, bias=False), some])
    assert without_places(rows) == without_places(bare)
    assert places == {1: 0, 4: 1}
    rows, _ = lowered([nn.Linear(3, 5), some, nn.ReLU()])
    assert rows == lowered([nn.Linear(3, 5), nn.ReLU()])[0]


def test_an_activation_in_front_is_a_row_of_its_own():
    rows, places = lowered([nn.Tanh(), nn.Linear(3, 5)])
    assert places == {1: 1}
    assert [(row.operation, row.reads, row.outputs) for row in rows] == [
        (ELEMENTWISE, (0,), 3),
        (DENSE, (1,), 5),
    ]
    assert [row.activation for row in rows] == [code("tanh"), code("identity")]


def test_of_two_activations_in_a_row_the_second_is_a_row_of_its_own():
    rows, places = lowered([nn.Linear(3, 5), nn.ReLU(), nn.ELU(0.5), nn.Tanh(), nn.Linear(5, 1)])
    assert places == {0: 0, 4: 3}
    assert [row.activation for row in rows] == [
        code(name) for name in ("relu", "elu", "tanh", "identity")
    ]
    assert [(row.operation, row.reads, row.outputs) for row in rows] == [
        (DENSE, (0,), 5),
        (ELEMENTWISE, (1,), 5),
        (ELEMENTWISE, (2,), 5),
        (DENSE, (3,), 1),
    ]
    assert rows[1].parameter == 0.5


def test_the_same_layer_twice_is_two_rows():
    square = nn.Linear(4, 4)
    rows, places = lowered([square, nn.ReLU(), square])
    assert places == {0: 0, 2: 1}
    assert [row.activation for row in rows] == [code("relu"), code("identity")]
