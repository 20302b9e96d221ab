"""The calls upwards: what a result can do that stands on a floor above it.

A result draws itself, and an ensemble makes a band. Both stand below pictures and bands, so they reach
them by name, here and nowhere else; what is reached loads when it is called.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

# what is called -> the module that holds it
HOOKS = {
    "plot_band": "fastkb.plot.band",
    "plot_distribution": "fastkb.plot.distribution",
    "ensemble_band": "fastkb.bands.networks.ensemble_band",
}


def hook(name: str) -> Callable[..., Any]:
    """A function of a higher floor.

    Parameters
    ----------
    name : str
        One of :data:`HOOKS`.

    Examples
    --------
    >>> from fastkb.runtime.hooks import hook
    >>> hook("plot_band").__module__
    'fastkb.plot.band'
    """
    return getattr(importlib.import_module(HOOKS[name]), name)
