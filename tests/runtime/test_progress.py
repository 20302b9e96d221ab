import io
import sys
from functools import partial

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

import fastkb
from fastkb import nn
from fastkb.runtime.progress import counted

X = np.random.default_rng(0).normal(size=(40, 1))
Y = X[:, 0] + 0.1
GRID = X[:5]


def rows(generator):
    return X, Y


def network():
    return nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1), rng=0)


RIDGE = fastkb.KernelRidge(kernel="rbf", gamma=0.5, alpha=0.1)
SEARCH = fastkb.KernelRidgeCV(gammas=[0.1, 1.0])
LONG = {
    "bootstrap": (partial(fastkb.bootstrap, (Y,), np.mean), {"n_resamples": 300}, ["resamples"]),
    "path": (partial(fastkb.kernel_ridge_path, X, Y, gammas=[0.1, 1.0]), {}, ["kernels"]),
    "search": (lambda progress: SEARCH.set_params(progress=progress).fit(X, Y), {}, ["kernels"]),
    "band": (
        partial(fastkb.bootstrap_band, RIDGE, X, Y, GRID),
        {"n_resamples": 20},
        ["replicates"],
    ),
    "cholesky": (
        partial(fastkb.bootstrap_band, RIDGE, X, Y, GRID, solver="cholesky"),
        {"n_resamples": 20},
        ["replicates"],
    ),
    "confidence": (
        partial(fastkb.bootstrap_band, RIDGE, X, Y, GRID, kind="confidence"),
        {"n_resamples": 20},
        ["kernels", "replicates"],
    ),
    "search's band": (
        partial(fastkb.bootstrap_band, fastkb.KernelRidgeCV(gammas=[0.1]), X, Y, GRID),
        {"n_resamples": 20},
        ["kernels", "replicates"],
    ),
    "sampling": (
        partial(fastkb.sampling_band, RIDGE, rows, GRID),
        {"n_resamples": 3},
        ["replicates"],
    ),
    "refits": (
        partial(
            fastkb.bootstrap_band,
            LinearRegression(),
            X,
            Y,
            GRID,
        ),
        {"n_resamples": 3},
        ["replicates"],
    ),
    "fit": (lambda progress: network().fit(X, Y, epochs=3, progress=progress), {}, ["epochs"]),
    "ensemble": (
        partial(nn.bootstrap_fit, network(), X, Y, epochs=2),
        {"n_resamples": 5},
        ["networks"],
    ),
}


@pytest.mark.parametrize("name", LONG)
def test_a_function_is_told_from_the_beginning_to_the_end(name):
    call, options, counts = LONG[name]
    told = []
    call(**options, progress=lambda *step: told.append(step))
    assert list(dict.fromkeys(what for what, _, _ in told)) == counts
    for what in counts:
        done = [step[1] for step in told if step[0] == what]
        assert done[0] == 0
        assert done == sorted(done)
    what, done, total = told[-1]
    assert done == total == options.get("n_resamples", total)


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("progress", [False, True])
def test_a_bar_is_shown_to_those_who_want_it(name, progress, monkeypatch):
    call, options, counts = LONG[name]
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    call(**options, progress=progress)
    shown = sys.stderr.getvalue()
    assert (counts[-1] in shown) is progress
    assert bool(shown) is progress


@pytest.mark.parametrize("name", LONG)
def test_anything_else_is_refused(name):
    call, _, _ = LONG[name]
    with pytest.raises(ValueError, match=r"progress must be True, False or a function, got 'yes'"):
        call(progress="yes")


def test_an_unknown_total():
    told = []
    with counted(lambda *step: told.append(step), "kernels") as bar:
        bar.update(2)
        bar.update(3)
    assert told == [("kernels", 0, None), ("kernels", 2, None), ("kernels", 5, None)]


def test_nobody_is_told():
    with counted(False, "kernels", 3) as bar:
        bar.update(1)
