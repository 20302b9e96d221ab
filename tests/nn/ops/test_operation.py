"""What a layer says of itself where its class says nothing more."""

import pytest

from fastkb import nn
from fastkb.nn.ops.activation import ELEMENTWISE
from fastkb.nn.ops.operation import CLASSES, Layer, Node, shown


class Narrow(Layer):
    described = False
    operation = ELEMENTWISE
    widths = 3, 2


@pytest.mark.parametrize(
    ("shape", "words"), [((5,), "(5,)"), ((3, None, 4), "(3, ?, 4)"), ((None,), "(?,)")]
)
def test_shapes_in_words(shape, words):
    assert shown(shape) == words


def test_a_layer_of_rows_takes_its_width():
    layer = Narrow()
    assert layer.shape_of((3,)) == layer.shape_of(None) == layer.shape_of((None,)) == (2,)
    assert (layer.takes, layer.smallest) == ((3,), (3,))
    with pytest.raises(ValueError, match="takes 3 inputs, and gets 4"):
        layer.shape_of((4,))
    with pytest.raises(ValueError, match=r"images \(3, 4, 4\): put Flatten\(\) between"):
        layer.shape_of((3, 4, 4))


def test_a_layer_is_one_row_of_its_operation():
    (row,) = Narrow().rows(7, (3,), 9)
    assert (row.operation, row.reads, row.outputs, row.shapes) == (ELEMENTWISE, (7,), 2, {})
    node = Narrow().record(Node(None, (), (3,)), "a")
    assert (node.shape, node.name) == ((2,), "a")


def test_classes_are_known_by_name_if_files_can_describe_them():
    assert CLASSES["Linear"] is nn.Linear
    assert not any(found is Narrow for found in CLASSES.values())
