"""Seeds of what operations draw at random in training, such as the masks of Dropout."""

from __future__ import annotations

import numpy as np

from fastkb.random.streams import key_from_rng

# The number of this family of streams: 1 and 2 are those of orders and of resamples.
_FAMILY = 3


def mask_seeds(key: np.ndarray, epoch: int, first: int, count: int) -> np.ndarray:
    """Seeds for members `first`, `first` + 1, … whose steps are counted from an epoch on.

    An optimiser that begins anew counts its steps from 0 again, and must not meet the masks of the one
    before it.

    Parameters
    ----------
    key : ndarray of uint32
        Of the training.  # shape: (4,)
    epoch, first, count : int

    Returns
    -------
    ndarray of int64
        # shape: (count,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb.nn.training.masks import mask_seeds
    >>> key = np.arange(4, dtype=np.uint32)
    >>> bool((mask_seeds(key, 0, 5, 3)[1:] == mask_seeds(key, 0, 6, 2)).all())
    True
    """
    words = np.array([*key.tolist(), _FAMILY, epoch % 2**32], np.uint32)
    low, high = key_from_rng(np.random.SeedSequence(words))[:2].astype(np.uint64)
    members = np.arange(first, first + count, dtype=np.uint64)
    return (members + (low | high << np.uint64(32))).view(np.int64)
