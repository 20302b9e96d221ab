"""Every observation has a label."""

import numpy as np
import pytest

import fastkb
from fastkb import schemes

LABELS = {
    "NaN": [0.0, 1.0, np.nan, 1.0],
    "None": ["a", "b", None, "b"],
    "NaN among texts": np.array(["a", "b", np.nan, "b"], object),
    "NaT": np.array(["2020-01-01", "2021-01-01", "NaT", "2021-01-01"], "datetime64[D]"),
    "a span of no time": np.array([1, 2, "NaT", 2], "timedelta64[D]"),
    "masked": np.ma.masked_equal([0, 1, 7, 1], 7),
}


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("scheme", [schemes.Clusters, schemes.Stratified])
def test_labels_that_are_missing_are_no_group(scheme, kind):
    with pytest.raises(ValueError, match=r"1 of the 4 are missing .* the first at 2"):
        fastkb.bootstrap((np.arange(4.0),), np.mean, scheme=scheme(LABELS[kind]), n_resamples=9)


def test_labels_of_pandas():
    pd = pytest.importorskip("pandas")
    x = np.arange(4.0)
    for labels in (
        pd.Series(["a", "b", pd.NA, "b"]),
        pd.Series(["a", "b", None, "b"], dtype="category"),
        pd.array([1, 2, None, 2], dtype="Int64"),
    ):
        with pytest.raises(ValueError, match="are missing"):
            fastkb.bootstrap((x,), np.mean, scheme=schemes.Clusters(labels), n_resamples=9)
    good = pd.Series(["a", "b", "a", "b"], dtype="category")
    fastkb.bootstrap((x,), np.mean, scheme=schemes.Clusters(good), n_resamples=9, method="basic")
