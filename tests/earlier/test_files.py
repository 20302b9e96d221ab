"""Files that an earlier version wrote: they load, they hold what they held, and jobs go on from them.

``files/`` was written by ``write_files.py``. What was stored is compared to the last bit. What is
computed anew is compared within the rounding of another processor, and to the last bit where the two
ways to it run on this one.
"""

import pickle
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import fastkb
from fastkb import nn

HERE = Path(__file__).parent
FILES = HERE / "files"
sys.path.insert(0, str(HERE))

import write_files  # noqa: E402

EXPECTED = np.load(FILES / "expected.npz")
X, Y, LABELS = write_files.problem()
# Replicates of another processor differ by rounding alone, in units of the targets' range.
ROUNDING = 1e-7 * np.ptp(Y)


def unpickled(name):
    if np.lib.NumpyVersion(np.__version__) < "2.0.0":
        pytest.skip("NumPy 2 wrote these pickles, and NumPy 1 does not read all of them")
    return pickle.loads((FILES / f"{name}.pickle").read_bytes())


def test_there_are_files_of_every_kind():
    assert len(list(FILES.glob("*.pickle"))) == 12
    assert len(list(FILES.glob("*.checkpoint"))) == len(write_files.bands())


@pytest.mark.parametrize(
    "name", ["KernelRidge", "KernelRidge_object", "KernelRidgeCV", "MLPRegressor", "Ensemble"]
)
def test_a_pickled_estimator_predicts_as_it_did(name):
    np.testing.assert_allclose(unpickled(name).predict(X), EXPECTED[name], atol=ROUNDING)


def test_a_pickled_classifier_predicts_as_it_did():
    np.testing.assert_array_equal(unpickled("MLPClassifier").predict(X), EXPECTED["MLPClassifier"])


def test_a_pickled_estimator_can_be_fitted_again():
    fitted = unpickled("KernelRidge")
    before = fitted.dual_coef_
    np.testing.assert_allclose(fitted.fit(X, Y).dual_coef_, before, atol=ROUNDING)


def test_pickled_kernels_are_what_they_were():
    now = [
        fastkb.kernels.RBF(sigma=2.0),
        fastkb.kernels.Laplacian(gamma=0.3),
        fastkb.kernels.Polynomial(degree=2, coef0=1.0, gamma=0.5),
        fastkb.kernels.Sigmoid(gamma=0.1, coef0=0.2),
        fastkb.kernels.Linear(),
    ]
    assert list(map(repr, unpickled("kernels"))) == list(map(repr, now))
    for old, new in zip(unpickled("kernels"), now, strict=True):
        np.testing.assert_array_equal(fastkb.gram(old, X), fastkb.gram(new, X))


def test_pickled_features_transform_as_the_present_ones():
    now = fastkb.TaylorFeatures(sigma=2.0, degree=3).fit(X)
    np.testing.assert_array_equal(unpickled("TaylorFeatures").transform(X), now.transform(X))


def test_pickled_schemes_draw_as_the_present_ones():
    for scheme in unpickled("schemes"):
        assert type(scheme) is getattr(fastkb.schemes, type(scheme).__name__)
        interval = fastkb.bootstrap(
            (Y,), np.mean, n_resamples=20, scheme=scheme, method="percentile", rng=0
        )
        assert np.isfinite(interval.standard_error)


def test_results_hold_what_they_held():
    band = unpickled("BandResult")
    np.testing.assert_array_equal([band.low, band.high], EXPECTED["BandResult"])
    loaded = fastkb.BandResult.load(FILES / "BandResult.npz")
    np.testing.assert_array_equal([loaded.low, loaded.high], EXPECTED["BandResult"])
    for result in (
        unpickled("BootstrapResult"),
        fastkb.BootstrapResult.load(FILES / "BootstrapResult.npz"),
    ):
        np.testing.assert_array_equal(result.confidence_interval, EXPECTED["BootstrapResult"])


def test_networks_go_on_to_the_same_bits():
    nets = [nn.load(FILES / f"network{suffix}") for suffix in (".npz", ".safetensors")]
    first, second = (write_files.fit(net).forward(X) for net in nets)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, EXPECTED["after"], atol=ROUNDING)
    fresh = write_files.fit(write_files.fit(write_files.network()))
    np.testing.assert_allclose(fresh.forward(X), EXPECTED["after"], atol=ROUNDING)


def test_a_pickled_network_goes_on():
    net = unpickled("Sequential")
    np.testing.assert_allclose(net.forward(X), EXPECTED["Sequential"], atol=ROUNDING)
    np.testing.assert_allclose(write_files.fit(net).forward(X), EXPECTED["after"], atol=ROUNDING)


@pytest.mark.parametrize("name", write_files.bands())
def test_bands_go_on_from_a_checkpoint(name, tmp_path):
    checkpoint = tmp_path / "checkpoint"
    shutil.copy(FILES / f"{name}.checkpoint", checkpoint)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # three epochs are too few for scikit-learn
        band = write_files.bands()[name](checkpoint=checkpoint)
    np.testing.assert_allclose(band.distribution, EXPECTED[name], atol=ROUNDING)
