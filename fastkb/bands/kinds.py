"""The kinds of band, and what each is called."""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """What a band holds."""

    label: str  # in a legend
    holds: str  # of its level


# The share of the data's rows at which a confidence band holds the level. In simulations (docs/band.md)
# it then covers at the level on average: at the other rows the bias of smoothing is large.
SHARE = 0.75

KINDS = {
    "percentile": Kind("band of refits", "the middle of the refitted curves, point by point"),
    "confidence": Kind("confidence band", "the true curve, at a share of the data"),
    "simultaneous": Kind("simultaneous band", "the whole true curve"),
    "prediction": Kind("prediction band", "new observations"),
}
