"""The band of an estimator over fresh samples: what the bootstrap approximates."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from fastkb.bands.models.checks import check_model, check_predictions, check_sample, check_sampler
from fastkb.bands.names import column_names
from fastkb.bands.result import BandResult
from fastkb.checks.numbers import check_unmasked
from fastkb.checks.requests import check_level, check_n_resamples, check_rng
from fastkb.checks.scalars import check_progress
from fastkb.linalg.quantiles import column_quantiles
from fastkb.random.streams import key_from_rng
from fastkb.runtime.memory import require
from fastkb.runtime.progress import ProgressLike, counted
from fastkb.runtime.threads import limit_blas


def sampling_band(
    estimator: Any,
    sampler: Any,
    X_eval: Any,
    *,
    n_resamples: int = 1000,
    confidence_level: float = 0.9,
    rng: Any = None,
    keep_distribution: bool = True,
    progress: ProgressLike = False,
) -> BandResult:
    r"""Band of an estimator over fresh samples: what the bootstrap approximates.

    Where the distribution of the data is known, no resampling is needed: each replicate is fitted on a
    sample of its own, and the band spans the percentiles of the fitted functions.

    Parameters
    ----------
    estimator : scikit-learn estimator
        Anything with `fit` and `predict`; it is cloned and not changed.
    sampler : callable
        ``sampler(generator)`` returns a data set (X, y) drawn with the given
        :class:`numpy.random.Generator`.
    X_eval : array-like of shape (n_eval, d)
        Where to evaluate.
    n_resamples : int, default 1000
        The number B of samples.
    confidence_level : float, default 0.9
        The band holds the middle `confidence_level` of the replicates.
    rng : None, int, numpy.random.SeedSequence or numpy.random.Generator, default None
        Seed. The generator of replicate b depends on the seed and b alone, not on n_resamples.
    keep_distribution : bool, default True
        Whether the result keeps every replicate's predictions.
    progress : bool or callable, default False
        True shows a bar on standard error. A function is called with what is counted, how many are
        done, and how many there will be.

    Returns
    -------
    BandResult
        With `center` equal to `mean`: there is no one data set to fit all of.

    Raises
    ------
    TypeError, ValueError
        For bad input, or when the sampler returns something other than (X, y).

    See Also
    --------
    fastkb.bootstrap_band : the same from one data set.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import KernelRidge, sampling_band
    >>> def sampler(generator):
    ...     x = generator.uniform(-3, 3, 60)
    ...     return x[:, None], np.sin(x) + 0.3 * generator.standard_normal(60)
    >>> model = KernelRidge(alpha=0.1, kernel="rbf", gamma=0.5)
    >>> band = sampling_band(model, sampler, np.array([[0.0], [1.5]]), n_resamples=100, rng=0)
    >>> band.low.shape, bool((band.low < band.high).all())
    ((2,), True)
    """
    from sklearn.base import clone
    from sklearn.utils.validation import _num_samples

    start = time.perf_counter()
    check_model(estimator)
    check_progress(progress)
    check_sampler(sampler)
    check_unmasked("X_eval", X_eval)
    n_resamples = check_n_resamples(n_resamples)
    level = check_level("confidence_level", confidence_level)
    # All predictions, one by one and together.
    require(2 * 4 * n_resamples * _num_samples(X_eval), "the predictions of all replicates")
    entropy = key_from_rng(check_rng(rng))
    draws: list[np.ndarray] = []
    with limit_blas(), counted(progress, "replicates", n_resamples) as bar:
        for b in range(n_resamples):
            # Philox again, with a counter of its own for each replicate.
            seed = np.random.SeedSequence([int(word) for word in entropy], spawn_key=(b,))
            X, y = check_sample(sampler(np.random.Generator(np.random.Philox(seed))), b)
            prediction = clone(estimator).fit(X, y).predict(X_eval)
            draws.append(check_predictions(prediction, b, draws[0].shape if draws else None))
            bar.update(1)
    distribution = np.array(draws)
    low, high = column_quantiles(distribution, [(1 - level) / 2, (1 + level) / 2])
    mean = distribution.mean(axis=0)
    return BandResult(
        x=np.asarray(X_eval),
        center=mean,
        mean=mean,
        low=low,
        high=high,
        confidence_level=level,
        distribution=distribution if keep_distribution else None,
        x_names=column_names(X_eval),
        solver="refit",
        reason="fresh samples have nothing in common, so each is fitted on its own",
        n_resamples=n_resamples,
        seconds=time.perf_counter() - start,
    )
