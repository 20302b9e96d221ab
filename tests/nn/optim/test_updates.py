"""Update rules against their formulas in plain NumPy, and against PyTorch."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.nn.optim.updates import (
    Hyper,
    Rule,
    all_finite,
    clip,
    direction,
    scale,
    squared_norm,
    update,
)
from fastkb.runtime import jit

DTYPES = (np.float32, np.float64)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)

ADAM = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
# name -> rule, what its Hyper has besides code and lr
RULES = {
    "SGD": (Rule.SGD, {}),
    "momentum": (Rule.SGD, {"momentum": 0.9}),
    "Nesterov": (Rule.SGD, {"momentum": 0.9, "nesterov": 1}),
    "Adagrad": (Rule.ADAGRAD, {"eps": 1e-10}),
    "RMSprop": (Rule.RMSPROP, {"beta2": 0.99, "eps": 1e-8}),
    "RMSprop, momentum": (Rule.RMSPROP, {"beta2": 0.9, "eps": 1e-8, "momentum": 0.8}),
    "Adam": (Rule.ADAM, ADAM),
    "AdamW": (Rule.ADAMW, {**ADAM, "weight_decay": 0.1}),
    "LAMB": (Rule.LAMB, {**ADAM, "eps": 1e-6, "weight_decay": 0.1}),
}
each_rule = pytest.mark.parametrize("rule", RULES)
# Gradients of usual size, and some as small as eps, where it matters on which side of the root it stands.
each_length = pytest.mark.parametrize("length", [1.0, 1e-8])
ELEMENTWISE = [name for name in RULES if name != "LAMB"]

LR = 0.01
STEPS = 20


@jit(cache=False)
def _update(values, gradient, first, second, decayed, hyper):
    update(values, gradient, first, second, decayed, hyper)


@jit(cache=False)
def _direction(values, gradient, first, second, decayed, hyper):
    direction(values, gradient, first, second, decayed, hyper)


@jit(cache=False)
def _squared_norm(values):
    return squared_norm(values)


@jit(cache=False)
def _scale(values, factor):
    scale(values, factor)


@jit(cache=False)
def _clip(values, limit):
    clip(values, limit)


def hyper_of(rule, step, lr=LR):
    code, numbers = RULES[rule]
    numbers = dict(numbers)
    if "beta1" in numbers:
        numbers["correction1"] = 1.0 - numbers["beta1"] ** step
        numbers["correction2"] = 1.0 - numbers["beta2"] ** step
    return Hyper(int(code), lr, **numbers)


def empty_state(rule, n, dtype):
    """Zeros where the rule uses them, and arrays of no element else."""
    first = rule in ("momentum", "Nesterov", "RMSprop, momentum", "Adam", "AdamW", "LAMB")
    second = rule not in ("SGD", "momentum", "Nesterov")
    return np.zeros(n * first, dtype), np.zeros(n * second, dtype)


def draw(n, dtype, seed=0, length=1.0):
    """Parameters, and one gradient for each step.  # shapes: (n,), (STEPS, n)"""
    rng = np.random.default_rng(seed)
    return rng.normal(size=n).astype(dtype), rng.normal(0.0, length, (STEPS, n)).astype(dtype)


def by_formula(rule, values, gradient, first, second, decayed, h):
    """The textbook's step in float64: (values, first, second)."""
    decay = h.weight_decay if decayed else 0.0
    if rule == "SGD":
        return values - h.lr * gradient, first, second
    if rule == "momentum":
        first = h.momentum * first + gradient
        return values - h.lr * first, first, second
    if rule == "Nesterov":
        first = h.momentum * first + gradient
        return values - h.lr * (gradient + h.momentum * first), first, second
    if rule == "Adagrad":
        second = second + gradient**2
        return values - h.lr * gradient / (np.sqrt(second) + h.eps), first, second
    second = h.beta2 * second + (1 - h.beta2) * gradient**2
    if rule == "RMSprop":
        return values - h.lr * gradient / (np.sqrt(second) + h.eps), first, second
    if rule == "RMSprop, momentum":
        first = h.momentum * first + gradient / (np.sqrt(second) + h.eps)
        return values - h.lr * first, first, second
    first = h.beta1 * first + (1 - h.beta1) * gradient
    adam = first / h.correction1 / (np.sqrt(second / h.correction2) + h.eps)
    if rule in ("Adam", "AdamW"):
        return values * (1 - h.lr * decay) - h.lr * adam, first, second
    along = adam + decay * values
    norms = np.linalg.norm(values), np.linalg.norm(along)
    ratio = norms[0] / norms[1] if all(norms) else 1.0
    return values - h.lr * ratio * along, first, second


def tolerance(dtype, largest):
    """A step rounds values and states some ten times; these are added up over all steps."""
    return {"rtol": 0, "atol": STEPS * 10 * np.finfo(dtype).eps * largest}


@each_dtype
@each_rule
@pytest.mark.parametrize("decayed", [True, False])
@pytest.mark.parametrize("n", [1, 7, 100])
@each_length
def test_formulas(rule, dtype, decayed, n, length):
    values, gradients = draw(n, dtype, length=length)
    first, second = empty_state(rule, n, dtype)
    expected = [values.astype(np.float64), first.astype(np.float64), second.astype(np.float64)]
    for step, gradient in enumerate(gradients, 1):
        h = hyper_of(rule, step)
        expected = by_formula(
            rule, expected[0], gradient.astype(np.float64), *expected[1:], decayed, h
        )
        _update(values, gradient.copy(), first, second, decayed, h)
    for ours, theirs in zip((values, first, second), expected, strict=True):
        largest = np.abs(theirs).max(initial=1.0)
        np.testing.assert_allclose(ours, theirs, **tolerance(dtype, largest))


@each_dtype
@pytest.mark.parametrize("rule", ELEMENTWISE)
@each_length
def test_pytorch(rule, dtype, length):
    torch = pytest.importorskip("torch")
    make = {
        "SGD": lambda p: torch.optim.SGD(p, lr=LR),
        "momentum": lambda p: torch.optim.SGD(p, lr=LR, momentum=0.9),
        "Nesterov": lambda p: torch.optim.SGD(p, lr=LR, momentum=0.9, nesterov=True),
        "Adagrad": lambda p: torch.optim.Adagrad(p, lr=LR, eps=1e-10),
        "RMSprop": lambda p: torch.optim.RMSprop(p, lr=LR, alpha=0.99, eps=1e-8),
        "RMSprop, momentum": lambda p: torch.optim.RMSprop(p, LR, 0.9, 1e-8, momentum=0.8),
        "Adam": lambda p: torch.optim.Adam(p, lr=LR, betas=(0.9, 0.999), eps=1e-8),
        "AdamW": lambda p: torch.optim.AdamW(p, lr=LR, eps=1e-8, weight_decay=0.1),
    }[rule]
    values, gradients = draw(50, dtype, seed=1, length=length)
    first, second = empty_state(rule, 50, dtype)
    parameter = torch.nn.Parameter(torch.from_numpy(values.copy()))
    optimizer = make([parameter])
    for step, gradient in enumerate(gradients, 1):
        parameter.grad = torch.from_numpy(gradient.copy())
        optimizer.step()
        _update(values, gradient, first, second, True, hyper_of(rule, step))
    largest = np.abs(values).max(initial=1.0)
    np.testing.assert_allclose(values, parameter.detach().numpy(), **tolerance(dtype, largest))


@each_dtype
@pytest.mark.parametrize("rule", ELEMENTWISE)
@given(n=st.integers(2, 200), seed=st.integers(0, 99), data=st.data())
def test_a_slice_cut_in_two_gives_the_same_bits(rule, dtype, n, seed, data):
    cut = data.draw(st.integers(0, n))
    values, gradients = draw(n, dtype, seed)
    first, second = empty_state(rule, n, dtype)
    parts = [values.copy(), first.copy(), second.copy()]
    for step, gradient in enumerate(gradients[:2], 1):
        h = hyper_of(rule, step)
        _update(values, gradient.copy(), first, second, True, h)
        for part in (slice(0, cut), slice(cut, n)):
            a, b, c = (array[part] for array in parts)
            _update(a, gradient[part].copy(), b, c, True, h)
    for whole, both in zip((values, first, second), parts, strict=True):
        np.testing.assert_array_equal(whole, both)


@each_rule
def test_nothing_beyond_the_slice_is_touched(rule):
    arrays = [np.full(40, np.nan) for _ in range(4)]
    inner = [array[8:29] for array in arrays]
    values, gradients = draw(21, np.float64)
    state = empty_state(rule, 21, np.float64)
    inner[0][:], inner[1][:], inner[2][:], inner[3][:] = values, gradients[0], 0.0, 0.0
    _update(*inner, True, hyper_of(rule, 1))
    _update(values, gradients[0], *state, True, hyper_of(rule, 1))
    np.testing.assert_array_equal(inner[0], values)
    for array in arrays:
        assert np.isnan(array[:8]).all()
        assert np.isnan(array[29:]).all()


@each_rule
def test_nan_stays_where_it_is_and_no_slice_is_too_short(rule):
    values, gradients = draw(9, np.float64)
    gradients[0, 3] = np.nan
    _update(values, gradients[0], *empty_state(rule, 9, np.float64), True, hyper_of(rule, 1))
    assert np.isnan(values[3])
    assert rule == "LAMB" or np.isnan(values).sum() == 1
    nothing = np.zeros(0)
    _update(nothing, nothing, nothing, nothing, True, hyper_of(rule, 1))


@each_dtype
@each_rule
def test_no_second_compilation(rule, dtype):
    values, gradients = draw(5, dtype)
    first, second = empty_state(rule, 5, dtype)
    _update(values, gradients[0], first, second, True, hyper_of("SGD", 1))
    before = len(_update.signatures)
    _update(values, gradients[0], first, second, False, hyper_of(rule, 2, lr=0.5))
    assert len(_update.signatures) == before


# --- LAMB's norms ------------------------------------------------------------------------------


@each_dtype
@pytest.mark.parametrize("decayed", [True, False])
def test_lamb_goes_along_the_direction(dtype, decayed):
    values, gradients = draw(33, dtype)
    along, before = gradients[0].copy(), values.copy()
    h = hyper_of("LAMB", 1)
    _direction(values, along, *empty_state("LAMB", 33, dtype), decayed, h)
    np.testing.assert_array_equal(values, before)
    gradient = gradients[0].copy()
    _update(values, gradient, *empty_state("LAMB", 33, dtype), decayed, h)
    np.testing.assert_array_equal(gradient, along)
    # ‖step‖ = lr·‖θ‖, whatever the gradient's length.
    step = np.linalg.norm(values.astype(np.float64) - before)
    norm = np.linalg.norm(before.astype(np.float64))
    np.testing.assert_allclose(step, LR * norm, atol=4 * np.finfo(dtype).eps * norm)


def test_lamb_of_a_zero_tensor_or_gradient():
    zeros, ones = np.zeros(4), np.ones(4)
    h = hyper_of("LAMB", 1)
    values = zeros.copy()
    _update(values, ones.copy(), zeros.copy(), zeros.copy(), True, h)
    np.testing.assert_allclose(values, -LR, rtol=2e-6)  # the direction is 1/(1 + eps)
    values = ones.copy()
    _update(values, zeros.copy(), zeros.copy(), zeros.copy(), False, h)
    np.testing.assert_array_equal(values, ones)


# --- norms, scales, limits ---------------------------------------------------------------------


@each_dtype
@given(n=st.integers(0, 300), seed=st.integers(0, 9))
def test_squared_norm(dtype, n, seed):
    values = np.random.default_rng(seed).normal(size=n).astype(dtype)
    expected = math.fsum(float(v) ** 2 for v in values)
    norm = _squared_norm(values)
    assert isinstance(norm, float)
    assert abs(norm - expected) <= (n + 1) * np.finfo(np.float64).eps * expected
    assert norm == _squared_norm(values.copy())


@each_dtype
@pytest.mark.parametrize(
    "rule", ["Adagrad", "RMSprop", "RMSprop, momentum", "Adam", "AdamW", "LAMB"]
)
def test_a_tiny_eps_divides_no_zero_by_zero(rule, dtype):
    code, numbers = RULES[rule]
    hyper = Hyper(int(code), LR, **{**numbers, "eps": 1e-60})
    arrays = [np.zeros(20, dtype) for _ in range(4)]
    _update(*arrays, False, hyper)
    assert all((array == 0).all() for array in arrays)


@jit(cache=False)
def _all_finite(values):
    return all_finite(values)


@each_dtype
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_all_finite(dtype, wrong):
    for n in (0, 1, 7, 64, 67):
        values = np.full(n, np.finfo(dtype).max, dtype)
        assert _all_finite(values)
        for place in range(n):
            values[:] = 1
            values[place] = wrong
            assert not _all_finite(values)


def test_squared_norm_does_not_overflow_in_float32():
    assert _squared_norm(np.full(2, 1e30, np.float32)) == 2 * float(np.float32(1e30)) ** 2


@each_dtype
def test_scale(dtype):
    values, _ = draw(35, dtype)
    expected = values * dtype(0.3)
    _scale(values, 0.3)
    np.testing.assert_array_equal(values, expected)


@each_dtype
@given(n=st.integers(0, 100), limit=st.floats(0.01, 3.0), seed=st.integers(0, 9))
def test_clip(dtype, n, limit, seed):
    values = np.random.default_rng(seed).normal(size=n).astype(dtype)
    values[: n // 8] = np.nan
    values[n // 8 : n // 4 : 2] = np.inf
    values[n // 8 + 1 : n // 4 : 2] = -np.inf
    expected = np.clip(values, -dtype(limit), dtype(limit))
    _clip(values, limit)
    np.testing.assert_array_equal(values, expected)
