"""Schemes that weigh the observations instead of drawing them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Sequence
from copy import copy

import numpy as np

from fastkb.random.dirichlet import dirichlet_rows
from fastkb.resample.scheme import Block, Scheme, equal_blocks, rows_together


class WeightScheme(Scheme):
    """How rows of weights are drawn, which sum to 1 in each sample.

    Attributes
    ----------
    lengths : list of int
        Observations of each sample that has weights of its own; :meth:`prepare` stores them.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import bootstrap, schemes
    >>> class First(schemes.WeightScheme):
    ...     # All weight on the first observation.
    ...     def weights(self, key, first, count):
    ...         return [np.tile(np.arange(n) == 0.0, (count, 1)) * 1.0 for n in self.lengths]
    >>> x = np.array([3.0, 8.0, 1.0])
    >>> result = bootstrap((x,), np.mean, scheme=First(), method="percentile", n_resamples=2)
    >>> result.bootstrap_distribution.tolist()
    [3.0, 3.0]
    """

    knows_bca = False
    draws_unpaired = True
    lengths: list[int]

    def prepare(self, samples: Sequence[np.ndarray], paired: bool, axis: int = -1) -> WeightScheme:
        prepared = copy(self)
        prepared.lengths = [sample.shape[-1] for sample in samples][: 1 if paired else None]
        return prepared

    @abstractmethod
    def weights(self, key: np.ndarray, first: int, count: int) -> list[np.ndarray]:
        """Weights of each sample, from replicate `first` on.  # shapes: (count, n_j)"""

    def blocks(
        self, key: np.ndarray, n_resamples: int, largest: int, start: int = 0
    ) -> Generator[Block, None, None]:
        together = rows_together(largest, sum(self.lengths))
        return equal_blocks(
            lambda first, count: self.weights(key, first, count), n_resamples, together, start
        )

    def counts(self, key: np.ndarray, first: int, count: int) -> np.ndarray:
        """Weights of the first sample that sum to n, from replicate `first` on.  # shape: (count, n)"""
        return self.lengths[0] * self.weights(key, first, count)[0]


class Bayesian(WeightScheme):
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

    reads_values = False

    def weights(self, key: np.ndarray, first: int, count: int) -> list[np.ndarray]:
        return dirichlet_rows(key, first, count, self.lengths)
