import os

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.neighbors import KNeighborsClassifier

import fastkb
from fastkb import BandResult

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2))
Y = X[:, 0] ** 2 + 0.1 * RNG.normal(size=60)
GRID = RNG.normal(size=(7, 2))
RIDGE = fastkb.KernelRidge(0.1, kernel="rbf", gamma=0.5)
SEARCH = fastkb.KernelRidgeCV(criterion="reml", fit_intercept=True, gammas=[0.1, 1.0])


def band(model=RIDGE, y=Y, **options):
    return fastkb.bootstrap_band(model, X, y, GRID, n_resamples=40, rng=0, **options)


BANDS = {
    "percentile": lambda: band(),
    "without replicates": lambda: band(keep_distribution=False),
    "two targets": lambda: band(y=np.column_stack([Y, -Y])),
    "confidence": lambda: band(SEARCH, kind="confidence"),
    "prediction": lambda: band(kind="prediction"),
    "classes": lambda: band(KNeighborsClassifier(), y=np.where(Y > 1, "large", "small")),
    "objects": lambda: band(
        KNeighborsClassifier(), y=np.where(Y > 1, "large", "small").astype(object)
    ),
    "out of bag": lambda: band(out_of_bag=True),
    "named": lambda: fastkb.bootstrap_band(
        RIDGE,
        pd.DataFrame(X, columns=["a", "b"]),
        pd.Series(Y, name="c"),
        pd.DataFrame(GRID, columns=["a", "b"]),
        n_resamples=40,
        rng=0,
    ),
}


@pytest.mark.parametrize("name", BANDS)
def test_a_band_comes_back_from_its_file(name, tmp_path):
    one = BANDS[name]()
    path = tmp_path / "band.npz"
    one.save(path)
    two = BandResult.load(path)
    for field in ("x", "center", "mean", "low", "high", "distribution", "classes"):
        first, second = getattr(one, field), getattr(two, field)
        if first is None:
            assert second is None
            continue
        np.testing.assert_array_equal(np.asarray(first), second)
        assert np.asarray(first).dtype == second.dtype or first.dtype == object
    about = (
        "confidence_level",
        "solver",
        "reason",
        "rank",
        "error_bound",
        "n_exact",
        "n_resamples",
    )
    for field in (*about, "seconds", "kind", "x_names", "y_names", "prediction_error", "label"):
        assert getattr(one, field) == getattr(two, field)
    if one.choice is not None:
        for field in one.choice._fields:
            np.testing.assert_array_equal(getattr(one.choice, field), getattr(two.choice, field))
    two.plot(feature=0)
    two.save(path)
    np.testing.assert_array_equal(BandResult.load(path).low, one.low)


def test_bands_at_other_levels_are_there_as_far_as_no_data_are_needed(tmp_path):
    one = band(SEARCH, kind="confidence")
    one.save(tmp_path / "band.npz")
    two = BandResult.load(tmp_path / "band.npz")
    np.testing.assert_array_equal(two.confidence(0.5), one.confidence(0.5))
    np.testing.assert_array_equal(two.simultaneous(0.8), one.simultaneous(0.8))
    np.testing.assert_array_equal(two.interval(0.5), one.interval(0.5))
    with pytest.raises(
        ValueError, match="loaded from a file, which holds no data: take prediction"
    ):
        two.prediction(0.9)
    band().save(tmp_path / "band.npz")
    two = BandResult.load(tmp_path / "band.npz")
    with pytest.raises(
        ValueError, match="loaded from a file, which holds no data: take confidence"
    ):
        two.confidence(0.9)
    # Of replicates alone.
    assert (two.simultaneous(0.9)[0] <= two.center).all()


def test_files_that_cannot_be(tmp_path):
    with pytest.raises(ValueError, match=r"path must end in \.npz"):
        band().save(tmp_path / "band.csv")
    with pytest.raises(OSError, match="there is no folder"):
        band().save(tmp_path / "no" / "band.npz")
    labels = np.array([1, "x"] * 30, object)
    mixed = fastkb.bootstrap_band(
        KNeighborsClassifier(), X, labels.astype(str), GRID, n_resamples=5, rng=0
    )
    object.__setattr__(mixed, "classes", np.array([1, "x"], object))
    with pytest.raises(ValueError, match="classes holds Python objects"):
        mixed.save(tmp_path / "band.npz")
    assert os.listdir(tmp_path) == []
    fastkb.bootstrap((Y,), np.mean, n_resamples=9, rng=0).save(tmp_path / "mean.npz")
    with pytest.raises(ValueError, match=r"mean\.npz' is not a band that fastkb saved: it holds"):
        BandResult.load(tmp_path / "mean.npz")


def test_data_frames():
    frame = BANDS["named"]().to_frame()
    assert frame.columns.tolist() == ["a", "b", "center", "mean", "low", "high"]
    np.testing.assert_array_equal(frame[["a", "b"]], GRID)
    assert (frame["low"] <= frame["high"]).all()
    assert band().to_frame().columns.tolist()[:2] == ["x0", "x1"]
    two = BANDS["two targets"]().to_frame()
    assert two.columns.tolist()[2:4] == ["center: 0", "center: 1"]
    classes = fastkb.bootstrap_band(
        KNeighborsClassifier(),
        X,
        np.array(["u", "v", "w"])[np.arange(60) % 3],
        GRID,
        n_resamples=5,
        rng=0,
        response_method="predict_proba",
    ).to_frame()
    assert "low: w" in classes.columns
    named = fastkb.bootstrap_band(
        RIDGE,
        pd.DataFrame({"mean": X[:, 0]}),
        Y,
        pd.DataFrame({"mean": GRID[:, 0]}),
        n_resamples=5,
        rng=0,
    ).to_frame()
    assert named.columns.tolist() == ["mean (x)", "center", "mean", "low", "high"]


def test_sparse_evaluation_points(tmp_path):
    model = fastkb.KernelRidge(0.1, kernel="linear")
    one = fastkb.bootstrap_band(
        model, sparse.csr_array(X), Y, sparse.csr_array(GRID), n_resamples=5, rng=0
    )
    one.save(tmp_path / "band.npz")
    np.testing.assert_array_equal(BandResult.load(tmp_path / "band.npz").x, GRID)
    np.testing.assert_array_equal(one.to_frame()[["x0", "x1"]], GRID)


def test_notebooks_show_a_table():
    one = band()
    html = one._repr_html_()
    assert "90% band of refits" in html
    assert f"<td>{one.solver}: " in html
