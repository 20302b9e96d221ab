"""The names of columns, where data have them."""

from __future__ import annotations

from typing import Any


def column_names(data: Any) -> tuple[str, ...] | None:
    """Those of a data frame, or of a series; None where there are none, or not all are text.

    Parameters
    ----------
    data : Any
        Of pandas, polars or anything else that has `columns` or a `name`.
    """
    names = getattr(data, "columns", None)
    if names is None:
        names = [getattr(data, "name", None)]
    names = list(names)
    return tuple(names) if names and all(isinstance(name, str) for name in names) else None


def check_same_columns(X: Any, X_eval: Any) -> None:
    """Data frames for fitting and for evaluation have the same columns in the same order.

    Raises
    ------
    ValueError
        In scikit-learn's words.
    """
    if not (hasattr(X, "columns") and hasattr(X_eval, "columns")):
        return
    fitted, given = column_names(X), column_names(X_eval)
    if fitted is None or given is None or fitted == given:
        return
    unseen = sorted(set(given) - set(fitted))
    missing = sorted(set(fitted) - set(given))
    text = "The feature names of X_eval should match those of X.\n"
    if unseen:
        text += f"Feature names unseen in X: {', '.join(unseen)}.\n"
    if missing:
        text += f"Feature names of X, yet now missing: {', '.join(missing)}.\n"
    if not unseen and not missing:
        text += "Feature names must be in the same order as they are in X."
    raise ValueError(text.rstrip())
