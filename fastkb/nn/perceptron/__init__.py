"""scikit-learn's multi-layer perceptrons.

================ ================================================================================
`classifier.py`   :class:`fastkb.MLPClassifier`
`regressor.py`    :class:`fastkb.MLPRegressor`
`estimators.py`   both, for files of earlier versions
`base.py`         what they have in common
`objective.py`    what is minimised, in which parameters
`lbfgs.py`        by SciPy's L-BFGS
`stochastic.py`   by steps on batches; in `descent.py` of one or many side by side
`records.py`      losses and scores, and when to stop
`checks.py`       parameters and targets
================ ================================================================================

Begin with `base.py`.
"""
