"""Chunks, interruptions, and who computes what."""

import itertools

import numpy as np
import pytest

import fastkb
from fastkb.bootstrap import replicates
from fastkb.bootstrap.kernel_source import KernelSource
from fastkb.random.streams import key_from_rng


class Bar:
    def __init__(self):
        self.counts = []

    def update(self, count):
        self.counts.append(count)


@pytest.mark.parametrize("total", [1, 47, 48, 1000])
@pytest.mark.parametrize("unit", [1, 48])
def test_chunks_cover_everything_in_whole_units(total, unit):
    bar = Bar()
    chunks = list(replicates._chunks(total, unit, bar))
    assert [first for first, _ in chunks] == list(
        np.cumsum([0, *[count for _, count in chunks]])[:-1]
    )
    assert all(first % unit == 0 for first, _ in chunks)
    assert sum(count for _, count in chunks) == total
    assert bar.counts == [count for _, count in chunks]


def test_chunks_grow_to_a_quarter_of_a_second(monkeypatch):
    clock = iter(np.arange(1000) * 0.01)  # a chunk takes 10 ms, whatever its size
    monkeypatch.setattr(replicates.time, "perf_counter", lambda: next(clock))
    counts = [count for _, count in replicates._chunks(5000, 2, Bar())]
    assert counts[:3] == [2, 8, 32]
    assert max(b / a for a, b in itertools.pairwise(counts)) <= 4


def test_the_first_chunk_is_a_tenth_if_a_guess_says_how_much_that_is(monkeypatch):
    clock = iter(np.arange(1000) * 0.01)
    monkeypatch.setattr(replicates.time, "perf_counter", lambda: next(clock))
    chunks = replicates._chunks(5000, 2, Bar(), guess=0.1 * replicates._SECONDS_A_CHUNK / 3)
    assert [count for _, count in chunks][:2] == [6, 24]


def test_slow_units_are_taken_one_by_one(monkeypatch):
    clock = iter(np.arange(1000) * 10.0)
    monkeypatch.setattr(replicates.time, "perf_counter", lambda: next(clock))
    assert [count for _, count in replicates._chunks(10, 3, Bar())] == [3, 3, 3, 1]


def job(alpha=0.01, gamma=5.0, n=60):
    rng = np.random.default_rng(0)
    X, X_eval = rng.uniform(size=(n, 1)), rng.uniform(size=(7, 1))
    y = np.sin(5 * X) + 0.2 * rng.standard_normal((n, 1))
    model = fastkb.KernelRidge(alpha=alpha, kernel="rbf", gamma=gamma)
    return KernelSource(model, X, X_eval), y, np.array([alpha])


@pytest.mark.parametrize("solver", ["lowrank", "cholesky"])
def test_ctrl_c_between_chunks_leaves_nothing(solver, monkeypatch):
    source, y, alpha = job()
    module, name = {
        "lowrank": (replicates.LowRank, "predict"),
        "cholesky": (replicates.cholesky, "predict"),
    }[solver]
    original = getattr(module, name)
    calls = []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(module, name, interrupted)
    monkeypatch.setattr(replicates, "_SECONDS_A_CHUNK", 0.0)
    with pytest.raises(KeyboardInterrupt):
        replicates.compute_replicates(
            replicates.Job(source, y, alpha, key_from_rng(0), 1000), solver
        )
    assert len(calls) == 3
    # And the next call is none the worse for it.
    monkeypatch.undo()
    again = replicates.compute_replicates(
        replicates.Job(source, y, alpha, key_from_rng(0), 60), solver
    )
    assert np.isfinite(again.distribution).all()


def test_a_larger_basis_is_tried_before_factorisations(monkeypatch):
    source, y, alpha = job()
    key = key_from_rng(0)
    first = replicates.compute_replicates(replicates.Job(source, y, alpha, key, 200), "lowrank")
    # Half as much error as the worst certificate: many replicates fail in the first basis.
    monkeypatch.setattr(replicates, "_LIMIT", first.error_bound * 1e-2)
    monkeypatch.setattr(replicates, "_CENTER_LIMIT", 1.0)
    second = replicates.compute_replicates(replicates.Job(source, y, alpha, key, 200), "lowrank")
    assert second.rank > first.rank
    assert second.n_exact < 200


def test_a_fit_that_the_kernel_contradicts_is_not_trusted(monkeypatch):
    source, y, alpha = job()
    rows = KernelSource.rows
    monkeypatch.setattr(KernelSource, "rows", lambda self, i: rows(self, i) + 1e-3)
    result = replicates.compute_replicates(
        replicates.Job(source, y, alpha, key_from_rng(0), 20), "lowrank"
    )
    assert result.plan.solver == "cholesky"
    assert "could not be certified" in result.plan.reason
