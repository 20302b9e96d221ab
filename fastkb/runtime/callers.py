"""Where a warning points to: the line outside the package that led to it."""

from __future__ import annotations

import sys
from types import FrameType

_PACKAGE = __name__.split(".")[0]


def stacklevel() -> int:
    """The `stacklevel` with which a warning of the calling function names the user's own line.

    However many functions of the package lie between.

    Examples
    --------
    >>> import warnings
    >>> from fastkb.runtime.callers import stacklevel
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warnings.warn("here", stacklevel=stacklevel())
    >>> "callers" in caught[0].filename
    False
    """
    level = 1
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] == _PACKAGE:
        level, frame = level + 1, frame.f_back
    return level
