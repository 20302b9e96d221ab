"""Bands in files: everything but the data, and so but the bands that would need them again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from fastkb.bands.coverage.calibration import Widths
from fastkb.bands.coverage.study import Choice, Saved
from fastkb.bands.models.prediction_error import PredictionError
from fastkb.bands.names import column_names
from fastkb.storage.saved import require_pandas

_CURVES = ("center", "mean", "low", "high")
_NUMBERS = ("confidence_level", "solver", "reason", "n_resamples", "seconds", "rank")
_MORE_NUMBERS = ("error_bound", "n_exact", "kind")
_FIELDS = _NUMBERS + _MORE_NUMBERS
_CHOICE = ("gamma", "criterion", "n_judged")
_CHOICE_ARRAYS = ("alpha", "gammas", "alphas")


def content_of(band: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a file holds of a :class:`~fastkb.BandResult`: texts and numbers, and arrays by name."""
    arrays: dict[str, Any] = {name: getattr(band, name) for name in _CURVES}
    arrays |= {
        "x": _plain(band.x),
        "distribution": band.distribution,
        "classes": _texts(band.classes),
    }
    about: dict[str, Any] = {name: getattr(band, name) for name in _FIELDS}
    about["x_names"], about["y_names"] = band.x_names, band.y_names
    if band.prediction_error is not None:
        about["prediction_error"] = asdict(band.prediction_error)
    if band.choice is not None:
        about["choice"] = {name: getattr(band.choice, name) for name in _CHOICE}
        arrays |= {f"choice/{name}": getattr(band.choice, name) for name in _CHOICE_ARRAYS}
    widths = getattr(band._study, "known_widths", None)
    if widths is not None:
        arrays |= {f"widths/{name}": value for name, value in widths._asdict().items()}
        arrays["widths/center"] = band._study.center
    return about, arrays


def fields_of(about: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
    """The fields of a :class:`~fastkb.BandResult` from what :func:`content_of` has given."""
    fields = {name: about[name] for name in _FIELDS}
    fields |= {name: arrays[name] for name in ("x", *_CURVES)}
    fields |= {name: arrays.get(name) for name in ("distribution", "classes")}
    for name in ("x_names", "y_names"):
        fields[name] = None if about[name] is None else tuple(about[name])
    if "prediction_error" in about:
        fields["prediction_error"] = PredictionError(**about["prediction_error"])
    if "choice" in about:
        chosen: dict[str, Any] = {name: arrays.get(f"choice/{name}") for name in _CHOICE_ARRAYS}
        fields["choice"] = Choice(**about["choice"], **chosen)
    if "widths/center" in arrays:
        widths = Widths(*(arrays[f"widths/{name}"] for name in Widths._fields))
        fields["_study"] = Saved(arrays["widths/center"], widths)
    return fields


def _plain(x: Any) -> np.ndarray:
    """Evaluation points as an array."""
    if hasattr(x, "nnz"):
        return x.toarray()
    return np.asarray(x)


def _texts(classes: Any) -> np.ndarray | None:
    """Labels that are objects, as texts are in pandas, as texts of NumPy."""
    if classes is None or not np.asarray(classes).dtype.hasobject:
        return classes
    if all(isinstance(label, str) for label in classes):
        return np.asarray([str(label) for label in classes])
    return np.asarray(classes)


def frame_of(band: Any) -> Any:
    """The columns of :meth:`fastkb.BandResult.to_frame`."""
    pandas = require_pandas()
    x = _plain(band.x)
    x = x[:, None] if x.ndim == 1 else x
    names = band.x_names or column_names(band.x)
    if names is None or len(names) != x.shape[1]:
        names = ("x",) if x.shape[1] == 1 else tuple(f"x{j}" for j in range(x.shape[1]))
    # A column of the data that is called as a curve keeps apart from it.
    columns = {f"{n} (x)" if n in _CURVES else n: x[:, j] for j, n in enumerate(names)}
    for curve in _CURVES:
        values = getattr(band, curve)
        if values.ndim == 1:
            columns[curve] = values
            continue
        for t in range(values.shape[1]):
            columns[f"{curve}: {_target(band, t, values.shape[1])}"] = values[:, t]
    return pandas.DataFrame(columns)


def _target(band: Any, t: int, count: int) -> str:
    """What a column of the curves is of."""
    for known in (band.classes, band.y_names):
        if known is not None and len(known) == count:
            return str(known[t])
    return str(t)
