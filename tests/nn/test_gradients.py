"""Gradients of random programs: PyTorch's, finite differences, and work that grows with the layers."""

import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb import nn
from fastkb.nn.checks import LOSSES
from fastkb.nn.ops.rules import Rules
from fastkb.nn.program import bands, step
from fastkb.nn.program.engine import Engine
from fastkb.nn.program.passes import Sizes, Span

# With PyTorch's modules, and whether they have two derivatives everywhere.
ACTIVATIONS = {
    nn.ReLU(): ("ReLU", {}, False),
    nn.LeakyReLU(0.3): ("LeakyReLU", {"negative_slope": 0.3}, False),
    nn.ELU(0.7): ("ELU", {"alpha": 0.7}, False),
    nn.Sigmoid(): ("Sigmoid", {}, True),
    nn.Tanh(): ("Tanh", {}, True),
    nn.Softplus(): ("Softplus", {}, True),
    nn.GELU(): ("GELU", {}, True),
    nn.Identity(): ("Identity", {}, True),
}
SMOOTH = [activation for activation, (_, _, smooth) in ACTIVATIONS.items() if smooth]


class Case(NamedTuple):
    """A network with observations."""

    net: nn.Sequential
    X: np.ndarray
    y: np.ndarray
    loss: str
    weights: np.ndarray | None
    l2: float

    @property
    def gradients(self):
        return self.net.loss_and_gradients(
            self.X, self.y, loss=self.loss, sample_weight=self.weights, l2=self.l2
        )


@st.composite
def cases(draw, activations, dtypes):
    widths = st.integers(1, 40)
    width = inputs = draw(widths)
    layers: list[Any] = []
    for _ in range(draw(st.integers(1, 4))):
        following = draw(widths)
        layers += [
            nn.Linear(width, following, draw(st.booleans())),
            draw(st.sampled_from(activations)),
        ]
        width = following
    dtype, loss = draw(st.sampled_from(dtypes)), draw(st.sampled_from(LOSSES))
    outputs = draw(st.integers(2 if loss == "cross_entropy" else 1, 5))
    layers.append(nn.Linear(width, outputs))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(1, 30))
    X = rng.normal(size=(n, inputs)).astype(dtype)
    y = rng.uniform(size=(n, outputs)).astype(dtype)
    if loss == "cross_entropy":
        y = rng.integers(0, outputs, n)
    weights = rng.uniform(0.5, 2, n) if draw(st.booleans()) else None
    net = nn.Sequential(*layers, rng=int(rng.integers(2**32)), dtype=dtype)
    return Case(net, X, y, loss, weights, draw(st.sampled_from([0.0, 0.1])))


def torch_gradients(torch, case):
    """The same by PyTorch's automatic differentiation, in float64."""
    modules = []
    for layer in case.net.layers:
        if isinstance(layer, nn.Linear):
            modules.append(torch.nn.Linear(layer.in_features, layer.out_features, bias=layer.bias))
        else:
            name, arguments, _ = ACTIVATIONS[layer]
            modules.append(getattr(torch.nn, name)(**arguments))
    module = torch.nn.Sequential(*modules).double()
    state = {name: torch.tensor(value) for name, value in case.net.state_dict().items()}
    module.load_state_dict(state)
    z = module(torch.tensor(case.X.astype(float)))
    functional = torch.nn.functional
    if case.loss == "cross_entropy":
        each = functional.cross_entropy(z, torch.tensor(case.y), reduction="none")
    else:
        y = torch.tensor(case.y.astype(float))
        if case.loss == "binary_cross_entropy":
            each = functional.binary_cross_entropy_with_logits(z, y, reduction="none").mean(axis=1)
        else:
            each = ((z - y) ** 2).mean(axis=1) * (0.5 if case.loss.startswith("half") else 1.0)
    weights = np.ones(len(case.X)) if case.weights is None else case.weights
    weights = torch.tensor(weights.astype(case.X.dtype).astype(float))
    loss = (weights * each).sum() / weights.sum()
    for name, parameter in module.named_parameters():
        if name.endswith("weight"):
            loss = loss + case.l2 / 2 * (parameter**2).sum()
    loss.backward()
    gradients = {name: parameter.grad.numpy() for name, parameter in module.named_parameters()}
    return float(loss.detach()), gradients


@settings(max_examples=60)
@given(case=cases(list(ACTIVATIONS), ["float32", "float64"]))
def test_pytorch(case):
    """Within a few hundred roundings of the largest gradient: sums of at most 40 terms, five layers."""
    torch = pytest.importorskip("torch")
    loss, gradients = case.gradients
    expected, theirs = torch_gradients(torch, case)
    eps = np.finfo(case.X.dtype).eps
    assert abs(loss - expected) <= 400 * eps * max(1.0, abs(expected))
    assert gradients.keys() == theirs.keys()
    largest = max(np.abs(array).max() for array in theirs.values())
    for name, array in gradients.items():
        assert array.dtype == case.X.dtype
        np.testing.assert_allclose(array, theirs[name], rtol=0, atol=1000 * eps * max(1.0, largest))


@settings(max_examples=60)
@given(case=cases(SMOOTH, ["float64"]), seed=st.integers(0, 1000))
def test_finite_differences(case, seed):
    """Along a random direction, by the five-point rule: wrong by h⁴, and eps/h of rounding."""
    _, gradients = case.gradients
    start = case.net.state_dict()
    rng = np.random.default_rng(seed)
    direction = {name: rng.normal(size=array.shape) for name, array in start.items()}
    length = np.sqrt(sum(np.sum(array**2) for array in direction.values()))

    def at(step):
        case.net.load_state_dict(
            {name: array + step / length * direction[name] for name, array in start.items()}
        )
        return case.gradients[0]

    h = 1e-3
    slope = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
    expected = sum(np.sum(gradients[name] * direction[name]) for name in start) / length
    size = max(1.0, abs(expected))
    assert abs(slope - expected) <= 1e-8 * size


@pytest.mark.parametrize("depth", [1, 2, 5, 20])
def test_work_grows_with_the_layers_alone(depth, monkeypatch):
    """Forward, each row once; backward, each once and in reverse; of the parameters, each block once."""
    layers: list[Any] = [nn.Linear(6, 9), nn.Tanh()]
    for _ in range(depth - 1):
        layers += [nn.Linear(9, 9), nn.Tanh()]
    engine = Engine(layers, np.dtype("float64"))
    rows = engine.program.layers.view(np.recarray)
    scratch = step.new_scratch(engine.program, 8)
    places = {int(row["target"]): k for k, row in enumerate(engine.program.layers)}
    seen: dict[str, list[int]] = {"forward": [], "differentiate": [], "backward": []}

    def counted(name):
        return lambda *given: seen[name].append(
            places[int(next(one for one in given if hasattr(one, "target")).target)]
        )

    rules = Rules(counted("forward"), counted("backward"), *[None] * (len(Rules._fields) - 2))
    monkeypatch.setattr(bands, "differentiate", counted("differentiate"))
    monkeypatch.setattr(bands, "activate_row", lambda *_: None)
    sizes, span = Sizes(8, 16, 8, 8, 8, 8), Span(0, 8)
    parameters = np.zeros(engine.program.parameters)
    whole = Span(0, depth)
    bands.run_forward.py_func(rules, rows, whole, parameters, scratch, span, sizes)
    bands.run_backward.py_func(rules, rows, whole, parameters, scratch, span, sizes)
    assert len(rows) == depth  # a layer with its activation is one row
    assert seen["forward"] == list(range(depth))
    assert seen["differentiate"] == list(range(depth))[::-1]
    assert seen["backward"] == list(range(depth - 1, 0, -1))
    # Some processors' blocks are smaller than these layers.
    blocks = [int(block["layer"]) for block in engine.program.blocks]
    assert [layer for layer, _ in itertools.groupby(blocks)] == list(range(depth))
