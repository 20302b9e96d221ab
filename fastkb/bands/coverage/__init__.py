"""Bands that cover what they say: the bias of smoothing and the choice of a kernel accounted for.

===================== ===========================================================================
`study.py`             one estimator and one data set, from which bands are made when asked
`spectrum.py`          a kernel's axes on the data, for every penalty and response
`candidates.py`        many kernels and penalties, weighed by restricted likelihood
`plausible.py`         which ones, for an estimator and its data
`levels.py`            inputs of a few levels; `neighbourhood.py`: points among the data
`average.py`           the plausible curve and the standard error around it
`own_fit.py`           what the estimator makes of responses, its choice included
`calibration.py`       the wild bootstrap: how many standard errors a band takes
`jackknife.py`         prediction bands: the jackknife+; `after_bootstrap.py` of other models
===================== ===========================================================================

Begin with `study.py`.
"""
