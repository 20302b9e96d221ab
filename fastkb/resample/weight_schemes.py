"""Schemes that weigh the observations instead of drawing them."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np

from fastkb.random.dirichlet import dirichlet_rows
from fastkb.resample.scheme import Block, Scheme, equal_blocks, rows_together


class Bayesian(Scheme):
    """Weights from the uniform distribution on the simplex, Dirichlet(1, …, 1) (Rubin 1981).

    The replicates are draws from the posterior of the statistic under a non-informative prior that knows
    no values but those observed: the percentile interval is a credible interval. Every observation has a
    positive weight in every replicate, so that no replicate is degenerate for having lost a group.

    `statistic` is one that is compiled (but extremes, which no weights alter, and the trimmed mean), or a
    function with a parameter `weights`, as :func:`numpy.average` has. Quantiles are those of the weighted
    distribution function (``method="inverted_cdf"`` in NumPy). Several samples may be unpaired: each
    has weights of its own.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import bootstrap, schemes
    >>> x = np.random.default_rng(0).exponential(size=100)
    >>> result = bootstrap((x,), np.mean, scheme=schemes.Bayesian(), method="percentile", rng=0)
    >>> bool(result.confidence_interval.low < x.mean() < result.confidence_interval.high)
    True
    """

    knows_bca = False
    draws_unpaired = True

    def prepare(self, samples: Sequence[np.ndarray], paired: bool, axis: int = -1) -> Bayesian:
        prepared = Bayesian()
        prepared._lengths = [sample.shape[-1] for sample in samples][: 1 if paired else None]
        return prepared

    _lengths: list[int]

    def blocks(
        self, key: np.ndarray, n_resamples: int, largest: int
    ) -> Generator[Block, None, None]:
        together = rows_together(largest, sum(self._lengths))
        return equal_blocks(
            lambda first, count: dirichlet_rows(key, first, count, self._lengths),
            n_resamples,
            together,
        )

    def counts(self, key: np.ndarray, first: int, count: int) -> np.ndarray:
        """Weights of the first sample that sum to n, from replicate `first` on.  # shape: (count, n)"""
        return self._lengths[0] * dirichlet_rows(key, first, count, self._lengths[:1])[0]
