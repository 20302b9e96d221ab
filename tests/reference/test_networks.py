"""The oracles of neural networks: by hand, against finite differences, mpmath and PyTorch."""

import math
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fastkb.reference import networks

EPS = np.finfo(float).eps
STEP = EPS ** (1 / 3)  # balances the h² of a central difference with its rounding eps/h
PARAMETERS = {"leaky_relu": 0.2, "elu": 0.7}
DIFFERENTIABLE = [name for name in networks.ACTIVATIONS if name != "sign"]
SMOOTH = ["identity", "sigmoid", "tanh", "softplus", "gelu"]
OUTPUT_LOSSES = [name for name in networks.LOSSES if name != "cross_entropy"]


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def check_gradient(function, point, gradient):
    """Central differences of a scalar function, one element of the point after the other.

    Their error falls as h², so a step twice as long says how much of it is left: a third of the
    difference of the two, besides rounding.
    """
    assert gradient.shape == point.shape
    for index in np.ndindex(point.shape):
        slopes, largest = [], 1.0
        for h in (STEP, 2 * STEP):
            up, down = point.copy(), point.copy()
            up[index] += h
            down[index] -= h
            high, low = function(up), function(down)
            slopes.append((high - low) / (up[index] - down[index]))
            largest = max(largest, abs(high), abs(low))
        error = abs(slopes[0] - slopes[1]) + 32 * EPS * largest / STEP
        assert abs(gradient[index] - slopes[0]) <= error, index


# --- activations --------------------------------------------------------------------------------


def normal_cdf(x):
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2


# name -> (g, g'), in as many digits as wanted
EXACT = {
    "sigmoid": (
        lambda x: 1 / (1 + mpmath.exp(-x)),
        lambda x: mpmath.exp(-x) / (1 + mpmath.exp(-x)) ** 2,
    ),
    "tanh": (mpmath.tanh, lambda x: mpmath.sech(x) ** 2),
    "elu": (
        lambda x: x if x > 0 else mpmath.mpf(0.7) * mpmath.expm1(x),
        lambda x: mpmath.mpf(1) if x > 0 else mpmath.mpf(0.7) * mpmath.exp(x),
    ),
    "softplus": (
        lambda x: mpmath.log(1 + mpmath.exp(x)),
        lambda x: 1 / (1 + mpmath.exp(-x)),
    ),
    "gelu": (lambda x: x * normal_cdf(x), lambda x: normal_cdf(x) + x * mpmath.npdf(x)),
}


@pytest.mark.parametrize("name", EXACT)
def test_activations_have_nearly_all_digits_everywhere(name):
    x = np.concatenate([np.linspace(-30, 30, 121), [-1e-9, 1e-9, -1e-300]])
    # Rounding inside Φ and φ of x or x² / 2 changes them by the factor exp(x² eps) at most; where
    # the two terms of the derivative cancel, near -0.75, the larger sets the scale.
    multiple = 8 + 2 * x**2 if name == "gelu" else np.full(x.shape, 8.0)
    with mpmath.workdps(50):
        for function, exact in zip(networks.ACTIVATIONS[name], EXACT[name], strict=True):
            got = function(x, PARAMETERS.get(name))
            expected = np.array([float(exact(mpmath.mpf(value))) for value in x])
            scale = np.abs(expected)
            if name == "gelu" and function is networks.gelu_derivative:
                scale = np.maximum(
                    scale, [float(abs(value) * mpmath.npdf(value)) for value in x.tolist()]
                )
            assert (np.abs(got - expected) <= multiple * EPS * scale).all()


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_derivatives_against_finite_differences(name):
    function, derivative = networks.ACTIVATIONS[name]
    x = np.random.default_rng(0).uniform(-6, 6, 200)
    x = x[np.abs(x) > 4 * STEP]  # away from the kinks
    parameter = PARAMETERS.get(name)
    check_gradient(
        lambda v: float(function(v, parameter).sum()) / 200, x, derivative(x, parameter) / 200
    )


@pytest.mark.parametrize("name", networks.ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_are_finite_and_keep_the_type(name, dtype):
    ends = np.array([0.5, 9, 40, 89, 104, 710, 746, 1e5, 1e19, np.finfo(dtype).max])
    x = np.concatenate([ends, -ends, [0, np.finfo(dtype).tiny]]).astype(dtype)
    for function in networks.ACTIVATIONS[name][: 1 if name == "sign" else 2]:
        got = function(x, PARAMETERS.get(name))
        assert got.dtype == dtype
        assert got.shape == x.shape
        assert np.isfinite(got).all()
        assert function(np.arange(3), PARAMETERS.get(name)).dtype == float


@pytest.mark.parametrize(
    ("name", "parameter", "value", "slope"),
    [
        ("identity", None, 0.0, 1.0),
        ("sigmoid", None, 0.5, 0.25),
        ("tanh", None, 0.0, 1.0),
        ("relu", None, 0.0, 0.0),
        ("leaky_relu", None, 0.0, 0.1),
        ("leaky_relu", 0.3, 0.0, 0.3),
        ("elu", None, 0.0, 1.0),
        ("elu", 0.3, 0.0, 0.3),
        ("softplus", None, math.log(2), 0.5),
        ("gelu", None, 0.0, 0.5),
    ],
)
def test_activations_at_zero(name, parameter, value, slope):
    function, derivative = networks.ACTIVATIONS[name]
    assert function(0.0, parameter) == pytest.approx(value, rel=2 * EPS)
    assert derivative(0.0, parameter) == slope


def test_activations_by_hand():
    x = np.array([-2.0, 3.0])
    np.testing.assert_array_equal(networks.relu(x), [0, 3])
    np.testing.assert_array_equal(networks.leaky_relu(x), [-0.2, 3])
    np.testing.assert_array_equal(networks.leaky_relu(x, 0.5), [-1, 3])
    np.testing.assert_array_equal(networks.elu(x, 2.0), [2 * math.expm1(-2), 3])
    np.testing.assert_array_equal(networks.sign([-2.0, 0.0, 3.0]), [-1, 0, 1])


def test_sign_has_no_derivative():
    with pytest.raises(ValueError, match="sign"):
        networks.sign_derivative(np.ones(2))
    layers = [("linear", np.ones((1, 2)), None), ("activation", "sign", None)]
    with pytest.raises(ValueError, match="sign"):
        networks.loss_and_gradients(layers, np.ones((3, 2)), np.ones((3, 1)), "squared_error")


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_activations_against_torch(torch, name):
    x = np.concatenate([np.random.default_rng(1).normal(0, 4, 500), [0.0]])
    parameter = PARAMETERS.get(name)
    theirs = torch_activation(torch, name, parameter)
    input_ = torch.tensor(x, requires_grad=True)
    output = theirs(input_)
    output.sum().backward()
    function, derivative = networks.ACTIVATIONS[name]
    # PyTorch's gelu and derivatives subtract numbers of the order of 1, or of x times them.
    atol = 8 * EPS * (1 + np.abs(x))
    assert (np.abs(function(x, parameter) - output.detach().numpy()) <= atol).all()
    assert (np.abs(derivative(x, parameter) - input_.grad.numpy()) <= atol).all()


def torch_activation(torch, name, parameter):
    functional = torch.nn.functional
    return {
        "identity": lambda v: v,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": torch.relu,
        "leaky_relu": lambda v: functional.leaky_relu(v, parameter),
        "elu": lambda v: functional.elu(v, parameter),
        # Above its threshold PyTorch returns x itself, and by default that is 20.
        "softplus": lambda v: functional.softplus(v, threshold=100),
        "gelu": functional.gelu,
    }[name]


# --- losses -------------------------------------------------------------------------------------


def outputs_and_targets(loss, n, k, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 2, (n, k))
    if loss == "cross_entropy":
        return z, rng.integers(0, k, n)
    return z, rng.uniform(0, 1, (n, k))


def test_losses_by_hand():
    z, y = np.array([[1.0, 2.0], [3.0, 0.0]]), np.array([[0.0, 2.0], [1.0, 1.0]])
    value, gradient = networks.squared_error(z, y)
    assert value == (1 + 0 + 4 + 1) / 4
    np.testing.assert_array_equal(gradient, [[0.5, 0], [1, -0.5]])
    value, gradient = networks.half_squared_error(z, y)
    assert value == 0.75
    np.testing.assert_array_equal(gradient, [[0.25, 0], [0.5, -0.25]])
    # Rows' means are 1/2 and 5/2.
    value, gradient = networks.squared_error(z, y, [3.0, 1.0])
    assert value == (3 * 0.5 + 1 * 2.5) / 4
    np.testing.assert_array_equal(gradient, [[0.75, 0], [0.5, -0.25]])


def test_cross_entropies_by_hand():
    value, gradient = networks.binary_cross_entropy(np.zeros((2, 1)), [[1.0], [0.0]])
    assert value == pytest.approx(math.log(2), rel=2 * EPS)
    np.testing.assert_array_equal(gradient, [[-0.25], [0.25]])
    value, gradient = networks.cross_entropy(np.zeros((1, 4)), [2])
    assert value == pytest.approx(math.log(4), rel=2 * EPS)
    np.testing.assert_array_equal(gradient, [[0.25, 0.25, -0.75, 0.25]])
    # log(1, 2, 5) has the softmax (1/8, 2/8, 5/8).
    value, gradient = networks.cross_entropy(np.log([[1.0, 2.0, 5.0]]), [1])
    assert value == pytest.approx(math.log(4), rel=8 * EPS)
    np.testing.assert_allclose(gradient, [[1 / 8, -3 / 4, 5 / 8]], rtol=8 * EPS)


def test_two_classes_are_one_logit():
    z, y = outputs_and_targets("binary_cross_entropy", 20, 1)
    y = np.round(y)
    one = networks.binary_cross_entropy(z, y)
    two = networks.cross_entropy(np.hstack([np.zeros_like(z), z]), y[:, 0].astype(int))
    assert one[0] == pytest.approx(two[0], rel=20 * EPS)
    np.testing.assert_allclose(one[1], two[1][:, 1:], rtol=0, atol=8 * EPS / 20)


def test_cross_entropies_of_large_outputs():
    z = np.array([[800.0], [-800.0]])
    assert networks.binary_cross_entropy(z, [[1.0], [0.0]])[0] == 0
    assert networks.binary_cross_entropy(z, [[0.0], [1.0]])[0] == 800
    assert networks.binary_cross_entropy([[40.0]], [[1.0]])[0] == pytest.approx(math.exp(-40))
    assert networks.cross_entropy([[1e4, -1e4]], [1])[0] == 2e4
    assert networks.cross_entropy([[1e4, -1e4]], [0])[0] == 0


@pytest.mark.parametrize("name", networks.LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_of_losses_against_finite_differences(name, weighted):
    loss = networks.LOSSES[name]
    z, y = outputs_and_targets(name, 6, 3)
    weights = np.array([0.0, 1.0, 2.0, 0.5, 0.3, 4.0]) if weighted else None
    _, gradient = loss(z, y, weights)
    check_gradient(lambda v: loss(v, y, weights)[0], z, gradient)


@pytest.mark.parametrize("name", networks.LOSSES)
def test_a_weight_counts_as_that_many_copies(name):
    loss = networks.LOSSES[name]
    z, y = outputs_and_targets(name, 4, 3)
    copies = np.array([2, 0, 1, 3])
    weighted, gradient = loss(z, y, copies)
    repeated, spread = loss(np.repeat(z, copies, axis=0), np.repeat(y, copies, axis=0))
    assert weighted == pytest.approx(repeated, rel=8 * EPS)
    first = np.cumsum(copies) - copies
    expected = [spread[f : f + c].sum(axis=0) for f, c in zip(first, copies, strict=True)]
    np.testing.assert_allclose(gradient, expected, rtol=8 * EPS)


@pytest.mark.parametrize("name", networks.LOSSES)
def test_no_weight_no_loss(name):
    z, y = outputs_and_targets(name, 4, 3)
    value, gradient = networks.LOSSES[name](z, y, np.zeros(4))
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros((4, 3)))


@pytest.mark.parametrize("name", networks.LOSSES)
def test_losses_keep_the_type(name):
    z, y = outputs_and_targets(name, 4, 3)
    value, gradient = networks.LOSSES[name](z.astype(np.float32), y, np.ones(4))
    assert type(value) is float
    assert gradient.dtype == np.float32


@pytest.mark.parametrize("name", OUTPUT_LOSSES)
def test_targets_of_another_shape_are_refused(name):
    with pytest.raises(ValueError, match="shape"):
        networks.LOSSES[name](np.ones((3, 1)), np.ones(3))


def torch_loss(torch, name, z, y):
    functional = torch.nn.functional
    return {
        "squared_error": functional.mse_loss,
        "half_squared_error": lambda a, b: functional.mse_loss(a, b) / 2,
        "binary_cross_entropy": functional.binary_cross_entropy_with_logits,
        "cross_entropy": functional.cross_entropy,
    }[name](z, torch.tensor(y))


@pytest.mark.parametrize("name", networks.LOSSES)
def test_losses_against_torch(torch, name):
    z, y = outputs_and_targets(name, 30, 4)
    value, gradient = networks.LOSSES[name](z, y)
    input_ = torch.tensor(z, requires_grad=True)
    theirs = torch_loss(torch, name, input_, y)
    theirs.backward()
    # Sums of n k = 120 terms, all positive; an element of the gradient is a difference over n or n k
    # of numbers of the order of z.
    assert value == pytest.approx(theirs.item(), rel=120 * EPS)
    atol = 8 * EPS * np.abs(z).max() / 30
    np.testing.assert_allclose(gradient, input_.grad.numpy(), rtol=0, atol=atol)


# --- networks -----------------------------------------------------------------------------------


def random_network(rng, names, loss, n=5, biases=True):
    """Layers of 1 to 4 units with each of the activations between them, and data that fit."""
    widths = rng.integers(1, 5, len(names) + 2)
    layers = []
    for i, (before, after) in enumerate(pairwise(widths)):
        W = rng.normal(size=(after, before)) / math.sqrt(before)
        layers.append(("linear", W, rng.normal(size=after) if biases else None))
        if i < len(names):
            layers.append(("activation", names[i], PARAMETERS.get(names[i])))
    X = rng.normal(size=(n, widths[0]))
    _, y = outputs_and_targets(loss, n, widths[-1], int(rng.integers(1000)))
    return layers, X, y


def distance_from_kinks(layers, X):
    values = networks.forward(layers, X)
    inputs = [
        values[i]
        for i, (kind, name, _) in enumerate(layers)
        if kind == "activation" and name not in SMOOTH
    ]
    return min((np.abs(x).min() for x in inputs), default=math.inf)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    names=st.lists(st.sampled_from(DIFFERENTIABLE), max_size=3),
    loss=st.sampled_from(sorted(networks.LOSSES)),
    biases=st.booleans(),
    weighted=st.booleans(),
    l2=st.sampled_from([0.0, 0.3]),
)
def test_gradients_of_networks_against_finite_differences(seed, names, loss, biases, weighted, l2):
    rng = np.random.default_rng(seed)
    layers, X, y = random_network(rng, names, loss, biases=biases)
    weights = rng.integers(0, 3, len(X)) if weighted else None
    # A step of 2 STEP moves no input of an activation by as much as this.
    assume(distance_from_kinks(layers, X) > 1000 * STEP)
    value, gradients = networks.loss_and_gradients(layers, X, y, loss, weights, l2)
    assert type(value) is float
    for i, layer in enumerate(layers):
        if layer[0] == "activation":
            assert gradients[i] is None
            continue
        for j in (1, 2):
            if layer[j] is None:
                assert gradients[i][1] is None
                continue

            def value_with(array, i=i, j=j):
                changed = list(layers)
                changed[i] = (*layers[i][:j], array, *layers[i][j + 1 :])
                return networks.loss_and_gradients(changed, X, y, loss, weights, l2)[0]

            check_gradient(value_with, layer[j], gradients[i][j - 1])


def test_a_network_by_hand():
    # h = relu((2 - 3 + 1/2, 2 + 3)) = (0, 5) and z = 3·5 - 1 = 14; the loss (z - 10)² is 16.
    W1, b1 = np.array([[1.0, -1.0], [1.0, 1.0]]), np.array([0.5, 0.0])
    W2, b2 = np.array([[7.0, 3.0]]), np.array([-1.0])
    layers = [("linear", W1, b1), ("activation", "relu", None), ("linear", W2, b2)]
    X, y = np.array([[2.0, 3.0]]), np.array([[10.0]])
    values = networks.forward(layers, X)
    expected = [[[2, 3]], [[-0.5, 5]], [[0, 5]], [[14]]]
    for got, wanted in zip(values, expected, strict=True):
        np.testing.assert_array_equal(got, wanted)
    value, (first, none, second) = networks.loss_and_gradients(layers, X, y, "squared_error")
    assert value == 16
    assert none is None
    np.testing.assert_array_equal(second[0], [[0, 40]])
    np.testing.assert_array_equal(second[1], [8])
    np.testing.assert_array_equal(first[0], [[0, 0], [48, 72]])
    np.testing.assert_array_equal(first[1], [0, 24])


def test_the_penalty_by_hand():
    W, b = np.array([[1.0, -2.0]]), np.array([4.0])
    data = np.zeros((3, 2)), np.full((3, 1), 4.0)
    layers = [("linear", W, b)]
    value, [(dW, db)] = networks.loss_and_gradients(layers, *data, "squared_error", l2=0.5)
    assert value == 0.25 * 5
    np.testing.assert_array_equal(dW, [[0.5, -1.0]])
    np.testing.assert_array_equal(db, [0])
    # Without any weight the penalty is all there is.
    value, _ = networks.loss_and_gradients(
        layers, data[0], data[1] + 1, "squared_error", np.zeros(3), 0.5
    )
    assert value == 0.25 * 5


def test_networks_keep_the_type():
    rng = np.random.default_rng(2)
    layers, X, y = random_network(rng, DIFFERENTIABLE, "squared_error")
    single = [
        (kind, a.astype(np.float32), b.astype(np.float32)) if kind == "linear" else (kind, a, b)
        for kind, a, b in layers
    ]
    X = X.astype(np.float32)
    assert all(value.dtype == np.float32 for value in networks.forward(single, X))
    _, gradients = networks.loss_and_gradients(single, X, y, "squared_error", l2=0.1)
    assert all(g.dtype == np.float32 for pair in gradients if pair for g in pair)


@pytest.mark.parametrize("loss", networks.LOSSES)
def test_networks_against_torch(torch, loss):
    rng = np.random.default_rng(3)
    for _ in range(5):
        names = list(rng.permutation(DIFFERENTIABLE)[:3])
        layers, X, y = random_network(rng, names, loss, n=20)
        value, gradients = networks.loss_and_gradients(layers, X, y, loss)
        h, tensors = torch.tensor(X), []
        for kind, first, second in layers:
            if kind == "linear":
                pair = [torch.tensor(a, requires_grad=True) for a in (first, second)]
                tensors.append(pair)
                h = torch.nn.functional.linear(h, *pair)
            else:
                h = torch_activation(torch, first, second)(h)
        theirs = torch_loss(torch, loss, h, y)
        theirs.backward()
        ours = [pair for pair in gradients if pair is not None]
        # Every one of the four layers adds sums of up to 4 terms in each direction, and the last
        # step back sums n = 20 rows; weights and inputs of a few units enlarge what is rounded.
        multiple = (2 * 4 * 4 + 20) * EPS
        largest = max(np.abs(g).max() for pair in ours for g in pair)
        scale = 4 * max(largest, np.abs(networks.forward(layers, X)[-1]).max())
        assert abs(value - theirs.item()) <= multiple * max(value, scale)
        for got, wanted in zip(ours, tensors, strict=True):
            for a, b in zip(got, wanted, strict=True):
                np.testing.assert_allclose(a, b.grad.numpy(), rtol=0, atol=multiple * scale)


# --- optimisers ---------------------------------------------------------------------------------


def test_first_steps_by_hand():
    parameter, gradient = np.array([3.0, 4.0]), np.array([2.0, -1.0])

    def first(optimiser):
        return optimiser.step(parameter, gradient, 0.1)

    np.testing.assert_allclose(first(networks.SGD()), [2.8, 4.1])
    np.testing.assert_allclose(first(networks.SGD(0.5)), [2.8, 4.1])
    np.testing.assert_allclose(first(networks.SGD(0.5, nesterov=True)), [2.7, 4.15])
    np.testing.assert_allclose(first(networks.Adagrad()), [2.9, 4.1])
    np.testing.assert_allclose(first(networks.RMSprop(alpha=0.75, eps=0.0)), [2.8, 4.2])
    np.testing.assert_allclose(first(networks.Adam(eps=0.0)), [2.9, 4.1])
    np.testing.assert_allclose(first(networks.Adam(eps=1.0)), [3 - 0.2 / 3, 4.05])
    decayed = first(networks.AdamW(eps=0.0, weight_decay=0.5))
    np.testing.assert_allclose(decayed, [3 * 0.95 - 0.1, 4 * 0.95 + 0.1])
    # The direction (1, -1) + (1.5, 2) = (2.5, 1), made as long as the parameter, 5.
    ratio = 5 / math.sqrt(2.5**2 + 1)
    lamb = first(networks.LAMB(eps=0.0, weight_decay=0.5))
    np.testing.assert_allclose(lamb, [3 - 0.25 * ratio, 4 - 0.1 * ratio])


def test_second_step_of_momentum_by_hand():
    plain, nesterov = networks.SGD(0.5), networks.SGD(0.5, nesterov=True)
    # Velocities 1 and 0.5 · 1 + 3 = 3.5.
    assert plain.step(plain.step(0.0, 1.0, 0.5), 3.0, 0.5) == -0.5 * (1 + 3.5)
    assert nesterov.step(nesterov.step(0.0, 1.0, 0.5), 3.0, 0.5) == -0.5 * (1.5 + 4.75)


def test_lamb_without_a_norm():
    zero, gradient = np.zeros(2), np.array([2.0, -1.0])
    lamb, adam = networks.LAMB(eps=1e-8), networks.Adam(eps=1e-8)
    np.testing.assert_array_equal(lamb.step(zero, gradient, 0.1), adam.step(zero, gradient, 0.1))
    parameter = np.array([3.0, 4.0])
    still = networks.LAMB(weight_decay=0.0).step(parameter, zero, 0.1)
    np.testing.assert_array_equal(still, parameter)


def test_lamb_moves_by_the_rate_times_the_norm():
    rng = np.random.default_rng(4)
    lamb, parameter = networks.LAMB(), rng.normal(size=(3, 4))
    for _ in range(10):
        moved = lamb.step(parameter, rng.normal(size=(3, 4)), 0.01)
        length = np.linalg.norm(moved - parameter)
        # Coordinates are rounded to eps of themselves, and moves are a hundredth of them.
        assert length == pytest.approx(0.01 * np.linalg.norm(parameter), rel=400 * EPS)
        parameter = moved


OPTIMISERS = {
    "SGD": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "Adagrad": ("Adagrad", {}),
    "RMSprop": ("RMSprop", {}),
    "RMSprop with its own": ("RMSprop", {"alpha": 0.8, "eps": 1e-3}),
    "RMSprop with momentum": ("RMSprop", {"alpha": 0.8, "momentum": 0.7}),
    "Adam": ("Adam", {}),
    "Adam with its own": ("Adam", {"betas": (0.7, 0.9), "eps": 1e-3}),
    "AdamW": ("AdamW", {}),
    "AdamW with its own": ("AdamW", {"betas": (0.7, 0.9), "weight_decay": 0.3}),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimisers_against_torch(torch, name):
    kind, options = OPTIMISERS[name]
    rng = np.random.default_rng(5)
    start = rng.normal(size=(4, 3))
    tensor = torch.tensor(start, requires_grad=True)
    # Defaults that are ours by the same name are checked as well.
    theirs = getattr(torch.optim, kind)([tensor], lr=0.05, foreach=False, **options)
    ours, parameter = getattr(networks, kind)(**options), start
    travelled = np.abs(start)
    for _ in range(20):
        gradient = rng.normal(size=start.shape)
        tensor.grad = torch.tensor(gradient)
        theirs.step()
        moved = ours.step(parameter, gradient, 0.05)
        travelled, parameter = travelled + np.abs(moved - parameter), moved
        # Averages are sums of up to 20 terms: each step's error is a few eps of itself times that.
        assert (np.abs(parameter - tensor.detach().numpy()) <= 40 * EPS * travelled).all()


def test_lamb_against_torchs_adam(torch):
    rng = np.random.default_rng(6)
    parameter = rng.normal(size=(4, 3))
    lamb = networks.LAMB(betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)
    # Put back to 0, Adam moves by minus its direction.
    tensor = torch.zeros(4, 3, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([tensor], lr=1.0, betas=(0.8, 0.95), eps=1e-6)
    expected = parameter
    for _ in range(20):
        gradient = rng.normal(size=parameter.shape)
        tensor.data.zero_()
        tensor.grad = torch.tensor(gradient)
        adam.step()
        direction = 0.1 * expected - tensor.detach().numpy()
        ratio = np.linalg.norm(expected) / np.linalg.norm(direction)
        expected = expected - 0.02 * ratio * direction
        parameter = lamb.step(parameter, gradient, 0.02)
        np.testing.assert_allclose(parameter, expected, rtol=0, atol=400 * EPS)


@pytest.mark.parametrize("kind", ["SGD", "Adagrad", "RMSprop", "Adam", "AdamW", "LAMB"])
def test_optimisers_keep_the_type_and_the_arguments(kind):
    rng = np.random.default_rng(7)
    optimiser = getattr(networks, kind)()
    parameter, gradient = rng.normal(size=(2, 5)).astype(np.float32)
    copies = parameter.copy(), gradient.copy()
    for _ in range(3):
        assert optimiser.step(parameter, gradient, 0.1).dtype == np.float32
    np.testing.assert_array_equal(parameter, copies[0])
    np.testing.assert_array_equal(gradient, copies[1])


@pytest.mark.parametrize("kind", ["SGD", "Adagrad", "RMSprop", "Adam", "AdamW", "LAMB"])
def test_nothing_moves_without_a_gradient_or_a_size(kind):
    optimiser = getattr(networks, kind)()
    for _ in range(2):
        moved = optimiser.step(np.zeros(3), np.zeros(3), 0.1)
        np.testing.assert_array_equal(moved, np.zeros(3))


# --- clipping -----------------------------------------------------------------------------------


def test_clipping_by_hand():
    gradients = [np.array([[3.0]]), np.array([0.0, -4.0])]
    for got, g in zip(networks.clip_by_norm(gradients, 1.0), gradients, strict=True):
        np.testing.assert_allclose(got, g / (5 + 1e-6), rtol=4 * EPS)
    for got, g in zip(networks.clip_by_norm(gradients, 6.0), gradients, strict=True):
        np.testing.assert_array_equal(got, g)
    first, second = networks.clip_by_value(gradients, 3.5)
    np.testing.assert_array_equal(first, [[3.0]])
    np.testing.assert_array_equal(second, [0.0, -3.5])


@pytest.mark.parametrize("limit", [0.1, 3.0, 100.0])
def test_clipping_against_torch(torch, limit):
    rng = np.random.default_rng(8)
    gradients = [rng.normal(size=shape) for shape in ((3, 4), (3,), (2, 3), (2,))]
    tensors = [torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for g in gradients]

    def clipped_by(clip):
        for tensor, g in zip(tensors, gradients, strict=True):
            tensor.grad = torch.tensor(g)
        clip(tensors, limit)
        return [tensor.grad.numpy() for tensor in tensors]

    expected = clipped_by(torch.nn.utils.clip_grad_norm_)
    for got, wanted in zip(networks.clip_by_norm(gradients, limit), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=23 * EPS)  # a norm of 23 elements
    expected = clipped_by(torch.nn.utils.clip_grad_value_)
    for got, wanted in zip(networks.clip_by_value(gradients, limit), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


# --- schedules ----------------------------------------------------------------------------------


def rates(schedule, epochs, *parameters):
    return [schedule(0.8, t, *parameters) for t in epochs]


def test_schedules_by_hand():
    assert rates(networks.constant, [0, 7]) == [0.8, 0.8]
    assert rates(networks.step, [0, 2, 3, 5, 6], 3, 0.5) == [0.8, 0.8, 0.4, 0.4, 0.2]
    assert rates(networks.cosine, [0, 2, 4], 4) == pytest.approx([0.8, 0.4, 0.0], abs=EPS)
    assert rates(networks.cosine, [0, 2, 4], 4, 0.2) == pytest.approx([0.8, 0.5, 0.2])
    warm = rates(networks.warm_up, [0, 1, 2, 3, 4, 9], 4, 0.25)
    assert warm == pytest.approx([0.2, 0.35, 0.5, 0.65, 0.8, 0.8])
    assert rates(networks.inverse_scaling, [0, 1, 3], 2.0) == pytest.approx([0.8, 0.2, 0.05])
    assert rates(networks.inverse_scaling, [0, 3]) == [0.8, 0.4]


@pytest.mark.parametrize(
    ("ours", "theirs", "parameters"),
    [
        (networks.step, "StepLR", {"step_size": 3, "gamma": 0.3}),
        (networks.cosine, "CosineAnnealingLR", {"t_max": 15, "eta_min": 0.1}),
        (networks.warm_up, "LinearLR", {"epochs": 6, "start_factor": 0.2}),
    ],
)
def test_schedules_against_torch(torch, ours, theirs, parameters):
    names = {"t_max": "T_max", "epochs": "total_iters"}
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.8)
    options = {names.get(name, name): value for name, value in parameters.items()}
    scheduler = getattr(torch.optim.lr_scheduler, theirs)(optimiser, **options)
    for t in range(15):
        # PyTorch multiplies each rate by a factor to get the next: t roundings or more.
        expected = pytest.approx(scheduler.get_last_lr()[0], rel=8 * (t + 1) * EPS)
        assert ours(0.8, t, **parameters) == expected
        optimiser.step()
        scheduler.step()
