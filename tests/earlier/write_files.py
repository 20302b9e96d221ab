"""Write the files that ``test_earlier.py`` reads: run it with the version whose files are to be kept.

    python tests/earlier/write_files.py FOLDER

Every file is small, and none depends on another package's pickles. What a file must give is written
beside it (``expected.npz``), computed by the version that wrote it; what depends on the processor's
last bits is compared with what the present version computes anew.
"""

import contextlib
import pickle
import sys
from pathlib import Path

import numpy as np

import fastkb
from fastkb import nn, schemes


class Stop(Exception):
    """Raised to break a calculation off while its checkpoint holds a part of it."""


def problem(n=40, d=2):
    """Inputs, targets, labels: by the four operations alone, so that they are the same everywhere."""
    X = (np.arange(n * d) * 37 % 101).reshape(n, d) / 25.0 - 2.0
    y = X[:, 0] * (1.0 - X[:, 0] * X[:, 0] / 6.0) + X[:, 1] / 2.0 + np.arange(n) * 7 % 5 / 20.0
    return X, y, (y > 0).astype(int)


def network():
    return nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1), rng=3)


def fit(net, epochs=2):
    """Two epochs with an optimiser that keeps moments, a schedule and an order of its own."""
    X, y, _ = problem()
    adam = nn.AdamW(lr=0.01, schedule=nn.Cosine(10), weight_decay=1e-3)
    return net.fit(X, y, optimizer=adam, epochs=epochs, batch_size=16, rng=0)


def objects():
    """name -> an object that users pickle."""
    X, y, labels = problem()
    perceptron = {"hidden_layer_sizes": (5,), "max_iter": 5, "random_state": 0}
    return {
        "KernelRidge": fastkb.KernelRidge(alpha=0.1, kernel="rbf", gamma=0.5).fit(X, y),
        "KernelRidge_object": fastkb.KernelRidge(
            alpha=0.1, kernel=fastkb.kernels.RBF(sigma=2.0)
        ).fit(X, y),
        "KernelRidgeCV": fastkb.KernelRidgeCV(
            alphas=(0.1, 1.0), kernel="rbf", gammas=(0.1, 0.5)
        ).fit(X, y),
        "TaylorFeatures": fastkb.TaylorFeatures(sigma=2.0, degree=3).fit(X),
        "kernels": [
            fastkb.kernels.RBF(sigma=2.0),
            fastkb.kernels.Laplacian(gamma=0.3),
            fastkb.kernels.Polynomial(degree=2, coef0=1.0, gamma=0.5),
            fastkb.kernels.Sigmoid(gamma=0.1, coef0=0.2),
            fastkb.kernels.Linear(),
        ],
        "Sequential": fit(network()),
        "MLPRegressor": quiet_fit(fastkb.MLPRegressor(**perceptron), X, y),
        "MLPClassifier": quiet_fit(fastkb.MLPClassifier(**perceptron), X, labels),
        "BootstrapResult": fastkb.bootstrap((y,), np.mean, n_resamples=50, rng=0),
        "BandResult": fastkb.bootstrap_band(
            fastkb.KernelRidge(alpha=0.1, kernel="rbf", gamma=0.5),
            X,
            y,
            X[:5],
            n_resamples=50,
            rng=0,
        ),
        "Ensemble": nn.bootstrap_fit(
            network(), X, y, n_resamples=3, rng=0, epochs=1, batch_size=16
        ),
        "schemes": [
            schemes.MovingBlocks(4),
            schemes.StationaryBlocks(4.0),
            schemes.Clusters(labels),
            schemes.Stratified(labels),
            schemes.Subsampling(20),
            schemes.Bayesian(),
        ],
    }


def quiet_fit(estimator, X, y):
    """Fit without scikit-learn's word on too few iterations."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(X, y)


def stop_in_the_middle(what, done, total):
    if what == "replicates" and done >= total // 3:
        raise Stop


def bands():
    """name -> a call of ``bootstrap_band`` that takes checkpoint and progress."""
    X, y, labels = problem()
    common = {"n_resamples": 60, "rng": 0}
    ridge = fastkb.KernelRidge(alpha=0.1, kernel="rbf", gamma=0.5)

    def band(estimator, targets, **more):
        def call(**arguments):
            return fastkb.bootstrap_band(
                estimator, X, targets, X[:5], **{**common, **more, **arguments}
            )

        return call

    return {
        "lowrank": band(ridge, y, solver="lowrank"),
        "cholesky": band(ridge, y, solver="cholesky"),
        "wild": band(ridge, y, scheme=schemes.Wild()),
        "network": band(network(), y, n_resamples=6, fit_params={"epochs": 1, "batch_size": 16}),
        "perceptron": band(
            fastkb.MLPClassifier(hidden_layer_sizes=(4,), max_iter=3, random_state=0),
            labels,
            n_resamples=6,
        ),
    }


def write(folder):
    """Write every file into a folder."""
    X, _, _ = problem()
    folder.mkdir(parents=True, exist_ok=True)
    expected = {}
    for name, thing in objects().items():
        (folder / f"{name}.pickle").write_bytes(pickle.dumps(thing, protocol=4))
        if hasattr(thing, "predict"):
            expected[name] = np.asarray(thing.predict(X))
        elif name == "Sequential":
            expected[name] = thing.forward(X)
        elif name == "BandResult":
            thing.save(folder / "BandResult.npz")
            expected[name] = np.stack([thing.low, thing.high])
        elif name == "BootstrapResult":
            thing.save(folder / "BootstrapResult.npz")
            expected[name] = np.asarray(thing.confidence_interval)
    for suffix in (".npz", ".safetensors"):
        net = fit(network())
        net.save(folder / f"network{suffix}")
    expected["after"] = fit(net, epochs=2).forward(X)
    for name, call in bands().items():
        with contextlib.suppress(Stop):
            call(checkpoint=folder / f"{name}.checkpoint", progress=stop_in_the_middle)
        expected[name] = call().distribution
    np.savez(folder / "expected.npz", **expected)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
