"""scikit-learn's multi-layer perceptrons.

================ ================================================================================
`estimators.py`   :class:`fastkb.MLPClassifier` and :class:`fastkb.MLPRegressor`
`base.py`         what they have in common
`objective.py`    what is minimised, in which parameters
`lbfgs.py`        by SciPy's L-BFGS
`stochastic.py`   by steps on batches; in `descent.py` of one or many side by side
`records.py`      losses and scores, and when to stop
`checks.py`       parameters and targets
================ ================================================================================

Begin with `base.py`.
"""
