"""Bands of any model that can be fitted again.

======================= =========================================================================
`models.py`              a model: an estimator, or a function that fits and predicts
`model_kinds.py`         a band of one, by `model_band.py`: networks side by side, other models one by one
`refits.py`              every replicate on joblib's workers
`prediction_error.py`    the error at rows that were left out
`checks.py`              what an estimator is, and what may be asked of it
`error_checks.py`        targets and labels of the error
======================= =========================================================================

Begin with `models.py`.
"""
