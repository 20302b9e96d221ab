import numpy as np
import pandas as pd
import pytest

from fastkb.bands.names import check_same_columns, column_names

FRAME = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})


def test_names():
    assert column_names(FRAME) == ("a", "b")
    assert column_names(FRAME["b"]) == ("b",)
    for unnamed in (
        np.ones((2, 2)),
        FRAME.to_numpy().tolist(),
        pd.Series([1.0]),
        pd.DataFrame([[1]]),
    ):
        assert column_names(unnamed) is None
    # As scikit-learn has it: names of which some are no text are none.
    assert column_names(pd.DataFrame({"a": [1], 2: [3]})) is None


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["b", "a"], "Feature names must be in the same order as they are in X."),
        (["a", "c"], "Feature names unseen in X: c.\nFeature names of X, yet now missing: b."),
        (["a"], "yet now missing: b."),
    ],
)
def test_other_columns_are_refused(columns, message):
    other = FRAME.rename(columns={"b": "c"}) if "c" in columns else FRAME
    with pytest.raises(ValueError, match="The feature names of X_eval should match") as caught:
        check_same_columns(FRAME, other[columns])
    assert message in str(caught.value)


def test_what_has_no_names_is_taken_by_position():
    for other in (FRAME, FRAME.to_numpy(), FRAME.set_axis([0, 1], axis=1)):
        check_same_columns(FRAME, other)
        check_same_columns(other, FRAME)
