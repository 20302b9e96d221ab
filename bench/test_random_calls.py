"""Random calls: those of a seed are the same, differences are seen, and errors must name the argument."""

import numpy as np
import pytest

from bench import random_calls
from bench.random_values import Spoiled, matrix, spoil


@pytest.mark.parametrize("family", list(random_calls.FAMILIES))
def test_a_few_calls_of_each_family(family):
    _, share = random_calls.FAMILIES[family]
    counts, examples = random_calls.run(round(12 / share), 7, [family])
    assert counts[family].total() == 12
    assert counts[family]["equal"] > 0
    assert not counts[family]["DIFFERENT"], examples
    again, _ = random_calls.run(round(12 / share), 7, [family])
    assert again == counts


def call(ours, theirs, spoiled=None):
    return random_calls.Call(ours, theirs, lambda answer: 1e-9, spoiled, "")


def fails(error):
    def ours():
        raise error

    return ours


@pytest.mark.parametrize(
    ("ours", "theirs", "spoiled", "word"),
    [
        (lambda: [1.0, np.nan], lambda: [1.0, np.nan], None, "equal"),
        (lambda: [1.0 + 1e-12], lambda: [1.0], None, "equal"),
        (lambda: [1.1], lambda: [1.0], None, "DIFFERENT"),
        (lambda: [np.nan], lambda: [1.0], None, "DIFFERENT"),
        (lambda: [1.0], lambda: [1.0, 2.0], None, "DIFFERENT"),
        (fails(ValueError("no")), lambda: [1.0], None, "REFUSED ALONE"),
        (fails(ValueError("no")), fails(ValueError("no")), None, "refused"),
        (lambda: [1.0], fails(ValueError("no")), None, "accepted"),
        (lambda: np.log([0.0]), lambda: [-np.inf], None, "LEAKED"),
        (fails(ValueError("alpha must be")), None, Spoiled("alpha", -1), "refused"),
        (fails(ValueError("must be")), None, Spoiled("alpha", -1), "UNNAMED"),
        (fails(ZeroDivisionError("alpha")), None, Spoiled("alpha", -1), "UNNAMED"),
        (lambda: 1.0, None, Spoiled("alpha", None), "accepted"),
    ],
)
def test_what_becomes_of_a_call(ours, theirs, spoiled, word):
    assert random_calls.outcome(call(ours, theirs, spoiled))[0] == word


def test_data_of_all_kinds():
    seen = [matrix(np.random.default_rng(k), 5, 3) for k in range(200)]
    assert {m.shape for m in seen} == {(5, 3)}
    assert {m.dtype.name for m in seen} == {"float64", "float32", "int64", "int16"}
    assert {m.flags.writeable for m in seen} == {True, False}
    assert any(m.strides[0] < 0 for m in seen)
    assert any(m.flags.f_contiguous for m in seen)


def test_spoiled_arguments():
    rng = np.random.default_rng(0)
    given = {"X": np.ones((3, 2)), "alpha": 1.0, "kernel": "rbf"}
    assert spoil(rng, given, 0.0) == (given, None)
    names = set()
    for _ in range(100):
        arguments, spoiled = spoil(rng, given, 1.0, leave=("kernel",))
        names.add(spoiled.name)
        assert arguments[spoiled.name] is spoiled.value
    assert names == {"X", "alpha"}


def test_the_command(capsys):
    assert random_calls.main(["--count", "40", "--only", "kernels", "--seed", "3"]) in (0, 1)
    shown = capsys.readouterr().out
    assert "kernels" in shown
    assert "14 calls in" in shown
