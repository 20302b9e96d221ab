"""Embeddings beside the definition and PyTorch; numbers that are none of a table's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb import nn
from fastkb.nn.ops.layers import OPERATIONS, lower
from fastkb.nn.program.layout import make_program
from fastkb.reference import normalization as reference
from tests.nn.ops.differences import assert_gradients, assert_same_bits
from tests.nn.ops.test_graph import Wired, total


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([1, 2, 7, 50]),
    st.sampled_from([1, 3, 7, 8, 16, 17]),
    st.sampled_from([1, 2, 9]),
    st.sampled_from([1, 15, 16, 17, 33]),
    st.sampled_from(["float32", "float64"]),
)
def test_outputs_and_gradients_are_those_of_the_definition(count, width, k, n, dtype):
    network = nn.Sequential(nn.Embedding(count, width), rng=0, dtype=dtype)
    weight, rng = network.state_dict()["0.weight"], np.random.default_rng(n)
    X, y = rng.integers(0, count, (n, k)), rng.standard_normal((n, k * width)).astype(dtype)
    expected = reference.embedding(X, weight)
    np.testing.assert_array_equal(network.forward(X), expected)
    difference = expected.reshape(n, -1).astype(float) - y
    delta = (2 * difference / difference.size).reshape(expected.shape)
    _, gradients = network.loss_and_gradients(X, y)
    np.testing.assert_allclose(
        gradients["0.weight"],
        reference.embedding_backward(delta, X, weight.shape),
        rtol=1e-5 if dtype == "float32" else 1e-12,
        atol=1e-5 if dtype == "float32" else 1e-12,
    )


def test_first_weights_are_normal():
    weight = nn.Sequential(nn.Embedding(400, 50), rng=0).state_dict()["0.weight"]
    assert weight.shape == (400, 50)
    assert abs(weight.mean()) < 5 / np.sqrt(weight.size)
    assert abs(weight.var() - 1) < 5 * np.sqrt(2 / weight.size)


def twice(call, x):
    """Two tables of the same numbers, of which one is read once more."""
    first = call("a", x)
    return call("c", call("flat", total(first, call("b", x), call("tanh", first))))


TABLES = {
    "a": nn.Embedding(9, 3), "b": nn.Embedding(12, 3), "tanh": nn.Tanh(), "flat": nn.Flatten(),
    "c": nn.Linear(12, 2),
}  # fmt: skip


def test_gradients_are_those_of_differences():
    X = np.random.default_rng(0).integers(0, 9, (17, 4)).astype(float)
    assert_gradients(Wired(TABLES, twice), X, places=8)


LARGE = [nn.Embedding(3000, 17), nn.LayerNorm(17), nn.Flatten(), nn.Linear(51, 2)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("network", [Wired(TABLES, twice), LARGE], ids=["small", "large"])
def test_threads_bring_the_same_bits(network, dtype):
    k, most = (4, 9) if isinstance(network, Wired) else (3, 3000)
    X = np.random.default_rng(0).integers(0, most, (33, k)).astype(dtype)
    assert_same_bits(network, X)


@pytest.mark.parametrize(
    ("count", "width", "blocks"),
    [(10, 4, 1), (3000, 17, 4), (2**20, 1, 16), (16384, 2, 2), (3, 2**16, 3)],
)
def test_blocks_are_few_and_have_all_rows(count, width, blocks):
    rows = lower([nn.Embedding(count, width)], (2,))
    program = make_program(2, rows, "float32", OPERATIONS)
    begins, ends = program.blocks["begin"], program.blocks["end"]
    assert len(begins) == blocks
    np.testing.assert_array_equal(begins[1:], ends[:-1])
    assert (begins[0], ends[-1]) == (0, count * width)
    np.testing.assert_array_equal(program.blocks["input"][1:], program.blocks["input_stop"][:-1])
    np.testing.assert_array_equal(
        (program.blocks["input_stop"] - program.blocks["input"]) * width, ends - begins
    )


def test_a_table_of_several_blocks_has_all_gradients():
    network = nn.Sequential(*LARGE, rng=0)
    X = np.array([[0, 2999, 1500], [963, 964, 965], [0, 0, 2998]])
    _, gradients = network.loss_and_gradients(X, np.ones((3, 2)))
    moved = np.flatnonzero(np.abs(gradients["0.weight"]).sum(axis=1))
    np.testing.assert_array_equal(moved, np.unique(X))


@pytest.mark.parametrize("optimizer", [nn.SGD(0.1, 0.9), nn.Adam(0.01)])
def test_steps_are_torchs(optimizer):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 11, (40, 3)), rng.standard_normal((40, 2))
    layers = nn.Embedding(11, 5), nn.Flatten(), nn.Linear(15, 2)
    network = nn.Sequential(*layers, rng=0, dtype="float64")
    T = torch.nn
    theirs = T.Sequential(T.Embedding(11, 5), T.Flatten(), T.Linear(15, 2)).double()
    state = network.state_dict()
    assert list(state) == list(theirs.state_dict())
    theirs.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    if isinstance(optimizer, nn.SGD):
        their = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    else:
        their = torch.optim.Adam(theirs.parameters(), lr=0.01)
    for begin in [0, 16, 32] * 10:
        their.zero_grad()
        batch = slice(begin, begin + 16)
        T.functional.mse_loss(theirs(torch.tensor(X[batch])), torch.tensor(y[batch])).backward()
        their.step()
    network.fit(X, y, optimizer=optimizer, epochs=10, batch_size=16, shuffle=False)
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(network.state_dict()[name], value.numpy(), atol=1e-9)


def test_files_hold_it_and_members_have_tables_of_their_own(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 20, (30, 2)), rng.standard_normal(30)
    layers = nn.Embedding(20, 4), nn.Flatten(), nn.Linear(8, 1)
    network = nn.Sequential(*layers, rng=0).fit(X, y, epochs=2, optimizer=nn.Adam())
    network.save(tmp_path / "network.npz")
    loaded = nn.load(tmp_path / "network.npz")
    assert loaded.layers == layers
    for each in (network, loaded):
        each.fit(X, y, epochs=2, optimizer=nn.Adam())
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(loaded.state_dict()[name], value)
    ensemble = nn.bootstrap_fit(network, X, y, n_resamples=3, epochs=2, rng=0)
    weights = [ensemble.state_dict(b)["0.weight"] for b in range(3)]
    assert not np.array_equal(weights[0], weights[1])
    member = nn.Sequential(*layers)
    member.load_state_dict(ensemble.state_dict(2))
    np.testing.assert_array_equal(member.forward(X), ensemble.forward(X)[2])


def refused(X):
    """What a network of a table of ten rows says of these inputs, wherever it is given them."""
    network = nn.Sequential(nn.Embedding(10, 2), nn.Flatten(), nn.Linear(4, 1), rng=0)
    good, y = np.zeros((3, 2)), np.zeros(3)
    said = []
    for call in (
        lambda: network.forward(X),
        lambda: network.fit(X, y),
        lambda: network.fit(good, y, validation_data=(X, y)),
        lambda: network.loss_and_gradients(X, y),
        lambda: nn.bootstrap_fit(network, X, y, n_resamples=2),
    ):
        with pytest.raises(ValueError, match=r"X of shape .* does not fit the network") as error:
            call()
        said.append(str(error.value))
    assert network.history["loss"] == []  # nothing has been done
    assert len({each.removeprefix("validation_data: ") for each in said}) == 1
    return said[0]


@pytest.mark.parametrize("wrong", [10, -1, 2.5, 2**24, 1e300])
@pytest.mark.parametrize("dtype", [np.float64, object])
def test_numbers_must_be_those_of_rows(wrong, dtype):
    X = np.zeros((3, 2), dtype)
    X[1, 1] = wrong
    said = refused(X)
    assert "layer 0, Embedding(num_embeddings=10, embedding_dim=2), takes whole numbers" in said
    assert f"from 0 to 9, and gets {float(wrong)}" in said


def test_layers_within_layers_are_asked():
    inner = nn.Residual(nn.Embedding(4, 2), nn.Tanh(), shortcut=nn.Embedding(3, 2))
    network = nn.Sequential(inner, rng=0)
    assert network.forward(np.array([[2, 0]])).shape == (1, 2, 2)
    for wrong, most in ((3, 2), (4, 3)):
        with pytest.raises(ValueError, match=f"layer 0, Residual.*, layer 0, .* from 0 to {most},"):
            network.forward(np.array([[wrong, 0]]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Embedding(0, 2), "num_embeddings must be a whole number from 1 to 16777216"),
        (lambda: nn.Embedding(2**24 + 1, 2), "num_embeddings must be a whole number from 1 to 16777216"),
        (lambda: nn.Embedding(3, 1.5), "embedding_dim must be a whole number of at least 1"),
        (lambda: nn.Sequential(nn.Conv2d(1, 1, 1), nn.Embedding(3, 2)),
         r"layer 1, Embedding.*takes rows of whole numbers, and gets shape \(1, \?, \?\)"),
        (lambda: nn.Sequential(nn.Embedding(3, 2)).forward(np.zeros((2, 3, 1))), "array with dim 3"),
        (lambda: nn.Sequential(nn.Embedding(3, 2), nn.Flatten(), nn.Linear(4, 1)).forward(
            np.zeros((2, 3))), "X of shape .2, 3. does not fit .* takes 4 inputs, and gets 6"),
        (lambda: nn.Sequential(nn.Linear(2, 2), nn.Embedding(3, 2)).forward(np.zeros((2, 2))),
         r"layer 1, Embedding.*takes the network's inputs, .* and gets what Linear\(.*\) gives"),
    ],
)  # fmt: skip
def test_bad_arguments(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_what_stands_behind_a_batch_is_no_number():
    """A large batch leaves its numbers, and a smaller one of fewer rows is computed beside them."""
    network = nn.Sequential(nn.Embedding(5, 3), rng=0, dtype="float32")
    X = np.arange(33)[:, None] % 5
    for n in (33, 1, 17):
        np.testing.assert_array_equal(
            network.forward(X[:n]), network.state_dict()["0.weight"][X[:n]]
        )
