r"""Ways to resample other than row by row with replacement, for ``bootstrap(..., scheme=…)`` and bands.

=========================  ==========================================================================
scheme                     valid where
=========================  ==========================================================================
:class:`Stratified`        the sizes of the strata were fixed by the design of the study
:class:`Clusters`          rows come in groups (patients, schools) that are independent of each other
:class:`MovingBlocks`      a stationary series whose dependence dies out within a block
:class:`CircularBlocks`    the same; every observation is drawn equally often
:class:`StationaryBlocks`  the same; resamples are stationary themselves
:class:`MOutOfN`           the ordinary bootstrap fails (extremes, boundaries, heavy tails): m/n → 0
:class:`Subsampling`       almost always, if the rate of convergence is known: m/n → 0
:class:`Bayesian`          as the ordinary bootstrap; the replicates are draws from a posterior
:class:`Residual`          regression, inputs held fixed: errors independent, equally distributed
:class:`Wild`              regression, inputs held fixed: errors independent, of any spread
=========================  ==========================================================================

A scheme of one's own is a class derived from :class:`IndexScheme` (which rows a resample has),
:class:`WeightScheme` (how much each observation weighs) or :class:`ResponseScheme` (which responses it
has), with the methods that are abstract there.

References
----------
Künsch (1989), Annals of Statistics 17 (moving blocks). Politis, Romano (1992), in: Exploring the Limits
of Bootstrap (circular blocks); (1994), JASA 89 (stationary bootstrap); (1994), Annals of Statistics 22
(subsampling). Politis, White (2004), Econometric Reviews 23, and Patton, Politis, White (2009), ibid. 28
(length of blocks). Bickel, Götze, van Zwet (1997), Statistica Sinica 7 (m out of n). Davison, Hinkley
(1997), Bootstrap Methods and their Application, chapters 2, 3, 6 and 8. Rubin (1981), Annals of
Statistics 9 (Bayesian). Efron (1979), ibid. 7 (residuals). Wu (1986), ibid. 14; Liu (1988), ibid. 16;
Mammen (1993), ibid. 21 (wild). Cameron, Gelbach, Miller (2008), Review of Economics and Statistics 90
(wild, clusters).
"""

from fastkb.resample.block_length import optimal_block_length
from fastkb.resample.index_schemes import (
    CircularBlocks,
    Clusters,
    MOutOfN,
    MovingBlocks,
    StationaryBlocks,
    Stratified,
    Subsampling,
)
from fastkb.resample.response_schemes import Residual, ResponseScheme, Wild
from fastkb.resample.row_schemes import IndexScheme
from fastkb.resample.scheme import Scheme
from fastkb.resample.weight_schemes import Bayesian, WeightScheme

__all__ = [
    "Bayesian",
    "CircularBlocks",
    "Clusters",
    "IndexScheme",
    "MOutOfN",
    "MovingBlocks",
    "Residual",
    "ResponseScheme",
    "Scheme",
    "StationaryBlocks",
    "Stratified",
    "Subsampling",
    "WeightScheme",
    "Wild",
    "optimal_block_length",
]
