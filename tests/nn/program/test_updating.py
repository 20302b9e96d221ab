"""Steps of parts of the parameters, against the rules in plain NumPy."""

import numpy as np
import pytest

from fastkb import nn
from fastkb.nn.program.updating import Spans, square_of_spans, update_spans
from fastkb.reference import networks

RULES = {
    "SGD": (nn.SGD(0.05), networks.SGD()),
    "momentum": (nn.SGD(0.05, 0.9), networks.SGD(0.9)),
    "Nesterov": (nn.SGD(0.05, 0.9, True), networks.SGD(0.9, True)),
    "Adagrad": (nn.Adagrad(0.05), networks.Adagrad()),
    "RMSprop": (nn.RMSprop(0.05), networks.RMSprop()),
    "Adam": (nn.Adam(0.05), networks.Adam()),
}
SPANS = ((3, 17), (17, 18), (40, 61))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("l2", "factor"), [(0.0, 1.0), (0.3, 1.0), (0.3, 0.25)])
@pytest.mark.parametrize("name", RULES)
def test_a_step_of_some_parts(name, l2, factor, dtype):
    optimizer, _ = RULES[name]
    rng = np.random.default_rng(0)
    values = rng.standard_normal(70).astype(dtype)
    expected = values.astype(np.float64)
    uses = optimizer.uses_first, optimizer.uses_second, False
    state = tuple(np.zeros(70 * used, dtype) for used in uses)
    rules = [type(RULES[name][1])(**vars_of(name)) for _ in SPANS]
    for step in range(1, 5):
        gradients = rng.standard_normal(70).astype(dtype)
        for (begin, end), rule in zip(SPANS, rules, strict=True):
            here = slice(begin, end)
            changed = factor * (gradients[here] + l2 * expected[here])
            expected[here] = rule.step(expected[here], changed, 0.05)
        before = gradients.copy()
        spans = Spans(np.array(SPANS), l2, factor)
        update_spans(values, spans, gradients, state, optimizer.hyper(0.05, step))
        if (l2, factor) == (0.0, 1.0):
            np.testing.assert_array_equal(gradients, before)
    np.testing.assert_allclose(
        values, expected, rtol=1e-4 if dtype == np.float32 else 1e-12, atol=1e-6
    )
    outside = np.ones(70, bool)
    for begin, end in SPANS:
        outside[begin:end] = False
    assert not any(each[outside].any() for each in state if len(each))


def vars_of(name):
    return {"momentum": {"momentum": 0.9}, "Nesterov": {"momentum": 0.9, "nesterov": True}}.get(
        name, {}
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_part_is_a_tensor_for_lamb(dtype):
    """Its step has the tensor's own length: so two tensors are not one."""
    lamb, rng = nn.LAMB(0.05), np.random.default_rng(1)
    values, gradients = rng.standard_normal((2, 40)).astype(dtype)
    found = []
    for ends in ([(0, 40)], [(0, 10), (10, 40)], [(0, 10)]):
        theta, state = values.copy(), tuple(np.zeros((3, 40), dtype))
        spans = Spans(np.array(ends), 0.0, 1.0)
        update_spans(theta, spans, gradients.copy(), state, lamb.hyper(0.05, 1))
        found.append(theta)
    whole, parts, one = found
    np.testing.assert_array_equal(parts[:10], one[:10])
    np.testing.assert_array_equal(one[10:], values[10:])
    assert np.abs(whole - parts).max() > 1e-3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_square_of_some_parts(dtype):
    gradients = np.random.default_rng(2).standard_normal(70).astype(dtype)
    ends = np.array(SPANS)
    expected = sum(float(x) ** 2 for begin, end in SPANS for x in gradients[begin:end])
    np.testing.assert_allclose(square_of_spans(gradients, ends), expected, rtol=1e-14)
    assert square_of_spans(gradients, ends[:0]) == 0.0
    for place, inside in ((0, False), (17, True), (60, True), (61, False)):
        for wrong in (np.nan, np.inf):
            changed = gradients.copy()
            changed[place] = wrong
            assert np.isfinite(square_of_spans(changed, ends)) == (not inside)
