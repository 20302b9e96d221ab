"""Steps of training: all who train the same end at the same parameters, and others do not."""

import itertools
import math

import numpy as np
import pytest

from bench import trainers
from bench.network import COMPILED, JAX, TORCH, Step
from bench.work import Absent

SHAPES = {"regression": (4, 9, 7, 1), "classes": (4, 9, 3)}
EVERYBODY = [JAX, TORCH, pytest.param(COMPILED, marks=pytest.mark.slow)]
WORKS = [
    Step(widths, batch=8, steps=3, optimizer=optimizer, epochs=2)
    for widths, optimizer in itertools.product(SHAPES.values(), ("sgd", "adam"))
]


def present(work, name):
    rival = work.rival(name)
    if isinstance(rival, Absent):
        pytest.skip(rival.reason)
    return rival


@pytest.mark.parametrize("name", EVERYBODY)
@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.name)
def test_everybody_trains_the_same(work, name):
    rival = present(work, name)
    ours, theirs = work.fastkb().call(), rival.call()
    # Six steps in float32, whose parameters move by 1e-3 at most: a hundred roundings.
    assert work.disagreement(ours, theirs) <= 100 * np.finfo(np.float32).eps / 1e-3
    (again,) = rival.call()
    for key, value in theirs[0].items():
        np.testing.assert_array_equal(again[key], value, err_msg="a second call goes on")
    assert rival.scale == 1 / 6


@pytest.mark.parametrize("name", EVERYBODY)
def test_another_training_does_not_agree(name):
    """One with the other optimiser, with NaN, or without any step."""
    sgd, adam = WORKS[:2]
    theirs = present(adam, name).call()
    assert adam.disagreement(sgd.fastkb().call(), theirs) > 1.0
    theirs[0]["0.bias"] = np.full(9, np.nan)
    assert adam.disagreement(adam.fastkb().call(), theirs) == math.inf
    first = [adam._network().state_dict()]
    assert adam.disagreement(adam.fastkb().call(), first) > 1.0


def test_jax_is_given_what_the_members_of_the_ensemble_draw():
    work = Step(SHAPES["regression"], batch=8, steps=3, members=18, epochs=2, rivals_offered=(JAX,))
    ours, theirs = work.fastkb().call(), present(work, JAX).call()
    assert len(ours) == len(theirs) == 2, "members 0 and 17"
    assert work.disagreement(ours, theirs) <= 1.0
    assert work.disagreement(ours, theirs[::-1]) > 1.0
    assert work.rival(JAX).scale == 1 / (18 * 6)
    with pytest.raises(ValueError, match="torch trains one network"):
        work.rival(TORCH)


def test_a_machine_where_nothing_can_be_compiled(monkeypatch):
    torch = pytest.importorskip("torch")

    def compile(function):
        raise RuntimeError("No working C++ compiler found\nand a long story")

    monkeypatch.setattr(torch, "compile", compile)
    trainers.why_not_compiled.cache_clear()
    try:
        found = WORKS[0].rival(COMPILED)
    finally:
        trainers.why_not_compiled.cache_clear()
    reason = "torch.compile does not work here: No working C++ compiler found"
    assert found == Absent(COMPILED, reason)


def test_a_library_that_is_not_installed_is_absent(monkeypatch):
    def missing(job):
        raise ModuleNotFoundError("No module named 'jax'", name="jax")

    monkeypatch.setattr(trainers, "jax_one", missing)
    assert WORKS[0].rival(JAX) == Absent(JAX, "jax is not installed")
