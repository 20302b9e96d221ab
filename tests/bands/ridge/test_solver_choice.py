"""The planner: the cheaper solver, and a reason that names the other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.bands.ridge.solver_choice import (
    Split,
    cholesky_seconds,
    choose_solver,
    expected_steps,
    largest_useful_rank,
    split_basis,
)


def spectrum(rank, decay):
    return 1e3 * np.exp(-decay * np.arange(rank))


@given(
    st.integers(10, 5000),
    st.integers(1, 300),
    st.floats(0.01, 2.0),
    st.floats(1e-6, 10.0),
    st.sampled_from([4, 8]),
)
def test_split_is_whole_micro_tiles_or_everything(n, rank, decay, penalty, unit):
    split = split_basis(n, 200, 1, spectrum(rank, decay), penalty, unit)
    assert split.strong == rank or (0 < split.strong < rank and split.strong % unit == 0)
    assert (split.steps == 0) == (split.strong == rank)
    assert split.seconds > 0


def test_flat_spectra_are_not_split():
    # Nothing is weak: conjugate gradients would not converge.
    assert split_basis(1000, 200, 1, np.full(100, 50.0), 1e-4, 8).strong == 100


def test_weak_directions_are_iterated():
    split = split_basis(3000, 200, 1, spectrum(280, 0.13), 1e-4, 8)
    assert split.strong < 200
    assert split.steps <= 30


@given(st.floats(1e-12, 1e6), st.floats(1.0, 100.0))
def test_steps_grow_with_the_ratio(ratio, factor):
    assert 1 <= expected_steps(ratio) <= expected_steps(ratio * factor)


def test_costs_grow_with_the_problem():
    assert cholesky_seconds(1000, 200, 1, 1) < cholesky_seconds(3000, 200, 1, 1)
    assert cholesky_seconds(1000, 200, 2, 1) < cholesky_seconds(1000, 200, 2, 2)
    assert largest_useful_rank(300, 200, 1) <= largest_useful_rank(3000, 200, 1) <= 3000


CHEAP, DEAR = Split(8, 5, 1e-6), Split(800, 0, 1.0)


@pytest.mark.parametrize(
    ("requested", "splits", "refusal", "solver", "words"),
    [
        ("auto", [CHEAP], "", "lowrank", "rank 24 for 1000 points"),
        ("auto", [DEAR], "", "cholesky", "but costs"),
        ("auto", None, "alpha is 0", "cholesky", "since alpha is 0"),
        ("lowrank", [DEAR], "", "lowrank", "asked for"),
        ("lowrank", None, "alpha is 0", "cholesky", "lowrank was asked for, but alpha is 0"),
        ("cholesky", None, "", "cholesky", "asked for"),
    ],
)
def test_choice(requested, splits, refusal, solver, words):
    choice = choose_solver(requested, 1000, 200, 1, splits, 24, refusal)
    assert choice.solver == solver
    assert words in choice.reason
