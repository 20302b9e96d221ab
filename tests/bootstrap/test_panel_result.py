"""What the intervals of many series say of themselves."""

import numpy as np
import pytest

from fastkb import PanelResult, bootstrap_panel, schemes
from fastkb.bootstrap.bootstrap_result import ConfidenceInterval

X = np.random.default_rng(0).normal(size=(20, 4))


def result(**options):
    values = {
        "confidence_interval": ConfidenceInterval(np.array([1.0, 2.0]), np.array([3.0, 4.0])),
        "standard_error": np.array([0.5, 0.25]),
        "observed": np.array([2.0, 3.0]),
        "confidence_level": 0.95,
        "alternative": "two-sided",
        "method": "bca",
        "n_resamples": 999,
        "common_draws": False,
    }
    return PanelResult(**{**values, **options})


def test_as_a_data_frame():
    frame = result(names=("a", "b")).to_frame()
    assert frame.columns.tolist() == ["observed", "standard_error", "low", "high"]
    assert frame.loc["b"].tolist() == [3.0, 0.25, 2.0, 4.0]
    assert result().to_frame().index.tolist() == [0, 1]
    many = bootstrap_panel((X.reshape(20, 2, 2),), np.mean, n_resamples=9, rng=0)
    assert len(many.to_frame()) == 4


def test_in_a_notebook():
    text = result()._repr_html_()
    assert "95%, BCa, two-sided" in text
    assert "999 of each series" in text


@pytest.mark.parametrize("scheme", [None, schemes.MovingBlocks(3)])
def test_in_a_file(tmp_path, scheme):
    made = bootstrap_panel(
        (dict(zip("abcd", X.T, strict=True)),), np.mean, n_resamples=99, scheme=scheme, rng=0
    )
    made.save(tmp_path / "panel.npz")
    again = PanelResult.load(tmp_path / "panel.npz")
    for name in ("observed", "standard_error"):
        np.testing.assert_array_equal(getattr(again, name), getattr(made, name))
    np.testing.assert_array_equal(again.confidence_interval, made.confidence_interval)
    about = ("confidence_level", "alternative", "method", "n_resamples", "common_draws", "names")
    assert [getattr(again, name) for name in about] == [getattr(made, name) for name in about]
    assert again.schemes == (None if scheme is None else ("MovingBlocks(length=3)",) * 4)


def test_files_that_are_something_else(tmp_path):
    from fastkb import bootstrap

    with pytest.raises(ValueError, match=r"path must end in \.npz|\.npz"):
        result().save(tmp_path / "panel.csv")
    bootstrap((X[:, 0],), np.mean, n_resamples=9, rng=0).save(tmp_path / "other.npz")
    with pytest.raises(ValueError, match="panel"):
        PanelResult.load(tmp_path / "other.npz")
