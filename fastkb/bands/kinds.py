"""The kinds of band, and what each is called."""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """What a band holds."""

    label: str  # in a legend
    holds: str  # of its level


KINDS = {
    "percentile": Kind("band of refits", "the middle of the refitted curves, point by point"),
    "confidence": Kind("confidence band", "the true curve, at a share of the data"),
    "simultaneous": Kind("simultaneous band", "the whole true curve"),
    "prediction": Kind("prediction band", "new observations"),
}
