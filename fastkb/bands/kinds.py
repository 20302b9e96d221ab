"""The kinds of band, and what each is called."""

from __future__ import annotations

# The share of the points at which a confidence band holds the level. In simulations (docs/band.md) it
# then covers at the level on average: at the other points the bias of smoothing is large.
SHARE = 0.75

# What each kind is called in a legend.
KINDS = {
    "percentile": "band of refits",
    "confidence": "confidence band",
    "simultaneous": "simultaneous band",
    "prediction": "prediction band",
}
