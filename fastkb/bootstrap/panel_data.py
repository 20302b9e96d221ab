"""Many series as :func:`fastkb.bootstrap_panel` gets them: arrays, lists, mappings, data frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from fastkb.bootstrap.checks import as_axis, as_numbers
from fastkb.bootstrap.evaluate.statistics import Statistic


class Panel(NamedTuple):
    """Checked data of many series."""

    samples: tuple[list[np.ndarray], ...]  # of each sample its series.  # shapes: (n_js,)
    lead: tuple[int, ...]  # the shape of what one number for each series is
    names: tuple | None  # of the series, where the data have them

    def __len__(self) -> int:
        """How many series there are."""
        return len(self.samples[0])

    def series(self, s: int) -> tuple[np.ndarray, ...]:
        """One series of every sample.  # shapes: (n_j,)"""
        return tuple(sample[s] for sample in self.samples)


class _Sample(NamedTuple):
    series: list[np.ndarray]
    lead: tuple[int, ...]
    names: tuple | None


def check_panel(data: Any, axis: Any, paired: bool) -> Panel:
    """A sequence of samples, each of many series with two observations or more."""
    if not isinstance(data, list | tuple):
        raise ValueError(
            f"`data` must be a tuple of samples, got {type(data).__name__}: for one sample of many "
            "series write (series,)"
        )
    if not data:
        raise ValueError("`data` must contain at least one sample, got none")
    samples = [_sample(one, f"data[{j}]", axis) for j, one in enumerate(data)]
    lead = max((one.lead for one in samples), key=len)
    for j, one in enumerate(samples):
        if one.lead not in (lead, ()):
            raise ValueError(
                f"the samples in `data` must have as many series, or one: data[0] has them in shape "
                f"{samples[0].lead}, data[{j}] in shape {one.lead}"
            )
    count = max(len(one.series) for one in samples)
    series = tuple(one.series * (count // len(one.series)) for one in samples)
    names = next((one.names for one in samples if one.names is not None), None)
    panel = Panel(series, lead, names)
    for s in range(count):
        lengths = [len(x) for x in panel.series(s)]
        if min(lengths) < 2:
            raise ValueError(
                f"each series in `data` must have two or more observations: {_called(panel, s)} has "
                f"{min(lengths)}"
            )
        if paired and len(set(lengths)) > 1:
            raise ValueError(
                "When `paired is True`, all samples must have the same length: those of "
                f"{_called(panel, s)} have {', '.join(map(str, lengths))}"
            )
    return panel


def check_known_values(known: Statistic, panel: Panel) -> None:
    """Refuse NaN, of which a compiled statistic would make NaN."""
    for s in range(len(panel)):
        for x in panel.series(s):
            missing = int(np.isnan(x).sum()) if x.dtype.kind == "f" else 0
            if missing:
                raise ValueError(
                    f"{_called(panel, s)} in `data` contains {missing} NaN, and so {known.name} would be "
                    "NaN: drop them, for series of a list may differ in length, or pass a function that "
                    "leaves them out, such as numpy.nanmean"
                )


def _called(panel: Panel, s: int) -> str:
    """What a series is called in an error."""
    return f"series {s}" if panel.names is None else f"series {panel.names[s]!r}"


def _sample(values: Any, name: str, axis: Any) -> _Sample:
    if isinstance(values, Mapping):
        series = _each(list(values.values()), [f"{name}[{key!r}]" for key in values])
        return _Sample(series, (len(series),), tuple(values))
    if isinstance(values, list | tuple) and len(values) and np.ndim(values[0]) > 0:
        series = _each(values, [f"{name}[{k}]" for k in range(len(values))])
        return _Sample(series, (len(series),), None)
    array = as_numbers(values, name)
    where = as_axis(axis, array.ndim, f"the arrays of {name}")
    rows = np.moveaxis(array, where, -1)
    lead = rows.shape[:-1]
    if 0 in lead:
        raise ValueError(f"{name} must have series, got shape {array.shape}")
    names = _names(values, where) if len(lead) == 1 else None
    flat = np.ascontiguousarray(rows).reshape(-1, rows.shape[-1])
    return _Sample(list(flat), lead, names)


def _each(values: Any, names: list[str]) -> list[np.ndarray]:
    if not names:
        raise ValueError("each sample in `data` must have at least one series, got none")
    series = []
    for one, name in zip(values, names, strict=True):
        array = as_numbers(one, name)
        if array.ndim != 1:
            raise ValueError(f"{name} must be a series of numbers, got shape {array.shape}")
        series.append(array)
    return series


def _names(values: Any, axis: int) -> tuple | None:
    """Of the series of a data frame."""
    found = getattr(values, "columns" if axis == 0 else "index", None)
    return None if found is None or callable(found) else tuple(found)
