"""Where a program puts weights, values and deltas: there and back, side by side, and nothing beyond."""

import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.nn.program import layout as module
from fastkb.nn.program.layout import put_tensor, take_tensor
from fastkb.runtime.cpu import cpu
from fastkb.tile import blocking as tables
from fastkb.tile.blocking import network_blocking
from tests.nn.program.chains import Link, chain

FLOATS = ("float32", "float64")
each_dtype = pytest.mark.parametrize("dtype", FLOATS)

# Bytes of a vector and vector registers, of this processor and of others.
MACHINES = {
    "here": (cpu().vector_bytes, cpu().registers),
    "AVX-512": (64, 32),
    "AVX2": (32, 16),
    "SSE2": (16, 16),
    "NEON": (16, 32),
}
each_machine = pytest.mark.parametrize("machine", MACHINES)


def program_on(machine, layers, dtype):
    """The program as it is laid out on a processor."""
    vector_bytes, registers = MACHINES[machine]
    with pytest.MonkeyPatch.context() as patch:
        fake = types.SimpleNamespace(vector_bytes=vector_bytes, registers=registers)
        patch.setattr(tables, "cpu", lambda: fake)
        patch.setattr(tables, "blocking", tables.blocking.__wrapped__)  # as no cache knows it
        patch.setattr(module, "network_blocking", tables.network_blocking.__wrapped__)
        return chain(layers, dtype)


def edges(dtype):
    """Widths around one and two vectors and panels."""
    sizes = network_blocking(dtype)
    whole = (1, sizes.width, sizes.nr, sizes.nr + sizes.width, 2 * sizes.nr)
    return sorted({w + near for w in whole for near in (-1, 0, 1) if w + near > 0})


def linear(inputs, outputs, biases=True):
    return Link(inputs, outputs, True, biases)


@st.composite
def stacks(draw):
    """Layers whose widths fit together; some are activations alone, some keep their inputs."""
    widths = st.integers(1, 40) | st.sampled_from([63, 64, 65])
    width = draw(widths)
    layers = []
    for _ in range(draw(st.integers(1, 6))):
        has_weights, has_biases, from_output = (draw(st.booleans()) for _ in range(3))
        outputs = draw(widths) if has_weights else width
        has_biases = has_biases and has_weights
        layers.append(Link(width, outputs, has_weights, has_biases, 2, 0.0, from_output))
        width = outputs
    return layers


def parameter_places(row, sizes):
    """Begin and end of a layer's weights and biases."""
    end = row["biases"] + row["panels"] * sizes.nr
    return [(row["weights"], row["biases"]), (row["biases"], end)] if row["has_weights"] else []


def value_places(rows):
    """Begin and end of everything that is kept of one observation, each once."""
    places = {(0, rows[0]["source_stride"])}
    for row in rows:
        places |= {(row[name], row[name] + row["target_stride"]) for name in ("target", "kept")}
    return places


def check_side_by_side(places, size):
    """Places behind each other, from 0 to the size, without gap or overlap."""
    at = 0
    for begin, end in sorted(places):
        assert begin == at
        assert end > begin
        at = end
    assert at == size


@each_dtype
@each_machine
@given(layers=stacks())
def test_places_stand_side_by_side(machine, dtype, layers):
    program = program_on(machine, layers, dtype)
    rows, sizes = program.layers, program.blocking
    assert sizes.width * np.dtype(dtype).itemsize == MACHINES[machine][0]
    assert (program.inputs, program.outputs) == (layers[0].inputs, layers[-1].outputs)
    parameters = [place for row in rows for place in parameter_places(row, sizes)]
    check_side_by_side(parameters, program.parameters)
    check_side_by_side(value_places(rows), program.values)
    linears = rows[rows["has_weights"] == 1]
    transposed = [
        (row["transposed"], row["transposed"] + row["source_stride"] * row["panels"] * sizes.nr)
        for row in linears
        if not row["thin"]
    ]
    check_side_by_side(transposed, program.transposed)


@each_dtype
@each_machine
@given(layers=stacks())
def test_rows_are_chained_and_whole_micro_tiles(machine, dtype, layers):
    program = program_on(machine, layers, dtype)
    rows, sizes = program.layers, program.blocking
    trained = False
    for before, row, layer in zip([None, *rows[:-1]], rows, layers, strict=True):
        if before is not None:
            assert row["source"] == before["target"]
            assert row["source_stride"] == before["target_stride"]
        assert row["wanted"] == trained
        assert row["accumulate"] == 0
        trained |= layer.has_weights
        assert row["differentiated"] == trained
        assert (row["kept"] == row["target"]) == layer.from_output
        assert row["target_stride"] == row["panels"] * sizes.nr
        assert row["outputs"] <= row["target_stride"] < row["outputs"] + max(sizes.nr, sizes.mr)
        assert row["inputs"] <= row["source_stride"]
        if layer.has_weights:
            assert row["inputs"] <= row["inputs_padded"] <= row["source_stride"]
            assert row["inputs_padded"] % sizes.width == 0
            columns = row["outputs"] if row["thin"] else row["target_stride"]
            assert row["biases"] - row["weights"] == columns * row["inputs_padded"]


@each_dtype
@each_machine
@given(layers=stacks())
def test_micro_tiles_of_gradients_stay_in_their_panel(machine, dtype, layers):
    """The gradient of a panel is computed mr inputs at a time, from as many columns of the values."""
    program = program_on(machine, layers, dtype)
    rows, sizes = program.layers, program.blocking
    for row in rows[(rows["has_weights"] == 1) & (rows["thin"] == 0)]:
        covered = -(-row["inputs"] // sizes.mr) * sizes.mr
        assert covered <= row["inputs_padded"]
        assert covered <= row["source_stride"]


@each_dtype
@each_machine
@given(layers=stacks(), wide=st.integers(200, 1200))
def test_blocks_cover_every_parameter_once(machine, dtype, layers, wide):
    layers = [linear(wide, layers[0].inputs), *layers]
    program = program_on(machine, layers, dtype)
    seen, tile = np.zeros(program.parameters, int), max(program.blocking.width, program.blocking.mr)
    for block in program.blocks:
        row = program.layers[block["layer"]]
        seen[block["begin"] : block["end"]] += 1
        seen[block["bias_begin"] : block["bias_end"]] += 1
        assert block["begin"] < block["end"]
        assert block["input"] % tile == 0
        if not row["thin"]:
            rows = block["input_stop"] - block["input"]
            assert rows * program.blocking.nr == block["end"] - block["begin"]
            assert rows <= 256 + tile
    for row, layer in zip(program.layers, layers, strict=True):
        if layer.has_weights:
            assert (seen[row["weights"] : row["biases"]] == 1).all()
        if layer.has_biases:
            assert (seen[row["biases"] : row["biases"] + layer.outputs] == 1).all()
    assert (seen <= 1).all()


@each_dtype
@pytest.mark.parametrize("case", ["inputs", "outputs", "both"])
def test_round_trip(dtype, case):
    for width in edges(dtype):
        inputs = 5 if case == "outputs" else width
        outputs = 5 if case == "inputs" else width
        check_round_trip([linear(2, inputs), linear(inputs, outputs), linear(outputs, 2)], 1, dtype)


@settings(max_examples=50)
@given(layers=stacks(), dtype=st.sampled_from(FLOATS), data=st.data())
def test_round_trip_in_any_stack(layers, dtype, data):
    linears = [k for k, layer in enumerate(layers) if layer.has_weights]
    if linears:
        check_round_trip(layers, data.draw(st.sampled_from(linears)), dtype)


def check_round_trip(layers, index, dtype):
    program = chain(layers, dtype)
    row, sizes = program.layers[index], program.blocking
    outputs, inputs = layers[index].outputs, layers[index].inputs
    rng = np.random.default_rng(inputs * 100 + outputs)
    weights = rng.uniform(1, 2, (outputs, inputs)).astype(dtype)
    biases = rng.uniform(1, 2, outputs).astype(dtype)
    buffer = np.full(program.parameters, np.nan, dtype)
    put_tensor(program, index, "weight", buffer, weights)

    here = np.zeros(len(buffer), bool)
    here[row["weights"] : row["biases"]] = True
    assert np.isnan(buffer[~here]).all()  # nothing outside its own place is touched
    assert np.count_nonzero(buffer[here]) == weights.size  # padding is zero
    assert not np.isnan(buffer[here]).any()
    o, i = np.indices(weights.shape)
    if row["thin"]:
        place = row["weights"] + o * row["inputs_padded"] + i
    else:
        panel = row["weights"] + (o // sizes.nr) * row["inputs_padded"] * sizes.nr
        place = panel + i * sizes.nr + o % sizes.nr
    np.testing.assert_array_equal(buffer[place], weights)

    taken = take_tensor(program, index, "weight", buffer)
    assert taken.dtype == dtype
    np.testing.assert_array_equal(taken, weights)
    taken[...] = -1  # a copy
    np.testing.assert_array_equal(take_tensor(program, index, "weight", buffer), weights)

    before = buffer.copy()
    if not layers[index].has_biases:
        return
    put_tensor(program, index, "bias", buffer, biases)
    np.testing.assert_array_equal(take_tensor(program, index, "bias", buffer), biases)
    here = np.zeros(len(buffer), bool)
    here[row["biases"] : row["biases"] + outputs] = True
    np.testing.assert_array_equal(buffer[here], biases)
    np.testing.assert_array_equal(buffer[~here], before[~here])
    np.testing.assert_array_equal(take_tensor(program, index, "weight", buffer), weights)


@each_dtype
@pytest.mark.parametrize("outputs", [3, 6])
def test_weights_are_overwritten_padding_included(dtype, outputs):
    program = chain([linear(5, outputs)], dtype)
    buffer = np.full(program.parameters, 7, dtype)
    put_tensor(program, 0, "weight", buffer, np.ones((outputs, 5)))  # of another type
    weights = buffer[: program.layers[0]["biases"]]
    assert weights.sum() == 5 * outputs
    assert (buffer[len(weights) :] == 7).all()


@pytest.mark.parametrize("outputs", [3, 6])
@pytest.mark.parametrize("shape", [(5, 3), (3, 4), (4, 5), (5, 6), (6, 4)])
def test_weights_of_another_shape_do_not_fit(shape, outputs):
    program = chain([linear(5, outputs)], "float64")
    with pytest.raises(ValueError, match="broadcast"):
        put_tensor(program, 0, "weight", np.zeros(program.parameters), np.ones(shape))
